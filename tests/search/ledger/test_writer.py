"""The writer of a segment on a disk that is full, gone, or failing: what it says is kept can be read, and nothing
counts twice; what it says is not kept is the rest."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mmrace.search.ledger.entry import Batch
from mmrace.search.ledger.index import LEDGER, Index
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.segment import Damage, Line, is_written, read_from, segments_in
from tests.search.ledger.made import WHEN, batch, sequence, sums

OF = sequence()
EACH = 4  # turns of a batch
BATCHES = 6


def batches() -> list[Batch]:
    """Return batches, each with a hit."""
    starts = range(0, EACH * BATCHES, EACH)
    return [batch(OF, first, first + EACH, what=sums(EACH, hits={"bad": 1}, failed=1)) for first in starts]


class Disk:
    """A disk that takes so many bytes, and none while it is full."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, descriptor: int, content: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = os.write(descriptor, content[: self.room])
        self.room -= done
        return done


def run(folder: Path, disk: Disk, freed: Callable[[Ledger, int], None] = lambda ledger, number: None) -> Ledger:
    """Add all batches, each written at once; return the ledger, closed."""
    ledger = Ledger.open(folder, write=disk.write)
    ledger.begin(when=WHEN)
    for number, one in enumerate(batches()):
        freed(ledger, number)
        ledger.add(one, OF)
        ledger.flush()
    ledger.close()
    return ledger


def size_of(folder: Path) -> int:
    """Return how many bytes all that takes."""
    run(folder, Disk(10**9))
    return sum(path.stat().st_size for path in segments_in(folder / LEDGER))


