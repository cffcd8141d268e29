"""The failsafe table: every condition, what the station does about it and after which grace, and how it clears.

One row is all that there is to say of a condition. What is done to the current (`agent.core.failsafe`), to session and
contactor (`agent.core.hardware`), what the CSMS sees (`agent.core.monitors_faults`, `Evse.fault`), and the pages
docs/failsafe.md and docs/fault-codes.md are derived from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from config_keys import failsafe, hardware, physical, site
from config_keys.key import Key
from hal.faults import FAULTS, Fault


class Action(IntEnum):
    """What is done, from the slightest to the gravest."""

    NONE = 0
    DERATE = 1
    FALLBACK = 2
    PAUSE = 3
    STOP = 4
    TRIP = 5


MEANING: Mapping[Action, str] = {
    Action.NONE: "it is told.",
    Action.DERATE: "the current is lowered; the session goes on.",
    Action.FALLBACK: "the current is lowered to a fallback agreed beforehand; the session goes on.",
    Action.PAUSE: "0 A is signalled, the car opens its switch, then the contactor opens; the session goes on when it "
    "is over.",
    Action.STOP: "the session ends in order: 0 A first, then the contactor opens.",
    Action.TRIP: "the contactor opens now, under load if need be. With a stoppedReason the session ends, without one "
    "it waits and goes on by itself.",
}
Clears = Literal["gone", "unplug", "service"]
"""gone: with its cause. unplug: its cause is gone and the car was unplugged (or the EVSE is reset). service: the device
keeps it until a technician has mended it."""
DANGER, HARDWARE, SYSTEM, CRITICAL, ERROR, WARNING = 0, 1, 2, 3, 4, 6
"""OCPP's severities (Part 2, SetMonitoringDataType)."""


class Row(NamedTuple):
    """One condition. `shows` are true while it stands, and the first is what the CSMS is told of."""

    says: str
    action: Action
    shows: tuple[Key[Any], ...] = ()
    severity: int = WARNING
    clears: Clears = "gone"
    stopped: str = ""
    """OCPP's stoppedReason of a transaction that it ends (E06.FR.16)."""
    grace: Key[int] | float = 0
    """Seconds from the condition to the action, by key or as built in."""
    amps: Key[Any] | float | None = None
    """Current per phase of DERATE and FALLBACK."""
    choice: Key[Any] | None = None
    """The key whose value picks another action out of `choices`."""
    choices: Mapping[str, Action] = MappingProxyType({})
    by: str = ""
    """What else decides its current, in words."""


_CP, _RCD, _FEED = (hardware.PILOT_PROBLEM,), (hardware.RCD_TRIPPED,), (hardware.FEED_PROBLEM,)
_DEVICE, _METER, _STATION = (hardware.CONTROLLER_PROBLEM,), (hardware.METER_PROBLEM,), (physical.STATION_PROBLEM,)
_HEAT, _CONTACTOR = (hardware.TEMPERATURE_ACTIVE,), (hardware.CONTACTOR_PROBLEM,)
_WELD = (hardware.CONTACTOR_TRIPPED, hardware.CONTACTOR_PROBLEM)
_NONE, _DERATE, _FALLBACK, _PAUSE, _STOP, _TRIP = Action
BOARD_SILENT_S, CONTROLLER_SILENT_S = 2.0, 5.0
"""Silence of a device that its driver (`hal`) waits for before it tells."""

