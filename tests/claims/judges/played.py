"""Records of real runs, of the correct protocol and of planted bugs, for tests of the claims' checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mmrace.claims.driver import drawn
from mmrace.claims.judges import Instances, check_parts
from mmrace.claims.judges.claim import Claim
from mmrace.runs.spec import RunSpec
from mmrace.runtime.record import Record
from mmrace.strategies import portfolio

SEEDS = 60  # within which a planted bug has to show; each test says with which parameters


def records(scenario: str, params: Mapping[str, int | str], variant: str = "", seeds: int = SEEDS) -> Iterator[Record]:
    """Yield the records of schedules under one seed after the other, drawn by the members of the portfolio in turn."""
    for seed in range(seeds):
        strategy = portfolio.member(seed)
        with drawn(RunSpec(scenario, tuple(sorted(params.items())), variant, "fiber", strategy, "off", seed)) as played:
            yield played.record


def first_decided(claim: Claim, name: str, found: Iterator[Record]) -> tuple[Record, Instances]:
    """Return the first record that decides a part, and what it says; fail if there is none."""
    chosen = [part for part in claim.parts if part.name == name]
    for record in found:
        instances = check_parts(record, chosen)[name]
        if instances.times:
            return record, instances
    raise AssertionError(f"no run decides {name}")


def summed(claim: Claim, name: str, found: Iterator[Record]) -> Instances:
    """Return the sum over records; the first example is kept."""
    chosen = [part for part in claim.parts if part.name == name]
    total = Instances()
    for record in found:
        instances = check_parts(record, chosen)[name]
        total.tested += instances.tested
        total.times += instances.times
        total.example = total.example or instances.example
    return total
