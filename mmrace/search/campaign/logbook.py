"""What a campaign writes into the ledger of its store: batches of runs, findings in words, how it goes, how it ended.

Invariant: a run is in the ledger once, in the piece of its sequence that was made; what of a batch was not made is not.
Without a ledger all is forgotten.  Not here: how a line gets to the disk (`search/ledger/`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

from mmrace.runs.spec import RunResult
from mmrace.search.campaign.restoring import hit_of, untold
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.campaign.standing import Standing
from mmrace.search.campaign.trial import CanaryTrial
from mmrace.search.ledger.entry import Batch, Beat, Ended, Met, Sequence, Trial, now
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.ranges import pieces
from mmrace.search.ledger.sketch import ClassSketch
from mmrace.search.ledger.sums import Sums
from mmrace.search.pool.messages import Health, Job
from mmrace.search.totals import Hit, Tally

BEAT_SECONDS = 10.0
"""A night has some thousand beats: half a megabyte."""
TROUBLE_CHARS = 500

Source: TypeAlias = tuple[str, str]
"""(role, source) of a job."""


@dataclass(slots=True)
class _Made:
    """What came of one turn.  `result`: None if no worker survived it."""

    result: RunResult | None
    hits: list[str] = field(default_factory=list)


class Logbook:
    """The logbook of a campaign.

    Args: ledger: None: nothing is kept.  sequences: what the jobs of a source belong to.  clock: unix seconds.
    """

    def __init__(
        self,
        ledger: Ledger | None,
        sequences: Mapping[Source, Sequence],
        clock: Callable[[], float] = now,
    ) -> None:
        self.ledger, self.sequences, self.clock = ledger, sequences, clock
        self.campaign = ""
        self._made: dict[Source, dict[int, _Made]] = {}
        self._lost: dict[tuple[Source, int], list[str]] = {}
        self._workers: dict[str, list[int]] = {}
        self._beaten: float | None = None

    def begin(self, standing: Standing, request: Mapping[str, object], command: str) -> None:
        """Write down that the campaign begins, or goes on."""
        if self.ledger is None:
            return
        if standing.campaign:
            self.ledger.resume(standing.campaign, standing.seconds)
        else:
            standing.campaign = self.ledger.begin(command=command, request=request)
        self.campaign = standing.campaign
        self.ledger.flush(sync=True)

    def before(self, findings: Path, standing: Standing) -> list[Hit]:
        """Note what is kept and was never told: of before there was a ledger, or of who was killed before it told.

        Return what is of this campaign, which goes on.
        """
        if self.ledger is None or not findings.is_dir():
            return []
        told = {met.whose for met in self.ledger.index().mets()}
        mine = []
        for met in untold(findings, told):
            if standing.begun and met.when >= int(standing.begun):
                mine.append(hit_of(met, "main", 0, findings))
            else:
                self.ledger.met(met)
        return mine

    # -- runs -------------------------------------------------------------------------------------------------------

    def take(self, job: Job, result: RunResult | None, hits: Iterable[Hit] = ()) -> None:
        """Note a run that was made; without a result, one that no worker survives."""
        if self.ledger is not None:
            made = _Made(result, [hit.finding.signature for hit in hits])
            made.hits += self._lost.pop(((job.role, job.source), job.index), [])
            self._made.setdefault((job.role, job.source), {})[job.index] = made

    def lost(self, job: Job, hit: Hit) -> None:
        """Note that a worker was lost during a run, which is made again or given up."""
        self._lost.setdefault(((job.role, job.source), job.index), []).append(hit.finding.signature)

    def over(self, jobs: Iterable[Job]) -> None:
        """Write down what was made of a batch, which is over."""
        turns: dict[Source, dict[int, _Made]] = {}
        for job in jobs:
            made = self._made.get((job.role, job.source), {}).pop(job.index, None)
            if made is not None:
                turns.setdefault((job.role, job.source), {})[job.index] = made
        for source, found in turns.items():
            self._write(source, found)

    def _write(self, source: Source, made: Mapping[int, _Made]) -> None:
        assert self.ledger is not None
        sequence, when = self.sequences[source], self.clock()
        for first, stop in _ranges(made):
            for begin, end in pieces(first, stop):
                sums = _sums([made[turn] for turn in range(begin, end)])
                self.ledger.add(Batch(sequence.key, begin, end, when, self.campaign, sums), sequence)

    # -- the rest ---------------------------------------------------------------------------------------------------

    def met(self, hit: Hit) -> None:
        """Note a finding in words; each one once."""
        if self.ledger is not None:
            self.ledger.met(met_of(hit, self.campaign, self.clock()))

    def trial(self, trial: CanaryTrial) -> None:
        """Note how far the trial of a planted bug is."""
        if self.ledger is None:
            return
        key = self.sequences["canary", trial.canary.name].key
        self.ledger.trial(
            Trial(
                self.campaign,
                self.clock(),
                trial.canary.name,
                key,
                trial.found_after,
                trial.tried,
                trial.cap_runs,
                trial.twin_runs,
                trial.twin_failed,
                trial.canary.oracle,
            )
        )

    def worker(self, name: str, health: Health) -> None:
        """Note how a worker feels."""
        self._workers[name] = [health.rss_bytes, health.stray_threads, health.open_files, health.live_blocks]

    def gone(self, name: str) -> None:
        """Forget a worker that is no more."""
        self._workers.pop(name, None)

    def tick(self) -> None:
        """Write what waits; note how it goes, every few seconds."""
        if self.ledger is None:
            return
        when = self.clock()
        if self._workers and (self._beaten is None or when - self._beaten >= BEAT_SECONDS):
            self._beat(when)
            self.ledger.catch_up()
        self.ledger.tick()

    def _beat(self, when: float) -> None:
        assert self.ledger is not None
        self._beaten = when
        self.ledger.beat(Beat(self.campaign, when, self._workers, _free(self.ledger.folder)))
        self._workers = {}  # who says nothing until the next one is not in it

    def end(self, result: CampaignResult) -> None:
        """Write all that there is, and how the campaign ended; tell the result what could not be kept."""
        ledger = self.ledger
        if ledger is None:
            return
        for source, made in self._made.items():
            self._write(source, made)
        self._made.clear()
        for trial in result.trials:
            if trial.tried:
                self.trial(trial)
        if self._workers:
            self._beat(self.clock())
        ledger.flush(sync=True)
        ledger.ended(
            Ended(
                self.campaign,
                self.clock(),
                result.verdict,
                result.exit_code,
                result.interrupted,
                round(result.seconds, 3),
                ledger.unkept,
                losses=dict(result.losses),
                troubles=[trouble.text[:TROUBLE_CHARS] for trouble in result.troubles],
            )
        )
        ledger.catch_up()
        result.unkept, result.unkept_because = ledger.unkept, ledger.complaint


def met_of(hit: Hit, campaign: str, when: float) -> Met:
    """Return a finding in words."""
    finding, spec = hit.finding, hit.spec
    return Met(
        finding.signature,
        finding.oracle,
        finding.rule,
        finding.title,
        finding.known,
        spec.program,
        spec.variant,
        spec.era,
        Path(hit.saved.folder).name,
        hit.command,
        campaign,
        when,
        "twin" if hit.role == "twin" else "main",
    )


def _ranges(turns: Iterable[int]) -> list[tuple[int, int]]:
    """Return the longest ranges that some turns fill."""
    found = []
    for _, group in groupby(enumerate(sorted(turns)), lambda pair: pair[1] - pair[0]):
        members = [turn for _, turn in group]
        found.append((members[0], members[-1] + 1))
    return found


def _sums(made: Iterable[_Made]) -> Sums:
    tally, hits, given_up, sketch = Tally(), Counter[str](), 0, None
    for one in made:
        hits.update(set(one.hits))
        if one.result is None:
            given_up += 1
            continue
        tally.add(one.result)
        if one.result.digest is not None:
            sketch = sketch or ClassSketch()
            sketch.add(one.result.digest)
    return Sums.of(tally, hits=hits, given_up=given_up, sketch=sketch.cut() if sketch is not None else None)


def _free(folder: Path) -> int:
    """Return how many bytes are free where a store is; 0 if nobody can tell."""
    try:
        there = os.statvfs(folder)
    except OSError:
        return 0
    return there.f_bavail * there.f_frsize
