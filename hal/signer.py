"""Has a meter sign readings, and passes on what it wrote without one byte changed (J.2).

The registers are data (`[signing]` of the profile): what identifies the customer and the time are written first, a
status starts the meter's work and tells when it is done, then the container is read as the bytes that it is.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

from hal.bus import BusError, Priority
from hal.device import Clock, Device
from hal.ports import Emit, MeterSigned, Refused, SignMeter
from hal.profile import Moment, Signing
from hal.registers import bytes_of, words_of

POLL_S = 0.1
"""Between two looks at the status."""
CLOCK_OFF_S = 5
"""A clock that is so far off is set; one that was never set is further."""
HOUR_MS = 3_600_000
LEFT_ALONE = "the meter does not sign: "


class Signer:
    """One reading after the other, in the order in which they were asked for."""

    def __init__(self, evse: int, device: Device, signing: Signing, emit: Emit, clock: Clock) -> None:
        self._evse, self._device, self._signing = evse, device, signing
        self._emit, self._clock = emit, clock
        self._asked: asyncio.Queue[tuple[SignMeter, int]] = asyncio.Queue()
        self._customer: str | None = None
        self._key = ""
        self._clock_set_ms: int | None = None

    def ask(self, command: SignMeter) -> None:
        """Have the meter sign; MeterSigned or Refused comes back."""
        self._asked.put_nowait((command, self._clock()))

    async def run(self) -> None:
        """Serve for ever; what nobody waits for any more is left out."""
        while True:
            command, at_ms = await self._asked.get()
            if self._clock() - at_ms > self._signing.within_ms:
                continue
            try:
                await self._sign(command)
            except (BusError, ValueError) as error:
                self._emit(Refused(self._evse, command.step, "signmeter", LEFT_ALONE + str(error)))

    async def _sign(self, command: SignMeter) -> None:
        """Raises a BusError, or ValueError when the meter says that it cannot."""
        moment = self._signing.moments[command.moment]
        await self._prepare(command)
        await self._device.write(moment.status, Decimal(self._signing.start))
        done_ms = await self._done(moment)
        energy_wh = await self._energy(moment)
        data = (await self._bytes(moment.text)).split(b"\0")[0]
        self._emit(MeterSigned(
            self._evse, command.step, command.moment, done_ms, energy_wh, data.decode("utf-8"),
            self._signing.encoding, self._signing.method, await self._public_key(),
        ))  # fmt: skip

    async def _prepare(self, command: SignMeter) -> None:
        """Whose reading it is, and what time it is."""
        if command.token != self._customer:
            size = self._device.profile.points[self._signing.customer].encoding.size
            await self._device.write_words(self._signing.customer, words_of(command.token.encode(), size))
            self._customer = command.token
        if command.utc_ms is not None:
            await self._set_clock(command.utc_ms)

    async def _set_clock(self, utc_ms: int) -> None:
        """Only when it is due: each setting is logged by the meter and wears it."""
        shown, now = await self._device.read(self._signing.clock, Priority.POLL), utc_ms // 1000
        off = not isinstance(shown, Decimal) or abs(int(shown) - now) > CLOCK_OFF_S
        every_ms = self._signing.clock_every_h * HOUR_MS
        old = self._clock_set_ms is not None and self._clock() - self._clock_set_ms > every_ms
        if off or old:
            await self._device.write_words(self._signing.clock, [now >> 16, now & 0xFFFF, 0])
        if off or old or self._clock_set_ms is None:
            self._clock_set_ms = self._clock()

    async def _done(self, moment: Moment) -> int:
        """Wait until the reading is there; the moment at which it was."""
        until_ms = self._clock() + self._signing.within_ms
        while (status := await self._device.read(moment.status, Priority.POLL)) == self._signing.start:
            if self._clock() > until_ms:
                raise ValueError("it does not come to an end")
            await asyncio.sleep(POLL_S)
        if status != self._signing.done:
            raise ValueError(f"status {status}")
        return self._clock()

    async def _energy(self, moment: Moment) -> Decimal:
        span = moment.energy
        values = span.decode(await self._device.read_words(span.fc, span.address, span.count))
        found = next(values[p.name] for p in span.points if p.quantity == "energy_import_wh")
        if not isinstance(found, Decimal):
            raise ValueError("no energy in what it signed")
        return found

    async def _bytes(self, name: str) -> bytes:
        """A point as the bytes that its registers are."""
        point = self._device.profile.points[name]
        return bytes_of(await self._device.read_words(point.fc, point.address, point.encoding.size))

    async def _public_key(self) -> str:
        """As the OCA's application note wants it; it is read once."""
        if not self._key:
            der = await self._bytes(self._signing.key)
            self._key = f"oca:base16:asn1:{der[: 2 + der[1]].hex().upper()}" if der[:1] == b"0" else ""
        return self._key
