"""A session at one EVSE: cable, authorization, permission. The transaction follows it, never the other way."""

from __future__ import annotations

from config_keys import site, tx
from state_machines.table import ANY, Row, State, Table

SESSION = Table(
    "session",
    doc="What the driver and the car did. Power is only ever asked for in `powered`; stopping signals 0 A first.",
    initial="idle",
    states={
        "idle": State("No car, nobody authorised."),
        "awaiting_ev": State("Authorised; the car is awaited (E03).", tx.EV_CONNECTION_TIME_OUT, "expired"),
        "connected": State("Car plugged in, nobody authorised."),
        "ready": State("Plugged in and authorised; the car rests, or the limit or a fault says wait."),
        "powered": State("Permission given and current offered; the car takes it or rests."),
        "pausing": State(
            "0 A signalled, authorization kept; the car opens S2.", site.STOP_PATIENCE, "patience"
        ),
        "stopping": State(
            "0 A signalled, authorization ended; the car opens S2.", site.STOP_PATIENCE, "patience"
        ),
    },
    world=("plug", "unplug", "authorised", "deauthorised", "ev_rests", "fault"),
    rows=(
        Row("plug", "idle", "connected"),
        Row("plug", "awaiting_ev", "ready"),
        Row("plug", ANY, None),
        Row("authorised", "idle", "awaiting_ev"),
        Row("authorised", "connected", "ready"),
        Row("authorised", ANY, None),
        Row("deauthorised", "awaiting_ev", "idle"),
        Row("deauthorised", "ready", "connected"),
        Row("deauthorised", "powered", "connected", guard="ev_at_rest", do="withdraw"),
        Row("deauthorised", ("powered", "pausing"), "stopping"),
        Row("deauthorised", ANY, None),
        Row(
            "unplug",
            ("ready", "powered", "pausing"),
            "awaiting_ev",
            guard="keeps_authorization",
            do="withdraw",
        ),
        Row("unplug", "connected", "idle"),
        Row("unplug", ("ready", "powered", "pausing", "stopping"), "idle", do="withdraw"),
        Row("unplug", ("idle", "awaiting_ev"), None),
        Row("go", "ready", "powered", do="permit"),
        Row("pause", "powered", "ready", guard="ev_at_rest", do="withdraw"),
        Row("pause", "powered", "pausing"),
        Row("resume", "pausing", "powered"),
        Row("ev_rests", "pausing", "ready", do="withdraw"),
        Row("ev_rests", "stopping", "ready", guard="is_authorised", do="withdraw"),
        Row("ev_rests", "stopping", "connected", do="withdraw"),
        Row("ev_rests", ANY, None),
        Row("patience", "pausing", "ready", do="withdraw"),
        Row("patience", "stopping", "ready", guard="is_authorised", do="withdraw"),
        Row("patience", "stopping", "connected", do="withdraw"),
        Row("fault", ("powered", "pausing"), "ready", do="withdraw"),
        Row("fault", "stopping", "ready", guard="is_authorised", do="withdraw"),
        Row("fault", "stopping", "connected", do="withdraw"),
        Row("fault", ANY, None),
        Row("expired", "awaiting_ev", "idle", do="expire_authorization"),
    ),
)
