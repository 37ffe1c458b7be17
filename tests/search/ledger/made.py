"""Sequences and batches for tests of the ledger."""

from __future__ import annotations

import random

from mmrace.search.ledger.entry import Batch, Sequence
from mmrace.search.ledger.sketch import ClassSketch
from mmrace.search.ledger.sums import Sums

WHEN = 1_700_000_000.0
CAMPAIGN = "20231114T221320-0000000a"  # began at `WHEN`


def sequence(program: str = "writers", revision: str = "r1", **more: object) -> Sequence:
    """Return a sequence."""
    return Sequence(revision, program, 1, **{"engine": "fiber", **more})  # type: ignore[arg-type]


def sums(runs: int, *, hits: dict[str, int] | None = None, classes: tuple[int, ...] = (), failed: int = 0) -> Sums:
    """Return sums over so many runs."""
    verdicts = {"PASS": runs - failed, **({"FAIL": failed} if failed else {})}
    sketch = ClassSketch.of(classes) if classes else None
    return Sums(runs, 100 * runs, 0.5 * runs, verdicts=verdicts, hits=hits or {}, sketch=sketch)


def batch(
    of: Sequence, first: int, stop: int, *, when: float = WHEN, campaign: str = CAMPAIGN, what: Sums | None = None
) -> Batch:
    """Return a batch that passed, unless it is told otherwise."""
    return Batch(of.key, first, stop, when, campaign, sums(stop - first) if what is None else what)


def drawn(seed: int, turns: int = 256) -> list[Batch]:
    """Return batches of two sequences, nested and equal ones among them, of several campaigns."""
    draw = random.Random(seed)
    found = []
    for _ in range(40):
        of = sequence(draw.choice(("writers", "readers")))
        length = 1 << draw.randrange(6)
        first = draw.randrange(turns // length) * length
        what = sums(
            length,
            hits={"bad": 1} if draw.random() < 0.2 else None,
            classes=tuple(draw.randrange(40) for _ in range(length)),
        )
        campaign = f"20231114T22132{draw.randrange(3)}-0000000b"
        found.append(batch(of, first, first + length, when=WHEN + draw.randrange(4000), campaign=campaign, what=what))
    return found
