"""What a soak has to show: verdict, page and numbers, from samples, log and ledger.  Not here: the picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mmrace.search.ledger.index import Index
from stress.growth import HOUR_SECONDS, Slope, binned, slope
from stress.watched import CAMPAIGN, TRACKER, Seen

MIB = 1 << 20
GROWTH_MIB_PER_HOUR = 4.0  # a hundred MiB a day, which any machine has to spare for each process
GROWTH_SEEN_SECONDS = 1200.0
GROWTH_SEEN_RUNS = 4000  # of each job.  Caches that fill late look like growth in less
MORE_PER_HOUR = 8.0  # threads or open files; a run with more tasks than any before it is rare, and leaves its threads
WARM_RUNS = 2000  # of each job, or a quarter of a shorter soak: the time that takes depends on the machine
TOLD_EVENTS = ("worker-lost", "worker-unstarted", "trouble", "finding")
KEPT_POINTS = 120  # of each row in the numbers
SHOWN_LINES = 12


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment: seconds since the start, the processes, runs told so far, bytes of the ledger and of findings."""

    seconds: float
    processes: list[Seen]
    runs: int
    ledger: int
    findings: int
    folders: int


class Point(NamedTuple):
    """A process at a moment, when so many runs had been made since it was first seen."""

    seconds: float
    runs: int
    seen: Seen


@dataclass(slots=True)
class Soaked:
    """A soak that is over.

    Attributes: events: of the log, by `TOLD_EVENTS`.  sums: of the ledger.  left: processes that were left behind.
    complaints: what the campaign said on stderr.
    """

    plan: dict[str, Any]
    samples: list[Sample]
    events: list[dict[str, Any]]
    sums: dict[str, Any]
    code: int
    left: int
    seconds: float
    interrupted: bool
    verdict: str
    complaints: list[str]
    revision: str
    rows: dict[str, list[Point]] = field(init=False)
    """Process by name -> its samples."""

    def __post_init__(self) -> None:
        by_pid: dict[int, list[Point]] = {}
        first: dict[int, int] = {}
        for sample in self.samples:
            for seen in sample.processes:
                runs = sample.runs - first.setdefault(seen.pid, sample.runs)
                by_pid.setdefault(seen.pid, []).append(Point(sample.seconds, runs, seen))
        count = Counter[str]()
        self.rows = {}
        for row in by_pid.values():
            role = row[-1].seen.role  # at its very first it may be the parent's copy still
            if role == TRACKER:
                continue
            count[role] += 1
            self.rows[role if role == CAMPAIGN else f"{role} {count[role]}"] = row

    def warmed(self, name: str) -> list[Point]:
        """Return the samples of a process from when it is warm."""
        row = self.rows[name]
        warm = min(WARM_RUNS * self.plan["jobs"], row[-1].runs / 4)
        return [point for point in row if point.runs >= warm]

    def growth(self, name: str, value: Callable[[Seen], float]) -> Slope | None:
        """Return how a process grows per hour."""
        return slope([(point.seconds, value(point.seen)) for point in self.warmed(name)])

    def is_judged(self, name: str) -> bool:
        """Say whether enough was seen of a process to say that it grows."""
        warmed = self.warmed(name)
        seconds, runs = warmed[-1].seconds - warmed[0].seconds, warmed[-1].runs - warmed[0].runs
        return seconds >= GROWTH_SEEN_SECONDS and runs >= GROWTH_SEEN_RUNS * self.plan["jobs"]

    def wrong(self) -> list[str]:
        """Return what should not be."""
        return [*self._grown(), *self._told()]

    def _grown(self) -> Iterator[str]:
        for name in self.rows:
            for what, of, bound in GROWING:
                found = self.growth(name, of)
                if found is not None and found.low > bound and self.is_judged(name):
                    yield f"{name} grows by {found.per_hour:.1f} {what} per hour, at least {found.low:.1f}"

    def _told(self) -> Iterator[str]:
        if self.left:
            yield f"{self.left} processes were left behind"
        expected = {0, 5, 130} if self.interrupted else {0, 5}
        if self.code not in expected:
            yield f"exit code {self.code}: {self.verdict}"
        for event in self.events:
            yield f"{event['event']}: {event['text']}"
        for line in self.complaints:
            yield f"on stderr: {line}"
        for damage in self.sums.get("damage", ()):
            yield f"damage: {damage}"


def memory(seen: Seen) -> float:
    """Return the memory that is a process's own, in MiB; all that is resident where nobody tells which is."""
    return (seen.private or seen.rss) / MIB


GROWING: tuple[tuple[str, Callable[[Seen], float], float], ...] = (
    ("MiB", memory, GROWTH_MIB_PER_HOUR),
    ("threads", lambda seen: seen.threads, MORE_PER_HOUR),
    ("open files", lambda seen: seen.fds, MORE_PER_HOUR),
)
"""What may not grow, and by how much an hour."""


# -- the page -------------------------------------------------------------------------------------------------------


def page(soaked: Soaked) -> str:
    """Return all of it for the eye."""
    return "\n".join([*_head(soaked), "", *_table(soaked), "", *_counts(soaked), "", *_verdict(soaked)]) + "\n"


