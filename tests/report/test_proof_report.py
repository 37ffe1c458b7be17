"""A proof as text: each way in which a point of no return, a share and a swap are known has its own words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmrace.report.proof import no_return_lines, percent, proof_lines, shares, swapped_text
from mmrace.runs.proof import Effort, NoReturn, Op, Point, Proof, Swap, wilson
from tests.runs.minimal_files import minimal

OP = Op("main.1", "deposit:balance", 1, 4)


def point(step: int, fails: int, of: int = 100) -> Point:
    return Point(step, OP if step else None, fails, of, *wilson(fails, of))


def proof(told: NoReturn | None = None, swaps: tuple[Swap, ...] = (), *, complete: bool = True) -> Proof:
    points = point(0, 29), point(5, 48), point(6, 100)
    return Proof(points, told, swaps, 13, 0, "random", Effort(512, 1.25, 100, complete))


def no_return(step: int, classes: int | None, *, proved: bool = True, since: int | None = None) -> NoReturn:
    return NoReturn(step, OP if 0 < step <= 13 else None, 100, 100, classes, proved, since)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (None, "point of no return: not found within the budget"),
        (
            no_return(6, 12, since=6),
            "point of no return: step 4, main.1 deposit:balance: all 12 remaining classes fail (proved)",
        ),
        (
            no_return(6, 1, since=6),
            "point of no return: step 4, main.1 deposit:balance: whatever follows, it fails (proved)",
        ),
        (no_return(0, 4, since=0), "point of no return: the beginning: all 4 classes of schedules fail (proved)"),
        (
            no_return(14, 1, since=14),
            "point of no return: the failure itself: before it, another task could have prevented it (proved)",
        ),
        (
            no_return(6, None, proved=False),
            "point of no return: step 4, main.1 deposit:balance: all 100 continuations drawn from here fail "
            "(not proved)",
        ),
    ],
)
def test_where_the_point_of_no_return_is_and_how_that_is_known(told: NoReturn | None, said: str) -> None:
    assert list(no_return_lines(proof(told))) == [said]


def test_a_later_step_from_which_on_it_is_proved_is_told() -> None:
    lines = list(no_return_lines(proof(no_return(6, None, proved=False, since=9))))
    assert lines[1:] == ["  proved from op 9 of 13 on: every class from there fails"]


@pytest.mark.parametrize(
    ("swap", "said"),
    [
        (Swap(0, 0, 3, 3, True), "this finding is gone (proved over 3 classes)"),
        (Swap(0, 0, 1, 1, True), "this finding is gone (proved over the one class)"),
        (Swap(0, 0, 200, None, False), "this finding is gone (200 of 200)"),
        (Swap(0, 2, 60, 60, False), "this finding is gone in 58 of 60 classes"),
        (Swap(0, 1, 100, None, False), "this finding is gone in 99 of 100"),
        (Swap(0, 0, 1, 1, True, 1), "this finding is gone (proved over the one class), but it fails otherwise"),
        (Swap(0, 0, 3, 3, True, 3), "this finding is gone (proved over 3 classes), but all of them fail otherwise"),
        (Swap(0, 10, 60, None, False, 7), "this finding is gone in 50 of 60, but 7 of 50 fail otherwise"),
    ],
)
def test_what_comes_of_a_swap_and_how_that_is_known(swap: Swap, said: str) -> None:
    assert swapped_text(swap) == said


@pytest.mark.parametrize(
    ("fails", "of", "said"), [(0, 0, "-"), (0, 9, "0"), (9, 9, "100"), (1, 1000, "1"), (999, 1000, "99"), (1, 3, "33")]
)
def test_all_and_nothing_are_said_of_all_and_nothing_only(fails: int, of: int, said: str) -> None:
    assert percent(point(1, fails, of)) == said


def test_shares_stand_beside_the_events_of_their_steps() -> None:
    assert shares(proof()) == {4: "100 %"}


def test_a_whole_proof() -> None:
    swaps = (Swap(0, 0, 3, 3, True),)
    told = replace(minimal(), proof=proof(no_return(6, 2, since=6), swaps, complete=False))
    assert proof_lines(told) == [
        "continuations drawn by random from each point, and how many of them still have this finding (95 %):",
        "           29 of 100 (21-39 %)  at the beginning",
        "           48 of 100 (38-58 %)  after step 4, main.1 deposit:balance",
        "         100 of 100 (96-100 %)  after step 4, main.1 deposit:balance",
        "point of no return: step 4, main.1 deposit:balance: all 2 remaining classes fail (proved)",
        f"swap {_said(0)} and {_said(1)}: this finding is gone (proved over 3 classes)",
        "proof: 512 runs in 1.2 s; the budget ran out, or a tree was too large to be walked to its end",
    ]
    assert proof_lines(replace(told, proof=None)) == []


def test_no_heading_stands_over_no_lines() -> None:
    told = proof_lines(replace(minimal(), proof=replace(proof(), points=())))
    assert told[0] == "no continuations drawn from points: nothing of the budget was left for that"
    assert told[1].startswith("point of no return")


@pytest.mark.parametrize(
    ("spent", "said"),
    [
        (True, "; the budget ran out"),
        (False, "; some trees were not walked to their end: too large for their share"),
    ],
)
def test_what_a_proof_lacked_is_told(spent: bool, said: str) -> None:
    short = replace(proof(), budget=Effort(512, 1.25, 100, complete=False, spent=spent))
    last = proof_lines(replace(minimal(), proof=short))[-1]
    assert said in last
    assert ("ran out" in last) is spent


def test_the_beginning_and_the_end_of_a_task_are_told_in_words() -> None:
    points = (
        replace(point(5, 48), after=Op("main", "EXIT", 1, 16)),
        replace(point(6, 100), after=Op("a", "BEGIN", 1, 4)),
    )
    told = proof_lines(replace(minimal(), proof=replace(proof(), points=points)))
    assert told[1].endswith("after step 16, main ends")
    assert told[2].endswith("after step 4, a begins")


def _said(place: int) -> str:
    causal = minimal().causal[0]
    op = (causal.first, causal.second)[place]
    return f"{op.task} {op.site}{'' if op.visit == 1 else f' ({op.visit}.)'}"
