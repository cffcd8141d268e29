"""Random but repeatable stories: drivers, cars, the CSMS and everything that goes wrong, drawn from one seed.

`random_story(seed)` tells one of some simulated hours, lets all faults end, and gives the final judgement. Its plan
is readable, so that a failing seed can be cut down to the few lines that matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.sim.outlet import OutletSpec, raw, smart
from tests.sim.world import World

Act = Callable[[World, Random], None]
CARDS = ("04AABBCC", "04DDEEFF00", "0411223344556677")
BLOCKED = "DEADBEEF"
LONGEST_MISHAP_S = 1_260
SITES: tuple[tuple[OutletSpec, ...], ...] = (
    (raw(32),),
    (smart(16),),
    (smart(16), raw(32)),
    (raw(16), raw(16, cable="socket")),
    (raw(16, phases=1),),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that happens at `at_s` (s since the story's beginning)."""

    at_s: float
    what: str
    act: Callable[[World], None]


@dataclass
class Story:
    """A plan. `tell` lets it happen; `world` can be looked at afterwards."""

    seed: int
    hours: float
    faults: bool = True
    scenes: list[Scene] = field(default_factory=list)
    world: World = field(init=False)

    def __post_init__(self) -> None:
        rng = Random(f"story {self.seed}")
        keys = _keys(rng)
        self.world = World(rng.choice(SITES), seed=self.seed, keys=keys)
        self.world.csms.blocked_tokens.add(BLOCKED)
        for evse in self.world.outlets:
            self.scenes += _visitors(rng, evse, self.hours * 3600)
        if self.faults:
            self.scenes += _mishaps(rng, self.hours * 3600)
        self.scenes = [scene for scene in self.scenes if scene.at_s < self.hours * 3600]
        self.scenes.sort(key=lambda scene: scene.at_s)

    def tell(self) -> World:
        """Let it happen, then the final judgement."""
        for scene in self.scenes:
            self.world.timeline.at(round(scene.at_s * 1000), _bound(scene.act, self.world))
        self.world.runs(hours=self.hours)
        self.world.runs(minutes=LONGEST_MISHAP_S / 60)
        return self.world.settles()

    def plan(self) -> str:
        """The story, one scene a line."""
        return "\n".join(f"{scene.at_s:8.1f} s  {scene.what}" for scene in self.scenes)


def random_story(seed: int, *, hours: float = 2, faults: bool = True) -> Story:
    """The story of this seed, not yet told."""
    return Story(seed, hours, faults)


def _bound(act: Callable[[World], None], world: World) -> Callable[[], None]:
    return lambda: act(world)


def _keys(rng: Random) -> dict[str, str]:
    return {
        "SampledDataCtrlr.TxUpdatedInterval": rng.choice(("15", "60", "300")),
        "AuthCtrlr.OfflineTxForUnknownIdEnabled": rng.choice(("true", "false")),
        "TxCtrlr.TxStartPoint": rng.choice(("PowerPathClosed", "Authorized", "EVConnected", "EnergyTransfer")),
        "TxCtrlr.TxStopPoint": rng.choice(("EVConnected,Authorized", "EVConnected", "Authorized")),
        "OCPPCommCtrlr.RetryBackOffWaitMinimum": rng.choice(("2", "10")),
        "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]": rng.choice(("5", "20")),
        "OCPPCommCtrlr.WebSocketPingInterval": rng.choice(("10", "60")),
        "FallbackCtrlr.OfflineGrace": rng.choice(("30", "300")),
    }


# -------------------------------------------------- people


def _visitors(rng: Random, evse: int, until_s: float) -> list[Scene]:
    scenes: list[Scene] = []
    at = rng.uniform(15, 600)
    while at < until_s - 600:
        at = _visit(rng, evse, at, scenes)
        at += rng.expovariate(1 / 600) + 5
    return scenes


