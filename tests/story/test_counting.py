"""References: which one of several of a name is the one that nobody drops."""

from __future__ import annotations

from dataclasses import asdict

from mmrace.oracles.general import refcount
from mmrace.runtime.kinds import Kind
from mmrace.runtime.record import Record
from mmrace.story.facts import Story
from mmrace.story.tell import tell
from tests.oracles.hand import Hand

COUNT = "bh:0.b_count"


def told(hand: Hand) -> Story:
    record: Record = hand.record()
    judgement = refcount.judge(record)
    assert judgement.findings
    record.verdict = {"verdict": "FAIL", "findings": [asdict(finding) for finding in judgement.findings]}
    return tell(record)


def test_the_reference_that_leaks_is_the_one_that_was_taken_before_a_try_failed_not_a_later_one() -> None:
    """BUG once: gets and puts were paired in order, and a later get, which was put, was told to leak."""
    hand = Hand("mover", "other").lock("other", "bh:0", "BH_Lock", "b_state")
    hand.op("mover", Kind.GET, COUNT, "migrate", 1)
    hand.op("mover", Kind.TEST_AND_SET, "bh:0.b_state", True, sub="BH_Lock")
    for _ in range(2):
        hand.op("mover", Kind.GET, COUNT, "migrate", 2).op("mover", Kind.PUT, COUNT, "migrate", 1)
    cause = told(hand).telling.cause
    assert cause.startswith("mover (step 1) takes the reference 'migrate' of bh:0, and nobody ever drops it"), cause
    assert "right after that trylock bh:0.BH_Lock: busy (step 2)" in cause


def test_a_put_without_a_get_says_that_nobody_had_taken_it() -> None:
    hand = Hand("mover").op("mover", Kind.GET, COUNT, "jh", 1).op("mover", Kind.PUT, COUNT, "migrate", 0)
    story = told(hand)
    assert story.telling.cause == "mover (step 1) drops the reference 'migrate' of bh:0, which nobody had taken."
    assert [row.text for row in story.table.rows if row.step is None] == [
        "(get bh:0 for 'migrate' would have had to come before the put)"
    ]


def test_a_second_put_names_the_first() -> None:
    hand = Hand("mover", "other").op("other", Kind.GET, COUNT, "jh", 1).op("mover", Kind.GET, COUNT, "migrate", 2)
    for task, left in (("mover", 1), ("other", 0)):
        hand.op(task, Kind.PUT, COUNT, "migrate", left)
    cause = told(hand).telling.cause
    assert "other (step 3) drops the reference 'migrate' of bh:0, which mover (step 2) had dropped already" in cause
    assert "it was taken once, by mover (step 1)" in cause
