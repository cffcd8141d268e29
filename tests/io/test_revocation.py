"""A CSMS whose certificate was revoked, against a real TLS server, responder and list: refused before anything is said.

The process that asks is the real one; a story costs one start of it per question.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.core.effects import Disconnect
from agent.core.events import LinkDown, LinkUp
from agent.io import inquiry, revocation
from agent.io.pki import Refused
from agent.io.status_proofs import Moment, Pair, by_list
from hil.file_server import FileServer
from hil.pki import Made, issue, root
from hil.responder import Responder
from tests.io.test_link import Side, csms
from tests.io.test_tls import CA, HOST, serving, trusting
from tests.io.waiting import until
from tests.marks import req

T = TypeVar("T")
FLAW = "InvalidCsmsCertificate"


class Scene:
    """A CSMS behind TLS whose certificate names a responder and a list, and the station's directory."""

    def __init__(self, home: Path, responder: Responder) -> None:
        self.home = trusting(home, root(CA))
        self.responder = responder
        self.notes: list[tuple[str, str, str]] = []
        self.requests = 0
        delegate = issue("delegate", root(CA), ca=False, answers=True)
        ocsp, crl = responder.speaks_for(root(CA), delegate)
        self.leaf = responder.knows(issue(HOST, root(CA), ca=False, ocsp=ocsp, crl=crl), root(CA))
        self.chain = ""
        responder.knows(issue("another", root(CA), ca=False), root(CA))

    def shows(self, made: Made, chain: str = "") -> None:
        self.leaf, self.chain = made, chain

    async def connects(
        self, mode: str = "Soft", after: Callable[[Side], Awaitable[None]] | None = None, **order: Any
    ) -> LinkUp | LinkDown:
        """How an attempt goes; `after` is what happens behind it, and its end is told then."""
        async with csms(ssl=serving(self.leaf, self.home, self.chain)) as server:
            side = Side(server.port, self.home, note=lambda *note: self.notes.append(note))
            side.connect(url=f"wss://{HOST}:{server.port}/", security_profile=2, password="correct-horse-battery",
                         revocation=mode, **order)  # fmt: skip
            await until(lambda: side.events, 30)
            if after is not None:
                await after(side)
            event = side.events[-1]
            await side.link.close()
            self.requests = len(server.requests)
        assert isinstance(event, LinkUp | LinkDown)
        return event

    async def refused(self, words: str, mode: str = "Soft", **order: Any) -> str:
        """The attempt ends under the one name that a bad certificate has, and nothing was said."""
        down = await self.connects(mode, **order)
        assert isinstance(down, LinkDown) and down.flaw == FLAW and words in down.reason, down
        assert self.requests == 0
        return down.reason


@asynccontextmanager
async def scene(home: Path) -> AsyncIterator[Scene]:
    responder = Responder()
    await responder.open()
    try:
        yield Scene(home, responder)
    finally:
        await responder.close()


def told(home: Path, story: Callable[[Scene], Awaitable[T]]) -> T:
    async def run() -> T:
        async with scene(home) as made:
            return await story(made)

    return asyncio.run(asyncio.wait_for(run(), 60))


def an_hour_passes(home: Path) -> None:
    """What is known was asked for so long ago that it is time to ask again."""
    file = home / revocation.FILE
    aged = {name: [state, words, asked - 3700, asked - 1, *rest]
            for name, (state, words, asked, _, *rest) in json.loads(file.read_text()).items()}  # fmt: skip
    file.write_text(json.dumps(aged))


@req("A00.FR.310", "A00.FR.311", "A00.FR.411", "A00.FR.413", "A00.FR.414")
def test_a_revoked_certificate_is_refused_and_the_verdict_outlives_the_process(tmp_path: Path) -> None:
    """Asked once: the next attempts, of the next process too, know it without the responder, and its silence is no
    pardon."""

    async def story(at: Scene) -> None:
        at.responder.revokes(at.leaf)
        reason = await at.refused("it was revoked on 20")
        assert reason.endswith("UTC: its key is compromised")
        await at.refused("its key is compromised", "Hard")
        assert at.responder.asked == ["/0/ocsp"]
        await at.responder.close()
        an_hour_passes(tmp_path)
        await at.refused("its key is compromised")
        assert isinstance(await at.connects("Off"), LinkUp)

    told(tmp_path, story)


