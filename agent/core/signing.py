"""Signed meter values: asked for, waited for, and passed on byte for byte (J.2, E02.FR.14, J01.FR.21, J02.FR.21).

What is signed for is plain data: `begin` and `end` of a transaction, `periodic` and `clock` for a sample that an
Updated event has told without a signature, `series` for one that Ended will tell, `values` for MeterValues that wait
for their signature; `late series` is one of `series` that was signed too late to bear its moment. The public key goes
along when it is told, as often as the key says.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.metering import is_at, stamp
from agent.core.transaction import Transaction
from config_keys import aligned, comm, hardware, sampled, tx
from config_keys.key import Key
from hal.ports import MeterSigned, SignMeter

ENERGY = "Energy.Active.Import.Register"
CONTEXTS = {"begin": "Transaction.Begin", "end": "Transaction.End", "periodic": "Sample.Periodic"}
SIGNED_MS = 15_000
"""How long a meter may take to sign."""
SIGNATURE = 4
"""Where in the row of a signed value its container is."""

UPDATED = (sampled.SIGN_READINGS, sampled.SIGN_UPDATED_READINGS)
ALIGNED = (aligned.SIGN_READINGS,)
ALIGNED_UPDATED = (aligned.SIGN_READINGS, aligned.SIGN_UPDATED_READINGS)
"""What must be true for a signature on samples of Updated events, on aligned values, and on aligned ones of Updated."""

Value = dict[str, Any]


def signing_timer(evse_id: int) -> str:
    """Name of the deadline for what an EVSE's meter was asked to sign."""
    return f"evse{evse_id}.signing"


@dataclass(slots=True)
class _Asked:
    """One question to a meter: what its answer is for, and the plain value that it signs."""

    until_ms: int
    wants: list[tuple[str, Value]] = field(default_factory=list)


class Signing:
    """What each EVSE's meter was asked to sign, and the begin value of a session that has no transaction yet."""

    def __init__(self) -> None:
        self.able: set[int] = set()
        """EVSEs whose meter signs."""
        self._begun: set[int] = set()
        self._early: dict[int, Value] = {}
        self._asked: dict[tuple[int, int, str], _Asked] = {}
        """By EVSE, step of the question, and moment."""

    def wanted(self, cx: Context, evse: Evse, *keys: Key[bool]) -> bool:
        """SampledDataCtrlr.SignReadings, or all of `keys`, where the meter can."""
        return evse.id in self.able and all(cx.keys[key] for key in keys or (sampled.SIGN_READINGS,))

    def awaited(self, cx: Context, evse: Evse) -> bool:
        """TxStartPoint DataSigned: no energy before the begin value is there (E01.FR.04)."""
        return "DataSigned" in cx.keys[tx.TX_START_POINT] and self.wanted(cx, evse) and evse.id not in self._early

    # ---------------------------------------------------------------------------------------- asking

    def begin(self, cx: Context, evse: Evse) -> None:
        """Ask for the begin value, once a session, before any energy flows."""
        if self.wanted(cx, evse) and evse.id not in self._begun:
            self._begun.add(evse.id)
            self.ask(cx, evse, "begin")

    def ask(self, cx: Context, evse: Evse, purpose: str, plain: Value | None = None) -> None:
        """Ask the meter for a signed reading of now."""
        moment = purpose if purpose in ("begin", "end") else "now"
        asked = self._asked.setdefault((evse.id, cx.step, moment), _Asked(cx.ms + SIGNED_MS))
        if not asked.wants:
            transaction = evse.tx.id if evse.tx is not None else ""
            cx.energise(SignMeter(evse.id, cx.step, transaction, moment, _customer(evse), cx.utc()))
        asked.wants.append((purpose, plain or {}))
        if cx.timers.at(signing_timer(evse.id)) is None:
            cx.timers.set(signing_timer(evse.id), asked.until_ms)

    # ---------------------------------------------------------------------------------------- answers

    def arrived(self, cx: Context, evse: Evse, event: MeterSigned) -> list[tuple[str, Value]]:
        """A signed reading: the values that it makes, and what each is for; none when nobody waits for it."""
        asked = self._asked.pop((evse.id, event.step, event.moment), None)
        if asked is None:
            cx.note("meter", f"EVSE {evse.id}: a signed value that nothing waits for; ignored", "warning")
            return []
        if event.public_key:
            cx.keys.put(hardware.METER_PUBLIC_KEY, b64encode(event.public_key.encode()).decode(), evse.id)
        return [told for purpose, plain in asked.wants for told in _signed(cx, event, purpose, plain)]

    def given_up(self, cx: Context, evse: Evse) -> list[tuple[str, Value]]:
        """The meter has not signed in time: what for, and the plain values."""
        mine = {key: asked for key, asked in self._asked.items() if key[0] == evse.id}
        late = [key for key, asked in mine.items() if asked.until_ms <= cx.ms]
        left = [asked.until_ms for asked in mine.values() if asked.until_ms > cx.ms]
        if left:
            cx.timers.set(signing_timer(evse.id), min(left))
        wants = [want for key in late for want in self._asked.pop(key).wants]
        if any(purpose == "begin" for purpose, _ in wants):
            self._begun.discard(evse.id)
        return wants

    def keep_begin(self, evse: Evse, value: Value) -> None:
        """The begin value came before the transaction."""
        self._early[evse.id] = value

    def take_begin(self, evse: Evse) -> Value | None:
        """The begin value of the session, for the transaction that starts."""
        return self._early.pop(evse.id, None)

    def forget(self, evse: Evse) -> None:
        """The session is over: nothing of it counts for the next one."""
        self._begun.discard(evse.id)
        self._early.pop(evse.id, None)
        for key in [key for key in self._asked if key[0] == evse.id and key[2] != "now"]:
            del self._asked[key]

    # ---------------------------------------------------------------------------------------- telling

    def told(self, cx: Context, values: Iterable[Value], running: Transaction | None = None) -> list[Value]:
        """Values as they are told now: with the public key always, once a transaction, or never."""
        policy = cx.keys[comm.PUBLIC_KEY_WITH_SIGNED_METER_VALUE]
        return [{**v, "values": [_with_key(policy, row, running) for row in v["values"]]} for v in values]


