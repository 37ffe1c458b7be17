"""Records of real runs, of the correct protocol and of planted bugs, for tests of the claims' checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mmrace.claims.judges import Instances, check_parts
from mmrace.claims.one import play_one
from mmrace.runs.spec import RunSpec
from mmrace.runtime.record import Record
from mmrace.strategies import portfolio
from tests.claims.judges.written import part

SEEDS = 60  # within which a planted bug has to show; each test says with which parameters


def records(scenario: str, params: Mapping[str, int | str], variant: str = "", seeds: int = SEEDS) -> Iterator[Record]:
    """Yield the records of schedules under one seed after the other, drawn by the members of the portfolio in turn."""
    for seed in range(seeds):
        strategy = portfolio.member(seed)
        with play_one(
            RunSpec(scenario, tuple(sorted(params.items())), variant, "fiber", strategy, "off", seed)
        ) as played:
            yield played.record


def find_deciding(name: str, found: Iterator[Record]) -> tuple[Record, Instances]:
    """Return the first record that decides a part, and what it says; fail if there is none."""
    for record in found:
        instances = check_parts(record, [part(name)])[name]
        if instances.times:
            return record, instances
    raise AssertionError(f"no run decides {name}")


def sum_over(name: str, found: Iterator[Record]) -> Instances:
    """Return the sum over records; the first example is kept."""
    total = Instances()
    for record in found:
        instances = check_parts(record, [part(name)])[name]
        total.tested += instances.tested
        total.times += instances.times
        total.example = total.example or instances.example
    return total
