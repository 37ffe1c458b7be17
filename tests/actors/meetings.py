"""A cast in all its variations: who meets whom under many seeds, and that everything holds."""

from __future__ import annotations

from collections.abc import Iterator

from mmrace import scenarios
from mmrace.installed import run_one
from mmrace.runs.spec import RunResult, RunSpec
from tests.oracles.protocol.planted import STRATEGIES


def meetings(name: str, seeds: int, *, keep_record: bool = False) -> Iterator[RunResult]:
    """Yield the runs of each variation under each seed, all of which pass."""
    for variation in scenarios.get(name).variations:
        for seed in range(seeds):
            strategy = STRATEGIES[seed % len(STRATEGIES)]
            spec = RunSpec(name, tuple(sorted(variation.items())), engine="fiber", strategy=strategy, seed=seed)
            result = run_one(spec, keep_record=keep_record)
            assert (result.verdict, result.findings, result.unknown) == ("PASS", [], {}), spec.command()
            yield result
