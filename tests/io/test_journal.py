"""The store: nothing acknowledged is lost, nothing is torn, and no failure of the disk stops the agent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import random
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from agent.core.effects import Persist, Put, Record
from agent.core.events import StoreReported
from agent.io import store_file
from agent.io.journal import Journal
from agent.io.values import checksum
from tests.io.waiting import until


class Ear:
    """Hears what becomes of the batches, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []
        self.reports: list[StoreReported] = []

    def committed(self, step: int) -> None:
        self.heard.append(("committed", step))

    def failed(self, step: int, reason: str) -> None:
        self.heard.append(("failed", step))

    def reported(self, report: StoreReported) -> None:
        self.reports.append(report)

    def has_heard(self, outcomes: int) -> bool:
        return len(self.heard) == outcomes


def record(number: int, text: str = "") -> Record:
    return Record(number, "note", {"n": number, "text": text})


def batch(number: int, text: str = "", lazy: bool = False) -> Persist:
    return Persist((record(number, text),), lazy=lazy)


def use(
    path: Path,
    story: Callable[[Journal, Ear], Awaitable[None]],
    size_limit: int = 1 << 26,
    lazy_wait_s: float = 60.0,
    commit_within_s: float = 10.0,
) -> Ear:
    """Open the store, let the story happen, close it; return what was heard."""
    ear = Ear()

    async def live() -> None:
        journal, _, _, report = Journal.open(path, size_limit, lazy_wait_s, commit_within_s)
        ear.reports.append(report)
        journal.start(ear)
        await story(journal, ear)
        await asyncio.to_thread(journal.close)
        await asyncio.sleep(0)

    asyncio.run(live())
    return ear


def fill(path: Path, steps: int = 50) -> None:
    async def story(journal: Journal, ear: Ear) -> None:
        for step in range(1, steps + 1):
            puts = (Put("keys", f"key{step}", str(step)), Put("cache", f"card{step}", {"n": step}))
            journal.append(step, Persist((record(step, "x" * 200),), puts=puts))

    ear = use(path, story)
    assert ear.heard == [("committed", n) for n in range(1, steps + 1)]


