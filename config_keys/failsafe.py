"""FallbackCtrlr and SafetyCtrlr beside the usual limits: graces, actions and currents of the failsafe table."""

from __future__ import annotations

from decimal import Decimal as Number

from config_keys.key import RW, Key, key
from config_keys.site import AMPS
from config_keys.types import OptionList


def _offline_limit(line: str) -> Key[Number]:
    return key(
        f"FallbackCtrlr.OfflineLimit[{line}]",
        AMPS,
        access=RW,
        unit="A",
        default=80,
        doc=f"Most current on {line} of the installation while the CSMS is unreachable, beside OfflineLimit.",
    )


OFFLINE_LIMIT_L1, OFFLINE_LIMIT_L2, OFFLINE_LIMIT_L3 = (_offline_limit(line) for line in ("L1", "L2", "L3"))
"""By phase of the installation (R, S, T). All phases of an EVSE are offered one current: the lowest of its phases."""
METER_LOST_ACTION = key(
    "FallbackCtrlr.MeterLostAction",
    OptionList(("Reduce", "Pause", "Stop")),
    access=RW,
    default="Reduce",
    doc="While a meter is silent: reduce to MeterLostLimit, pause charging, or end the session.",
)