def tells_key(values: Iterable[Value]) -> bool:
    """Whether a public key is told with one of these values."""
    return any(row[SIGNATURE]["key"] for value in values for row in value["values"] if len(row) > SIGNATURE)


def _customer(evse: Evse) -> str:
    """Whose energy it is: his whose transaction runs, also when he has just left; else his who may begin."""
    token = evse.tx.token if evse.tx is not None else None
    if token is None and evse.authorization is not None:
        token = evse.authorization.token
    return token.value if token is not None else ""


def _with_key(policy: str, row: list[Any], running: Transaction | None) -> list[Any]:
    """A row of a value as it is told."""
    if len(row) <= SIGNATURE or policy == "EveryMeterValue":
        return row
    if policy == "OncePerTransaction" and running is not None and not running.key_told:
        running.key_told = True
        return row
    return [*row[:SIGNATURE], {**row[SIGNATURE], "key": ""}]


def _signed(cx: Context, event: MeterSigned, purpose: str, plain: Value) -> list[tuple[str, Value]]:
    """The plain value with its energy signed, or a value of its own; the container is not touched.

    What was read too late for the plain value's moment bears its own, and the plain one is told as well (J01.FR.17).
    """
    signed = {"data": event.data, "encoding": event.encoding, "method": event.method, "key": event.public_key}
    row = [ENERGY, None, "Wh", f"{event.energy_wh:f}", signed]
    read = stamp(cx, event.mono_ms)
    if purpose in CONTEXTS:
        return [(purpose, {**read, "context": CONTEXTS[purpose], "values": [row]})]
    if not is_at(read, plain["utc"]):
        late = {**read, "context": plain["context"], "values": [row]}
        return [("values", plain), ("values", late)] if purpose == "values" else [(f"late {purpose}", late)]
    others = [r for r in plain["values"] if r[:2] != row[:2]] if purpose != "clock" else []
    return [(purpose, {**plain, "values": [row, *others]})]

