"""Random but repeatable stories: drivers, cars, the CSMS and everything that goes wrong, drawn from one seed.

A plan is data: it can be printed, saved as a trace, cut down and told again. Telling it lets it happen, lets all
faults end, gives the final judgement, and then sees whether everybody can charge again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from agent.core.events import LimitReleased
from tests.sim import asks, faults, phase_faults, visits
from tests.sim.firmware import Slots
from tests.sim.happenings import VERBS, Scene
from tests.sim.outlet import Outlet, OutletSpec, raw, smart, switching
from tests.sim.world import World

DAYS = 7
DAY_S = 86_400.0
BUSY_S = 3_600.0
"""The part of a day in which things happen close together; the rest of it is quiet."""
FAULT_EVERY_S = 400.0
CROWDED_S = 120.0
"""Between faults in the short stories of the ordinary tests."""
QUIET_FAULT_EVERY_S = 6 * 3600.0
OVERNIGHT = 0.3
LIFE_SAMPLES = ("30", "300", "900", "900")
"""TxUpdatedInterval of the long lives: a night of samples shows nothing that an hour of them does not."""
PROBE_WITHIN_S = 240.0
REDIAL_MOST_S = 1_200.0
"""The longest wait for another attempt to connect, and the attempt."""
LEAST_AMPS = 5.9
UPDATES = 0.25
"""The share of stories with a firmware update."""
SCHEDULED = 0.5
"""The share of stories with charging profiles of every kind, and the seconds between them."""
SCHEDULE_EVERY_S = 300.0
SIGNED = 0.25
"""The share of stories in which the meters sign."""
BEGUN_BY_SIGNING = 0.3
"""The share of these in which the signed begin value starts the transaction."""
BAYS = 0.125
"""The share of stories at bays with a detector."""
BAY = "ParkingBayOccupancy"
BAY_POINTS = {
    "TxCtrlr.TxStartPoint": (BAY, f"{BAY},Authorized", "PowerPathClosed"),
    "TxCtrlr.TxStopPoint": (BAY, f"{BAY},Authorized", f"{BAY},EVConnected"),
}
RARELY = 0.2
"""The share of stories with two connectors, and with each of these:"""
RARE: Mapping[str, tuple[str, ...]] = {
    "TxCtrlr.TxStopPoint": ("PowerPathClosed", "EnergyTransfer", "EVConnected,Authorized,EnergyTransfer"),
    "TxCtrlr.EVConnectionTimeOut": ("10", "30"),
    "TxCtrlr.StopTxOnEVSideDisconnect": ("false",),
    "TxCtrlr.StopTxOnInvalidId": ("false",),
    "OCPPCommCtrlr.MessageAttempts[TransactionEvent]": ("5", "10"),
    "SampledDataCtrlr.TxEndedInterval": ("60", "300"),
    "AlignedDataCtrlr.Interval": ("60", "900"),
    "AlignedDataCtrlr.TxEndedInterval": ("300",),
    "RecoveryCtrlr.ResumeTransactionsOnBoot": ("false",),
    "RecoveryCtrlr.ResumeTimeout": ("0", "20", "3600"),
    "RecoveryCtrlr.StaggerRandomRange": ("20",),
    "FallbackCtrlr.ProfileExpiredLimit": ("0", "8"),
    "FallbackCtrlr.Mode": ("Reduce", "Pause"),
}
CALM = " --calm"
"""What a story without faults adds to the options that draw it."""
UPDATE_MOST_MIN = 30
"""How long a firmware update may take once nobody charges any more: it may be taken back."""
SITES: tuple[tuple[OutletSpec, ...], ...] = (
    (raw(32),),
    (smart(16),),
    (smart(16), raw(32)),
    (raw(16), raw(16, cable="socket")),
    (raw(16, phases=1),),
    (switching(),),
    (switching("smart", 16), switching("raw", 32, "socket")),
)
assert asks.QUESTIONS and phase_faults.ASK and faults.LONGEST_S  # their verbs are declared by importing them


@dataclass(frozen=True)
class Plan:
    """All there is to know of a story before it is told."""

    seed: int
    site: tuple[OutletSpec, ...]
    keys: Mapping[str, str]
    hours: float
    scenes: tuple[Scene, ...]
    heartbeat_s: int = 300
    on_file: bool = False
    """The real journal's file lies below the simulated flash."""
    merged: bool = False
    """Readings that nothing can depend on are left out (tests/sim/meter.py)."""
    drawn_by: str = ""
    """The options with which pytest draws and tells it again; none when it is not as it was drawn."""

    def __str__(self) -> str:
        return "\n".join(map(str, self.scenes))

    @property
    def faults(self) -> tuple[Scene, ...]:
        """Its scenes that no ordinary visit has."""
        return tuple(scene for scene in self.scenes if VERBS[scene.verb].weight)

    def with_scenes(self, scenes: Iterable[Scene]) -> Plan:
        """The same with only these."""
        return replace(self, scenes=tuple(scenes), drawn_by="")

    @property
    def again(self) -> str:
        """The command that tells it again."""
        return f"pytest tests/world/test_seed.py {self.drawn_by} -s" if self.drawn_by else "(no seed tells it again)"

    def save(self, path: Path, invariant: str) -> None:
        """Write it as a trace that tests/world/test_traces.py tells again; `invariant` is what it once broke."""
        scenes = [[scene.at_s, scene.verb, dict(scene.args)] for scene in self.scenes]
        data = {"broke": invariant, **asdict(self), "scenes": scenes}
        del data["drawn_by"]
        lines = ",\n".join(f"  {json.dumps(scene)}" for scene in data.pop("scenes"))
        head = json.dumps(data, indent=1).rstrip("}\n")
        path.write_text(f'{head},\n "scenes": [\n{lines}\n ]\n}}\n')

    @classmethod
    def load(cls, path: Path) -> Plan:
        """A saved one."""
        data = json.loads(path.read_text())
        data.pop("broke")
        site = tuple(OutletSpec(**spec) for spec in data.pop("site"))
        scenes = tuple(Scene(at_s, verb, args) for at_s, verb, args in data.pop("scenes"))
        return cls(site=site, scenes=scenes, **data)


