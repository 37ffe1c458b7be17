"""Judges that are said to take nothing back do not: what they find in the beginning of a run is in all of it.

A walk of a proof ends where such a judge has the finding; that is sound only if this holds.  Seeds are fixed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mmrace import history
from mmrace.history.canaries import canaries
from mmrace.installed import MAKERS, run_one
from mmrace.oracles.general.bench import judge_all
from mmrace.oracles.protocol import FORWARD
from mmrace.runs.functions import KIND as FUNCTION
from mmrace.runs.judge import judges_of
from mmrace.runs.spec import RunSpec
from mmrace.runtime.record import Record
from mmrace.strategies import portfolio
from stress import planted
from stress.planted import PLANTED

RUNS = 12  # of each bug
CUTS = 8  # beginnings of a run, each with one part more


def specs() -> dict[str, RunSpec]:
    """Return runs in which each of these judges has something to see."""
    found = {row.judge: row.bug for row in PLANTED if row.bug.maker != FUNCTION and row.judge in FORWARD}
    for name, canary in canaries().items():
        if canary.oracle not in FORWARD:
            continue
        params = tuple(sorted(canary.params_under("fiber").items()))
        found[name] = RunSpec(canary.scenario, params, name, "fiber")
    return found


def seen(record: Record, spec: RunSpec) -> dict[str, object]:
    """Return what such judges find in a record, with the event at which they see it."""
    program = MAKERS.program(spec)
    judges = {name: judge for name, judge in judges_of(program, spec).items() if name in program.forward}
    found = [finding for judgement in judge_all(record, judges) for finding in judgement.findings]
    return {finding.signature: finding.facts.get("step") for finding in found}


def beginnings(record: Record, spec: RunSpec) -> Iterator[Record]:
    """Yield longer and longer beginnings of a run, some up to where something is found, and the whole of it."""
    first, count = record.header["explored"][0], len(record.events)
    ends = {first + (count - first) * part // CUTS for part in range(1, CUTS)}
    ends |= {step + 1 for step in seen(record, spec).values() if isinstance(step, int)}
    yield from (record.until(end) for end in sorted(ends) if end < count)
    yield record


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(specs()))
def test_what_a_judge_finds_in_the_beginning_of_a_run_it_finds_in_all_of_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_registered", history.own())  # for this test alone
    planted.register()
    failed = 0
    for seed in range(RUNS):
        spec = specs()[name]
        drawn = RunSpec(
            spec.program, spec.params, spec.variant, "fiber", portfolio.member(seed), seed=seed, maker=spec.maker
        )
        record = run_one(drawn, keep_record=True).record
        assert record is not None
        before: set[str] = set()
        for part in beginnings(record, drawn):
            now = {*seen(part, drawn)}
            assert before <= now, (seed, len(part.events), before - now)
            before = now
        failed += bool(before)
        if failed >= 2:
            break
    if not failed:
        pytest.skip("none of a few runs failed so")


def test_a_judge_that_is_in_doubt_is_not_said_to() -> None:
    """`crash` takes back what it has seen if the run is cut off where a transaction is on its way."""
    assert not {"crash", "data-race"} & FORWARD
