"""What is expected of a program is marked by who met whom, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

from mmrace.oracles.general.expected import Expected, Shows, mark
from mmrace.oracles.general.judgement import Evidence, Judgement, Verdict
from mmrace.runtime.record import Record
from tests.oracles.hand import Hand

FACE = Shows("lock-discipline", "unlock by a stranger", ("committer",), "PG_locked", "_mark_write_error")
KNOWN = Expected("R14", "it unlocks another page", (FACE,))
OBJECT = "page:1.flags.PG_locked"


def record(engine: str = "fiber") -> Record:
    made = Hand("committer", "writer").write("committer", "bh:1.b_page", None).record()
    made.header["engine"] = engine
    return made


def judgement(
    task: str = "committer", at: str = "_mark_write_error > unlock_page:bit_unlock", step: int = 1
) -> Judgement:
    evidence = Evidence("lock-discipline")
    evidence.add("unlock by a stranger", "a title", (task,), task=task, object=OBJECT, at=at, step=step)
    return evidence.judgement(1)


def other(step: int | None = None) -> Judgement:
    evidence = Evidence("bug-on")
    evidence.add("a page is in use", "a title", task="writer", step=step)
    return evidence.judgement(1)


def rows(*judgements: Judgement, engine: str = "fiber") -> list[str]:
    marked = mark(record(engine), judgements, (KNOWN,))
    return [finding.known for judged in marked for finding in judged.findings]


def test_an_expected_finding_is_known_and_fails_nothing() -> None:
    (judged,) = mark(record(), [judgement()], (KNOWN,))
    assert (judged.verdict, [finding.known for finding in judged.findings]) == (Verdict.PASS, ["R14"])


def test_the_same_rule_broken_by_another_or_elsewhere_is_not_known() -> None:
    assert rows(judgement("writer")) == [""]
    assert rows(judgement(at="journal_submit_data_buffers > unlock_page:bit_unlock")) == [""]
    (judged,) = mark(record(), [judgement("writer")], (KNOWN,))
    assert judged.verdict is Verdict.FAIL


def test_a_race_is_known_by_its_sides() -> None:
    face = Shows("data-race", "race", ("committer", "migrator"), "b_page", "_mark_write_error")
    sides = [
        {"task": "committer", "site": "_mark_write_error > _page_of:b_page"},
        {"task": "migrator", "site": "x:b_page"},
    ]
    evidence = Evidence("data-race")
    evidence.add("race", "a title", object="bh:main:1.b_page", sides=sides)
    (finding,) = evidence.judgement(1).findings
    assert face.fits(finding)
    assert not replace(face, at="elsewhere").fits(finding)
    assert not replace(face, tasks=("reader",)).fits(finding)
    assert not replace(face, object="b_data").fits(finding)


def test_what_breaks_after_a_known_fault_follows_from_it_and_what_broke_before_does_not() -> None:
    assert rows(judgement(step=5), other(step=6)) == ["R14", "R14"]
    assert rows(judgement(step=5), other()) == ["R14", "R14"]  # at rest
    assert rows(judgement(step=5), other(step=4)) == ["R14", ""]
    assert rows(judgement(step=5), other(step=4), engine="free") == ["R14", "R14"]
    assert rows(other(step=6)) == [""]


def test_a_fault_is_possible_only_with_its_actors_and_its_parameters() -> None:
    known = replace(KNOWN, actors=("committer", "migrator"), needs={"errors": 1})
    assert known.possible(("writer", "committer", "migrator"), {"errors": 1, "pages": 1})
    assert not known.possible(("writer", "committer"), {"errors": 1})
    assert not known.possible(("committer", "migrator"), {"errors": 0})