def _head(soaked: Soaked) -> Iterator[str]:
    plan = soaked.plan
    beside = [
        f"beside {plan['load']} busy loops" if plan["load"] else "",
        f"on processors {', '.join(map(str, plan['cpus']))} only" if plan["cpus"] else "",
        f"nice {plan['nice']}" if plan["nice"] else "",
        f"all stopped once for {plan['lid']:g} s" if plan["lid"] else "",
    ]
    yield f"soak of {soaked.revision}: {soaked.seconds / 60:.1f} min, {plan['jobs']} jobs" + "".join(
        f", {text}" for text in beside if text
    )
    if plan["more"]:
        yield f"mmrace stress {' '.join(plan['more'])}"
    if soaked.interrupted:
        yield "interrupted: what it has up to there"


def _table(soaked: Soaked) -> Iterator[str]:
    yield "growth: of a process's own memory when it is warm, MiB per hour, with its interval of 95 %; and KiB per run"
    yield ""
    head = f"{'process':11}{'min':>7}{'RSS':>7}{'own':>7}{'last':>7}{'growth':>9}{'interval':>18}{'per run':>9}"
    yield f"{head}{'judged':>8}{'threads':>10}{'files':>10}{'CPU':>7}"
    for name, row in soaked.rows.items():
        warmed, last = soaked.warmed(name), row[-1]
        found = soaked.growth(name, memory)
        by_run = slope([(float(point.runs), memory(point.seen)) for point in warmed])
        told = ("-", "-") if found is None else (f"{found.per_hour:+.1f}", f"{found.low:+.1f} to {found.high:+.1f}")
        each = "-" if by_run is None else f"{by_run.per_hour / HOUR_SECONDS * 1024:+.2f}"
        threads, fds = [point.seen.threads for point in warmed], [point.seen.fds for point in warmed]
        seconds = last.seconds - row[0].seconds
        yield (
            f"{name:11}{seconds / 60:7.1f}{last.seen.rss / MIB:7.1f}{memory(warmed[0].seen):7.1f}"
            f"{memory(last.seen):7.1f}{told[0]:>9}{told[1]:>18}{each:>9}{'yes' if soaked.is_judged(name) else 'no':>8}"
            f"{f'{min(threads)} to {max(threads)}':>10}{f'{min(fds)} to {max(fds)}':>10}"
            f"{100 * last.seen.cpu_seconds / max(seconds, 1e-9):5.0f} %"
        )
    if not all(map(soaked.is_judged, soaked.rows)):
        runs = GROWTH_SEEN_RUNS * soaked.plan["jobs"]
        yield f"not judged: fewer than {runs:,} runs, or {GROWTH_SEEN_SECONDS / 60:g} minutes, since it is warm"


def _counts(soaked: Soaked) -> Iterator[str]:
    last = soaked.samples[-1] if soaked.samples else None
    if last is not None:
        runs = soaked.sums.get("runs") or last.runs
        yield f"runs: {runs:,}, {runs / max(soaked.seconds, 1e-9):.2f}/s"
        yield f"ledger: {last.ledger / 1024:.0f} KiB"
        yield f"findings: {last.findings / 1024:.0f} KiB in {last.folders} folders"
    for event in TOLD_EVENTS:
        name = "findings that are not known" if event == "finding" else event.replace("-", " ")
        yield f"{name}: {sum(one['event'] == event for one in soaked.events)}"
    yield f"runs that could not be judged: {sum(soaked.sums.get('unknown', {}).values())}"
    for reason, times in soaked.sums.get("unknown", {}).items():
        yield f"    {times} x {reason}"
    yield f"left behind: {soaked.left} processes"


def _verdict(soaked: Soaked) -> Iterator[str]:
    yield f"the campaign's last line: {soaked.verdict}"
    wrong = soaked.wrong()
    yield f"{len(wrong)} things are wrong" if wrong else "nothing is wrong"
    yield from (f"    {text}" for text in wrong[:SHOWN_LINES])


# -- what is kept ---------------------------------------------------------------------------------------------------


def numbers(soaked: Soaked) -> dict[str, Any]:
    """Return all of it as JSON data, of each row of samples so many points."""

    def thinned(row: list[Point], of: Callable[[Seen], float]) -> list[tuple[float, float]]:
        points = binned([(point.seconds, of(point.seen)) for point in row], KEPT_POINTS)
        return [(round(a, 1), round(b, 2)) for a, b in points]

    processes = {
        name: {
            "rss_mib": thinned(row, lambda seen: seen.rss / MIB),
            "own_mib": thinned(row, memory),
            "threads": thinned(row, lambda seen: seen.threads),
            "files": thinned(row, lambda seen: seen.fds),
            "growth": None if (found := soaked.growth(name, memory)) is None else asdict(found),
        }
        for name, row in soaked.rows.items()
    }
    rows = {
        what: binned([(round(sample.seconds, 1), getattr(sample, what)) for sample in soaked.samples], KEPT_POINTS)
        for what in ("runs", "ledger", "findings", "folders")
    }
    told = ("plan", "revision", "seconds", "code", "left", "interrupted", "verdict", "events", "complaints", "sums")
    return {**{name: getattr(soaked, name) for name in told}, "wrong": soaked.wrong(), **rows, "processes": processes}


def sums_of(store: Path) -> dict[str, Any]:
    """Return what the ledger has of runs, and why some of them could not be judged."""
    index = Index.read_only(store)
    try:
        sums = index.sums()
        damage = [str(damage) for damage in index.damage]
    finally:
        index.close()
    unknown = {reason: times for reason, times in sums.unknown.items() if times}
    return {"runs": sums.runs, "ops": sums.ops, "verdicts": sums.verdicts, "unknown": unknown, "damage": damage}
