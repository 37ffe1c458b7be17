"""The data race oracle: what orders two accesses, what does not, and what is declared benign."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import ClassVar

import pytest

from mmrace import runtime as rt
from mmrace.installed import run_one
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.radix_tree import Slot
from mmrace.oracles.general import data_race
from mmrace.oracles.general.judgement import Finding, Judgement, Verdict
from mmrace.runs.spec import RunSpec
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.kinds import Kind
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import RoundRobin
from mmrace.runtime.tables import Tables
from tests.oracles.hand import Hand
from tests.oracles.verdicts import caught, passed, unknown

FIELD = "journal:0.j_free"  # a plain field that no declaration excuses
LOCK = "mapping:5.tree_lock"
RACE, STORE = "race", "plain store over a bit"


def _hand() -> Hand:
    """Two tasks of one CPU and an I/O, all of them spawned."""
    hand = Hand("writer", "migrator", "io.0")
    for name in ("writer", "migrator", "io.0"):
        hand.op("main", Kind.SPAWN, "cpu:0.main", hand.ids[name])
    return hand


def _write(hand: Hand, task: str, old: int = 0, new: int = 1) -> Hand:
    return hand.op(task, Kind.WRITE, FIELD, old, new)


def _read(hand: Hand, task: str, value: int = 1) -> Hand:
    return hand.op(task, Kind.READ, FIELD, value)


def _locked(hand: Hand, task: str, path: str = LOCK) -> Hand:
    hand.op(task, Kind.ACQUIRE, path)
    return _write(hand, task).op(task, Kind.RELEASE, path)


def _sides(finding: Finding) -> list[dict[str, object]]:
    sides = finding.facts["sides"]
    assert isinstance(sides, list)
    return sides


# -- races -------------------------------------------------------------------------------------------------------------


def test_race_oracle_catches_a_write_that_a_read_does_not_follow_and_tells_both_sides() -> None:
    hand = _write(_hand().op("writer", Kind.ACQUIRE, LOCK), "writer", 3, 4).op("writer", Kind.RELEASE, LOCK)
    finding = caught(data_race.judge(_read(hand, "migrator", 4).record()), RACE)
    assert finding.title == f"{FIELD}: writer writes it and migrator reads it, in no order"
    one, other = _sides(finding)
    assert one == {
        "task": "writer", "op": "WRITE", "object": FIELD, "step": 4, "site": None, "old": 3, "new": 4, "locks": [LOCK],
    }  # fmt: skip
    assert other == {
        "task": "migrator", "op": "READ", "object": FIELD, "step": 6, "site": None, "old": None, "new": 4, "locks": [],
    }  # fmt: skip


@pytest.mark.parametrize("first", ["writer", "migrator"])
def test_race_oracle_catches_a_race_whoever_comes_first(first: str) -> None:
    second = "migrator" if first == "writer" else "writer"
    caught(data_race.judge(_write(_read(_hand(), first), second).record()), RACE)
    caught(data_race.judge(_write(_write(_hand(), first), second).record()), RACE)


def test_race_oracle_catches_a_write_that_races_with_one_of_several_readers() -> None:
    hand = _read(_read(_hand(), "io.0"), "migrator")
    hand.exit("io.0").op("writer", Kind.JOIN, "cpu:0.io", hand.ids["io.0"])
    finding = caught(data_race.judge(_write(hand, "writer").record()), RACE)
    assert [side["task"] for side in _sides(finding)] == ["migrator", "writer"]


def test_race_oracle_tells_each_pair_of_code_points_once() -> None:
    hand = _hand()
    for _ in range(5):
        _write(_write(hand, "writer"), "migrator")
    judgement = data_race.judge(hand.record())
    assert caught(judgement, RACE).facts["times"] == 9


def test_race_oracle_catches_two_locks_that_are_not_the_same() -> None:
    hand = _locked(_locked(_hand(), "writer"), "migrator", "mapping:6.tree_lock")
    caught(data_race.judge(hand.record()), RACE)


@pytest.mark.parametrize("kind", [Kind.SET, Kind.CLEAR])
def test_race_oracle_does_not_take_a_plain_bit_op_for_a_barrier(kind: Kind) -> None:
    hand = _write(_hand(), "writer").op("writer", kind, "page:0.flags", kind is Kind.CLEAR, sub="PG_private")
    hand.op("migrator", Kind.TEST, "page:0.flags", kind is Kind.SET, sub="PG_private")
    caught(data_race.judge(_read(hand, "migrator").record()), RACE)


# -- what orders -------------------------------------------------------------------------------------------------------


def test_race_oracle_passes_on_accesses_under_one_lock() -> None:
    passed(data_race.judge(_locked(_locked(_hand(), "writer"), "migrator").record()))


def test_race_oracle_passes_on_an_access_under_a_lock_got_by_a_try() -> None:
    hand = _locked(_hand(), "writer").op("migrator", Kind.TRY, LOCK, True)
    passed(data_race.judge(_write(hand, "migrator").record()))


@pytest.mark.parametrize(
    ("owner", "field", "bit"),
    [("page:0", "flags", "PG_locked"), ("bh:1", "b_state", "BH_Lock"), ("bh:1", "b_state", "BH_State")],
)
def test_race_oracle_passes_on_accesses_under_one_bit_lock(owner: str, field: str, bit: str) -> None:
    hand = _write(_hand().lock("writer", owner, bit, field), "writer").unlock("writer", owner, bit, field)
    passed(data_race.judge(_write(hand.lock("migrator", owner, bit, field), "migrator").record()))


def test_race_oracle_passes_before_a_spawn_and_after_a_join() -> None:
    hand = _write(Hand("writer"), "main").op("main", Kind.SPAWN, "cpu:0.main", 1)
    _write(hand, "writer").exit("writer").op("main", Kind.JOIN, "cpu:0.writer", 1)
    passed(data_race.judge(_write(hand, "main").record()))


def test_race_oracle_passes_after_a_join_of_all_others() -> None:
    hand = _write(_hand(), "writer").exit("writer").op("main", Kind.JOIN, "cpu:0.main", None)
    passed(data_race.judge(_write(hand, "main").record()))


def test_race_oracle_passes_on_what_main_does_when_a_task_has_ended_though_no_join_says_so() -> None:
    """A join of all others leaves no op if nobody is left."""
    passed(data_race.judge(_write(_write(_hand(), "writer").exit("writer"), "main").record()))
    caught(data_race.judge(_write(_write(_hand(), "writer").exit("migrator"), "main").record()), RACE)


def test_race_oracle_passes_on_what_a_wake_publishes() -> None:
    hand = _hand().queue("migrator", "page:0", "PG_writeback")
    _write(hand, "writer").wake("writer", "page:0", "PG_writeback", "migrator")
    passed(data_race.judge(_read(hand.sleep("migrator", "page:0", "PG_writeback"), "migrator").record()))


def test_race_oracle_catches_what_a_wake_of_somebody_else_does_not_publish() -> None:
    hand = _hand().queue("io.0", "page:0", "PG_writeback")
    _write(hand, "writer").wake("writer", "page:0", "PG_writeback", "io.0")
    caught(data_race.judge(_read(hand, "migrator").record()), RACE)


@pytest.mark.parametrize(
    ("kind", "a", "b", "sub", "field"),
    [
        (Kind.TEST_AND_SET, False, None, "PG_dirty", "flags"),
        (Kind.TEST_AND_CLEAR, True, None, "PG_dirty", "flags"),
        (Kind.PUT, "lookup", 1, "", "_count"),
        (Kind.GET_UNLESS_ZERO, "lookup", 3, "", "_count"),
        (Kind.FREEZE, 2, True, "", "_count"),
    ],
)
def test_race_oracle_takes_a_read_modify_write_that_succeeded_for_a_barrier(
    kind: Kind, a: object, b: object, sub: str, field: str
) -> None:
    hand = _write(_hand(), "writer").op("writer", kind, f"page:0.{field}", a, b, sub)
    passed(data_race.judge(_read(hand.op("migrator", kind, f"page:0.{field}", a, b, sub), "migrator").record()))


@pytest.mark.parametrize(
    ("kind", "a", "b", "sub", "field"),
    [
        (Kind.TEST_AND_SET, True, None, "PG_dirty", "flags"),
        (Kind.GET, "lookup", 1, "", "_count"),
        (Kind.GET_UNLESS_ZERO, "lookup", 0, "", "_count"),
        (Kind.FREEZE, 2, False, "", "_count"),
    ],
)
def test_race_oracle_does_not_take_one_that_failed_or_returns_nothing_for_a_barrier(
    kind: Kind, a: object, b: object, sub: str, field: str
) -> None:
    hand = _write(_hand(), "writer").op("writer", kind, f"page:0.{field}", a, b, sub)
    caught(data_race.judge(_read(hand.op("migrator", kind, f"page:0.{field}", a, b, sub), "migrator").record()), RACE)


def test_race_oracle_takes_an_unfreeze_for_a_release() -> None:
    hand = _write(_hand().freeze("writer", "page:0._count", 2), "writer").unfreeze("writer", "page:0._count", 2)
    hand.op("migrator", Kind.GET_UNLESS_ZERO, "page:0._count", "lookup", 3)
    passed(data_race.judge(_read(hand, "migrator").record()))


def test_race_oracle_passes_on_what_an_rcu_pointer_publishes() -> None:
    hand = _write(_hand(), "writer").write("writer", "slot:5:0.page", "page:0")
    passed(data_race.judge(_read(hand.op("migrator", Kind.READ, "slot:5:0.page", "page:0"), "migrator").record()))


def _section(hand: Hand, task: str, kind: Kind, cpu: str, on: str = "disable", off: str = "enable") -> Hand:
    field = "cpu"
    hand.op(task, kind, f"{cpu}.{field}", on)
    return _write(hand, task).op(task, kind, f"{cpu}.{field}", off)


@pytest.mark.parametrize("kind", [Kind.PREEMPT, Kind.IRQ])
def test_race_oracle_passes_on_sections_of_one_cpu_and_not_of_two(kind: Kind) -> None:
    hand = _section(_section(_hand(), "writer", kind, "cpu:0"), "migrator", kind, "cpu:0")
    passed(data_race.judge(hand.record()))
    hand = _section(_section(_hand(), "writer", kind, "cpu:0"), "migrator", kind, "cpu:1")
    caught(data_race.judge(hand.record()), RACE)


def test_race_oracle_tells_an_interrupt_that_is_kept_away_from_one_that_is_not() -> None:
    irq = (Kind.IRQ, "cpu:0", "enter", "exit")
    hand = _section(_section(_hand(), "writer", Kind.IRQ, "cpu:0"), "io.0", *irq)
    passed(data_race.judge(hand.record()))
    hand = _section(_section(_hand(), "writer", Kind.PREEMPT, "cpu:0"), "io.0", *irq)
    caught(data_race.judge(hand.record()), RACE)


def test_race_oracle_passes_on_what_follows_the_test_of_a_bit_that_a_barrier_changed() -> None:
    hand = _read(_hand(), "io.0").op("io.0", Kind.TEST_AND_CLEAR, "page:0.flags", True, sub="PG_writeback")
    hand.op("migrator", Kind.TEST, "page:0.flags", False, sub="PG_writeback")
    passed(data_race.judge(_write(hand, "migrator").record()))


# -- flag words --------------------------------------------------------------------------------------------------------


def _store(hand: Hand, task: str) -> Hand:
    return hand.op(task, Kind.LOAD, "page:0.flags", 4).op(task, Kind.STORE, "page:0.flags", 4, 0)


@pytest.mark.parametrize("kind", [Kind.SET, Kind.CLEAR, Kind.TEST_AND_SET, Kind.TEST_AND_CLEAR])
def test_race_oracle_catches_a_plain_store_over_a_bit(kind: Kind) -> None:
    """That is how a waiters bit gets lost."""
    was = kind in (Kind.CLEAR, Kind.TEST_AND_CLEAR)
    for hand in (_store(_hand(), "writer"), _hand()):
        hand.op("migrator", kind, "page:0.flags", was, sub="PG_referenced")
        if len(hand.events) < 5:
            _store(hand, "writer")
        finding = caught(data_race.judge(hand.record()), STORE)
        assert {side["op"] for side in _sides(finding)} == {"STORE", kind.name}


def test_race_oracle_catches_two_plain_stores() -> None:
    caught(data_race.judge(_store(_store(_hand(), "writer"), "migrator").record()), STORE)


def test_race_oracle_passes_on_a_plain_store_that_is_ordered_or_over_another_word() -> None:
    hand = _locked(_store(_hand(), "writer"), "writer")
    _locked(hand, "migrator").op("migrator", Kind.SET, "page:0.flags", False, sub="PG_referenced")
    passed(data_race.judge(hand.op("io.0", Kind.SET, "page:1.flags", False, sub="PG_referenced").record()))


def test_race_oracle_passes_on_a_bit_that_was_not_changed() -> None:
    hand = _store(_read(_hand(), "writer"), "writer")
    hand.op("migrator", Kind.TEST, "page:0.flags", True, sub="PG_locked")
    passed(data_race.judge(hand.op("migrator", Kind.TEST_AND_SET, "page:0.flags", True, sub="PG_locked").record()))


# -- benign ------------------------------------------------------------------------------------------------------------


def test_race_oracle_passes_on_reads_that_are_declared_benign_and_not_on_writes() -> None:
    hand = _hand().op("writer", Kind.WRITE, "page:0.words", 0, 1, "[1]")
    passed(data_race.judge(hand.op("migrator", Kind.READ, "page:0.words", 1, sub="[1]").record()))
    caught(data_race.judge(hand.op("migrator", Kind.WRITE, "page:0.words", 1, 2, "[1]").record()), RACE)


def test_race_oracle_passes_on_writes_of_what_the_tables_call_racy_and_of_nothing_else() -> None:
    for field, judged in (("compact_considered", passed), ("free_list", lambda found: caught(found, RACE))):
        hand = _hand().op("writer", Kind.WRITE, f"zone:0.{field}", 0, 1)
        judged(data_race.judge(hand.op("migrator", Kind.WRITE, f"zone:0.{field}", 1, 0).record()))


def test_a_declaration_is_inherited_and_found_by_the_name_of_the_struct() -> None:
    class Declared(rt.Struct):
        a: rt.Field[int] = rt.shared(0, benign="because")
        b: rt.Field[int] = rt.shared(0)
        array = rt.words()
        benign: ClassVar[dict[str, str]] = {"array": "word by word"}

    class Variant(Declared):
        c: rt.Field[int] = rt.shared(0, benign="too")

    assert Variant.benign == {"a": "because", "array": "word by word", "c": "too"}
    assert Declared.benign == {"a": "because", "array": "word by word"}

    def main() -> None:
        Variant("declared:0", array=1)

    engine = GateEngine(RoundRobin(), tables=Tables(benign={"Other.x": "said by the program"}))
    engine.run(main)
    assert Record.of_run(engine, {}, {}).tables.benign == {
        "Declared.a": "because",
        "Declared.array": "word by word",
        "Declared.c": "too",
        "Other.x": "said by the program",
    }


def test_the_model_declares_its_lockless_reads_with_a_reason() -> None:
    assert {"words"} <= Page.benign.keys()
    assert {"page"} <= Slot.benign.keys()
    assert all(len(why) > 20 for why in (*Page.benign.values(), *Slot.benign.values()))


# -- nothing to check --------------------------------------------------------------------------------------------------


def test_race_oracle_does_not_know_of_one_task_alone_or_of_a_record_without_accesses() -> None:
    unknown(data_race.judge(_write(Hand(), "main").record()))
    unknown(data_race.judge(_hand().lock("writer", "page:0").record()))


# -- live runs ---------------------------------------------------------------------------------------------------------


class State(IntEnum):
    """A sleeping lock, a spinning one, and a bit that is no lock."""

    BH_Lock = 0
    BH_State = 1
    BH_Dirty = 2


class Counter(rt.Struct):
    """A field, and all that may guard it."""

    value: rt.Field[int] = rt.shared(0)
    ready: rt.Field[bool] = rt.shared(False)
    b_state = rt.flag_word(State, waitable=(State.BH_Lock,))
    spin = rt.spinlock()
    mutex = rt.mutex()
    queue = rt.wait_queue()


Guard = tuple[Callable[[Counter], object], Callable[[Counter], object]]
GUARDS: dict[str, Guard] = {
    "spin": (lambda c: rt.spin_lock(c.spin), lambda c: rt.spin_unlock(c.spin)),
    "irq spin": (lambda c: rt.spin_lock_irq(c.spin), lambda c: rt.spin_unlock_irq(c.spin)),
    "mutex": (lambda c: rt.mutex_lock(c.mutex), lambda c: rt.mutex_unlock(c.mutex)),
    "bit": (lambda c: rt.bit_lock(c.b_state, State.BH_Lock), lambda c: rt.bit_unlock(c.b_state, State.BH_Lock)),
    "bit spin": (
        lambda c: rt.bit_spin_lock(c.b_state, State.BH_State),
        lambda c: rt.bit_spin_unlock(c.b_state, State.BH_State),
    ),
}


def _bump(counter: Counter, guard: Guard | None) -> None:
    if guard is not None:
        guard[0](counter)
    counter.value = counter.value + 1
    if guard is not None:
        guard[1](counter)


def _judged(main: Callable[[], object], tmp_path: Path, ends: str = "finished") -> Judgement:
    """Judge a run with sites, live and from its file alike."""
    engine = GateEngine(RoundRobin(3), ncpus=3, sites=True)
    engine.run(main)
    assert engine.error is None and engine.end["how"] == ends
    record = Record.of_run(engine, {"engine": "gate"}, {})
    judgement = data_race.judge(record)
    record.write(tmp_path / "run.jsonl")
    assert data_race.judge(Record.read(tmp_path / "run.jsonl")) == judgement
    return judgement


def _bumped_by_two(guard: Guard | None) -> None:
    counter = Counter("counter")
    for cpu in (1, 2):
        rt.spawn(_bump, counter, guard, name=f"bump.{cpu}", cpu=cpu)
    rt.join_others()
    _bump(counter, None)


def test_race_oracle_catches_a_lost_update(tmp_path: Path) -> None:
    """BUGGY: two tasks add one, and nothing keeps them apart."""
    judgement = _judged(lambda: _bumped_by_two(None), tmp_path)
    assert judgement.verdict is Verdict.FAIL
    sides = [side for finding in judgement.findings for side in _sides(finding)]
    assert {side["task"] for side in sides} == {"bump.1", "bump.2"}
    assert {side["site"] for side in sides} <= {"_bump:value", "_bump:value#2"}


@pytest.mark.parametrize("guard", GUARDS)
def test_race_oracle_passes_on_updates_under_a_lock(guard: str, tmp_path: Path) -> None:
    passed(_judged(lambda: _bumped_by_two(GUARDS[guard]), tmp_path))


def _handed_over(woken: bool) -> None:
    counter = Counter("counter")

    def sleeper() -> None:
        entry = rt.prepare_to_wait(counter.queue, None)
        rt.sleep_on(entry)
        rt.finish_wait(entry)
        assert counter.value == 1

    def poller() -> None:
        while not rt.test_bit(counter.b_state, State.BH_Dirty):
            rt.schedule()
        assert counter.value == 1

    rt.spawn(sleeper if woken else poller, cpu=1)
    for _ in range(4):
        rt.schedule()
    counter.value = 1
    if woken:
        rt.wake_up(counter.queue)
    else:
        rt.set_bit(counter.b_state, State.BH_Dirty)


def test_race_oracle_passes_on_a_live_hand_over_by_wake(tmp_path: Path) -> None:
    passed(_judged(lambda: _handed_over(woken=True), tmp_path))


def test_race_oracle_catches_a_live_hand_over_by_a_plain_bit(tmp_path: Path) -> None:
    """BUGGY: set_bit is no release, and a bit that is seen no acquire."""
    caught(_judged(lambda: _handed_over(woken=False), tmp_path), RACE)


def test_race_oracle_catches_a_live_plain_store_that_loses_a_bit(tmp_path: Path) -> None:
    """BUGGY: a plain read-modify-write of the word while another task sets a bit of it."""

    def main() -> None:
        counter = Counter("counter")
        rt.spawn(rt.set_bit, counter.b_state, State.BH_Dirty, cpu=1)
        counter.b_state.store(counter.b_state.load() | 1 << State.BH_Lock)
        rt.join_others()

    judgement = _judged(main, tmp_path)
    caught(judgement, STORE)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["async-vs-commit", "migrate-vs-writeback", "migrate-vs-reclaim", "four"])
def test_race_oracle_passes_on_the_protocol(scenario: str) -> None:
    for seed in range(3):
        result = run_one(RunSpec(scenario, (("idle", 20),), engine="gate", seed=seed), keep_record=True)
        assert result.record is not None
        passed(data_race.judge(result.record))