STANDING: Mapping[str, Row] = {
    # ---- the car and its cable
    "diode": Row("No diode in the car's pilot circuit", _TRIP, _CP, ERROR, "unplug", "Other"),
    "pilot": Row("Pilot E or F: shorted or broken", _TRIP, _CP, ERROR),
    "residual_current": Row("Residual current", _TRIP, _RCD, CRITICAL, "unplug", "GroundFault"),
    "over_current": Row("The car draws more than it is offered", _TRIP, (hardware.OVER_CURRENT_ACTIVE,), CRITICAL,
                        "unplug", "OvercurrentFault", grace=failsafe.OVER_CURRENT_GRACE,
                        by="more than offer + 1 A and than 1.1 x (offer + 0.5 A); after 0.5 s from 1.5 x the offer on; "
                        "a lower offer counts after 5 s; at once when the device itself finds it"),
    "lock": Row("The plug cannot be locked", _TRIP, (hardware.LOCK_PROBLEM,), ERROR),
    "proximity": Row("The cable is not recognised", _TRIP, (physical.CONNECTOR_PROBLEM,), ERROR),
    # ---- supply and surroundings
    "ground": Row("Protective earth is missing", _TRIP, (hardware.GROUND_PROBLEM,), HARDWARE, stopped="GroundFault"),
    "over_voltage": Row("The device found the supply too high", _TRIP, _FEED, CRITICAL),
    "under_voltage": Row("The device found the supply too low", _TRIP, _FEED, CRITICAL),
    "supply_low": Row("The meter shows less than SafetyCtrlr.UnderVoltage", _PAUSE, _FEED, ERROR,
                      grace=failsafe.VOLTAGE_GRACE),
    "supply_high": Row("The meter shows more than SafetyCtrlr.OverVoltage", _PAUSE, _FEED, ERROR,
                       grace=failsafe.VOLTAGE_GRACE),
    "power_loss": Row("The mains failed", _TRIP, _FEED, CRITICAL, stopped="PowerLoss"),
    "derating": Row("The device lowers the current because of heat", _DERATE, _HEAT, amps=6.0),
    "over_temperature": Row("A sensor's maximum is reached", _TRIP, _HEAT, CRITICAL),
    "emergency_stop": Row("Emergency stop pressed", _TRIP, (hardware.EMERGENCY_STOP_ACTIVE,), CRITICAL,
                          stopped="EmergencyStop"),
    "tamper": Row("The enclosure is open (security event TamperDetectionActivated)", _NONE, (physical.EVSE_PROBLEM,),
                  CRITICAL),
    # ---- the station's own parts
    "contactor_welded": Row("Feedback still closed after it was opened", _TRIP, _WELD, DANGER, "service", "Other",
                            by="the transaction ends when the car has left: until then current may flow"),
    "contactor_failed": Row("Permitted, asked for, and not closed", _TRIP, _CONTACTOR, HARDWARE, "unplug"),
    "contactor_dropped": Row("Opened by itself", _TRIP, _CONTACTOR, HARDWARE, "unplug", grace=1.5),
    "phases_wrong": Row("Closed on more phases than were selected", _TRIP, _CONTACTOR, HARDWARE, "unplug"),
    "phase_relay": Row("A switch of phases did not succeed", _NONE, _DEVICE, ERROR,
                       by="it charges on the phases that the relay and the contacts show; no other switch before the "
                       "car has left"),
    "residual_selftest": Row("The residual-current monitor failed its test", _TRIP, (hardware.RCD_PROBLEM,), HARDWARE,
                             "service", "GroundFault"),
    "board_internal": Row("The board is defective", _TRIP, _DEVICE, HARDWARE, "service", "Other"),
    "device_error": Row("The controller reports an error of its own", _TRIP, _DEVICE, HARDWARE),
    "board_silent": Row("The board does not answer", _TRIP, _DEVICE, HARDWARE, grace=BOARD_SILENT_S),
    "controller_silent": Row("The controller does not answer", _TRIP, _DEVICE, HARDWARE, grace=CONTROLLER_SILENT_S),
    "heartbeat_lost": Row("The board missed us and fell back", _TRIP, _DEVICE, CRITICAL),
    "lease_lapsed": Row("The control loop stood still", _TRIP, _DEVICE, SYSTEM, grace=3.0),
    "readback_mismatch": Row("The device does not keep what is written", _TRIP, _DEVICE, CRITICAL),
    "not_independent": Row("Nothing below us opens the contactor without us", _TRIP, _DEVICE, HARDWARE, "service"),
    "connectors_differ": Row("The board's connectors are not those of board.toml", _TRIP, _DEVICE, HARDWARE),
    "meter_silent": Row("The meter does not answer", _FALLBACK, _METER, CRITICAL, stopped="Other",
                        grace=site.METER_SILENT_GRACE, amps=site.METER_LOST_LIMIT,
                        choice=failsafe.METER_LOST_ACTION,
                        choices={"Reduce": _FALLBACK, "Pause": _PAUSE, "Stop": _STOP}),
    "meter_implausible": Row("The meter's counter went back", _STOP, _METER, HARDWARE, stopped="Other"),
    "meter_frozen": Row("The meter shows power and does not count", _NONE, _METER),
    "reader_silent": Row("A card reader does not answer", _NONE, (hardware.TOKEN_READER_PROBLEM,), HARDWARE),
    "store_restored": Row("The data store was damaged and set aside", _NONE, _STATION, CRITICAL),
    "store_full": Row("The data partition is full", _NONE, _STATION, SYSTEM,
                      by="no start and no increase: nothing is energised that is not recorded"),
    "store_dead": Row("The flash memory fails", _NONE, _STATION, SYSTEM, "service",
                      by="no start and no increase: nothing is energised that is not recorded"),
}  # fmt: skip
"""What is wrong with an EVSE or the station, by code: those of `hal.faults` and `OWN_FAULTS`."""

