"""A store with a few nights in it, for what is told of stores."""

from __future__ import annotations

from pathlib import Path

from mmrace.search.ledger.entry import Batch, Beat, Begun, Ended, Met, Sequence, Trial
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.sums import Sums

DAY = 86400.0
FIRST = 1_700_000_000.0  # 2023-11-14 22:13:20
HOST, PID = "tower", 4711
REVISIONS = ("1.0+aaaa", "1.0+aaaa", "1.0+bbbb", "1.0+cccc")
"""Of each night."""
COMMAND = "mmrace stress --for 8h --store nights"
NIGHT = 8 * 3600.0
MARKS = ["seen", "seldom", "never"]
SEEN, GONE, BACK, EXPECTED = (f"{letter * 12}" for letter in "abcd")
"""Findings: of each night; of the first two only; of the first and the last; known in 3.3."""

HITS = {
    0: {SEEN: 8, GONE: 400, BACK: 400, EXPECTED: 30},
    1: {SEEN: 9, GONE: 390, EXPECTED: 31},
    2: {SEEN: 7, EXPECTED: 29},
    3: {SEEN: 7, BACK: 399, "e" * 12: 1},
}
"""Night -> how often each finding was met, in 4096 runs of writers."""


def named(night: int) -> str:
    """Return the id of a night's campaign."""
    return f"2023111{4 + night}T221320-0000000{night}"


def sequence(night: int, role: str = "main", **more: str) -> Sequence:
    """Return what a night runs: each revision two nights, each night a seed."""
    return Sequence(REVISIONS[night], more.pop("program", "writers"), night + 1, "free", role=role, **more)  # type: ignore[arg-type]


def night(
    ledger: Ledger, number: int, *, end: Ended | None, when: float = 0.0, host: str = HOST, pid: int = PID
) -> None:
    """Write one night, which need not have ended."""
    name, begin = named(number), FIRST + number * DAY
    write = ledger._writer.add
    request = {"seconds": NIGHT, "seed": number + 1, "marks": MARKS}
    write(Begun(name, begin, host, pid, REVISIONS[number], "1.0", COMMAND, request))
    made = sequence(number)
    hits = HITS[number]
    sums = Sums(4096, 409_600, 900.0, verdicts={"PASS": 3000, "FAIL": 1096}, hits=hits, marks={"seen": 4000})
    if number < 2:
        sums.marks["seldom"] = 3
    ledger.add(Batch(made.key, 0, 4096, begin + 600, name, sums), made)
    other = sequence(number, program="readers")
    ledger.add(Batch(other.key, 0, 4096, begin + 700, name, Sums(4096, 4096, 9.0, verdicts={"PASS": 4096})), other)
    planted = sequence(number, "canary", trial="lost-copy", variant="lost-copy")
    ledger.add(Batch(planted.key, 0, 8, begin + 20, name, Sums(8, 80, 0.1, hits={"f" * 12: 1})), planted)
    for signature in hits:
        known = "R14" if signature == EXPECTED else ""
        title, command = f"title of {signature[0]}", f"mmrace run writers --seed {number}"
        met = Met(signature, "content", "word went back", title, known, "writers", folder=signature, command=command)
        met.campaign, met.when = name, begin + 500
        ledger.met(met)
    found = 3 + number if number != 2 else None
    write(Trial(name, begin + 30, "lost-copy", planted.key, found, found or 40, 40, 3 + number, 0, "content"))
    write(Trial(name, begin + 40, "no-freeze", planted.key, 1, 1, 9, 1, 0, "refcount"))
    ledger.beat(Beat(name, begin + 800, {"free.0": [50 << 20, 0, 9], "gate.1": [70 << 20, 1, 9]}, 12 << 30))
    if end is not None:
        write(end)


def ended(number: int, verdict: str = "FAIL", signal: int = 0) -> Ended:
    """Return the end of a night."""
    return Ended(named(number), FIRST + number * DAY + NIGHT, verdict, 1, signal, NIGHT)


def nights(folder: Path, *, last: Ended | None = None) -> Path:
    """Make a store of four nights; the last one ended as it is said, or has not."""
    with Ledger.open(folder) as ledger:
        for number in range(3):
            night(ledger, number, end=ended(number, signal=15 if number == 1 else 0))
        night(ledger, 3, end=last)
    return folder
