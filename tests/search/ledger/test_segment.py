"""A segment: what is written is read, and whatever else stands in a file is told and costs nothing else."""

from __future__ import annotations

import random
from pathlib import Path
from zlib import crc32

import pytest

from mmrace.search.ledger import segment
from mmrace.search.ledger.entry import Beat, Begun, Ended, Entry, Header, Met, Resumed, Trial
from mmrace.search.ledger.scan import covered_in
from mmrace.search.ledger.segment import SCHEMA, Damage, Line, entry_of, line_of, lines_of, read_from, torn
from mmrace.search.ledger.sketch import ClassSketch
from tests.search.ledger.made import WHEN, batch, drawn, sequence, sums

ENTRIES: list[Header | Entry] = [
    Header(SCHEMA, "host", 7, WHEN),
    Begun(
        "c", WHEN, "host", 7, "r1", "0.1", "mmrace stress", {"seed": 1, "scenarios": ["a", "b"], "deep": {"x": None}}
    ),
    Resumed("c", WHEN, seconds=3.5),
    sequence(params=(("pages", 2), ("mode", "sync")), files=("d1", "d2"), without=("deadlock",)),
    batch(sequence(), 8, 16, what=sums(8, hits={"bad": 2}, classes=(1, 2, 2, 3, 1 << 60), failed=1)),
    Beat("c", WHEN, {"w1": [1, 2, 3]}, 10**12),
    Met("bad", "refcount", "put", 'a "title"\n', "", "writers", command="mmrace run"),
    Trial("c", WHEN, "leak", found_after=4),
    Ended("c", WHEN, "PASS", seconds=1.5),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
def test_an_entry_comes_back_as_it_was_and_is_one_line(entry: Entry) -> None:
    line = line_of(entry)

    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert entry_of(line[:-1]) == entry


def test_a_batch_takes_few_bytes() -> None:
    what = sums(8, classes=tuple(range(8)))
    what.marks = {f"a rare branch, number {number}": 3 for number in range(8)}

    assert len(line_of(batch(sequence(), 8, 16, what=what))) < 600
    assert len(line_of(batch(sequence(), 0, 1))) < 220
    full = sums(1000)
    full.sketch = ClassSketch.of(range(1000)).cut()
    assert len(line_of(batch(sequence(), 0, 1024, what=full))) < 1000


@pytest.mark.parametrize(
    "content",
    [
        b'{"is":"batch","sequence":"k","first":0,"stop":1,"when":1,"campaign":"c","sums":{"runs":9223372036854775807}}',
        b'{"is":"batch","sequence":"k","first":0,"stop":1,"when":1,"campaign":"c","sums":{"runs":-5}}',
        b'{"is":"batch","sequence":"k","first":0,"stop":1,"when":1,"campaign":"c","sums":{"hits":{"b":1e19}}}',
        b'{"is":"batch","sequence":"k","first":0,"stop":1,"when":1,"campaign":"c","sums":{"hits":{"b":2000000000000}}}',
        b'{"is":"batch","sequence":"k","first":0,"stop":1,"when":1,"campaign":"c","sums":{"seconds":1e300}}',
        b'{"is":"batch","sequence":"k","first":0,"stop":1,"when":-1,"campaign":"c","sums":{}}',
        b'{"is":"beat","campaign":"c","when":1e300}',
        b'{"is":"batch","sequence":"k","first":1,"stop":3,"when":1,"campaign":"c","sums":{}}',
        b'{"is":"batch","sequence":"k","first":0,"stop":1,"when":1,"campaign":"c","sums":{"sketch":{"level":65}}}',
        b'{"is":"batch","sequence":"k","first":0,"stop":1,"when":1,"campaign":"c","sums":{"sketch":{"once":"AAAA"}}}',
        b'{"is":"batch","sequence":"k","first":0,"stop":1,"when":1,"campaign":"c","sums":{"sketch":{"more":{"z":2}}}}',
        b'{"is":"sequence","revision":"r","program":"p","seed":1,"engine":"free","later":1}',
        b'{"is":"what"}',
        b"[]",
        b"",
        b"\xff",
    ],
)
def test_a_line_of_another_shape_is_told_though_its_sum_is_right(content: bytes) -> None:
    with pytest.raises(ValueError, match="another shape"):
        entry_of(b"%08x %b" % (crc32(content), content))


def test_whatever_stands_between_lines_costs_no_line(tmp_path: Path) -> None:
    draw = random.Random(3)
    path = tmp_path / "a.jsonl"
    whole = [line_of(entry) for entry in ENTRIES]
    for _ in range(60):
        parts = []
        for line in whole:
            if draw.random() < 0.4:
                parts.append(draw.randbytes(draw.randrange(60)).replace(b"\n", b"?") + b"\n")
            parts.append(line)
        path.write_bytes(b"".join(parts))
        found = list(read_from(path))
        assert [line.entry for line in found if isinstance(line, Line)] == ENTRIES
        assert sum(isinstance(line, Damage) for line in found) == len(parts) - len(whole)
        assert all(path.read_bytes()[one.place : one.stop].endswith(b"\n") for one in found)


def test_a_hole_in_a_segment_is_told_and_costs_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(segment, "LINE_BYTES_MAX", 3000)
    path = tmp_path / "a.jsonl"
    one, other = line_of(ENTRIES[0]), line_of(ENTRIES[1])
    for size in (10, 999, 3500, 40_000):
        path.write_bytes(one + b"\0" * size + b"\n" + other)
        first, hole, last = read_from(path)
        assert isinstance(hole, Damage) and (hole.place, hole.stop) == (len(one), len(one) + size + 1)
        assert isinstance(first, Line) and isinstance(last, Line) and [first.entry, last.entry] == ENTRIES[:2]
        assert last.place == hole.stop


def test_reading_goes_on_from_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(map(line_of, ENTRIES)))
    found = list(read_from(path))

    for number, line in enumerate(found):
        assert [later.place for later in read_from(path, line.stop)] == [later.place for later in found[number + 1 :]]


def test_a_last_line_without_its_end_is_torn_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line_of(ENTRIES[0]) + line_of(ENTRIES[1])[:-1])

    assert [place for place, _, _ in lines_of(path)] == [0]
    damage = torn(path)
    assert damage is not None and damage.place == len(line_of(ENTRIES[0]))
    path.write_bytes(b"")
    assert torn(path) is None


def test_what_is_covered_can_be_read_without_an_index(tmp_path: Path) -> None:
    batches = drawn(5)
    (tmp_path / "a.jsonl").write_bytes(b"".join(map(line_of, batches)) + b"rubbish\n" + line_of(batches[0])[:-1])

    found = covered_in(tmp_path)

    turns = {(one.sequence, turn) for one in batches for turn in range(one.first, one.stop)}
    assert {(key, turn) for key, covered in found.items() for turn in range(300) if turn in covered} == turns
