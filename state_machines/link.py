"""The connection to the CSMS: who dials, when, and for how long it waits (Part 4 section 5.3, B10)."""

from __future__ import annotations

from state_machines.table import ANY, Row, State, Table

LINK = Table(
    "link",
    doc="One supervisor owns the dialling. A failure always leads to a wait, a wait always to another dial.",
    initial="off",
    states={
        "off": State("No network profile, or the station is stopping."),
        "dialling": State("A websocket is being opened.", 45.0, "failed"),
        "open": State("The websocket is open and speaks our subprotocol."),
        "waiting": State("The last attempt or connection ended; the back-off runs.", "back_off_s", "dial"),
    },
    world=("up", "failed"),
    rows=(
        Row("dial", ("off", "waiting"), "dialling", do="connect"),
        Row("dial", ANY, None),
        Row("up", "dialling", "open", do="opened"),
        Row("up", ("off", "waiting"), None, do="hang_up"),
        Row("up", "open", None),
        Row("failed", "dialling", "waiting", do="missed"),
        Row("failed", "open", "waiting", do="lost"),
        Row("failed", ("off", "waiting"), None),
        Row("hang_up", ("open", "dialling"), "waiting", do="drop"),
        Row("hang_up", ANY, None),
        Row("stop", ANY, "off", do="hang_up"),
    ),
)
