"""Whether a certificate of the CSMS was revoked: what is known of it on flash, and what follows from that.

The handshake looks here only; issuers are asked between two attempts, by `agent.io.inquiry` in a process of its own,
so that neither `cryptography` nor a list of megabytes ever comes into this one.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from ssl import SSLError, cert_time_to_seconds
from typing import Any, NamedTuple, TypeVar

from agent.io.durable import write

T = TypeVar("T")

OFF, SOFT, HARD = "Off", "Soft", "Hard"
"""SecurityCtrlr.RevocationCheck."""
SOONEST_S, LATEST_S = 3600.0, 86_400.0
"""Bounds of the time after which an issuer is asked again."""
UNKNOWN_S: Mapping[str, float] = {SOFT: 3600.0, HARD: 60.0}
"""For how long nobody is asked again who did not know."""
WITHIN_S, START_S = 5.0, 4.0
"""How long issuers have to answer, and the time that the process may take beside that."""
SHORT_LIFE_S = 25 * 3600.0
"""Who lives no longer is not revoked but left to expire (A00.FR.701); an hour is for the issuer's back-dating."""
CLOCK_OFF_S = 300.0
KEPT_MOST = 32
ASKS_MOST = 3
FILE, LISTS = "revocation.json", "certificates/crl"
"""What is known, and lists that the operator has put beside the roots (*.pem, *.crl)."""
_SOURCES = Path(__file__).resolve().parents[2]
_START = "import sys; sys.path.append(sys.argv[1]); from agent.io.inquiry import main; main()"


class Shown(NamedTuple):
    """A certificate of a verified chain: DER, and what `ssl` reads in it."""

    der: bytes
    info: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        return sha256(self.der).hexdigest()

    @property
    def is_short_lived(self) -> bool:
        begin, end = (cert_time_to_seconds(str(self.info[name])) for name in ("notBefore", "notAfter"))
        return end - begin <= SHORT_LIFE_S

    @property
    def names_somebody(self) -> bool:
        """It says whom to ask, or where the list is."""
        return bool(self.info.get("OCSP") or self.info.get("crlDistributionPoints"))

    @property
    def name(self) -> str:
        found = (v for part in self.info.get("subject", ()) for k, v in part if k == "commonName")
        return _plain(next(found, "no name"), 64)


class Known(NamedTuple):
    """What is known of a certificate: good, revoked or unknown. All times are s of the system's clock."""

    state: str
    told: str
    asked: float
    again: float
    """When to ask again."""
    valid: float
    """Until when the issuer's answer counts."""
    lists: float
    """The operator's lists that it knows of, as `_changed` tells."""

    def is_fresh(self, mode: str, lists: float) -> bool:
        """Nobody has to be asked now. A clock that was set back makes it stale."""
        until = min(self.again, self.asked + (UNKNOWN_S[mode] if self.state == "unknown" else LATEST_S))
        return self.asked - CLOCK_OFF_S <= time.time() < until and self.lists == lists


class Unasked(SSLError):
    """The handshake was good; before anything is sent the issuers have to be asked."""

    def __init__(self) -> None:
        super().__init__("the CSMS shows another certificate at each attempt, and its issuer has to be asked first")


class Judgement(NamedTuple):
    """Why a chain is not trusted, or what is not known of one that is; both empty when all is good."""

    wrong: str = ""
    doubt: str = ""
    in_vain: bool = False
    """Somebody could have told, and did not."""


