"""Shared fields: an access is one op, with what it saw; bookkeeping is none."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.runtime.kinds import Kind
from mmrace.runtime.struct import Struct
from tests.runtime.engines import EXPLORED, Box, Setup, box, explore, gate

ACCESSES = (Kind.READ, Kind.WRITE)


def test_a_read_is_one_op_that_says_what_it_saw(run: Setup) -> None:
    def main() -> None:
        assert box(x=7).x == 7

    assert run(main).ops(*ACCESSES) == [("main", Kind.READ, "box:0.x", 7, None)]


def test_a_write_is_one_op_that_says_old_and_new(run: Setup) -> None:
    def main() -> None:
        box(x=7).x = 8

    assert run(main).ops(*ACCESSES) == [("main", Kind.WRITE, "box:0.x", 7, 8)]


def test_an_increment_is_two_ops(run: Setup) -> None:
    def main() -> None:
        box().x += 1

    assert [op[1] for op in run(main).ops(*ACCESSES)] == [Kind.READ, Kind.WRITE]


def test_what_one_task_wrote_another_reads(run: Setup) -> None:
    def main() -> None:
        shared = box()
        shared.x = 3
        rt.join(rt.spawn(lambda: setattr(shared, "y", shared.x), cpu=1))
        assert shared.y == 3

    assert run(main).how == "finished"


def _two_increments() -> None:
    """BUGGY: two increments without a lock."""
    shared = box()

    def increment() -> None:
        shared.x += 1

    rt.spawn(increment, cpu=1)
    rt.spawn(increment, cpu=2)
    rt.join_others()
    shared.mark = rt.peek(shared, "x")
    rt.note("total", shared.mark)


def test_the_lost_increment_is_found_and_its_record_shows_it() -> None:
    lost = [outcome for outcome in explore(_two_increments) if outcome.notes("total") == [(1,)]]
    kept = [outcome for outcome in explore(_two_increments) if outcome.notes("total") == [(2,)]]
    assert lost
    assert kept
    for outcome in lost:
        assert [op[3] for op in outcome.ops(Kind.READ)] == [0, 0]
        assert [op[3:] for op in outcome.ops(Kind.WRITE)] == [(0, 1), (1, 1)]
    assert len(lost) + len(kept) == EXPLORED


def test_ghosts_and_peeks_are_no_ops(run: Setup) -> None:
    def main() -> None:
        shared = box(x=4, mark=5)
        shared.mark += 1
        assert (shared.mark, rt.peek(shared, "x"), rt.peek(shared, "count").value) == (6, 4, 0)

    assert [op[1] for op in run(main).ops()] == [Kind.BEGIN, Kind.EXIT]


def test_a_struct_takes_no_attribute_that_it_does_not_declare(run: Setup) -> None:
    def main() -> None:
        with pytest.raises(TypeError, match="no field 'z'"):
            box(z=1)
        with pytest.raises(AttributeError):
            box().z = 1  # type: ignore[attr-defined]

    assert run(main).how == "finished"


def test_a_field_may_begin_with_an_underscore(run: Setup) -> None:
    class Page(Struct):
        _mapcount = rt.shared(-1)

    def main() -> None:
        page = Page("page:0")
        page._mapcount += 1
        assert rt.peek(page, "_mapcount") == 0

    assert [op[2] for op in run(main).ops(*ACCESSES)] == ["page:0._mapcount"] * 2


def test_a_subclass_keeps_the_lanes_of_its_base_and_adds_its_own(run: Setup) -> None:
    class Wide(Box):
        z = rt.shared(9)

    def main() -> None:
        wide = Wide("wide:0", words=1)
        assert (wide.x, wide.z, wide.words.read(0)) == (0, 9, 0)

    outcome = run(main)
    assert [op[2] for op in outcome.ops(Kind.READ)] == ["wide:0.x", "wide:0.z", "wide:0.words[0]"]
    assert list(outcome.record.lanes("Box", "x").values()) == ["wide:0"]


def test_lanes_of_two_objects_never_meet() -> None:
    def main() -> None:
        box(0, words=3)
        box(1, words=0)
        box(2, words=1)

    table = gate(main).record.table
    named = [entry for entry in table.values() if entry[0] == "Box"]
    assert len(named) == len(set(named))
    assert sorted(table) == list(range(len(table)))


def test_names_made_at_run_time_say_who_made_them(run: Setup) -> None:
    def main() -> None:
        def make() -> None:
            assert Box(rt.fresh("jh"), words=0).name == "jh:kid:0"
            assert Box(rt.fresh("bh"), words=0).name == "bh:kid:0"
            assert Box(rt.fresh("jh"), words=0).name == "jh:kid:1"

        rt.spawn(make, name="kid", cpu=1)
        assert Box(rt.fresh("jh"), words=0).name == "jh:main:0"

    assert run(main).how == "finished"


def test_shared_state_outside_a_run_is_refused() -> None:
    kept: list[Box] = []
    gate(lambda: kept.append(box()))
    with pytest.raises(rt.UsageError, match=r"a live engine.*try:"):
        _ = kept[0].x
    with pytest.raises(rt.UsageError, match="a live engine"):
        box()


def test_a_run_inside_a_run_is_refused(run: Setup) -> None:
    def main() -> None:
        with pytest.raises(rt.UsageError, match="one run at a time"):
            gate(lambda: None)

    assert run(main).how == "finished"
