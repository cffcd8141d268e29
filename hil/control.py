"""The bench's HTTP/JSON control API: verbs are checked at once, queued, run in order (hil/README.md)."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from hil.csms.http import HttpError, Route, serve_json
from hil.cutter import Address
from hil.instruments.ev import CarModel
from hil.rig import Rig

Args = Mapping[str, Any]
MOST_WAITING = 1000
KEPT_VERBS = 1000


@dataclass(frozen=True)
class Field:
    """One name in the body of a verb: what is expected, for people and for the check."""

    expected: str
    fits: Callable[[Any], bool]
    required: bool = False


def number(low: float, high: float) -> Field:
    """A number from `low` to `high`."""
    return Field(
        f"a number from {low:g} to {high:g}",
        lambda v: isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= high,
    )


def choice(*values: Any) -> Field:
    """One of a few values."""
    shown = ", ".join(repr(v) for v in values)
    return Field(f"one of {shown}", lambda v: any(v == known and type(v) is type(known) for known in values))


def needed(field_: Field) -> Field:
    """The same field, but it must be there."""
    return Field(field_.expected, field_.fits, required=True)


def is_uid(value: Any) -> bool:
    """4, 7, 8 or 10 bytes in hex."""
    digits = isinstance(value, str) and set(value) <= set("0123456789abcdefABCDEF")
    return digits and len(value) in (8, 14, 16, 20)


DELAY = number(0, 3600)
UID = Field("a UID of 8, 14, 16 or 20 hex digits", is_uid, required=True)
EVSES = Field(
    "a list of EVSE numbers", lambda v: isinstance(v, list) and len(v) > 0 and all(type(n) is int for n in v)
)
CAR = {f.name: f for f in fields(CarModel)}
CAR_FIELDS = Field(
    f"an object with some of {', '.join(CAR)}, of the right types",
    lambda v: (
        isinstance(v, dict) and all(name in CAR and _fits_car(name, value) for name, value in v.items())
    ),
)


def _fits_car(name: str, value: Any) -> bool:
    if isinstance(CAR[name].default, bool):
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


@dataclass(frozen=True)
class Verb:
    """What a POST does: its fields and the act, which may be a coroutine."""

    fields: Mapping[str, Field]
    act: Callable[[Rig, Args], Awaitable[object] | object]


@dataclass
class Ticket:
    """A verb on its way."""

    id: int
    verb: str
    args: Args
    state: Literal["queued", "running", "done", "failed"] = "queued"
    error: str | None = None


def _plug(rig: Rig, args: Args) -> None:
    car = dict(args.get("car", {}))
    car |= {name: args[key] for key, name in (("amps", "max_amps"), ("phases", "phases")) if key in args}
    rig.plug(args["evse"], args.get("connector", 1), **car)


def _present(rig: Rig, args: Args) -> None:
    rig.present(args["value"], next(iter(args.get("evses", [])), None), args.get("reader"))


def verbs_for(rig: Rig) -> dict[str, Verb]:
    """The verbs, with fields that know what this bench has."""
    evse = needed(choice(*rig.outlets))
    device = {"device": needed(choice(*rig.devices()))}
    reader = choice(*rig.readers) if rig.readers else choice("")
    fault = {"evse": evse, "code": Field("the code of a fault", lambda v: isinstance(v, str), required=True)}
    connectors = sorted({number for outlet in rig.outlets.values() for number in outlet.cars})
    car = {"evse": evse, "connector": choice(*connectors)}
    plug = {**car, "amps": number(0, 80), "phases": choice(1, 2, 3), "car": CAR_FIELDS}
    token = {"value": UID, "type": choice("ISO14443", "ISO15693"), "evses": EVSES, "reader": reader}
    return {
        "ev/plug": Verb(plug, _plug),
        "ev/unplug": Verb(car, lambda r, a: r.unplug(a["evse"], a.get("connector"))),
        "ev/pause": Verb(car, lambda r, a: r.pause(a["evse"], True, a.get("connector"))),
        "ev/resume": Verb(car, lambda r, a: r.pause(a["evse"], False, a.get("connector"))),
        "token/present": Verb(token, _present),
        "fault/raise": Verb(fault, lambda r, a: r.raise_fault(a["evse"], a["code"])),
        "fault/clear": Verb(fault, lambda r, a: r.raise_fault(a["evse"], a["code"], False)),
        "link/cut": Verb(
            {"how": choice("cut", "blackhole")},
            lambda r, a: r.cutter.blackhole() if a.get("how") == "blackhole" else r.cutter.cut(),
        ),
        "link/restore": Verb({}, lambda r, a: r.cutter.restore()),
        "power/cut": Verb({}, lambda r, a: r.power_cut()),
        "power/restore": Verb({}, lambda r, a: r.power_restore()),
        "device/mute": Verb(device, lambda r, a: r.ail(a["device"], "mute")),
        "device/garble": Verb(device, lambda r, a: r.ail(a["device"], "garble")),
        "device/freeze": Verb(device, lambda r, a: r.ail(a["device"], "freeze")),
        "device/heal": Verb(device, lambda r, a: r.ail(a["device"], "heal")),
        "agent/start": Verb({}, lambda r, a: r.start_agent()),
        "agent/stop": Verb({}, lambda r, a: r.agent.terminate()),
        "agent/kill": Verb({}, lambda r, a: r.agent.kill()),
        "agent/freeze": Verb({}, lambda r, a: r.agent.freeze()),
        "agent/thaw": Verb({}, lambda r, a: r.agent.thaw()),
    }


@dataclass
class Control:
    """The API over one rig. `open` listens, `close` stops; verbs still queued are dropped then."""

    rig: Rig
    tickets: OrderedDict[int, Ticket] = field(default_factory=OrderedDict)
    _waiting: asyncio.Queue[Ticket] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _server: asyncio.Server | None = None
    _worker: asyncio.Task[None] | None = None

    async def open(self, address: Address) -> Address:
        """Listen; returns the address with the real port."""
        self._verbs = verbs_for(self.rig)
        self._routes: dict[str, Route] = {
            "GET /": self._index, "GET /health": self._health, "GET /state": self._state,
            "GET /history": self._history, "GET /verbs": self._all,
        }  # fmt: skip
        for name, verb in self._verbs.items():
            self._routes[f"POST /{name}"] = self._taker(name, verb)
        self._worker = asyncio.create_task(self._work(), name="verbs")
        self._server = await serve_json(self._routes, address.host, address.port)
        return Address(address.host, self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and working."""
        if self._server is not None:
            self._server.close()
        if self._worker is not None:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker

    # ------------------------------------------------------------------------------------------ reading

    async def _index(self, query: Mapping[str, str], body: Args) -> Any:
        fields_ = {
            f"/{name}": {field_: rule.expected for field_, rule in verb.fields.items()}
            for name, verb in self._verbs.items()
        }
        return {"get": sorted(r for r in self._routes if r.startswith("GET /")), "post": fields_}

    async def _health(self, query: Mapping[str, str], body: Args) -> Any:
        return {"ok": True, "powered": self.rig.powered, "agent": self.rig.agent.running}

    async def _state(self, query: Mapping[str, str], body: Args) -> Any:
        return self.rig.describe()

    async def _history(self, query: Mapping[str, str], body: Args) -> Any:
        return [asdict(sample) for sample in self.rig.since(float(query.get("since", 0)))]

    async def _all(self, query: Mapping[str, str], body: Args) -> Any:
        return [asdict(ticket) for ticket in self.tickets.values()]

    # ------------------------------------------------------------------------------------------ verbs

    def _taker(self, name: str, verb: Verb) -> Route:
        async def take(query: Mapping[str, str], body: Args) -> Any:
            _check(name, verb, body)
            if name.startswith("fault/") and body["code"] not in self.rig.outlet(body["evse"]).faults_known:
                known = ", ".join(self.rig.outlet(body["evse"]).faults_known)
                raise HttpError(400, f"{name}: code is {body['code']!r}, expected one of {known}")
            return asdict(self._queue(Ticket(next(self._ids), name, dict(body))))

        return take

    def _queue(self, ticket: Ticket) -> Ticket:
        try:
            self._waiting.put_nowait(ticket)
        except asyncio.QueueFull:
            raise HttpError(409, f"{MOST_WAITING} verbs are waiting already") from None
        self.tickets[ticket.id] = ticket
        self._routes[f"GET /verbs/{ticket.id}"] = _teller(ticket)
        if len(self.tickets) > KEPT_VERBS + MOST_WAITING:
            oldest, _ = self.tickets.popitem(last=False)
            del self._routes[f"GET /verbs/{oldest}"]
        return ticket

    async def _work(self) -> None:
        while True:
            ticket = await self._waiting.get()
            ticket.state = "running"
            await asyncio.sleep(ticket.args.get("delay_s", 0))
            try:
                result = self._verbs[ticket.verb].act(self.rig, ticket.args)
                if inspect.isawaitable(result):
                    await result
            except (ValueError, OSError) as error:
                ticket.state, ticket.error = "failed", str(error)
            else:
                ticket.state = "done"


def _teller(ticket: Ticket) -> Route:
    async def tell(query: Mapping[str, str], body: Args) -> Any:
        return asdict(ticket)

    return tell


def _check(name: str, verb: Verb, body: Args) -> None:
    """Raises HttpError 400 that says what was found and what was expected."""
    known = {**verb.fields, "delay_s": DELAY}
    for key in body.keys() - known.keys():
        raise HttpError(400, f"{name}: unknown {key!r}, expected {', '.join(known)}")
    for key, rule in known.items():
        if key not in body:
            if rule.required:
                raise HttpError(400, f"{name}: {key} is missing, expected {rule.expected}")
        elif not rule.fits(body[key]):
            raise HttpError(400, f"{name}: {key} is {body[key]!r}, expected {rule.expected}")
