"""What one setting is: a variable of the OCPP device model with everything that is known about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Literal, TypeVar

from config_keys.registry import REGISTRY, Registry, wire_name
from config_keys.types import ValueType

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Scope = Literal["station", "evse", "connector"]


class Access(Enum):
    """OCPP's mutability."""

    RO = "ReadOnly"
    RW = "ReadWrite"
    WO = "WriteOnly"


RO, RW, WO = Access.RO, Access.RW, Access.WO

UNITS = frozenset(
    {
        "", "A", "ASU", "B", "Celsius", "Deg", "Hz", "K", "N", "Ohm", "Percent", "RH", "RPM", "V", "VA", "VAh", "W",
        "Wh", "dB", "dBm", "kPa", "kW", "kWh", "lx", "m", "ms2", "s", "var", "varh",
    }
)  # fmt: skip
"""OCPP's units of measure, those that a variable of a charger may have."""

STANDARD_COMPONENTS = frozenset(
    """
    AcDcConverter AcPhaseSelector AccessBarrier Actuator AirCoolingSystem AlignedDataCtrlr AreaVentilation
    AuthCacheCtrlr AuthCtrlr BayOccupancySensor BeaconLighting CHAdeMOCtrlr CPPWMController CableBreakawaySensor
    CaseAccessSensor ChargingStation ChargingStatusIndicator ClockCtrlr ConnectedEV Connector
    ConnectorHolsterRelease ConnectorHolsterSensor ConnectorPlugRetentionLock ConnectorProtectionRelease
    ControlMetering Controller CustomizationCtrlr DataLink DeviceDataCtrlr Display DisplayMessageCtrlr
    DistributionPanel ELVSupply EVRetentionLock EVSE ElectricalFeed EmergencyStopSensor EnvironmentalLighting
    ExternalTemperatureSensor FiscalMetering FloodSensor GroundIsolationProtection Heater HumiditySensor
    ISO15118Ctrlr LightSensor LiquidCoolingSystem LocalAuthListCtrlr LocalAvailabilitySensor LocalController
    LocalEnergyStorage MonitoringCtrlr OCPPCommCtrlr OverCurrentProtection OverCurrentProtectionRecloser
    PowerContactor RCD RCDRecloser RealTimeClock ReservationCtrlr SampledDataCtrlr SecurityCtrlr ShockSensor
    SmartChargingCtrlr SpacesCountSignage Switch TariffCostCtrlr TemperatureSensor TiltSensor TokenReader
    TxCtrlr UIInput UpstreamProtectionTrigger VehicleIdSensor
    """.split()
)
"""Components of OCPP 2.0.1 (Part 2, appendix 3)."""

_INSTANCE = r"(\[(?P<{}>[\w.]{{1,50}})\])?"
_NAME = re.compile(
    r"(?P<component>\w{1,50})" + _INSTANCE.format("of") + r"\.(?P<variable>\w{1,50})" + _INSTANCE.format("instance"),
    re.ASCII,
)


@dataclass(frozen=True, eq=False, slots=True)
class Key(Generic[T_co]):
    """One declared variable. Keys are compared by identity: each is declared exactly once.

    `default` None means "no value" (an empty string on the wire). `reboot`: a new value is used from the next
    start on. `locked` says why a variable that people expect to be writable is not. `alias16` is the OCPP 1.6
    configuration key it answers to; `aliases` are vendors' names for it, kept for searching. `monitored` is
    OCPP's supportsMonitoring. `only` says where it exists ("with a meter"); None: everywhere. A `secret` is never
    shown. `since` is our release that knew it first.
    """

    component: str
    component_instance: str | None
    variable: str
    instance: str | None
    type: ValueType[Any]
    default: T_co | None
    access: Access
    doc: str
    unit: str
    reboot: bool
    scope: Scope
    persistent: bool
    alias16: str | None
    aliases: tuple[str, ...]
    standard: bool
    since: str
    locked: str | None
    only: str | None
    monitored: bool
    secret: bool

    @property
    def name(self) -> str:
        """The wire name, for instance `OCPPCommCtrlr.MessageAttempts[TransactionEvent]` or
        `TemperatureSensor[cable].Temperature`."""
        return wire_name(self.component, self.variable, self.instance, self.component_instance)

    def __repr__(self) -> str:
        return f"<Key {self.name}>"


def key(
    name: str,
    type: ValueType[T],
    *,
    doc: str,
    access: Access,
    default: T | int | str | None = None,
    unit: str = "",
    reboot: bool = False,
    scope: Scope = "station",
    persistent: bool | None = None,
    alias16: str | None = None,
    aliases: tuple[str, ...] = (),
    standard: bool | None = None,
    since: str = "0.1",
    locked: str | None = None,
    only: str | None = None,
    monitored: bool | None = None,
    secret: bool = False,
    into: Registry = REGISTRY,
) -> Key[T]:
    """Declare a variable and register it. A wrong or second declaration raises ValueError at import.

    A default given as text is parsed. What may be written is persistent and can be monitored unless said otherwise.
    `into` is another registry than that of all stations: one station's own variables (see `Values`).
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise ValueError(f"{name}: expected Component.Variable or Component[Instance].Variable[Instance]")
    declared: Key[T] = Key(
        parts["component"],
        parts["of"],
        parts["variable"],
        parts["instance"],
        type=type,
        default=_checked_default(name, type, default),
        access=access,
        doc=doc,
        unit=unit,
        reboot=reboot,
        scope=scope,
        persistent=access is not RO if persistent is None else persistent,
        alias16=alias16,
        aliases=aliases,
        standard=parts["component"] in STANDARD_COMPONENTS if standard is None else standard,
        since=since,
        locked=locked,
        only=only,
        monitored=access is not RO if monitored is None else monitored,
        secret=secret,
    )
    _check(declared)
    into.add(declared)
    return declared


def _checked_default(name: str, type: ValueType[T], default: T | int | str | None) -> T | None:
    if default is None:
        return None
    try:
        return type.parse(default if isinstance(default, str) else type.format(type.typed(default)))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: default: {error}") from error


def _check(declared: Key[T]) -> None:
    if not declared.doc or "\n" in declared.doc or not declared.doc.endswith("."):
        raise ValueError(f"{declared.name}: expected one line of meaning that ends with a full stop")
    if declared.unit not in UNITS:
        raise ValueError(f"{declared.name}: unit {declared.unit!r} is not one of {sorted(UNITS)}")
    if declared.locked and declared.access is not RO:
        raise ValueError(f"{declared.name}: what is locked is read-only")
    if declared.access is WO and not declared.secret:
        raise ValueError(f"{declared.name}: what is write-only is secret")
