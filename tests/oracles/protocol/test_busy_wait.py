"""Busy waits, as the liveness oracle of the kernel model judges them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.kernel.fs import buffer_head
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.jbd.jbd import Journal
from mmrace.oracles.protocol import liveness
from mmrace.oracles.protocol.busy_wait import ROUND_OPS_MAX, ROUNDS_MIN
from mmrace.runtime.kinds import Kind
from tests.oracles.hand import Hand
from tests.oracles.protocol.planted import findings, rules
from tests.oracles.verdicts import caught, passed


def _round(hand: Hand, sequence: int = 3) -> Hand:
    """Look whether a commit is done."""
    hand.op("fsync", Kind.ACQUIRE, "journal:1.j_state_lock")
    hand.op("fsync", Kind.READ, "journal:1.j_commit_sequence", sequence)
    return hand.op("fsync", Kind.RELEASE, "journal:1.j_state_lock")


def _rounds(times: int, between: Callable[[Hand, int], object] = lambda hand, i: None) -> Hand:
    hand = Hand("fsync", "committer")
    for i in range(times):
        _round(hand)
        between(hand, i)
    return hand.exit("fsync")


def test_liveness_oracle_catches_a_task_that_looks_again_and_again() -> None:
    hand = _rounds(ROUNDS_MIN, lambda hand, i: hand.write("committer", "bh:1.b_page", i))
    finding = caught(liveness.judge(hand.record()), "busy wait")
    assert finding.facts["task"] == "fsync"
    assert finding.facts["rounds"] == ROUNDS_MIN
    assert "journal:1.j_commit_sequence" in finding.facts["objects"]  # type: ignore[operator]


def test_liveness_oracle_passes_on_fewer_rounds() -> None:
    passed(liveness.judge(_rounds(ROUNDS_MIN - 1).record()))


@pytest.mark.parametrize("kind", [Kind.YIELD, Kind.RETRY, Kind.CHOOSE])
def test_liveness_oracle_passes_on_rounds_that_give_way(kind: Kind) -> None:
    passed(liveness.judge(_rounds(3 * ROUNDS_MIN, lambda hand, i: hand.op("fsync", kind, "cpu:0.tasks")).record()))


def test_liveness_oracle_passes_on_an_actor_that_finds_nothing_to_do_in_many_rounds() -> None:
    """A committer whose rounds all come before the first write: it waits for nobody."""
    passed(liveness.judge(_rounds(3 * ROUNDS_MIN, lambda hand, i: hand.note("fsync", "round", "fsync", i)).record()))


def test_liveness_oracle_passes_on_rounds_that_find_something_else_each_time() -> None:
    passed(liveness.judge(_rounds(3 * ROUNDS_MIN, _round).record()))


def test_liveness_oracle_passes_on_rounds_that_are_long() -> None:
    def more(hand: Hand, i: int) -> None:
        for word in range(ROUND_OPS_MAX):
            hand.op("fsync", Kind.READ, "page:0.words", 0, sub=f"[{word}]")

    passed(liveness.judge(_rounds(2 * ROUNDS_MIN, more).record()))


# -- planted bugs ----------------------------------------------------------------------------------------------------


def _looks_until_committed(journal: Journal, tid: int) -> int:
    """BUGGY: it wakes kjournald, and looks again without a sleep."""
    rt.spin_lock(journal.j_state_lock)
    while tid > journal.j_commit_sequence:
        rt.wake_up(journal.j_wait_commit)
        rt.spin_unlock(journal.j_state_lock)
        rt.spin_lock(journal.j_state_lock)
    err = journal.j_errno
    rt.spin_unlock(journal.j_state_lock)
    return err


def _looks_until_unlocked(bh: BufferHead) -> None:
    """BUGGY: the wait for a buffer tests the bit."""
    while buffer_head.buffer_locked(bh):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "bind"),
    [
        ("fsync-commits", {"jbd.journal:log_wait_commit": _looks_until_committed}),
        ("sync-vs-commit", {"fs.buffer:wait_on_buffer": _looks_until_unlocked}),
    ],
    ids=["commit", "buffer"],
)
def test_liveness_oracle_alone_catches_what_is_planted(scenario: str, bind: dict[str, Callable[..., object]]) -> None:
    assert not findings(scenario, {})
    caught_by = rules(findings(scenario, bind))
    assert caught_by[liveness.NAME, "busy wait"]
    assert {oracle for oracle, _ in caught_by} == {liveness.NAME}  # who burns the CPU may starve others, too
