"""Backends as they are found in the field: how each behaves, and a story of a station that lives with it.

`hil persona NAME` plays one against the real process; the tests play all of them in the simulated world.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from hil.bench import Bench
from hil.csms import Behaviour
from hil.personas.citrineos import behave_as_citrineos, citrineos
from hil.personas.cloud_gateway import behave_as_cloud_gateway, cloud_gateway
from hil.personas.core_only import behave_as_core_only, core_only
from hil.personas.evcc import behave_as_evcc, evcc
from hil.personas.home_assistant import behave_as_home_assistant, home_assistant


class Persona(NamedTuple):
    """A backend. `behave` is in force before the station comes; `brief` is the story where hours are too long."""

    behave: Callable[[Behaviour], None]
    story: Callable[[Bench], None]
    brief: Callable[[Bench], None]


PERSONAS: dict[str, Persona] = {
    "home-assistant": Persona(behave_as_home_assistant, home_assistant, home_assistant),
    "citrineos": Persona(behave_as_citrineos, citrineos, citrineos),
    "cloud-gateway": Persona(behave_as_cloud_gateway, cloud_gateway, partial(cloud_gateway, every_s=8.0, times=2)),
    "core-only": Persona(behave_as_core_only, core_only, core_only),
    "evcc": Persona(behave_as_evcc, evcc, evcc),
}
"""By the name that `hil persona` takes."""
