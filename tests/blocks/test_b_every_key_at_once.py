"""B05.FR.10: every key that needs no reboot takes effect on the running station, each in a story of its own.

`tests/keys_at_once.tsv` names for each key the story that would end otherwise without its value. All of these stories
are told once more with the plugin `tests.late_keys`: what a story wants to be set is set while the station runs.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from agent.core.charger import Charger
from agent.core.site import Connector, DisplaySite, EvseSite, Network, Site
from config_keys.key import Key
from tests.marks import req

ROOT = Path(__file__).resolve().parent.parent.parent
TABLE = ROOT / "tests" / "keys_at_once.tsv"


def stories() -> dict[str, str]:
    """Key -> the story, as pytest names it."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["key"]: f"tests/{row['file']}.py::{row['story']}" for row in rows}


def writable() -> list[Key[object]]:
    """What can be written without a reboot, on a station with all that there can be."""
    evses = (
        EvseSite(1, 16, 3, signing_meter=True, bay_detector=True),
        EvseSite(2, 32, 3, connectors=(Connector(1, cable="socket"),)),
    )
    network, displays = Network("ws://csms", "id", "password-password"), (DisplaySite("front"),)
    keys = Charger(Site("v", "m", "s", "1", evses, network, displays, main_meter=True, sftp=True), {}, {}).keys
    return [key for key in keys.declared() if keys.is_writable(key) and not key.reboot and keys.places(key)]


@req("B05.FR.10")
def test_every_key_that_needs_no_reboot_has_a_story() -> None:
    told = stories()
    without = sorted(key.name for key in writable() if key.name not in told)
    assert not without, (
        f"{TABLE.relative_to(ROOT)} has no line for {', '.join(without)}: name a story that sets it (World(keys=...)"
        " or SetVariables) and that would end otherwise without it"
    )


def test_the_table_names_what_there_is() -> None:
    names = {key.name for key in writable()}
    assert not stories().keys() - names, "no such key can be written"


@req("B05.FR.10")
def test_every_story_ends_the_same_when_its_keys_are_set_while_the_station_runs() -> None:
    wanted = sorted(set(stories().values()))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.late_keys", "-p", "no:cacheprovider", *wanted],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
