"""B: reports about variables."""

from __future__ import annotations

from datetime import datetime

from hil.certification.registry import case
from hil.certification.states import Lab
from hil.certification.talk import Json, NotApplicable

REPORT_S = 60.0
LISTS = ("OptionList", "SequenceList", "MemberList")
AVAILABILITY = ["Available", "Occupied", "Reserved", "Unavailable", "Faulted"]
REQUIRED = """
OCPPCommCtrlr ActiveNetworkProfile FileTransferProtocols NetworkConfigurationPriority NetworkProfileConnectionAttempts
OCPPCommCtrlr OfflineThreshold MessageTimeout[Default] MessageAttempts[TransactionEvent]
OCPPCommCtrlr MessageAttemptInterval[TransactionEvent] UnlockOnEVSideDisconnect WebSocketPingInterval ResetRetries
OCPPCommCtrlr RetryBackOffRepeatTimes RetryBackOffRandomRange RetryBackOffWaitMinimum
DeviceDataCtrlr ItemsPerMessage[GetReport] ItemsPerMessage[GetVariables] ItemsPerMessage[SetVariables]
DeviceDataCtrlr BytesPerMessage[GetReport] BytesPerMessage[GetVariables] BytesPerMessage[SetVariables]
ClockCtrlr DateTime TimeSource
SecurityCtrlr OrganizationName CertificateEntries SecurityProfile
AuthCtrlr AuthorizeRemoteStart LocalAuthorizeOffline LocalPreAuthorize
TxCtrlr EVConnectionTimeOut StopTxOnEVSideDisconnect TxStartPoint TxStopPoint StopTxOnInvalidId
SampledDataCtrlr TxStartedMeasurands TxUpdatedMeasurands TxUpdatedInterval TxEndedMeasurands TxEndedInterval
AlignedDataCtrlr Measurands Interval TxEndedMeasurands TxEndedInterval
ChargingStation Available AvailabilityState SupplyPhases
"""
"""Component and variables that every station must have."""
WHERE_AVAILABLE = """
AuthCacheCtrlr Enabled
LocalAuthListCtrlr Enabled Entries ItemsPerMessage BytesPerMessage
ReservationCtrlr Enabled
SmartChargingCtrlr Enabled ProfileStackLevel RateUnit PeriodsPerSchedule Entries[ChargingProfiles]
SmartChargingCtrlr LimitChangeSignificance
TariffCostCtrlr TariffFallbackMessage TotalCostFallbackMessage Currency
MonitoringCtrlr Enabled ItemsPerMessage[SetVariableMonitoring] BytesPerMessage[SetVariableMonitoring]
DisplayMessageCtrlr Enabled DisplayMessages SupportedFormats SupportedPriorities
"""
"""The same for controllers that are Available."""
EACH_EVSE = ("Available", "AvailabilityState", "SupplyPhases", "Power")
EACH_CONNECTOR = ("Available", "AvailabilityState", "ConnectorType", "SupplyPhases")
Place = tuple[int | None, int | None]
_ids = iter(range(1000, 10_000))


# ---------------------------------------------------------------------------------------------- words


def report(lab: Lab, base: str) -> list[Json]:
    """GetBaseReport; every row."""
    id = next(_ids)
    lab.call("GetBaseReport", {"requestId": id, "reportBase": base}, status="Accepted")
    return _rows(lab, id)


def _custom(lab: Lab, *wanted: Json, criteria: tuple[str, ...] = ()) -> list[Json]:
    id = next(_ids)
    lab.call("GetReport", _request(id, wanted, criteria), status="Accepted")
    return _rows(lab, id)


def _request(id: int, wanted: tuple[Json, ...], criteria: tuple[str, ...]) -> Json:
    parts = {"componentVariable": list(wanted), "componentCriteria": list(criteria)}
    return {"requestId": id, **{name: part for name, part in parts.items() if part}}


def _wanted(component: str, variable: str, instance: str | None = None, evse: int | None = None) -> Json:
    place = {} if evse is None else {"evse": {"id": evse}}
    named = {"name": variable} | ({} if instance is None else {"instance": instance})
    return {"component": {"name": component, **place}, "variable": named}


