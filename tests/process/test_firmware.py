"""The real agent replaces itself: a release that works, one that finds no CSMS, one that does not start, and cuts."""

from __future__ import annotations

import gzip
import json
import tarfile
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from hil.file_server import Taken
from hil.firmware import RELEASES, agent_release, signature, this_tree
from hil.pki import issue, root
from hil.real_bench import RealBench
from hil.sftp_moods import Incoming
from hil.sftp_server import Door
from tests.io.sftp_servers import serving
from tests.marks import req
from tests.process.benches import ask, chargerctl, plan

MAKER = root("Maker", days=3650, since=-30)
SIGNER = issue("Signer", MAKER, days=3650, since=-30, ca=False)
ACTION = "FirmwareStatusNotification"
WAY = ["Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting"]
GATE_S, LONG_S = "15", 120.0


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBench]:
    """One station for the whole story: each test begins with the firmware that the last one has left."""
    planned = replace(plan(tmp_path_factory.mktemp("fw"), **{"FwCtrlr.HealthGate": GATE_S}), releases=True)
    with RealBench(planned) as running:
        running.wait_until("BootNotification", lambda: running.calls("BootNotification"))
        wanted = {"certificateType": "ManufacturerRootCertificate", "certificate": MAKER.pem}
        assert running.call("InstallCertificate", wanted)["status"] == "Accepted"
        yield running


def update(bench: RealBench, number: int, content: bytes) -> str:
    """UpdateFirmware, due at once."""
    firmware = {
        "location": bench.offer(f"fw{number}", content, 0.5), "retrieveDateTime": "2020-01-01T00:00:00Z",
        "signingCertificate": SIGNER.pem, "signature": signature(content, SIGNER),
    }  # fmt: skip
    return str(bench.call("UpdateFirmware", {"requestId": number, "firmware": firmware})["status"])


def told(bench: RealBench, number: int) -> list[str]:
    """Statuses of a request; one that came twice because its answer was lost counts once."""
    found = [f.payload["status"] for f in bench.calls(ACTION) if f.payload.get("requestId") == number]
    return list(dict.fromkeys(found))


def ends(bench: RealBench, number: int, status: str) -> None:
    bench.wait_until(status, lambda: status in told(bench, number), LONG_S)


def running_version(bench: RealBench) -> str:
    return str(bench.calls("BootNotification")[-1].payload["chargingStation"]["firmwareVersion"])


def current(bench: RealBench) -> str:
    return (bench.rig.home / RELEASES / "current").readlink().name


def state(bench: RealBench) -> dict[str, Any]:
    return ask(bench.rig, "fw.status") or {"state": "away"}


def why(bench: RealBench) -> str:
    """Why the last update failed; after a restart the CSMS may hear of it before the control socket is open."""
    bench.wait_until("a reason", lambda: "why" in state(bench))
    return str(state(bench)["why"])


@req("L01.FR.01", "L01.FR.10", "L01.FR.28", "L01.FR.31", "L01.FR.32")
def test_the_agent_replaces_itself(bench: RealBench) -> None:
    assert update(bench, 1, agent_release("0.2.0")) == "Accepted"
    ends(bench, 1, "Installed")
    assert told(bench, 1) == [*WAY, "Installed"]
    assert (running_version(bench), current(bench)) == ("0.2.0", "0.2.0")
    assert bench.calls("BootNotification")[-1].payload["reason"] == "FirmwareUpdate"
    bench.wait_until("FirmwareUpdated", lambda: "FirmwareUpdated" in kinds(bench))
    assert not (bench.rig.home / RELEASES / "trial").exists() and bench.violations() == []


def kinds(bench: RealBench) -> list[str]:
    return [frame.payload["type"] for frame in bench.calls("SecurityEventNotification")]


def test_an_older_release_is_not_taken(bench: RealBench) -> None:
    assert update(bench, 2, this_tree("0.1.9")) == "Accepted"
    ends(bench, 2, "InstallVerificationFailed")
    assert "older" in why(bench) and current(bench) == "0.2.0"


