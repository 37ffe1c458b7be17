"""The use-after-free oracle: the runtime's checks, as the record has them."""

from __future__ import annotations

from mmrace.oracles.general import use_after_free
from tests.oracles.hand import Hand
from tests.oracles.verdicts import caught, passed, unknown

RULE = "access to BufferHead.b_page after free"


def test_use_after_free_oracle_catches_a_touch_of_a_freed_object() -> None:
    hand = Hand("committer").write("committer", "bh:1.b_page", None)
    hand.note("committer", "violation", "use-after-free", RULE, {"task": "committer", "object": "bh:1"})
    hand.end = {"how": "violation", "detail": {"at": "journal_submit_data_buffers:b_page"}}
    finding = caught(use_after_free.judge(hand.record()), RULE)
    assert (finding.facts["object"], finding.facts["task"]) == ("bh:1", "committer")
    assert finding.facts["at"] == "journal_submit_data_buffers:b_page"
    assert "bh:1" in finding.title


def test_use_after_free_oracle_tells_two_tasks_apart() -> None:
    """Under `free` several tasks can be caught in one run."""
    hand = Hand("committer", "reader")
    for task in ("committer", "reader"):
        hand.note(task, "violation", "use-after-free", RULE, {"task": task, "object": "bh:1"})
    assert len({f.signature for f in use_after_free.judge(hand.record()).findings}) == 2


def test_use_after_free_oracle_passes_on_a_run_without_violation() -> None:
    hand = Hand("reader").write("reader", "page:0.mapping", None).note("reader", "page-free", "page:0")
    passed(use_after_free.judge(hand.record()))


def test_use_after_free_oracle_does_not_know_of_a_run_without_ops() -> None:
    unknown(use_after_free.judge(Hand().note("main", "page-free", "page:0").record()))