def _visit(rng: Random, evse: int, at: float, scenes: list[Scene]) -> float:
    """One driver comes, does what drivers do, and leaves; returns when the bay is free again."""
    card = rng.choice((*CARDS, *CARDS, BLOCKED))
    phases, amps = rng.choice((1, 2, 3)), rng.choice((6.0, 10.0, 16.0, 32.0))
    bad = frozenset({"keeps_s2"}) if rng.random() < 0.05 else frozenset()
    cable = rng.choice((13.0, 20.0, 32.0))

    def plug(world: World) -> None:
        world.ev(evse).plugs_in(phases=phases, amps=amps, cable_amps=cable, bad=bad)

    def add(after_s: float, what: str, act: Callable[[World], None]) -> None:
        nonlocal at
        at += after_s
        scenes.append(Scene(at, f"EVSE {evse}: {what}", act))

    def show(uid: str) -> Callable[[World], None]:
        return lambda world: void(world.ev(evse).presents(uid))

    arrival = [(f"plugs in {phases} phases {amps:.0f} A", plug), (f"presents {card}", show(card))]
    if rng.random() < 0.4:
        arrival.reverse()
    for what, act in arrival:
        add(rng.uniform(0.5, 20), what, act)
    if rng.random() < 0.15:
        add(rng.uniform(0.2, 6), f"presents {card} once more", show(card))
    for _ in range(rng.choice((0, 0, 1, 2))):
        add(rng.uniform(5, 600), "pauses", lambda world: void(world.ev(evse).pauses()))
        add(rng.uniform(1, 300), "resumes", lambda world: void(world.ev(evse).resumes()))
    add(rng.uniform(10, 1800), "stays", lambda world: None)
    if rng.random() < 0.6:
        add(1, f"presents {card} to stop", show(card))
    add(rng.uniform(0.1, 60), "unplugs", lambda world: void(world.ev(evse).unplugs()))
    return at


def void(_: object) -> None:
    """Forget what a fluent verb returns."""


# -------------------------------------------------- what goes wrong


def _mishaps(rng: Random, until_s: float) -> list[Scene]:
    scenes: list[Scene] = []
    at = 0.0
    while (at := at + rng.expovariate(1 / 400)) < until_s - 300:
        what, act = rng.choice(MISHAPS)
        scenes.append(Scene(at, what, _drawn(act, rng.getrandbits(32))))
    return scenes


def _drawn(act: Act, seed: int) -> Callable[[World], None]:
    return lambda world: act(world, Random(seed))


def _later(world: World, seconds: float, act: Callable[[], Any]) -> None:
    world.timeline.after(seconds * 1000, lambda: void(act()))


def _link_lost(world: World, rng: Random) -> None:
    world.csms.vanishes(half_open=rng.random() < 0.4)
    _later(world, rng.choice((0.5, 20, 200, 1200)), world.csms.returns)


def _slow_link(world: World, rng: Random) -> None:
    world.network.latency_ms = (200, 4000)
    _later(world, rng.uniform(20, 300), lambda: setattr(world.network, "latency_ms", (5, 60)))


def _csms_silent(world: World, rng: Random) -> None:
    world.csms.ignores(rng.choice(("*", "TransactionEvent", "Authorize")), rng.randint(1, 4), acts=rng.random() < 0.5)


def _csms_fails(world: World, rng: Random) -> None:
    code = rng.choice(("InternalError", "FormatViolation", "GenericError", "SomethingElse"))
    world.csms.fails(rng.choice(("*", "TransactionEvent", "Authorize")), rng.randint(1, 2), code)


def _csms_nonsense(world: World, rng: Random) -> None:
    world.judge.protocol.sloppy_csms = True
    world.csms.talks_nonsense(rng.choice(("*", "TransactionEvent", "Heartbeat")), rng.randint(1, 2))


def _csms_hesitates(world: World, rng: Random) -> None:
    world.csms.boots(rng.choice(("Pending", "Rejected")), rng.choice((0, 5, 60)))
    _later(world, rng.uniform(10, 300), lambda: world.csms.boots("Accepted"))


def _limits(world: World, rng: Random) -> None:
    amps = rng.choice((0.0, 5.9, 6.0, 8.5, 10.0, 16.0, 40.0))
    world.csms.sends("SetChargingProfile", station_maximum(amps))


