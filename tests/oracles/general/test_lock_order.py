"""The lock order oracle: rings of waits that did not happen, on instances, with gate locks and trylocks understood."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from itertools import pairwise
from pathlib import Path

import pytest

from mmrace import runtime as rt
from mmrace.history.canaries import commit_no_flush
from mmrace.installed import run_one
from mmrace.oracles.general import lock_order
from mmrace.oracles.general.judgement import Finding, Judgement, Verdict, kind_of
from mmrace.runs.spec import RunSpec
from mmrace.runtime.flags import LOCK
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import BaseStrategy
from mmrace.runtime.tables import Tables
from tests.oracles.hand import Hand
from tests.oracles.verdicts import caught, judged_twice, passed, unknown

A, B, GATE = "mapping:5.tree_lock", "mapping:6.tree_lock", "zone:0.lock"
BH_LOCK = ("BH_Lock", "b_state")
DEADLOCKS_WITHIN = 80  # seeds: one in six deadlocks, so that none does has a chance below 1e-6


def _hand() -> Hand:
    return Hand("migrator", "writer", "io.0")


def _take(hand: Hand, task: str, *paths: str) -> Hand:
    for path in paths:
        hand.op(task, Kind.ACQUIRE, path)
    return hand


def _drop(hand: Hand, task: str, *paths: str) -> Hand:
    for path in reversed(paths):
        hand.op(task, Kind.RELEASE, path)
    return hand


def _nest(hand: Hand, task: str, *paths: str) -> Hand:
    return _drop(_take(hand, task, *paths), task, *paths)


def _bit(hand: Hand, task: str, owner: str, bit: str = "PG_locked", field: str = "flags", old: bool = False) -> Hand:
    """Take a sleeping bit lock as one who would wait for it."""
    return hand.op(task, Kind.TEST_AND_SET, f"{owner}.{field}", old, LOCK, sub=bit)


def _chain(finding: Finding) -> list[tuple[object, object, object]]:
    chain = finding.facts["edges"]
    assert isinstance(chain, list)
    return [(link["task"], link["held"], link["wanted"]) for link in chain]


# -- planted bugs ------------------------------------------------------------------------------------------------------


def test_order_oracle_catches_an_inversion_that_did_not_deadlock() -> None:
    hand = _nest(_nest(_hand(), "migrator", A, B), "writer", B, A)
    finding = caught(lock_order.judge(hand.record()), "lock-order cycle")
    assert finding.facts["predicted"] is True
    assert _chain(finding) == [("migrator", A, B), ("writer", B, A)]
    assert finding.title == f"could deadlock: migrator holds {A} and wants {B}; writer holds {B} and wants {A}"
    chain = finding.facts["edges"]
    assert isinstance(chain, list)
    assert [(link["held_step"], link["step"]) for link in chain] == [(0, 1), (4, 5)]
    assert chain[0]["wanted_lanes"] == [chain[1]["held_lane"]] == [hand.lane("mapping:6", "tree_lock")]


def test_a_lock_of_an_object_that_was_allocated_anew_is_another_lock() -> None:
    tables = Tables(allocates=("page-alloc",))

    def judged(reborn: str) -> Judgement:
        hand = _nest(_hand(), "migrator", A, "page:0.lock").note("writer", "page-alloc", reborn)
        return lock_order.judge(_nest(hand, "writer", "page:0.lock", A).record(tables))

    passed(judged("page:0"))
    caught(judged("page:1"), "lock-order cycle")


def test_order_oracle_gives_each_link_of_a_ring_of_three_in_forward_order() -> None:
    hand = _nest(_nest(_nest(_hand(), "migrator", A, B), "io.0", GATE, A), "writer", B, GATE)
    finding = caught(lock_order.judge(hand.record()), "lock-order cycle")
    chain = _chain(finding)
    assert {task for task, _, _ in chain} == {"migrator", "writer", "io.0"}
    assert all(link[2] == following[1] for link, following in pairwise([*chain, chain[0]]))


def test_order_oracle_catches_sleeping_bit_locks_taken_in_ring_order_and_in_list_order() -> None:
    hand = _hand()
    for task, first, second in (("migrator", "bh:1", "bh:2"), ("writer", "bh:2", "bh:1")):
        _bit(_bit(hand, task, first, *BH_LOCK), task, second, *BH_LOCK)
        hand.unlock(task, second, *BH_LOCK).unlock(task, first, *BH_LOCK)
    caught(lock_order.judge(hand.record()), "lock-order cycle")


def test_order_oracle_counts_a_lock_got_by_a_try_as_held() -> None:
    hand = _hand().op("migrator", Kind.TRY, A, True).op("migrator", Kind.ACQUIRE, B)
    _nest(_drop(hand, "migrator", A, B), "writer", B, A)
    caught(lock_order.judge(hand.record()), "lock-order cycle")


def test_order_oracle_counts_a_request_that_was_not_granted_yet() -> None:
    hand = _bit(_bit(_hand(), "writer", "bh:1", *BH_LOCK), "migrator", "page:0")
    _bit(hand, "migrator", "bh:1", *BH_LOCK, old=True).unlock("writer", "bh:1", *BH_LOCK)
    hand.unlock("migrator", "page:0")
    _bit(_bit(hand, "writer", "bh:1", *BH_LOCK), "writer", "page:0")
    caught(lock_order.judge(hand.record()), "lock-order cycle")


def test_order_oracle_counts_a_sleep_until_a_lock_is_clear() -> None:
    hand = _bit(_hand(), "writer", "bh:1", *BH_LOCK)
    _bit(hand, "migrator", "page:0").op("migrator", Kind.TEST, "bh:1.b_state", True, sub="BH_Lock")
    hand.queue("migrator", "bh:1", *BH_LOCK).unlock("writer", "bh:1", *BH_LOCK).unlock("migrator", "page:0")
    _bit(_bit(hand, "writer", "bh:1", *BH_LOCK), "writer", "page:0")
    finding = caught(lock_order.judge(hand.record()), "lock-order cycle")
    edges = finding.facts["edges"]
    assert isinstance(edges, list)
    assert edges[0]["wanted_lanes"] == [hand.lane("bh:1", "b_state", bit) for bit in ("BH_Lock", "BH_Lock.queue")]


def test_order_oracle_tells_the_same_chain_on_other_instances_once() -> None:
    hand = _nest(_nest(_hand(), "migrator", A, GATE), "writer", GATE, A)
    _nest(_nest(hand, "migrator", B, GATE), "writer", GATE, B)
    assert caught(lock_order.judge(hand.record()), "lock-order cycle").facts["times"] == 2


# -- correct twins -----------------------------------------------------------------------------------------------------


def test_order_oracle_passes_on_one_order() -> None:
    passed(lock_order.judge(_nest(_nest(_hand(), "migrator", A, B), "writer", A, B).record()))


def test_order_oracle_passes_on_an_inversion_by_a_try() -> None:
    hand = _nest(_hand(), "migrator", A, B).op("writer", Kind.ACQUIRE, B).op("writer", Kind.TRY, A, True)
    passed(lock_order.judge(_drop(hand, "writer", B, A).record()))


def test_order_oracle_passes_on_a_try_of_a_bit_lock_that_failed_or_succeeded() -> None:
    hand = _bit(_bit(_hand(), "migrator", "page:0"), "migrator", "bh:1", *BH_LOCK)
    hand.unlock("migrator", "bh:1", *BH_LOCK).unlock("migrator", "page:0")
    _bit(hand, "writer", "bh:1", *BH_LOCK).lock("writer", "page:0")
    hand.op("writer", Kind.TEST_AND_SET, "page:0.flags", True, sub="PG_locked")
    passed(lock_order.judge(hand.record()))


def test_order_oracle_passes_on_an_inversion_behind_a_gate_lock() -> None:
    passed(lock_order.judge(_nest(_nest(_hand(), "migrator", GATE, A, B), "writer", GATE, B, A).record()))


def test_order_oracle_is_not_fooled_by_a_bit_of_another_use_for_a_gate_lock() -> None:
    hand = _hand()
    for task, first, second in (("migrator", A, B), ("writer", B, A)):
        hand.op(task, Kind.TEST_AND_SET, "page:0.flags", False, sub="PG_dirty")
        _nest(hand, task, first, second)
        hand.op("io.0", Kind.TEST_AND_CLEAR, "page:0.flags", True, sub="PG_dirty")
    caught(lock_order.judge(hand.record()), "lock-order cycle")


def test_order_oracle_passes_on_an_inversion_by_one_task() -> None:
    passed(lock_order.judge(_nest(_nest(_hand(), "migrator", A, B), "migrator", B, A).record()))


@pytest.mark.parametrize("joined", ["the child", "all others"])
def test_order_oracle_passes_on_an_inversion_before_a_spawn_and_after_a_join(joined: str) -> None:
    hand = _nest(_hand(), "main", B, A).op("main", Kind.SPAWN, "cpu:0.main", 1)
    _nest(hand, "migrator", A, B).exit("migrator")
    hand.op("main", Kind.JOIN, "cpu:0.migrator", 1 if joined == "the child" else None)
    passed(lock_order.judge(_nest(hand, "main", B, A).record()))


def test_order_oracle_catches_an_inversion_between_a_spawn_and_a_join() -> None:
    hand = _hand().op("main", Kind.SPAWN, "cpu:0.main", 1)
    _nest(_nest(hand, "migrator", A, B), "main", B, A).op("main", Kind.JOIN, "cpu:0.migrator", 1)
    caught(lock_order.judge(hand.record()), "lock-order cycle")


def test_order_oracle_passes_on_a_lock_that_was_handed_to_its_io() -> None:
    """The committer flushes its batch before it blocks: completions drop those locks without needing anybody."""
    hand = _hand()
    _bit(_bit(hand, "migrator", "bh:1", *BH_LOCK), "migrator", "bh:2", *BH_LOCK)
    hand.unlock("migrator", "bh:2", *BH_LOCK).unlock("migrator", "bh:1", *BH_LOCK)
    _bit(hand, "writer", "bh:2", *BH_LOCK).note("writer", "hand-over", hand.lane("bh:2", "b_state", "BH_Lock"), "bh:2")
    _bit(hand, "writer", "bh:1", *BH_LOCK).unlock("io.0", "bh:2", *BH_LOCK)
    passed(lock_order.judge(hand.record()))


def test_order_oracle_passes_on_a_lock_dropped_with_a_plain_store() -> None:
    hand = _bit(_hand(), "migrator", "page:0").op("migrator", Kind.STORE, "page:0.flags", 1, 0)
    _nest(hand, "migrator", A)
    _bit(_take(hand, "writer", A), "writer", "page:0")
    passed(lock_order.judge(hand.record()))


def test_order_oracle_does_not_know_of_a_record_without_locks() -> None:
    unknown(lock_order.judge(_hand().write("writer", "page:0.mapping", None).record()))


# -- the negative control: N1 of the bug history -----------------------------------------------------------------------


def _classes_that_cycle(record: Record) -> bool:
    """A reference checker by class, as DEPT was: say whether "held, then waited for" has a ring among classes.

    PG_writeback is held by the I/O from its begin to its end, and waited for by who queues for it.
    """
    held: dict[int, list[str]] = {}
    edges: set[tuple[str, str]] = set()
    for task, op, a, b in record.events:
        mine = held.setdefault(task, [])
        if op == NOTE:
            if a == "writeback-begin":
                mine.append("page.flags.PG_writeback")
            continue
        cls, kind = kind_of(record.lane_name(op >> SHIFT).removesuffix(".queue")), op & KIND_MASK
        if kind == Kind.QUEUE or b == LOCK:
            edges.update((lock, cls) for lock in mine if lock != cls)
        if kind == Kind.TEST_AND_SET and not a:
            mine.append(cls)
        elif kind in (Kind.CLEAR, Kind.TEST_AND_CLEAR) and cls in mine:
            mine.remove(cls)
    return any((wanted, lock) in edges for lock, wanted in edges)


def _migrator_and_end_of_io(migrated: str, its_buffer: str, of_io: str, buffer_of_io: str) -> Hand:
    """The migrator holds its page and waits for a buffer; the end-of-I/O worker holds a buffer and takes its page."""
    hand = _bit(_bit(_hand(), "migrator", migrated), "migrator", its_buffer, *BH_LOCK)
    hand.unlock("migrator", its_buffer, *BH_LOCK).unlock("migrator", migrated)
    _bit(_bit(hand, "io.0", buffer_of_io, *BH_LOCK), "io.0", of_io)
    return hand.unlock("io.0", of_io).unlock("io.0", buffer_of_io, *BH_LOCK)


def test_order_oracle_passes_on_n1_which_a_checker_of_classes_reports() -> None:
    """The migrator holds page A's lock and waits for A's writeback; the worker takes page B's before it ends that."""
    hand = _bit(_hand(), "migrator", "page:0").note("io.0", "writeback-begin", "page:0")
    hand.op("migrator", Kind.TEST, "page:0.flags", True, sub="PG_writeback").queue("migrator", "page:0", "PG_writeback")
    _bit(hand, "io.0", "page:1").unlock("io.0", "page:1")
    hand.op("io.0", Kind.TEST_AND_CLEAR, "page:0.flags", True, sub="PG_writeback").unlock("migrator", "page:0")
    record = hand.record()
    assert _classes_that_cycle(record)
    passed(lock_order.judge(record))