SILENCES: Mapping[str, Row] = {
    "CSMS silent": Row("The CSMS is not connected, or does not answer", _FALLBACK, grace=site.OFFLINE_GRACE,
                       amps=site.OFFLINE_LIMIT, choice=site.FALLBACK_MODE,
                       choices={"KeepProfile": _FALLBACK, "Reduce": _FALLBACK, "Pause": _PAUSE},
                       by="and the lowest of FallbackCtrlr.OfflineLimit[L1] to [L3] of the phases in use; with "
                       "KeepProfile only where no charging profile is in force; lifted when it is back for "
                       "FallbackCtrlr.RecoverHold"),
    "profile expired": Row("The time of a charging profile is over, and no other is in force", _FALLBACK,
                           amps=failsafe.PROFILE_EXPIRED_LIMIT,
                           by="80 A leaves it to the limits of the installation, as OCPP has it (K02.FR.08)"),
    "boot": Row("Not accepted by the CSMS since the start", _FALLBACK, amps=site.BOOT_LIMIT,
                by="0 A where TxCtrlr.TxBeforeAcceptedEnabled is false"),
    "external": Row("An external system (EMS, grid operator) does not say its limit again", _FALLBACK,
                    by="the fallback that it said with its limit, after the time that it said"),
    "time unknown": Row("The station does not know the time", _FALLBACK,
                        by="the lowest period of every profile that may be in force"),
    "heat": Row("A sensor is above ThermalCtrlr.DerateFrom", _DERATE,
                by="straight from full current there to the EV minimum at ThermalCtrlr.PauseAt; from there on a pause, "
                "until it is 5 degrees cooler"),
    "cable": Row("A loose cable does not tell its rating", _FALLBACK, amps=13.0),
}  # fmt: skip
"""What is no fault and still lowers the current, by the claim that it makes: LimitCtrlr.EffectiveLimitReason."""

OWN_FAULTS: Mapping[str, Fault] = {
    "supply_low": Fault("SupplyLow", 6, "Supply voltage too low; waiting.", FAULTS["under_voltage"].field_action),
    "supply_high": Fault("SupplyHigh", 5, "Supply voltage too high; waiting.", FAULTS["over_voltage"].field_action),
    "store_restored": Fault("StoreRestored", None, "",
                            "The data store was damaged and set aside: check the flash memory."),
    "store_full": Fault("StoreFull", None, "", "The data partition is full: free space."),
    "phases_wrong": Fault("PhasesWrong", 17, "This charger has a fault. Please use another one.",
                          "Check the phase relay and its feedback contacts: more phases closed than it had selected."),
    "phase_relay": Fault("PhaseRelay", None, "",
                         "The phase relay, or the current before its move, did not obey: check relay and feedback."),
    "store_dead": Fault("StoreDead", None, "", "The flash memory fails: replace it."),
}  # fmt: skip
"""What can be wrong beside what the hardware tells, and its meaning for people."""
SHOWN = frozenset(key for row in STANDING.values() for key in row.shows if key.scope != "station")
"""Variables of an EVSE or connector that are true while a fault stands."""
_OEM = Row("A code of an OEM's driver", _TRIP, (physical.EVSE_PROBLEM,), CRITICAL)


def row(code: str) -> Row:
    """The row of what stands at an EVSE; an OEM's own code opens the contactor until it is gone."""
    return STANDING.get(code, _OEM)


def blocks(code: str) -> bool:
    """Whether an EVSE is Faulted by it: it does not charge, and nothing begins. Less current is no fault (bug 30)."""
    return row(code).action >= Action.STOP


def fault(code: str) -> Fault:
    """What a code means for people; an OEM's own code speaks for itself."""
    known = FAULTS.get(code) or OWN_FAULTS.get(code)
    return known or Fault(code[:50], None, "", "See the documents of the device.")


def tech_code(code: str) -> str:
    """techCode: the minimum required error code (ChargeX MREC) where there is one, else the fault's name."""
    meant = fault(code)
    return meant.name if meant.mrec is None else f"CX{meant.mrec:03d}"


def keys_of(row: Row) -> tuple[Key[Any], ...]:
    """The keys with which an operator changes it."""
    return tuple(key for key in (row.grace, row.choice, row.amps) if isinstance(key, Key))