def _rows(lab: Lab, id: int) -> list[Json]:
    """What was reported, once the last part is here; the parts are numbered, dated and described."""

    def parts() -> list[Json]:
        return [frame.payload for frame in lab.bench.calls("NotifyReport") if frame.payload["requestId"] == id]

    lab.bench.wait_until("the last NotifyReport", lambda: parts() and not parts()[-1].get("tbc", False), REPORT_S)
    lab.check("seqNo of the parts", [part["seqNo"] for part in parts()], list(range(len(parts()))))
    lab.check("tbc of the parts", [bool(part.get("tbc")) for part in parts()], [True] * (len(parts()) - 1) + [False])
    for part in parts():
        datetime.fromisoformat(part["generatedAt"])
    rows = [row for part in parts() for row in part.get("reportData", ())]
    for row in rows:
        _described(lab, row)
    return rows


def _described(lab: Lab, row: Json) -> None:
    kind = row.get("variableCharacteristics", {}).get("dataType")
    lab.check(f"{_name(row)}: variableCharacteristics", kind is not None, True)
    if kind in LISTS:
        lab.check(f"{_name(row)}: valuesList", bool(row["variableCharacteristics"].get("valuesList")), True)


def _name(row: Json) -> str:
    """A.B or A.B[instance]."""
    instance = row["variable"].get("instance")
    return f"{row['component']['name']}.{row['variable']['name']}" + (f"[{instance}]" if instance else "")


def _at(row: Json) -> Place:
    place = row["component"].get("evse", {})
    return place.get("id"), place.get("connectorId")


def _attribute(row: Json) -> Json:
    attribute: Json = row["variableAttribute"][0]
    return attribute


def _complete(lab: Lab, rows: list[Json], *, only: frozenset[str] | None = None) -> None:
    """Every variable that must be there is; `only`: of those, the ones that can be written."""
    names = {_name(row) for row in rows}
    for name in _required(rows):
        if only is None or name in only:
            lab.check(f"{name} is reported", name in names, True)


def _required(rows: list[Json]) -> list[str]:
    there = {row["component"]["name"] for row in rows if _name(row).endswith(".Available") and _value(row) == "true"}
    lines = [line.split() for line in REQUIRED.split("\n") if line]
    lines += [line.split() for line in WHERE_AVAILABLE.split("\n") if line and line.split()[0] in there]
    return [f"{component}.{variable}" for component, *variables in lines for variable in variables]


def _value(row: Json) -> str | None:
    value: str | None = _attribute(row).get("value")
    return value


# ---------------------------------------------------------------------------------------------- base reports


@case("TC_B_12")
def configuration(lab: Lab) -> None:
    full = report(lab, "FullInventory")
    writable = frozenset(_name(row) for row in full if _attribute(row)["mutability"] != "ReadOnly")
    rows = report(lab, "ConfigurationInventory")
    for row in rows:
        lab.check(f"mutability of {_name(row)}", _attribute(row)["mutability"], ("ReadWrite", "WriteOnly"))
    _complete(lab, rows, only=writable)
    lab.check("what can be written", frozenset(map(_name, rows)), writable)


@case("TC_B_13")
def everything(lab: Lab) -> None:
    _complete(lab, report(lab, "FullInventory"))


@case("TC_B_53")
def everything_that_is_required(lab: Lab) -> None:
    rows = report(lab, "FullInventory")
    _complete(lab, rows)
    for evse in lab.bench.outfits():
        _has(lab, rows, "EVSE", (evse, None), EACH_EVSE)
        _has(lab, rows, "Connector", (evse, lab.connector), EACH_CONNECTOR)
    for row in rows:
        _consistent(lab, row)


def _has(lab: Lab, rows: list[Json], component: str, place: Place, variables: tuple[str, ...]) -> None:
    here = [row for row in rows if (row["component"]["name"], _at(row)) == (component, place)]
    missing = set(variables) - {row["variable"]["name"] for row in here}
    lab.check(f"what {component} {place} lacks", sorted(missing), [])


def _consistent(lab: Lab, row: Json) -> None:
    """A value is there unless it is a secret, and one of a list is in the list."""
    value, kind = _value(row), row["variableCharacteristics"]
    secret = _attribute(row)["mutability"] == "WriteOnly"
    if _name(row) != "EVSE.Power":
        lab.check(f"{_name(row)} has a value", value is not None, not secret)
    else:
        lab.check("EVSE.Power has a maxLimit", kind.get("maxLimit") is not None, True)
    if value and kind["dataType"] in LISTS:
        unknown = set(value.split(",")) - {item.strip() for item in kind["valuesList"].split(",")}
        lab.check(f"values of {_name(row)} that are not in its list", sorted(unknown), [])


