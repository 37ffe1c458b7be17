"""Guided replay: exact on the program that made the record, harmless on any other."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from mmrace import runtime as rt
from mmrace.runs.kept import RECORD
from mmrace.runs.minimal import MINIMAL
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import RoundRobin
from mmrace.strategies.guided import BY, KEPT, Guided, Preemption, Value, choices_of, preemptions_of, steps_of
from mmrace.strategies.registry import sampler
from tests.runs.minimal_files import folder, minimal
from tests.runtime.engines import Box, Outcome, Program, box, fiber, random_walk, walk


def program(edited: bool = False, renamed: bool = False) -> Program:
    """Make a program with all that a schedule can turn on; edited, it has more ops, and one function less."""

    def main() -> None:
        shared = box()

        def touch() -> None:
            _ = shared.y

        with rt.fixed_order():
            rt.spawn(touch, name="setup", cpu=3)
            rt.join_others()
            touch()

        def log(box_: Box) -> None:
            box_.y = box_.x

        def work() -> None:
            for _ in range(2):
                rt.mutex_lock(shared.mutex)
                if edited:
                    rt.schedule()
                else:
                    log(shared)
                shared.x += 1 + rt.choose(3)
                rt.mutex_unlock(shared.mutex)
                shared.count.get("slot")

        for name, cpu in (("a", 1), ("c" if renamed else "b", 2)):
            rt.spawn(work, name=name, cpu=cpu)
        touch()
        rt.join_others()

    return main


def follow(record: Record, main: Program) -> tuple[Outcome, Guided]:
    """Run a program guided by a record."""
    guided = Guided(preemptions_of(record), choices_of(record))
    return fiber(main, guided, sites=True), guided


@pytest.mark.parametrize("seed", range(20))
def test_the_program_that_made_the_record_does_the_same_again(seed: int) -> None:
    record = walk(program(), seed, on=fiber, sites=True).record
    outcome, guided = follow(record, program())
    assert outcome.record.events == record.events
    assert outcome.record.masks == record.masks
    assert guided.turned == preemptions_of(record)


def test_the_default_schedule_has_no_turning_point() -> None:
    outcome = fiber(program(), Guided([]), sites=True)
    assert (preemptions_of(outcome.record), choices_of(outcome.record)) == ([], [])
    assert preemptions_of(fiber(program(), RoundRobin(), sites=True).record) != []


def abba() -> None:
    """BUGGY: two mutexes in opposite order."""
    shared, other = box(0), box(1)

    def both(first: Box, second: Box) -> None:
        rt.mutex_lock(first.mutex)
        rt.mutex_lock(second.mutex)
        rt.mutex_unlock(second.mutex)
        rt.mutex_unlock(first.mutex)

    rt.spawn(both, shared, other, name="a", cpu=1)
    rt.spawn(both, other, shared, name="b", cpu=2)


def gives_up() -> None:
    """BUGGY: one task fails while another, taken off in the middle, never does its next op."""
    shared = box()

    def careful() -> None:
        if shared.x == 0:
            shared.y = 1
            shared.y = 0

    def hasty() -> None:
        rt.bug_on(shared.y == 1, "seen half way")

    rt.spawn(careful, name="a", cpu=1)
    rt.spawn(hasty, name="b", cpu=2)


@pytest.mark.parametrize(("main", "how"), [(abba, "deadlock"), (gives_up, "violation")])
def test_a_failure_fails_again_also_if_a_task_never_did_what_it_announced(main: Program, how: str) -> None:
    records = [walk(main, seed, on=fiber, sites=True, raising=False).record for seed in range(200)]
    failed = [record for record in records if record.end["how"] == how]
    assert failed
    for record in failed:
        outcome, _ = follow(record, main)
        assert outcome.record.events == record.events
        assert outcome.how == how


def test_one_turning_point_says_it_all() -> None:
    turn = Preemption("a", "careful:y", 1, "b")
    outcome = fiber(gives_up, Guided([turn, Preemption("main", "BEGIN", 7, "a")]), sites=True)
    assert outcome.how == "violation"
    main_first = [p for p in preemptions_of(outcome.record) if p.task != "main"]
    assert main_first == [turn]


@pytest.mark.parametrize("seed", range(20))
def test_an_edited_program_is_guided_as_far_as_it_goes_and_ends(seed: int) -> None:
    record = walk(program(), seed, on=fiber, sites=True).record
    for changed in (program(edited=True), program(renamed=True), program(edited=True, renamed=True)):
        outcome, guided = follow(record, changed)
        assert outcome.how == "finished"
        assert set(guided.turned) <= set(preemptions_of(record))


def test_a_preemption_survives_an_edit_elsewhere() -> None:
    def main(edited: bool) -> Program:
        def body() -> None:
            """BUGGY: a lost update."""
            shared = box()

            def bump() -> None:
                if edited:
                    rt.schedule()
                    _ = shared.y
                shared.x += 1

            rt.spawn(bump, name="a", cpu=1)
            rt.spawn(bump, name="b", cpu=2)
            rt.join_others()
            rt.note("sum", shared.x)

        return body

    outcomes = [walk(main(False), seed, on=fiber, sites=True) for seed in range(100)]
    record = next(outcome.record for outcome in outcomes if outcome.notes("sum") == [(1,)])
    outcome, _ = follow(record, main(True))
    assert outcome.notes("sum") == [(1,)]


def test_a_target_that_cannot_go_on_is_passed_over() -> None:
    guided = Guided([Preemption("a", "both:mutex_lock", 1, "main"), Preemption("a", "BEGIN", 1, "nobody")])
    assert fiber(abba, guided, sites=True).how == "finished"
    assert guided.turned == []


def test_what_a_lock_keeps_from_happening_was_followed_and_what_never_comes_up_was_not() -> None:
    def main() -> None:
        shared = box()

        def bump() -> None:
            rt.mutex_lock(shared.mutex)
            shared.x += 1
            rt.mutex_unlock(shared.mutex)

        rt.spawn(bump, name="a", cpu=1)
        rt.spawn(bump, name="b", cpu=2)
        rt.join_others()

    for turn, met in ((Preemption("a", "bump:x", 1, "b"), 1), (Preemption("a", "bump:y", 1, "b"), 0)):
        guided = Guided([Preemption("a", "BEGIN", 1, "b"), Preemption("b", "BEGIN", 1, "a"), turn])
        assert fiber(main, guided, sites=True).how == "finished"
        assert guided.held == [turn] * met


@pytest.mark.parametrize(
    ("site", "turned"),
    [("inner:x", {"function", "name"}), ("outer > inner:x", {"site", "function", "name"}), ("inner:x#2", {"name"})],
)
def test_an_op_is_known_again_by_its_site_its_function_or_its_name(site: str, turned: set[str]) -> None:
    def main() -> None:
        shared = box()

        def inner() -> None:
            shared.x += 1

        def outer() -> None:
            inner()

        rt.spawn(outer, name="a", cpu=1)
        rt.spawn(outer, name="b", cpu=2)
        rt.join_others()

    def follows(by: str) -> bool:
        guided = Guided([Preemption("a", site, 1, "b")], by=by)
        fiber(main, guided, sites=True)
        return bool(guided.turned)

    assert {by for by in BY if follows(by)} == turned


def test_a_value_that_is_out_of_range_is_the_ordinary_one() -> None:
    def main() -> None:
        rt.note("value", rt.choose(3), rt.choose(2))

    values = [Value("main", "main:choose", 1, 2), Value("main", "main:choose#2", 1, 2)]
    outcome = fiber(main, Guided([], values), sites=True)
    assert outcome.notes("value") == [(2, 0)]
    assert choices_of(outcome.record) == [Value("main", "main:choose", 1, 2)]


def test_a_record_without_sites_or_of_another_engine_is_refused_with_what_to_try() -> None:
    for record in (walk(program(), 0, on=fiber).record, Record({}, [], table={}, tasks=[])):
        for question in (preemptions_of, choices_of):
            with pytest.raises(rt.UsageError, match=r"with sites.*try"):
                question(record)


def test_a_file_guides_like_the_record_and_the_strategy_is_known_by_name(tmp_path: Path) -> None:
    record = fiber(program(), random_walk(3), sites=True).record
    record.write(tmp_path / "run.jsonl")
    loaded = Record.read(tmp_path / "run.jsonl")
    assert preemptions_of(loaded) == preemptions_of(record)
    assert choices_of(loaded) == choices_of(record)
    strategy = sampler(f"guided:record={tmp_path / 'run.jsonl'}").strategy(lambda: 0.0, None)
    assert fiber(program(), strategy, sites=True).record.events == record.events


def test_a_json_file_with_a_schedule_guides_too_whatever_else_it_has(tmp_path: Path) -> None:
    record = fiber(program(), random_walk(3), sites=True).record
    path = tmp_path / "kept"
    schedule = {
        "turns": [asdict(turn) for turn in preemptions_of(record)],
        "choices": [asdict(value) for value in choices_of(record)],
    }
    path.write_text(json.dumps({"schema": "mmrace-schedule/1", "other": [1], "schedule": schedule}), encoding="utf-8")
    strategy = sampler(f"guided:record={path}").strategy(lambda: 0.0, None)
    assert fiber(program(), strategy, sites=True).record.events == record.events


@pytest.mark.parametrize("text", ["", ', "schedule": {"turns": [{"task": 1}], "choices": []}', ', "schedule": 1'])
def test_a_json_file_without_a_schedule_is_a_wrong_call(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kept.json"
    path.write_text(f'{{"schema": "mmrace-schedule/1"{text}}}', encoding="utf-8")
    with pytest.raises(rt.UsageError, match="expected a JSON file with a schedule"):
        sampler(f"guided:record={path}")


def test_a_folder_of_a_finding_has_the_schedule_of_its_smallest_run(tmp_path: Path) -> None:
    made = folder(tmp_path)
    assert KEPT == (MINIMAL, RECORD)
    small = minimal().schedule
    (made / MINIMAL).write_text((made / MINIMAL).read_text().replace('"visit": 1', '"visit": 7'))
    changed = steps_of(str(made))
    assert changed == steps_of(str(made / MINIMAL)) and changed["turns"] != small.turns
    (made / MINIMAL).unlink()
    assert steps_of(str(made)) == {"turns": small.turns, "choices": small.choices}
    (made / RECORD).unlink()
    with pytest.raises(UsageError, match="readable record file"):
        steps_of(str(made))
