"""Verdicts, signatures, and the bench of all oracles."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace import oracles
from mmrace.oracles.general.judgement import Evidence, Judgement, Verdict, kind_of, signature
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from tests.oracles.hand import Hand, at_rest, page, rest


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("page:4", "page"),
        ("page:0.flags.PG_locked", "page.flags.PG_locked"),
        ("wake on page:0.flags.PG_locked", "wake on page.flags.PG_locked"),
        ("bh:4.1.b_count", "bh.b_count"),
        ("jh:committer:3", "jh"),
        ("bh:io.writer.2:17.b_state.BH_Lock", "bh.b_state.BH_Lock"),
        ("migrator.2", "migrator"),
        ("io.migrator.0.12", "io.migrator"),
        ("main", "main"),
    ],
)
def test_kind_strips_what_tells_instances_apart(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_signature_ignores_instances_and_order() -> None:
    one = signature("refcount", "lost get", ("page:1", "migrator.0"))
    assert one == signature("refcount", "lost get", ("migrator.3", "page:7"))
    assert one != signature("refcount", "lost get", ("page:1", "reader.0"))
    assert one != signature("refcount", "negative count", ("page:1", "migrator.0"))


def test_evidence_counts_a_repeated_finding_once() -> None:
    evidence = Evidence("x")
    evidence.add("rule", "first", ("page:1",), step=3)
    evidence.add("rule", "second", ("page:2",), step=9)
    judgement = evidence.judgement(2)
    assert [finding.title for finding in judgement.findings] == ["first"]
    assert judgement.findings[0].facts == {"step": 3, "times": 2}


def test_nothing_checked_is_unknown() -> None:
    assert Evidence("x").judgement(0).verdict is Verdict.UNKNOWN


def test_every_oracle_says_unknown_of_an_empty_record() -> None:
    judgements = oracles.judge_all(Hand().record())
    assert {judgement.oracle: judgement.verdict for judgement in judgements} == dict.fromkeys(
        oracles.ORACLES, Verdict.UNKNOWN
    )


def test_judge_all_refuses_an_oracle_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="slow, wrong"):
        oracles.judge_all(Hand().record(), ["wrong", "slow", "slot"])


def test_judge_all_asks_only_the_named() -> None:
    assert [judgement.oracle for judgement in oracles.judge_all(Hand().record(), ["slot", "content"])] == [
        "content",
        "slot",
    ]


def _bench(*verdicts: Verdict) -> list[Judgement]:
    return [Judgement(f"o{i}", verdict, 1) for i, verdict in enumerate(verdicts)]


def test_overall_fails_if_any_oracle_fails() -> None:
    assert oracles.overall(_bench(Verdict.UNKNOWN, Verdict.FAIL, Verdict.PASS)) is Verdict.FAIL


def test_overall_does_not_know_if_a_required_oracle_does_not() -> None:
    bench = _bench(Verdict.PASS, Verdict.UNKNOWN)
    assert oracles.overall(bench) is Verdict.UNKNOWN
    assert oracles.overall(bench, ["o0"]) is Verdict.PASS
    assert oracles.overall(bench, ["o0", "never asked"]) is Verdict.UNKNOWN


def test_an_empty_bench_does_not_know() -> None:
    assert oracles.overall([]) is Verdict.UNKNOWN


def test_a_record_from_a_file_is_judged_as_it_was_live(tmp_path: Path) -> None:
    hand = Hand("reader", "migrator")
    hand.note("main", "page-alloc", "page:0").get("main", "page:0._count", "new", 1)
    hand.lock("main", "page:0").write("main", "slot:5:0.page", "page:0").unlock("main", "page:0")
    hand.note("main", "rename", hand.lane("page:0", "_count"), "new", "slot")
    hand.get("reader", "page:0._count", "lookup", 2).put("reader", "page:0._count", "lookup", 1)
    hand.put("reader", "page:0._count", "lookup", 0)
    hand.note("main", "write-begin", 5, 0, 1).note("main", "write-end", 5, 0, 1)
    hand.note("reader", "read-begin", 5, 0).note("reader", "read-end", 5, 0, (1, 0))
    hand.note("migrator", "violation", "bug-on", "no", {"page": "page:0"}).exit("reader")
    record = at_rest(hand, rest([page("page:0")], disk={"0": [1, 1]})).record()
    record.write(tmp_path / "run.jsonl")
    again = oracles.judge_all(Record.read(tmp_path / "run.jsonl"))
    assert again == oracles.judge_all(record)
    assert {judgement.oracle for judgement in again if judgement.findings} == {
        "refcount",
        "content",
        "bug-on",
    }
