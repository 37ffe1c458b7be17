"""Nights made by hand, for tests of what a page says of them."""

from __future__ import annotations

from mmrace.report.night.facts import (
    Campaign,
    Canary,
    Classes,
    Counted,
    Estimate,
    Expected,
    Felt,
    Finding,
    Marks,
    Moment,
    Night,
    Program,
    Ranges,
    Refused,
    StoryOf,
    Trial,
    Worker,
)
from mmrace.report.night.lanes import Picture, picture_of
from mmrace.story.facts import Row, Table

BEGAN = 1_796_072_400.0  # 2026-11-30 21:00 UTC
HOUR = 3600.0
RUNS = 120_000

HOLDS = {"one": (0,)}
TABLE = Table(
    ("one", "other"),
    (
        Row(1, "one", "lock box.lock", "play", "taken here", held=HOLDS, takes=0, leaves="preempted", causal="1<"),
        Row(2, "other", "trylock box.lock: busy", "meddle", named=True, held=HOLDS),
        Row(3, "other", "unlock box.lock", "meddle", held={}, drops=0, dropped="one", causal=">1", named=True),
        Row(None, "one", "unlock box.lock: never came"),
    ),
    40,
)


def picture(title: str = "a finding") -> Picture:
    """Return the picture of a small story."""
    drawn = picture_of(TABLE, title)
    assert drawn is not None
    return drawn


def classes(met: int, runs: int) -> Classes:
    """Return classes of which a third was met once."""
    once = met // 3
    new = once / runs
    return Classes(
        met, runs, met < 4096, once, Estimate(new, new * 0.9, new * 1.1), Estimate(met * 1.4, met * 1.2, met * 1.8)
    )


def counted(runs: int, failed: int = 0, unknown: int = 0) -> Counted:
    """Return sums over so many runs."""
    return Counted(runs, runs * 900, runs * 0.21, runs - failed - unknown, failed, unknown, unknown)


def moments(hours: int = 8) -> tuple[Moment, ...]:
    """Return an hourly row of moments."""
    each = RUNS // hours
    return tuple(
        Moment(
            BEGAN + (i + 1) * HOUR,
            HOUR,
            {"free": each * 3 // 4, "gate": each // 4},
            classes(int(20_000 * (1 - 0.7 ** (i + 1))), each * (i + 1)),
        )
        for i in range(hours)
    )


def finding(state: str = "new", *, title: str = "unlock by a stranger", known: str = "", tonight: int = 3) -> Finding:
    """Return a finding with its story."""
    story = StoryOf(
        "Other unlocks what one holds.",
        "a lock is let go by its holder",
        "other let go",
        picture=picture(title),
    )
    return Finding(
        signature="bc0eb156440c",
        title=title,
        oracle="locks",
        rule="unlock by a stranger",
        program="async-vs-commit",
        variant="",
        era="",
        state=state,
        known=known,
        tonight=tonight,
        of=4_000,
        hits=tonight + 2,
        runs=9_000,
        rate=Estimate(0.0005, 0.0002, 0.0013),
        first_when=BEGAN - 50 * HOUR,
        first_revision="0.1.0-aaaa",
        last_when=BEGAN + 3 * HOUR,
        last_revision="0.1.0-bbbb",
        seen=((BEGAN - 50 * HOUR, 2), (BEGAN + 3 * HOUR, tonight)),
        commands=("mmrace replay .mmrace/findings/bc0eb156440c/record.jsonl",),
        folder=".mmrace/findings/bc0eb156440c",
        story=story,
    )


def trial(found_after: int | None = 7, *, tried: int = 0, when: float = BEGAN, cap: int = 60) -> Trial:
    """Return a trial of a canary."""
    made = found_after or tried
    return Trial(when, "one", found_after, made, cap, made, 0)


def campaign(
    verdict: str = "PASS", *, name: str = "one", began: float = BEGAN, command: str = "mmrace stress --for 8h"
) -> Campaign:
    """Return a campaign of eight hours."""
    code = {"PASS": 0, "FAIL": 1, "UNKNOWN": 5}.get(verdict)
    seconds = 8 * HOUR if verdict else None
    return Campaign(name, began, command, "host", "0.1.0-bbbb", "0.1.0", verdict, code, 0, seconds)


def worker(name: str, growth: int = 0) -> Worker:
    """Return a worker that told how it is each quarter of an hour."""
    samples = [Felt(BEGAN + i * 900.0, 60_000_000 + growth * i, 0, 12, 400_000 + growth * i // 100) for i in range(33)]
    return Worker(name, "one", tuple(samples))


def night(**changes: object) -> Night:
    """Return a night in which all went well, but for the changes."""
    facts: dict[str, object] = {
        "store": ".mmrace",
        "chosen": "the newest campaign",
        "since": BEGAN,
        "until": BEGAN + 8 * HOUR,
        "campaigns": (campaign(),),
        "total": counted(RUNS, unknown=12),
        "twins": counted(300),
        "planted": counted(260, failed=30),
        "programs": tuple(
            Program(name, "", "", engine, counted(runs), classes(runs // 8, runs))
            for name, engine, runs in (("async-vs-commit", "free", 90_000), ("async-vs-commit", "gate", 30_000))
        ),
        "classes": classes(18_847, RUNS),
        "moments": moments(),
        "canaries": tuple(
            Canary(name, "refcount", (trial(after),), (trial(after + 2, when=BEGAN - 24 * HOUR),))
            for name, after in (("async-backout", 3), ("no-wake", 21), ("double-put", 1))
        ),
        "marks": Marks({"async back-out": 812, "ring walked": 90_211}, ()),
        "expected": (Expected("R14", 40, 812),),
        "refused": (Refused("migrations", (("buffer-lock", 900), ("busy", 14)), 20_000),),
        "counters": (("commits", 44_012),),
        "ranges": (
            Ranges("00aa", "async-vs-commit", "main", "gate", "portfolio", 1, ((0, 4096), (2**40, 2**40 + 7)), "bbbb"),
        ),
        "workers": (worker("worker-1"), worker("worker-2", 200_000)),
        "earlier": 3,
    }
    return Night(**{**facts, **changes})  # type: ignore[arg-type]