def test_a_good_certificate_is_asked_about_once_and_again_when_it_is_time(tmp_path: Path) -> None:
    async def story(at: Scene) -> None:
        for _ in range(2):
            assert isinstance(await at.connects("Hard"), LinkUp) and at.requests == 1
        assert at.responder.asked == ["/0/ocsp"] and at.notes == []
        an_hour_passes(tmp_path)
        at.responder.moods |= {"/0/ocsp": "cuts", "/0/list.crl": "missing"}
        assert isinstance(await at.connects("Hard"), LinkUp), "the old answer counts for two days"
        an_hour_passes(tmp_path)
        at.responder.moods.clear()
        at.responder.revokes(at.leaf)
        await at.refused("it was revoked")

    told(tmp_path, story)


@pytest.mark.parametrize("mode", ["Soft", "Hard"])
def test_nobody_who_could_tell_answers(tmp_path: Path, mode: str) -> None:
    """Soft connects and says so; Hard does not, and names whom it has asked. Neither asks again at once."""

    async def story(at: Scene) -> None:
        await at.responder.close()
        for _ in range(2):
            if mode == "Hard":
                reason = await at.refused("Connection refused", "Hard")
                assert f"127.0.0.1:{at.responder.port}/0/list.crl" in reason and "RevocationCheck is Hard" in reason
                continue
            assert isinstance(await at.connects(), LinkUp)
            level, _, words = at.notes.pop()
            assert level == "warning" and "nobody tells whether it was revoked" in words

    told(tmp_path, story)


def test_a_certificate_that_names_nobody(tmp_path: Path) -> None:
    """No process is started for it. One that lives for a day is not revoked but left to expire (A00.FR.701)."""

    async def story(at: Scene) -> None:
        at.shows(issue(HOST, root(CA), ca=False))
        assert isinstance(await at.connects(), LinkUp)
        assert [(level, "names nobody" in words) for level, _, words in at.notes] == [("info", True)]
        await at.refused("it names nobody who could tell whether it was revoked", "Hard")
        at.shows(issue(HOST, root(CA), ca=False, days=0.5, since=-0.1))
        assert isinstance(await at.connects("Hard"), LinkUp)
        assert not (tmp_path / revocation.FILE).exists()

    told(tmp_path, story)


@req("A00.FR.411")
def test_a_revoked_authority_between_csms_and_root(tmp_path: Path) -> None:
    """Whoever has its key can make certificates for any name, so its own word about them is not enough."""

    async def story(at: Scene) -> None:
        ocsp, _ = at.responder.speaks_for(root(CA))
        between = at.responder.knows(issue("Between", root(CA), ocsp=ocsp), root(CA))
        own, _ = at.responder.speaks_for(between)
        at.shows(at.responder.knows(issue(HOST, between, ca=False, ocsp=own), between), between.pem)
        assert isinstance(await at.connects("Hard"), LinkUp)
        assert sorted(at.responder.asked) == ["/1/ocsp", "/2/ocsp"]
        an_hour_passes(tmp_path)
        at.responder.revokes(between, None)
        await at.refused("of its authority Between: it was revoked on")

    told(tmp_path, story)


@pytest.mark.parametrize("days", [0.5, 365])
def test_only_who_can_be_asked_about_is(tmp_path: Path, days: float) -> None:
    """Between CSMS and root nobody is named, or the CSMS lives for a day: the other one is asked about, once."""

    async def story(at: Scene) -> None:
        ocsp, _ = at.responder.speaks_for(root(CA))
        between = at.responder.knows(issue("Between\n", root(CA), ocsp=ocsp if days < 1 else ""), root(CA))
        own, _ = at.responder.speaks_for(between)
        made = issue(HOST, between, ca=False, days=days, since=-0.1, ocsp="" if days < 1 else own)
        at.shows(at.responder.knows(made, between), between.pem)
        for _ in range(2):
            assert isinstance(await at.connects(), LinkUp)
        assert len(at.responder.asked) == len(json.loads((tmp_path / revocation.FILE).read_text())) == 1
        if days < 1:
            assert isinstance(await at.connects("Hard"), LinkUp)
        else:
            await at.refused("of its authority Between?: it names nobody", "Hard")

    told(tmp_path, story)


