"""A campaign as plain data, for `--json` and for whatever a CI system reads.

Invariant: what the report prints is here too, as numbers and names; all of it is legal JSON, whatever bytes were in a
name or a title, and no key goes away within one `SCHEMA`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

from mmrace.report.finding import commands_of
from mmrace.runs.minimal import Minimal
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.campaign.trial import CanaryTrial
from mmrace.search.totals import Hit, Tally
from mmrace.version import __version__

SCHEMA = "mmrace-campaign/1"

Data: TypeAlias = dict[str, Any]


def text(result: CampaignResult) -> Iterator[str]:
    """Write a campaign as JSON."""
    yield json.dumps(legal(data(result)), indent=1, allow_nan=False)
    yield "\n"


def data(result: CampaignResult) -> Data:
    """Return a campaign as plain data."""
    request = result.request
    return {
        "schema": SCHEMA,
        "mmrace": __version__,
        "verdict": result.verdict,
        "exit_code": result.exit_code,
        "interrupted": result.interrupted,
        "unknown_because": result.unknown_because() if result.verdict == "UNKNOWN" else [],
        "try": result.to_try() if result.verdict == "UNKNOWN" else "",
        "seconds": result.seconds,
        "seed": request.seed,
        "request": asdict(request),
        "total": tally(result.total()),
        "scenarios": {name: tally(result.scenarios.get(name, Tally())) for name in request.scenarios},
        "workloads": {name: tally(sums) for name, sums in result.workloads.items()},
        "twins": tally(result.twins),
        "canaries": [canary(trial) for trial in result.trials],
        "unplanted": list(result.unplanted),
        "findings": [finding(hit, result) for hit in result.hits.values()],
        "findings_dropped": result.hits.dropped,
        "known": [finding(hit, result) for hit in result.known.values()],
        "marks": {
            "reached": result.marks_reached(),
            "expected": list(result.marks_known),
            "never_reached": result.marks_missed(),
        },
        "workers": {name: _worker(result, name) for name in sorted(result.workers)},
        "workers_lost": dict(result.losses),
        "unkept_runs": result.unkept,
        "unkept_because": result.unkept_because,
        "given_up": [spec.command() for spec in result.given_up],
        "troubles": [
            {"exit_code": trouble.exit_code, "text": trouble.text, "command": trouble.spec.command()}
            for trouble in result.troubles
        ],
    }


def tally(sums: Tally) -> Data:
    """Return sums over runs as plain data."""
    return {
        "runs": sums.runs,
        "ops": sums.ops,
        "seconds": sums.seconds,
        "pass": sums.verdicts["PASS"],
        "fail": sums.verdicts["FAIL"],
        "unknown": sums.verdicts["UNKNOWN"],
        "unknown_because": dict(sums.unknown),
        "nothing_to_interleave": dict(sums.alone),
        "counters": dict(sums.counters),
        "marks": dict(sums.marks),
        "expected": dict(sums.expected),
        "known": dict(sums.known),
    }


def canary(trial: CanaryTrial) -> Data:
    """Return what became of a planted bug as plain data."""
    return {
        "name": trial.canary.name,
        "oracle": trial.canary.oracle,
        "found_after": trial.found_after,
        "missed": trial.missed,
        "tried": trial.tried,
        "cap": trial.cap_runs,
        "twin_runs": trial.twin_runs,
        "twin_failed": trial.twin_failed,
        "other_oracles": dict(trial.others),
    }


def finding(hit: Hit, result: CampaignResult) -> Data:
    """Return a finding as plain data."""
    spec, saved = hit.spec, hit.saved
    minimal = result.minimal.get(hit.finding.signature)
    return {
        "signature": hit.finding.signature,
        "oracle": hit.finding.oracle,
        "rule": hit.finding.rule,
        "title": hit.finding.title,
        "facts": dict(hit.finding.facts),
        "known": hit.known,
        "known_since": saved.since,
        "role": hit.role,
        "program": spec.program,
        "params": dict(spec.params),
        "variant": spec.variant,
        "era": spec.era,
        "engine": spec.engine,
        "noise": spec.noise,
        "strategy": spec.strategy,
        "workload": spec.workload,
        "seed": spec.seed,
        "times": hit.times,
        "rate": {"hits": hit.kinds[hit.kind], "of": result.kinds[hit.kind]},
        "folder": saved.folder,
        "unsaved": saved.error,
        "commands": commands_of(hit),
        "conversion": asdict(saved.conversion) if saved.conversion is not None else None,
        "minimal": _minimal(minimal) if minimal is not None else None,
    }


def _minimal(minimal: Minimal | str) -> Data:
    """Return what came of making a finding smaller."""
    if isinstance(minimal, str):
        return {"why_not": minimal}
    return {"shrunk": asdict(minimal.shrunk), "replayed": asdict(minimal.replayed), "script": minimal.script}


def _worker(result: CampaignResult, name: str) -> Data:
    """Return how a worker felt."""
    life = result.workers[name]
    when, then, end = life.growth(result.seconds)
    return {"memory_at": when, "memory": then, "memory_at_end": end, "threads_left_behind": life.stray_threads}


def legal(value: object) -> Any:
    """Return a value that JSON has: no half letters, no endless numbers, keys that are texts."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {legal(str(key)): legal(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [legal(part) for part in value]
    return legal(str(value))
