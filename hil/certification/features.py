"""Which features the station under test has, and why a case whose condition they do not meet does not apply."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hil.bench import Outfit

DECLARED = Path(__file__).with_name("chargerd.toml")
"""What chargerd says of itself; `--features` names another station's file."""
Declared = Mapping[str, str | None]
"""Every feature by its id: None when it is there, else why it is not."""
IN_THE_WAY = {
    "AQ-7": "firmware is downloaded while charging",
    "AQ-8": "the reader serves one EVSE only, so that it is known before authorization",
}
"""What features mean that keep a case from applying by being there."""
_ID = re.compile(r"[A-Z][A-Z0-9]*(?:-\d+(?:\.\d+)?)?")


@dataclass(frozen=True)
class Features:
    """The features of the station at one of its EVSEs."""

    absent: Declared

    def obstacle(self, condition: str) -> str | None:
        """None when `condition` holds; else the features that are missing or in the way, with their reasons.

        Raises ValueError for a feature that was never declared.
        """
        if not condition:
            return None
        plain = _ID.sub(lambda found: found[0].replace("-", "_").replace(".", "__"), condition)
        reasons = self._reasons(ast.parse(plain, mode="eval").body, wanted=True)
        return "; ".join(reasons) or None

    def _reasons(self, part: ast.expr, wanted: bool) -> list[str]:
        """Why `part` is not `wanted`; nothing when it is."""
        match part:
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return self._reasons(inner, not wanted)
            case ast.BoolOp(op=op, values=values):
                found = [self._reasons(value, wanted) for value in values]
                one_is_enough = isinstance(op, ast.Or) == wanted
                if one_is_enough and not all(found):
                    return []
                return list(dict.fromkeys(reason for reasons in found for reason in reasons))
            case ast.Name(id=name):
                return self._leaf(name.replace("__", ".").replace("_", "-"), wanted)
        raise ValueError(f"not a condition: {ast.unparse(part)}")

    def _leaf(self, feature: str, wanted: bool) -> list[str]:
        if feature not in self.absent:
            raise ValueError(f"feature {feature} was not declared")
        why_not = self.absent[feature]
        if (why_not is None) == wanted:
            return []
        return [f"{feature}: {why_not}" if wanted else f"{feature}: {IN_THE_WAY.get(feature, 'it is there')}"]


def load(path: Path = DECLARED) -> Declared:
    """A declaration: a TOML table `features` of ids that are `true` or the reason of their absence."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))["features"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: {error!r}; expected a table [features]") from None
    wrong = [name for name, value in table.items() if value is not True and not isinstance(value, str)]
    if wrong:
        raise ValueError(f"{path}: {', '.join(wrong)}: expected true or the reason of its absence")
    return {name: None if value is True else value for name, value in table.items()}


def at(declared: Declared, outfit: Outfit) -> Features:
    """What was declared, with what stands at one EVSE."""
    here = {
        "HFS-1": None if outfit.cable == "socket" else "the cable is fixed",
        "HFS-2": None if outfit.cable == "fixed" else "the cable is loose",
        "AQ-8": None if outfit.own_reader else "the reader serves several EVSEs",
    }
    if not outfit.bay_detector:
        here |= dict.fromkeys(("C-09.6", "C-10.5"), "the bay has no detector")
    if not outfit.signed_meter:
        here |= dict.fromkeys(("C-09.3", "C-42"), "the meter does not sign")
    if outfit.iso15118:
        here["ISO15118"] = None
    return Features({**declared, **here})
