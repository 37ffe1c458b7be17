"""Following free threads under control: exact where nothing else can happen, told where something does.

Chances: what is claimed of a free run holds in each one, so there is no false alarm to bound.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest

from mmrace import runtime as rt
from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import CHOOSE, JOIN, KIND_MASK, NOTE, RETRY, SHIFT
from mmrace.runtime.noise import PROFILES
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import BaseStrategy
from mmrace.strategies import registry, retrace
from mmrace.strategies.order.recorded import Recorded, Roads, folded
from mmrace.strategies.pos import Pos
from mmrace.strategies.retrace import Retrace
from tests.runtime import contended as programs
from tests.runtime.engines import Box, Flag, Outcome, Program, box, fiber, free, gate

contended = partial(programs.contended, settled=False)
Deed = tuple[int, str, str, object, object]


def follow(record: Record, main: Program, raising: bool = True) -> tuple[Outcome, Retrace]:
    """Run a program along a record."""
    strategy = Retrace(Recorded(record))
    return fiber(main, strategy, raising), strategy


def deeds(record: Record) -> dict[str, list[Deed]]:
    """Return what each task did and saw, but for joins: of all others, one op for each under `free`, and one here."""
    found: dict[str, list[Deed]] = {}
    rows: dict[int, list[tuple[int, tuple[int, int, object, object]]]] = {}
    for number, event in enumerate(record.events):
        if event[1] != NOTE:
            rows.setdefault(event[0], []).append((number, event))
    for task, row in rows.items():
        found[record.task_name(task)] = [
            (op & KIND_MASK, record.lane_name(op >> SHIFT), str(Record.name(a)), str(Record.name(b)), "")
            for _, (_, op, a, b) in folded(row)
            if op & KIND_MASK not in (JOIN, RETRY)
        ]
    return found


@pytest.mark.parametrize("seed", range(6))
def test_what_free_threads_did_is_done_again_with_every_outcome(seed: int) -> None:
    recorded = free(contended, list(PROFILES)[seed], seed).record
    again, strategy = follow(recorded, contended)
    way = strategy.way
    assert (way.partings, way.done, way.over) == ([], way.total, None)
    assert deeds(again.record) == deeds(recorded)
    assert strategy.followed() == (way.total, way.total, "recorded ops", ())


def test_under_gate_it_is_the_same_run() -> None:
    recorded = free(contended).record
    on_gate = gate(contended, Retrace(Recorded(recorded))).record
    assert list(on_gate.plain()) == list(follow(recorded, contended)[0].record.plain())


def test_a_record_read_from_its_file_is_followed_as_well(tmp_path: Path) -> None:
    recorded = free(contended, seed=1).record
    recorded.write(tmp_path / "a, b.jsonl")
    text = retrace.text(str(tmp_path / "a, b.jsonl"))
    assert "," not in text
    strategy = registry.sampler(text).strategy(lambda: 0.5, None)
    assert list(fiber(contended, strategy).record.plain()) == list(follow(recorded, contended)[0].record.plain())


def drawing() -> None:
    """Write what the program draws from its own stream, between choices."""
    shared = box()

    def work() -> None:
        for _ in range(8):
            shared.link = rt.choose(1000), rt.current().rng.random()

    for name in "ab":
        rt.spawn(work, name=name)
    rt.join_others()


def test_choices_are_those_of_the_record_and_leave_the_programs_own_stream_alone() -> None:
    recorded = free(drawing, seed=7).record
    again, _ = fiber(drawing, Retrace(Recorded(recorded)), seed=7), None
    assert deeds(again.record) == deeds(recorded)
    drawn = [event for event in recorded.events if event[1] != NOTE and event[1] & KIND_MASK == CHOOSE]
    assert len({event[3] for event in drawn}) > 2  # that all 16 agree has a chance of 1e-39


def rescued(flag: str = "link") -> Program:
    """Make a program whose reader looks at one field, and goes another way if it is set."""

    def main() -> None:
        shared = box()

        def reader() -> None:
            for _ in range(3):
                shared.y += 1
            if getattr(shared, flag):
                rt.mutex_lock(shared.mutex)
                rt.mutex_unlock(shared.mutex)
            shared.y = 0

        shared.link = shared
        rt.join(rt.spawn(reader, name="reader", cpu=1))
        for i in range(5):
            shared.words.write(0, i)

    return main


def test_a_task_that_does_something_else_is_told_and_the_rest_is_followed() -> None:
    """The edited program reads another field, whose value sends it another way."""
    recorded = free(rescued()).record
    again, strategy = follow(recorded, rescued("x"))
    assert again.how == "finished"
    first = strategy.way.partings[0]
    assert (first.task, first.expected, first.got) == ("reader", "read box:0.link", "read box:0.x")
    assert strategy.followed().left[0].startswith(f"parted at op {first.step}: reader, at ")
    words = [deed for deed in deeds(again.record)["main"] if deed[1] == "box:0.words[0]"]
    assert len(words) == 5 and strategy.way.done > strategy.way.total * 3 // 4


def later(count: int) -> Program:
    """Make a program of so many turns."""

    def main() -> None:
        shared = box()
        for _ in range(count):
            shared.x += 1

    return main


def test_where_the_record_ends_the_run_goes_on() -> None:
    again, strategy = follow(free(later(3)).record, later(9))
    assert (again.how, len(strategy.way.partings)) == ("finished", 12)  # two ops of each turn where it was to end
    assert strategy.way.done == strategy.way.total


def use_after_free() -> None:
    """BUGGY: the reader uses a box that is freed."""
    shared = box()

    def reader() -> None:
        for _ in rt.until_changed():
            if shared.flags.load():
                break
        gone.x += 1

    gone = box(1)
    rt.spawn(reader, name="reader", cpu=1)
    gone.x = 1
    rt.poison(gone)
    rt.set_bit(shared.flags, Flag.DIRTY)
    rt.join_others()


def test_an_op_that_was_refused_and_so_is_in_no_record_is_tried_again() -> None:
    recorded = free(use_after_free, raising=False)
    again, strategy = follow(recorded.record, use_after_free, raising=False)
    assert recorded.how == again.how == "violation" and again.detail["rule"] == recorded.detail["rule"]
    assert strategy.way.partings == []


def abba() -> None:
    """BUGGY: two mutexes in opposite order; each waits until the other has one."""
    first, second = box(0), box(1)

    def both(mine: Box, other: Box) -> None:
        rt.mutex_lock(mine.mutex)
        mine.x = 1
        for _ in rt.until_changed():
            if other.x:
                break
        rt.mutex_lock(other.mutex)

    rt.spawn(both, first, second, name="a", cpu=1)
    rt.spawn(both, second, first, name="b", cpu=2)
    rt.join_others()


def test_a_standstill_is_met_again() -> None:
    recorded = free(abba)
    again, strategy = follow(recorded.record, abba)
    assert (recorded.how, again.how) == ("deadlock", "deadlock")
    assert again.detail["cycle"] == recorded.detail["cycle"]
    assert strategy.way.partings == []


def steps_of(main: Program, order: str) -> Recorded:
    """Record a program whose tasks do their ops in this order, by first letter; it need not be one of `free`."""

    class Told(BaseStrategy):
        def pick(self, enabled: list[rt.Task], running: rt.Task, step: int) -> rt.Task:
            nonlocal order
            wanted, order = order[:1], order[1:]
            return next((task for task in enabled if task.name == wanted), enabled[0])

    return Recorded(fiber(main, Told()).record)


def test_who_waits_holds_up_those_only_that_it_conflicts_with() -> None:
    def main() -> None:
        shared = box()

        def work(field: str, value: int | None) -> None:
            if value is None:
                getattr(shared, field)
            else:
                setattr(shared, field, value)

        with rt.fixed_order():
            for name, field, value in (("a", "x", 1), ("b", "x", None), ("c", "y", 1), ("d", "x", None)):
                rt.spawn(work, field, value, name=name)
        rt.join_others()

    recorded = steps_of(main, "abcdabcd")
    roads = Roads(recorded)
    rows = {name: road for (name, _), road in roads._roads.items()}
    for name in "abcd":  # each has begun
        while (rows[name].steps[0].lane or ("",))[0] != "Box":
            rows[name].steps.popleft()
    rows["main"].steps.clear()
    assert {name: roads.waits(rows[name]) for name in "abcd"} == {"a": False, "b": True, "c": False, "d": True}
    rows["a"].steps.popleft()
    assert not roads.waits(rows["b"]) and not roads.waits(rows["d"])


def test_turns_that_saw_nothing_new_are_left_out() -> None:
    retry, read = 7 << SHIFT | RETRY, 9 << SHIFT
    events = [(0, read, 0, None), (0, retry, 1, None), (0, read, 0, None), (0, retry, 2, None), (0, read, 1, None)]
    assert [number for number, _ in folded(list(enumerate(events)))] == [0, 3, 4]


def test_the_rest_is_drawn_from_a_point_that_both_have_in_common() -> None:
    recorded = free(contended, seed=2).record
    whole = follow(recorded, contended)[0].record
    runs = {}
    for turn in range(3):
        for until in (100, 200):
            then = retrace.drawing("pos", turn, random.Random(1).random)
            made = fiber(contended, Retrace(Recorded(recorded), until, then)).record
            runs[turn, until] = list(made.plain())
            ops = [event for event in made.plain() if event[1] != "NOTE"]
            assert ops[:until] == [event for event in whole.plain() if event[1] != "NOTE"][:until]
            assert ops[until:] != [event for event in whole.plain() if event[1] != "NOTE"][until:]
    assert len({str(run) for run in runs.values()}) == 6  # of some thousand orders each
    again = fiber(contended, Retrace(Recorded(recorded), 100, retrace.drawing("pos", 2, random.Random(1).random)))
    assert list(again.record.plain()) == runs[2, 100]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("retrace", "record=FILE"), ("retrace:record=x,then=pct", "then=pos or random"), ("retrace:record=gone", "gone")],
)
def test_what_names_no_record_or_sampler_is_refused(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        registry.sampler(text)
    assert expected in str(caught.value)


def test_pos_is_what_draws_if_nothing_is_said() -> None:
    assert isinstance(retrace.drawing(str(retrace.STRATEGY.options["then"]), 0, lambda: 0.0), Pos)
