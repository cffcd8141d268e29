"""One-phase and three-phase charging: how an EVSE goes from one to the other. DESIGN.md invariants 6 and 7."""

from __future__ import annotations

from config_keys import phase_switch as keys
from state_machines.table import ANY, Row, State, Table

PHASE_SWITCH = Table(
    "phase_switch",
    doc="The phase relay of one EVSE. It moves only with all contacts proven open, no current for a second and the "
    "pause over; an abort before that never moves it. The arbiter holds 0 A in every state in which it may not be "
    "where it is believed to be. The transaction goes on.",
    initial="unknown",
    states={
        "unknown": State("The relay has not told where it is (since start, or since the device fell silent): 0 A."),
        "steady": State("The relay is where it was told to be, and nothing is under way."),
        "ramping": State("0 A is signalled; the EV opens S2, the contactor opens.", 40.0, "late"),
        "proving": State("All contacts are open; a second without current is awaited.", 20.0, "late"),
        "pausing": State("Proven dead, no offer on the pilot: the time that EVs need to notice.", "pause_s", "rested"),
        "switching": State("The relay is told to move; its feedback is awaited.", 6.0, "late"),
        "settling": State("The relay is where it was told; its contacts come to rest.", keys.SETTLE_TIME, "settled"),
        "verifying": State("Charging may go on; the next closing has to show the selected phases."),
        "failed": State("The relay or the current did not obey: no move until the car has left, phases as reported."),
    },
    world=("told", "broken", "made", "flows", "unplugged", "fault", "lost", "refused"),
    rows=(
        Row("begin", ("steady", "verifying"), "proving", guard="contacts_open"),
        Row("begin", ("steady", "verifying"), "ramping"),
        Row("abort", ("ramping", "proving", "pausing"), "steady", do="leave_it"),
        Row("abort", ANY, None),
        # the relay's feedback
        Row("told", "unknown", "steady", guard="relay_known"),
        Row("told", "switching", "settling", guard="relay_there"),
        Row("told", "settling", "failed", guard="relay_elsewhere", do="fail"),
        Row("told", ("steady", "ramping", "proving", "pausing", "verifying", "failed"), "unknown",
            guard="relay_unknown"),
        Row("told", ("steady", "ramping", "proving", "pausing", "verifying", "failed"), None),
        Row("told", ("unknown", "switching", "settling"), None),
        # the contactor's feedback
        Row("opened", "ramping", "proving"),
        Row("broken", ANY, None),
        Row("made", ("proving", "pausing"), "steady", do="leave_it"),
        Row("made", ("switching", "settling"), "failed", do="fail"),
        Row("made", ANY, None),
        Row("agree", "verifying", "steady"),
        Row("differ", "verifying", "failed", do="fail"),
        # the meter
        Row("flows", "pausing", "proving"),
        Row("flows", ("switching", "settling"), "failed", do="fail"),
        Row("flows", ANY, None),
        Row("proven", "proving", "pausing"),
        # time
        Row("late", "ramping", "steady", do="leave_it"),
        Row("late", "proving", "failed", do="fail"),
        Row("late", "switching", "failed", do="give_up"),
        Row("rested", "pausing", "switching", do="move"),
        Row("settled", "settling", "verifying"),
        # people and faults
        Row("unplugged", ("ramping", "proving", "pausing"), "steady", do="leave_it"),
        Row("unplugged", ("verifying", "failed"), "steady", guard="relay_known"),
        Row("unplugged", "failed", "unknown"),
        Row("unplugged", ("unknown", "steady", "switching", "settling"), None),
        Row("fault", ("ramping", "proving", "pausing"), "steady", do="leave_it"),
        Row("fault", ANY, None),
        Row("lost", ANY, "unknown"),
        Row("refused", "switching", "failed", do="fail"),
        Row("refused", ANY, None),
        Row("unrecorded", "switching", "steady", do="leave_it"),
        Row("unrecorded", ANY, None),
    ),
)
