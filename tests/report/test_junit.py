"""A campaign as JUnit XML: of its readers' shape whatever is in it, and red exactly if the campaign did not pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from mmrace.report import junit
from mmrace.runs.spec import RunResult
from mmrace.runs.store import Saved
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.pool.messages import Job
from mmrace.search.totals import Hit, Trouble
from tests.report.junit_shape import breaches
from tests.report.test_campaign_report import FINDING, SPEC, failed, outcome, passed, trial

HOSTILE = "".join(map(chr, range(0x20))) + "\x7f\x85\ud800\udcff\u202e\ufffe\uffff\U0001f600]]><!--&\"'"


def written(result: CampaignResult) -> ElementTree.Element:
    text = "".join(junit.text(result))
    assert breaches(text) == []
    return ElementTree.fromstring(text.encode())


def case(root: ElementTree.Element, name: str) -> ElementTree.Element:
    (found,) = (element for element in root.iter("testcase") if element.get("name") == name)
    return found


def is_red(root: ElementTree.Element) -> bool:
    suite = root[0]
    return (suite.get("failures"), suite.get("errors")) != ("0", "0")


def test_a_campaign_that_passed_has_a_testcase_per_scenario_and_canary_and_none_failed() -> None:
    root = written(passed())
    names = [(element.get("classname"), element.get("name")) for element in root.iter("testcase")]
    assert names == [
        ("mmrace.scenarios", "alpha"),
        ("mmrace.scenarios", "played"),
        ("mmrace.canaries", "lost-copy"),
    ]
    assert not is_red(root) and root[0].get("time") == "60.400"
    assert case(root, "alpha").get("time") == "15.000"
    assert case(root, "lost-copy").findtext("system-out") == (
        "found by content after 3 runs, cap 4\ntwin passed 3 of 3 runs"
    )
    assert {e.get("name"): e.get("value") for e in root.iter("property")}["verdict"] == "PASS"


def test_a_failure_has_every_finding_with_its_signature_and_command() -> None:
    root = written(failed())
    failure = case(root, "alpha").find("failure")
    assert failure is not None and failure.text is not None
    assert failure.get("message") == "page:4 shows [an old] word [abc123abc123] (and 1 more)"
    assert failure.get("type") == "content: word went back"
    for hit in failed().hits.values():
        assert f"FINDING {hit.finding.signature}" in failure.text and f"repeat: {hit.command}" in failure.text
    assert "could not be saved: OSError: [Errno 28] No space left on device" in failure.text
    missed = case(root, "no-freeze").find("failure")
    assert missed is not None and missed.get("message") == "missed: 4 runs, no finding of oracle content"
    (harness,) = (e for e in root.iter("testcase") if e.get("classname") == "mmrace.campaign")
    assert "a lock that was free could not be taken" in (harness.findtext("error") or "")


def test_a_finding_of_what_is_no_scenario_of_the_campaign_fails_a_testcase_of_its_own() -> None:
    result = passed()
    result.hits.add(Hit(FINDING, replace(SPEC, program="gamma"), "twin", 0))
    failure = case(written(result), "gamma").find("failure")
    assert failure is not None and FINDING.signature in (failure.text or "")


def _twin_failed(result: CampaignResult) -> None:
    result.trials[0].take(Job("twin", "lost-copy", 3, SPEC), RunResult(SPEC, "FAIL", [FINDING]))
    result.hits.add(Hit(FINDING, SPEC, "twin", 3))


def _interrupted(result: CampaignResult) -> None:
    result.interrupted = 2


def _unjudged(result: CampaignResult) -> None:
    for i in range(200):
        result.count(Job("main", "", i, SPEC), RunResult(SPEC, "UNKNOWN", unknown={"content": "nothing to check"}))


def _unconcluded(result: CampaignResult) -> None:
    result.trials.append(trial(False, 3))


def _given_up(result: CampaignResult) -> None:
    result.given_up.extend([SPEC] * 100)


def _troubled(result: CampaignResult) -> None:
    result.troubles.append(Trouble(2, "a workload that exists\nwas expected", SPEC))


CHANGES = (_twin_failed, _interrupted, _unjudged, _unconcluded, _given_up, _troubled)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__[1:])
def test_whatever_keeps_a_campaign_from_passing_is_red(change: Callable[[CampaignResult], None]) -> None:
    result = passed()
    change(result)
    assert result.verdict != "PASS" and is_red(written(result))


def test_a_campaign_without_a_run_is_red() -> None:
    result = passed()
    result.scenarios.clear()
    assert result.verdict == "UNKNOWN" and is_red(written(result))


def test_what_is_known_or_not_planted_is_not_red() -> None:
    result = passed()
    result.unplanted = ("double-put",)
    result.known.add(Hit(replace(FINDING, known="R14"), SPEC, "main", 3, Saved("kept/abc")))
    known = outcome()
    known.expects, known.findings = ("R14",), [replace(FINDING, known="R14")]
    result.count(Job("main", "", 9, SPEC), known)
    root = written(result)
    assert not is_red(root) and case(root, "double-put").find("skipped") is not None
    assert "known in 3.3: R14" in (case(root, "alpha").findtext("system-out") or "")


def test_hostile_bytes_are_legal_xml_and_visible() -> None:
    result = passed()
    hostile = replace(FINDING, title=HOSTILE, oracle=HOSTILE, rule=HOSTILE)
    spec = replace(SPEC, program=f"{HOSTILE}.py:main")
    result.hits.add(Hit(hostile, spec, "main", 3, Saved(error=HOSTILE)))
    result.troubles.append(Trouble(4, HOSTILE, spec))
    text = "".join(junit.text(result))
    assert breaches(text) == []
    text.encode("ascii", "xmlcharrefreplace")
    failure = ElementTree.fromstring(text.encode()).find(".//failure")
    assert failure is not None and r"\x1b" in (failure.text or "") and r"\ufffe\uffff" in (failure.text or "")
    assert r"\ud800" in (failure.get("message") or "") and "\U0001f600]]><!--&" in (failure.text or "")


def test_the_shape_has_teeth() -> None:
    text = "".join(junit.text(passed()))
    assert breaches(text.replace('failures="0"', 'failures="1"')) != []
    assert breaches(text.replace("<properties>", "<properties><testcase />")) != []
    assert breaches(text.replace("classname", "class")) != []
