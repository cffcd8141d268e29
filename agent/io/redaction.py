"""What may leave the memory of the agent, and what is replaced before: secrets everywhere, customers in files.

A secret (a password, a code, a private key, credentials in an address) is replaced in all that is logged or shown. An
id token is a person's: in what is kept or sent away an alias stands for it, the same one for the same token, which only
this station could turn back by trying every token there is.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2s
from pathlib import Path
from typing import Any

from agent.io.values import to_json

HIDDEN = "***"
SALT_FILE, SALT_BYTES = "log.salt", 16
_SUSPECT = ("\\u", "password", "keycode", "notifycustomerinformation")
"""What a text with a secret in its structure has in it, or may hide (\\u), in lower case."""
_CREDENTIALS = re.compile(r"(://)[^/\s\"'@]*(?:@[^/\s\"'@]*)*@")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)
_TOKEN = re.compile(r'("(?:idToken|additionalIdToken|customerIdentifier)"\s*:\s*")((?:[^"\\]|\\.)*)')
_TOKEN_NAMES = frozenset({"idToken", "additionalIdToken", "customerIdentifier", "token", "group", "id_token"})
"""Members whose text names a customer, on the wire and in the answers of the control socket."""


class Redactor:
    """Replaces secrets and customers; `salt` makes the aliases of this station its own."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt

    @classmethod
    def of(cls, state_dir: Path) -> Redactor:
        """With the station's salt, made at the first time; without a place to keep it aliases last as the process."""
        path = state_dir / SALT_FILE
        with suppress(OSError):
            salt = path.read_bytes()
            if len(salt) == SALT_BYTES:
                return cls(salt)
        salt = os.urandom(SALT_BYTES)
        with suppress(OSError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(salt)
        return cls(salt)

    def alias(self, token: str) -> str:
        """What stands for an id token; tokens are compared without case (C01.FR.25)."""
        return "id-" + blake2s(token.lower().encode("utf-8", "replace"), key=self._salt, digest_size=5).hexdigest()

    def without_customers(self, text: str) -> str:
        """JSON text in which aliases stand for id tokens."""
        if "oken" not in text and "customerIdentifier" not in text:
            return text
        return _TOKEN.sub(lambda found: found[1] + (found[2] if found[2] == HIDDEN else self.alias(found[2])), text)

    def value(self, value: Any) -> Any:
        """Plain data, such as an answer of the control socket, without secrets and customers."""
        return _walk(value, self.alias)


class PlainTokens(Redactor):
    """Leaves id tokens in the log as they are: LogCtrlr.Redact is false."""

    def __init__(self) -> None:
        super().__init__(b"")

    def without_customers(self, text: str) -> str:
        """The text as it is."""
        return text


def without_secrets(text: str) -> str:
    """A frame or a line as it may be shown: no passwords, codes, private keys and credentials of addresses."""
    plain = text.lower()
    if text.startswith("[") and any(word in plain for word in _SUSPECT):
        try:
            text = to_json(_hide(json.loads(text)))
        except (ValueError, RecursionError):
            return f"(not JSON, {len(text)} characters, not shown because it may hold a secret)"
    return without_keys(text)


def without_keys(text: str) -> str:
    """Any text without private keys and credentials of addresses."""
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(HIDDEN, text)
    return _CREDENTIALS.sub(rf"\1{HIDDEN}@", text) if "@" in text else text


def _hide(message: Any) -> Any:
    """A frame without secrets; what is told of a customer (N09) is text and goes as a whole."""
    if isinstance(message, list) and message[2:3] == ["NotifyCustomerInformation"] and isinstance(message[-1], dict):
        message = [*message[:-1], {**message[-1], "data": HIDDEN}]
    return _walk(message, None)


def _walk(value: Any, alias: Callable[[str], str] | None) -> Any:
    if isinstance(value, str):
        return without_keys(value)
    if isinstance(value, list | tuple):
        return [_walk(item, alias) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _member(name, item, value, alias) for name, item in value.items()}


def _member(name: str, item: Any, around: dict[str, Any], alias: Callable[[str], str] | None) -> Any:
    if _is_secret(name, around):
        return HIDDEN
    if alias is not None and name in _TOKEN_NAMES and isinstance(item, str):
        return alias(item)
    return _walk(item, alias)


def _is_secret(name: str, around: dict[str, Any]) -> bool:
    """A member called password, the value of a variable of that name (SetVariables, reports), a code (C04.FR.04)."""
    if "password" in name.lower():
        return True
    if name == "idToken" and str(around.get("type")).lower() == "keycode":
        return True
    variable = around.get("variable")
    about = variable.get("name") if isinstance(variable, dict) else around.get("name")
    holds_value = name in ("attributeValue", "variableAttribute", "value", "factory", "default")
    return holds_value and isinstance(about, str) and "password" in about.lower()
