"""idTokenInfo between the wire and the core, for every block that receives one."""

from __future__ import annotations

from typing import Any

from agent.core.instant import parse_rfc3339


def languages(given: Any) -> tuple[str, ...]:
    """The driver's languages, the preferred one first."""
    return tuple(tag for tag in (given.language_1, given.language_2) if tag)


def id_token_info(given: Any) -> dict[str, Any]:
    """idTokenInfo in the core's words."""
    group = given.group_id_token.id_token if given.group_id_token else None
    expires = parse_rfc3339(given.cache_expiry_date_time) if given.cache_expiry_date_time else None
    return {"status": str(given.status), "group": group, "evses": given.evse_id, "expires": expires,
            "priority": given.charging_priority}  # fmt: skip
