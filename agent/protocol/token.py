"""idTokenInfo between the wire and the core, for every block that receives one."""

from __future__ import annotations

from typing import Any


def id_token_info(given: Any) -> dict[str, Any]:
    """idTokenInfo in the core's words."""
    group = given.group_id_token.id_token if given.group_id_token else None
    return {"status": str(given.status), "group": group, "evses": given.evse_id}
