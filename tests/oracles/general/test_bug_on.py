"""The BUG_ON oracle: the kernel's own assertions, as the record has them."""

from __future__ import annotations

from mmrace.oracles.general import bug_on
from tests.oracles.hand import Hand
from tests.oracles.verdicts import caught, passed, unknown


def test_bug_on_oracle_catches_a_bug_on() -> None:
    hand = Hand("migrator").write("migrator", "page:0.mapping", None)
    hand.note("migrator", "violation", "bug-on", "page is under writeback", {"page": "page:0", "flags": 256})
    finding = caught(bug_on.judge(hand.record()), "page is under writeback")
    assert (finding.facts["page"], finding.facts["flags"], finding.facts["task"]) == (
        "page:0",
        256,
        "migrator",
    )


def test_bug_on_oracle_passes_on_violations_of_others() -> None:
    hand = Hand("migrator").write("migrator", "page:0.mapping", None)
    hand.note("migrator", "violation", "use-after-free", "access", {})
    passed(bug_on.judge(hand.record()))


def test_bug_on_oracle_does_not_know_of_a_run_without_ops() -> None:
    unknown(bug_on.judge(Hand().record()))
