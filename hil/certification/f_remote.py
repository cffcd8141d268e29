"""F: started, stopped and unlocked from afar."""

from __future__ import annotations

from hil.certification.registry import case
from hil.certification.states import EV_TIMEOUT_S, Lab
from hil.certification.talk import WAIT_S


def _asks_the_csms(lab: Lab, remotely: str | None = None) -> None:
    lab.write("AuthCtrlr.Enabled", "true", if_there=True)
    lab.write("AuthCtrlr.DisableRemoteAuthorization", "false", if_there=True)
    if remotely is not None:
        lab.write("AuthCtrlr.AuthorizeRemoteStart", remotely)


@case("TC_F_01", "remote")
def cable_first(lab: Lab) -> None:
    _asks_the_csms(lab)
    lab.ev_connected()
    lab.authorized("remote")
    lab.energy_transfer_started()


@case("TC_F_02", "remote")
def start_first_with_authorization(lab: Lab) -> None:
    _start_first(lab, "true")


@case("TC_F_03", "remote")
def start_first_without_authorization(lab: Lab) -> None:
    _start_first(lab, "false")


def _start_first(lab: Lab, authorizes: str) -> None:
    _asks_the_csms(lab, authorizes)
    lab.parking_bay_occupied()
    lab.authorized("remote")
    lab.energy_transfer_started()


@case("TC_F_04", "remote")
def no_car_came(lab: Lab) -> None:
    """Played with a transaction to end: TxStartPoint Authorized."""
    _asks_the_csms(lab)
    lab.write("TxCtrlr.EVConnectionTimeOut", str(EV_TIMEOUT_S))
    lab.start_points("Authorized")
    lab.authorized("remote")
    lab.event("after the time-out", EV_TIMEOUT_S + WAIT_S, trigger="EVConnectTimeout", kind="Ended")
    lab.is_authorized = False
    lab.authorized("remote")


@case("TC_F_08", "remote")
def stopped(lab: Lab) -> None:
    lab.energy_transfer_started()
    lab.stop_authorized("remote")


@case("TC_F_09", "local", "remote")
def stop_of_another(lab: Lab) -> None:
    lab.energy_transfer_started()
    lab.call("RequestStopTransaction", {"transactionId": f"{lab.running}"[:-1] + "?"}, status="Rejected")
    lab.bench.wait(5)
    lab.check("current flows", max(lab.bench.amps(lab.evse)) > 0, True)


# ---------------------------------------------------------------------------------------------- unlock


def _unlock(lab: Lab, status: str, connector: int | None = None) -> None:
    place = {"evseId": lab.evse, "connectorId": connector or lab.connector}
    lab.call("UnlockConnector", place, status=status)


@case("TC_F_05", "local", "remote")
def unlock_while_charging(lab: Lab) -> None:
    lab.energy_transfer_started()
    _unlock(lab, "OngoingAuthorizedTransaction")
    lab.check("the plug is locked", lab.bench.locked(lab.evse), True)


@case("TC_F_06")
def unlock(lab: Lab) -> None:
    """With a car that nobody has authorized."""
    lab.ev_connected()
    _unlock(lab, "Unlocked")
    lab.check("the plug is locked", lab.bench.locked(lab.evse), False)


@case("TC_F_07")
def unlock_without_a_cable(lab: Lab) -> None:
    _unlock(lab, "Unlocked")


@case("TC_F_10")
def unlock_of_nothing(lab: Lab) -> None:
    _unlock(lab, "UnknownConnector", 999)