@dataclass
class Story:
    """A plan and the world in which it is told; the world can be looked at afterwards."""

    plan: Plan
    world: World = field(init=False)

    def __post_init__(self) -> None:
        plan = self.plan
        self.world = World(plan.site, seed=plan.seed, keys=plan.keys, on_file=plan.on_file)
        self.slots = Slots(self.world)
        self.world.csms.blocked_tokens.add(visits.BLOCKED)
        self.world.csms.boot_interval = self.world.csms.usual_interval = plan.heartbeat_s
        if plan.merged:
            self.world.hardware.merges_readings(idle_ms=900_000, plugged_ms=60_000)

    def tell(self) -> World:
        """Let it happen, then the final judgement."""
        world = self.world
        for scene in self.plan.scenes:
            world.timeline.at(round(scene.at_s * 1000), _bound(scene, world))
        world.runs(hours=self.plan.hours)
        world.runs(seconds=faults.LONGEST_S)
        world.settles()
        self._probe()
        return world

    def verdict(self) -> str:
        """Tell it; "" when everything holds, else what broke (an invariant, or the station itself) and its command."""
        broken = self._broken()
        return broken and f"{broken}\n{self.plan.again}"

    def _broken(self) -> str:
        world = self.world
        try:
            self.tell()
        except AssertionError as broken:
            text = str(broken)
            return text if text.startswith("seed") else f"seed {world.seed}, step {world.step}: {text}"
        except Exception as bug:  # a bug of the station ends its process; here it ends the story
            return f"seed {world.seed}, step {world.step}, {world.now_ms / 1000:.3f} s: the station broke: {bug!r}"
        return next((text for _, _, topic, text in world.notes if topic == "bug"), "")

    def _probe(self) -> None:
        """Everything is well again, so everybody can charge: nothing is stuck for ever."""
        world = self.world
        self._after_updates()
        world.until(lambda: world.csms.connection is not None, within_s=REDIAL_MOST_S, what="the link is back")
        for purpose in (asks.MAX, asks.DEFAULT):
            asks.csms_clears_limits(world, purpose)
        world.hear(LimitReleased("EMS", 0))
        for evse in world.outlets:
            asks.csms_changes_availability(world, evse, "Operative")
            if world.outlets[evse].spec.switches:
                world.asks_station("phase", evse=evse, phases="auto")
        world.runs(seconds=30)
        for evse, outlet in world.outlets.items():
            world.ev(evse).leaves().after(seconds=5).plugs_in(cable_amps=32.0).after(seconds=3).presents("04FEED")
            what = f"EVSE {evse} charges when all is well again"
            world.until(partial(_flows, outlet), within_s=PROBE_WITHIN_S, what=what)
            world.ev(evse).presents("04FEED").after(seconds=12).unplugs()
            world.runs(seconds=30)
        world.settles()
        told, kept = world.asks_station("status")["queue"]["set_aside"], len(world.disk.stored("set_aside"))
        assert told == kept, f"{kept} events are set aside on flash, {told} are told of"

    def _after_updates(self) -> None:
        """A firmware update that waited has its way now, and may be taken back."""
        for _ in range(UPDATE_MOST_MIN):
            if self.world.station is not None and self.world.asks_station("fw.status")["state"] == "idle":
                return
            self.world.runs(minutes=1)
        raise AssertionError("a firmware update never ends")


