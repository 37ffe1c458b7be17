"""The campaigns of a night, as its page tells them: how they ended, their canaries, marks and workers.

Invariant: what a campaign does not say is not guessed: of a night in which none says which marks it expects, nobody
says that one was missed.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmrace.report.night.chosen import Choice, began_at
from mmrace.report.night.facts import Campaign, Canary, Felt, Marks, Moment, Trial, Worker
from mmrace.search.ledger import index as ledger
from mmrace.search.ledger.index import Index
from mmrace.search.ledger.sums import Sums

SAMPLES_MAX = 400  # of a worker
WORKERS_MAX = 64


def campaign_of(one: ledger.Campaign) -> Campaign:
    begun, ended = one.begun, one.ended
    request = begun.request if begun else {}
    return Campaign(
        name=one.campaign,
        began=began_at(one),
        command=begun.command if begun else "",
        host=begun.host if begun else "",
        revision=begun.revision if begun else "",
        version=begun.version if begun else "",
        verdict=ended.verdict if ended else "",
        exit_code=ended.exit_code if ended else None,
        interrupted=ended.interrupted if ended else 0,
        seconds=ended.seconds if ended else None,
        unkept_runs=ended.unkept_runs if ended else 0,
        losses=dict(sorted(ended.losses.items())) if ended else {},
        troubles=tuple(ended.troubles) if ended else (),
        unplanted=tuple(_names(request.get("unplanted"))),
        running=one.running,
        resumed=len(one.resumed),
        early=ended is not None and ended.early,
    )


def _names(value: object) -> list[str]:
    """Return a list of names that a request has; none of anything else."""
    return [str(name) for name in value] if isinstance(value, list | tuple) else []


def marks_of(choice: Choice, sums: Sums) -> Marks:
    said = [one.begun.request["marks"] for one in choice.campaigns if one.begun and "marks" in one.begun.request]
    expected = {name for names in said for name in _names(names)}
    reached = dict(sorted((name, times) for name, times in sums.marks.items() if times))
    return Marks(reached, tuple(sorted(expected - set(reached))) if said else None)


def until(choice: Choice, moments: tuple[Moment, ...], workers: tuple[Worker, ...]) -> float | None:
    """Return when the last thing of the night was written that has a time."""
    times = [one.ended.when for one in choice.campaigns if one.ended]
    if all(one.ended for one in choice.campaigns) and times:
        return max(times)
    times += [began_at(one) for one in choice.campaigns]
    times += [moment.when for moment in moments[-1:]]
    times += [worker.samples[-1].when for worker in workers]
    return max(times, default=None)


def canaries(index: Index, campaigns: set[str]) -> Iterator[Canary]:
    trials: dict[str, tuple[list[Trial], list[Trial]]] = {}
    oracles: dict[str, str] = {}
    for one in index.trials():
        trial = Trial(one.when, one.campaign, one.found_after, one.tried, one.cap, one.twin_runs, one.twin_failed)
        trials.setdefault(one.canary, ([], []))[one.campaign not in campaigns].append(trial)
        oracles[one.canary] = one.oracle or oracles.get(one.canary, "")
    for name, (tonight, others) in sorted(trials.items()):
        first = tonight[0].when if tonight else float("inf")
        yield Canary(name, oracles[name], tuple(tonight), tuple(trial for trial in others if trial.when < first))


def workers_of(index: Index, choice: Choice) -> tuple[Worker, ...]:
    found = []
    for one in choice.campaigns:
        samples: dict[str, list[Felt]] = {}
        for beat in index.beats(one.campaign):
            for name, numbers in beat.workers.items():
                samples.setdefault(name, []).append(Felt(beat.when, *numbers[: len(Felt._fields) - 1]))
        found += [Worker(name, one.campaign, _thinned(rows)) for name, rows in sorted(samples.items())]
    return tuple(found[:WORKERS_MAX])


def _thinned(rows: list[Felt]) -> tuple[Felt, ...]:
    """Return at most so many samples, each with the most threads and files of those that it stands for."""
    step = -(-len(rows) // SAMPLES_MAX)
    parts = [rows[place : place + step] for place in range(0, len(rows), step)] if rows else []
    return tuple(
        part[-1]._replace(stray=max(row.stray for row in part), files=max(row.files for row in part)) for part in parts
    )
