"""The lock discipline oracle: holders and contexts."""

from __future__ import annotations

import pytest

from mmrace.oracles.general import lock_discipline
from mmrace.runtime.kinds import Kind
from tests.oracles.hand import Hand
from tests.oracles.verdicts import caught, passed, unknown

TREE_LOCK = "mapping:5.tree_lock"
OTHER_TREE_LOCK = "mapping:6.tree_lock"
EVERYBODY = ("migrator", "writer", "io.0")


def _hand() -> Hand:
    return Hand(*EVERYBODY)


def _spin(hand: Hand, task: str, path: str, irq: str | None = None) -> Hand:
    return hand.op(task, Kind.ACQUIRE, path, irq).op(task, Kind.RELEASE, path, irq)


def _irq(hand: Hand, task: str, what: str) -> Hand:
    return hand.op(task, Kind.IRQ, "cpu:0.irq", what)


def test_lock_oracle_passes_on_locks_taken_and_released() -> None:
    hand = _spin(_hand(), "writer", TREE_LOCK, "irq").lock("writer", "page:0").unlock("writer", "page:0")
    hand.op("writer", Kind.TRY, "zone:0.lru_lock", False).exit("writer")
    passed(lock_discipline.judge(hand.record()))


def test_lock_oracle_passes_on_a_buffer_lock_that_its_io_releases() -> None:
    hand = _hand().lock("writer", "bh:1", "BH_Lock", "b_state")
    hand.note("writer", "hand-over", hand.lane("bh:1", "b_state", "BH_Lock"), "bh:1").exit("writer")
    hand.unlock("io.0", "bh:1", "BH_Lock", "b_state").exit("io.0")
    passed(lock_discipline.judge(hand.record()))


def test_lock_oracle_passes_on_a_trylock_that_failed() -> None:
    hand = _hand().lock("writer", "page:0")
    hand.op("migrator", Kind.TEST_AND_SET, "page:0.flags", True, sub="PG_locked").exit("migrator")
    passed(lock_discipline.judge(hand.unlock("writer", "page:0").exit("writer").record()))


def test_lock_oracle_passes_on_a_page_freed_with_a_plain_store() -> None:
    hand = _hand().lock("writer", "page:0").op("writer", Kind.STORE, "page:0.flags", 1, 0).exit("writer")
    passed(lock_discipline.judge(hand.record()))


def test_lock_oracle_catches_what_the_runtime_caught() -> None:
    hand = _hand()
    hand.note(
        "writer",
        "violation",
        "lock-discipline",
        "sleep in atomic context",
        {"task": "writer", "held": ("a",)},
    )
    finding = caught(lock_discipline.judge(hand.record()), "sleep in atomic context")
    assert finding.facts["held"] == ["a"]


def test_lock_oracle_leaves_the_violations_of_others_alone() -> None:
    hand = _spin(_hand(), "writer", TREE_LOCK, "irq")
    hand.note("writer", "violation", "use-after-free", "access", {"task": "writer"})
    passed(lock_discipline.judge(hand.record()))


def test_lock_oracle_catches_a_lock_held_at_exit() -> None:
    finding = caught(lock_discipline.judge(_hand().exit("writer", TREE_LOCK).record()), "held at exit")
    assert finding.facts["object"] == TREE_LOCK


def test_lock_oracle_catches_a_page_lock_held_at_exit() -> None:
    finding = caught(lock_discipline.judge(_hand().lock("writer", "page:0").exit("writer").record()), "held at exit")
    assert finding.facts["object"] == "page:0.flags.PG_locked"


def test_lock_oracle_catches_a_page_unlocked_by_a_stranger() -> None:
    hand = _hand().lock("writer", "page:0").unlock("migrator", "page:0")
    finding = caught(lock_discipline.judge(hand.record()), "unlock by a stranger")
    assert (finding.facts["task"], finding.facts["holder"]) == ("migrator", "writer")


