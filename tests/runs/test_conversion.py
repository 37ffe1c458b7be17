"""What is called followed, and how what became of a finding of free threads is told."""

from __future__ import annotations

import pytest

from mmrace.oracles.general.judgement import Finding
from mmrace.runs.conversion import FOLLOWED, NEITHER, REFOUND, Conversion, kept_to
from mmrace.strategies.retrace import Parting, Way


def finding(**facts: object) -> Finding:
    return Finding("judge", "rule", "title", facts, "s1")  # type: ignore[arg-type]


def way(*steps: int) -> Way:
    """Return a way whose run left its record at these steps; writer did its last step at 50, reader at 80."""
    partings = [Parting(step, "writer", "site", "read x", "read y") for step in steps]
    return Way(100, 90, partings, {"writer": 50, "reader": 80})


@pytest.mark.parametrize(
    ("steps", "facts", "kept"),
    [
        ((), {"task": "reader"}, True),
        ((60,), {"task": "writer"}, True),  # the finding's own task had done all that it did of the record
        ((50,), {"task": "writer"}, False),
        ((60,), {"task": "reader"}, False),
        ((60, 90), {"sides": [{"task": "writer"}, {"task": "reader"}]}, False),
        ((81,), {"sides": [{"task": "writer"}, {"task": "reader"}]}, True),
        ((81,), {}, True),  # it names nobody: all of them count
        ((80,), {"object": "box:0"}, False),
    ],
)
def test_a_run_followed_if_it_left_its_record_behind_the_last_op_of_the_findings_tasks(
    steps: tuple[int, ...], facts: dict[str, object], kept: bool
) -> None:
    assert kept_to(way(*steps), finding(**facts)) is kept


def test_a_run_that_followed_says_its_share_rounded_down() -> None:
    told = Conversion(FOLLOWED, 1999, 2000, replayed=5, seconds=0.25)
    assert told.came
    assert told.lines() == [
        "under control: followed; 1,999 of 2,000 recorded ops followed (99 %), replayed 5 of 5, 0.2 s"
    ]


def test_a_search_says_what_it_took_and_where_the_record_was_left() -> None:
    told = Conversion(REFOUND, 40, 200, "parted at op 41: writer, at f:x, did y", 7, 35, 1.5, 5, (("s2", "another"),))
    assert told.came
    assert told.lines() == [
        "under control: re-found by search; 7 runs that began with the record, the last with 35 ops of it, "
        "replayed 5 of 5, 1.5 s",
        "  before that 40 of 200 recorded ops followed (20 %)",
        "  parted at op 41: writer, at f:x, did y",
    ]


def test_a_run_that_parted_and_had_it_all_the_same_says_so() -> None:
    told = Conversion(REFOUND, 40, 200, "parted at op 41: writer, at f:x, did y", 0, 41, 0.5, 5)
    assert told.lines() == [
        "under control: re-found by the run that followed, but after it parted; "
        "40 of 200 recorded ops followed (20 %), replayed 5 of 5, 0.5 s",
        "  parted at op 41: writer, at f:x, did y",
    ]


def test_what_did_not_come_again_says_what_came_instead() -> None:
    told = Conversion(NEITHER, 0, 0, runs=1, seconds=10.0, others=(("s2", "another"),))
    assert not told.came
    assert told.lines() == [
        "under control: not found again; 0 of 0 recorded ops followed (nothing to follow), "
        "then 1 run of search, 10.0 s",
        "  found instead: another [s2]",
    ]
