"""Verdicts, signatures, and the bench of all oracles."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace.oracles.general import GENERAL
from mmrace.oracles.general.bench import judge_all, overall
from mmrace.oracles.general.judgement import (
    NOTHING,
    Evidence,
    Finding,
    Judgement,
    Verdict,
    finding_of,
    kind_of,
    signature,
)
from mmrace.oracles.protocol import PROTOCOL
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


def test_nothing_checked_is_unknown_and_told_from_what_could_not_be_judged() -> None:
    nothing, missing, found = Evidence("x").judgement(0), Evidence("x").judgement(0, "cut"), Evidence("x").judgement(1)
    assert [judgement.verdict for judgement in (nothing, missing)] == [Verdict.UNKNOWN] * 2
    assert [judgement.nothing_to_check for judgement in (nothing, missing, found)] == [True, False, False]


def test_every_oracle_says_unknown_of_an_empty_record() -> None:
    for judges in (GENERAL, PROTOCOL):
        judgements = judge_all(Hand().record(), judges)
        assert {judgement.oracle: judgement.verdict for judgement in judgements} == dict.fromkeys(
            judges, Verdict.UNKNOWN
        )


def test_every_oracle_answers_under_its_own_name_and_the_kernel_has_one_for_each_general_one() -> None:
    for judges in (GENERAL, PROTOCOL):
        assert [judgement.oracle for judgement in judge_all(Hand().record(), judges)] == list(judges)
    assert GENERAL.keys() <= PROTOCOL.keys()


def test_judge_all_asks_those_that_it_is_given_in_their_order() -> None:
    chosen = {name: PROTOCOL[name] for name in ("slot", "content")}
    assert [judgement.oracle for judgement in judge_all(Hand().record(), chosen)] == ["slot", "content"]


IDLE = "idle"  # stands for a judge that had nothing to check


def _bench(*verdicts: Verdict | str) -> list[Judgement]:
    return [
        Judgement(f"o{i}", Verdict.UNKNOWN, 0, [], NOTHING)
        if verdict == IDLE
        else Judgement(f"o{i}", Verdict(verdict), 1, [], "cut" if verdict == Verdict.UNKNOWN else "")
        for i, verdict in enumerate(verdicts)
    ]


def test_overall_fails_if_any_oracle_fails() -> None:
    assert overall(_bench(Verdict.UNKNOWN, Verdict.FAIL, Verdict.PASS)) is Verdict.FAIL
    assert overall(_bench(Verdict.PASS, Verdict.FAIL), ["o0"]) is Verdict.FAIL


def test_overall_does_not_know_if_a_required_oracle_does_not() -> None:
    bench = _bench(Verdict.PASS, IDLE)
    assert overall(bench) is Verdict.UNKNOWN
    assert overall(bench, ["o1"]) is Verdict.UNKNOWN
    assert overall(bench, ["o0", "never asked"]) is Verdict.UNKNOWN


def test_an_oracle_that_is_not_required_and_had_nothing_to_check_does_not_count() -> None:
    assert overall(_bench(Verdict.PASS, IDLE), ["o0"]) is Verdict.PASS
    assert overall(_bench(Verdict.PASS, IDLE), ()) is Verdict.PASS


def test_an_oracle_that_is_not_required_but_could_not_tell_counts() -> None:
    assert overall(_bench(Verdict.PASS, Verdict.UNKNOWN), ["o0"]) is Verdict.UNKNOWN


def test_a_bench_that_is_empty_or_had_nothing_to_check_does_not_know() -> None:
    assert overall([]) is Verdict.UNKNOWN
    assert overall([], ()) is Verdict.UNKNOWN
    assert overall(_bench(IDLE, IDLE), ()) is Verdict.UNKNOWN


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
    seen = page("page:0", flags=["PG_uptodate", "PG_lru"])
    record = at_rest(hand, rest([seen], disk={"0": [1, 1]}, lru=["page:0"])).record()
    record.write(tmp_path / "run.jsonl")
    again = judge_all(Record.read(tmp_path / "run.jsonl"), PROTOCOL)
    assert again == judge_all(record, PROTOCOL)
    assert {judgement.oracle for judgement in again if judgement.findings} == {
        "refcount",
        "content",
        "bug-on",
    }


def test_a_finding_of_a_record_may_lack_facts_and_have_others_that_nobody_knows() -> None:
    found = finding_of({"signature": "0" * 12, "rule": "race", "factss": {}})
    assert found == Finding("", "race", "", {}, "0" * 12)
