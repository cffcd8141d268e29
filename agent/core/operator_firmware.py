"""The local control socket's verbs for firmware: the way of a CSMS's update, with a file that lies on this board."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.firmware import Firmware
from agent.core.firmware_order import Order, Verdict

Args = Mapping[str, Any]
Given = Callable[[Context, bool, Mapping[str, Any]], None]


class Wait(NamedTuple):
    """An answer that comes later, if not at once: `begin` is told where it goes."""

    begin: Callable[[Context, Given], None]


class FirmwareVerbs:
    """fw.status, fw.install and fw.rollback; a ValueError says what was expected."""

    def __init__(self, firmware: Firmware) -> None:
        self._firmware = firmware

    def verbs(self) -> Mapping[str, Callable[[Context, Args], Any]]:
        """Name -> what answers it."""
        return {
            "fw.status": lambda cx, args: self._firmware.describe(),
            "fw.install": self._install,
            "fw.rollback": self._rollback,
        }

    def _install(self, cx: Context, args: Args) -> Wait:
        """`file` is an absolute path; `certificate` (PEM) and `signature` (base64) as a CSMS would send them."""
        file = args.get("file")
        if not isinstance(file, str) or not file.startswith("/"):
            raise ValueError("expected the absolute path of a file")
        certificate, signature = (args.get(name) for name in ("certificate", "signature"))
        order = Order(None, file=file, certificate=certificate, signature=signature)

        def begin(cx: Context, given: Given) -> None:
            def done(cx: Context, verdict: Verdict) -> None:
                data = {"status": verdict.status} if verdict.accepted else {"error": verdict.info or verdict.status}
                given(cx, verdict.accepted, data)

            verdict = self._firmware.ask(cx, order, done)
            if verdict is not None:
                done(cx, verdict)

        return Wait(begin)

    def _rollback(self, cx: Context, args: Args) -> dict[str, Any]:
        wrong = self._firmware.take_back(cx, "a person wants the firmware before it")
        if wrong is not None:
            raise ValueError(wrong)
        return {"status": "Accepted"}
