"""The few events that tell a record's story: what the finding names, what led to it, and never too many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mmrace import runtime as rt
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.places import places_of
from mmrace.runtime.record import Record
from mmrace.runtime.wording import event_text
from mmrace.story.highlights import highlights, of_steps
from tests.runs.minimal_files import minimal, passed
from tests.story.test_difference import Box, Order

ROUNDS = 30


def recorded(main: Callable[[], None], *names: str) -> Record:
    engine = FiberEngine(Order(names), sites=True)
    engine.run(main)
    return Record.of_run(engine, {"engine": "fiber", "explored": list(engine.explored())}, {})


def program() -> None:
    """One task writes what the other one reads; a third is busy with something else."""
    box, other = Box("box"), Box("other")

    def writes() -> None:
        box.x = 1

    def reads() -> None:
        for _ in range(ROUNDS):
            other.y = other.y + 1
        rt.bug_on(box.x == 1, "it was written")

    def busy() -> None:
        for _ in range(ROUNDS):
            other.x = other.x + 1

    for task in (writes, reads, busy):
        rt.spawn(task, name=task.__name__)
    rt.join_others()


def texts(record: Record, steps: list[int]) -> list[str]:
    return [event_text(record.events[step], record) for step in steps]


def test_what_led_to_the_finding_is_shown_and_nothing_else() -> None:
    record = recorded(program, *["main"] * 4, *["busy"] * 20, *["writes"] * 3, *["reads"] * 90)
    last = len(record.events) - 1
    found = highlights(record, [last])
    told = texts(record, found.steps)
    assert told[:2] == ["writes: write box.x = 1 (was 0)", "reads: read box.x ➜ 1"] and "-- violation" in told[2]
    assert len(told) == 3
    ((meeting),) = found.meetings
    assert (meeting.first, meeting.second, meeting.lane) == (found.steps[0], found.steps[1], "box.x")
    assert found.named == {last} and not meeting.causal


def test_never_more_than_so_many_and_those_of_the_finding_first() -> None:
    record = recorded(program, *["main"] * 4, *["busy", "reads"] * 200)
    for most in (1, 5, 12):
        found = highlights(record, [3, 5], most=most)
        assert len(found.steps) <= most and found.steps == sorted(found.steps)
        assert {3, 5} <= {*found.steps} or most == 1
    assert of_steps(record, range(100), [], most=7).steps == [*range(93, 100)]


def test_without_a_finding_the_last_steps_that_a_strategy_chose_begin_it() -> None:
    record = passed()
    found = highlights(record, [])
    assert {record.task_name(record.events[step][0]) for step in found.steps} >= {"main.0", "main.1"}


def test_a_minimal_file_has_its_causal_orderings_and_turning_points_in_it() -> None:
    made = minimal()
    found = highlights(made.record, [], made)
    wanted = {op.event for pair in made.causal for op in (pair.first, pair.second)}
    assert wanted <= {*found.steps}
    assert [(m.first, m.second) for m in found.meetings if m.causal] == [
        (pair.first.event, pair.second.event) for pair in made.causal
    ]
    for turn in made.schedule.turns:
        assert any(made.record.task_name(made.record.events[step][0]) == turn.to for step in found.steps)


def test_an_empty_record_has_no_story() -> None:
    record = Record({}, [], table={}, tasks=[])
    assert highlights(record, []).steps == [] and of_steps(record, [], []).steps == []


def test_many_turning_points_leave_room_for_the_finding_and_what_led_to_it() -> None:
    made = minimal()
    turn = made.schedule.turns[0]
    many = [replace(turn, site=place.site, task=place.task, visit=place.visit) for _, place in places_of(made.record)]
    crowded = replace(made, schedule=replace(made.schedule, turns=tuple(many)))
    last = len(made.record.events) - 1
    found = highlights(made.record, [last], crowded, most=8)
    assert {last, *highlights(made.record, [last], most=8).steps} <= {*found.steps} and len(found.steps) <= 8
