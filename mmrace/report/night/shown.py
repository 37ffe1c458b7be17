"""What the page and the summary for a terminal both say: tiles, intervals, ranges, commands, in words.

Invariant: every number is said with what it is over; a missing one is a dash or says what is missing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

from mmrace.report.night.facts import Canary, Classes, Estimate, Felt, Finding, Night, Ranges, Trial, Worker
from mmrace.report.night.verdict import about, program_text, state_text
from mmrace.report.numbers import HOUR_S, between, chance, count, duration, many, rate, runs, share

TURNS_SHOWN = 6  # ranges of turns of one sequence
GROWTH_SECONDS = 600.0
"""In less time a growth an hour is a guess."""
SHARD_TURNS = 2**40
"""From so many turns on a sequence belongs to a shard: `search/ledger/`."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A number that is looked at first.  `tone`: good, bad, doubt or plain."""

    name: str
    number: str
    over: str
    tone: str = "plain"


def tiles(night: Night, word: str) -> list[Tile]:
    """Return the numbers of the first screen.  Args: word: the verdict; that nothing was found is good in a PASS."""
    return [_findings(night, word), _runs(night), _canaries(night), _classes(night), _marks(night), _unjudged(night)]


def _findings(night: Night, word: str) -> Tile:
    failing = [finding for finding in night.findings if finding.fails]
    expected = sum(finding.came and bool(finding.known) for finding in night.findings)
    states = Counter(state_text(finding) for finding in failing).most_common()
    over = ", ".join(f"{count(times)} {state}" for state, times in states) or f"in {runs(night.total.runs)}"
    if expected:
        over += f"; besides {count(expected)} expected"
    tone = "bad" if failing else "good" if word == "PASS" else "doubt"
    return Tile("findings", count(len(failing)), over, tone)


def _runs(night: Night) -> Tile:
    total = night.total
    if not total.runs:
        return Tile("runs", "0", "nothing was checked", "doubt")
    span = (night.until or 0.0) - (night.since or 0.0)
    pace = ""
    if span >= 1.0:
        pace = (
            f", {rate(total.runs, span)} a second"
            if total.runs >= span
            else f", {rate(total.runs, span / HOUR_S)} an hour"
        )
    return Tile("runs", count(total.runs), f"{count(total.ops)} ops, {duration(total.seconds)} of runs{pace}")


def _canaries(night: Night) -> Tile:
    planted = [canary for canary in night.canaries if canary.tonight]
    if not planted:
        return Tile("canaries found", "-", "none was planted", "doubt")
    found = sum(canary.found for canary in planted)
    missed = sum(canary.missed and not canary.found for canary in planted)
    tone = "bad" if missed else "good" if found == len(planted) else "doubt"
    over = f"of {many(len(planted), 'planted bug')}" + (f", {count(missed)} missed" if missed else "")
    return Tile("canaries found", count(found), over, tone)


def _classes(night: Night) -> Tile:
    found = night.classes
    if found is None:
        return Tile("classes met", "-", "nobody counted them", "plain")
    number = count(found.met) if found.exact else f"≈ {count(found.met)}"
    noted = f"in {runs(found.runs)} that were noted"
    if found.next_new is None:
        return Tile("classes met", number, f"{noted}: too few to say how many are unseen")
    return Tile("classes met", number, f"{noted}; the next shows a new one with a chance of {about(found.next_new)}")


def _marks(night: Night) -> Tile:
    reached, missed = night.marks.reached, night.marks.missed
    if missed is None:
        return Tile("marks reached", count(len(reached)), "of how many expected ones, no campaign says")
    tone = "plain" if not missed else "doubt"
    return Tile("marks reached", count(len(reached)), f"{many(len(missed), 'expected one')} never reached", tone)


def _unjudged(night: Night) -> Tile:
    total = night.total
    if not total.runs:
        return Tile("could not be judged", "-", "there was no run", "doubt")
    tone = "doubt" if any(program.doubts for program in night.programs) else "plain"
    return Tile(
        "could not be judged", count(total.unjudged), f"{chance(total.unjudged / total.runs)} of all runs", tone
    )


