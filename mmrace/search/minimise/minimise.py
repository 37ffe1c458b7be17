"""From a failing record to its minimal file: shrink, show that nothing smaller fails, flip, replay.

Invariant: the file's record was replayed strictly, from its lines, so many times with the finding as the file says; its
schedule, followed by `guided`, makes that very record.  With a budget of runs alone the same record gives the same
file, but for the seconds it took.  Not here: what is tried (`schedule.py`, `smaller.py`), and where the file goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from mmrace.oracles.general.judgement import Finding, finding_of
from mmrace.runs.follow import follow, repeats, spec_of, with_files
from mmrace.runs.minimal import Minimal, Replayed, Schedule, Shrunk, Size
from mmrace.runs.program import Makers
from mmrace.runs.replay import REPLAYS
from mmrace.runs.spec import LoadedFile
from mmrace.runtime.errors import NondeterminismError, UsageError
from mmrace.runtime.record import Record
from mmrace.search.minimise.causal import orderings
from mmrace.search.minimise.commute import commuted
from mmrace.search.minimise.fewest import fewest
from mmrace.search.minimise.schedule import fewer_steps, smallest_schedule
from mmrace.search.minimise.scripted import script_of
from mmrace.search.minimise.smaller import boldly, smallest_program
from mmrace.search.minimise.trials import Budget, Spent, Trial, Trials, case_of
from mmrace.strategies import guided

SHRINKING, SHOWING = 0.5, 0.7
"""Shares of the budget, each with what comes before: up to which the schedule and the program are made smaller, and a
walk looks for a smaller one still.  What is left is for the orderings."""


def minimise(
    record: Record, makers: Makers, signature: str, budget: Budget, load: tuple[LoadedFile, ...] = ()
) -> Minimal:
    """Return the minimal file of a finding.

    Args: record: of a controlled run that has it.  signature: of the finding.  load: further files.

    Raises UsageError for a record without that finding, or of a program that is another one by now;
    NondeterminismError if its run does not have it again.
    """
    finding = _finding_in(record, signature)
    if record.header.get("engine") == "free":
        raise UsageError(
            expected="a record of a controlled run",
            got="one of free threads, which have no schedule to be made smaller",
            where="minimise",
            try_="mmrace replay FILE --record controlled.jsonl, which makes it again under control; then minimise that",
        )
    spec = with_files(spec_of(record, makers), load)
    program = makers.program(spec)  # refuses a file that is another one by now: to a trial that is a run that passes
    if not guided.can_follow(record):
        record = follow(program, spec, record)
    trials = Trials(spec, makers, signature, finding.oracle, budget)
    first = _first(trials, record)
    complete = _within(budget, SHRINKING, lambda: _shrink(trials, first))
    shown = _show_fewest(trials)
    assert trials.best is not None
    script = script_of(trials, trials.best.case)
    causal, swapped = orderings(trials, trials.best.case)
    made = _file(trials, first, record, shown=shown, complete=complete and swapped)
    return replace(made, causal=tuple(causal), script=script)


def _finding_in(record: Record, signature: str) -> Finding:
    findings = record.verdict.get("findings", ())
    for found in findings:
        if found["signature"] == signature:
            return finding_of(found)
    raise UsageError(
        expected="a record with the finding that is to be kept",
        got=signature or "none",
        where="minimise",
        try_=f"one of {', '.join(found['signature'] for found in findings)}" if findings else "a record that failed",
    )


def _first(trials: Trials, record: Record) -> Trial:
    """Run the record's schedule, whole; whatever the budget is.  Raises NondeterminismError without the finding."""
    budget, trials.budget = trials.budget, Budget()
    first = trials.of(case_of(record, trials.base.params, trials.base.seed))
    trials.budget = budget
    budget.used += 1
    if not first.fails:
        got = f"a run without it, which followed {first.case.cost} turning points and choices"
        raise NondeterminismError(0, f"finding {trials.signature} again", got)
    return first


def _within(budget: Budget, share: float, search: Callable[[], object]) -> bool:
    """Search up to a share of the budget; return whether it was enough."""
    try:
        with budget.up_to(share):
            search()
    except Spent:
        return False
    return True


def _shrink(trials: Trials, trial: Trial) -> None:
    trial = fewer_steps(trials, boldly(trials, commuted(trials, trial)))
    trial = smallest_program(trials, trial)
    smallest_schedule(trials, trial)


def _show_fewest(trials: Trials) -> bool | None:
    """Walk below the best trial's cost; keep a better one that is met."""
    best = trials.best
    assert best is not None
    with trials.budget.up_to(SHOWING):
        found, shown = fewest(trials, best)
    if found is not best:
        _within(trials.budget, SHOWING, lambda: smallest_schedule(trials, found))
    return shown


def _file(trials: Trials, first: Trial, record: Record, *, shown: bool | None, complete: bool) -> Minimal:
    best = trials.best
    assert best is not None
    result = trials.whole(best.case)
    made = result.record
    assert made is not None
    finding = next(finding for finding in result.findings if finding.signature == trials.signature)
    written = "".join(f"{line}\n" for line in made.lines()).encode()
    made, header = Record.parse(written, "the minimal record"), made.header
    return Minimal(
        spec=result.spec,
        finding=finding,
        schedule=Schedule(best.case.turns, best.case.values),
        causal=(),
        shrunk=Shrunk(
            trials.budget.used,
            round(trials.budget.lasted, 3),
            _size(trials, first, record),
            _size(trials, best, made),
            fewest=shown,
            complete=complete,
        ),
        replayed=_replayed(written, trials),
        record=made,
        era=header.get("era", ""),
        model=header.get("model", ""),
    )


def _size(trials: Trials, trial: Trial, record: Record) -> Size:
    case = trial.case
    params = dict(trials.program(case.params).params)
    return Size(len(case.turns), len(case.values), len(record.events), len(record.tasks), params)


def _replayed(written: bytes, trials: Trials) -> Replayed:
    """Replay a record strictly, as its file will have it."""
    again = repeats(partial(Record.parse, written, "the minimal record"), trials.makers, trials.base.load)
    return Replayed(REPLAYS, again[trials.signature])
