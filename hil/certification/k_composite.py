"""K: the composite schedule."""

from __future__ import annotations

from datetime import datetime

from hil.certification.k_profiles import CLEAR, DEFAULT, STATION, TX, clock, install, profile
from hil.certification.registry import case
from hil.certification.states import Lab
from hil.certification.talk import Json

LATE_S = 4
"""By how many seconds the station's answer may differ: its clock, and the time between two messages."""


def schedule(lab: Lab, evse: int, seconds: int) -> Json:
    """The composite schedule of an EVSE in A."""
    asked = {"evseId": evse, "duration": seconds, "chargingRateUnit": "A"}
    given: Json = lab.call("GetCompositeSchedule", asked, status="Accepted")["schedule"]
    lab.check("evseId", given["evseId"], evse)
    lab.check("duration", given["duration"], seconds)
    lab.check("chargingRateUnit", given["chargingRateUnit"], "A")
    lab.check("first startPeriod", given["chargingSchedulePeriod"][0]["startPeriod"], 0)
    return given


def limits(given: Json) -> list[float]:
    return [period["limit"] for period in given["chargingSchedulePeriod"]]


def starts_at(lab: Lab, given: Json, number: int, moment: str) -> None:
    """Period `number` begins at that moment, within LATE_S."""
    begin = datetime.fromisoformat(given["scheduleStart"])
    wanted = (datetime.fromisoformat(moment) - begin).total_seconds()
    found = given["chargingSchedulePeriod"][number]["startPeriod"]
    lab.check(f"startPeriod {number} ({found} s) is near {wanted} s", abs(found - wanted) <= LATE_S, True)


def steps(lab: Lab, given: Json, begin: str, duration_s: int, *rows: tuple[int, float]) -> Json:
    """Give a profile's schedule its periods from `begin` on."""
    phases = lab.outfit.phases
    periods = [{"startPeriod": s, "limit": limit, "numberPhases": phases} for s, limit in rows]
    own = {"startSchedule": begin, "duration": duration_s, "chargingSchedulePeriod": periods}
    return {**given, "chargingSchedule": [{**given["chargingSchedule"][0], **own}]}


@case("TC_K_09")
def cleared_with_a_transaction(lab: Lab) -> None:
    install(lab, lab.evse, profile(lab))
    lab.energy_transfer_started()
    lab.check("limit with the profile", limits(schedule(lab, lab.evse, 300))[0], 6)
    lab.call(CLEAR, {"chargingProfileCriteria": {"chargingProfilePurpose": DEFAULT}}, status="Accepted")
    lab.check("the limit stayed", limits(schedule(lab, lab.evse, 300))[0] == 6, False)


@case("TC_K_21")
def valid_from(lab: Lab) -> None:
    later = clock(lab, 300)
    install(lab, lab.evse, profile(lab, chargingProfileKind="Relative", validFrom=later))
    given = schedule(lab, lab.evse, 400)
    lab.check("limit once valid", limits(given)[1], 6)
    starts_at(lab, given, 1, later)


@case("TC_K_22")
def valid_to(lab: Lab) -> None:
    later = clock(lab, 300)
    install(lab, 0, profile(lab, validTo=later))
    evses = sorted(lab.bench.outfits())
    for evse in (0, *evses):
        given = schedule(lab, evse, 400)
        lab.check(f"limit of EVSE {evse}", limits(given)[0], 6 * (len(evses) if evse == 0 else 1))
        starts_at(lab, given, 1, later)


@case("TC_K_23")
def start_schedule(lab: Lab) -> None:
    later = clock(lab, 60)
    install(lab, lab.evse, steps(lab, profile(lab), later, 86_400, (0, 6.0)))
    given = schedule(lab, lab.evse, 300)
    lab.check("limit from startSchedule on", limits(given)[1], 6)
    starts_at(lab, given, 1, later)


@case("TC_K_28")
def default_during_a_transaction(lab: Lab) -> None:
    lab.energy_transfer_started()
    install(lab, lab.evse, profile(lab))
    lab.check("limit", limits(schedule(lab, lab.evse, 300))[0], 6)
    lab.bench.wait_until("the car follows", lambda: 0 < max(lab.bench.amps(lab.evse)) <= 6)


@case("TC_K_39")
def without_profiles(lab: Lab) -> None:
    schedule(lab, 0, 300)


@case("TC_K_40")
def stacked(lab: Lab) -> None:
    begin = clock(lab)
    low, high = profile(lab, 5), profile(lab, 6, level=1)
    install(lab, lab.evse, steps(lab, low, begin, 400, (0, 6.0), (100, 8.0), (200, 10.0)))
    install(lab, lab.evse, steps(lab, high, begin, 150, (0, 7.0), (100, 9.0)))
    lab.check("limits", limits(schedule(lab, lab.evse, 350)), [7, 9, 8, 10])


@case("TC_K_41")
def combined(lab: Lab) -> None:
    lab.energy_transfer_started()
    begin = clock(lab)
    default, own = profile(lab, 6), profile(lab, 7, TX, transactionId=lab.running)
    rows = (0, 6.0), (60, 10.0), (120, 8.0), (180, 15.0), (260, 8.0)
    install(lab, 0, steps(lab, profile(lab, 5, STATION), begin, 86_400, (0, 10.0)))
    install(lab, lab.evse, steps(lab, default, begin, 300, *rows))
    rows = (0, 8.0), (50, 11.0), (140, 16.0), (200, 6.0), (240, 12.0)
    install(lab, lab.evse, steps(lab, own, begin, 260, *rows))
    lab.check("limits", limits(schedule(lab, lab.evse, 400)), [8, 10, 6, 10, 8, 10])


@case("TC_K_47")
def unknown_evse(lab: Lab) -> None:
    asked = {"evseId": max(lab.bench.outfits()) + 1, "duration": 300, "chargingRateUnit": "A"}
    lab.call("GetCompositeSchedule", asked, status="Rejected", schedule=None)