program = program_text


def tonight(night: Night) -> list[Finding]:
    """Return the findings that were seen in the night."""
    return [finding for finding in night.findings if finding.came]


def not_tonight(night: Night) -> list[Finding]:
    """Return the findings of the store that were not."""
    return [finding for finding in night.findings if not finding.came]


def anchor(finding: Finding) -> str:
    """Name the place of a finding on the page; two programs may have the same one."""
    said = "\n".join((finding.signature, finding.program, finding.variant, finding.era))
    return f"f-{hashlib.blake2b(said.encode(errors='replace'), digest_size=6).hexdigest()}"


def estimate(found: Estimate | None) -> str:
    """Write an estimated number with its interval."""
    return "-" if found is None else f"{count(found.value)} ({count(found.low)} to {count(found.high)})"


def interval(found: Estimate | None) -> str:
    """Write the interval of an estimated number."""
    return "" if found is None else f"{count(found.low)} to {count(found.high)}"


def chances(found: Estimate | None) -> str:
    """Write the interval of an estimated chance."""
    return "" if found is None else between(found.low, found.high)


def percent(found: Estimate | None) -> str:
    """Write an estimated chance with its interval."""
    return "-" if found is None else f"{chance(found.value)} ({between(found.low, found.high)})"


def met(classes: Classes | None) -> str:
    """Write how many classes were met."""
    if classes is None:
        return "-"
    return count(classes.met) if classes.exact else f"≈ {count(classes.met)}"


def turns(ranges: Ranges) -> str:
    """Write the turns of a sequence; those of a shard with its number."""
    said = [_turns(first, stop) for first, stop in ranges.turns[:TURNS_SHOWN]]
    more = len(ranges.turns) - TURNS_SHOWN
    return ", ".join(said) + (f" and {many(more, 'further range')}" if more > 0 else "")


def _turns(first: int, stop: int) -> str:
    shard, begin = divmod(first, SHARD_TURNS)
    end = stop - 1 - shard * SHARD_TURNS
    text = count(begin) if begin == end else f"{count(begin)} to {count(end)}"
    return f"shard {shard + 1}: {text}" if shard else text


def found_after(trial: Trial) -> str:
    """Say how a trial ended."""
    if trial.found_after is not None:
        return f"{count(trial.found_after)} of at most {count(trial.cap)}"
    return (
        f"MISSED in {count(trial.tried)}" if trial.missed else f"not in {count(trial.tried)} of {count(trial.cap)} yet"
    )


def trend(canary: Canary) -> str:
    """Say after what part of its cap a canary was found before, from its oldest trial that is shown on."""
    parts = [share(trial.found_after, trial.cap) if trial.found_after else "missed" for trial in canary.before[-4:]]
    return ", ".join(parts) or "-"


def commands(night: Night) -> list[str]:
    """Return the commands of the night's campaigns, each once, in their order."""
    return list(dict.fromkeys(campaign.command for campaign in night.campaigns if campaign.command))


def growth(worker: Worker) -> tuple[Felt, Felt, float | None]:
    """Return how a worker felt after a quarter of its life and at its end, and how many blocks more live an hour.

    What it fills in that quarter are pools and caches.  No growth is told of less than `GROWTH_SECONDS`.
    """
    first, last = worker.samples[len(worker.samples) // 4], worker.samples[-1]
    seconds = last.when - first.when
    told = seconds >= GROWTH_SECONDS and min(first.living, last.living) > 0  # a store of before has none
    return first, last, (last.living - first.living) / (seconds / HOUR_S) if told else None


def thousands(blocks: float) -> str:
    """Write a change of living objects."""
    return f"{blocks / 1000:+,.1f} thousand"


def most_threads(worker: Worker) -> int:
    """Return how many threads a worker had left behind at most."""
    return max(sample.stray for sample in worker.samples)


def most_files(worker: Worker) -> int:
    """Return how many files a worker had open at most."""
    return max(sample.files for sample in worker.samples)
