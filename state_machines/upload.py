"""The upload of a log to where the CSMS wants it (N01)."""

from __future__ import annotations

from state_machines.table import ANY, Row, State, Table

ATTEMPT_MOST_S = 900.0
"""A worker that is never heard of again has failed after this time; workers end sooner by themselves."""

UPLOAD = Table(
    "upload",
    doc="One log at a time is brought to the CSMS; a new request cancels the one before (N01.FR.12).",
    initial="idle",
    states={
        "idle": State("No log is wanted."),
        "waiting": State("The next attempt is due at the end of the interval, the first one at once.", "wait_s", "try"),
        "uploading": State("The log is put together and sent.", ATTEMPT_MOST_S, "failed"),
    },
    rows=(
        Row("asked", ANY, "waiting", do="begin"),
        Row("try", "waiting", "uploading", do="start_attempt"),
        Row("done", "uploading", "idle", do="finish"),
        Row("failed", "uploading", "waiting", guard="may_try_again", do="rest"),
        Row("failed", "uploading", "idle", do="give_up"),
        Row("interrupted", "idle", "waiting", guard="may_try_again", do="rest"),
        Row("interrupted", "idle", None, do="give_up"),
    ),
)
