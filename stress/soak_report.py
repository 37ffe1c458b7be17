"""What a soak has to show: verdict, page and numbers, from samples, log and ledger.  Not here: the picture.

Whether a worker leaks is asked of its living objects, which it tells with each heartbeat, and not of its memory: the
allocator keeps much of what a long run needed, in steps that become rarer and look like growth for hours.  Objects are
counted in blocks, of which a large one has one at most; so memory is judged as well, by a bound, since the length of a
run has one, and by a growth that no such steps explain.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from mmrace.search.ledger.index import Index
from stress.growth import HOUR_SECONDS, Slope, binned, slope
from stress.watched import CAMPAIGN, TRACKER, Seen

MIB = 1 << 20
GROWTH_MIB_PER_HOUR = 4.0  # a hundred MiB a day, which any machine has to spare for each process
GROWTH_BLOCKS_PER_HOUR = 40_000.0  # of living objects: about as much, if they are small
WORKER_GROWTH_MIB_PER_HOUR = 30.0  # of memory, its steps included
MIB_MAX = 400.0  # a run of as many ops as one may have takes half of that
BLOCKS_MAX = 1_000_000  # between two runs; caches that are full have half of that
THREADS_MAX = 48.0  # kept for the next run; the largest cast needs 38
GROWTH_SEEN_SECONDS = 1200.0
GROWTH_SEEN_RUNS = 4000  # of each job.  Caches that fill late look like growth in less
MORE_PER_HOUR = 8.0  # threads or open files
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


class Life(NamedTuple):
    """What a worker said of itself: seconds since the start, blocks of living objects, threads that no run owns."""

    seconds: float
    blocks: int
    stray: int


class Point(NamedTuple):
    """A process at a moment, when so many runs had been made since it was first seen."""

    seconds: float
    runs: int
    seen: Seen


@dataclass(slots=True)
class Soaked:
    """A soak that is over.

    Attributes: events: of the log, by `TOLD_EVENTS`.  sums: of the ledger.  left: processes that were left behind.
    complaints: what the campaign said on stderr.  lives: by the name that the campaign has for a worker.
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
    lives: dict[str, list[Life]] = field(default_factory=dict)
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
        return self._is_enough(warmed[0].seconds, warmed[-1].seconds)

    def warmed_life(self, name: str) -> list[Life]:
        """Return what a worker said from when it was warm."""
        life = self.lives[name]
        runs = self._runs_until(life[-1].seconds) - (begun := self._runs_until(life[0].seconds))
        warm = begun + min(WARM_RUNS * self.plan["jobs"], runs / 4)
        return [one for one in life if self._runs_until(one.seconds) >= warm]

    def living(self, name: str) -> Slope | None:
        """Return by how many blocks of living objects a worker grows per hour."""
        return slope([(one.seconds, float(one.blocks)) for one in self.warmed_life(name)])

    def is_life_judged(self, name: str) -> bool:
        """Say whether enough was heard of a worker to say that it grows."""
        warmed = self.warmed_life(name)
        return self._is_enough(warmed[0].seconds, warmed[-1].seconds)

    def _is_enough(self, first: float, last: float) -> bool:
        runs = self._runs_until(last) - self._runs_until(first)
        return last - first >= GROWTH_SEEN_SECONDS and runs >= GROWTH_SEEN_RUNS * self.plan["jobs"]

    def _runs_until(self, seconds: float) -> int:
        """Return how many runs were told of by then."""
        at = bisect_right(self.samples, seconds, key=lambda sample: sample.seconds)
        return self.samples[at - 1].runs if at else 0

    def wrong(self) -> list[str]:
        """Return what should not be."""
        return [*self._grown(), *self._told()]

    def _grown(self) -> Iterator[str]:
        for name, row in self.rows.items():
            for what, of, bound in GROWING_OF_CAMPAIGN if name == CAMPAIGN else GROWING:
                found = self.growth(name, of)
                if found is not None and found.low > bound and self.is_judged(name):
                    yield f"{name} grows by {found.per_hour:.1f} {what} per hour, at least {found.low:.1f}"
            for what, of, bound in BOUNDED:
                if (most := max(of(point.seen) for point in row)) > bound:
                    yield f"{name} had {most:.0f} {what}, at most {bound:.0f} are expected"
        for name, life in self.lives.items():
            if life[-1].stray:
                yield f"{name} has {life[-1].stray} threads in the end that no run owns"
            if life[-1].blocks > BLOCKS_MAX:
                yield f"{name} has {life[-1].blocks:,} living blocks in the end, at most {BLOCKS_MAX:,} are expected"
            found = self.living(name)
            if found is not None and found.low > GROWTH_BLOCKS_PER_HOUR and self.is_life_judged(name):
                yield f"{name} grows by {found.per_hour:,.0f} living blocks per hour, at least {found.low:,.0f}"

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


