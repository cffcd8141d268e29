"""Registration at the CSMS: BootNotification and its answers (B01, B02, B03)."""

from __future__ import annotations

from state_machines.table import ANY, Row, State, Table

REGISTRATION = Table(
    "registration",
    doc="What the CSMS said to our BootNotification. It outlives the connection, not the process (Part 4 5.3).",
    initial="unknown",
    states={
        "unknown": State("Never answered since boot: only BootNotification may be sent.", "retry_s", "again"),
        "asked": State("BootNotification is on its way."),
        "pending": State("Only BootNotification and what the CSMS asks for (B02.FR.02).", "retry_s", "again"),
        "rejected": State("Silence until the interval is over (B03.FR.02).", "retry_s", "again"),
        "accepted": State("Everything may be sent (B01.FR.05)."),
    },
    world=("accepted", "pending", "rejected", "unanswered"),
    rows=(
        Row("ask", ("unknown", "asked"), "asked", do="send_boot"),
        Row("ask", ("pending", "rejected", "accepted"), None),
        Row("triggered", "accepted", None),
        Row("triggered", ANY, "asked", do="send_boot"),
        Row("changed", ANY, "asked", do="send_boot"),
        Row("accepted", ANY, "accepted", do="settle"),
        Row("pending", ANY, "pending"),
        Row("rejected", ANY, "rejected"),
        Row("unanswered", "asked", "unknown"),
        Row("unanswered", ANY, None),
        Row("again", ("pending", "rejected", "unknown"), "asked", do="send_boot"),
        Row("again", ANY, None),
    ),
)
