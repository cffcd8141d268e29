"""K: charging profiles are taken, refused, reported and cleared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hil.bench import Controlled
from hil.certification.registry import case
from hil.certification.states import Lab
from hil.certification.talk import WAIT_S, Json, NotApplicable

DEFAULT, STATION, TX = "TxDefaultProfile", "ChargingStationMaxProfile", "TxProfile"
EXTERNAL = "ChargingStationExternalConstraints"
SET, GET, CLEAR = "SetChargingProfile", "GetChargingProfiles", "ClearChargingProfile"


def clock(lab: Lab, seconds: float = 0) -> str:
    """A moment from now by the station's clock."""
    now = datetime.fromisoformat(lab.read("ClockCtrlr.DateTime"))
    return (now + timedelta(seconds=seconds)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def profile(lab: Lab, id: int = 5, purpose: str = DEFAULT, level: int = 0, limit: float = 6.0, **more: object) -> Json:
    """A profile for a day from now on, in A; `more` replaces fields of the profile."""
    period = {"startPeriod": 0, "limit": limit, "numberPhases": lab.outfit.phases}
    schedule = {"id": 1, "chargingRateUnit": "A", "duration": 86_400, "chargingSchedulePeriod": [period]}
    if more.get("chargingProfileKind") != "Relative":
        schedule["startSchedule"] = clock(lab)
    whole = {
        "id": id, "stackLevel": level, "chargingProfilePurpose": purpose, "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
    }  # fmt: skip
    return {**whole, **more}


def install(lab: Lab, evse: int, given: Json, status: str = "Accepted") -> Json:
    """SetChargingProfile; a refusal says why."""
    answer = lab.call(SET, {"evseId": evse, "chargingProfile": given}, status=status)
    if status == "Rejected":
        lab.check("a refusal has a reason", bool(answer.get("statusInfo", {}).get("reasonCode")), True)
    return given


def reported(lab: Lab, expected: list[Json], evse: int | None = None, **criteria: object) -> None:
    """GetChargingProfiles: exactly these are reported; with none it is NoProfiles."""
    found = told(lab, bool(expected), evse, **criteria)
    lab.check("the profiles reported", found, sorted(expected, key=lambda p: int(p["id"])))


def told(lab: Lab, some: bool, evse: int | None = None, **criteria: object) -> list[Json]:
    """GetChargingProfiles: the profiles of all pages that follow, by id; or (not `some`) it is NoProfiles."""
    before, request = len(_reports(lab)), 900 + len(_reports(lab))
    asked: Json = {"requestId": request, "chargingProfile": criteria} | ({} if evse is None else {"evseId": evse})
    lab.call(GET, asked, status="Accepted" if some else "NoProfiles")
    if not some:
        return []
    lab.bench.wait_until("the last report", lambda: [r for r in _reports(lab)[before:] if not r.get("tbc")], WAIT_S)
    pages = _reports(lab)[before:]
    lab.check("requestId of the reports", {page["requestId"] for page in pages}, {request})
    lab.check("tbc", [page.get("tbc", False) for page in pages], [True] * (len(pages) - 1) + [False])
    return sorted((p for page in pages for p in page["chargingProfile"]), key=lambda p: int(p["id"]))


def _reports(lab: Lab) -> list[Json]:
    return [frame.payload for frame in lab.bench.calls("ReportChargingProfiles")]


@case("TC_K_01")
def default_of_an_evse(lab: Lab) -> None:
    reported(lab, [install(lab, lab.evse, profile(lab))], chargingProfileId=[5])


@case("TC_K_02")
def tx_profile_without_transaction(lab: Lab) -> None:
    install(lab, lab.evse, profile(lab, purpose=TX, transactionId="UNKNOWN-TRANSACTION-ID"), "Rejected")


@case("TC_K_03")
def station_maximum(lab: Lab) -> None:
    reported(lab, [install(lab, 0, profile(lab, purpose=STATION))], chargingProfileId=[5])


@case("TC_K_04")
def replaced(lab: Lab) -> None:
    install(lab, lab.evse, profile(lab))
    reported(lab, [install(lab, lab.evse, profile(lab, limit=10.0))], chargingProfileId=[5])


@case("TC_K_05")
def cleared_by_id(lab: Lab) -> None:
    install(lab, lab.evse, profile(lab))
    lab.call(CLEAR, {"chargingProfileId": 5}, status="Accepted")
    reported(lab, [], chargingProfileId=[5])


@case("TC_K_06")
def cleared_by_level_and_purpose(lab: Lab) -> None:
    install(lab, lab.evse, profile(lab, level=1))
    lab.energy_transfer_started()
    criteria: Json = {"chargingProfilePurpose": DEFAULT, "stackLevel": 1}
    lab.call(CLEAR, {"chargingProfileCriteria": criteria}, status="Accepted")
    reported(lab, [], **criteria)


@case("TC_K_07")
def cleared_by_what_does_not_fit(lab: Lab) -> None:
    install(lab, lab.evse, profile(lab, level=1))
    criteria: Json = {"chargingProfilePurpose": STATION, "stackLevel": 0}
    lab.call(CLEAR, {"chargingProfileCriteria": criteria}, status="Unknown")


@case("TC_K_08")
def cleared_when_there_is_none(lab: Lab) -> None:
    lab.call(CLEAR, {"chargingProfileId": 77}, status="Unknown")


@case("TC_K_10")
def default_of_all(lab: Lab) -> None:
    reported(lab, [install(lab, 0, profile(lab))], chargingProfileId=[5])


@case("TC_K_11")
def tx_profile_for_all(lab: Lab) -> None:
    install(lab, 0, profile(lab, purpose=TX, transactionId="any"), "Rejected")


@case("TC_K_12")
@case("TC_K_42")
def unit_not_supported(lab: Lab) -> None:
    raise NotApplicable("the station takes A and W")


@case("TC_K_13")
def kept_over_a_reboot(lab: Lab) -> None:
    given = install(lab, lab.evse, profile(lab))
    boots = len(lab.bench.calls("BootNotification"))
    lab.bench.lose_power()
    lab.bench.wait(2)
    lab.bench.return_power()
    lab.bench.wait_until("the station has booted", lambda: len(lab.bench.calls("BootNotification")) > boots, 120)
    lab.bench.wait(2)
    reported(lab, [given], chargingProfileId=[5])


@case("TC_K_14")
def no_such_evse(lab: Lab) -> None:
    install(lab, max(lab.bench.outfits()) + 1, profile(lab), "Rejected")


@case("TC_K_15")
@case("TC_K_38")
def without_smart_charging(lab: Lab) -> None:
    raise NotApplicable("the station supports smart charging")


@case("TC_K_16")
def unknown_transaction(lab: Lab) -> None:
    lab.energy_transfer_started()
    install(lab, lab.evse, profile(lab, purpose=TX, transactionId="UNKNOWN-TRANSACTION-ID"), "Rejected")


@case("TC_K_19")
def recurring(lab: Lab) -> None:
    for kind in ("Daily", "Weekly"):
        install(lab, lab.evse, profile(lab, chargingProfileKind="Recurring", recurrencyKind=kind))


@case("TC_K_24")
def several_cleared(lab: Lab) -> None:
    first, second = sorted(lab.bench.outfits())[:2]
    install(lab, first, profile(lab, 5, level=2, chargingProfileKind="Relative"))
    install(lab, second, profile(lab, 6, level=2, chargingProfileKind="Relative"))
    criteria: Json = {"chargingProfilePurpose": DEFAULT, "stackLevel": 2}
    lab.call(CLEAR, {"chargingProfileCriteria": criteria}, status="Accepted")
    reported(lab, [], **criteria)


def _two(lab: Lab, level: int = 0) -> tuple[Json, Json]:
    """A maximum of the station, and a default of the EVSE."""
    whole = install(lab, 0, profile(lab, 5, STATION, limit=20.0))
    return whole, install(lab, lab.evse, profile(lab, 6, level=level))


@case("TC_K_29")
def of_the_station(lab: Lab) -> None:
    reported(lab, [_two(lab)[0]], 0)


@case("TC_K_30")
def of_an_evse(lab: Lab) -> None:
    reported(lab, [_two(lab)[1]], lab.evse)


@case("TC_K_31")
def of_everything(lab: Lab) -> None:
    reported(lab, list(_two(lab)))


@case("TC_K_32")
def by_id(lab: Lab) -> None:
    reported(lab, [_two(lab)[0]], chargingProfileId=[5])


@case("TC_K_33")
def by_level(lab: Lab) -> None:
    own = _two(lab, 1)[1]
    reported(lab, [own], lab.evse, stackLevel=1)


@case("TC_K_34")
def by_source(lab: Lab) -> None:
    own = install(lab, lab.evse, profile(lab, 6, level=1))
    reported(lab, [own], lab.evse, chargingLimitSource=["CSO"])
    reported(lab, [], lab.evse, chargingLimitSource=["SO"])


@case("TC_K_35")
def by_purpose(lab: Lab) -> None:
    own = _two(lab)[1]
    lab.energy_transfer_started()
    reported(lab, [own], lab.evse, chargingProfilePurpose=DEFAULT)


@case("TC_K_36")
def by_purpose_and_level(lab: Lab) -> None:
    reported(lab, [_two(lab)[1]], lab.evse, chargingProfilePurpose=DEFAULT, stackLevel=0)


@case("TC_K_37")
def started_with_a_profile(lab: Lab) -> None:
    lab.ev_connected()
    given = profile(lab, purpose=TX, chargingProfileKind="Relative")
    lab.remote_start_id += 1
    token = {"idToken": "04C0FFEE010203", "type": "ISO14443"}
    request = {"idToken": token, "remoteStartId": lab.remote_start_id, "evseId": lab.evse, "chargingProfile": given}
    lab.call("RequestStartTransaction", request, status="Accepted")
    lab.bench.wait_until("current flows", lambda: max(lab.bench.amps(lab.evse)) > 0, 60)
    lab.bench.wait(5)
    (started,) = lab.bench.transactions()
    reported(lab, [{**given, "transactionId": started.transaction_id}], chargingProfileId=[5])


@case("TC_K_60")
def tx_profile(lab: Lab) -> None:
    lab.energy_transfer_started()
    given = profile(lab, purpose=TX, chargingProfileKind="Relative", transactionId=lab.running)
    reported(lab, [install(lab, lab.evse, given)], chargingProfileId=[5])


@case("TC_K_52")
def external_limit(lab: Lab) -> None:
    if not isinstance(lab.bench, Controlled):
        raise NotApplicable("no external control system at this bench")
    lab.bench.limits_from_outside(10.0)
    found = told(lab, True, chargingProfilePurpose=EXTERNAL)
    lab.check("their purposes", {profile["chargingProfilePurpose"] for profile in found}, {EXTERNAL})
    limits = [p["limit"] for one in found for p in one["chargingSchedule"][0]["chargingSchedulePeriod"]]
    lab.check("the limit reported", limits, [10.0])
