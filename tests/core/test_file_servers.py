"""SFTP is spoken only where the library is, and to servers whose keys were told."""

from __future__ import annotations

import pytest

from agent.core import file_servers
from agent.core.charger import Charger
from agent.core.site import EvseSite, Site
from agent.core.urls import Url
from config_keys.comm import FILE_TRANSFER_PROTOCOLS
from config_keys.security import SFTP_HOST_KEYS
from config_keys.values import Refusal, Values

ONE, OTHER = f"SHA256:{'a' * 42}A", f"SHA256:{'+/b' * 14}E"
URL = "sftp://me:secret@files.example/in/"


def keys_of(sftp: bool, **presets: str) -> Values:
    named = {"protocols": "OCPPCommCtrlr.FileTransferProtocols", "host_keys": "SecurityCtrlr.SftpHostKeys"}
    charger = Charger(
        Site("v", "m", "s", "1", (EvseSite(1, 32, 3),), sftp=sftp), {named[k]: v for k, v in presets.items()}, {}
    )
    assert bool(charger.complaints) == (not sftp and "host_keys" in presets)
    return charger.keys


@pytest.mark.parametrize("presets", [{}, {"host_keys": ONE}])
def test_without_the_library_there_is_no_sftp_and_the_key_says_so(presets: dict[str, str]) -> None:
    keys = keys_of(False, **presets)
    assert keys[FILE_TRANSFER_PROTOCOLS] == ("FTP", "FTPS", "HTTP", "HTTPS")
    assert "SFTP" not in keys.type_of(FILE_TRANSFER_PROTOCOLS).values_list
    refusal = keys.check(SFTP_HOST_KEYS, ONE)
    assert refusal is not None and refusal.reason_code == "ReadOnly" and "chargerd[sftp]" in refusal.info
    refused = file_servers.allowed_url(URL, keys)
    assert isinstance(refused, Refusal) and "chargerd[sftp]" in refused.info and "secret" not in refused.info


def test_sftp_is_refused_until_a_key_is_set_and_the_refusal_names_it() -> None:
    keys = keys_of(True)
    refused = file_servers.allowed_url(URL, keys)
    assert isinstance(refused, Refusal) and refused.reason_code == "InvalidURL"
    assert "SecurityCtrlr.SftpHostKeys" in refused.info and "SFTP" not in keys[FILE_TRANSFER_PROTOCOLS]
    keys = keys_of(True, host_keys=ONE)
    assert keys[FILE_TRANSFER_PROTOCOLS] == ("FTP", "FTPS", "HTTP", "HTTPS", "SFTP")
    assert file_servers.allowed_url(URL, keys) == Url("sftp", "files.example", 22, "/in/", "", "me", "secret")


def test_who_installs_can_rule_it_out() -> None:
    keys = keys_of(True, protocols="HTTPS", host_keys=ONE)
    refused = file_servers.allowed_url(URL, keys)
    assert keys[FILE_TRANSFER_PROTOCOLS] == ("HTTPS",) and isinstance(refused, Refusal)
    assert refused.info == "sftp is none of https"


@pytest.mark.parametrize("path", ["/in/../../etc/", "/%2e%2E/x", "/..%2fx", "/in/..", "/a%2F..%2Fb"])
def test_no_path_leads_upwards(path: str) -> None:
    refused = file_servers.allowed_url(f"sftp://files.example{path}", keys_of(True, host_keys=ONE))
    assert isinstance(refused, Refusal) and "upwards" in refused.info


def test_a_host_with_keys_of_its_own_is_known_by_these_alone() -> None:
    text = f"{ONE}, Files.example={OTHER}"
    assert file_servers.host_keys(text, "files.EXAMPLE") == {OTHER}
    assert file_servers.host_keys(text, "other.example") == {ONE}
    assert file_servers.host_keys(f"::1={ONE}", "::1") == {ONE}
    assert file_servers.host_keys(f"a={ONE}", "b") == file_servers.host_keys("", "b") == frozenset()


@pytest.mark.parametrize("text", ["", ONE, f"{ONE},{OTHER}", f"a.b-c={ONE} , 10.0.0.1={OTHER}"])
def test_what_ssh_keygen_prints_is_taken(text: str) -> None:
    assert keys_of(True).check(SFTP_HOST_KEYS, text) is None


@pytest.mark.parametrize(
    "text", ["yes", "*", ONE[:-1], ONE + "=", ONE.lower(), f"{ONE};{OTHER}", f"{ONE},", "MD5:00:11", f"a b={ONE}"]
)
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    refusal = keys_of(True).check(SFTP_HOST_KEYS, text)
    assert refusal is not None and refusal.reason_code == "InvalidValue" and "ssh-keygen" in refusal.info
