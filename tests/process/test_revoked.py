"""The real process and a CSMS whose certificate is revoked while the station is connected."""

from __future__ import annotations

import json
from pathlib import Path

from hil.pki import issue, root
from hil.real_bench import RealBench
from hil.responder import Responder
from tests.marks import req
from tests.process.benches import plan

OPERATOR = root("Operator")
FLAW = "InvalidCsmsCertificate"


@req("A00.FR.310", "A00.FR.311", "A00.FR.413", "A00.FR.414")
def test_a_revoked_csms_is_refused_by_the_real_process_and_its_successor_hears_of_it(tmp_path: Path) -> None:
    """What asks issuers is never loaded into the agent."""
    authority = Responder()
    with RealBench(plan(tmp_path), agent=False) as bench:
        door = bench.secure_door()
        crl = bench.offer("list.crl", authority.list_of(OPERATOR))
        first, second = (issue(door.host, OPERATOR, ca=False, crl=crl) for _ in range(2))
        door.shows(first)
        leads_to(bench, door.url)
        bench.rig.start_agent()
        bench.wait_until("it boots", lambda: bench.calls("BootNotification"))
        known = bench.rig.home / "state" / "revocation.json"
        assert [verdict[0] for verdict in json.loads(known.read_text()).values()] == ["good"]

        authority.revokes(first)
        bench.offer("list.crl", authority.list_of(OPERATOR))
        known.unlink()
        boots = len(bench.calls("BootNotification"))
        door.drop()
        bench.wait_until("it is refused", lambda: "it was revoked on" in log(bench))
        assert not bench.connected() and len(bench.calls("BootNotification")) == boots

        door.shows(second)
        bench.wait_until("the successor hears of it", lambda: FLAW in security_events(bench))
        assert "cryptography" not in Path(f"/proc/{bench.rig.agent.pid}/maps").read_text()


def leads_to(bench: RealBench, url: str) -> None:
    """board.toml names the address behind TLS and the operator's root."""
    file = bench.rig.board_file
    file.with_name("root.pem").write_text(OPERATOR.pem)
    lines = [line for line in file.read_text().splitlines() if not line.startswith(("url =", "security_profile ="))]
    at = lines.index("[network]") + 1
    lines[at:at] = [f'url = "{url}"', "security_profile = 2", 'root_file = "root.pem"']
    file.write_text("\n".join(lines))


def log(bench: RealBench) -> str:
    return bench.rig.agent.log.read_text("utf-8", "replace")


def security_events(bench: RealBench) -> list[str]:
    return [call.payload["type"] for call in bench.calls("SecurityEventNotification")]
