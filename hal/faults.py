"""Every fault the hardware can report: its meaning for people, for OCPP and for the failsafe table.

Numbers are those of the minimum required error codes (ChargeX MREC, as EVerest uses them); None where the set
has none. Clear rules and severities follow DESIGN.md section 3 and the safety facts they rest on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["warning", "derate", "pause", "stop", "trip"]
"""warning: go on; derate: lower the current; pause: 0 A, keep the session; stop: end it; trip: open now."""

ClearRule = Literal["gone", "unplug", "reset", "service"]
"""When it may go: its cause is gone, and for the others also an unplug, an operator, a technician."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault. `latched` ones stay after their cause has gone until `clears` is met."""

    name: str
    mrec: int | None
    severity: Severity
    latched: bool
    clears: ClearRule
    driver_text: str
    field_action: str

    @property
    def blocks(self) -> bool:
        """Whether charging must not go on or begin while it stands."""
        return self.severity in ("pause", "stop", "trip")


_CALL = "This charger has a fault. Please use another one."
_CAR = "The charger cannot talk to your car. Please unplug and plug in again."

FAULTS: dict[str, Fault] = {
    "diode": Fault("DiodeFault", 14, "trip", True, "unplug", _CAR,
                   "Try another vehicle; then check pilot wiring and plug for water."),
    "pilot": Fault("PilotFault", 14, "trip", False, "gone", _CAR, "Check the pilot line for a short to PE."),
    "ground": Fault("GroundFailure", 2, "trip", False, "gone", _CALL, "Check protective earth first."),
    "residual_current": Fault("ResidualCurrent", 2, "trip", True, "unplug",
                              "Residual current found. Please unplug the car.",
                              "Measure insulation of the cable; try another vehicle; check the RCM."),
    "residual_selftest": Fault("ResidualSelfTest", 2, "trip", True, "service", _CALL,
                               "The residual-current monitor failed its self-test: replace it."),
    "over_voltage": Fault("OverVoltage", 5, "pause", False, "gone", "Supply voltage too high; waiting.",
                          "Measure the supply; look for a lost neutral."),
    "under_voltage": Fault("UnderVoltage", 6, "pause", False, "gone", "Supply voltage too low; waiting.",
                           "Measure the supply under load; check terminals."),
    "over_temperature": Fault("HighTemperature", 3, "pause", False, "gone", "Too hot; charging is paused.",
                              "Check sun, fans, terminals of socket and contactor for heat marks."),
    "derating": Fault("Derating", 3, "derate", False, "gone", "Charging slower because of heat.",
                      "As for too hot, when it lasts."),
    "over_current": Fault("OverCurrent", 4, "trip", True, "unplug", "The car drew too much current.",
                          "Compare meter and offer; try another vehicle."),
    "emergency_stop": Fault("EmergencyStop", 8, "trip", False, "gone", "Emergency stop pressed.",
                            "Find out why; release the button."),
    "contactor_welded": Fault("ContactorWelded", 17, "trip", True, "service", _CALL,
                              "Cut the supply. Replace the contactor: it stayed closed."),
    "contactor_failed": Fault("ContactorFailed", 17, "stop", True, "reset", _CALL,
                              "Check coil supply and mirror contacts: it did not close."),
    "contactor_dropped": Fault("ContactorDropped", 17, "stop", True, "unplug", _CAR,
                               "It opened by itself: check coil supply and interlocks."),
    "lock": Fault("LockFailure", 1, "stop", False, "gone", "The plug cannot be locked. Push it in fully.",
                  "Check the lock actuator and its power."),
    "proximity": Fault("ProximityFault", 23, "stop", False, "gone", "The cable is not recognised.",
                       "Check the proximity resistor of cable and socket."),
    "power_loss": Fault("PowerLoss", 15, "stop", False, "gone", "Power failure.", "Check the supply."),
    "board_internal": Fault("BoardInternal", None, "trip", True, "service", _CALL, "Replace the board."),
    "device_error": Fault("DeviceError", None, "stop", False, "gone", _CALL,
                          "Read the controller's own error display; see the detail."),
    "heartbeat_lost": Fault("HeartbeatLost", None, "pause", False, "gone", "Charging is paused.",
                            "The board missed us and fell back: check load of the controller and the line."),
    "lease_lapsed": Fault("LeaseLapsed", None, "pause", False, "gone", "Charging is paused.",
                          "The control loop stood still for 3 s: send the logs to the manufacturer."),
    "board_silent": Fault("CommunicationFault", None, "stop", False, "gone", _CALL,
                          "Check the board's supply and serial line."),
    "controller_silent": Fault("CommunicationFault", None, "stop", False, "gone", _CALL,
                               "Check the controller's supply, bus wiring, termination and unit id."),
    "meter_silent": Fault("MeterSilent", None, "pause", False, "gone", "The meter does not answer.",
                          "Check the meter's bus wiring, baud rate and unit id."),
    "meter_implausible": Fault("MeterImplausible", None, "stop", False, "reset", "The meter has a fault.",
                               "The energy counter went back: check for a swapped or reset meter."),
    "meter_frozen": Fault("MeterFrozen", None, "warning", False, "gone", "",
                          "The meter shows power but its counter stands still: replace it."),
    "reader_silent": Fault("ReaderSilent", None, "warning", False, "gone", "Cards cannot be read.",
                           "Check the card reader's supply and cable."),
    "readback_mismatch": Fault("ReadbackMismatch", None, "pause", False, "gone", "Charging is paused.",
                               "The controller does not keep what is written: check for a second master."),
    "not_independent": Fault("NoIndependentLayer", None, "stop", False, "service", _CALL,
                             "The device cannot fall back by itself: set its watchdog, or replace it."),
}  # fmt: skip
"""Fault code -> what it means."""