def test_what_was_written_is_there_after_a_new_start(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"

    async def story(journal: Journal, ear: Ear) -> None:
        first = (Put("keys", "a", "1"), Put("keys", "b", [2]))
        journal.append(1, Persist((record(1), record(2)), puts=first))
        second = (Put("keys", "a", None), Put("new", "x", 1.5))
        journal.append(2, Persist((record(3),), drop=(1,), puts=second))
        journal.append(3, Persist(puts=(Put("keys", "missing", None),)))

    ear = use(path, story)
    assert ear.heard == [("committed", 1), ("committed", 2), ("committed", 3)]
    journal, records, tables, report = Journal.open(path)
    journal.close()
    assert records == [record(2), record(3)]
    assert tables == {"keys": {"b": [2]}, "new": {"x": 1.5}}
    assert report == StoreReported("ok")


def test_the_store_is_durable_against_power_cuts_by_its_settings(tmp_path: Path) -> None:
    fill(tmp_path / "journal.db", 3)
    with sqlite3.connect(tmp_path / "journal.db") as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA page_size").fetchone() == (512,)
    with contextlib.closing(store_file.connect(tmp_path / "journal.db")) as ours:
        assert ours.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_many_steps_share_a_commit_and_are_told_in_order(tmp_path: Path) -> None:
    commits: list[int] = []

    async def story(journal: Journal, ear: Ear) -> None:
        for step in range(1, 501):
            journal.append(step, batch(step))
        await until(lambda: len(ear.heard) == 500)
        commits.append(journal.commits)

    ear = use(tmp_path / "journal.db", story)
    assert ear.heard == [("committed", n) for n in range(1, 501)]
    assert commits[0] < 100


def test_a_lazy_batch_rides_on_the_next_commit(tmp_path: Path) -> None:
    commits: list[int] = []

    async def story(journal: Journal, ear: Ear) -> None:
        journal.append(1, batch(1, lazy=True))
        journal.append(2, batch(2))
        await until(lambda: len(ear.heard) == 2)
        commits.append(journal.commits)

    ear = use(tmp_path / "journal.db", story)
    assert ear.heard == [("committed", 1), ("committed", 2)]
    assert commits == [1]


def test_a_lazy_batch_goes_out_alone_when_nothing_follows(tmp_path: Path) -> None:
    async def story(journal: Journal, ear: Ear) -> None:
        journal.append(1, batch(1, lazy=True))
        await until(lambda: ear.heard)

    assert use(tmp_path / "journal.db", story, lazy_wait_s=0.05).heard == [("committed", 1)]


def test_patient_batches_share_a_commit_until_the_store_must_hurry(tmp_path: Path) -> None:
    commits: list[int] = []

    async def story(journal: Journal, ear: Ear) -> None:
        for step in (1, 2, 3):
            journal.append(step, batch(step)._replace(patient=True))
        assert not ear.heard
        journal.hurry()
        await until(lambda: len(ear.heard) == 3)
        journal.append(4, batch(4)._replace(patient=True))
        await until(lambda: len(ear.heard) == 4)
        commits.append(journal.commits)

    assert use(tmp_path / "journal.db", story).heard == [("committed", n) for n in (1, 2, 3, 4)]
    assert commits == [2]


def test_what_cannot_be_told_in_json_is_a_bug_of_the_caller(tmp_path: Path) -> None:
    async def story(journal: Journal, ear: Ear) -> None:
        with pytest.raises(TypeError):
            journal.append(1, Persist((Record(1, "x", {"a": object()}),)))
        with pytest.raises(ValueError):
            journal.append(1, Persist(puts=(Put("keys", "a", float("nan")),)))
        with pytest.raises(ValueError, match="journal"):
            journal.append(1, Persist(puts=(Put("journal", "a", 1),)))

    assert use(tmp_path / "journal.db", story).heard == []


def test_a_record_number_that_exists_fails_only_its_own_step(tmp_path: Path) -> None:
    async def story(journal: Journal, ear: Ear) -> None:
        journal.append(1, batch(1))
        journal.append(2, Persist((record(1, "again"),), puts=(Put("fresh", "a", 1),)))
        journal.append(3, Persist((record(3),), puts=(Put("fresh", "b", 1),)))

    ear = use(tmp_path / "journal.db", story)
    assert sorted(ear.heard) == [("committed", 1), ("committed", 3), ("failed", 2)]
    journal, records, tables, _ = Journal.open(tmp_path / "journal.db")
    journal.close()
    assert records == [record(1), record(3)]
    assert tables == {"fresh": {"b": 1}}


def test_sigkill_loses_nothing_acknowledged_and_tears_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    chance = random.Random(2)
    following = 1
    for _ in range(30):
        acknowledged = _killed_after(path, following, chance.randint(1, 60))
        journal, records, tables, report = Journal.open(path)
        journal.close()
        newest = records[-1].id
        assert report.state == "ok"
        assert newest >= acknowledged
        assert [r.id for r in records] == list(range(max(1, newest - 9), newest + 1))
        assert tables == {"keys": {"last": str(newest)}, "cache": {"last": {"step": newest}}}
        following = newest + 1


def _killed_after(path: Path, first: int, acknowledgements: int) -> int:
    """Run the writing child and SIGKILL it after so many acknowledged steps; return the last of them."""
    command = [sys.executable, "-m", "tests.io.journal_child", str(path), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        lines = [child.stdout.readline() for _ in range(acknowledgements)]
        child.kill()
        lines += child.stdout.read().splitlines(keepends=True)
    return max(int(line) for line in lines if line.endswith("\n"))


# ------------------------------------------------------------------------------------------ damaged files


def _bad_header(path: Path) -> None:
    path.write_bytes(b"not a database at all" + path.read_bytes()[21:])


def _corrupt_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 1024 * 1024
    data[middle : middle + 1024] = b"\xa5" * 1024
    path.write_bytes(data)


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 10 * 1024])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _unreadable_record(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE journal SET body = '{\"n\": ', crc = NULL WHERE id = 7")


def _record_of_another_shape(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE journal SET body = '[1, 2]', crc = NULL WHERE id = 7")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a stored value was unpickled",))


