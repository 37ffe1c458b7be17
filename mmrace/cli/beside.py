"""Who else is told what happens in a campaign, beside whoever shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from loguru import logger

from mmrace.search.campaign.driver import Observer
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.campaign.trial import CanaryTrial
from mmrace.search.totals import Hit

BEAT_SECONDS = 60.0
"""Between two lines of the log that say that a campaign lives: a night has some hundred."""


class Several:
    """Tells several observers."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.observers = observers

    def progress(self, result: CampaignResult) -> None:
        """Tell them how far it is."""
        for observer in self.observers:
            observer.progress(result)

    def found(self, hit: Hit) -> None:
        """Tell them of a finding."""
        for observer in self.observers:
            observer.found(hit)

    def canary(self, trial: CanaryTrial) -> None:
        """Tell them of a canary."""
        for observer in self.observers:
            observer.canary(trial)


class Heartbeat:
    """Logs about once a minute how far a campaign is, and how its workers feel."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._last = clock()
        self._runs = -1  # a campaign that goes on begins with those of before

    def progress(self, result: CampaignResult) -> None:
        """Log a beat if the last one is old enough."""
        if self._runs < 0:
            self._runs = result.total().runs
        now = self.clock()
        passed = now - self._last
        if passed < BEAT_SECONDS:
            return
        total = result.total()
        rate = (total.runs - self._runs) / passed
        self._last, self._runs = now, total.runs
        found = len(result.hits) + result.hits.dropped
        memory = {name: life.samples[-1][1] for name, life in sorted(result.workers.items())}
        canaries = sum(trial.found_after is not None for trial in result.trials)
        logger.bind(
            event="heartbeat",
            seconds=round(result.seconds, 1),
            runs=total.runs,
            ops=total.ops,
            runs_per_second=round(rate, 1),
            findings=found,
            canaries_found=canaries,
            canaries=len(result.trials),
            memory=memory,
            workers_lost=sum(result.losses.values()),
        ).info("{} runs, {:.1f} runs/s, {} findings, {} workers", total.runs, rate, found, len(memory))

    def found(self, hit: Hit) -> None:
        """Log nothing: the campaign does."""

    def canary(self, trial: CanaryTrial) -> None:
        """Log nothing: the campaign does."""
