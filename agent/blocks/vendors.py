"""The vendor messages of this station: the one file that an OEM extends for DataTransfer.

VENDORS maps a vendorId (a reversed domain name of the vendor, P01.FR.02) to its messages, and a messageId (None: the
message without one) to a handler. A handler gets the core, the step's context and `data` of any JSON type as it
came, and returns whether it accepts and the data of the answer. `tell` sends one to the CSMS. Only for what OCPP has no
message for (P01.FR.01): nothing else of chargerd needs it.

    def lamp(charger: Charger, cx: Context, data: Any) -> tuple[bool, Any]:
        cx.note("lamp", f"colour {data}")
        return True, None

    VENDORS = {"com.example.lamps": {"SetColour": lamp}}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent.core.charger import Charger
from agent.core.context import Context

Handler = Callable[[Charger, Context, Any], tuple[bool, Any]]
VENDORS: dict[str, dict[str | None, Handler]] = {}


def tell(charger: Charger, vendor: str, message: str | None, data: Any = None) -> None:
    """Send a DataTransfer (P02); what the CSMS does not accept is noted in the log."""
    charger.outbox.call("DataTransfer", {"vendor": vendor, "message": message, "data": data}, "data_transfer")