def test_revoked_while_connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The open connection ends, under the name of the flaw, and the next attempt says nothing any more."""
    monkeypatch.setattr(revocation, "SOONEST_S", 1.0)
    monkeypatch.setattr(revocation, "LATEST_S", 1.0)

    async def story(at: Scene) -> None:
        async def revoke(side: Side) -> None:
            assert isinstance(side.events[-1], LinkUp)
            at.responder.revokes(at.leaf)
            await side.down()

        down = await at.connects(after=revoke)
        assert isinstance(down, LinkDown) and down.flaw == FLAW and "it was revoked on" in down.reason
        await at.refused("it was revoked on")

    told(tmp_path, story)


@pytest.mark.parametrize("revoked", [False, True])
def test_with_a_clock_that_is_known_to_be_wrong_answers_are_judged_by_the_last_known_time(
    tmp_path: Path, revoked: bool
) -> None:
    """Bug 15: here the last known time is a year ahead of the clock; certificate and answer are of that year."""
    async def story(at: Scene) -> None:
        ocsp, _ = at.responder.speaks_for(root(CA))
        at.shows(at.responder.knows(issue(HOST, root(CA), ca=False, days=800, ocsp=ocsp), root(CA)))
        at.responder.lasts = timedelta(days=370)
        if revoked:
            at.responder.revokes(at.leaf)
        floor_ms = round(time.time() * 1000) + 365 * 86_400_000
        if revoked:
            await at.refused("it was revoked on", floor_ms=floor_ms)
        else:
            assert isinstance(await at.connects("Hard", floor_ms=floor_ms), LinkUp)

    told(tmp_path, story)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"a": [1]}', b'{"a": 1}', b"\xff\x00", b'{"a": ["good", "x", {}, 1, 1, 1]}']
)
def test_what_is_known_may_be_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / revocation.FILE).write_bytes(content)
    records = revocation.Records(tmp_path, "Soft", lambda: (0.0, False))
    assert records.judge([]) == revocation.Judgement()


@pytest.mark.parametrize(
    ("process", "words"),
    [("import time; time.sleep(60)", "no answer within"), ("raise SystemExit('no memory')", "could not ask: no memory"),
     ("print('[')", "could not ask")],
)  # fmt: skip
def test_a_process_that_hangs_or_fails_is_an_answer_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process: str, words: str
) -> None:
    monkeypatch.setattr(revocation, "_START", process)
    monkeypatch.setattr(revocation, "START_S", 0.0 if "sleep" in process else 20.0)
    monkeypatch.setattr(revocation, "WITHIN_S", 0.2)

    async def story(at: Scene) -> None:
        await at.refused(words, "Hard")

    told(tmp_path, story)


def test_hanging_up_does_not_wait_for_an_answer(tmp_path: Path) -> None:
    async def story(at: Scene) -> None:
        at.responder.moods["/0/ocsp"] = "silent"
        side = Side(1, at.home)
        async with csms(ssl=serving(at.leaf, at.home)) as server:
            side.connect(url=f"wss://{HOST}:{server.port}/", security_profile=2, revocation="Soft")
            await until(lambda: at.responder.asked)
            side.link.execute(Disconnect(1, "enough"))
            assert (await side.down()).reason == "enough"
            assert not (tmp_path / revocation.FILE).exists() and not server.requests

    told(tmp_path, story)


# -------------------------------------------------------------------------------------------- what issuers say


def asked(at: Scene, *chain: Made, at_least: bool = False) -> list[dict[str, Any]]:
    """What the process would say of a chain, asked in this one."""
    question = {"chain": [base64.b64encode(made.certificate.public_bytes(Encoding.DER)).decode() for made in chain],
                "now": time.time(), "at_least": at_least, "within_s": 3.0, "home": str(at.home)}  # fmt: skip
    return inquiry.inquire(question)


SPOILED = {
    "endless": " bytes", "drips": "no answer", "silent": "no answer", "cuts": "Remote end closed",
    "expired": "was valid until", "early": "this station's clock says", "missing": "HTTP 404",
}  # fmt: skip
BAD_ANSWERS = SPOILED | {
    "garbage": "is no OCSP", "empty": "is no OCSP", "another": "about another certificate", "busy": "try later",
    "stranger": "signed by nobody who may", "unfit": "signed by nobody who may", "unsure": "does not know the certif",
    "moved": "HTTP 302",
}  # fmt: skip
BAD_LISTS = SPOILED | {
    "garbage": "cannot be read", "empty": "cannot be read", "another": "of another issuer",
    "stranger": "not signed by the issuer", "moved": "more than 3 redirects",
}  # fmt: skip


def test_no_bad_answer_is_believed_and_who_comes_next_is_asked(tmp_path: Path) -> None:
    """Every bad mood of a responder, alone, before a list that is good, and before one in which the certificate is."""

    async def story(at: Scene) -> None:
        fit, unfit = (issue("delegate", root(CA), ca=False, answers=may) for may in (True, False))

        def made(ocsp: str, crl: str) -> Made:
            return at.responder.knows(issue(HOST, root(CA), ca=False, ocsp=ocsp, crl=crl), root(CA))

        async def of(mood: str, words: str) -> None:
            signer = unfit if mood == "unfit" else fit
            ocsp, crl = at.responder.speaks_for(root(CA), signer, "delegate" if mood == "unfit" else mood)
            alone, listed, good = made(ocsp, ""), made(ocsp, crl), made(ocsp, crl)
            at.responder.revokes(listed)
            found = [(await asyncio.to_thread(asked, at, one, root(CA)))[0] for one in (alone, listed, good)]
            assert [one["state"] for one in found] == ["unknown", "revoked", "good"], (mood, found)
            assert words in found[0]["told"] and f"{ocsp}: " in found[0]["told"], (mood, found[0])

        await asyncio.gather(*(of(mood, words) for mood, words in BAD_ANSWERS.items()))
        good = made(at.responder.speaks_for(root(CA), fit, "delegate")[0], "")
        assert (await asyncio.to_thread(asked, at, good, root(CA)))[0]["state"] == "good"

    told(tmp_path, story)


def test_no_bad_list_is_believed(tmp_path: Path) -> None:
    async def story(at: Scene) -> None:
        async def of(mood: str, words: str) -> None:
            _, crl = at.responder.speaks_for(root(CA), lists=mood)
            made = issue(HOST, root(CA), ca=False, crl=crl)
            (found,) = await asyncio.to_thread(asked, at, made, root(CA))
            assert found["state"] == "unknown" and words in found["told"], (mood, found)

        await asyncio.gather(*(of(mood, words) for mood, words in BAD_LISTS.items()))

    told(tmp_path, story)


def test_a_list_behind_tls(tmp_path: Path) -> None:
    """Whose server the operator's root vouches for; another's is not believed."""

    async def story(at: Scene) -> None:
        files = FileServer()
        states = []
        for server in (issue(HOST, root(CA), ca=False), issue(HOST, root("Another"), ca=False)):
            port = await files.open_http(tls=serving(server, tmp_path))
            files.offered["/list"] = (at.responder.list_of(root(CA)), 0.0)
            made = issue(HOST, root(CA), ca=False, crl=f"https://{HOST}:{port}/list")
            states += await asyncio.to_thread(asked, at, made, root(CA))
        await files.close()
        assert [found["state"] for found in states] == ["good", "unknown"], states

    told(tmp_path, story)


SCOPES: dict[str, tuple[dict[str, Any], str]] = {
    "for authorities": ({"only_contains_ca_certs": True}, "for other certificates"),
    "for servers": ({"only_contains_user_certs": True}, ""),
    "indirect": ({"indirect_crl": True}, "for other certificates"),
    "some reasons": ({"only_some_reasons": frozenset([x509.ReasonFlags.superseded])}, "for other certificates"),
    "another part": ({"full_name": [x509.UniformResourceIdentifier("http://127.0.0.1/part-2")]}, "another part"),
    "its part": ({"full_name": [x509.UniformResourceIdentifier("http://127.0.0.1/part-1")]}, ""),
}


@pytest.mark.parametrize("scope", SCOPES)
def test_a_list_counts_for_the_certificates_that_it_has_all_of(scope: str) -> None:
    """RFC 5280, 5.2.5: a part of an issuer's list, put in the place of another, would acquit everybody."""
    fields, words = SCOPES[scope]
    whole: dict[str, Any] = dict.fromkeys(("full_name", "relative_name", "only_some_reasons"))
    whole |= dict.fromkeys(("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl"), False)
    extension = x509.IssuingDistributionPoint(**{**whole, "only_contains_attribute_certs": False, **fields})
    pair = Pair(issue(HOST, root(CA), ca=False, crl="http://127.0.0.1/part-1").certificate, root(CA).certificate)
    content = Responder().list_of(root(CA), "", extension)
    if words:
        with pytest.raises(Refused, match=words):
            by_list(pair, content, Moment(datetime.now(UTC)))
    else:
        assert by_list(pair, content, Moment(datetime.now(UTC))).state == "good"


def test_the_operators_own_lists_count(tmp_path: Path) -> None:
    """Beside the roots, for a certificate that names nobody, too; one that has come since then makes us look again."""

    async def story(at: Scene) -> None:
        at.shows(issue(HOST, root(CA), ca=False))
        assert isinstance(await at.connects(), LinkUp)
        folder = tmp_path / revocation.LISTS
        folder.mkdir(parents=True)
        (folder / "ours.crl").write_bytes(at.responder.list_of(root(CA)))
        assert isinstance(await at.connects("Hard"), LinkUp)
        at.responder.revokes(at.leaf, x509.ReasonFlags.superseded)
        (folder / "later.crl").write_bytes(at.responder.list_of(root(CA), "expired"))
        await at.refused("it was replaced")

    told(tmp_path, story)
