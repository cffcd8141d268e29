"""The reusable states of the certification programme: what driver, car and CSMS do, and what must be told of it.

Each state goes on from wherever the session is: `energy_transfer_started` authorizes and plugs in when that has
not been done. The variables TxStartPoint and TxStopPoint say which of their steps make a TransactionEvent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from hil.bench import Bench
from hil.certification.talk import CARD, CARD_TYPE, Json, NotApplicable, Talk
from hil.csms import TokenAnswer

Way = Literal["local", "remote"]
"""By card, or by RequestStartTransaction and RequestStopTransaction."""
OTHER_CARD, GROUP = "04C0FFEE040506", "CERTIFIED"
HUMAN_S = 1.0
"""What a driver needs between two acts."""
SAME_CARD_S = 4.0
"""A card held to the reader again sooner may count once."""
TRANSACTION_S = 2.0
"""How long a transaction lasts before it is stopped."""
EV_TIMEOUT_S = 8
"""EVConnectionTimeOut where a case waits for it."""
BACK_OFF_S = 3
"""RetryBackOffWaitMinimum where the station has to stay away."""
BOOT_S = 60.0
"""How long a station may take to be there again after a power cycle."""
SAMPLE_S = 2
"""TxUpdatedInterval where a case needs meter values."""
ON_THE_WAY = ("EVConnected", "SuspendedEVSE", "SuspendedEV")
"""Charging states that may be told before Charging."""


class Lab(Talk):
    """One station, its bench, and how far the session has come."""

    def __init__(self, bench: Bench, evse: int, way: Way = "local") -> None:
        super().__init__(bench, evse)
        self.way: Way = way
        self.parked = self.plugged = self.is_authorized = self.charging = self.stopped = False
        self.cable_left = False
        """A loose cable sits in the socket without a car."""
        self.free = "Available"
        """The status of the connector when nothing is plugged in."""
        self.asks = True
        """The station has to ask the CSMS for CARD; False: it knows it and may trust what it knows."""
        self.remote_start_id = 100
        self._presented: dict[str, float] = {}
        self._starts: set[str] | None = None
        self._stops: set[str] | None = None

    # ------------------------------------------------------------------------------------------ before

    def booted(self) -> None:
        """General preconditions: registered, available, nothing queued, no meter values unless asked for."""
        self.bench.wait_until("BootNotification", lambda: self.bench.calls("BootNotification"))
        self.status("Available")
        self.write("AuthCtrlr.LocalPreAuthorize", "false", if_there=True)
        self.write("SampledDataCtrlr.TxUpdatedInterval", "0")
        self.write("AlignedDataCtrlr.Interval", "0")
        self.drained()

    def drained(self) -> None:
        """Nothing is queued at the station."""
        self.bench.wait_until("an empty queue", lambda: not self.call("GetTransactionStatus", {})["messagesInQueue"])

    def start_points(self, *points: str) -> None:
        self.write("TxCtrlr.TxStartPoint", ",".join(points))
        self._starts = set(points)

    def stop_points(self, *points: str) -> None:
        self.write("TxCtrlr.TxStopPoint", ",".join(points))
        self._stops = set(points)

    @property
    def starts(self) -> set[str]:
        """TxStartPoint."""
        if self._starts is None:
            self._starts = self.members("TxCtrlr.TxStartPoint")
        return self._starts

    @property
    def stops(self) -> set[str]:
        """TxStopPoint."""
        if self._stops is None:
            self._stops = self.members("TxCtrlr.TxStopPoint")
        return self._stops

    def known_to(self, card: str, group: str | None = None) -> None:
        """Memory state: a token is known to the station, by its local list; the CSMS knows it likewise."""
        self.listed({card: TokenAnswer(group=group)})
        self.bench.behaviour.tokens[card] = TokenAnswer(group=group)

    def listed(self, tokens: Mapping[str, TokenAnswer]) -> None:
        """Memory state IdTokenLocalAuthList: these tokens, each with its idTokenInfo, and no others."""
        self.write("LocalAuthListCtrlr.Enabled", "true", if_there=True)
        entries = [list_entry(card, answer) for card, answer in tokens.items()]
        request = {"versionNumber": 1, "updateType": "Full", "localAuthorizationList": entries}
        self.call("SendLocalList", request, status="Accepted")

    # ------------------------------------------------------------------------------------------ what is due

    def due(self) -> str | None:
        """The eventType of what has just happened; None when no transaction runs and none starts by it."""
        if self.running is not None:
            return "Updated"
        met = {
            "ParkingBayOccupancy": self.parked,
            "EVConnected": self.plugged,
            "Authorized": self.is_authorized,
            "PowerPathClosed": self.plugged and self.is_authorized,
            "EnergyTransfer": self.charging,
        }
        return "Started" if any(met.get(point, False) for point in self.starts) else None

    # ------------------------------------------------------------------------------------------ start

    def parking_bay_occupied(self) -> None:
        """A car drives into the bay; where no detector sees it that is no step."""
        self.bench.park(self.evse)
        self.parked = self.outfit.bay_detector
        if self.parked and (kind := self.due()):
            self.event("after parking", kind=kind, trigger="EVDetected")

    def ev_connected(self, *, ready: bool = True) -> None:
        """A car is plugged in; one that is not `ready` wants no energy yet."""
        if not self.parked:
            self.parking_bay_occupied()
        self.plug_in(ready=ready)
        if kind := self.due():
            states = ("EVConnected", "SuspendedEVSE", "Charging") if self.is_authorized else ("EVConnected",)
            triggers = ("CablePluggedIn", "ChargingStateChanged", "RemoteStart")
            self.event("after plugging in", kind=kind, trigger=triggers, state=states)

    def plug_in(self, *, ready: bool = True) -> None:
        """The car and the status of the connector, without the transaction's events."""
        self.mark()
        self.owed["evse"] = self.evse
        self.bench.plug(self.evse, wants=ready)
        self.plugged = True
        if not self.cable_left:
            self.status("Occupied")
        self.cable_left = False

    def authorized(self, way: Way | None = None) -> None:
        """Somebody may charge: by card, or from afar."""
        if not self.parked and not self.plugged:
            self.parking_bay_occupied()
        self.owed["token"] = 1
        self._ask_from_afar() if (way or self.way) == "remote" else self._present()
        self.is_authorized = True
        if kind := self.due():
            triggers = ("Authorized", "RemoteStart") if self.plugged else ("Authorized",)
            if "PowerPathClosed" in self.starts and self.plugged:
                triggers = (*triggers, "ChargingStateChanged")
            wanted = ("RemoteStart",) if "remote" in self.owed else triggers
            self.event("after authorization", kind=kind, trigger=wanted)

    def _present(self) -> None:
        asked = len(self.bench.calls("Authorize"))
        self.present(self.card)
        if self.asks:
            self._authorize_sent(asked)
        else:
            self.bench.wait(HUMAN_S)
            self.check("Authorize requests for a known token", len(self.bench.calls("Authorize")) - asked, 0)

    def present(self, card: str) -> None:
        """Hold a card to the reader."""
        again = self._presented.get(card, 0.0) + SAME_CARD_S
        self.bench.wait(max(0.0, again - self.bench.now()))
        self.bench.present(card, self.evse)
        self._presented[card] = self.bench.now()

    def _authorize_sent(self, asked: int) -> None:
        told = self.next_call("Authorize", asked)["idToken"]
        self.check("idToken of Authorize", told, {"idToken": self.card, "type": CARD_TYPE})
        self.bench.wait(HUMAN_S)

    def _ask_from_afar(self) -> None:
        asked, running = len(self.bench.calls("Authorize")), self.running
        authorizes = self.read("AuthCtrlr.AuthorizeRemoteStart") == "true"
        self.remote_start_id += 1
        self.owed["remote"] = self.remote_start_id
        token = {"idToken": self.card, "type": CARD_TYPE}
        request: Json = {"idToken": token, "remoteStartId": self.remote_start_id, "evseId": self.evse}
        if self.group:
            request["groupIdToken"] = {"idToken": self.group, "type": "Central"}
        self.call("RequestStartTransaction", request, status="Accepted", transactionId=running)
        if authorizes:
            self._authorize_sent(asked)

    def energy_transfer_started(self) -> None:
        """Energy flows."""
        if not self.is_authorized:
            self.authorized()
        if not self.plugged:
            self.ev_connected()
        told = self.running is not None
        self.charging = True
        if told or self.due():
            self._until_charging(self.due())
        self.bench.wait_until("current flows", lambda: max(self.bench.amps(self.evse)) > 0)

    def _until_charging(self, kind: str | None) -> None:
        while self.state != "Charging":
            triggers = ("ChargingStateChanged", "Authorized", "RemoteStart") if kind == "Started" else (
                "ChargingStateChanged",
            )  # fmt: skip
            states = (*ON_THE_WAY, "Charging")
            self.event("on the way to charging", kind=kind, trigger=triggers, state=states)
            kind = "Updated"

    # ------------------------------------------------------------------------------------------ stop

    def charges(self, evse: int, card: str) -> None:
        """A car comes to any EVSE of the station and charges; how far this session has come is not looked at."""
        self.bench.plug(evse)
        self.bench.present(card, evse)
        self.bench.wait_until(f"current flows at EVSE {evse}", lambda: max(self.bench.amps(evse)) > 0)

    def stops_and_leaves(self, evse: int, card: str) -> None:
        """The driver of such a car stops it by the same card and leaves."""
        self.bench.wait(4)
        self.bench.present(card, evse)
        self.bench.wait_until("the contactor is open", lambda: not self.bench.closed(evse))
        self.bench.wait_until("the plug is free", lambda: not self.bench.locked(evse))
        self.bench.unplug(evse)

    def energy_transfer_suspended(self) -> None:
        """The car wants no more energy."""
        if not self.charging:
            self.energy_transfer_started()
        self.bench.wait(TRANSACTION_S)
        self.bench.pause(self.evse)
        self.charging = False
        if self.running is None:
            return
        event = self.event("after the car's pause", kind=("Updated", "Ended"), state=("EVConnected", "SuspendedEV"))
        if event["transactionInfo"].get("chargingState") == "SuspendedEV":
            self.demand("after the car's pause", event, trigger="ChargingStateChanged")
        if event["eventType"] == "Ended":
            self.demand("after the car's pause", event, stopped="StoppedByEV")

    def stop_authorized(self, way: Way | None = None, *, card: str = CARD, master: bool = False) -> None:
        """The session is stopped: from afar, or by a card: the one that started it, or another that may do so."""
        if not self.charging:
            self.energy_transfer_started()
        self.bench.wait(TRANSACTION_S)
        self.way = way or self.way
        if self.way == "remote":
            self.call("RequestStopTransaction", {"transactionId": self.running}, status="Accepted")
        else:
            self.present(card)
        self.charging, self.stopped = False, True
        reasons = ("MasterPass",) if master else self.stop_reasons()
        event = self.event("after the stop", trigger="RemoteStop" if self.way == "remote" else "StopAuthorized",
                           token=(card,) if card != CARD else (CARD, None), kind=("Updated", "Ended"))  # fmt: skip
        if event["eventType"] == "Ended":
            self.demand("after the stop", event, stopped=reasons)
        elif self.stops & {"Authorized", "PowerPathClosed", "EnergyTransfer"}:
            self.event("after the end of energy", kind="Ended", trigger="ChargingStateChanged", state="EVConnected",
                       stopped=reasons)  # fmt: skip

    def stop_reasons(self) -> tuple[str | None, ...]:
        """stoppedReason of a session that was stopped this way: Local may be left out."""
        return ("Remote",) if self.way == "remote" else ("Local", None)

    def ev_connected_post_session(self) -> None:
        """Energy has ended, the car is still there."""
        if not self.stopped:
            self.stop_authorized()
        if self.running is not None:
            what = "after the end of energy"
            self.event(what, kind="Updated", trigger="ChargingStateChanged", state="EVConnected")

    def ev_disconnected(self) -> None:
        """The driver unplugs and leaves."""
        if not self.stopped:
            self.ev_connected_post_session()
        self.unplug()
        if self.running is not None:
            self.event("after unplugging", trigger="EVCommunicationLost", state="Idle")

    def unplug(self) -> None:
        """Both ends of the cable, and the status of the connector."""
        self.bench.wait_until("the plug is free", lambda: not self.bench.locked(self.evse))
        self.mark()
        self.bench.unplug(self.evse)
        self.plugged = False
        if self.free == "Available":
            self.status("Available")

    def unplug_at_car(self) -> None:
        """Only the car's end is pulled: EVCommunicationLost is due."""
        self.mark()
        self.bench.unplug(self.evse, "car")
        self.plugged, self.cable_left = False, self.outfit.cable == "socket"

    def unplug_at_station(self, *, with_card: bool) -> None:
        """A loose cable is taken out of its socket, where its owner has to show his card; then Available."""
        if self.outfit.cable == "socket":
            if with_card:
                self.present(CARD)
            self.bench.wait_until("the plug is free", lambda: not self.bench.locked(self.evse))
            self.mark()
            self.bench.unplug(self.evse, "station")
            self.cable_left = False
        self.status("Available")

    def parking_bay_unoccupied(self) -> None:
        """The car leaves the bay."""
        if self.plugged or not self.stopped:
            self.ev_disconnected()
        self.leave_bay()

    def leave_bay(self) -> None:
        """The car drives away; where a detector sees it that may end the transaction."""
        self.bench.park(self.evse, False)
        self.parked = False
        if self.outfit.bay_detector and self.running is not None and "ParkingBayOccupancy" in self.stops:
            reasons = ("Remote",) if self.way == "remote" else ("Local",)
            self.event("after leaving the bay", kind="Ended", trigger="EVDeparted", stopped=reasons)

    def fresh(self) -> None:
        """A session is over and done with; the next one begins from nothing."""
        self.parked = self.plugged = self.is_authorized = self.charging = self.stopped = self.cable_left = False
        self.state = None

    def reboots(self) -> None:
        """Reusable state Booted, by a power cycle: registered again, nothing queued."""
        boots = len(self.bench.calls("BootNotification"))
        self.bench.lose_power()
        self.bench.wait(1)
        self.mark()
        self.bench.return_power()
        self.next_call("BootNotification", boots, BOOT_S)
        self.status(self.free, BOOT_S)

    # ------------------------------------------------------------------------------------------ offline

    def stays_away(self) -> None:
        """The next reconnection of the station comes after BACK_OFF_S at the earliest, without a new status."""
        self.write("OCPPCommCtrlr.OfflineThreshold", str(BACK_OFF_S + 60))
        self.write("OCPPCommCtrlr.RetryBackOffWaitMinimum", str(BACK_OFF_S))
        self.write("OCPPCommCtrlr.RetryBackOffRandomRange", "0")

    def samples(self) -> None:
        """Meter values come often enough to be made while offline."""
        self.write("SampledDataCtrlr.TxUpdatedInterval", str(SAMPLE_S))

    def goes_offline(self) -> None:
        """The CSMS closes the connection and accepts no other."""
        self.bench.cut()
        self.bench.wait_until("the connection is gone", lambda: not self.bench.connected())

    def comes_back(self, *, slowly: bool = False) -> None:
        """The CSMS accepts the next attempt; `slowly`: it takes its time for each transaction event."""
        if slowly:
            self.bench.behaviour.delays["TransactionEvent"] = 1.0
        self.bench.restore()
        self.bench.wait_until("the station is back", self.bench.connected, 120)

    def session_offline(self, *, ends: bool) -> None:
        """Memory state TransactionEventsInQueueEnded, or a transaction that only starts offline."""
        self.write("AuthCtrlr.OfflineTxForUnknownIdEnabled", "true", if_there=True)
        self.goes_offline()
        self.bench.park(self.evse)
        self.bench.plug(self.evse)
        self.present(CARD)
        self.bench.wait_until("current flows", lambda: max(self.bench.amps(self.evse)) > 0)
        if ends:
            self.bench.wait(TRANSACTION_S)
            self.stop_offline(CARD)

    def stop_offline(self, card: str | None) -> None:
        """A card stops the session, or (None) the car; the cable is pulled and the car leaves, all of it unheard."""
        if card is not None:
            self.present(card)
        else:
            self.bench.pause(self.evse)
        self.bench.wait_until("the contactor is open", lambda: not self.bench.closed(self.evse))
        self.bench.wait(1)
        self.bench.unplug(self.evse, "car")
        self.bench.wait_until("the plug is free", lambda: not self.bench.locked(self.evse))
        self.bench.unplug(self.evse, "station")
        self.plugged = self.charging = False
        self.bench.park(self.evse, False)
        self.bench.wait(TRANSACTION_S)

    def session_ends_by_iso15118(self) -> None:
        """The car sends SessionStopReq(Terminate)."""
        raise NotApplicable("no car of this bench speaks ISO 15118")


def list_entry(card: str, answer: TokenAnswer | None) -> Json:
    """An entry of the local authorization list; None: the token is to be removed from it."""
    entry: Json = {"idToken": {"idToken": card, "type": CARD_TYPE}}
    if answer is not None:
        group = {"groupIdToken": {"idToken": answer.group, "type": "Central"}} if answer.group else {}
        entry["idTokenInfo"] = {"status": answer.status} | group
    return entry
