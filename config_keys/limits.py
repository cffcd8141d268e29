"""LimitCtrlr and ThermalCtrlr: how bounds are shared, converted, and lowered by heat."""

from decimal import Decimal as Number

from config_keys.key import RW, Key, key
from config_keys.site import AMPS
from config_keys.types import HOURS, Decimal, Integer, OptionList

WATT_VOLTAGE = key(
    "LimitCtrlr.WattVoltage",
    OptionList(("Nominal", "Measured")),
    access=RW,
    default="Nominal",
    doc="Phase voltage by which limits in W are divided: the configured one, or the meter's while it is fresh.",
)
MAX_PHASE_IMBALANCE = key(
    "LimitCtrlr.MaxPhaseImbalance",
    AMPS,
    access=RW,
    unit="A",
    default=0,
    aliases=("openWB Schieflast", "VDE-AR-N 4100"),
    doc="Most current that cars on fewer than three phases may add to one phase; 0: no bound.",
)


def _circuit(line: str) -> Key[Number]:
    return key(
        f"LimitCtrlr.CircuitMaxCurrent[{line}]",
        AMPS,
        access=RW,
        unit="A",
        default=80,
        aliases=("circuit breaker", "fuse"),
        doc=f"Current that all EVSEs together may draw from {line} of the circuit, beside InstallationMaxCurrent.",
    )


CIRCUIT_L1, CIRCUIT_L2, CIRCUIT_L3 = (_circuit(line) for line in ("L1", "L2", "L3"))
"""By phase of the installation (R, S, T)."""

NOTIFY_SPACING = key(
    "LimitCtrlr.NotifySpacing",
    Integer(min=0, max=3600),
    access=RW,
    unit="s",
    default=10,
    doc="Least time between two messages about the same external limit, or about the charging rate of an EVSE.",
)
ROTATION_INTERVAL = key(
    "LimitCtrlr.RotationInterval",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=1800,
    aliases=("WARP rotation",),
    doc="Where a bound is too small for all, cars take turns after this time; 0: who came first goes on.",
)

_CELSIUS = Decimal(min=-40, max=150)


def _derate(where: str, default: int) -> Key[Number]:
    return key(
        f"ThermalCtrlr.DerateFrom[{where}]",
        _CELSIUS,
        access=RW,
        unit="Celsius",
        default=default,
        doc=f"Temperature of the {where} from which the current is lowered, down to the EV minimum at PauseAt.",
    )


def _pause(where: str, default: int) -> Key[Number]:
    return key(
        f"ThermalCtrlr.PauseAt[{where}]",
        _CELSIUS,
        access=RW,
        unit="Celsius",
        default=default,
        doc=f"Temperature of the {where} at which charging pauses until it is 5 degrees cooler.",
    )


DERATE_SOCKET, PAUSE_SOCKET = _derate("socket", 60), _pause("socket", 80)
DERATE_CABLE, PAUSE_CABLE = _derate("cable", 60), _pause("cable", 80)
DERATE_PCB, PAUSE_PCB = _derate("pcb", 75), _pause("pcb", 90)
DERATE_PSU, PAUSE_PSU = _derate("psu", 75), _pause("psu", 90)
DERATE_AMBIENT, PAUSE_AMBIENT = _derate("ambient", 50), _pause("ambient", 65)

DEFAULT_HOURS = key(
    "ScheduleCtrlr.DefaultHours",
    HOURS,
    access=RW,
    default="",
    aliases=("UK SI 2021/1467 reg. 10",),
    doc="Hours (UTC) in which cars charge when no charging profile says anything; empty: always.",
)
RANDOM_DELAY = key(
    "ScheduleCtrlr.RandomDelay",
    Integer(min=0, max=1800),
    access=RW,
    unit="s",
    default=0,
    aliases=("UK SI 2021/1467 reg. 11",),
    doc="Charging that a profile or DefaultHours lets begin waits a random time up to this; 0: no wait.",
)