def _flows(outlet: Outlet) -> bool:
    return outlet.amps >= LEAST_AMPS


def _bound(scene: Scene, world: World) -> Any:
    return lambda: scene.happens(world)


# -------------------------------------------------- drawing


def random_story(seed: int, *, hours: float = 0.5, faults: bool = True) -> Story:
    """A busy half hour in which fault follows on fault, not yet told."""
    rng = Random(f"story {seed}")
    site, keys = rng.choice(SITES), _keys(rng)
    scenes = _busy(rng, site, 0.0, hours * 3600, CROWDED_S if faults else 0.0)
    plan = _plan(rng, seed, site, keys, hours, scenes, on_file=rng.random() < 0.15)
    drawn_by = f"--seed {seed} --hours {hours}{'' if faults else CALM}"
    return Story(replace(plan, merged=rng.random() < 0.8, drawn_by=drawn_by))


def random_life(seed: int, *, days: int = DAYS) -> Story:
    """Days with a busy part and a quiet rest: what the long runs are made of."""
    rng = Random(f"life {seed}")
    site, keys = rng.choice(SITES), _keys(rng) | {"SampledDataCtrlr.TxUpdatedInterval": rng.choice(LIFE_SAMPLES)}
    scenes: list[Scene] = []
    for day in range(days):
        begin = day * DAY_S + rng.uniform(0, DAY_S - BUSY_S)
        scenes += _busy(rng, site, begin, begin + BUSY_S, FAULT_EVERY_S)
        scenes += _quiet(rng, site, day * DAY_S)
    plan = _plan(rng, seed, site, keys, days * 24.0, scenes, on_file=rng.random() < 0.15)
    heartbeat_s = rng.choice((300, 900, 3600, 3600))
    return Story(replace(plan, merged=True, heartbeat_s=heartbeat_s, drawn_by=f"--seed {seed} --days {days}"))


