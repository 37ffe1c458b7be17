"""Segments: which parts of a run could have come in another order, as far as spawn and join say."""

from __future__ import annotations

from mmrace.runs.segments import Segments
from mmrace.runtime.kinds import BEGIN, EXIT, JOIN, SPAWN

MAIN, ONE, TWO, CHILD = range(4)


def test_nothing_is_free_of_what_came_before_its_birth_or_after_its_join() -> None:
    segments = Segments()
    before = segments.now(MAIN)
    segments.met(MAIN, SPAWN, ONE)
    beside = segments.now(MAIN)
    segments.met(ONE, BEGIN, None)
    one = segments.now(ONE)
    segments.met(ONE, EXIT, None)
    segments.met(MAIN, JOIN, ONE)
    after = segments.now(MAIN)
    assert len({before, beside, after}) == 3
    assert [segments.free(one, other) for other in (before, beside, after)] == [False, True, False]
    assert [segments.free(other, one) for other in (before, beside, after)] == [False, True, False]


def test_what_was_over_before_another_began_is_still_free_of_it() -> None:
    """One ran to its end before main went on: no spawn or join says that it had to."""
    segments = Segments()
    segments.met(MAIN, SPAWN, ONE)
    one = segments.now(ONE)
    segments.met(ONE, EXIT, None)
    segments.met(MAIN, SPAWN, TWO)
    assert segments.free(one, segments.now(MAIN)) and segments.free(one, segments.now(TWO))


def test_a_join_of_all_others_and_one_of_a_parent_take_in_whom_those_joined() -> None:
    segments = Segments()
    segments.met(MAIN, SPAWN, ONE)
    segments.met(ONE, SPAWN, CHILD)
    child = segments.now(CHILD)
    segments.met(CHILD, EXIT, None)
    unjoined = segments.now(ONE)
    segments.met(ONE, JOIN, CHILD)
    segments.met(ONE, EXIT, None)
    beside = segments.now(MAIN)
    segments.met(MAIN, JOIN, None)
    after = segments.now(MAIN)
    assert segments.free(child, unjoined) and segments.free(child, beside)
    assert not segments.free(child, after)
    assert not segments.free(child, child)