def check(folder: Path, ledger: Ledger, damages: int = 0) -> int:
    """Check that what was said to be kept is what can be read; return how many runs that is."""
    index = Index.read_only(folder)
    kept = EACH * BATCHES - ledger.unkept
    total = index.sums()
    assert total.runs == kept == index.covered(OF).count
    assert total.hits == ({"bad": kept // EACH} if kept else {})
    assert len(index.damage) <= damages
    return kept


@pytest.mark.parametrize("part", range(50))
def test_what_is_kept_on_a_disk_that_is_full_at_any_byte_is_whole(part: int, tmp_path: Path) -> None:
    room = size_of(tmp_path / "whole") * part // 50
    ledger = run(tmp_path / "store", Disk(room))

    assert "No space left" in ledger.complaint
    assert ledger.unkept > 0
    kept = check(tmp_path / "store", ledger)
    lines = [line for path in segments_in(tmp_path / "store" / LEDGER) for line in read_from(path)]
    assert all(isinstance(line, Line) for line in lines)
    assert kept == EACH * sum(isinstance(line.entry, Batch) for line in lines if isinstance(line, Line))


@pytest.mark.parametrize("part", range(0, 50, 7))
def test_all_is_kept_on_a_disk_that_has_room_again(part: int, tmp_path: Path) -> None:
    disk = Disk(size_of(tmp_path / "whole") * part // 50)

    def freed(ledger: Ledger, number: int) -> None:
        if number == BATCHES - 1:
            disk.room = 10**9

    ledger = run(tmp_path / "store", disk, freed)

    assert (ledger.unkept, ledger.complaint) == (0, "")
    assert check(tmp_path / "store", ledger) == EACH * BATCHES


@pytest.mark.parametrize("part", range(0, 50, 7))
def test_a_file_that_cannot_be_cut_costs_no_line_but_the_torn_one(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(size_of(tmp_path / "whole") * part // 50)

    def refused(descriptor: int, size: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "ftruncate", refused)

    def freed(ledger: Ledger, number: int) -> None:
        if number == BATCHES - 1:
            disk.room = 10**9

    ledger = run(tmp_path / "store", disk, freed)

    assert ledger.unkept == 0
    assert check(tmp_path / "store", ledger, damages=1) == EACH * BATCHES


def test_a_line_that_waits_is_not_kept(tmp_path: Path) -> None:
    disk = Disk(0)
    ledger = Ledger.open(tmp_path, write=disk.write)
    ledger.add(batches()[0], OF)
    ledger.flush()
    assert (ledger.unkept, "No space left" in ledger.complaint) == (EACH, True)

    disk.room = 10**9
    ledger.flush()

    assert (ledger.unkept, ledger.complaint) == (0, "")


def test_lines_that_wait_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmrace.search.ledger.writer.WAITING_MAX", 4)
    disk = Disk(0)

    def freed(ledger: Ledger, number: int) -> None:
        if number == BATCHES - 1:
            disk.room = 10**9

    ledger = run(tmp_path, disk, freed)

    assert 0 < ledger.unkept < EACH * BATCHES
    check(tmp_path, ledger)


def test_a_store_that_is_removed_while_it_is_written_comes_back_whole(tmp_path: Path) -> None:
    def removed(ledger: Ledger, number: int) -> None:
        if number in (2, 4):
            shutil.rmtree(tmp_path / "store")

    ledger = run(tmp_path / "store", Disk(10**9), removed)

    assert (ledger.unkept, ledger.complaint) == (0, "")
    assert check(tmp_path / "store", ledger) == EACH * BATCHES
    assert sum(row.begun is not None for row in Index.read_only(tmp_path / "store").campaigns()) == 1


def test_a_store_that_is_removed_and_cannot_come_back_is_told(tmp_path: Path) -> None:
    def replaced(ledger: Ledger, number: int) -> None:
        if number == 2:
            shutil.rmtree(tmp_path / "store")
            (tmp_path / "store").write_text("")

    ledger = run(tmp_path / "store", Disk(10**9), replaced)

    assert ledger.unkept == EACH * BATCHES
    assert "store" in ledger.complaint


def test_a_segment_that_somebody_looked_at_when_it_was_made_is_held_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger.open(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("mmrace.search.ledger.writer.lock", lambda descriptor: False)
        ledger.begin(when=WHEN)
        ledger.flush()
    (path,) = segments_in(tmp_path / LEDGER)
    assert not is_written(path)

    ledger.add(batches()[0], OF)
    ledger.flush()

    assert is_written(path)
    ledger.close()
    assert not is_written(path)


def test_what_a_disk_that_fails_may_not_have_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", failing)

    ledger = run(tmp_path, Disk(10**9))

    assert ledger.unkept == EACH * BATCHES
    assert "Input/output error" in ledger.complaint


@pytest.mark.parametrize("part", range(0, 100, 3))
def test_of_a_killed_writer_the_whole_lines_are_left(part: int, tmp_path: Path) -> None:
    run(tmp_path, Disk(10**9))
    (path,) = segments_in(tmp_path / LEDGER)
    lines = list(read_from(path))
    end = path.stat().st_size * part // 100
    os.truncate(path, end)

    index = Index.read_only(tmp_path)

    whole = [line for line in lines if line.stop <= end]
    assert index.sums().runs == EACH * sum(isinstance(line.entry, Batch) for line in whole if isinstance(line, Line))
    places = [whole[-1].stop if whole else 0]
    assert [damage.place for damage in index.damage] == (places if end > places[0] else [])


@pytest.mark.parametrize("part", range(0, 100, 3))
def test_a_damaged_byte_costs_the_lines_that_it_touches(part: int, tmp_path: Path) -> None:
    run(tmp_path, Disk(10**9))
    (path,) = segments_in(tmp_path / LEDGER)
    lines = list(read_from(path))
    content = bytearray(path.read_bytes())
    place = len(content) * part // 100
    content[place] ^= 0x41
    path.write_bytes(content)

    left = list(read_from(path))
    damages = [line for line in left if isinstance(line, Damage)]

    good = {(line.place, line.stop) for line in left if isinstance(line, Line)}
    lost = [line for line in lines if (line.place, line.stop) not in good]
    assert len(damages) >= 1
    assert damages[0].place == next(line.place for line in lines if line.stop > place)
    assert len(lost) == 1 + (content[place] ^ 0x41 == ord("\n"))
    assert [str(damage).startswith(path.name) for damage in Index.read_only(tmp_path).damage] == [True] * len(damages)
