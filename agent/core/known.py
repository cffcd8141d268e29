"""What this station knows of a token by itself: the local list first, then the cache (C13.FR.01, C14.FR.01)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from agent.core.cache import Cache
from agent.core.context import Context
from agent.core.evse import Token
from agent.core.locallist import LocalList
from config_keys import auth, auth_cache, local_list

Info = Mapping[str, Any]


class Known(NamedTuple):
    """The facts of the decision table that list and cache give, and the idTokenInfo that counts."""

    listed: Literal["no", "accepted", "expired", "refused"]
    cached: Literal["no", "accepted", "refused"]
    info: Info | None
    from_cache: bool


def look_up(cx: Context, token: Token, listed: LocalList, cache: Cache) -> Known:
    """A list entry counts whatever the cache says."""
    on_list, in_cache = listed.info(cx, token), cache.info(cx, token)
    return Known(
        "no" if on_list is None else _standing(cx, on_list),
        "no" if in_cache is None else "accepted" if in_cache["status"] == "Accepted" else "refused",
        on_list or in_cache,
        on_list is None and in_cache is not None,
    )


def _standing(cx: Context, info: Info) -> Literal["accepted", "expired", "refused"]:
    """C13.FR.05, C14.FR.05: a date that has passed is honoured; without a clock none can be trusted."""
    if info["status"] != "Accepted":
        return "refused"
    expires, utc = info["expires"], cx.utc()
    passed = expires is not None and (utc is None or utc >= expires)
    return "expired" if passed and cx.keys[local_list.SUPPORTS_EXPIRY_DATE_TIME] else "accepted"


def policy(cx: Context) -> dict[str, bool]:
    """The keys of the decision table."""
    return {
        "pre_authorize": cx.keys[auth.LOCAL_PRE_AUTHORIZE],
        "local_offline": cx.keys[auth.LOCAL_AUTHORIZE_OFFLINE],
        "unknown_offline": cx.keys[auth.OFFLINE_TX_FOR_UNKNOWN_ID_ENABLED],
        "never_ask": cx.keys[auth.DISABLE_REMOTE_AUTHORIZATION],
        "list_final": cx.keys[local_list.DISABLE_POST_AUTHORIZE],
        "cache_final": cx.keys[auth_cache.DISABLE_POST_AUTHORIZE],
    }
