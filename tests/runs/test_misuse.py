"""Wrong arguments of primitives: the program's exception, told before anything happened, so that a replay follows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from pathlib import Path

import pytest

from mmrace import runtime as rt
from mmrace.runs.follow import replay
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.program import Makers
from mmrace.runs.run import run_one
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record


class Bit(IntEnum):
    """Two bits."""

    A = 0
    B = 1


class Desk(rt.Struct):
    """A bit of everything that takes a number."""

    drawers = rt.words(0)
    flags = rt.flag_word(Bit, waitable=(Bit.A,))
    count = rt.refcount()


class Note(rt.Struct):
    """What each CPU has."""

    text: rt.Field[int] = rt.shared(0)


FOUND: dict[str, tuple[Callable[[Desk], object], str]] = {
    "a word behind the last": (lambda desk: desk.drawers.read(3), "word 3 of desk, which has words 0..2"),
    "a word before the first": (lambda desk: desk.drawers.read(-1), "IndexError: word -1 of desk"),
    "a write behind the last": (lambda desk: desk.drawers.write(3, 1), "IndexError: word 3 of desk"),
    "a write before the first": (lambda desk: desk.drawers.write(-4, 1), "IndexError: word -4 of desk"),
    "a word that is no number": (lambda desk: desk.drawers.read("x"), "TypeError"),  # type: ignore[arg-type]
    "a word of none": (lambda _: Desk("other", drawers=0).drawers.read(0), "word 0 of other, which has no words"),
    "a bit of nothing": (lambda desk: rt.test_bit(desk.flags, 64), "IndexError"),
    "the copy of no CPU": (lambda _: rt.PerCpu(2, lambda cpu: Note(f"note.{cpu}")).of(-1), "IndexError: CPU -1 of 2"),
}
"""What can follow from a race: it is a finding."""

REFUSED: dict[str, tuple[Callable[[Desk], object], str]] = {
    "a negative number of words": (
        lambda _: Desk("other", drawers=-1),
        "drawers: expected a number of words, 0",
    ),
    "a text for a number of words": (lambda _: Desk("other", drawers="two"), "0 or more, got 'two'"),
    "a thaw to a text": (lambda desk: desk.count.unfreeze("x"), "expected a number, got 'x'"),  # type: ignore[arg-type]
    "a word that is none": (lambda desk: desk.flags.store(None), "word of 2 bits, got None"),  # type: ignore[arg-type]
    "a word that is too large": (lambda desk: desk.flags.store(4), "a word of 2 bits, got 4"),
    "a negative word": (lambda desk: desk.flags.store(-1), "a word of 2 bits, got -1"),
    "a CPU that is not there": (lambda _: rt.spawn(print, cpu=99), "got 99"),
    "a CPU before the first": (lambda _: rt.spawn(print, cpu=-2), "got -2"),
    "what cannot be called": (lambda _: rt.spawn(3), "expected a function, got 3"),  # type: ignore[arg-type]
    "a choice out of nothing": (lambda _: rt.choose(0), "expected choose(n) with n >= 1, got 0"),
    "a choice out of half": (lambda _: rt.choose(1.5), "choose(n) with n >= 1, got 1.5"),  # type: ignore[arg-type]
}
"""What no schedule makes right: it is a wrong call."""


def program(misuse: Callable[[Desk], object]) -> Callable[[], None]:
    """Misuse something while another task is about to work on the same thing."""

    def main() -> None:
        desk = Desk("desk", drawers=3)
        rt.spawn(desk.drawers.write, 0, 1)
        desk.drawers.read(0)
        misuse(desk)
        rt.join_others()

    return main


@pytest.mark.parametrize(("misuse", "words"), FOUND.values(), ids=FOUND)
def test_a_wrong_index_is_an_exception_before_the_op_and_the_run_is_replayed(
    misuse: Callable[[Desk], object], words: str, tmp_path: Path
) -> None:
    """BUG once: the point was announced, the op never done, so no replay of the finding came to its end."""
    makers = Makers(FunctionMaker(here={"here": program(misuse)}))
    for seed in range(4):
        spec = RunSpec("here", maker="function", engine="fiber", strategy="random", seed=seed)
        result = run_one(spec, keep_record=True, makers=makers)
        assert result.verdict == "FAIL" and result.record is not None
        assert words in " ".join(finding.title for finding in result.findings), result.findings
        result.record.write(tmp_path / "r.jsonl")
        again = replay(Record.read(tmp_path / "r.jsonl"), makers)
        assert again.findings == result.findings


@pytest.mark.parametrize("engine", ["fiber", "free"])
@pytest.mark.parametrize(("misuse", "words"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_argument_is_refused_with_what_came(misuse: Callable[[Desk], object], words: str, engine: str) -> None:
    makers = Makers(FunctionMaker(here={"here": program(misuse)}))
    with pytest.raises(UsageError) as caught:
        run_one(RunSpec("here", maker="function", engine=engine, seed=1), makers=makers)
    assert words in str(caught.value)


def test_a_spawn_on_a_cpu_that_is_not_there_is_refused_before_its_point(tmp_path: Path) -> None:
    """Who catches it goes on, and the run is replayed."""

    def tries(_: Desk) -> None:
        with suppress(UsageError):
            rt.spawn(print, cpu=99)

    makers = Makers(FunctionMaker(here={"here": program(tries)}))
    result = run_one(RunSpec("here", maker="function", engine="fiber", seed=1), keep_record=True, makers=makers)
    assert result.record is not None
    result.record.write(tmp_path / "r.jsonl")
    assert replay(Record.read(tmp_path / "r.jsonl"), makers).findings == result.findings
