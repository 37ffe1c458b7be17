"""What a soak has to show: verdict, page and numbers, from samples, log and ledger.  Not here: the picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmrace.search.ledger.index import Index
from stress.growth import Slope, binned, slope
from stress.watched import CAMPAIGN, TRACKER, Seen

MIB = 1 << 20
GROWTH_MIB_PER_HOUR = 4.0  # a hundred MiB a day, which any machine has to spare for each process
GROWTH_SEEN_SECONDS = 1200.0  # caches that fill late look like growth in less
MORE_MAX = 8  # threads or open files that a process may have more at the end than when it was warm
WARM_SECONDS = 120.0  # or a quarter of a shorter one
TOLD_EVENTS = ("worker-lost", "worker-unstarted", "trouble", "finding")
KEPT_POINTS = 240  # of each row in the numbers
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
    rows: dict[str, list[tuple[float, Seen]]] = field(init=False)
    """Process by name -> its samples."""

    def __post_init__(self) -> None:
        by_pid: dict[int, list[tuple[float, Seen]]] = {}
        for sample in self.samples:
            for seen in sample.processes:
                by_pid.setdefault(seen.pid, []).append((sample.seconds, seen))
        count = Counter[str]()
        self.rows = {}
        for row in by_pid.values():
            role = row[-1][1].role  # at its very first it may be the parent's copy still
            if role == TRACKER:
                continue
            count[role] += 1
            self.rows[role if role == CAMPAIGN else f"{role} {count[role]}"] = row

    @property
    def warm(self) -> float:
        """From which second on growth counts."""
        return min(WARM_SECONDS, self.seconds / 4)

    def warmed(self, name: str) -> list[tuple[float, Seen]]:
        """Return the samples of a process from when it is warm, which one that began later is later."""
        row = self.rows[name]
        return [(when, seen) for when, seen in row if when >= row[0][0] + self.warm]

    def growth(self, name: str, value: Callable[[Seen], float]) -> Slope | None:
        """Return how a process grows."""
        return slope([(when, value(seen)) for when, seen in self.warmed(name)])

    def wrong(self) -> list[str]:
        """Return what should not be."""
        return [*self._grown(), *self._told()]

    def _grown(self) -> Iterator[str]:
        for name in self.rows:
            found = self.growth(name, memory)
            if found is not None and found.seconds >= GROWTH_SEEN_SECONDS and found.low > GROWTH_MIB_PER_HOUR:
                yield f"{name} grows by {found.per_hour:.1f} MiB per hour, at least {found.low:.1f}"
            warmed = self.warmed(name)
            for what, of in (("threads", lambda seen: seen.threads), ("open files", lambda seen: seen.fds)):
                quarter = len(warmed) // 4
                if quarter and (more := _median(warmed[-quarter:], of) - _median(warmed[:quarter], of)) > MORE_MAX:
                    yield f"{name} has {more:g} {what} more at the end than when it was warm"

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


def _median(row: list[tuple[float, Seen]], of: Callable[[Seen], int]) -> float:
    values = sorted(of(seen) for _, seen in row)
    return float(values[len(values) // 2])


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
    yield f"growth is the process's own memory, MiB per hour, from {soaked.warm:.0f} s on, with its interval of 95 %"
    yield ""
    head = f"{'process':12}{'seconds':>9}{'RSS':>8}{'own':>8}{'own, last':>11}{'growth':>9}{'interval':>20}"
    yield f"{head}{'threads':>12}{'files':>10}{'CPU':>7}"
    for name, row in soaked.rows.items():
        warmed = soaked.warmed(name) or row[-1:]
        seconds, last = row[-1][0] - row[0][0], row[-1][1]
        found = soaked.growth(name, memory)
        told = ("-", "-") if found is None else (f"{found.per_hour:+.1f}", f"{found.low:+.1f} to {found.high:+.1f}")
        own = [memory(seen) for _, seen in warmed]
        threads, fds = [seen.threads for _, seen in warmed], [seen.fds for _, seen in warmed]
        yield (
            f"{name:12}{seconds:9.0f}{last.rss / MIB:8.1f}{own[0]:8.1f}{own[-1]:11.1f}{told[0]:>9}{told[1]:>20}"
            f"{f'{min(threads)} to {max(threads)}':>12}{f'{min(fds)} to {max(fds)}':>10}"
            f"{100 * last.cpu_seconds / max(seconds, 1e-9):5.0f} %"
        )


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

    def thinned(row: list[tuple[float, Seen]], of: Callable[[Seen], float]) -> list[tuple[float, float]]:
        return [(round(a, 1), round(b, 2)) for a, b in binned([(when, of(seen)) for when, seen in row], KEPT_POINTS)]

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
