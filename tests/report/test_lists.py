"""What there is to choose from, as tables."""

from __future__ import annotations

import io
import re

from rich.console import Console

from mmrace.claims.judges import CLAIMS
from mmrace.installed import catalogue
from mmrace.oracles.general import GENERAL, bug_on
from mmrace.oracles.protocol import PROTOCOL, liveness
from mmrace.report.lists import show_lists
from mmrace.runtime.param import Choice, Number, Parameters
from mmrace.search.catalogue import Catalogue
from mmrace.strategies import script
from tests.search.campaign.stand_ins import StandInCanary, StandInScenario

DEPTH = Number("depth", 2, 1, 5, says="how deep it goes")
MODE = Choice("mode", "slow", ("slow", "fast"), says="how it moves")
WIDTH = Number("width", 1, 0, 1, says="1: wide")


def shown(kind: str, **scenarios: Parameters) -> list[list[str]]:
    """Return the cells of a table, row by row."""
    made = {name: StandInScenario(name, params=params) for name, params in scenarios.items()}
    out = io.StringIO()
    show_lists(Catalogue(scenarios=made), (kind,), Console(file=out, width=200))
    return [re.split(r" {2,}", line.strip()) for line in out.getvalue().splitlines()]


def test_a_parameter_is_told_with_its_meaning_its_defaults_and_who_has_it() -> None:
    rows = shown(
        "params",
        one=Parameters("one", (DEPTH, MODE)),
        three=Parameters("three", (DEPTH, MODE, WIDTH), {"depth": 4}),
        two=Parameters("two", (DEPTH,)),
    )
    assert ["depth", "2; 4 in three", "1..5", "how deep it goes", "all"] in rows
    assert ["mode", "slow", "slow, fast", "how it moves", "all but two"] in rows
    assert ["width", "1", "0..1", "1: wide", "three"] in rows


def test_a_scenario_is_told_with_the_parameters_that_it_has() -> None:
    rows = shown("scenarios", one=Parameters("one", (DEPTH, MODE), {"depth": 3}), two=Parameters("two", (MODE,)))
    assert ["one", "a stand-in", "depth=3 mode=slow"] in rows
    assert ["two", "a stand-in", "mode=slow"] in rows


def test_a_canary_is_told_with_its_cap_or_that_it_was_never_measured() -> None:
    known = Catalogue(scenarios={}, canaries={c.name: c for c in (StandInCanary("a"), StandInCanary("b", cap_runs=0))})
    out = io.StringIO()
    show_lists(known, ("canaries",), Console(file=out, width=200))
    rows = [re.split(r" {2,}", line.strip()) for line in out.getvalue().splitlines()]
    assert ["a", "a planted bug", "alpha", "content", "10"] in rows
    assert ["b", "a planted bug", "alpha", "content", "not measured"] in rows


def test_every_judge_is_told_with_whose_runs_it_judges_and_the_first_line_of_its_module() -> None:
    out = io.StringIO()
    show_lists(catalogue(), ("oracles",), Console(file=out, width=200))
    rows = [re.split(r" {2,}", line.strip()) for line in out.getvalue().splitlines()]
    for name in GENERAL:
        assert any(row[:2] == [name, "any program"] for row in rows), name
    for name in PROTOCOL.keys() - GENERAL.keys():
        assert any(row[:2] == [name, "the kernel model"] for row in rows), name
    assert ["liveness", "the kernel model", (liveness.__doc__ or "").splitlines()[0]] in rows
    assert ["bug-on", "any program", (bug_on.__doc__ or "").splitlines()[0]] in rows


def listed(kind: str) -> list[list[str]]:
    out = io.StringIO()
    show_lists(catalogue(), (kind,), Console(file=out, width=200))
    return [re.split(r" {2,}", line.strip()) for line in out.getvalue().splitlines()]


def test_every_claim_and_each_of_its_parts_is_told_in_its_words() -> None:
    rows = listed("claims")
    for claim in CLAIMS.values():
        for name, says in [(part.name, part.says) for part in claim.parts] or [(claim.name, claim.says)]:
            assert any(row[0] == name and row[-1] in says for row in rows), name


def test_every_form_of_a_script_is_told_and_is_one_that_the_reader_takes() -> None:
    rows = {row[0]: row[-1] for row in listed("script")}
    assert {*script.GRAMMAR, "SITE", "example"} <= rows.keys()
    for form in script.GRAMMAR:
        text = form.replace("SITE", "update:bit_lock").replace("N", "2").replace("TASK", "writer")
        clauses, rest = script.parse_script(text)
        assert clauses or rest or form == "rest fair"
    assert script.EXAMPLE in rows["example"]


def test_every_name_that_without_takes_is_told() -> None:
    assert {*GENERAL, *PROTOCOL} <= {row[0] for row in listed("oracles")}
    assert "--without NAME" in " ".join(listed("oracles")[0])


def test_every_parameter_of_every_scenario_has_a_meaning() -> None:
    every = {name: param for made in catalogue().scenarios.values() for name, param in made.params.items()}
    assert {name for name, param in every.items() if not param.says} == set()
    assert every.keys() <= {row[0] for row in listed("params")}
