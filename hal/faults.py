"""Every fault the hardware can report, and its meaning for people.

Numbers are those of the minimum required error codes (ChargeX MREC, as EVerest uses them); None where the set
has none. What the station does about each, and how it clears, is `agent.core.failsafe_table`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault: its name, what a driver is told, and what a technician has to do."""

    name: str
    mrec: int | None
    driver_text: str
    field_action: str


_CALL = "This charger has a fault. Please use another one."
_CAR = "The charger cannot talk to your car. Please unplug and plug in again."

FAULTS: dict[str, Fault] = {
    "diode": Fault("DiodeFault", 14, _CAR,
                   "Try another vehicle; then check pilot wiring and plug for water."),
    "pilot": Fault("PilotFault", 14, _CAR, "Check the pilot line for a short to PE."),
    "ground": Fault("GroundFailure", 2, _CALL, "Check protective earth first."),
    "residual_current": Fault("ResidualCurrent", 2, "Residual current found. Please unplug the car.",
                              "Measure insulation of the cable; try another vehicle; check the RCM."),
    "residual_selftest": Fault("ResidualSelfTest", 2, _CALL,
                               "The residual-current monitor failed its self-test: replace it."),
    "over_voltage": Fault("OverVoltage", 5, "Supply voltage too high; waiting.",
                          "Measure the supply; look for a lost neutral."),
    "under_voltage": Fault("UnderVoltage", 6, "Supply voltage too low; waiting.",
                           "Measure the supply under load; check terminals."),
    "over_temperature": Fault("HighTemperature", 3, "Too hot; charging is paused.",
                              "Check sun, fans, terminals of socket and contactor for heat marks."),
    "derating": Fault("Derating", 3, "Charging slower because of heat.",
                      "As for too hot, when it lasts."),
    "over_current": Fault("OverCurrent", 4, "The car drew too much current.",
                          "Compare meter and offer; try another vehicle."),
    "emergency_stop": Fault("EmergencyStop", 8, "Emergency stop pressed.",
                            "Find out why; release the button."),
    "contactor_welded": Fault("ContactorWelded", 17, _CALL,
                              "Cut the supply. Replace the contactor: it stayed closed."),
    "contactor_failed": Fault("ContactorFailed", 17, _CALL,
                              "Check coil supply and mirror contacts: it did not close."),
    "contactor_dropped": Fault("ContactorDropped", 17, _CAR,
                               "It opened by itself: check coil supply and interlocks."),
    "lock": Fault("LockFailure", 1, "The plug cannot be locked. Push it in fully.",
                  "Check the lock actuator and its power."),
    "proximity": Fault("ProximityFault", 23, "The cable is not recognised.",
                       "Check the proximity resistor of cable and socket."),
    "tamper": Fault("Tamper", None, "",
                    "The enclosure was opened: ask who did it, look for what was changed, close it."),
    "power_loss": Fault("PowerLoss", 15, "Power failure.", "Check the supply."),
    "board_internal": Fault("BoardInternal", None, _CALL, "Replace the board."),
    "device_error": Fault("DeviceError", None, _CALL,
                          "Read the controller's own error display; see the detail."),
    "heartbeat_lost": Fault("HeartbeatLost", None, "Charging is paused.",
                            "The board missed us and fell back: check load of the controller and the line."),
    "lease_lapsed": Fault("LeaseLapsed", None, "Charging is paused.",
                          "The control loop stood still for 3 s: send the logs to the manufacturer."),
    "board_silent": Fault("CommunicationFault", None, _CALL,
                          "Check the board's supply and serial line."),
    "controller_silent": Fault("CommunicationFault", None, _CALL,
                               "Check the controller's supply, bus wiring, termination and unit id."),
    "connectors_differ": Fault("ConnectorsDiffer", None, _CALL,
                               "The board has other connectors than board.toml: correct the file or fit the board."),
    "meter_silent": Fault("MeterSilent", None, "The meter does not answer.",
                          "Check the meter's bus wiring, baud rate and unit id."),
    "meter_implausible": Fault("MeterImplausible", None, "The meter has a fault.",
                               "The energy counter went back: check for a swapped or reset meter."),
    "meter_frozen": Fault("MeterFrozen", None, "",
                          "The meter shows power but its counter stands still: replace it."),
    "reader_silent": Fault("ReaderSilent", None, "Cards cannot be read.",
                           "Check the card reader's supply and cable."),
    "readback_mismatch": Fault("ReadbackMismatch", None, "Charging is paused.",
                               "The controller does not keep what is written: check for a second master."),
    "not_independent": Fault("NoIndependentLayer", None, _CALL,
                             "The device cannot fall back by itself: set its watchdog, or replace it."),
}  # fmt: skip
"""Fault code -> what it means."""
