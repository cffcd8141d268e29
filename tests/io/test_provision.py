"""Roots that an installer brings along: taken once, known to the store by the same name, counted at every start."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.io import pki
from agent.io.provision import provision
from hil.pki import root
from tests.marks import req

CSMS = "CSMSRootCertificate"


@req("A05.FR.02", "A00.FR.004")
def test_the_roots_of_the_installers_file_are_taken_where_there_are_none(tmp_path: Path) -> None:
    file = tmp_path / "roots.pem"
    file.write_text("Subject: somebody\n" + root("One").pem + "\n" + root("Two").pem)
    for _ in range(2):
        assert provision(tmp_path, file) == {"entries": 2, "roots": 2, "fallbacks": 0}
    store = pki.Store(tmp_path)
    assert {entry.certificate for entry in store.entries()} == {root("One").certificate, root("Two").certificate}
    assert store.counts() == provision(tmp_path, None)
    for name in ("One", "Two"):
        store.delete(root(name).hashes(), last_root_stays=False)
    store._write(CSMS, root("Another").certificate)
    assert provision(tmp_path, file)["roots"] == 1, "what the CSMS has installed since counts"


def test_a_file_without_a_certificate_is_a_mistake_of_the_installer(tmp_path: Path) -> None:
    file = tmp_path / "roots.pem"
    file.write_text("banana")
    with pytest.raises(ValueError, match="no certificate"):
        provision(tmp_path, file)
    with pytest.raises(OSError, match="No such file"):
        provision(tmp_path, tmp_path / "nothing")
    assert provision(tmp_path, None) == {"entries": 0, "roots": 0, "fallbacks": 0}
