"""Real releases on real files behind the jobs of a simulated station."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from agent.core.site import Site
from agent.io import firmware, signatures, transfers
from agent.io.installers import InstallerConfig
from agent.io.jobs import Place
from agent.io.releases import Releases
from hil.firmware import HARDWARE, RELEASES, place, this_tree
from tests.sim.driven import StationLike, Stored, real_station
from tests.sim.jobs import Ends
from tests.sim.pki import course
from tests.sim.sim_bench import SimBench

REAL = {
    "signer": signatures.check_signer, "check": signatures.check_file, "install": firmware.install,
    "switch": firmware.switch, "booted": firmware.booted, "confirm": firmware.confirm, "back": firmware.back,
}  # fmt: skip


def releases_behind(bench: SimBench, directory: Path) -> None:
    """Let the station of a bench be a real release among real files, and fetch what the bench offers."""
    home = directory / RELEASES
    place(home, this_tree("1.0"))
    installs = Place(directory, installer=InstallerConfig("releases", {"home": str(home), "hardware": HARDWARE}))
    for kind, worker in REAL.items():
        bench.world.workers.do(f"firmware.{kind}", course(worker, installs))

    def fetch(data: Mapping[str, Any]) -> Iterable[Ends]:
        if data["url"] not in bench.offered:
            return [Ends(0.1, False, {"error": "the server says 404 Not Found"})]
        content, seconds = bench.offered[data["url"]]
        (transfers.home(directory) / transfers.IMAGE).write_bytes(content)
        return [Ends(1 + seconds, True, {"bytes": len(content)})]

    def build(site: Site, presets: Mapping[str, str], stored: Stored) -> StationLike:
        return real_station(site._replace(firmware=Releases({"home": str(home)}).booted().place), presets, stored)

    bench.world.workers.do("firmware.fetch", fetch)
    bench.world.build = build