def _plan(
    rng: Random, seed: int, site: tuple[OutletSpec, ...], keys: dict[str, str], hours: float,
    scenes: Iterable[Scene], *, on_file: bool,
) -> Plan:  # fmt: skip
    scenes = [*scenes, *_updates(seed, hours * 3600), *_schedules(seed, len(site), hours)]
    site, keys = _signed(seed, site, keys)
    site, keys, scenes = _varied(seed, site, keys, scenes)
    site, keys, scenes = _in_bays(seed, site, keys, scenes)
    kept = sorted((scene for scene in scenes if scene.at_s < hours * 3600), key=lambda scene: scene.at_s)
    return Plan(seed, site, keys, hours, tuple(kept), on_file=on_file)


def _updates(seed: int, until_s: float) -> list[Scene]:
    """In some stories a firmware update is asked for; drawn apart from all else."""
    rng = Random(f"update {seed}")
    if rng.random() > UPDATES:
        return []
    update = VERBS["csms updates the firmware"]
    return [Scene(rng.uniform(60, until_s - 300), update.name, update.drawn(rng, ()))]


def _schedules(seed: int, evses: int, hours: float) -> list[Scene]:
    """In some stories the CSMS sends profiles of every kind; drawn apart from all else."""
    rng = Random(f"schedules {seed}")
    if rng.random() > SCHEDULED:
        return []
    set_one, clear = VERBS["csms schedules limits"], VERBS["csms clears limits"]
    scenes: list[Scene] = []
    at, every_s = 0.0, SCHEDULE_EVERY_S if hours < 24 else QUIET_FAULT_EVERY_S
    while (at := at + rng.expovariate(1 / every_s)) < hours * 3600:
        verb = rng.choices((set_one, clear), (5, 1))[0]
        scenes.append(Scene(round(at, 3), verb.name, verb.drawn(rng, range(1, evses + 1))))
    return scenes


def _signed(
    seed: int, site: tuple[OutletSpec, ...], keys: dict[str, str]
) -> tuple[tuple[OutletSpec, ...], dict[str, str]]:
    """In some stories the meters sign; drawn apart from all else."""
    rng = Random(f"signed {seed}")
    if rng.random() > SIGNED:
        return site, keys
    signing = {
        "SampledDataCtrlr.SignReadings": "true",
        "SampledDataCtrlr.SignStartedReadings": rng.choice(("true", "false")),
        "SampledDataCtrlr.SignUpdatedReadings": rng.choice(("true", "false")),
        "OCPPCommCtrlr.PublicKeyWithSignedMeterValue": rng.choice(("Never", "OncePerTransaction", "EveryMeterValue")),
    }
    if rng.random() < BEGUN_BY_SIGNING:
        signing["TxCtrlr.TxStartPoint"] = "DataSigned"
    return tuple(replace(spec, signs=True) for spec in site), {**keys, **signing}


def _varied(
    seed: int, site: tuple[OutletSpec, ...], keys: dict[str, str], scenes: Iterable[Scene]
) -> tuple[tuple[OutletSpec, ...], dict[str, str], list[Scene]]:
    """In some stories what few sites have: two connectors on an EVSE, and rare values of keys; drawn apart from all
    else."""
    rng = Random(f"variety {seed}")
    rare = {name: rng.choice(values) for name, values in RARE.items() if rng.random() < RARELY}
    if rng.random() > RARELY or len(site) > 1 or site[0].kind == "smart":
        return site, {**keys, **rare}, list(scenes)
    more = replace(site[0], more=(rng.choice(("fixed", "socket")),))
    return (more,), {**keys, **rare}, [_at_any_connector(rng, scene) for scene in scenes]


def _in_bays(
    seed: int, site: tuple[OutletSpec, ...], keys: dict[str, str], scenes: list[Scene]
) -> tuple[tuple[OutletSpec, ...], dict[str, str], list[Scene]]:
    """In some stories bays have detectors, and vehicles come and go; drawn apart from all else."""
    rng = Random(f"bays {seed}")
    if rng.random() > BAYS:
        return site, keys, scenes
    points = {name: rng.choice(values) for name, values in BAY_POINTS.items()}
    parking = [parked for scene in scenes if (parked := _parked(rng, scene)) is not None]
    return tuple(replace(spec, bay_detector=True) for spec in site), {**keys, **points}, [*scenes, *parking]