def test_lock_oracle_tells_a_stranger_that_the_runtime_caught_once() -> None:
    hand = _hand().lock("writer", "page:0").unlock("migrator", "page:0")
    facts = {"object": "page:0.flags.PG_locked", "task": "migrator", "holder": "writer"}
    hand.note("migrator", "violation", "lock-discipline", "unlock by a stranger", facts)
    caught(lock_discipline.judge(hand.record()), "unlock by a stranger")


@pytest.mark.parametrize(("holder", "told"), [("writer", "holder writer"), ("bh:1", "holder the I/O of bh:1")])
def test_a_holder_that_is_no_task_is_told_as_the_io_that_has_the_lock(holder: str, told: str) -> None:
    facts = {"object": "page:0.flags.PG_locked", "task": "migrator", "holder": holder}
    hand = _hand().note("migrator", "violation", "lock-discipline", "unlock by a stranger", facts)
    finding = caught(lock_discipline.judge(hand.record()), "unlock by a stranger")
    assert told in finding.title and finding.facts["holder"] == holder


def test_lock_oracle_catches_a_lock_that_an_interrupt_can_meet() -> None:
    """By class: the interrupt takes another instance than the one that was taken with irqs on."""
    hand = _spin(_hand(), "writer", TREE_LOCK)
    _irq(_spin(_irq(hand, "io.0", "enter"), "io.0", OTHER_TREE_LOCK, "irq"), "io.0", "exit")
    finding = caught(lock_discipline.judge(hand.record()), "irq-unsafe")
    assert finding.facts["lock"] == "mapping.tree_lock"
    assert (finding.facts["in_irq"], finding.facts["irqs_on"]) == ("io.0", "writer")


def test_lock_oracle_catches_a_bit_spinlock_that_an_interrupt_can_meet() -> None:
    hand = _hand().lock("writer", "bh:1", "BH_Uptodate_Lock", "b_state")
    hand.unlock("writer", "bh:1", "BH_Uptodate_Lock", "b_state")
    _irq(hand, "io.0", "enter").lock("io.0", "bh:2", "BH_Uptodate_Lock", "b_state")
    hand.unlock("io.0", "bh:2", "BH_Uptodate_Lock", "b_state")
    caught(lock_discipline.judge(_irq(hand, "io.0", "exit").record()), "irq-unsafe")


def test_lock_oracle_catches_a_lock_taken_after_irqs_came_back_on() -> None:
    hand = _spin(_irq(_irq(_hand(), "writer", "disable"), "writer", "enable"), "writer", TREE_LOCK)
    _spin(_irq(hand, "io.0", "enter"), "io.0", TREE_LOCK)
    caught(lock_discipline.judge(hand.record()), "irq-unsafe")


def test_lock_oracle_passes_on_a_lock_taken_with_irqs_off_everywhere() -> None:
    hand = _spin(_hand(), "writer", TREE_LOCK, "irq")
    hand.op("writer", Kind.ACQUIRE, "zone:0.lock", "irq")
    _spin(hand, "writer", TREE_LOCK).op("writer", Kind.RELEASE, "zone:0.lock", "irq")
    _irq(_spin(_irq(hand, "writer", "disable"), "writer", TREE_LOCK), "writer", "enable")
    _irq(_spin(_irq(hand, "io.0", "enter"), "io.0", TREE_LOCK), "io.0", "exit")
    passed(lock_discipline.judge(hand.record()))


def test_lock_oracle_passes_on_a_trylock_in_an_interrupt() -> None:
    hand = _spin(_hand(), "writer", TREE_LOCK)
    _irq(hand, "io.0", "enter").op("io.0", Kind.TRY, TREE_LOCK, True).op("io.0", Kind.RELEASE, TREE_LOCK)
    passed(lock_discipline.judge(_irq(hand, "io.0", "exit").record()))


def test_lock_oracle_does_not_know_of_a_record_without_locks() -> None:
    unknown(lock_discipline.judge(_hand().write("writer", "page:0.mapping", None).record()))
