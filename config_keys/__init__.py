"""What can be configured: every setting of a station is declared once, in one module per OCPP component.

Importing the package declares them all, always in the same order.
"""

from config_keys import (
    aligned,
    auth,
    auth_cache,
    clock,
    comm,
    controllers,
    device,
    display,
    failsafe,
    firmware,
    hardware,
    iso15118,
    limits,
    local_list,
    log,
    monitoring,
    phase_switch,
    physical,
    reservation,
    sampled,
    security,
    site,
    smart_charging,
    tariff,
    tx,
)

__all__ = [
    "aligned",
    "auth",
    "auth_cache",
    "clock",
    "comm",
    "controllers",
    "device",
    "display",
    "failsafe",
    "firmware",
    "hardware",
    "iso15118",
    "limits",
    "local_list",
    "log",
    "monitoring",
    "phase_switch",
    "physical",
    "reservation",
    "sampled",
    "security",
    "site",
    "smart_charging",
    "tariff",
    "tx",
]

controllers.complete()
