"""Stores written through a ledger: two nights, of which the later one is looked at."""

from __future__ import annotations

import random
from pathlib import Path

from mmrace import installed
from mmrace.examples import lost_update
from mmrace.runs import functions
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore
from mmrace.search.ledger.entry import Batch, Beat, Ended, Met, Sequence, Trial
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.sketch import ClassSketch
from mmrace.search.ledger.sums import Sums

BEGAN = 1_796_072_400.0  # 2026-11-30 21:00 UTC
HOUR, DAY = 3600.0, 86400.0
FAIR = "r1"
PROGRAM = "async-vs-commit"
MARKS = ["async back-out", "ring walked"]


def sequence(
    engine: str = "gate", role: str = "main", trial: str = "", program: str = PROGRAM, seed: int = 1
) -> Sequence:
    """Return a sequence of tonight's revision."""
    return Sequence(FAIR, program, seed, engine, role, trial, strategy="portfolio")  # type: ignore[arg-type]


def sums(runs: int, *, hits: dict[str, int] | None = None, seed: int = 0, classes: int = 400) -> Sums:
    """Return what came of so many runs."""
    draw = random.Random(seed)
    failed = min(runs, sum((hits or {}).values()))
    sketch = ClassSketch.of(draw.getrandbits(61) % classes * 7919 for _ in range(runs)).cut()
    return Sums(
        runs,
        900 * runs,
        0.2 * runs,
        verdicts={"PASS": runs - failed, **({"FAIL": failed} if failed else {})},
        counters={"migrations.tried": 10 * runs, "migrations.refused.buffer-lock": runs, "commits": 2 * runs},
        marks={"ring walked": runs},
        hits=hits or {},
        sketch=sketch,
    )


class Night:
    """Writes one campaign into a store, batch after batch."""

    def __init__(self, ledger: Ledger, began: float, command: str = "mmrace stress --for 8h") -> None:
        self.ledger, self.when = ledger, began
        self.campaign = ledger.begin(command=command, request={"marks": MARKS, "unplanted": ["rare"]}, when=began)

    def batches(self, of: Sequence, lengths: list[int], **how: object) -> None:
        """Add batches, one each ten minutes.  `lengths`: powers of two, each a divisor of what comes before it."""
        first = 0
        for length in lengths:
            self.when += 600.0
            what = sums(length, seed=first, **how)  # type: ignore[arg-type]
            self.ledger.add(Batch(of.key, first, first + length, self.when, self.campaign, what), of)
            first += length

    def trial(self, canary: str, found_after: int | None, tried: int) -> None:
        """Note what came of a canary."""
        trial = Trial(self.campaign, self.when, canary, "", found_after, tried, 60, tried, 0, "refcount")
        self.ledger.trial(trial)

    def end(self, verdict: str = "PASS", **more: object) -> None:
        """End it."""
        code = {"PASS": 0, "FAIL": 1}.get(verdict, 5)
        ended = Ended(self.campaign, self.when, verdict, code, 0, 8 * HOUR, **more)  # type: ignore[arg-type]
        self.ledger.ended(ended)


def met(signature: str, title: str, *, known: str = "", when: float = BEGAN, campaign: str = "") -> Met:
    """Return the words of a finding."""
    command = f"mmrace run {PROGRAM} --seed 7"
    return Met(signature, "locks", "unlock", title, known, PROGRAM, "", "", signature, command, campaign, when)


def write(store: Path, *, good: bool = False) -> str:
    """Write two nights; return the campaign of the later one.

    In the earlier one "old" was seen, and in the later one, unless it is a good one, "old" again and "fresh".
    """
    with Ledger.open(store) as ledger:
        before = Night(ledger, BEGAN - DAY)
        before.batches(sequence(), [1, 1, 2, 4, 8], hits=None if good else {"old": 1})
        if not good:
            ledger.met(met("old", "unlock by a stranger", when=before.when, campaign=before.campaign))
        before.trial("async-backout", 9, 9)
        before.end("PASS" if good else "FAIL")
    with Ledger.open(store) as ledger:
        night = Night(ledger, BEGAN)
        fail = None if good else {"old": 1, "fresh": 1}
        night.batches(sequence("free"), [1, 1, 2, 4, 8, 16], hits=fail)
        night.batches(sequence("gate", program="drop-vs-commit"), [1, 1, 2, 4])
        night.batches(sequence("free", "canary", "async-backout"), [1, 1, 2], hits={"planted": 1})
        night.batches(sequence("free", "twin", "async-backout"), [1, 1, 2])
        for place in range(6):
            workers = {"worker-1": [60_000_000 + place * 4096, 0, 12], "worker-2": [61_000_000, place // 5, 12]}
            ledger.beat(Beat(night.campaign, BEGAN + place * 900.0, workers, 10**9))
        if not good:
            ledger.met(met("old", "unlock by a stranger", when=night.when, campaign=night.campaign))
            ledger.met(met("fresh", "a lost copy", when=night.when, campaign=night.campaign))
        night.trial("async-backout", 4, 4)
        losses = {} if good else {"was killed by SIGKILL": 2}
        night.end("PASS" if good else "FAIL", losses=losses, unkept_runs=0 if good else 3)
    return night.campaign


def failing() -> RunResult:
    """Return a run that shows a lost update."""
    for seed in range(200):
        spec = RunSpec(
            f"{lost_update.__file__}:main", maker=functions.KIND, engine="fiber", strategy="random", seed=seed
        )
        result = installed.run_one(spec)
        if result.verdict == "FAIL" and result.record is not None:
            return result
    raise AssertionError("no seed shows the lost update")


def with_folder(store: Path) -> str:
    """Write a night whose one finding has its folder; return its signature."""
    result = failing()
    FindingStore(store / "findings").save(result)
    finding = result.findings[0]
    of = Sequence(FAIR, result.spec.program, 1, "fiber", maker=functions.KIND)
    with Ledger.open(store) as ledger:
        night = Night(ledger, BEGAN)
        night.batches(of, [1, 1, 2], hits={finding.signature: 1})
        words = Met(finding.signature, finding.oracle, finding.rule, finding.title, "", result.spec.program)
        ledger.met(words)
        night.end("FAIL")
    return finding.signature