def _parked(rng: Random, scene: Scene) -> Scene | None:
    """Who plugs in has come before, mostly; who unplugs drives off soon."""
    if scene.verb not in ("plugs in", "unplugs"):
        return None
    comes = scene.verb == "plugs in"
    at_s = scene.at_s + (rng.uniform(-60, 1) if comes else rng.uniform(1, 60))
    return Scene(round(max(0.0, at_s), 3), "parks", {"evse": scene.args["evse"], "there": comes})


def _at_any_connector(rng: Random, scene: Scene) -> Scene:
    if scene.verb != "plugs in":
        return scene
    return replace(scene, args={**scene.args, "connector": rng.choice((1, 2))})


def _busy(rng: Random, site: tuple[OutletSpec, ...], from_s: float, until_s: float, every_s: float) -> list[Scene]:
    """Visitors at every EVSE, and a fault each `every_s` on average (0: none)."""
    evses = range(1, len(site) + 1)
    scenes: list[Scene] = []
    for evse in evses:
        at = from_s + rng.uniform(15, 300)
        while at < until_s - 600:
            scenes += (visit := visits.visit(rng, evse, at))
            at = visit[-1].at_s + rng.expovariate(1 / 600) + 5
    return scenes + (_mishaps(rng, evses, from_s, until_s - 300, every_s) if every_s else [])


def _quiet(rng: Random, site: tuple[OutletSpec, ...], from_s: float) -> list[Scene]:
    evses = range(1, len(site) + 1)
    scenes = _mishaps(rng, evses, from_s, from_s + DAY_S, QUIET_FAULT_EVERY_S)
    if rng.random() < OVERNIGHT:
        scenes += visits.visit(rng, rng.choice(evses), from_s + rng.uniform(0, DAY_S), overnight=True)
    return scenes


def _mishaps(rng: Random, evses: range, from_s: float, until_s: float, every_s: float) -> list[Scene]:
    drawn = [verb for verb in VERBS.values() if verb.weight]
    weights = [verb.weight for verb in drawn]
    scenes: list[Scene] = []
    at = from_s
    while (at := at + rng.expovariate(1 / every_s)) < until_s:
        verb = rng.choices(drawn, weights)[0]
        scenes.append(Scene(round(at, 3), verb.name, verb.drawn(rng, evses)))
    return scenes


def _keys(rng: Random) -> dict[str, str]:
    return {
        "SampledDataCtrlr.TxUpdatedInterval": rng.choice(("15", "60", "60", "300")),
        "AuthCtrlr.OfflineTxForUnknownIdEnabled": rng.choice(("true", "false")),
        "TxCtrlr.TxStartPoint": rng.choice(("PowerPathClosed", "Authorized", "EVConnected", "EnergyTransfer")),
        "TxCtrlr.TxStopPoint": rng.choice(("EVConnected,Authorized", "EVConnected", "Authorized")),
        "OCPPCommCtrlr.RetryBackOffWaitMinimum": rng.choice(("2", "10")),
        "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]": rng.choice(("5", "20")),
        "OCPPCommCtrlr.WebSocketPingInterval": rng.choice(("10", "60")),
        "FallbackCtrlr.OfflineGrace": rng.choice(("30", "300")),
        "PhaseSwitchCtrlr.Mode": rng.choice(("Never", "OneWay", "Both", "Both")),
        "PhaseSwitchCtrlr.MinDwell": rng.choice(("60", "60", "600")),
        "PhaseSwitchCtrlr.MaxPerSession": rng.choice(("0", "2", "6")),
        "PhaseSwitchCtrlr.MinimumTime[Up]": rng.choice(("5", "60")),
        "PhaseSwitchCtrlr.PauseTime": rng.choice(("2", "10")),
    }
