"""C02 to C06: buttons, codes and other tokens; what the CSMS is asked, what nobody may read, what comes late."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.core.evse import Token
from agent.io.logs import StationLog
from agent.io.redaction import Redactor
from hal.ports import FaultRaised
from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    OTHER,
    QUIET,
    charging,
    first,
    get_variable,
    heard,
    idle,
    list_entry,
    remote_start,
    send_list,
    set_variable,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

BUTTON = {**QUIET, "FreeCharging.StartButton": "true"}
CODE = "735192"


def asks(world: World) -> int:
    return len(heard(world, "Authorize"))


# ---------------------------------------------------------------------------------------- C02


@req("C02.FR.01", "C01.FR.01")
def test_a_start_button_starts_and_stops_without_any_token() -> None:
    world = idle(keys=BUTTON)
    world.ev(1).plugs_in()
    world.runs(seconds=20)
    assert not world.outlets[1].permitted
    world.ev(1).presents("", kind="NoAuthorization")
    world.runs(seconds=30)
    assert world.outlets[1].amps > 6 and asks(world) == 0
    assert first(world.csms.transaction(1))["idToken"] == {"idToken": "", "type": "NoAuthorization"}
    world.ev(1).presents("", kind="NoAuthorization")
    world.runs(seconds=30)
    assert world.csms.transaction(1).stopped_reason == "Local"
    world.settles()


@req("C01.FR.01")
def test_a_start_button_does_nothing_unless_the_key_says_so() -> None:
    world = idle(keys=QUIET)
    world.ev(1).plugs_in().presents("", kind="NoAuthorization")
    world.runs(seconds=60)
    assert not world.outlets[1].permitted and not world.csms.transactions


@req("C02.FR.01")
def test_a_start_button_works_offline_too() -> None:
    world = idle(keys=BUTTON)
    world.csms.vanishes()
    world.ev(1).after(seconds=5).plugs_in().presents("", kind="NoAuthorization")
    world.runs(seconds=60)
    assert world.outlets[1].amps >= 6


@req("C01.FR.01", "C02.FR.01")
@pytest.mark.parametrize("card", [None, CARD])
def test_without_authorization_everybody_charges_and_nobody_is_asked(card: str | None) -> None:
    """AuthCtrlr.Enabled false: a card that is shown before the cable is passed through."""
    world = idle(keys={**QUIET, "AuthCtrlr.Enabled": "false"})
    world.csms.known_tokens = set()
    driver = world.ev(1)
    if card is not None:
        driver.presents(card)
    driver.plugs_in()
    world.runs(seconds=30)
    assert asks(world) == 0
    assert first(world.csms.transaction(1))["idToken"]["idToken"] == (card or "")


@req("C01.FR.01", "C06.FR.01")
def test_switching_authorization_on_needs_no_restart() -> None:
    world = idle(keys={**QUIET, "FreeCharging.Enabled": "true", "FreeCharging.IdToken": "AUTOSTART"})
    world.ev(1).plugs_in()
    world.runs(seconds=30)
    assert first(world.csms.transaction(1))["idToken"] == {"idToken": "AUTOSTART", "type": "Central"}
    world.ev(1).unplugs()
    world.runs(seconds=20)
    set_variable(world, "FreeCharging.Enabled", "false")
    world.ev(1).plugs_in()
    world.runs(seconds=30)
    assert not world.outlets[1].permitted


# ---------------------------------------------------------------------------------------- C06, C07


@req("C06.FR.01", "C06.FR.02", "C01.FR.02", "C06.FR.03", "C01.FR.04")
@pytest.mark.parametrize("kind", ["Local", "ISO15693", "MacAddress", "KeyCode"])
def test_every_type_of_token_is_asked_for_as_what_it_is(kind: Any) -> None:
    world = idle(keys=QUIET)
    world.ev(1).plugs_in()
    world.runs(seconds=20)
    assert not world.outlets[1].permitted and asks(world) == 0
    world.ev(1).presents("TICKET-17", kind=kind)
    world.runs(seconds=30)
    assert world.csms.requests("Authorize") == [{"idToken": {"idToken": "TICKET-17", "type": kind}}]
    assert world.outlets[1].amps > 6


@req("C01.FR.01")
def test_contract_certificates_are_not_available_and_a_contract_starts_nothing() -> None:
    """C07 needs an ISO 15118 controller; without one its tokens are turned away."""
    world = idle(keys={**QUIET, **OFFLINE_FOR_ALL, "AuthCtrlr.LocalPreAuthorize": "true"})
    assert "eMAID" not in (get_variable(world, "AuthCtrlr.SupportedIdTokenTypes") or "")
    world.ev(1).plugs_in().presents("DE8AA1A2B3C4D5", kind="eMAID")
    world.runs(seconds=60)
    assert not world.outlets[1].permitted and asks(world) == 0


@req("C01.FR.04")
def test_a_card_where_nothing_can_start_or_end_is_not_asked_for() -> None:
    world = idle(keys=QUIET)
    world.hear(FaultRaised(1, "emergency_stop"))
    world.ev(1).presents(CARD)
    world.runs(seconds=20)
    assert asks(world) == 0


# ---------------------------------------------------------------------------------------- C04


@req("C04.FR.04")
def test_a_code_is_in_no_note_and_in_no_text_made_of_it() -> None:
    world = idle(keys={**QUIET, "AuthCtrlr.LocalPreAuthorize": "true"})
    for status in ("Accepted", "Invalid"):
        world.csms.token_info["*"] = {"status": status}
        world.ev(1).plugs_in().presents(CODE, kind="KeyCode")
        world.runs(seconds=30)
        world.ev(1).unplugs()
        world.runs(seconds=20)
    world.csms.vanishes()
    world.ev(1).plugs_in().presents(CODE + "0", kind="KeyCode")
    world.runs(seconds=30)
    assert not [note for note in world.notes if CODE in note[3]]
    assert CODE not in f"{Token(CODE, 'KeyCode')}" and CARD in f"{Token(CARD, 'ISO14443')}"


@req("C04.FR.04")
def test_a_code_is_not_in_the_log_of_frames(tmp_path: Path) -> None:
    world = idle(keys=QUIET)
    world.ev(1).plugs_in().presents(CODE, kind="KeyCode")
    world.runs(seconds=30)
    remote_start(world, 5, CODE, type="KeyCode")
    send_list(world, {**list_entry(CODE), "idToken": {"type": "KeyCode", "idToken": CODE}})
    log = StationLog(tmp_path / "station.log.gz", lambda: 0, Redactor(b"salt"))
    for frame in world.csms.frames:
        log.seen(">", 1, json.dumps(frame.message))
    log.seen("<", 1, f'[2,"x","RequestStartTransaction",{{"idToken":{{"idToken":"{CODE}","type":"KeyCode"}}')
    text = json.dumps(log.recent(1000))
    assert CODE not in text and text.count("KeyCode") >= 4


@req("C04.FR.06")
def test_guessing_codes_takes_longer_and_longer() -> None:
    world = idle(keys=QUIET)
    world.csms.known_tokens = {CODE}
    driver = world.ev(1).plugs_in()
    for guess in range(60):
        driver.after(seconds=10).presents(f"{guess:06}", kind="KeyCode")
    world.runs(minutes=11)
    assert 5 < asks(world) < 12
    driver.presents(CODE, kind="KeyCode")
    world.runs(seconds=30)
    assert not world.outlets[1].permitted, "even the right one has to wait now"
    driver.presents(CARD)
    world.runs(seconds=5)
    before = asks(world)
    world.runs(hours=2)
    driver.presents(CODE, kind="KeyCode")
    world.runs(seconds=30)
    assert world.outlets[1].amps > 6 and asks(world) == before + 1


@req("C04.FR.06")
def test_mistyping_twice_costs_nothing() -> None:
    world = idle(keys=QUIET)
    world.csms.known_tokens = {CODE}
    driver = world.ev(1).plugs_in()
    for typed in ("1", "2", CODE):
        driver.after(seconds=5).presents(typed, kind="KeyCode")
    world.runs(seconds=60)
    assert world.outlets[1].amps > 6


# ---------------------------------------------------------------------------------------- the keys, F01


@req("C01.FR.02", "F01.FR.01", "C14.FR.02")
def test_a_remote_start_that_is_to_be_authorised_uses_the_list_like_a_card() -> None:
    world = idle(keys={**QUIET, "AuthCtrlr.LocalPreAuthorize": "true"})
    send_list(world, list_entry(CARD))
    world.ev(1).plugs_in()
    world.runs(seconds=5)
    assert remote_start(world, 7, evseId=1)["status"] == "Accepted"
    world.runs(seconds=30)
    assert world.outlets[1].amps > 6 and asks(world) == 0
    assert first(world.csms.transaction(1))["triggerReason"] == "RemoteStart"
    world.settles()


@pytest.mark.parametrize(("known", "charges"), [(True, True), (False, False)])
@pytest.mark.parametrize("way", ["card", "remote"])
def test_with_remote_authorization_disabled_the_csms_is_never_asked(known: bool, charges: bool, way: str) -> None:
    world = idle(keys={**QUIET, "AuthCtrlr.DisableRemoteAuthorization": "true"})
    if known:
        send_list(world, list_entry(CARD))
    world.ev(1).plugs_in()
    world.runs(seconds=5)
    if way == "card":
        world.ev(1).presents(CARD)
    else:
        remote_start(world, 7, evseId=1)
    world.runs(seconds=30)
    assert asks(world) == 0 and (world.outlets[1].amps > 6) is charges


# ---------------------------------------------------------------------------------------- late and lost answers


@req("C01.FR.01", "C13.FR.02")
@pytest.mark.parametrize("allowed", ["true", "false"])
def test_a_link_that_breaks_during_the_question_makes_it_an_offline_matter(allowed: str) -> None:
    world = idle(keys={**QUIET, "AuthCtrlr.OfflineTxForUnknownIdEnabled": allowed})
    world.csms.ignores("Authorize")
    world.ev(1).plugs_in().presents(CARD)
    world.runs(seconds=5)
    assert not world.outlets[1].permitted and asks(world) == 1
    world.csms.vanishes()
    world.runs(seconds=30)
    assert world.outlets[1].permitted is (allowed == "true")


@req("C01.FR.01")
def test_an_impatient_driver_gets_one_session() -> None:
    """The card is shown three times while the CSMS thinks: the later answers do not end what the first began."""
    world = idle(keys=QUIET)
    world.csms.latency_ms = (12_000, 12_000)
    driver = world.ev(1).plugs_in()
    for _ in range(3):
        driver.after(seconds=4).presents(CARD)
    world.runs(minutes=3)
    assert world.outlets[1].amps > 6 and len(world.csms.transactions) == 1 and asks(world) == 3
    world.settles()


@req("C01.FR.01")
def test_while_the_csms_thinks_about_one_driver_another_is_served() -> None:
    """I7 of the buyers' list: a pending question blocks nobody."""
    world = idle((smart(16), raw(32)), keys={**QUIET, "AuthCtrlr.LocalPreAuthorize": "true"})
    send_list(world, list_entry(OTHER))
    world.csms.ignores("Authorize")
    world.ev(1).plugs_in().presents(CARD)
    world.ev(2).after(seconds=3).plugs_in().presents(OTHER)
    world.runs(seconds=20)
    assert world.outlets[2].amps > 6 and not world.outlets[1].permitted


@req("C01.FR.02", "C09.FR.05")
def test_a_stranger_at_a_busy_evse_is_asked_for_and_changes_nothing() -> None:
    """TC_C_04."""
    world = charging(keys=QUIET)
    world.ev(1).presents(OTHER)
    world.runs(seconds=30)
    assert asks(world) == 2 and world.outlets[1].amps > 6
    world.settles()
