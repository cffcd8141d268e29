"""What can be wrong with a message, in the words of OCPP-J (Part 4, 4.2.3), and what the validators raise."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any, NamedTuple

MAX_DESCRIPTION = 255
"""Characters of an errorDescription (Part 4, 4.2.3)."""


class ErrorCode(StrEnum):
    """The error codes of OCPP-J 2.0.1."""

    FORMAT = "FormatViolation"
    GENERIC = "GenericError"
    INTERNAL = "InternalError"
    MESSAGE_TYPE = "MessageTypeNotSupported"
    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    OCCURRENCE = "OccurrenceConstraintViolation"
    PROPERTY = "PropertyConstraintViolation"
    PROTOCOL = "ProtocolError"
    RPC_FRAMEWORK = "RpcFrameworkError"
    SECURITY = "SecurityError"
    TYPE = "TypeConstraintViolation"


CODE_OF_RULE = {
    "required": ErrorCode.OCCURRENCE,
    "minItems": ErrorCode.OCCURRENCE,
    "maxItems": ErrorCode.OCCURRENCE,
    "type": ErrorCode.TYPE,
    "enum": ErrorCode.PROPERTY,
    "format": ErrorCode.PROPERTY,
    "maxLength": ErrorCode.PROPERTY,
    "minimum": ErrorCode.PROPERTY,
    "maximum": ErrorCode.PROPERTY,
    "additionalProperties": ErrorCode.FORMAT,
}
"""The error code for each JSON schema rule that the official schemas use."""


class JsonSchemaValueException(ValueError):
    """The payload breaks a schema rule. `text` names the place and the rule, never a value of the payload.

    For the rule additionalProperties `where` is the object concerned and `unknown` its unknown names.
    """

    def __init__(self, text: str, rule: str, where: Any = None, unknown: Collection[str] = ()) -> None:
        super().__init__(text)
        self.rule = rule
        self.where = where
        self.unknown = unknown


class Violation(NamedTuple):
    """Why a payload is refused: `description` names the place and what was expected, never a value."""

    code: ErrorCode
    description: str