def _pickled_value(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE keys SET value = ? WHERE key = 'key7'", (sqlite3.Binary(pickle.dumps(Evil())),))


def _not_utf8(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE journal SET body = CAST(x'ff22fe' AS TEXT) WHERE id = 7")


DAMAGES: dict[Callable[[Path], None], int] = {
    _bad_header: 0,
    _corrupt_page: 60,
    _truncated: 1,
    _emptied: 0,
    _unreadable_record: 149,
    _record_of_another_shape: 149,
    _pickled_value: 149,
    _not_utf8: 100,
}


async def put_on_record(journal: Journal, ear: Ear) -> None:
    """What the station does in its second step: until then each start must report the damage again."""
    journal.append(2, Persist(drop=(10_000,)))


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__.strip("_"))
def test_a_damaged_store_is_set_aside_and_what_is_whole_is_kept(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = tmp_path / "journal.db"
    fill(path)
    damage(path)
    journal, records, tables, report = Journal.open(path)
    journal.close()
    assert report.state == "restored", report
    assert len(records) + sum(map(len, tables.values())) >= DAMAGES[damage]
    assert all(r == record(r.id, "x" * 200) for r in records)
    assert (tmp_path / "journal.db.damaged-1").exists()

    assert use(path, put_on_record).reports == [StoreReported("restored", report.detail.split("; ", 1)[1])]
    again, kept, kept_tables, second = Journal.open(path)
    again.close()
    assert second == StoreReported("ok")
    assert (kept, kept_tables) == (records, tables)


def test_a_store_that_vanished_is_reported_and_a_first_start_is_not(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal.db"
    first, records, tables, report = Journal.open(path)
    first.close()
    assert (records, tables, report) == ([], {}, StoreReported("ok"))
    path.unlink()
    second, _, _, report = Journal.open(path)
    second.close()
    assert report.state == "restored"
    assert "missing" in report.detail


def test_only_the_newest_damaged_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for _ in range(5):
        fill(path, 3)
        _bad_header(path)
        Journal.open(path)[0].close()
        path.unlink()
        (tmp_path / "journal.db.reserve").unlink()
    kept = sorted(file.name for file in tmp_path.glob("*.damaged-?"))
    assert kept == [f"journal.db.damaged-{n}" for n in (3, 4, 5)]


def test_records_of_a_kind_nobody_knows_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    fill(path, 1)
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO journal (id, kind, body) VALUES (9, 'from the future', '{}')")
        db.execute("PRAGMA user_version=7")
    journal, records, _, report = Journal.open(path)
    journal.close()
    assert report.state == "ok"
    assert records[-1] == Record(9, "from the future", {})


def test_a_flipped_bit_in_a_value_is_found_and_the_value_not_used(tmp_path: Path) -> None:
    """One bit in each of the records and entries in turn: SQLite's own check finds but that of a key."""
    path = tmp_path / "journal.db"
    fill(path, 10)
    whole = path.read_bytes()
    marks = [f'"n":{n},"text'.encode() for n in range(1, 10)]
    marks += [b"key4" + checksum("keys", "key4", '"4"').to_bytes(4, signed=True), b'{"n":6}', b"note"]
    for mark in marks:
        at = whole.index(mark)
        path.write_bytes(whole[:at] + bytes([*mark[:3], mark[3] ^ 4]) + whole[at + 4 :])
        journal, records, tables, report = Journal.open(path)
        journal.close()
        assert report.state == "restored", mark
        assert ("missing from index" if mark.startswith(b"key4") else "checksum") in report.detail
        assert "29 rows saved" in report.detail
        assert all(r == record(r.id, "x" * 200) for r in records)
        assert set(tables["keys"].items()) <= {(f"key{n}", str(n)) for n in range(1, 11)}
        assert all(value == {"n": int(key[4:])} for key, value in tables["cache"].items())


def test_a_store_from_before_the_checksums_is_read_and_goes_on_with_them(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE journal (id INTEGER PRIMARY KEY, kind TEXT, body TEXT)")
        db.execute("""INSERT INTO journal VALUES (1, 'note', '{"n":1,"text":""}')""")
        db.execute("CREATE TABLE keys (key TEXT PRIMARY KEY, value BLOB)")
        db.execute("""INSERT INTO keys VALUES ('a', '"1"')""")

    async def story(journal: Journal, ear: Ear) -> None:
        journal.append(1, Persist((record(2),), puts=(Put("keys", "b", "2"),)))

    use(path, story)
    journal, records, tables, report = Journal.open(path)
    journal.close()
    assert (records, tables, report) == ([record(1), record(2)], {"keys": {"a": "1", "b": "2"}}, StoreReported("ok"))
    with sqlite3.connect(path) as db:
        assert [crc is None for (crc,) in db.execute("SELECT crc FROM journal ORDER BY id")] == [True, False]


# ----------------------------------------------------------------------------------------- failing disks


def test_a_full_disk_first_uses_the_reserve_then_fails_whole_steps_and_recovers(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    reserve = tmp_path / "journal.db.reserve"
    big = "x" * 20_000

    async def story(journal: Journal, ear: Ear) -> None:
        assert reserve.stat().st_size == 256 * 1024
        step = 0
        while not any(what == "failed" for what, _ in ear.heard):
            step += 1
            journal.append(step, batch(step, big))
            await until(partial(ear.has_heard, step))
            if len(ear.reports) == 1:
                assert reserve.exists()
        assert ear.reports[1].state == "full"
        assert not reserve.exists()
        journal.append(step + 1, Persist(drop=tuple(range(1, 20))))
        journal.append(step + 2, batch(step + 2, "small"))
        await until(lambda: ear.reports[-1].state == "ok")

    ear = use(path, story, size_limit=300 * 1024)
    assert [r.state for r in ear.reports] == ["ok", "full", "ok"]
    assert reserve.stat().st_size == 256 * 1024
    journal, records, _, _ = Journal.open(path)
    journal.close()
    lost = [step for what, step in ear.heard if what == "failed"]
    assert len(lost) == 1
    committed = {step for what, step in ear.heard if what == "committed"} - {lost[0] + 1}
    assert {r.id for r in records} == committed - set(range(1, 20))


def test_a_write_error_fails_the_steps_and_the_agent_goes_on(tmp_path: Path) -> None:
    """The child's files may not grow past a limit, so the operating system refuses the write itself."""
    script = f"""
import asyncio, json, resource
from pathlib import Path
from agent.io.journal import Journal
from agent.io.values import checksum
from tests.io.test_journal import Ear, batch
from tests.io.waiting import until

async def live():
    ear = Ear()
    journal = Journal.open(Path({str(tmp_path / "journal.db")!r}))[0]
    journal.start(ear)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, -1))
    step = 0
    while not ear.heard or ear.heard[-1][0] == "committed":
        step += 1
        journal.append(step, batch(step, "x" * 20_000))
        await until(lambda: len(ear.heard) == step)
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    journal.append(step + 1, batch(step + 1))
    await until(lambda: len(ear.heard) == step + 1)
    await until(lambda: len(ear.reports) == 2)
    print(json.dumps([ear.heard, [r.state for r in ear.reports]]))
    await asyncio.to_thread(journal.close)

asyncio.run(live())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    heard, reports = json.loads(done.stdout)
    assert reports == ["dead", "ok"]
    assert [what for what, _ in heard].count("failed") == 1
    assert heard[-1][0] == "committed"


def test_without_a_usable_directory_every_step_fails_and_the_agent_goes_on(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the directory should be")

    async def story(journal: Journal, ear: Ear) -> None:
        journal.append(1, batch(1))
        await until(lambda: ear.heard)

    ear = use(tmp_path / "state" / "journal.db", story)
    assert ear.heard == [("failed", 1)]
    assert [r.state for r in ear.reports] == ["dead"]


def test_closing_writes_what_is_pending_lazy_or_not(tmp_path: Path) -> None:
    async def story(journal: Journal, ear: Ear) -> None:
        for step in range(1, 101):
            journal.append(step, batch(step, lazy=step % 2 == 0))

    use(tmp_path / "journal.db", story)
    journal, records, _, _ = Journal.open(tmp_path / "journal.db")
    journal.close()
    assert [r.id for r in records] == list(range(1, 101))
