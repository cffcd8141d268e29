"""The contactor of one EVSE, as its feedback tells it. DESIGN.md invariants 2 to 4."""

from __future__ import annotations

from state_machines.table import ANY, Row, State, Table

CONTACTOR = Table(
    "contactor",
    doc="Permission and feedback of one EVSE's contactor. A permission is no order: the board closes when the EV asks "
    "(pilot C) and opens by itself when it no longer does. We believe its contacts.",
    initial="unseen",
    states={
        "unseen": State(
            "The hardware has not reported (since start, or since it fell silent); nothing may close."
        ),
        "open": State("No permission, and feedback agrees: no mains at the EV."),
        "armed": State("Permitted and open: the EV does not ask."),
        "closing": State("Permitted, the EV asks, feedback not seen yet.", "closing_s", "late"),
        "closed": State("Permitted, and feedback agrees: the EV has mains."),
        "releasing": State("Permitted; the EV asks no more, the board opens by itself.", "opening_s", "late"),
        "disarming": State("Withdrawn while open; a closing under way may still be seen.", "opening_s", "late"),
        "opening": State("Withdrawn, feedback not gone yet.", "opening_s", "late"),
        "dropping": State("Opened while the EV asks; the pilot may still tell why.", 1.5, "late"),
        "failed": State("Did not close; withdrawn and latched until unplug or reset."),
        "dropped_out": State("Opened without our word; latched until unplug or reset."),
        "welded": State("Feedback contradicts a withdrawn permission; only service clears it."),
    },
    world=("made", "broken", "ev_asks", "ev_rests", "unplugged", "lost"),
    rows=(
        Row("permit", "open", "closing", guard="ev_wants"),
        Row("permit", "open", "armed"),
        Row("permit", ANY, None),
        Row("withdraw", ("armed", "closing", "dropping"), "disarming", do="withdraw"),
        Row("withdraw", ("closed", "releasing"), "opening", do="withdraw"),
        Row("withdraw", ANY, None),
        Row("ev_asks", "armed", "closing"),
        Row("ev_asks", "releasing", "closed"),
        Row("ev_asks", ANY, None),
        Row("ev_rests", "closing", "armed"),
        Row("ev_rests", "closed", "releasing"),
        Row("ev_rests", "dropping", "armed"),
        Row("ev_rests", ANY, None),
        Row("made", ("armed", "closing"), "closed"),
        Row("made", "dropping", "closed"),
        Row("made", ("unseen", "disarming"), "opening", do="withdraw"),
        Row("made", ("open", "dropped_out", "failed"), "welded", do="weld"),
        Row("made", ("closed", "releasing", "opening", "welded"), None),
        Row("broken", ("unseen", "opening"), "open"),
        Row("broken", "releasing", "armed"),
        Row("broken", "closed", "dropping"),
        Row("broken", ("open", "disarming", "armed", "closing", "dropping", "failed", "dropped_out", "welded"), None),
        Row("unplugged", ("failed", "dropped_out"), "open", do="clear_latch"),
        Row("unplugged", ("armed", "closing", "dropping"), "disarming", do="withdraw"),
        Row("unplugged", ("closed", "releasing"), "opening", do="withdraw"),
        Row("unplugged", ANY, None),
        Row("lost", ("failed", "dropped_out", "welded", "unseen"), None),
        Row("lost", ANY, "unseen", do="withdraw"),
        Row("unrecorded", ("armed", "closing"), "disarming", do="withdraw"),
        Row("unrecorded", ANY, None),
        Row("reset", ("failed", "dropped_out"), "open", do="clear_latch"),
        Row("reset", ANY, None),
        Row("late", "disarming", "open"),
        Row("late", "closing", "failed", do="fail"),
        Row("late", "dropping", "dropped_out", do="drop_out"),
        Row("late", ("opening", "releasing"), "welded", do="weld"),
    ),
)