class Records:
    """What one attempt, and the connection that it opens, know of certificates."""

    def __init__(self, home: Path, mode: str, clock: Callable[[], tuple[float, bool]]) -> None:
        """`home` is the state directory; `clock` tells the time (s) to judge by, and whether it is only a lower bound
        of the true time."""
        self._home = home
        self._mode = mode
        self._clock = clock
        self._known = _read(home / FILE)
        self._just_asked: set[str] = set()
        self.chain: Sequence[Shown] = ()
        """What the CSMS has shown last."""

    def judge(self, chain: Sequence[Shown]) -> Judgement:
        """What is to be thought of a verified chain, its trusted end included. Raises Unasked."""
        self.chain = chain
        if any(shown.fingerprint not in self._just_asked and not self._settled(shown) for shown in chain[:-1]):
            raise Unasked
        return self.judged()

    def judged(self) -> Judgement:
        """The same of the chain that was shown last, by what is known; nobody is asked."""
        doubts, in_vain = [], False
        for at, shown in enumerate(self.chain[:-1]):
            whose = "" if at == 0 else f"of its authority {shown.name}: "
            known = self._known.get(shown.fingerprint)
            if known is not None and known.state == "revoked":
                return Judgement(f"{whose}{known.told}")
            if known is None and not shown.is_short_lived:
                doubts.append(f"{whose}it names nobody who could tell whether it was revoked")
            elif known is not None and known.state == "unknown":
                doubts.append(f"{whose}nobody tells whether it was revoked ({known.told})")
                in_vain = True
        doubt = "; ".join(doubts)
        if doubt and self._mode == HARD:
            return Judgement(f"{doubt}, and SecurityCtrlr.RevocationCheck is Hard")
        return Judgement("", doubt, in_vain)

    def words(self) -> str:
        """For people: how it stands with the chain that was shown last."""
        if doubt := self.judged().doubt:
            return doubt
        told = [known.told for shown in self.chain[:-1] if (known := self._known.get(shown.fingerprint))]
        return f"not revoked ({', '.join(dict.fromkeys(told))})" if told else "nobody has to be asked for revocation"

    def _settled(self, shown: Shown) -> bool:
        lists = _changed(self._home / LISTS)
        if (known := self._known.get(shown.fingerprint)) is not None:
            return known.is_fresh(self._mode, lists)
        return not (shown.names_somebody or lists) or shown.is_short_lived

    # ---------------------------------------------------------------------------------------- asking

    async def settle(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` returns, once all is known that it needs; nothing is asked twice. Raises what it raises."""
        self._just_asked.clear()
        for _ in range(ASKS_MOST):
            try:
                return await attempt()
            except Unasked:
                await self.ask()
                self._just_asked.update(shown.fingerprint for shown in self.chain)
        return await attempt()

    async def ask(self) -> None:
        """Ask the issuers of the chain that was shown last; what they say is kept. It takes seconds at most."""
        now, at_least = self._clock()
        question = {
            "chain": [base64.b64encode(shown.der).decode() for shown in self.chain],
            "now": now, "at_least": at_least, "within_s": WITHIN_S, "home": str(self._home),
        }  # fmt: skip
        lists = _changed(self._home / LISTS)
        for shown, answer in zip(self.chain[:-1], await _inquire(question), strict=True):
            if shown.fingerprint in self._known or not self._settled(shown):
                self._learn(shown.fingerprint, answer, now, lists)
        await asyncio.to_thread(_write, self._home / FILE, self._known)

    def _learn(self, fingerprint: str, answer: Mapping[str, Any], judged_s: float, lists: float) -> None:
        """Who does not know does not undo what is known: a revocation, or an answer that still counts."""
        asked = time.time()
        lasts_s = min(max((answer["until"] or 0.0) - judged_s, SOONEST_S), LATEST_S)
        again = asked + lasts_s
        known = Known(answer["state"], _plain(answer["told"]), asked, again, answer["until"] or again, lists)
        old = self._known.pop(fingerprint, known)
        if known.state == "unknown" and (old.state == "revoked" or (old.state == "good" and old.valid > judged_s)):
            known = old._replace(asked=asked, again=asked + SOONEST_S, lists=lists)
        self._known[fingerprint] = known

    async def until_wrong(self, note: Callable[[Judgement], None]) -> str:
        """Beside an open connection: ask again whenever it is time. Returns why it is to be trusted no longer."""
        note(before := self.judged())
        while True:
            await asyncio.sleep(self._rest_s())
            if all(self._settled(shown) for shown in self.chain[:-1]):
                continue
            await self.ask()
            judged = self.judged()
            if judged.wrong:
                return judged.wrong
            if judged != before:
                note(judged)
            before = judged

    def _rest_s(self) -> float:
        """Until it is time; an hour at most, for the clock may be set meanwhile."""
        times = [known.again for shown in self.chain[:-1] if (known := self._known.get(shown.fingerprint))]
        return min(max(min(times, default=SOONEST_S) - time.time(), 1.0), SOONEST_S)


async def _inquire(question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per certificate below the trusted one its state, words and `until` (s), from the process that asks."""
    lost = f"no answer within {WITHIN_S:g} s"
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", _START, str(_SOURCES), stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        try:
            async with asyncio.timeout(WITHIN_S + START_S):
                out, errors = await process.communicate(json.dumps(question).encode())
            if process.returncode:
                raise ChildProcessError((errors.decode("utf-8", "replace").strip().splitlines() or ["it ended"])[-1])
            found: list[dict[str, Any]] = json.loads(out)
            return found
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    except TimeoutError:
        pass
    except (OSError, ValueError) as error:
        lost = f"this board could not ask: {error}"
    return [{"state": "unknown", "told": lost, "until": None} for _ in question["chain"][:-1]]


def _plain(text: str, most: int = 400) -> str:
    """For logs: addresses and names are what somebody else has put into a certificate."""
    return "".join(char if char.isprintable() else "?" for char in text[:most])


def _changed(directory: Path) -> float:
    """When the operator's lists were last changed (s); 0 where there are none."""
    times = [0.0]
    with contextlib.suppress(OSError):
        times += [entry.stat().st_mtime for entry in os.scandir(directory) if entry.name.endswith((".pem", ".crl"))]
    return max(times)


def _read(file: Path) -> dict[str, Known]:
    """What was written; nothing when that is damaged."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        found = json.loads(file.read_text("ascii"))
        return {print_: Known(str(v[0]), str(v[1]), *(float(n) for n in v[2:])) for print_, v in found.items()}
    return {}


def _write(file: Path, known: Mapping[str, Known]) -> None:
    """The newest, at once and for good; a flash that refuses it costs another question after the next start."""
    text = json.dumps(dict(list(known.items())[-KEPT_MOST:]))
    with contextlib.suppress(OSError):
        write(file, text.encode("ascii"))