def test_a_release_that_never_connects_is_taken_back(bench: RealBench) -> None:
    assert update(bench, 3, this_tree("0.3.0", deaf=True)) == "Accepted"
    ends(bench, 3, "InstallationFailed")
    assert told(bench, 3) == [*WAY, "InstallationFailed"]
    assert "CSMS" in why(bench) and (running_version(bench), current(bench)) == ("0.2.0", "0.2.0")


def test_a_release_that_does_not_start_is_given_up_by_the_launcher(bench: RealBench) -> None:
    assert update(bench, 4, this_tree("0.4.0", dead=True)) == "Accepted"
    ends(bench, 4, "InstallationFailed")
    assert "did not start" in why(bench) and current(bench) == "0.2.0"


@pytest.mark.parametrize(("number", "status"), [(5, "Downloading"), (6, "Installing"), (7, "InstallRebooting")])
def test_a_power_cut_on_the_way_changes_only_the_time(bench: RealBench, number: int, status: str) -> None:
    assert update(bench, number, this_tree(f"0.{number}.0")) == "Accepted"
    ends(bench, number, status)
    bench.lose_power()
    bench.wait(0.2)
    bench.return_power()
    ends(bench, number, "Installed")
    assert current(bench) == f"0.{number}.0" and told(bench, number)[-1] == "Installed"


def test_a_person_does_the_same_with_a_file_and_goes_back(bench: RealBench, tmp_path: Path) -> None:
    file = tmp_path / "fw.tar.gz"
    file.write_bytes(content := this_tree("0.8.0"))
    refused = chargerctl(bench.rig, "fw", "install", str(file))
    assert refused.returncode == 1 and "signed" in refused.stderr
    (tmp_path / "fw.tar.gz.pem").write_text(SIGNER.pem)
    (tmp_path / "fw.tar.gz.sig").write_text(b64encode(b"wrong").decode())
    assert chargerctl(bench.rig, "fw", "install", str(file)).returncode == 0
    bench.wait_until("the refusal", lambda: state(bench).get("status") == "InvalidSignature", LONG_S)
    (tmp_path / "fw.tar.gz.sig").write_text(signature(content, SIGNER))
    assert chargerctl(bench.rig, "fw", "install", str(file)).returncode == 0
    bench.wait_until("Installed", lambda: (state(bench)["state"], current(bench)) == ("idle", "0.8.0"), LONG_S)
    bench.wait_until("the new one", lambda: state(bench).get("status") == "Installed", LONG_S)
    answer = chargerctl(bench.rig, "fw", "rollback", "--json")
    assert json.loads(answer.stdout) == {"status": "Accepted"}
    bench.wait_until("the old one", lambda: (state(bench)["state"], current(bench)) == ("idle", "0.7.0"), LONG_S)


def test_a_log_goes_to_an_sftp_server_once_its_key_is_told(bench: RealBench) -> None:
    door, taken = Door("s ecret"), list[Taken]()

    def get_log(port: int) -> str:
        log = {"remoteLocation": f"sftp://me:s%20ecret@127.0.0.1:{port}/in/"}
        return str(bench.call("GetLog", {"logType": "DiagnosticsLog", "requestId": 9, "log": log})["status"])

    with serving(lambda user: Incoming(taken, user), door) as port:
        assert get_log(port) == "Rejected" and door.told == []
        variable = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "SftpHostKeys"}}
        wanted = {"setVariableData": [{**variable, "attributeValue": f"127.0.0.1={door.fingerprint}"}]}
        assert bench.call("SetVariables", wanted)["setVariableResult"][0]["attributeStatus"] == "Accepted"
        assert get_log(port) == "Accepted"
        bench.wait_until("Uploaded", lambda: "Uploaded" in log_statuses(bench), LONG_S)
    [file] = taken
    assert file.path.startswith("/in/") and door.told == ["me", "s ecret"]
    lines = log_of(file.content)
    assert "sftp://***@127.0.0.1" in lines and "ecret@" not in lines


def log_of(bundle: bytes) -> str:
    """The station's log in a bundle."""
    with tarfile.open(fileobj=BytesIO(bundle)) as tar:
        member = tar.extractfile("chargerd/station.jsonl.gz")
        assert member is not None
        return gzip.decompress(member.read()).decode()


def log_statuses(bench: RealBench) -> list[str]:
    return [frame.payload["status"] for frame in bench.calls("LogStatusNotification")]