def test_order_oracle_tells_two_pages_from_one_where_a_checker_of_classes_cannot() -> None:
    apart = _migrator_and_end_of_io("page:0", "bh:0", "page:1", "bh:1").record()
    same = _migrator_and_end_of_io("page:0", "bh:0", "page:0", "bh:0").record()
    assert _classes_that_cycle(apart) and _classes_that_cycle(same)
    passed(lock_order.judge(apart))
    caught(lock_order.judge(same), "lock-order cycle")


# -- live runs ---------------------------------------------------------------------------------------------------------


class Bits(IntEnum):
    """A sleeping lock and a spinning one."""

    BH_Lock = 0
    BH_State = 1


class Thing(rt.Struct):
    """Locks of every kind."""

    b_state = rt.flag_word(Bits, waitable=(Bits.BH_Lock,))
    spin = rt.spinlock()
    mutex = rt.mutex()


Locks = tuple[Callable[[Thing], None], Callable[[Thing], bool], Callable[[Thing], None]]
LOCKS: dict[str, Locks] = {
    "spin": (
        lambda thing: rt.spin_lock(thing.spin),
        lambda thing: rt.spin_trylock(thing.spin),
        lambda thing: rt.spin_unlock(thing.spin),
    ),
    "mutex": (
        lambda thing: rt.mutex_lock(thing.mutex),
        lambda thing: rt.mutex_trylock(thing.mutex),
        lambda thing: rt.mutex_unlock(thing.mutex),
    ),
    "bit": (
        lambda thing: rt.bit_lock(thing.b_state, Bits.BH_Lock),
        lambda thing: rt.bit_trylock(thing.b_state, Bits.BH_Lock),
        lambda thing: rt.bit_unlock(thing.b_state, Bits.BH_Lock),
    ),
    "bit spin": (
        lambda thing: rt.bit_spin_lock(thing.b_state, Bits.BH_State),
        lambda thing: rt.bit_spin_trylock(thing.b_state, Bits.BH_State),
        lambda thing: rt.bit_spin_unlock(thing.b_state, Bits.BH_State),
    ),
}