def _asks(world: World, rng: Random) -> None:
    variable = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
    world.csms.sends(*rng.choice((
        ("GetVariables", {"getVariableData": [variable]}),
        ("SetVariables", {"setVariableData": [{**variable, "attributeValue": "60"}]}),
        ("TriggerMessage", {"requestedMessage": "Heartbeat"}),
        ("GetBaseReport", {"requestId": rng.randint(1, 99), "reportBase": "FullInventory"}),
        ("Frobnicate", {}),
    )))  # fmt: skip


def _remote_start(world: World, rng: Random) -> None:
    token = {"idToken": rng.choice(CARDS), "type": "ISO14443"}
    start = {"remoteStartId": rng.randint(1, 999), "idToken": token, "evseId": rng.choice(list(world.outlets))}
    world.csms.sends("RequestStartTransaction", start)


def _remote_stop(world: World, rng: Random) -> None:
    running = [t.id for t in world.csms.transactions.values() if not t.ended]
    world.csms.sends("RequestStopTransaction", {"transactionId": rng.choice([*running, "unknown"])})


def _power_cut(world: World, rng: Random) -> None:
    world.loses_power().returns_after(seconds=rng.choice((0.3, 5, 60, 400)))


def _killed(world: World, rng: Random) -> None:
    world.kills_agent().returns_after(seconds=rng.choice((0.5, 5, 60)))


def _restarted(world: World, rng: Random) -> None:
    world.stops_agent().returns_after(seconds=rng.choice((12, 60)))


def _frozen(world: World, rng: Random) -> None:
    world.freezes_agent().returns_after(seconds=rng.choice((0.5, 4, 60)))


def _cut_soon(world: World, rng: Random) -> None:
    world.cut_at, world.cut_for_s = world.boundaries + rng.randint(1, 60), rng.choice((2, 30))


def _meter_mute(world: World, rng: Random) -> None:
    world.judge.allow.add("energy")
    driver = world.hardware.drivers[rng.choice(list(world.outlets))]
    driver.mute = True
    _later(world, rng.choice((1, 20, 200)), lambda: setattr(driver, "mute", False))


def _disk_slow(world: World, rng: Random) -> None:
    world.disk.slow = rng.choice((5.0, 40.0))
    _later(world, rng.uniform(5, 100), lambda: setattr(world.disk, "slow", 1.0))


def _disk_full(world: World, rng: Random) -> None:
    world.disk.full = True
    _later(world, rng.choice((0.1, 3, 60)), lambda: setattr(world.disk, "full", False))


def _clock_steps(world: World, rng: Random) -> None:
    world.judge.allow.add("clock")
    world.clock.steps_by(rng.choice((-4000, -30, 2, 30, 90000)))


def station_maximum(amps: float) -> dict[str, Any]:
    """A SetChargingProfileRequest: the whole station may take this much, from the world's beginning on."""
    schedule = {
        "id": 1,
        "startSchedule": "2026-03-01T12:00:00Z",
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}],
    }
    profile = {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "ChargingStationMaxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
    }
    return {"evseId": 0, "chargingProfile": profile}


MISHAPS: tuple[tuple[str, Act], ...] = (
    ("the link is lost", _link_lost),
    ("the link is lost", _link_lost),
    ("the link is slow", _slow_link),
    ("the CSMS does not answer", _csms_silent),
    ("the CSMS fails", _csms_fails),
    ("the CSMS talks nonsense", _csms_nonsense),
    ("the CSMS hesitates to accept", _csms_hesitates),
    ("the CSMS sets a limit", _limits),
    ("the CSMS sets a limit", _limits),
    ("the CSMS asks something", _asks),
    ("the CSMS starts a transaction", _remote_start),
    ("the CSMS stops a transaction", _remote_stop),
    ("power cut", _power_cut),
    ("power cut within the next effects", _cut_soon),
    ("the agent is killed", _killed),
    ("the agent is frozen", _frozen),
    ("the agent is restarted", _restarted),
    ("a meter falls silent", _meter_mute),
    ("the disk is slow", _disk_slow),
    ("the disk is full", _disk_full),
    ("the clock is set", _clock_steps),
)
