"""Turn a failed run of free threads into controlled ones with the same findings.

First a run follows the order of the free record; where that does not have a finding again, a search begins with ever
shorter parts of the record and draws the rest (`points.py`), until every signature has come or the time is up.
Invariant: a run that is handed out was replayed strictly, `REPLAYS` times, with that signature each time; a free run
is handed out as it was, with what was tried.  Not here: what is kept (`runs/store.py`).
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

from mmrace.oracles.general.judgement import Finding
from mmrace.runs import stops
from mmrace.runs.chosen import Chosen
from mmrace.runs.conversion import FOLLOWED, NEITHER, REFOUND, Conversion, kept_to
from mmrace.runs.follow import repeats
from mmrace.runs.judge import judge
from mmrace.runs.kept import RECORD
from mmrace.runs.play import play
from mmrace.runs.program import Makers, Program
from mmrace.runs.replay import REPLAYS
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime.errors import InternalError, MmraceError
from mmrace.runtime.record import Record
from mmrace.search.convert.points import Point, points
from mmrace.strategies import retrace
from mmrace.strategies.order.recorded import Recorded
from mmrace.strategies.retrace import Retrace, Way

ENGINE = "fiber"
RUNS_MAX = 2000  # of a search, however short they are
OTHERS_MAX = 3  # other findings that are told
Clock = Callable[[], float]


@dataclass(slots=True)
class _Trial:
    result: RunResult
    way: Way


def convert(
    free: RunResult,
    wanted: Collection[str],
    *,
    seconds: float,
    makers: Makers,
    search: bool = True,
    clock: Clock = time.monotonic,
) -> Mapping[str, RunResult]:
    """Return, for each wanted signature, a controlled run that has it, or the free one; both with their `conversion`.

    Args: free: a failed run, with its record.  seconds: of search.  search: not only follow.  A stop (`runs/stops.py`)
    ends it as if the time was up.  Raises InternalError.
    """
    return _Conversion(free, wanted, makers, clock).made(seconds if search else 0.0)


def follow_free(free: RunResult, makers: Makers) -> tuple[RunResult, Way]:
    """Return the controlled run along a free one, judged, and how far it followed.  Raises UsageError."""
    trial = _Conversion(free, (), makers, time.monotonic).trial()
    return trial.result, trial.way


class _Conversion:
    """One free run, on its way."""

    def __init__(self, free: RunResult, wanted: Collection[str], makers: Makers, clock: Clock) -> None:
        assert free.record is not None
        self.free, self.record, self.makers, self.clock = free, free.record, makers, clock
        self.began = clock()
        self.left = list(dict.fromkeys(wanted))
        self.found: dict[str, RunResult] = {}
        self.seen: dict[str, str] = {}  # titles of all that runs had, those that follow first
        self.recorded = Recorded(self.record)
        self.way = Way(self.recorded.total)  # of the run that follows to the end
        self.runs = 0  # of the search

    @cached_property
    def program(self) -> Program:
        return self.makers.program(self._spec(retrace.text("")))

    def made(self, seconds: float) -> Mapping[str, RunResult]:
        """Follow, search, and say what became of each signature."""
        broke = ""
        try:
            followed = self.trial()
            self.way = followed.way
            self._take(followed, None)
            if self.left and seconds > 0:
                self._search(followed, seconds)
        except stops.Unwanted:  # what is known by now is told
            pass
        except InternalError:
            raise
        except MmraceError as error:  # its files changed; or in another order it calls mmrace wrongly, or blocks
            broke = str(error)
        for signature in self.left:
            told = replace(self._conversion(NEITHER), others=self._others(signature), broke=broke)
            self.found[signature] = replace(self.free, conversion=told)
        return self.found

    def _others(self, signature: str) -> tuple[tuple[str, str], ...]:
        """Return what runs had instead of a finding, first what the free run did not have."""
        had = {finding.signature for finding in self.free.findings}
        rows = sorted((row for row in self.seen.items() if row[0] != signature), key=lambda row: row[0] in had)
        return tuple(rows[:OTHERS_MAX])

    def _search(self, followed: _Trial, seconds: float) -> None:
        """Draw what comes after parts of the record."""
        assert followed.result.record is not None
        partings = self.way.partings
        last = partings[0].step if partings else len(followed.result.record.masks)
        end = self.clock() + seconds
        for point in islice(points(last), RUNS_MAX):
            if not self.left or self.clock() >= end:
                break
            stops.check_wanted()
            self.runs += 1
            self._take(self.trial(point), point)

    # -- one run ----------------------------------------------------------------------------------------------------

    def _spec(self, strategy: str) -> RunSpec:
        return replace(self.free.spec, engine=ENGINE, strategy=strategy, noise="off", promote="all")

    def trial(self, point: Point | None = None) -> _Trial:
        """Make and judge one run along the record.  Args: point: where it stops following; None: at the end."""
        if point is None:
            text, strategy = retrace.text(""), Retrace(self.recorded)
        else:
            draw = random.Random(self.free.spec.seed).random
            text = retrace.text("", *point)
            strategy = Retrace(self.recorded, point.until, retrace.drawing(point.then, point.turn, draw))
        spec = self._spec(text)
        with play(self.program, spec, Chosen(strategy), sites=True) as played:
            result = judge(self.program, spec, played.record, played.seconds)
        return _Trial(result, strategy.way)

    def _take(self, trial: _Trial, point: Point | None) -> None:
        """Take what a run has of what is wanted, once it was replayed."""
        findings = {finding.signature: finding for finding in trial.result.findings}
        for signature, finding in findings.items():
            self.seen.setdefault(signature, finding.title)
        hits = [signature for signature in self.left if signature in findings]
        if not hits:
            return
        assert trial.result.record is not None
        repeated = replays(trial.result.record, self.makers)
        for signature in hits:
            if repeated[signature] == REPLAYS:
                self.left.remove(signature)
                self.found[signature] = self._controlled(trial.result, findings[signature], point)

    def _controlled(self, result: RunResult, finding: Finding, point: Point | None) -> RunResult:
        """Return a controlled run as it is kept for one of its findings, which is told first."""
        partings = self.way.partings
        how = FOLLOWED if point is None and kept_to(self.way, finding) else REFOUND
        common = point.until if point is not None else partings[0].step if partings else 0
        told = replace(self._conversion(how), common=common, replayed=REPLAYS)
        others = [other for other in result.findings if other.signature != finding.signature]
        return replace(result, findings=[finding, *others], free=self.record, conversion=told)

    def _conversion(self, how: str) -> Conversion:
        way = self.way
        parted = str(way.partings[0]) if way.partings else ""
        return Conversion(how, way.done, way.total, parted, self.runs, seconds=self.clock() - self.began)


def replays(made: Record, makers: Makers) -> Counter[str]:
    """Return in how many strict replays of a record, as a file has it, each signature came again."""
    with tempfile.TemporaryDirectory(prefix="mmrace-") as folder:
        path = Path(folder, RECORD)
        try:
            made.write(path)
            record = Record.read(path)
        except (MmraceError, OSError):  # it cannot be kept: then nothing is proved
            return Counter()

    def wanted() -> Record:
        stops.check_wanted()
        return record

    return repeats(wanted, makers)
