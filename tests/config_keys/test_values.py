"""Values in force: defaults, presets, the store, refusals, narrowing."""

from __future__ import annotations

import decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_keys import comm, physical, registry, sampled, security, site, smart_charging, tx
from config_keys.key import RO, Key
from config_keys.values import Values, format_name, parse_name
from tests.marks import req

EVSES = {1: [1, 2], 2: [1]}


def station() -> Values:
    """Two EVSEs, three connectors, nothing preset."""
    return Values(EVSES, {})


def test_a_new_station_has_the_defaults() -> None:
    values = station()
    assert values[tx.TX_START_POINT] == ("PowerPathClosed",)
    assert values[site.OFFLINE_LIMIT] == decimal.Decimal(6)
    assert values.text(sampled.TX_UPDATED_MEASURANDS) == (
        "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage"
    )
    assert values.at(site.EVSE_MAX_CURRENT, 2) == 80
    assert values.get(physical.MODEL) is None
    assert values.text(physical.MODEL) == ""


def test_a_key_exists_where_its_scope_says() -> None:
    values = station()
    assert values.places(tx.TX_START_POINT) == ((None, None),)
    assert values.places(physical.POWER) == ((1, None), (2, None))
    assert values.places(physical.CONNECTOR_TYPE) == ((1, 1), (1, 2), (2, 1))
    assert values.has(physical.POWER, 2) and not values.has(physical.POWER, 3)
    assert not values.has(physical.POWER) and not values.has(tx.TX_START_POINT, 1)


def test_asking_where_there_is_nothing_is_a_bug() -> None:
    values = station()
    with pytest.raises(AssertionError, match=r"EVSE.Power does not exist here"):
        values.get(physical.POWER)
    with pytest.raises(AssertionError, match=r"ChargingStation.Model has no value"):
        values.at(physical.MODEL)
    with pytest.raises(AssertionError, match=r"EVSE.Power@3"):
        values.put(physical.POWER, decimal.Decimal(1), 3)


def test_presets_reach_any_variable_by_any_name() -> None:
    values = Values(
        EVSES,
        {
            "EVSE.Power@1": "11040.50",
            "connector.connectortype@1.2": "sType2",
            "LimitCtrlr.EvseMaxCurrent@2": "16",
            "LimitCtrlr.EvseMaxCurrent": "32",
            "MeterValueSampleInterval": "10",
            "OCPPCommCtrlr.MessageAttempts[TransactionEvent]": "7",
            "SafetyCtrlr.ContactorTravelTime": "0.5",
            "OCPPCommCtrlr.NetworkConfigurationPriority": "1, 0",
        },
    )
    assert values.text(physical.POWER, 1) == "11040.5"
    assert values.text(physical.POWER, 2) == ""
    assert values.at(physical.CONNECTOR_TYPE, 1, 2) == "sType2"
    assert values.at(physical.CONNECTOR_TYPE, 1, 1) == "cType2"
    assert [values.text(site.EVSE_MAX_CURRENT, evse) for evse in EVSES] == ["32", "16"]
    assert values[sampled.TX_UPDATED_INTERVAL] == 10
    assert values[comm.MESSAGE_ATTEMPTS] == 7
    assert values[site.CONTACTOR_TRAVEL] == decimal.Decimal("0.5")
    assert values[comm.NETWORK_CONFIGURATION_PRIORITY] == ("1", "0")


def test_wrong_presets_are_all_named_at_once() -> None:
    with pytest.raises(ValueError) as wrong:
        Values(
            EVSES,
            {
                "FallbackCtrlr.OfflineLimit": "90",
                "FallbackCtrlr.OflineGrace": "3",
                "EVSE.Power@7": "3",
                "TxCtrlr.TxStartPoint@1": "Authorized",
                "nonsense@x": "1",
                "SecurityCtrlr.BasicAuthPassword": "tooshort",
            },
        )
    text = str(wrong.value)
    assert "FallbackCtrlr.OfflineLimit: expected a number from 0 to 80, found '90'" in text
    assert "FallbackCtrlr.OflineGrace: no such variable; did you mean FallbackCtrlr.OfflineGrace" in text
    assert "EVSE.Power@7: does not exist here; expected one of EVSE.Power@1, EVSE.Power@2" in text
    assert "TxCtrlr.TxStartPoint@1: does not exist here" in text
    assert "nonsense@x: no such variable" in text
    assert "SecurityCtrlr.BasicAuthPassword: expected text of 16 to 64" in text
    assert "tooshort" not in text


