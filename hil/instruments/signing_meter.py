"""Bauer BSM-WS36A at register level: a SunSpec meter that signs what it shows, in OCMF.

Map and behaviour: chargeITmobility/bsm-python, doc/modbus and doc/examples (snapshots.md, ocmf.md, time.md). The key
is the bench's own, made anew for each meter; signatures are real and can be checked with it.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hil.instruments.meter import EnergyMeter
from hil.modbus import READ_HOLDING, IllegalAddress, IllegalValue

MOST_READ = 125
SERIAL_AT, EPOCH_AT, META_AT, META_WORDS, KEY_AT, KEY_WORDS = 40203, 40260, 40279, 70, 40449, 50
SNAPSHOTS = {40524: (41795, "C"), 41286: (43295, "B"), 41540: (43795, "E")}
"""Status register of a snapshot -> where its OCMF text stands, and what kind of reading it is."""
OCMF_WORDS = 496
VALID, INVALID, UPDATING = 0, 1, 2
LOOKS = 2
"""How often a status shows that the snapshot is still being made."""
PUT = {"A": -2, "V": -1, "Hz": -2, "W": 0, "Wh": 1}
"""Scale factors; the energy register has steps of 10 Wh."""


class BauerBsmWs36a(EnergyMeter):
    """`issued` keeps every text that it has signed, in order."""

    profile = "bauer-bsm-ws36a"

    def __init__(self, serial: int, import_kwh: float = 0.0, power_factor: float = 0.99) -> None:
        super().__init__(serial, import_kwh, power_factor)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.issued: list[str] = []
        self.epoch = 0
        """What its clock was set to last (seconds since 1970); 0 after power up."""
        self._meta = [0] * META_WORDS
        self._status = dict.fromkeys(SNAPSHOTS, INVALID)
        self._looks = 0
        self._texts: dict[int, list[int]] = {}
        self._energy: dict[int, int] = {}
        self._count = 0

    @property
    def public_key(self) -> bytes:
        """DER, as in RFC 5480."""
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def read(self, function: int, address: int, count: int) -> list[int]:
        """Holding registers only, at most 125; those that nothing is said of are 0."""
        if function != READ_HOLDING:
            raise IllegalAddress
        if count > MOST_READ:
            raise IllegalValue
        shown = self._registers(address)
        return [shown.get(at, 0) for at in range(address, address + count)]

    def write(self, address: int, values: list[int]) -> None:
        """The clock, the customer, and the status of a snapshot."""
        if address == EPOCH_AT and len(values) == 3:
            self.epoch = values[0] << 16 | values[1]
        elif address == META_AT and len(values) <= META_WORDS:
            self._meta[: len(values)] = values
        elif address in SNAPSHOTS and values == [UPDATING]:
            self._status[address], self._looks = UPDATING, LOOKS
        else:
            raise IllegalAddress

    # ------------------------------------------------------------------------------------------ registers

    def _shown(self) -> dict[int, int]:
        """The values of the AC meter (model 203)."""
        volts, amps, factor = self._mains.volts, self._amps, self.power_factor
        watts = [v * a * factor for v, a in zip(volts, amps, strict=True)]
        scales = {40096: PUT["A"], 40105: PUT["V"], 40107: PUT["Hz"], 40112: PUT["W"], 40144: PUT["Wh"]}
        shown = {at: _i16(scale) for at, scale in scales.items()}
        shown |= {40106: round(self._mains.hertz * 100), 40108: _i16(round(sum(watts)))}
        for i in range(3):
            shown |= {40093 + i: round(amps[i] * 100), 40098 + i: round(volts[i] * 10), 40109 + i: round(watts[i])}
        return shown | _u32(40136, int(self.total_wh / 10))

    def _registers(self, address: int) -> dict[int, int]:
        shown: dict[int, int] = dict(self._frozen or self._shown())
        if self.nan:
            shown |= dict.fromkeys((40093, 40094, 40095, 40098, 40099, 40100, 40106, 40108), 0x8000)
        shown |= _text(SERIAL_AT, str(self.serial).encode(), 8) | _u32(EPOCH_AT, self.epoch)
        shown |= dict(enumerate(self._meta, META_AT))
        shown |= {KEY_AT: KEY_WORDS - 2, KEY_AT + 1: len(self.public_key)}
        shown |= _text(KEY_AT + 2, self.public_key, KEY_WORDS - 2)
        for at, (text_at, _) in SNAPSHOTS.items():
            if at == address and self._status[at] == UPDATING:
                self._work(at)
            shown |= {at: self._status[at], at + 5: PUT["Wh"]} | _u32(at + 3, self._energy.get(at, 0))
            shown |= dict(enumerate(self._texts.get(at, ()), text_at))
        return shown

    def _work(self, at: int) -> None:
        """Somebody looks at the status of a snapshot that is being made."""
        self._looks -= 1
        if self._looks <= 0:
            self._snapshot(at)

    def _snapshot(self, at: int) -> None:
        self._count += 1
        steps = int(self.total_wh / 10)
        text = self._ocmf(SNAPSHOTS[at][1], steps * 10)
        self.issued.append(text)
        self._status[at], self._energy[at] = VALID, steps
        self._texts[at] = list(_text(0, text.encode(), OCMF_WORDS).values())

    def _ocmf(self, kind: str, wh: int) -> str:
        """The container, with the meter's own order and spacing."""
        customer = b"".join(word.to_bytes(2, "big") for word in self._meta).split(b"\0")[0].decode()
        reading: dict[str, Any] = {
            "TM": f"{self.epoch} S", "TX": kind, "RV": wh / 1000, "RI": "1-0:1.8.0*198", "RU": "kWh", "EF": "",
            "ST": "G",
        }  # fmt: skip
        payload = json.dumps({
            "FV": "1.0", "GI": "BAUER Electronic BSM-WS36A", "GS": str(self.serial), "PG": f"T{self._count}",
            "MS": str(self.serial), "IS": True, "IT": "UNDEFINED", "ID": customer, "RD": [reading],
        }, separators=(",", ":"))  # fmt: skip
        signature = self.key.sign(payload.encode(), ec.ECDSA(SHA256())).hex()
        return f'OCMF|{payload}|{{"SA":"ECDSA-secp256r1-SHA256","SD":"{signature}"}}'


def _i16(value: int) -> int:
    return int(struct.unpack(">H", struct.pack(">h", value))[0])


def _u32(at: int, value: int) -> dict[int, int]:
    return {at: value >> 16, at + 1: value & 0xFFFF}


def _text(at: int, data: bytes, words: int) -> dict[int, int]:
    padded = data.ljust(2 * words, b"\0")
    return {at + i: padded[2 * i] << 8 | padded[2 * i + 1] for i in range(words)}
