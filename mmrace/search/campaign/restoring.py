"""The result of a campaign that goes on: what it counted before it was interrupted, and what it found.

Invariant: each run is counted once, and no finding is lost: one whose run is not counted is told all the same.  Not
told of what was before: in runs of which noise a finding was met, and what other judges said of planted bugs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from mmrace.oracles.general.judgement import Finding
from mmrace.runs import kept
from mmrace.runs.spec import RunSpec
from mmrace.runs.store import Saved
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.campaign.sequences import Row
from mmrace.search.campaign.standing import Standing
from mmrace.search.ledger.entry import Met, Sequence
from mmrace.search.totals import Hit, RunKind, Tally, Whose


def restore(
    result: CampaignResult,
    standing: Standing,
    among: Iterable[Row],
    sequences: Mapping[tuple[str, str], Sequence],
    findings: Path,
) -> None:
    """Count what a campaign did before.  Args: sequences: by role and source.  findings: the folder of the store."""
    hits: dict[Whose, Counter[str]] = {}
    for row in among:
        sums = standing.of(sequences["main", row.name])
        tally = sums.tally()
        result.given_up_before[row.scenario] += sums.given_up
        if tally.runs:
            result.scenarios.setdefault(row.scenario, Tally()).merge(tally)
            if row.workload is not None:
                result.workloads.setdefault(row.workload, Tally()).merge(tally)
            if row.engine != "free" or row.request.noise is not None:
                result.kinds[RunKind.of("main", row.spec(0))] += tally.runs
        for signature, times in sums.hits.items():
            whose = signature, row.scenario, row.request.variant, row.request.era
            hits.setdefault(whose, Counter())["main"] += times
    for trial in result.trials:
        sums = standing.of(sequences["twin", trial.canary.name])
        result.twins.merge(sums.tally())
        for signature, times in sums.hits.items():
            hits.setdefault((signature, trial.canary.scenario, "", ""), Counter())["twin"] += times
    result.losses.update(standing.losses)
    for whose, met in standing.mets.items():
        hits.setdefault(whose, Counter({met.role: 0}))
    for whose, roles in hits.items():
        signature, program, variant, era = whose
        met = standing.mets.get(whose, Met(signature, program=program, variant=variant, era=era))
        add(result, hit_of(met, "twin" if set(roles) == {"twin"} else "main", roles.total(), findings))


def add(result: CampaignResult, hit: Hit) -> None:
    """Count a finding among those that are expected, or those that fail."""
    (result.known if hit.known else result.hits).add(hit)


def hit_of(met: Met, role: str, times: int, findings: Path) -> Hit:
    """Return a finding that is known in words, with the run that its folder keeps, if that is there.

    Args: times: of runs that are counted; a run that had it may not be, if its batch was not over.
    """
    folder = findings / (Path(met.folder).name or met.signature)
    there = kept.read(folder)
    finding = Finding(met.oracle, met.rule, met.title, {"times": 1}, met.signature, met.known)
    if there is None:
        spec = RunSpec(met.program, variant=met.variant, era=met.era)
        error = f"its folder {folder} is gone" if met.folder else "it was not, when it was found"
        hit = Hit(finding, spec, role, 0, Saved(error=error), times, told=met.command)
    else:
        owner = there.owner
        spec = RunSpec(
            owner.program, variant=owner.variant, era=owner.era, maker=owner.maker, engine=there.engine,
            noise=there.noise, seed=there.seed,
        )  # fmt: skip
        hit = Hit(finding, spec, role, 0, Saved(str(folder)), times, told=there.command)
    hit.kinds.clear()
    return hit


def untold(findings: Path, told: Collection[Whose]) -> list[Met]:
    """Return, in words, what stands in the folder of findings and was not told.

    Not counted are its hits: nobody knows in how many runs they were.
    """
    try:
        folders = sorted(path for path in findings.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
    found = []
    for folder in folders:
        there = kept.read(folder)
        if there is None or not there.signature:
            continue
        _, program, variant, era = there.owner
        if (there.signature, program, variant, era) not in told:
            words, when = there.words, _when(there.since)
            owner = program, variant, era
            found.append(Met(there.signature, *words, *owner, folder.name, there.command, when=when))
    return found


def _when(date: str) -> float:
    """Return a date as unix seconds; 0 for one that nobody knows."""
    try:
        return datetime.fromisoformat(date).timestamp()
    except ValueError:
        return 0.0
