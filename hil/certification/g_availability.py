"""G: the status of connectors, and what is taken out of service."""

from __future__ import annotations

from hil.certification.registry import BOTH, case
from hil.certification.states import Lab
from hil.certification.talk import Json

REBOOTED = ("StartupOfTheDevice", "ResetOrReboot")
"""Security events that follow a boot."""
WATCH_S = 15.0
"""How long a car that must not be charged is watched."""


@case("TC_G_01", "local")
def occupied(lab: Lab) -> None:
    lab.ev_connected()


@case("TC_G_02", "local")
def available_again(lab: Lab) -> None:
    lab.ev_connected(ready=False)
    lab.unplug()


# ---------------------------------------------------------------------------------------------- words


def _change(lab: Lab, wanted: str, place: Json, status: str = "Accepted") -> None:
    lab.call("ChangeAvailability", {"operationalStatus": wanted, **place}, status=status)


def _evse(lab: Lab) -> Json:
    return {"evse": {"id": lab.evse}}


def _connector(lab: Lab) -> Json:
    return {"evse": {"id": lab.evse, "connectorId": lab.connector}}


def _unavailable(lab: Lab, place: Json) -> None:
    """Reusable state Unavailable, for a place or (with none) for the whole station."""
    lab.mark()
    _change(lab, "Inoperative", place)
    lab.status("Unavailable")
    lab.free = "Unavailable"


def _available(lab: Lab, place: Json) -> None:
    lab.mark()
    _change(lab, "Operative", place)
    lab.status("Available")


def _everywhere(lab: Lab, status: str) -> dict[int, str]:
    return dict.fromkeys(lab.bench.outfits(), status)


# ---------------------------------------------------------------------------------------------- in and out of service


@case("TC_G_03", "local")
def evse_out(lab: Lab) -> None:
    _unavailable(lab, _evse(lab))


@case("TC_G_04", "local")
def evse_back(lab: Lab) -> None:
    _unavailable(lab, _evse(lab))
    _available(lab, _evse(lab))


@case("TC_G_05", "local")
def station_out(lab: Lab) -> None:
    _unavailable(lab, {})
    lab.statuses(_everywhere(lab, "Unavailable"))


@case("TC_G_06", "local")
def station_back(lab: Lab) -> None:
    _unavailable(lab, {})
    _available(lab, {})
    lab.statuses(_everywhere(lab, "Available"))


@case("TC_G_07", "local")
def connector_out(lab: Lab) -> None:
    _unavailable(lab, _connector(lab))


@case("TC_G_08", "local")
def connector_back(lab: Lab) -> None:
    _unavailable(lab, _connector(lab))
    _available(lab, _connector(lab))


@case("TC_G_09", "local")
def evse_already_in(lab: Lab) -> None:
    _change(lab, "Operative", _evse(lab))


@case("TC_G_10", "local")
def evse_already_out(lab: Lab) -> None:
    _unavailable(lab, _evse(lab))
    _change(lab, "Inoperative", _evse(lab))


@case("TC_G_12", "local")
def station_already_in(lab: Lab) -> None:
    _change(lab, "Operative", {})
    lab.statuses(_everywhere(lab, "Available"))


@case("TC_G_13", "local")
def station_already_out(lab: Lab) -> None:
    _unavailable(lab, {})
    _unavailable(lab, {})
    lab.statuses(_everywhere(lab, "Unavailable"))


@case("TC_G_15", "local")
def connector_already_in(lab: Lab) -> None:
    _change(lab, "Operative", _connector(lab))


@case("TC_G_16", "local")
def connector_already_out(lab: Lab) -> None:
    _unavailable(lab, _connector(lab))
    _change(lab, "Inoperative", _connector(lab))


# ---------------------------------------------------------------------------------------------- while somebody charges


@case("TC_G_11", *BOTH)
def evse_while_charging(lab: Lab) -> None:
    lab.energy_transfer_started()
    _change(lab, "Inoperative", _evse(lab), "Scheduled")
    _ends_unavailable(lab)


@case("TC_G_14", *BOTH)
def station_while_charging(lab: Lab) -> None:
    lab.energy_transfer_started()
    _change(lab, "Inoperative", {}, "Scheduled")
    others = {evse: "Unavailable" for evse in lab.bench.outfits() if evse != lab.evse}
    lab.statuses({lab.evse: "Occupied", **others}, "Unavailable")
    _ends_unavailable(lab)
    lab.statuses(_everywhere(lab, "Unavailable"))


@case("TC_G_17", *BOTH)
def connector_while_charging(lab: Lab) -> None:
    lab.energy_transfer_started()
    _change(lab, "Inoperative", _connector(lab), "Scheduled")
    _ends_unavailable(lab)


def _ends_unavailable(lab: Lab) -> None:
    """Unavailable is told by the step that ends the transaction, and nothing else after it."""
    lab.free = "Unavailable"
    for step in (lab.stop_authorized, lab.ev_connected_post_session, lab.ev_disconnected, lab.parking_bay_unoccupied):
        before = lab.running
        lab.mark()
        step()
        if before is not None and lab.running is None:
            lab.status("Unavailable")
    lab.check("a transaction runs", lab.running is not None, False)


# ---------------------------------------------------------------------------------------------- over a power cycle


@case("TC_G_18", "local")
def evse_stays_out(lab: Lab) -> None:
    _unavailable(lab, _evse(lab))
    lab.reboots()
    lab.statuses({**_everywhere(lab, "Available"), lab.evse: "Unavailable"})


@case("TC_G_19", "local")
def connector_stays_out(lab: Lab) -> None:
    _unavailable(lab, _connector(lab))
    _boots(lab)
    lab.statuses({**_everywhere(lab, "Available"), lab.evse: "Unavailable"}, "Available")


@case("TC_G_21", "local")
def station_stays_out(lab: Lab) -> None:
    _unavailable(lab, {})
    _boots(lab)
    lab.statuses(_everywhere(lab, "Unavailable"))


def _boots(lab: Lab) -> None:
    """Reusable state Booting: it is told as a security event as well."""
    before = len(lab.bench.calls("SecurityEventNotification"))
    lab.reboots()

    def told() -> bool:
        return any(f.payload["type"] in REBOOTED for f in lab.bench.calls("SecurityEventNotification")[before:])

    lab.bench.wait_until("a security event about the boot", told)


@case("TC_G_20", *BOTH)
def lock_failure(lab: Lab) -> None:
    lab.ev_connected()
    lab.bench.raise_fault(lab.evse, "lock_sticks")
    lab.authorized()
    lab.bench.wait_until("NotifyEvent of the lock's Problem", lambda: _lock_problems(lab) == ["true"])
    lab.bench.wait(WATCH_S)
    lab.check("current into the car", max(lab.bench.amps(lab.evse)), 0)


def _lock_problems(lab: Lab) -> list[str]:
    told = [data for frame in lab.bench.calls("NotifyEvent") for data in frame.payload["eventData"]]
    of_lock = [d for d in told if d["component"]["name"] == "ConnectorPlugRetentionLock"]
    lab.check("triggers", {d["trigger"] for d in of_lock} <= {"Delta"}, True)
    return [d["actualValue"] for d in of_lock if d["variable"]["name"] == "Problem"]
