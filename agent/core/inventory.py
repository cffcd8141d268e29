"""What the hardware reports, as variables of the device model: answered when asked for, from what was heard last.

Which of `config_keys.hardware` exist here is told by board.toml, and for temperatures by the hardware itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.core.context import Context
from agent.core.evse import EV_MINIMUM_AMPS, Evse
from agent.core.failsafe_table import SHOWN
from agent.core.metering import is_fresh
from agent.core.status import begin_wh
from config_keys import display, hardware, phase_switch, physical, registry, site, tariff
from config_keys.key import RO, Key
from config_keys.values import Values
from hal.ports import Quantity

if TYPE_CHECKING:
    from agent.core.charger import Charger
    from agent.core.site import EvseSite, Site

POWER_DEVICES = frozenset({"controller", "board"})
NO_OFFER_PERCENT = 100.0

Of = Callable[["Charger", Context, Evse], Any]
NO_FACT = object()
"""The hardware answers for no such variable."""
"""The value at an EVSE now; None: not known."""


def describe(site_: Site, keys: Values) -> None:
    """Put into the device model what board.toml says, and leave out what is not built in."""
    keys.put(physical.MODEL, site_.model)
    keys.put(physical.VENDOR_NAME, site_.vendor)
    keys.put(physical.SERIAL_NUMBER, site_.serial)
    keys.put(physical.FIRMWARE_VERSION, site_.firmware)
    keys.put(physical.STATION_SUPPLY_PHASES, max(evse.phases for evse in site_.evses))
    keys.put(hardware.DATA_LINK_AVAILABLE, site_.network is not None)
    for key in () if site_.main_meter else hardware.MAIN_METER:
        keys.leave_out(key)
    _describe_displays(site_, keys)
    for evse in site_.evses:
        _describe_evse(evse, keys)
    for component in registry.components():
        _switch_off_absent(registry.of_component(component), keys)


def _switch_off_absent(theirs: Sequence[Key[Any]], keys: Values) -> None:
    """A component that is not available is not enabled, and nothing of it can be set."""
    available = [key for key in theirs if key.variable == "Available"]
    missing = [key for key in available if not any(keys.get(key, *place) for place in keys.places(key))]
    parts = {key.instance: key for key in missing}
    for key in theirs:
        if key.variable == "Enabled" and key.instance in parts:
            for place in keys.places(key):
                keys.put(key, False, *place)
            keys.lock(key, f"{parts[key.instance].name} is false: this station has none.")
        elif key.access is not RO and len(missing) == len(available) > 0:
            keys.leave_out(key)


def _describe_displays(site_: Site, keys: Values) -> None:
    """What every display can show; nothing of it where there is none."""
    for key in (display.AVAILABLE, tariff.TARIFF_AVAILABLE, tariff.COST_AVAILABLE):
        keys.put(key, bool(site_.displays))
    formats = [set(one.formats) for one in site_.displays]
    keys.put(display.SUPPORTED_FORMATS, tuple(sorted(set.intersection(*formats))) if formats else ())


def _describe_evse(evse: EvseSite, keys: Values) -> None:
    keys.put(physical.EVSE_SUPPLY_PHASES, evse.phases, evse.id)
    keys.put(hardware.FEED_SUPPLY_PHASES, evse.phases, evse.id)
    keys.put(site.HARDWARE_MAX_CURRENT, evse.max_amps, evse.id)
    keys.put(phase_switch.AVAILABLE, evse.phases == 3, evse.id)
    keys.narrow(physical.POWER, max=evse.max_amps * evse.phases * evse.volts, evse=evse.id)
    for key in _not_built_in(evse):
        keys.leave_out(key, evse.id)
    for connector in evse.connectors:
        keys.put(physical.CONNECTOR_TYPE, connector.kind, evse.id, connector.id)
        keys.put(physical.CONNECTOR_SUPPLY_PHASES, evse.phases, evse.id, connector.id)
        if connector.cable == "fixed":
            for key in registry.of_component("ConnectorPlugRetentionLock"):
                keys.leave_out(key, evse.id, connector.id)


def _not_built_in(evse: EvseSite) -> list[Key[Any]]:
    """What this EVSE does not have; temperatures come when they are first heard of."""
    absent: list[Key[Any]] = [*hardware.TEMPERATURE.values()]
    absent += [k for k in registry.of_component("ISO15118Ctrlr") if k.only is not None]
    absent.append(physical.ISO15118_EVSE_ID)
    absent += () if evse.has_meter else registry.of_component("FiscalMetering")
    absent += () if evse.has_meter and evse.phases == 3 else (physical.CURRENT_IMBALANCE, physical.VOLTAGE_IMBALANCE)
    absent += () if evse.signing_meter else (hardware.METER_PUBLIC_KEY,)
    absent += () if evse.bay_detector else registry.of_component("BayOccupancySensor")
    return absent


def live(charger: Charger, cx: Context, key: Key[Any], evse_id: int | None) -> str | None:
    """The text of a variable that the hardware answers for; None when it is no such variable."""
    value = fact(charger, cx, key, evse_id)
    return None if value is NO_FACT else _text(key, value)


def fact(charger: Charger, cx: Context, key: Key[Any], evse_id: int | None) -> Any:
    """Its value; NO_FACT when the hardware answers for no such variable."""
    if (of_station := STATION.get(key)) is not None:
        return of_station(charger, cx)
    if (of_evse := EVSE.get(key)) is not None and evse_id is not None:
        return of_evse(charger, cx, charger.evses[evse_id])
    return NO_FACT


def _text(key: Key[Any], value: Any) -> str:
    return "" if value is None else key.type.format(key.type.typed(value))


# ---------------------------------------------------------------------------------------- how it is told


def _measured(quantity: Quantity, phase: int = 0) -> Of:
    """A value of the newest reading while it is fresh; a register holds beyond that."""

    def value(charger: Charger, cx: Context, evse: Evse) -> Any:
        lasting = quantity in ("energy_import_wh", "energy_export_wh")
        if evse.reading is None or not (lasting or is_fresh(cx, evse)):
            return None
        return evse.reading.values.get((quantity, phase))

    return value


def _faulty(key: Key[Any]) -> Of:
    """True while a fault stands that shows at this variable."""
    return lambda charger, cx, evse: evse.shows(key)


def _imbalance(quantity: Quantity) -> Of:
    """How far one of three phases is from their mean, in percent of it; unknown while nothing is measured."""

    def value(charger: Charger, cx: Context, evse: Evse) -> float | None:
        found = [evse.value(quantity, phase) for phase in (1, 2, 3)] if is_fresh(cx, evse) else []
        phases = [value for value in found if value is not None]
        mean = sum(phases) / 3
        return round(max(abs(p - mean) for p in phases) / mean * 100, 1) if len(phases) == 3 and mean > 0 else None

    return value


def _said(field: str) -> Of:
    """What the device said of itself."""
    return lambda charger, cx, evse: getattr(evse.capabilities, field)[:50] if evse.capabilities else None


def _temperature(where: str) -> Of:
    return lambda charger, cx, evse: evse.temperatures.get(where)


def has_problem(evse: Evse) -> bool:
    """Something at this EVSE impairs normal operation: a fault, a silent device, a reduced current for a fault."""
    return evse.fault is not None or bool(evse.faults) or bool(evse.silent)


def _main(quantity: Quantity, phase: int = 0) -> Callable[[Charger, Context], Any]:
    """A value of the main meter while it is fresh; a register holds beyond that."""

    def value(charger: Charger, cx: Context) -> Any:
        main, lasting = charger.main_meter, quantity in ("energy_import_wh", "energy_export_wh")
        if main is None or main.reading is None or not (lasting or is_fresh(cx, main)):
            return None
        return main.reading.values.get((quantity, phase))

    return value


def _main_problem(charger: Charger, cx: Context) -> bool:
    return charger.main_meter is not None and (charger.main_meter.silent or bool(charger.main_meter.faults))


def _main_serial(charger: Charger, cx: Context) -> str | None:
    main = charger.main_meter
    return main.reading.serial[:50] if main is not None and main.reading is not None else None


def _station_problem(charger: Charger, cx: Context) -> bool:
    troubled = any(has_problem(evse) for evse in charger.evses.values())
    parts = bool(charger.devices.silent_readers) or _main_problem(charger, cx)
    return troubled or charger.store_state != "ok" or parts


def _is_tripped(evse: Evse) -> bool:
    """A latch that only a person on site clears."""
    return evse.contactor.latched is not None or "board_internal" in evse.faults


def _duty(charger: Charger, cx: Context, evse: Evse) -> float:
    """IEC 61851-1: 0.6 A per percent up to 51 A, 2.5 A per percent above 64 %."""
    amps = (evse.applied_amps or 0.0) if evse.contactor.permitted else 0.0
    if amps < EV_MINIMUM_AMPS:
        return NO_OFFER_PERCENT
    return round(amps / 0.6 if amps <= 51 else amps / 2.5 + 64, 1)


def _transaction_energy(charger: Charger, cx: Context, evse: Evse) -> float | None:
    now, began = evse.value("energy_import_wh"), begin_wh(evse.tx.began) if evse.tx is not None else None
    return None if now is None or began is None else now - float(began)


def _answers(charger: Charger, cx: Context, evse: Evse) -> bool:
    return evse.capabilities is not None and evse.silent.isdisjoint(POWER_DEVICES)


def _station_tripped(charger: Charger, cx: Context) -> bool:
    return any(_is_tripped(evse) for evse in charger.evses.values())


def _offline(charger: Charger, cx: Context) -> bool:
    return charger.has_csms and not charger.link.is_open


def _reader_problem(charger: Charger, cx: Context) -> bool:
    return bool(charger.devices.silent_readers)


def _connected(charger: Charger, cx: Context) -> bool:
    return charger.link.is_open


def _status(charger: Charger, cx: Context, evse: Evse) -> str | None:
    return charger.availability.status(evse)


def _power(charger: Charger, cx: Context) -> Any:
    """The sum over all EVSEs; unknown when one is."""
    powers = [evse.value("power_w") if is_fresh(cx, evse) else None for evse in charger.evses.values()]
    known = [power for power in powers if power is not None]
    return sum(known) if len(known) == len(powers) else None


def _set_aside(charger: Charger, cx: Context) -> int:
    return charger.outbox.set_aside


STATION: Mapping[Key[Any], Callable[[Charger, Context], Any]] = {
    physical.STATION_POWER: _power,
    physical.STATION_PROBLEM: _station_problem,
    hardware.TOKEN_READER_PROBLEM: _reader_problem,
    physical.STATION_TRIPPED: _station_tripped,
    hardware.DATA_LINK_ACTIVE: _connected,
    hardware.DATA_LINK_PROBLEM: _offline,
    site.EVENTS_SET_ASIDE: _set_aside,
    hardware.MAIN_METER_PROBLEM: _main_problem,
    hardware.MAIN_METER_SERIAL_NUMBER: _main_serial,
    hardware.MAIN_METER_POWER: _main("power_w"),
    hardware.MAIN_METER_ENERGY_IMPORT_REGISTER: _main("energy_import_wh"),
    hardware.MAIN_METER_ENERGY_EXPORT_REGISTER: _main("energy_export_wh"),
    **{key: _main("current_a", phase) for phase, key in hardware.MAIN_METER_CURRENT.items()},
    **{key: _main("voltage_v", phase) for phase, key in hardware.MAIN_METER_VOLTAGE.items()},
}
EVSE: Mapping[Key[Any], Of] = {
    **{key: _faulty(key) for key in SHOWN},
    physical.EVSE_AVAILABILITY_STATE: _status,
    physical.EVSE_PROBLEM: lambda charger, cx, evse: has_problem(evse),
    physical.EVSE_TRIPPED: lambda charger, cx, evse: _is_tripped(evse),
    physical.CONNECTOR_TRIPPED: lambda charger, cx, evse: _is_tripped(evse),
    physical.CURRENT_IMBALANCE: _imbalance("current_a"),
    physical.VOLTAGE_IMBALANCE: _imbalance("voltage_v"),
    physical.CONNECTOR_PROBLEM: lambda charger, cx, evse: evse.fault is not None,
    physical.POWER: _measured("power_w"),
    physical.AC_CURRENT_L1: _measured("current_a", 1),
    physical.AC_CURRENT_L2: _measured("current_a", 2),
    physical.AC_CURRENT_L3: _measured("current_a", 3),
    physical.AC_VOLTAGE_L1: _measured("voltage_v", 1),
    physical.AC_VOLTAGE_L2: _measured("voltage_v", 2),
    physical.AC_VOLTAGE_L3: _measured("voltage_v", 3),
    hardware.CONTACTOR_ACTIVE: lambda charger, cx, evse: evse.contactor.may_carry,
    hardware.PILOT_ACTIVE: lambda charger, cx, evse: evse.connected,
    hardware.PILOT_STATE: lambda charger, cx, evse: evse.pilot,
    hardware.PILOT_PERCENT: _duty,
    hardware.CONTROLLER_ACTIVE: _answers,
    hardware.CONTROLLER_PROBLEM: lambda charger, cx, evse: (
        not _answers(charger, cx, evse) or evse.shows(hardware.CONTROLLER_PROBLEM)
    ),
    hardware.CONTROLLER_MANUFACTURER: _said("vendor"),
    hardware.CONTROLLER_MODEL: _said("model"),
    hardware.CONTROLLER_SERIAL: _said("serial"),
    hardware.CONTROLLER_FIRMWARE: _said("firmware"),
    hardware.METER_ENERGY_IMPORT_REGISTER: _measured("energy_import_wh"),
    hardware.METER_ENERGY_EXPORT_REGISTER: _measured("energy_export_wh"),
    hardware.METER_ENERGY_IMPORT: _transaction_energy,
    hardware.METER_SERIAL_NUMBER: lambda charger, cx, evse: evse.reading.serial[:50] if evse.reading else None,
    hardware.LOCK_ACTIVE: lambda charger, cx, evse: evse.plug.locked,
    hardware.BAY_ACTIVE: lambda charger, cx, evse: evse.bay_occupied,
    hardware.EV_AVAILABLE: lambda charger, cx, evse: evse.connected,
    **{key: _temperature(where) for where, key in hardware.TEMPERATURE.items()},
}
METERED = frozenset(
    {
        physical.POWER, physical.AC_CURRENT_L1, physical.AC_CURRENT_L2, physical.AC_CURRENT_L3,
        physical.AC_VOLTAGE_L1, physical.AC_VOLTAGE_L2, physical.AC_VOLTAGE_L3,
        hardware.METER_ENERGY_IMPORT_REGISTER, hardware.METER_ENERGY_EXPORT_REGISTER, hardware.METER_ENERGY_IMPORT,
    }
)  # fmt: skip
"""What only a new reading of the meter changes."""
LIVE = frozenset((*STATION, *EVSE)) - METERED
"""What else is answered from what the hardware said last."""
