"""G: the status of a connector."""

from __future__ import annotations

from hil.certification.registry import case
from hil.certification.states import Lab


@case("TC_G_01", "local")
def occupied(lab: Lab) -> None:
    lab.ev_connected()


@case("TC_G_02", "local")
def available_again(lab: Lab) -> None:
    lab.ev_connected(ready=False)
    lab.unplug()