@case("TC_B_14")
def summary(lab: Lab) -> None:
    rows = {(_name(row), *_at(row)): _value(row) for row in report(lab, "SummaryInventory")}
    lab.check("ChargingStation.AvailabilityState", ("ChargingStation.AvailabilityState", None, None) in rows, True)
    for evse in lab.bench.outfits():
        lab.check(f"EVSE.AvailabilityState of {evse}", ("EVSE.AvailabilityState", evse, None) in rows, True)
    for (name, *place), value in rows.items():
        if not name.endswith(".AvailabilityState"):
            lab.check(f"{name} at {place}", value, "true")


@case("TC_B_15")
def no_summary(lab: Lab) -> None:
    before = len(lab.bench.calls("NotifyReport"))
    lab.call("GetBaseReport", {"requestId": next(_ids), "reportBase": "SummaryInventory"}, status="NotSupported")
    lab.bench.wait(5)
    lab.check("NotifyReport", len(lab.bench.calls("NotifyReport")), before)


# ---------------------------------------------------------------------------------------------- custom reports


@case("TC_B_16")
def by_criteria(lab: Lab) -> None:
    full = {(_name(row), *_at(row)) for row in report(lab, "FullInventory") if _is_enabled(row)}
    found = _custom(lab, criteria=("Enabled",))
    enabled = [row for row in found if row["variable"]["name"] == "Enabled"]
    lab.check("Enabled variables", {(_name(row), *_at(row)) for row in enabled}, full)
    asked = [{"component": row["component"], "variable": row["variable"]} for row in enabled]
    for result in lab.bench.call("GetVariables", {"getVariableData": asked})["getVariableResult"]:
        name = result["component"]["name"]
        lab.check(f"GetVariables {name}.Enabled", result["attributeStatus"], "Accepted")
        lab.check(f"{name}.Enabled", result.get("attributeValue"), "true")


def _is_enabled(row: Json) -> bool:
    return row["variable"]["name"] == "Enabled" and _value(row) == "true"


@case("TC_B_17")
def one_variable(lab: Lab) -> None:
    _availability(lab, _custom(lab, _wanted("EVSE", "AvailabilityState", evse=lab.evse)))


def _availability(lab: Lab, rows: list[Json]) -> None:
    lab.check("rows", [(_name(row), *_at(row)) for row in rows], [("EVSE.AvailabilityState", lab.evse, None)])
    (row,) = rows
    kind = row["variableCharacteristics"]
    lab.check("dataType", kind["dataType"], "OptionList")
    lab.check("valuesList", [item.strip() for item in kind["valuesList"].split(",")], AVAILABILITY)
    lab.check("mutability", _attribute(row)["mutability"], "ReadOnly")
    lab.check("type", _attribute(row).get("type", "Actual"), "Actual")


@case("TC_B_18")
def by_criteria_and_variable(lab: Lab) -> None:
    wanted = _wanted("EVSE", "AvailabilityState", evse=lab.evse)
    _availability(lab, _custom(lab, wanted, criteria=("Available",)))
    before = len(lab.bench.calls("NotifyReport"))
    lab.call("GetReport", _request(next(_ids), (wanted,), ("Problem",)), status="EmptyResultSet")
    lab.bench.wait(2)
    lab.check("NotifyReport", len(lab.bench.calls("NotifyReport")), before)


@case("TC_B_19")
def by_an_unknown_criterion(lab: Lab) -> None:
    raise NotApplicable("all criteria that the schema knows are supported")


@case("TC_B_54")
def every_instance(lab: Lab) -> None:
    rows = _custom(lab, _wanted("DeviceDataCtrlr", "ItemsPerMessage"))
    lab.check("variables", {row["variable"]["name"] for row in rows}, {"ItemsPerMessage"})
    missing = {"GetReport", "GetVariables"} - {row["variable"].get("instance") for row in rows}
    lab.check("instances that are missing", sorted(missing), [])


@case("TC_B_55")
def one_instance(lab: Lab) -> None:
    rows = _custom(lab, _wanted("DeviceDataCtrlr", "ItemsPerMessage", "GetReport"))
    lab.check("rows", [_name(row) for row in rows], ["DeviceDataCtrlr.ItemsPerMessage[GetReport]"])


@case("TC_B_56")
def every_evse(lab: Lab) -> None:
    rows = _custom(lab, _wanted("EVSE", "AvailabilityState"))
    lab.check("EVSEs", sorted(_at(row)[0] or 0 for row in rows), sorted(lab.bench.outfits()))