@req("B05.FR.07", "B05.FR.08", "B05.FR.09")
@pytest.mark.parametrize(
    ("key", "text", "reason", "info"),
    [
        (site.OFFLINE_LIMIT, "80.1", "ValueTooHigh", "expected a number from 0 to 80, found '80.1'"),
        (site.OFFLINE_LIMIT, "-1", "ValueTooLow", "expected a number from 0 to 80, found '-1'"),
        (comm.WEB_SOCKET_PING_INTERVAL, "-1", "ValueTooLow", "from 0 to 86400"),
        (comm.HEARTBEAT_INTERVAL, "soon", "InvalidValue", "expected a whole number, 1 or more, found 'soon'"),
        (tx.TX_START_POINT, "Authorized,Sometime", "InvalidValue", "found 'Sometime'"),
        (security.IDENTITY, "a:b", "InvalidValue", "without a colon"),
        (security.IDENTITY, "x" * 49, "TooLargeElement", "1 to 48"),
        (smart_charging.RATE_UNIT, "A", "ReadOnly", "SmartChargingCtrlr.RateUnit is read-only."),
        (site.EV_MINIMUM, "5", "ReadOnly", "IEC 61851-1 knows no current below 6 A."),
    ],
)
def test_a_refusal_says_why(key: Key[Any], text: str, reason: str, info: str) -> None:
    refusal = station().check(key, text)
    assert refusal is not None
    assert refusal.reason_code == reason
    assert info in refusal.info


def test_a_refusal_does_not_repeat_a_password() -> None:
    refusal = station().check(security.BASIC_AUTH_PASSWORD, "hunter2")
    assert refusal is not None and "hunter2" not in refusal.info


@req("B05.FR.10")
def test_what_was_checked_is_set() -> None:
    values = station()
    assert values.check(site.OFFLINE_LIMIT, "10.0") is None
    values.set(site.OFFLINE_LIMIT, "10.0")
    assert values.text(site.OFFLINE_LIMIT) == "10"
    values.set(site.EVSE_MAX_CURRENT, "13", 2)
    assert [values.text(site.EVSE_MAX_CURRENT, evse) for evse in EVSES] == ["80", "13"]
    with pytest.raises(AssertionError, match="ValueTooHigh"):
        values.set(site.OFFLINE_LIMIT, "100")
    with pytest.raises(AssertionError, match="ReadOnly"):
        values.set(smart_charging.RATE_UNIT, "A")


def test_a_value_that_needs_a_reboot_waits_for_it() -> None:
    values = station()
    values.set(comm.NETWORK_CONFIGURATION_PRIORITY, "1,0")
    assert values[comm.NETWORK_CONFIGURATION_PRIORITY] == ("0",)
    assert values.text(comm.NETWORK_CONFIGURATION_PRIORITY) == "1,0"
    again = station()
    assert again.load({"OCPPCommCtrlr.NetworkConfigurationPriority": "1,0"}) == []
    assert again[comm.NETWORK_CONFIGURATION_PRIORITY] == ("1", "0")


def test_the_station_updates_what_others_may_only_read() -> None:
    values = station()
    values.put(physical.POWER, decimal.Decimal("11000.0"), 1)
    values.put(site.EFFECTIVE_LIMIT, 16.1, 1)
    values.put(physical.CONNECTOR_AVAILABILITY_STATE, "Occupied", 1, 2)
    assert values.get(site.EFFECTIVE_LIMIT, 1) == decimal.Decimal("16.1")
    assert values.text(physical.POWER, 1) == "11000"
    assert values.text(physical.CONNECTOR_AVAILABILITY_STATE, 1, 2) == "Occupied"
    values.put(physical.POWER, None, 1)
    assert values.get(physical.POWER, 1) is None
    with pytest.raises(TypeError):
        values.put(physical.CONNECTOR_AVAILABILITY_STATE, "Ocupied", 1, 2)


