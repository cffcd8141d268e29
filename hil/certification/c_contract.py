"""C: authorization by the contract certificate of a car (ISO 15118)."""

from __future__ import annotations

from hil.certification.registry import case
from hil.certification.states import Lab
from hil.certification.talk import NotApplicable


@case("TC_C_50")
@case("TC_C_51")
@case("TC_C_52")
@case("TC_C_53")
@case("TC_C_54")
@case("TC_C_55")
def contract(lab: Lab) -> None:
    raise NotApplicable("no car of this bench speaks ISO 15118")