class _FirstFirst(BaseStrategy):
    """Runs each task to its end before the next one: nothing ever meets."""

    def pick(self, enabled: list[rt.Task], running: rt.Task, step: int) -> rt.Task:
        return running if running.on else min(enabled, key=lambda task: task.id)


def _judged(main: Callable[[], object], tmp_path: Path) -> Judgement:
    """Judge a run in which nothing met, live and from its file alike."""
    return judged_twice(lock_order.judge, GateEngine(_FirstFirst(), ncpus=3), main, tmp_path)


def _two(kind: str, trying: bool = False, gated: bool = False) -> Callable[[], None]:
    lock, trylock, unlock = LOCKS[kind]

    def nest(first: Thing, second: Thing, outer: Thing, tries: bool) -> None:
        if gated:
            rt.mutex_lock(outer.mutex)
        lock(first)
        if not tries:
            lock(second)
            unlock(second)
        elif trylock(second):
            unlock(second)
        unlock(first)
        if gated:
            rt.mutex_unlock(outer.mutex)

    def main() -> None:
        one, two, outer = (Thing(("bh", i)) for i in range(3))
        rt.spawn(nest, one, two, outer, False, name="up", cpu=1)
        rt.spawn(nest, two, one, outer, trying, name="down", cpu=2)

    return main