Rules: TypeAlias = tuple[tuple[str, Callable[[Seen], float], float], ...]
FILES: Rules = (("open files", lambda seen: seen.fds, MORE_PER_HOUR),)
GROWING: Rules = (("MiB", memory, WORKER_GROWTH_MIB_PER_HOUR), *FILES)
GROWING_OF_CAMPAIGN: Rules = (
    ("MiB", memory, GROWTH_MIB_PER_HOUR),
    ("threads", lambda seen: seen.threads, MORE_PER_HOUR),
    *FILES,
)
"""What may not grow, and by how much an hour.  The campaign's own process makes no runs before it minimises."""
BOUNDED: Rules = (("MiB", memory, MIB_MAX), ("threads", lambda seen: seen.threads, THREADS_MAX))
"""Of what a process may have so much."""


# -- the page -------------------------------------------------------------------------------------------------------


def page(soaked: Soaked) -> str:
    """Return all of it for the eye."""
    parts = (_head(soaked), _table(soaked), _lives(soaked), _counts(soaked), _verdict(soaked))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


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


def _lives(soaked: Soaked) -> Iterator[str]:
    yield "living objects of the workers, thousands of blocks, as they told them; growth when warm, with its interval"
    yield ""
    head = f"{'worker':14}{'first':>8}{'warm':>8}{'last':>8}{'growth/h':>10}{'interval':>18}"
    yield f"{head}{'judged':>8}{'stray threads':>15}"
    for name, life in soaked.lives.items():
        found = soaked.living(name)
        told = ("-", "-") if found is None else (_thousands(found.per_hour), _interval(found))
        yield (
            f"{name:14}{life[0].blocks / 1000:8.1f}{soaked.warmed_life(name)[0].blocks / 1000:8.1f}"
            f"{life[-1].blocks / 1000:8.1f}{told[0]:>10}{told[1]:>18}"
            f"{'yes' if soaked.is_life_judged(name) else 'no':>8}{max(one.stray for one in life):15}"
        )


def _thousands(blocks: float) -> str:
    return f"{blocks / 1000:+.1f}"


def _interval(found: Slope) -> str:
    return f"{_thousands(found.low)} to {_thousands(found.high)}"


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
    lives = {
        name: binned([(round(one.seconds, 1), float(one.blocks)) for one in life], KEPT_POINTS)
        for name, life in soaked.lives.items()
    }
    made = {"wrong": soaked.wrong(), **rows, "processes": processes, "living_blocks": lives}
    return {**{name: getattr(soaked, name) for name in told}, **made}


def sums_of(store: Path) -> dict[str, Any]:
    """Return what the ledger has of runs, and why some of them could not be judged."""
    with closing(Index.read_only(store)) as index:
        sums = index.sums()
        damage = [str(damage) for damage in index.damage]
    unknown = {reason: times for reason, times in sums.unknown.items() if times}
    return {"runs": sums.runs, "ops": sums.ops, "verdicts": sums.verdicts, "unknown": unknown, "damage": damage}


def lives_of(store: Path, began: float) -> dict[str, list[Life]]:
    """Return what the workers said of themselves.  Args: began: when, by the clock that the heartbeats have."""
    lives: dict[str, list[Life]] = {}
    with closing(Index.read_only(store)) as index:
        for campaign in index.campaigns():
            for beat in index.beats(campaign.campaign):
                for name, numbers in beat.workers.items():
                    _, stray, _, blocks = (*numbers, 0, 0, 0, 0)[:4]
                    lives.setdefault(name, []).append(Life(beat.when - began, blocks, stray))
    return lives
