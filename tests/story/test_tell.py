"""Stories of programs that know no kernel: the cause, the rows, the ghosts; and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.story.facts import Story
from mmrace.story.scene import Scene
from mmrace.story.table import table_of
from mmrace.story.tell import Book, tell
from tests.story import cut_short, numbered, published_early
from tests.story.programs import LOCKS, PLANTED, QUEUE, UPDATE, failed, story

CAUSES = {
    "cycle": (
        LOCKS, "main", "liveness", "cycle",
        r"(\w+) waits for table\.\w+, in eat, which (\w+) has held since step \d+, in eat; \2 waits .* which \1",
    ),
    "inversion": (
        PLANTED, "either_order", "lock-order", "",
        r"another order of the same steps is a deadlock: .*asks for box\.\w+",
    ),
    "lost update": (
        UPDATE, "main", "exception", "",
        r"had seen account\.balance ➜ 0 at step \d+, main\.\d came in between .*, and main\.\d wrote over that at",
    ),
    "published early": (
        published_early, "main", "exception", "ValueError",
        r"it had read cache\.ready . 1 at step \d+, which writer had written at step \d+, and cache\.value . nothing "
        r"at step \d+, which nobody had written by then",
    ),
    "race": (UPDATE, "main", "data-race", "", r"account\.balance.* and nothing orders the two"),
    "wrong one woken": (
        QUEUE, "main", "liveness", "stuck",
        r"sleeps until queue\.items changes \(step \d+, in \w+\); \S+ brought that at step \d+, in \w+, and (the|aft)",
    ),
    "forgotten wake": (
        PLANTED, "forgotten_wake", "liveness", "",
        r"taker sleeps until box\.full changes .*filler brought that at step \d+, in fill, and after that nobody wakes",
    ),
    "stranger": (
        PLANTED, "unlock_by_stranger", "lock-discipline", "",
        r"locker\.0 unlocks box\.lock .*which (locker\.1 has held since step \d+|nobody holds).* locker\.0's own try "
        r"at step \d+ had failed",
    ),
    "double put": (
        PLANTED, "double_put", "refcount", "",
        r"drops the reference 'owner' of box, which dropper\.\d \(step \d+.*\) had dropped already",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_is_said_in_one_sentence_of_the_record_s_facts(name: str) -> None:
    module, function, oracle, rule, said = CAUSES[name]
    told = story(module, function, oracle, rule).telling.cause
    assert re.search(said, told), told


@pytest.mark.parametrize("name", CAUSES)
def test_every_step_that_a_cause_names_is_a_row_or_close_to_the_finding(name: str) -> None:
    module, function, oracle, rule, _ = CAUSES[name]
    told = story(module, function, oracle, rule)
    rows = {row.step for row in told.table.rows}
    named = {int(step) for step in re.findall(r"step (\d+)", told.telling.cause)}
    assert len(named - rows) <= 1, (named, rows)  # a lock that refuses a stranger has the note right after it


def test_a_ring_of_locks_that_differ_in_a_digit_tells_them_apart() -> None:
    assert re.search(r"so round: pair\.l1 . pair\.l2 . pair\.l1$", story(numbered, "main", "lock-order").telling.seen)


def test_a_lock_is_a_bar_from_where_it_is_taken_to_where_it_is_let_go() -> None:
    told = story(PLANTED, "either_order", "lock-order")
    taken = [row for row in told.table.rows if row.takes is not None]
    assert len(taken) == 4
    assert all(row.takes in row.held[row.task] for row in taken)


def test_a_lock_taken_before_its_task_s_first_row_is_a_bar_too_and_says_since_when() -> None:
    """Of the four ops of the ring only the asking ones are rows here; each task holds its first lock meanwhile."""
    record, _ = failed(str(PLANTED.__file__), "either_order", "lock-order")
    scene, links = Scene(record), story(PLANTED, "either_order", "lock-order").telling.links
    asked = {link.step: "" for link in links}
    rows = table_of(scene, asked, asked, (), {}).rows
    assert [row.since for row in rows] == [
        (f"has {link.held} since step {link.held_step}",) for link in sorted(links, key=lambda link: link.step)
    ]
    assert all(len(row.held[row.task]) == 2 for row in rows)


def test_an_unlock_whose_lock_was_taken_before_the_first_row_closes_a_bar() -> None:
    scene = Scene(failed(str(PLANTED.__file__), "either_order", "lock-order")[0])
    tenure = next(one for lane in scene.tenures.values() for one in lane if one.released is not None)
    assert tenure.released is not None
    (row,) = table_of(scene, {tenure.released: ""}, {}, (), {}).rows
    assert row.drops is not None and row.dropped == row.task and not row.held
    assert row.since == (f"has {scene.short(tenure.lane)} since step {tenure.taken}",)


def test_a_switch_says_why_its_task_does_not_go_on() -> None:
    reasons = {row.leaves for row in story(LOCKS, "main", "liveness", "cycle").table.rows}
    assert any(reason.startswith("waits for table.") and reason.endswith(": for ever") for reason in reasons), reasons
    lost = {row.leaves for row in story(UPDATE, "main", "exception").table.rows}
    assert "preempted" in lost and "goes on to its end" in lost | {"ends"} and lost <= {
        "", "preempted", "goes on to its end", "ends", "waits for the end of others",
    }  # fmt: skip


def test_a_task_that_the_end_of_the_run_cut_short_says_where_it_stood() -> None:
    record, _ = failed(str(cut_short.__file__), "main", "exception")
    scene = Scene(record)
    last = {name: scene.of_task[scene.ids[name]][-1] for name in ("worker", "sleeper", "raiser")}
    assert last["raiser"] == max(last.values())
    rows = table_of(scene, dict.fromkeys(last.values(), ""), {}, (), {}).rows
    assert {row.task: row.leaves for row in rows} == {
        "worker": f"has another op to do after step {last['worker']}, when the run ends",
        "sleeper": f"sleeps on box.waiters (queued at step {last['sleeper'] - 1})",
        "raiser": "",
    }


def test_the_two_sides_of_a_race_have_their_locks_and_the_gap_between_them() -> None:
    told = story(UPDATE, "main", "data-race").telling
    assert [side.locks for side in told.sides] == [(), ()]
    assert "no lock in common" in told.gap


def test_who_should_have_woken_whom_is_said() -> None:
    told = story(PLANTED, "forgotten_wake", "liveness").telling
    assert told.progress[1].startswith("should have been woken by filler")
    assert told.ghosts[0].task == "filler" and "never came" in told.ghosts[0].text


def record() -> Record:
    return failed(str(UPDATE.__file__), "main", "exception")[0]


def test_a_record_without_a_finding_is_refused_with_what_shows_it() -> None:
    passed = Record({}, list(record().events), table=record().table, tasks=record().tasks)
    passed.verdict = {"verdict": "PASS", "findings": []}
    with pytest.raises(UsageError, match=r"expected a record with a finding.*PASS.*mmrace show"):
        tell(passed)


def test_a_finding_that_is_not_in_the_record_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="--finding"):
        tell(record(), "0123456789ab")


def test_of_several_findings_the_one_that_is_asked_for_is_told_and_the_others_are_named() -> None:
    signatures = [finding["signature"] for finding in record().verdict["findings"]]
    assert len(signatures) > 1
    for signature in signatures:
        told = tell(record(), signature)
        assert told.signature == signature and len(told.others) == len(signatures) - 1


def test_a_finding_of_a_rule_that_nobody_knows_is_told_by_its_title_and_its_objects() -> None:
    made = record()
    unknown = Record(made.header, made.events, table=made.table, tasks=made.tasks, masks=made.masks, end=made.end)
    finding = {"oracle": "mine", "rule": "sum", "title": "account lost one", "signature": "a" * 12, "facts": {}}
    unknown.verdict = {"verdict": "FAIL", "findings": [{**finding, "facts": {"object": "account", "step": 10}}]}
    told = tell(unknown)
    assert told.telling.cause == "account lost one." and told.telling.objects == ("account",)
    assert any("account.balance" in row.text for row in told.table.rows)


def test_a_book_says_it_in_a_program_s_own_words() -> None:
    def refine(scene: Scene, finding: object, told: object) -> object:
        return replace(told, cause="main.0 overdraws.")  # type: ignore[type-var]

    book = Book(refiners={("exception", ""): refine}, roles={"main": "the bank"})  # type: ignore[dict-item]
    told: Story = tell(record(), book=book)
    exception = next(f["signature"] for f in record().verdict["findings"] if f["oracle"] == "exception")
    told = tell(record(), exception, book)
    assert told.telling.cause == "main.0 (the bank) overdraws."


def test_the_whole_table_has_every_event_of_its_tasks_after_set_up() -> None:
    part, whole = (tell(record(), whole=flag).table for flag in (False, True))
    steps = [row.step for row in whole.rows if row.step is not None]
    assert {row.step for row in part.rows} <= {*steps, None}
    scene = Scene(record())
    mine = [step for step in range(scene.begins, scene.end) if scene.who(step) in part.tasks]
    assert [step for step in steps if step >= scene.begins] == mine
