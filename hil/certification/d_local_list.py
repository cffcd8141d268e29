"""D: the local authorization list and its version."""

from __future__ import annotations

from collections.abc import Mapping

from hil.certification.registry import case
from hil.certification.states import OTHER_CARD, Lab, list_entry
from hil.certification.talk import CARD
from hil.csms import TokenAnswer

VERSION = 5


@case("TC_D_01")
def full(lab: Lab) -> None:
    _send(lab, "Full", VERSION, {CARD: TokenAnswer()})
    _has_version(lab, VERSION)


@case("TC_D_02")
def differential_update(lab: Lab) -> None:
    _send(lab, "Full", VERSION, {CARD: TokenAnswer()})
    _send(lab, "Differential", VERSION + 1, {OTHER_CARD: TokenAnswer()})
    _has_version(lab, VERSION + 1)


@case("TC_D_03")
def differential_removal(lab: Lab) -> None:
    _send(lab, "Full", VERSION, {CARD: TokenAnswer()})
    _send(lab, "Differential", VERSION + 1, {CARD: None})
    _has_version(lab, VERSION + 1)


@case("TC_D_04")
def full_and_empty(lab: Lab) -> None:
    _send(lab, "Full", VERSION, {CARD: TokenAnswer()})
    _send(lab, "Full", VERSION, {})
    _has_version(lab, VERSION)


@case("TC_D_05")
def differential_and_empty(lab: Lab) -> None:
    _send(lab, "Full", VERSION, {CARD: TokenAnswer()})
    _send(lab, "Differential", VERSION + 1, {})
    _has_version(lab, VERSION + 1)


@case("TC_D_06")
def version_mismatch(lab: Lab) -> None:
    _send(lab, "Full", VERSION, {CARD: TokenAnswer()})
    _send(lab, "Differential", VERSION - 1, {OTHER_CARD: TokenAnswer()}, status="VersionMismatch")
    _has_version(lab, VERSION)


@case("TC_D_07")
def kept_over_a_reboot(lab: Lab) -> None:
    _send(lab, "Full", VERSION, {CARD: TokenAnswer()})
    lab.reboots()
    _has_version(lab, VERSION)


@case("TC_D_08")
def version(lab: Lab) -> None:
    _send(lab, "Full", VERSION, {CARD: TokenAnswer()})
    _has_version(lab, VERSION)


@case("TC_D_10")
def switched_off(lab: Lab) -> None:
    lab.write("LocalAuthListCtrlr.Enabled", "false")
    _has_version(lab, 0)


def _send(
    lab: Lab, kind: str, version: int, tokens: Mapping[str, TokenAnswer | None], status: str = "Accepted"
) -> None:
    request = {"versionNumber": version, "updateType": kind}
    entries = [list_entry(card, answer) for card, answer in tokens.items()]
    lab.call("SendLocalList", request | ({"localAuthorizationList": entries} if entries else {}), status=status)


def _has_version(lab: Lab, wanted: int) -> None:
    lab.call("GetLocalListVersion", {}, versionNumber=wanted)
