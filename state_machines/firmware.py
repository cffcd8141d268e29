"""A firmware update from the request to the proof that the new firmware works, or back (L01, L02).

It outlives the process: every state can be found at a start, and `started_new` or `started_old` says which firmware
it is that has started.
"""

from __future__ import annotations

from config_keys import firmware
from state_machines.table import Row, State, Table

ANNOUNCE_S = 30.0
"""The CSMS has this time to hear of a restart before it happens."""
CANCELLABLE = ("scheduled", "downloading", "paused", "checking", "ready", "waiting")
"""States in which nothing of the new firmware is written to its place yet."""
AFTER_RESTART = ("switching", "proving", "confirming", "reverting")
"""States in which a start has to find out which firmware it is."""
STATUSES = {
    "scheduled": "DownloadScheduled", "downloading": "Downloading", "checking": "Downloaded",
    "ready": "InstallScheduled", "installing": "Installing", "announcing": "InstallRebooting",
}  # fmt: skip
"""What is told when a state is entered; the ends have statuses of their own."""

FIRMWARE = Table(
    "firmware",
    doc="One update at a time; another request takes the place of one that is not being installed yet (L01.FR.24).",
    initial="idle",
    states={
        "idle": State("No update is under way; how the last one ended is kept."),
        "scheduled": State("The time to fetch the file has not come (L01.FR.13)."),
        "downloading": State("The file is being fetched."),
        "paused": State("Fetching has failed and is tried again, from where it broke.", "interval_s", "again"),
        "checking": State("The whole file is here; its signature is checked (L01.FR.04)."),
        "ready": State("The time to install has not come: the CSMS's (L01.FR.16), or FwCtrlr.Window's."),
        "waiting": State("Nothing is installed while somebody charges (L01.FR.06, FR.07)."),
        "installing": State("Written beside the firmware that runs."),
        "announcing": State("Installed; the CSMS hears of the restart first (L01.FR.32).", ANNOUNCE_S, "announced"),
        "switching": State("The new firmware is chosen for the next start, and the start asked for."),
        "proving": State("The new firmware runs on trial.", firmware.HEALTH_GATE, "too_late"),
        "confirming": State("The new firmware has proved itself and is made the one to stay."),
        "reverting": State("The firmware before is chosen for the next start, and the start asked for."),
    },
    rows=(
        Row("begin", "idle", "scheduled", guard="is_early"),
        Row("begin", "idle", "downloading", do="fetch"),
        Row("cancel", CANCELLABLE, "idle"),
        Row("due", "scheduled", "downloading", do="fetch"),
        Row("again", "paused", "downloading", do="fetch"),
        Row("fetched", "downloading", "checking", do="check"),
        Row("broke", "downloading", "paused", guard="may_try_again", do="pause"),
        Row("broke", "downloading", "idle", do="end"),
        Row("genuine", "checking", "ready", guard="is_too_soon"),
        Row("genuine", "checking", "waiting", do="wait"),
        Row("forged", "checking", "idle", do="end"),
        Row("due", "ready", "waiting", do="wait"),
        Row("shut", "waiting", "ready"),
        Row("free", "waiting", "installing", do="install"),
        Row("placed", "installing", "announcing"),
        Row("announced", "announcing", "switching", do="switch"),
        Row("started_new", ("switching", "proving", "confirming"), "proving", guard="may_start_again"),
        Row("started_new", ("switching", "proving", "confirming"), "reverting", do="revert"),
        Row("started_old", "switching", "switching", guard="may_start_again", do="switch"),
        Row("started_old", ("switching", "proving", "confirming"), "idle", do="end"),
        Row("healthy", "proving", "confirming", do="confirm"),
        Row("too_late", "proving", "reverting", do="revert"),
        Row("confirmed", "confirming", "idle", do="end"),
        Row("back", "idle", "reverting", do="revert"),
        Row("started_new", "reverting", "reverting", guard="may_start_again", do="revert"),
        Row("started_new", "reverting", "idle", do="end"),
        Row("started_old", "reverting", "idle", do="end"),
        Row("failed", ("checking", "installing", *AFTER_RESTART), "idle", do="end"),
    ),
)
