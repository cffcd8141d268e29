"""The arbiter: the lowest live claim wins, always (invariants 1, 5 and 7)."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from agent.core.context import Context, Durable
from agent.core.effects import Energise, MakeSafe
from agent.core.evse import Authorization, Evse, Token
from agent.core.instant import Instant
from agent.core.limits import REACTION_MS, Claim, Limits
from agent.core.sharing import Shared
from agent.core.site import EvseSite
from config_keys.values import Values
from hal.ports import Capabilities, Offer, Permit
from state_machines.reasons import Cause

CAUSE = Cause.AUTHORIZED
NAMEPLATE = 32.0
LIMITS = st.floats(min_value=0, max_value=80, allow_nan=False)


class Bench:
    """Arbiter and EVSEs; claims are whatever the test puts into `claims` and `shared`."""

    def __init__(self, evses: int = 1) -> None:
        self.durable = Durable(Values({i: [1] for i in range(1, evses + 1)}, {}))
        self.evses = {i: Evse(EvseSite(i, NAMEPLATE, 3)) for i in range(1, evses + 1)}
        self.claims: list[Claim] = []
        self.shared: list[Shared] = []
        self.limits = Limits(self.evses, (self._claims,), (), (lambda cx: self.shared,))
        self.ms = 100_000
        self.step = 0
        for evse in self.evses.values():
            evse.capabilities = Capabilities(evse.id, True, NAMEPLATE, 3)
            evse.contactor.state, evse.plug.pilot, evse.plug.connected = "closed", "C", True
            evse.session.state = "powered"

    def _claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        yield Claim("nameplate", NAMEPLATE)
        yield from self.claims

    def settles(self, seconds: float = 0) -> list[float]:
        """Time passes, the arbiter acts; returns what is offered at each EVSE."""
        self.ms += round(seconds * 1000)
        self.step += 1
        cx = Context(self.durable, Instant(self.ms), self.step)
        self.limits.apply(cx)
        self.effects = cx.finish()
        return [evse.commanded_amps or 0.0 for evse in self.evses.values()]


@given(st.lists(LIMITS, max_size=6))
def test_the_lowest_claim_wins_and_less_than_the_ev_minimum_is_a_pause(amps: list[float]) -> None:
    bench = Bench()
    bench.claims = [Claim(f"owner {i}", a) for i, a in enumerate(amps)]
    offered = bench.settles()[0]
    lowest = min([NAMEPLATE, *amps])
    assert offered <= lowest + 1e-6
    assert lowest - offered < 0.1 + 1e-6 if lowest >= 6 else offered in (0, 6) and offered <= lowest + 1e-6


@given(st.lists(st.tuples(LIMITS, st.floats(min_value=0, max_value=20)), min_size=1, max_size=20))
def test_no_sequence_of_limits_ever_leaves_more_than_the_limit_of_the_moment(steps: list[tuple[float, float]]) -> None:
    bench = Bench()
    for amps, wait_s in steps:
        bench.claims = [Claim("csms", amps)]
        assert bench.settles(wait_s)[0] <= min(NAMEPLATE, amps) + 1e-6


def test_a_decrease_goes_out_at_once_an_increase_is_spaced() -> None:
    bench = Bench()
    bench.claims = [Claim("csms", 16)]
    assert bench.settles() == [16]
    bench.claims = [Claim("csms", 10)]
    assert bench.settles(1) == [10]
    assert [type(e) for e in bench.effects if isinstance(e, MakeSafe | Energise)] == [MakeSafe]
    bench.claims = [Claim("csms", 20)]
    assert bench.settles(1) == [10]
    assert bench.durable.timers.at("evse1.raise") == 105_000
    assert bench.settles(4) == [20]
    assert [e.command for e in bench.effects if isinstance(e, Energise)] == [Offer(1, bench.step, 20.0)]


def test_a_lapsed_claim_becomes_its_own_fallback_never_no_limit() -> None:
    bench = Bench()
    bench.claims = [Claim("external", 16, until_ms=110_000, fallback=8)]
    assert bench.settles() == [16]
    told = bench.limits.verdicts[1].explain()[0]
    assert told == {"owner": "external", "amps": 16, "why": "", "until_ms": 110_000, "then": 8}
    assert bench.settles(20) == [8]
    assert bench.limits.verdicts[1].explain()[0] == {"owner": "external", "amps": 8, "why": ""}


def test_a_permission_carries_the_limit_of_the_moment() -> None:
    bench = Bench()
    bench.evses[1].contactor.state = "armed"
    bench.claims = [Claim("csms", 13.37)]
    bench.settles()
    assert [e.command for e in bench.effects if isinstance(e, Energise)] == [Permit(1, 1, 13.3, 3)]


def test_zero_pauses_and_a_limit_lets_it_go_on() -> None:
    """0 A is a pause: the session waits in `pausing`, and goes on by itself (bug 8)."""
    bench = Bench()
    bench.claims = [Claim("csms", 16)]
    bench.settles()
    bench.claims = [Claim("csms", 0)]
    assert bench.settles(10) == [0]
    assert bench.evses[1].session.state == "pausing"
    bench.claims = [Claim("csms", 16)]
    assert bench.settles(6) == [16]
    assert bench.evses[1].session.state == "powered"


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=80), st.floats(min_value=0, max_value=15)), max_size=20))
def test_a_shared_limit_is_never_exceeded_even_while_evs_still_follow_older_values(
    steps: list[tuple[float, float]],
) -> None:
    """Two EVs may each follow for up to 5 s what they were offered before; the sum of both must stay below."""
    bench = Bench(evses=2)
    budget, history = 80.0, [(0, [0.0, 0.0])]
    bench.shared = [Shared("installation", budget)]
    for amps, wait_s in steps:
        bench.claims = [Claim("csms", amps)]
        history.append((bench.ms + round(wait_s * 1000), bench.settles(wait_s)))
        recent = [offers for at, offers in history if at > bench.ms - 5000]
        assert sum(max(offers[i] for offers in recent) for i in (0, 1)) <= budget


def test_a_shared_limit_is_split_fairly_and_stably() -> None:
    bench = Bench(evses=2)
    bench.evses[2].contactor.state, bench.evses[2].session.state = "open", "idle"
    bench.shared = [Shared("installation", 20)]
    assert bench.settles() == [20, 0]
    bench.evses[2].authorization, bench.evses[2].session.state = Authorization(Token("1", "Local"), CAUSE), "ready"
    assert bench.settles(1) == [10, 0], "the newcomer waits until the other has followed"
    assert bench.durable.timers.at("limits.share") == bench.ms + REACTION_MS
    assert bench.settles(11) == [10, 10]
    assert bench.settles(60) == [10, 10]


def test_why_names_the_winner_first() -> None:
    bench = Bench()
    bench.claims = [Claim("csms", 10, why="profile 7")]
    bench.settles()
    assert bench.limits.verdicts[1].explain()[0] == {"owner": "csms", "amps": 10, "why": "profile 7"}
