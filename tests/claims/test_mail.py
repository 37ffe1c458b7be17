"""MAIL.md against the code and the results that come with it: neither can go stale without a test that fails."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from mmrace import scenarios
from mmrace.claims import mail
from mmrace.claims.across import SCHEMA
from mmrace.claims.judges import CLAIMS, part_named
from mmrace.claims.mail import SENTENCES, Sentence, answer, evidence, scenarios_of, written
from mmrace.claims.programs import SETTINGS, TESTS
from mmrace.claims.result import NOT_TESTED
from mmrace.history.eras import ERAS
from mmrace.installed import catalogue

RESULTS = mail.load()
WHERE = "make them anew: mmrace claims --era all --json mmrace/claims/results.json; mmrace claims --mail > " \
    "mmrace/claims/MAIL.md"  # fmt: skip


def test_the_text_is_what_the_results_say() -> None:
    assert mail.TEXT.read_text(encoding="utf-8") == written(RESULTS), WHERE


def test_every_part_of_every_claim_has_a_sentence_and_every_sentence_parts_that_there_are() -> None:
    named = [part for sentence in SENTENCES for part in sentence.parts]
    assert set(named) == {part.name for claim in CLAIMS.values() for part in claim.parts}
    assert [sentence.says for sentence in SENTENCES if not sentence.parts] == [
        "Whitebox testing? A black box only, with ext3; nothing unusual was seen."
    ]


def test_every_sentence_names_scenarios_that_there_are_and_bugs_too() -> None:
    known = catalogue()
    for sentence in SENTENCES:
        names = scenarios_of(sentence)
        assert bool(names) == bool(sentence.parts) and set(names) <= set(known.scenarios)
        assert set(re.findall(r"`([\w-]+)`", sentence.note)) <= set(known.canaries)
        for name in names:
            assert scenarios.get(name)


def test_the_results_are_of_the_eras_parts_and_programs_that_there_are() -> None:
    assert RESULTS["schema"] == SCHEMA
    assert list(RESULTS["eras"]) == list(ERAS), WHERE
    parts = {part.name for claim in CLAIMS.values() for part in claim.parts}
    for told in RESULTS["eras"].values():
        assert told.keys() <= parts, WHERE
    assert RESULTS["programs"] == {name: SETTINGS[name].command for name in RESULTS["programs"]}, WHERE
    for told in RESULTS["eras"].values():
        for name, one in told.items():
            programs = TESTS[next(claim.name for claim in CLAIMS.values() if part_named(name) in claim.parts)]
            assert {*one["walked"], *([one["witness"]["program"]] if "witness" in one else [])} <= set(programs), WHERE


def test_no_result_is_against_what_the_source_of_its_era_says() -> None:
    for era, told in RESULTS["eras"].items():
        for name, one in told.items():
            expected, verdict = part_named(name).expects(era).what, one["verdict"]
            excluded = {"holds": "false as worded", "false": "true"}.get(expected)
            assert verdict != excluded, (era, name)
            if expected == "nothing":
                assert verdict == NOT_TESTED, (era, name)


def test_what_the_source_of_an_era_says_there_is_was_shown_in_it_and_every_part_was_asked() -> None:
    for era, told in RESULTS["eras"].items():
        for name, one in told.items():
            expected, verdict = part_named(name).expects(era).what, one["verdict"]
            assert expected == "nothing" or verdict != NOT_TESTED, (era, name)
            assert expected != "holds" or verdict != "not shown", (era, name)


def told(verdict: str, tested: int, times: int, **more: Any) -> dict[str, Any]:
    return {"verdict": verdict, "schedules": 10, "tested": tested, "times": times, "walked": {}, **more}


def results(**eras: dict[str, Any]) -> dict[str, Any]:
    return {"eras": {name.replace("_", "."): {"C15": one} for name, one in eras.items()}, "programs": {}}


WITNESS = {"program": "async", "schedule": 3, "title": "it moved"}


def test_eras_that_say_the_same_are_told_together_with_the_least_of_them() -> None:
    found = results(
        _1=told("held", 5, 0, walked={"async-dirty": 9}), _2=told("false as worded", 8, 4, witness=WITNESS),
        _3=told("false as worded", 7, 2, witness=WITNESS),
    )  # fmt: skip
    assert evidence("C15", found) == (
        "**C15** .1: held (5 instances, 10 schedules, all 9 classes of async-dirty); .2 to .3: false as worded (in "
        "each at least 2 of 7 instances, 10 schedules, witness: schedule 3 of async)"
    )


def test_what_an_era_cannot_be_asked_and_what_was_not_asked_is_told() -> None:
    waits = {"eras": {"3.1": {"C15b": told(NOT_TESTED, 0, 0)}, "3.3": {}}, "programs": {}}
    assert evidence("C15b", waits) == "**C15b** 3.1: cannot be asked, there is no such move"
    assert evidence("C2", waits) == "**C2** not asked yet"


@pytest.mark.parametrize(("tested", "words"), [((1, 1), "yes"), ((1, 0), "partly"), ((0, 0), "not yet")])
def test_a_sentence_was_tested_if_all_its_parts_were(tested: tuple[int, int], words: str) -> None:
    parts = {name: told("held", n, 0) for name, n in zip(("C2", "C15"), tested, strict=True)}
    assert answer(Sentence("says", ("C2", "C15")), {"eras": {"3.3": parts}, "programs": {}}) == words
    assert answer(Sentence("says"), {"eras": {"3.3": parts}, "programs": {}}) == "no"


def test_the_results_are_written_as_the_command_writes_them() -> None:
    text = mail.RESULTS.read_text(encoding="utf-8")
    assert text == json.dumps(RESULTS, indent=1) + "\n"
