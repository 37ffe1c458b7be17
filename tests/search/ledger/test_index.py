"""The index: the same whatever became of its file, and the same in whatever order segments came."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from mmrace.search.ledger import database, intake
from mmrace.search.ledger.database import FILE
from mmrace.search.ledger.entry import Batch, Beat, Ended, Met, Trial
from mmrace.search.ledger.index import LEDGER, Index
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.ranges import Covered
from mmrace.search.ledger.scan import covered_in
from mmrace.search.ledger.segment import segments_in
from mmrace.search.ledger.sums import Sums
from tests.search.ledger.made import WHEN, batch, drawn, sequence, sums

KINDS = {of.key: of for of in (sequence("writers"), sequence("readers"))}


def write(folder: Path, batches: Iterable[Batch]) -> Path:
    """Write a segment, and return it."""
    before = set(segments_in(folder / LEDGER))
    with Ledger.open(folder) as ledger:
        ledger.begin(when=WHEN)
        for one in batches:
            ledger.add(one, KINDS[one.sequence])
    (path,) = set(segments_in(folder / LEDGER)) - before
    return path


def said(folder: Path, index: Index | None = None) -> dict[str, object]:
    """Return all that an index says of the batches."""
    index = index or Index.read_only(folder)
    return {
        "sums": index.sums(),
        "each": {one.key: of for one, of in index.each()},
        "covered": {key: list(index.covered(of)) for key, of in KINDS.items()},
        "series": index.series(60),
        "lives": index.lives(),
    }


def expected(batches: list[Batch]) -> tuple[Sums, dict[str, Covered]]:
    """Return what counts of some batches, in the plainest way: the largest, and of equal ones the earliest."""
    total, covered = Sums(), {key: Covered() for key in KINDS}
    order = sorted(batches, key=lambda one: (one.first - one.stop, one.when, one.campaign))
    for one in order:
        if one.first not in covered[one.sequence]:
            total.add(one.sums)
            covered[one.sequence].add(one.first, one.stop)
    return total, covered


@pytest.mark.parametrize("seed", range(3))
def test_what_counts_does_not_ask_for_an_order(seed: int, tmp_path: Path) -> None:
    batches = drawn(seed)
    total, covered = expected(batches)
    draw = random.Random(seed)
    answers = []
    for name in ("one", "two", "three"):
        store = tmp_path / name
        draw.shuffle(batches)
        cut = draw.randrange(len(batches))
        for part in (batches[:cut], batches[cut:], batches[: draw.randrange(9)]):  # some twice
            write(store, part)
            Index.open(store).close()
        answers.append(said(store, Index.open(store)))
        assert answers[-1] == said(store)
        assert {key: list(found) for key, found in covered_in(store / LEDGER).items()} == answers[-1]["covered"]

    assert answers[0]["sums"] == total
    assert answers[0]["covered"] == {key: list(found) for key, found in covered.items()}
    assert answers[0] == answers[1] == answers[2]


def test_an_index_that_is_whole_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(tmp_path) as ledger:
        campaign = ledger.begin()
        for one in drawn(1):
            ledger.add(one, KINDS[one.sequence])
        ledger.met(Met("bad", program="writers"))
        ledger.trial(Trial(campaign, WHEN, "leak"))
        ledger.beat(Beat(campaign, WHEN))
        ledger.ended(Ended(campaign, WHEN))
        before = said(tmp_path, ledger.index())
    monkeypatch.setattr(intake, "read_from", None)

    index = Index.open(tmp_path)

    assert index.on_disk
    assert said(tmp_path, index) == before == said(tmp_path)


def test_what_is_taken_in_later_is_added_to_what_was_there(tmp_path: Path) -> None:
    of = sequence()
    index = Index.open(tmp_path)
    assert not index.refresh()
    for turn in range(5):
        write(tmp_path, [batch(of, turn, turn + 1)])
        assert index.refresh()
        assert not index.refresh()
        assert index.sums() == sums(turn + 1)


def _remove(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("not a database\n" * 1000)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _garbage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100:] = random.Random(1).randbytes(len(content) - 100)
    path.write_bytes(content)


def _sums(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE part SET sums = zeroblob(40)")
    db.close()


def _other_version(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def _other_tables(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE batch (name TEXT)")
    db.close()


DAMAGES = [_remove, _empty, _text, _cut, _garbage, _sums, _other_version, _other_tables]


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_index_that_is_lost_or_damaged_is_made_anew(damage: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path, drawn(1))
    Index.open(tmp_path).close()
    before = said(tmp_path)

    damage(tmp_path / LEDGER / FILE)

    assert said(tmp_path) == before
    index = Index.open(tmp_path)
    assert said(tmp_path, index) == before
    assert index.on_disk


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_index_that_is_damaged_while_it_is_open_is_made_anew(
    damage: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)  # SQLite holds a file that others have open and somebody emptied
    write(tmp_path, drawn(1))
    index = Index.open(tmp_path)

    damage(tmp_path / LEDGER / FILE)
    write(tmp_path, drawn(2))
    index.refresh()

    assert said(tmp_path, index) == said(tmp_path)
    assert said(tmp_path, Index.open(tmp_path)) == said(tmp_path)


def test_two_processes_keep_one_index_also_when_it_is_deleted_between(tmp_path: Path) -> None:
    write(tmp_path, [])
    one, other = Index.open(tmp_path), Index.open(tmp_path)
    for turn, seed in enumerate(range(8)):
        write(tmp_path, drawn(seed))
        if turn % 3 == 2:
            (tmp_path / LEDGER / FILE).unlink()
        index = (one, other)[turn % 2]
        index.refresh()
        assert said(tmp_path, index) == said(tmp_path)
    one.refresh()
    other.refresh()
    assert said(tmp_path, one) == said(tmp_path, other) == said(tmp_path, Index.open(tmp_path))


def test_a_segment_that_is_gone_is_counted_no_more(tmp_path: Path) -> None:
    write(tmp_path, drawn(1))
    path = write(tmp_path, drawn(2))
    index = Index.open(tmp_path)

    path.unlink()
    index.refresh()

    assert said(tmp_path, index) == said(tmp_path)
    assert index.sums() == expected(drawn(1))[0]


def test_a_batch_that_changed_on_disk_since_is_counted_no_more(tmp_path: Path) -> None:
    of = sequence()
    path = write(tmp_path, [batch(of, 0, 1), batch(of, 1, 2)])
    index = Index.open(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"first":1,', b'"first":7,'))

    write(tmp_path, [batch(of, 0, 2), batch(of, 4, 6)])
    index.refresh()

    assert said(tmp_path, index) == said(tmp_path)
    assert index.sums().runs == 4
    assert [damage.segment for damage in index.damage] == [path.name]


def test_a_segment_that_cannot_be_read_is_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, drawn(1))
    path = write(tmp_path, drawn(2))
    path.unlink()
    path.mkdir()

    index = Index.open(tmp_path)

    assert index.sums() == expected(drawn(1))[0]
    assert [(damage.segment, "cannot be read" in damage.what) for damage in index.damage] == [(path.name, True)]


def test_taking_in_that_is_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "LINES_A_TRANSACTION", 10)
    write(tmp_path, drawn(1))
    write(tmp_path, drawn(2))
    flush = intake.Intake._flush
    for stop in (2, 1, 3, 1):
        calls = iter(range(100))

        def stopped(self: intake.Intake, calls: Iterator[int] = calls, stop: int = stop) -> None:
            flush(self)
            if next(calls) == stop:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(intake.Intake, "_flush", stopped)
            with pytest.raises(KeyboardInterrupt):
                Index.open(tmp_path)

    assert said(tmp_path, Index.open(tmp_path)) == said(tmp_path)
    assert Index.open(tmp_path).sums() == expected(drawn(1) + drawn(2))[0]


@pytest.mark.parametrize("seed", range(3))
def test_what_a_campaign_made_itself_does_not_ask_what_others_made(seed: int, tmp_path: Path) -> None:
    batches = drawn(seed)
    for part in (batches[:20], batches[20:], batches[10:30]):
        write(tmp_path, part)
        index = Index.open(tmp_path)
    for campaign in {one.campaign for one in batches}:
        mine = [one for one in batches if one.campaign == campaign]
        turns = {(one.sequence, turn) for one in mine for turn in range(one.first, one.stop)}

        own = index.own(campaign)

        assert {(key, turn) for key, (covered, _) in own.items() for a, b in covered for turn in range(a, b)} == turns
        assert {key: total.runs for key, (_, total) in own.items()} == {
            key: sum(of == key for of, _ in turns) for key in {of for of, _ in turns}
        }
        total = Sums()
        for _, one in own.values():
            total.add(one)
        assert total == expected(mine)[0]


def test_an_index_that_cannot_be_written_is_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, drawn(1))
    before = said(tmp_path)
    connect = sqlite3.connect

    def full(path: object, **more: object) -> sqlite3.Connection:
        db = connect(path, **more)  # type: ignore[call-overload]
        if str(path).endswith(FILE):
            db.execute("PRAGMA max_page_count = 3")
        return db  # type: ignore[no-any-return]

    monkeypatch.setattr(sqlite3, "connect", full)
    index = Index.open(tmp_path)

    assert not index.on_disk
    assert said(tmp_path, index) == before


def test_another_process_that_stopped_while_it_held_the_index_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.0)
    write(tmp_path, drawn(1))
    held = os.open(tmp_path / LEDGER, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)

    index = Index.open(tmp_path)

    assert not index.on_disk
    assert said(tmp_path, index) == said(tmp_path)
    os.close(held)
    assert Index.open(tmp_path).on_disk


def test_another_process_that_stopped_inside_a_transaction_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.0)
    write(tmp_path, drawn(1))
    Index.open(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / LEDGER / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        write(tmp_path, drawn(2))

        index = Index.open(tmp_path)

        assert not index.on_disk
        assert said(tmp_path, index) == said(tmp_path)


def test_an_index_that_another_machine_keeps_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, drawn(1))
    Index.open(tmp_path).close()
    path = tmp_path / LEDGER / FILE
    before = path.read_bytes()
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    write(tmp_path, drawn(2))

    index = Index.open(tmp_path)

    assert not index.on_disk
    assert index.sums() == expected(drawn(1) + drawn(2))[0]
    assert path.read_bytes() == before
    index.refresh()
    assert not index.on_disk


def test_a_damaged_line_of_a_sequence_costs_none_of_its_batches(tmp_path: Path) -> None:
    of = sequence()
    with Ledger.open(tmp_path) as ledger:
        for turn in range(150):
            ledger.add(batch(of, turn, turn + 1), of)
    (path,) = segments_in(tmp_path / LEDGER)
    path.write_bytes(path.read_bytes().replace(b'"is":"sequence"', b'"is":"seqxxxxx"', 1))

    index = Index.read_only(tmp_path)

    assert index.sums(role="main").runs == 150
    assert len(index.damage) == 1


def test_an_index_in_memory_touches_nothing(tmp_path: Path) -> None:
    write(tmp_path, drawn(1))
    Index.open(tmp_path).close()
    before = {path: path.stat().st_mtime_ns for path in sorted((tmp_path / LEDGER).iterdir())}

    index = Index.read_only(tmp_path)
    index.refresh()

    assert {path: path.stat().st_mtime_ns for path in sorted((tmp_path / LEDGER).iterdir())} == before
    assert said(tmp_path, index) == said(tmp_path)


def test_a_batch_whose_sequence_is_not_known_is_covered_all_the_same(tmp_path: Path) -> None:
    of = sequence()
    path = write(tmp_path, [batch(of, 0, 4)])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if b'"is":"sequence"' not in line))

    index = Index.read_only(tmp_path)

    assert list(index.covered(of)) == [(0, 4)]
    assert index.sums(since=WHEN - 1).runs == 4
    assert index.each() == []
