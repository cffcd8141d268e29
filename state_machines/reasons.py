"""What caused a transaction event, as OCPP says it: total tables, no free text (bug 26 of real chargers)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class Reason(NamedTuple):
    """triggerReason of the event, and stoppedReason if this cause is what initiated the end."""

    trigger: str
    stopped: str


class Cause(Enum):
    """Everything that makes a transaction event (functional block E, table E.1)."""

    PLUGGED = Reason("CablePluggedIn", "Other")
    BAY_TAKEN = Reason("EVDetected", "Other")
    BAY_LEFT = Reason("EVDeparted", "EVDisconnected")
    SIGNED = Reason("SignedDataReceived", "Other")
    UNPLUGGED = Reason("EVCommunicationLost", "EVDisconnected")
    AUTHORIZED = Reason("Authorized", "Other")
    REMOTE_START = Reason("RemoteStart", "Other")
    STOPPED_HERE = Reason("StopAuthorized", "Local")
    MASTER_PASS = Reason("StopAuthorized", "MasterPass")
    STOPPED_REMOTELY = Reason("RemoteStop", "Remote")
    DEAUTHORIZED = Reason("Deauthorized", "DeAuthorized")
    EV_CAME_NOT = Reason("EVConnectTimeout", "Timeout")
    STATE_CHANGED = Reason("ChargingStateChanged", "Other")
    RATE_CHANGED = Reason("ChargingRateChanged", "Other")
    SAMPLED = Reason("MeterValuePeriodic", "Other")
    CLOCK = Reason("MeterValueClock", "Other")
    FAULT = Reason("AbnormalCondition", "Other")
    POWER_LOST = Reason("AbnormalCondition", "PowerLoss")
    REBOOTED = Reason("AbnormalCondition", "Reboot")
    RESET = Reason("ResetCommand", "ImmediateReset")
    FORCED = Reason("AbnormalCondition", "Local")
    ASKED_FOR = Reason("Trigger", "Other")


CHARGING_STATES: Mapping[str, str | None] = {
    "unplugged": "Idle",
    "charging": "Charging",
    "stopping": None,
    "unauthorised": "EVConnected",
    "held": "SuspendedEVSE",
    "interrupted": "SuspendedEVSE",
    "asking": None,
    "resting": "SuspendedEV",
    "offered": "EVConnected",
}
"""chargingState by what holds at the EVSE of a transaction, the first row that does (E.1); None: as it was told last.

stopping: the authorization has ended, energy not yet. held: a limit or a fault says wait. interrupted: resumed after a
restart, no energy since. asking: the car wants energy, the contactor is on its way. resting: it has charged, or was
offered current for a while. offered: it has not yet made up its mind.
"""
