"""FallbackCtrlr and SafetyCtrlr beside the usual limits: graces, actions and currents of the failsafe table."""

from __future__ import annotations

from decimal import Decimal as Number

from config_keys.key import RW, Key, key
from config_keys.site import AMPS
from config_keys.types import Decimal, Integer, OptionList


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
RECOVER_HOLD = key(
    "FallbackCtrlr.RecoverHold",
    Integer(min=0, max=3600),
    access=RW,
    unit="s",
    default=0,
    doc="How long a CSMS that was silent has to be back before its fallback is lifted; 0: at once.",
)
PROFILE_EXPIRED_LIMIT = key(
    "FallbackCtrlr.ProfileExpiredLimit",
    AMPS,
    access=RW,
    unit="A",
    default=80,
    doc="Most current per phase after the time of a charging profile is over and no other holds; 0 pauses charging.",
)
METER_LOST_ACTION = key(
    "FallbackCtrlr.MeterLostAction",
    OptionList(("Reduce", "Pause", "Stop")),
    access=RW,
    default="Reduce",
    doc="While a meter is silent: reduce to MeterLostLimit, pause charging, or end the session.",
)

# ------------------------------------------------------------------------------------------------ protection

OVER_CURRENT_GRACE = key(
    "SafetyCtrlr.OverCurrentGrace",
    Integer(min=1, max=30),
    access=RW,
    unit="s",
    default=7,
    aliases=("EVerest soft over-current",),
    doc="Time for which a car may draw more than it is offered; half as much again is too much at once.",
)
UNDER_VOLTAGE = key(
    "SafetyCtrlr.UnderVoltage",
    Decimal(min=0, max=95),
    access=RW,
    unit="Percent",
    default=85,
    doc="Share of the supply voltage below which charging pauses, until it is 2 percent higher; 0: never.",
)
OVER_VOLTAGE = key(
    "SafetyCtrlr.OverVoltage",
    Decimal(min=105, max=200),
    access=RW,
    unit="Percent",
    default=115,
    doc="Share of the supply voltage above which charging pauses, until it is 2 percent lower.",
)
VOLTAGE_GRACE = key(
    "SafetyCtrlr.VoltageGrace",
    Integer(min=0, max=60),
    access=RW,
    unit="s",
    default=3,
    doc="Time for which the voltage may be too low or too high before charging pauses.",
)
