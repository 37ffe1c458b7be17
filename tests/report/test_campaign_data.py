"""A campaign as data: what the report prints, as legal JSON whatever is in it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from mmrace.report import campaign_data
from mmrace.runs.conversion import REFOUND, Conversion
from mmrace.runs.store import Saved
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.totals import Hit
from tests.report.test_campaign_report import FINDING, SPEC, failed, passed
from tests.report.test_junit import HOSTILE


def written(result: CampaignResult) -> dict[str, Any]:
    text = "".join(campaign_data.text(result))
    text.encode("ascii")

    def refuse(word: str) -> None:
        raise AssertionError(word)

    made: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return made


def test_a_campaign_that_passed_has_its_totals() -> None:
    made = written(passed())
    assert (made["schema"], made["verdict"], made["exit_code"], made["seed"]) == ("mmrace-campaign/1", "PASS", 0, 5)
    assert (made["total"]["runs"], made["total"]["pass"], made["total"]["ops"]) == (3003, 3003, 3_603_600)
    assert list(made["scenarios"]) == ["alpha", "played"] and made["workloads"]["real"]["runs"] == 1500
    assert made["marks"] == {"reached": 1, "expected": ["seen", "unseen"], "never_reached": ["unseen"]}
    assert made["canaries"] == [
        {
            "name": "lost-copy", "oracle": "content", "found_after": 3, "missed": False, "tried": 3, "cap": 4,
            "twin_runs": 3, "twin_failed": 0, "other_oracles": {"ledger": 2},
        }
    ]  # fmt: skip
    assert made["workers"]["free.0"] == {
        "memory_at": 16.0, "memory": 50 << 20, "memory_at_end": 51 << 20, "threads_left_behind": 0
    }  # fmt: skip


def test_one_that_failed_has_its_findings_with_commands_and_its_troubles() -> None:
    made = written(failed())
    first, second = made["findings"]
    assert (made["verdict"], made["exit_code"]) == ("FAIL", 1)
    assert (first["signature"], first["times"], first["commands"]) == (FINDING.signature, 2, [SPEC.command()])
    assert second["unsaved"] == "OSError: [Errno 28] No space left on device" and second["facts"]["count"] == 3
    assert [trouble["exit_code"] for trouble in made["troubles"]] == [4] and made["given_up"] == [SPEC.command()]
    assert [canary["missed"] for canary in made["canaries"]] == [False, True]
    assert sum(made["workers_lost"].values()) == 3


def test_one_without_a_verdict_says_why_and_what_to_try() -> None:
    result = passed()
    result.scenarios.clear()
    made = written(result)
    assert made["unknown_because"] == ["alpha: no run", "played: no run"] and made["try"] == "a longer --for"


def test_hostile_texts_and_numbers_are_legal() -> None:
    result = passed()
    facts: dict[str, Any] = {HOSTILE: float("inf"), "odd": {1: b"\xff", "set": frozenset({float("nan")})}}
    told = Conversion(REFOUND, 40, 200, HOSTILE, 7, 35, 1.5, 5)
    result.hits.add(Hit(replace(FINDING, title=HOSTILE, facts=facts), SPEC, "main", 3, Saved(conversion=told)))
    (found,) = written(result)["findings"]
    assert found["facts"]["odd"] == {"1": "b'\\xff'", "set": ["nan"]}
    json.dumps(found, ensure_ascii=False).encode()  # no half of a pair anywhere
    assert found["conversion"]["how"] == REFOUND
