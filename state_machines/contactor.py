"""The contactor of one EVSE, as its feedback tells it. DESIGN.md invariants 2 to 4."""

from __future__ import annotations

from state_machines.table import ANY, Row, State, Table

CONTACTOR = Table(
    "contactor",
    doc="Permission and feedback of one EVSE's contactor. The board opens it by itself; we believe its contacts.",
    initial="unseen",
    states={
        "unseen": State(
            "The hardware has not reported (since start, or since it fell silent); nothing may close."
        ),
        "open": State("Feedback agrees: no mains at the EV."),
        "closing": State("Permitted, feedback not seen yet.", "closing_s", "late"),
        "closed": State("Feedback agrees: the EV has mains."),
        "opening": State("Withdrawn, feedback not gone yet.", "opening_s", "late"),
        "dropping": State("Opened without our word; the pilot may tell why.", 1.5, "late"),
        "failed": State("Did not close; withdrawn and latched until unplug or reset."),
        "dropped_out": State("Opened without our word; latched until unplug or reset."),
        "welded": State("Feedback contradicts a withdrawn permission; only service clears it."),
    },
    world=("made", "broken", "pilot_left", "unplugged", "lost"),
    rows=(
        Row("permit", "open", "closing", guard="interlocks_hold"),
        Row("permit", ANY, None),
        Row("withdraw", ("closing", "closed"), "opening", do="withdraw"),
        Row("withdraw", ANY, None),
        Row("made", "closing", "closed"),
        Row("made", "unseen", "opening", do="withdraw"),
        Row("made", ("open", "dropping", "dropped_out", "failed"), "welded", do="weld"),
        Row("made", ("closed", "opening", "welded"), None),
        Row("broken", ("unseen", "opening"), "open"),
        Row("broken", "closed", "dropping", do="withdraw"),
        Row("broken", ("open", "closing", "dropping", "failed", "dropped_out", "welded"), None),
        Row("pilot_left", ("closing", "closed"), "opening", do="withdraw"),
        Row("pilot_left", "dropping", "open"),
        Row("pilot_left", ANY, None),
        Row("unplugged", ("failed", "dropped_out"), "open", do="clear_latch"),
        Row("unplugged", "dropping", "open"),
        Row("unplugged", ("closing", "closed"), "opening", do="withdraw"),
        Row("unplugged", ANY, None),
        Row("lost", ("open", "closing", "closed", "opening", "dropping"), "unseen", do="withdraw"),
        Row("lost", ANY, None),
        Row("unrecorded", "closing", "open"),
        Row("unrecorded", ANY, None),
        Row("reset", ("failed", "dropped_out"), "open", do="clear_latch"),
        Row("reset", ANY, None),
        Row("late", "closing", "failed", do="fail"),
        Row("late", "dropping", "dropped_out", do="drop_out"),
        Row("late", "opening", "welded", do="weld"),
    ),
)