def test_the_store_is_taken_and_complained_of_where_it_no_longer_fits() -> None:
    values = Values(EVSES, {"FallbackCtrlr.OfflineGrace": "20"})
    complaints = values.load(
        {
            "FallbackCtrlr.OfflineGrace": "40",
            "LimitCtrlr.EvseMaxCurrent@1": "20",
            "FallbackCtrlr.OfflineLimit": "lots",
            "Old.Variable": "1",
            "EVSE.Power@1": "3",
            "LimitCtrlr.EvseMaxCurrent@9": "6",
            "TxCtrlr.TxStopPoint": 5,
        }
    )
    assert values[site.OFFLINE_GRACE] == 40
    assert values.at(site.EVSE_MAX_CURRENT, 1) == 20
    assert values[site.OFFLINE_LIMIT] == 6
    assert values[tx.TX_STOP_POINT] == ("EVConnected", "Authorized")
    assert [complaint.partition(":")[0] for complaint in sorted(complaints)] == [
        "EVSE.Power@1",
        "FallbackCtrlr.OfflineLimit",
        "LimitCtrlr.EvseMaxCurrent@9",
        "Old.Variable",
        "TxCtrlr.TxStopPoint",
    ]


def test_hardware_narrows_what_is_accepted() -> None:
    values = Values(EVSES, {"LimitCtrlr.EvseMaxCurrent@1": "32"})
    complaints = values.narrow(site.EVSE_MAX_CURRENT, max=16.0)
    assert complaints == [
        "LimitCtrlr.EvseMaxCurrent@1: 32 became 16: here it must be a number from 0 to 16.0"
    ]
    assert values.at(site.EVSE_MAX_CURRENT, 1) == values.at(site.EVSE_MAX_CURRENT, 2) == 16
    refusal = values.check(site.EVSE_MAX_CURRENT, "17", 1)
    assert refusal is not None and refusal.reason_code == "ValueTooHigh"
    assert values.narrow(site.EVSE_MAX_CURRENT, max=10, evse=2) == []
    assert values.type_of(site.EVSE_MAX_CURRENT, 2).max_limit == 10
    assert values.check(site.EVSE_MAX_CURRENT, "16", 1) is None


def test_measurands_are_narrowed_to_what_the_meter_has() -> None:
    values = station()
    has = ["Energy.Active.Import.Register", "Power.Active.Import"]
    assert values.narrow(sampled.TX_UPDATED_MEASURANDS, values=has) == []
    assert values[sampled.TX_UPDATED_MEASURANDS] == tuple(has)
    refusal = values.check(sampled.TX_UPDATED_MEASURANDS, "Voltage")
    assert refusal is not None and "Energy.Active.Import.Register, Power.Active.Import" in refusal.info
    assert values.load({"SampledDataCtrlr.TxUpdatedMeasurands": "Voltage"}) != []


def test_a_key_can_be_locked_on_this_station() -> None:
    values = station()
    values.lock(comm.UNLOCK_ON_EV_SIDE_DISCONNECT, "The cable is fixed.")
    refusal = values.check(comm.UNLOCK_ON_EV_SIDE_DISCONNECT, "true")
    assert refusal is not None and (refusal.reason_code, refusal.info) == ("ReadOnly", "The cable is fixed.")
    assert values.access(comm.UNLOCK_ON_EV_SIDE_DISCONNECT) is RO


@given(st.data())
def test_every_scoped_name_reads_back(data: st.DataObject) -> None:
    values = station()
    key = data.draw(st.sampled_from(registry.all_keys()))
    place = data.draw(st.sampled_from(values.places(key)))
    assert parse_name(format_name(key, *place)) == (key, *place)


@req("B05.FR.07")
@given(st.sampled_from(registry.all_keys()), st.text(max_size=60))
def test_no_text_breaks_the_station(key: Key[Any], text: str) -> None:
    values = station()
    place = values.places(key)[0]
    before = values.text(key, *place)
    refusal = values.check(key, text, *place)
    if refusal is None:
        values.set(key, text, *place)
        assert values.load({format_name(key, *place): values.text(key, *place)}) == []
    else:
        assert len(refusal.reason_code) <= 20 and len(refusal.info) <= 512
        assert values.text(key, *place) == before
