"""Every table, for documents and tests."""

from __future__ import annotations

from state_machines.contactor import CONTACTOR
from state_machines.firmware import FIRMWARE
from state_machines.link import LINK
from state_machines.phase_switch import PHASE_SWITCH
from state_machines.registration import REGISTRATION
from state_machines.session import SESSION
from state_machines.upload import UPLOAD

TABLES = (LINK, REGISTRATION, SESSION, CONTACTOR, UPLOAD, FIRMWARE, PHASE_SWITCH)
