"""Addresses that a CSMS names for files."""

from __future__ import annotations

import pytest

from agent.core.urls import Url, checked_url
from config_keys.values import Refusal

ALL = ("FTP", "FTPS", "HTTP", "HTTPS")


def test_the_parts_of_a_good_address_are_plain_text_and_its_password_is_in_no_log() -> None:
    url = checked_url("ftp://us%40er:p%3Ass@files.example:2121/a%20b/fw.bin?v=1#part", ALL)
    assert url == Url("ftp", "files.example", 2121, "/a%20b/fw.bin", "?v=1", "us@er", "p:ss")
    assert isinstance(url, Url) and url.file == "/a b/fw.bin"
    assert "p:ss" not in repr(url) and url.text == "ftp://files.example:2121/a%20b/fw.bin"


@pytest.mark.parametrize(
    "text, host, port, path",
    [
        ("HTTPS://Example/x", "Example", 443, "/x"), ("http://[::1]:8000/x", "::1", 8000, "/x"),
        ("ftps://10.0.0.1", "10.0.0.1", 21, "/"),
    ],
)  # fmt: skip
def test_hosts_and_ports(text: str, host: str, port: int, path: str) -> None:
    url = checked_url(text, ALL)
    assert isinstance(url, Url) and (url.host, url.port, url.path) == (host, port, path)


@pytest.mark.parametrize(
    "text",
    [
        "dummy://dummy", "file:///etc/passwd", "/etc/passwd", "", "http://", "http:///x", "http:/x", "sftp://host/x",
        "http://host:0/x", "http://host:99999/x", "ftp://host/a%0d%0aDELE%20b", "ftp://us%0aer@host/a", "http://ho\nst/",
        "http://host/a b", "file://localhost/etc/passwd", "gopher://host/x", "http://host\\@other/x",
        "data:text/plain,x", "jar:http://x/",
    ],
)  # fmt: skip
def test_what_names_no_allowed_server_is_refused(text: str) -> None:
    refusal = checked_url(text, ALL)
    assert isinstance(refusal, Refusal) and refusal.reason_code == "InvalidURL"


def test_only_the_protocols_of_the_key_are_allowed() -> None:
    assert isinstance(checked_url("http://host/x", ("HTTPS",)), Refusal)
    assert isinstance(checked_url("https://host/x", ("HTTPS",)), Url)