@pytest.mark.parametrize("kind", LOCKS)
def test_order_oracle_catches_a_live_inversion(kind: str, tmp_path: Path) -> None:
    finding = caught(_judged(_two(kind), tmp_path), "lock-order cycle")
    assert [task for task, _, _ in _chain(finding)] == ["up", "down"]


@pytest.mark.parametrize("kind", LOCKS)
def test_order_oracle_passes_on_a_live_inversion_by_a_try(kind: str, tmp_path: Path) -> None:
    passed(_judged(_two(kind, trying=True), tmp_path))


@pytest.mark.parametrize("kind", LOCKS)
def test_order_oracle_passes_on_a_live_inversion_behind_a_gate_lock(kind: str, tmp_path: Path) -> None:
    passed(_judged(_two(kind, gated=True), tmp_path))


def test_order_oracle_names_the_ring_of_a_canarys_deadlock() -> None:
    """kjournald tries before it sleeps with its batch in hand, so the link is there only in runs that are lost."""
    for seed in range(DEADLOCKS_WITHIN):
        spec = RunSpec(
            commit_no_flush.CANARY.scenario,
            tuple(sorted(commit_no_flush.CANARY.params.items())),
            commit_no_flush.CANARY.variant.name,
            "gate",
            seed=seed,
        )
        result = run_one(spec, keep_record=True)
        assert result.record is not None
        rings = [set(finding.facts["cycle"]) for finding in result.findings if finding.rule == "cycle"]  # type: ignore[arg-type]
        judgement = lock_order.judge(result.record)
        if rings:
            finding = caught(judgement, "lock-order cycle")
            assert {task for task, _, _ in _chain(finding)} == rings[0] == {"migrator", "committer"}
            return
        passed(judgement)
    pytest.fail("no deadlock")


def test_order_oracle_passes_on_the_protocol() -> None:
    for scenario in ("sync-vs-commit", "four"):
        result = run_one(RunSpec(scenario, (("idle", 20),), engine="gate", seed=3), keep_record=True)
        assert result.record is not None
        assert lock_order.judge(result.record).verdict is Verdict.PASS
