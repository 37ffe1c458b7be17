"""Merging stores: in any order, any number of times, it comes to the same, and nothing is lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mmrace.runtime import files
from mmrace.runtime.errors import UsageError
from mmrace.search.ledger.index import LEDGER, Index
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.merging import CANARIES, FINDINGS, merge
from mmrace.search.ledger.segment import line_of, segments_in
from tests.runs.test_taken import SPEC, keep
from tests.search.ledger.made import batch, drawn, sequence
from tests.search.ledger.test_index import expected, said, write

NAMES = ("one", "two", "three")


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    """Make three stores that have runs in common."""
    batches = [drawn(seed) for seed in range(3)]
    for name, more, own in zip(NAMES, batches[1:] + batches[:1], batches, strict=True):
        write(tmp_path / name, own)
        write(tmp_path / name, more[:20])
        keep(tmp_path / name / FINDINGS)
    keep(tmp_path / "two" / CANARIES / "leak")
    return [tmp_path / name for name in NAMES]


def test_merging_is_commutative_associative_and_idempotent(stores: list[Path], tmp_path: Path) -> None:
    answers = []
    for number, order in enumerate((stores, stores[::-1], [stores[1], stores[0], stores[2]])):
        into = tmp_path / f"into-{number}"
        merge(into, order[:2])
        Index.open(into).close()
        merge(into, order[2:])
        merge(into, order[::-1])
        merge(into, [into])
        answers.append(said(into, Index.open(into)))
        assert answers[-1] == said(into)
    pair = tmp_path / "pair"
    merge(pair, stores[1:])
    merge(stores[0], [pair])
    answers.append(said(stores[0]))

    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["sums"] == expected([one for seed in range(3) for one in drawn(seed)])[0]


def test_what_was_merged_is_told(stores: list[Path], tmp_path: Path) -> None:
    first = merge(tmp_path / "into", stores)
    again = merge(tmp_path / "into", stores)

    assert (first.segments, first.longer, first.findings, first.told) == (6, 0, 2, [])
    assert (again.segments, again.longer, again.findings, again.told) == (0, 0, 0, [])
    assert (tmp_path / "into" / FINDINGS / "s1" / "seed").read_text() == f"{SPEC.seed}\n"
    assert (tmp_path / "into" / CANARIES / "leak" / "s1").is_dir()


def test_a_segment_that_has_grown_since_takes_the_place_of_its_beginning(tmp_path: Path) -> None:
    of = sequence()
    with Ledger.open(tmp_path / "far") as ledger:
        ledger.add(batch(of, 0, 1), of)
        ledger.flush()
        merge(tmp_path / "here", [tmp_path / "far"])
        index = Index.open(tmp_path / "here")
        ledger.add(batch(of, 1, 2), of)
    merged = merge(tmp_path / "here", [tmp_path / "far"])

    assert (merged.segments, merged.longer) == (0, 1)
    index.refresh()
    assert index.sums().runs == Index.read_only(tmp_path / "here").sums().runs == 2
    assert merge(tmp_path / "far", [tmp_path / "here"]).told == []


def test_half_a_line_is_not_copied_and_holds_up_no_later_one(tmp_path: Path) -> None:
    path = write(tmp_path / "far", drawn(1))
    whole = path.read_bytes()
    path.write_bytes(whole + b'01234567 {"is":"ba')
    merge(tmp_path / "here", [tmp_path / "far"])
    copy = tmp_path / "here" / LEDGER / path.name
    assert copy.read_bytes() == whole
    of = sequence()
    more = line_of(batch(of, 512, 1024))
    copy.write_bytes(whole + b'01234567 {"is":"ba')  # as an older mmrace copied it
    path.write_bytes(whole + more)

    merged = merge(tmp_path / "here", [tmp_path / "far"])

    assert (merged.longer, merged.told) == (1, [])
    assert copy.read_bytes() == whole + more


def test_a_segment_of_the_same_name_that_is_another_is_told_and_not_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "far", drawn(1))
    merge(tmp_path / "here", [tmp_path / "far"])
    before = said(tmp_path / "here")
    path.write_bytes(path.read_bytes().replace(b"writers", b"WRITERS"))

    merged = merge(tmp_path / "here", [tmp_path / "far"])

    assert path.name in merged.told[0]
    assert said(tmp_path / "here") == before


def test_what_is_no_store_is_refused_before_anything_is_merged(stores: list[Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for wrong in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="--store"):
            merge(tmp_path / "into", [stores[0], wrong])
    newer = tmp_path / "newer" / LEDGER
    newer.mkdir(parents=True)
    (newer / "a.jsonl").write_text('00000000 {"is":"segment","schema":"mmrace-ledger/2"}\n')
    with pytest.raises(UsageError, match="a newer mmrace"):
        merge(tmp_path / "into", [stores[0], tmp_path / "newer"])

    assert not (tmp_path / "into").exists()


def test_merging_on_a_full_disk_can_be_done_again(
    stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patched.setattr(os, "fsync", full)
        with pytest.raises(UsageError, match=r"No space left.*merge again"):
            merge(tmp_path / "into", stores)
    assert not any(path.name.endswith(files.temporary_name()[-5:]) for path in (tmp_path / "into").rglob("*"))
    assert segments_in(tmp_path / "into" / LEDGER) == []

    merge(tmp_path / "into", stores)

    assert said(tmp_path / "into")["sums"] == expected([one for seed in range(3) for one in drawn(seed)])[0]
