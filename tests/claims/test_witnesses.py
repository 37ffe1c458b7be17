"""Witnesses: a record that decides a part of a claim says which, and its replay judges that part again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmrace.claims.driver import ClaimsRun
from mmrace.claims.judges import part_named, select
from mmrace.installed import MAKERS, replay_record
from mmrace.report.single import show_replay
from mmrace.runs.follow import replay_record as replay_without_claims
from mmrace.runtime.errors import UsageError
from mmrace.search.options import Options
from tests.report.test_campaign_report import console, text

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the file of a witness against C7."""
    return ClaimsRun(select(["C7"]), tmp_path_factory.mktemp("claims"), Options(runs=30)).run().witnesses["C7"].path


def edited(witness: str, folder: Path, line: int, **keys: Any) -> str:
    """Write the witness with some keys of a line of it changed; return the path."""
    lines = [json.loads(text) for text in Path(witness).read_text().splitlines()]
    lines[line] |= keys
    del lines[0]["sum"]
    path = folder / "edited.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return str(path)


def test_the_replay_of_a_witness_judges_its_claim_again_and_says_so(witness: str) -> None:
    result = replay_record(witness)
    assert result.claim is not None and result.record is not None
    example = part_named("C7").check(result.record).example
    assert example is not None
    assert (result.claim["part"], result.claim["verdict"], result.claim["title"]) == (
        "C7", "false as worded", example.title,
    )  # fmt: skip
    assert result.rejudged == []
    shown = console()
    show_replay(result, [], shown)
    lines = text(shown).splitlines()
    steps = ", ".join(map(str, example.steps))
    assert f"claim C7, judged again on this run: false as worded: {example.title} (steps {steps})" in lines
    assert lines[-2:] == ["replay: every op as recorded; no finding, as recorded", "PASS"]


def test_a_witness_whose_claim_is_judged_otherwise_says_so(witness: str, tmp_path: Path) -> None:
    assert (
        'verdict.claim.part: recorded "C7", now "C7+"'
        in replay_record(edited(witness, tmp_path, 0, claim="C7+")).rejudged
    )


def test_a_claim_that_there_is_not_is_refused(witness: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a part of a claim out of C0"):
        replay_record(edited(witness, tmp_path, 0, claim="C99"))


def test_whoever_judges_no_claims_replays_a_witness_all_the_same(witness: str) -> None:
    result = replay_without_claims(witness, MAKERS)
    assert (result.claim, result.verdict, result.rejudged) == (None, "PASS", [])
