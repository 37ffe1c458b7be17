"""What runs on a store just now, since when, how far, and what came of it.

Invariant: a campaign that nobody goes on with is said to be interrupted, with the command that goes on; "how far" is of
what was asked, and nothing is said of the time that is left.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mmrace.report.finding import known_as
from mmrace.report.numbers import count, duration, many, moment, runs, share, size
from mmrace.report.terminal import interrupted
from mmrace.runtime.visible import one_line
from mmrace.search.ledger.entry import Trial
from mmrace.search.ledger.index import Campaign
from mmrace.search.ledger.life import Life
from mmrace.search.ledger.watching import Progress, Watcher

SCHEMA = "mmrace-status/1"
INTERRUPTED_MAX = 3  # of those, the newest: older ones are in the history
RESUMABLE_MAX = 64  # shards to go on with; more than anybody has machines for one store
FINDINGS_MAX = 10
HUGE = 1e12  # seconds or runs that nobody asks for
DAY_SECONDS = 86400.0  # longer ago than that, people want the date
STATES = {"new": "new", "known": "known", "unseen": "unseen", "came-back": "came back"}
"""State of a finding's life -> how it is called."""


@dataclass(frozen=True, slots=True)
class Status:
    """What there is to tell.

    Args: store: as it was named.  campaigns: how many there are.  rows: those that are told of.  resumable: which ones
    --resume goes on with, of each shard.  damage: what of the ledger's files could not be read.
    """

    store: str
    now: float
    campaigns: int
    rows: Sequence[Progress]
    resumable: Sequence[str]
    lives: Sequence[Life]
    damage: Sequence[str] = ()

    @classmethod
    def of(cls, store: str, watcher: Watcher) -> Status:
        """Ask for it: what runs, the newest campaigns that ended early; the last one if there are none of these."""
        index = watcher.index
        states = [(row, watcher.state(row)) for row in index.campaigns()]
        going = [row for row, state in states if state == "running"]
        stopped = [row for row, state in states if state in ("interrupted", "silent")]
        newest = {tuple(_shard(row)): row.campaign for row, state in states if state == "interrupted"}
        resumable = [row.campaign for row in stopped if row.campaign in newest.values()][-RESUMABLE_MAX:]
        told = {*resumable, *(row.campaign for row in stopped[-INTERRUPTED_MAX:])}
        shown = going + [row for row in stopped if row.campaign in told] or [row for row, _ in states[-1:]]
        rows = [watcher.progress(row) for row in shown]
        damage = [str(damage) for damage in index.damage]
        return cls(store, watcher.now, len(states), rows, resumable, index.lives(), damage)


def lines(status: Status) -> Iterator[str]:
    """Tell it, a line each."""
    if not status.campaigns:
        yield f"{status.store}: no campaign yet"
    else:
        going = sum(row.state == "running" for row in status.rows)
        told = f"{many(going, 'campaign')} running" if going else "no campaign runs"
        found = many(sum(not life.met.known for life in status.lives), "finding")
        yield f"{status.store}: {told}, {count(status.campaigns)} in all, {found}"
    for row in status.rows:
        yield ""
        yield from _campaign(row, status)
    yield from damage_lines(status.damage)


def damage_lines(damage: Sequence[str]) -> Iterator[str]:
    """Say what of the ledger could not be read."""
    if damage:
        yield ""
        yield f"not read, the rest is told: {'; '.join(damage)}"


def _campaign(row: Progress, status: Status) -> Iterator[str]:
    host, pid = row.process
    where = f" on {host}, process {pid}" if host else ""
    yield f"{state_text(row)}  {row.campaign.campaign}{where}, since {moment(row.began)} UTC"
    if row.command:
        yield f"  {row.command}"
    if row.campaign.resumed:
        yield f"  gone on with at {', '.join(moment(resumed.when) for resumed in row.campaign.resumed)} UTC"
    yield f"  {_progress(row)}"
    if row.trials:
        yield f"  {canaries_text(row)}"
    yield from _findings(row, status.lives)
    if row.state == "running":
        yield from _workers(row, status.now)
    elif row.state == "interrupted":
        ended = row.campaign.ended
        if ended is not None and ended.troubles:
            yield f"  {one_line(ended.troubles[0])}"
        yield _last_sign(row, status.now)
        if row.campaign.campaign in status.resumable:
            yield f"  go on: {go_on(row, status)}"
    elif row.state == "silent":
        yield f"{_last_sign(row, status.now)}; whether it runs can be seen on its host alone"


def go_on(row: Progress, status: Status) -> str:
    """Return the command that goes on with a campaign."""
    return shlex.join(["mmrace", "stress", "--resume", "--store", status.store, *_shard(row.campaign)])


def _shard(row: Campaign) -> list[str]:
    """Return the option that names a campaign's shard, if it is of one: anybody may have written the ledger."""
    of = row.begun.request.get("shard") if row.begun is not None else None
    if isinstance(of, list | tuple) and len(of) == 2 and all(type(part) is int for part in of):
        return ["--shard", f"{of[0]}/{of[1]}"]
    return []


def state_text(row: Progress) -> str:
    """Say where a campaign stands, with its verdict if it has one."""
    ended = row.campaign.ended
    if ended is not None and ended.interrupted:
        return f"{ended.verdict}, {interrupted(ended.interrupted)}"
    if ended is not None:
        return f"{ended.verdict}, ended early" if ended.early else ended.verdict
    return row.state


def _asked(row: Progress, name: str) -> float:
    """Return how long, or how many runs, were asked for; 0 if nobody knows: anybody may have written the ledger."""
    value = row.request.get(name)
    return float(value) if isinstance(value, int | float) and 0 < value < HUGE else 0.0


def _progress(row: Progress) -> str:
    sums, seconds, asked = row.sums, _asked(row, "seconds"), int(_asked(row, "runs"))
    parts = [duration(row.seconds), runs(sums.runs)]
    if seconds:
        parts[0] += f" of {duration(seconds)} ({share(round(min(row.seconds, seconds)), round(seconds) or 1)})"
    if asked:
        parts[1] = f"{count(sums.runs)} of {runs(asked)} ({share(min(sums.runs, asked), asked)})"
    parts += [f"{count(sums.ops)} ops", rate_text(row.rate)]
    if row.lately is not None:
        parts.append(f"lately {rate_text(row.lately)}")
    if row.campaign.ended is not None and row.campaign.ended.unkept_runs:
        parts.append(f"{runs(row.campaign.ended.unkept_runs)} could not be kept")
    return ", ".join(parts)


def rate_text(per_second: float) -> str:
    """Write runs a second."""
    return f"{count(per_second)} runs/s" if per_second >= 10 else f"{per_second:.1f} runs/s"


def canaries_text(row: Progress) -> str:
    """Say how many canaries were found, and which were missed."""
    found = [trial for trial in row.trials if trial.found_after is not None]
    missed = [trial.canary for trial in row.trials if is_missed(trial)]
    failed = [trial.canary for trial in row.trials if trial.twin_failed]
    told = f"canaries found {len(found)} of {len(row.trials)}"
    told += f", MISSED {', '.join(missed)}" if missed else ""
    return told + (f", TWIN FAILED of {', '.join(failed)}" if failed else "")


def is_missed(trial: Trial) -> bool:
    """Say whether a planted bug was looked for in vain."""
    return trial.found_after is None and trial.tried >= trial.cap > 0


def _findings(row: Progress, lives: Iterable[Life]) -> Iterator[str]:
    mine = [life for life in lives if life.signature in row.sums.hits]
    own = [life for life in mine if not life.met.known]
    if not own:
        yield "  findings 0"
    for life in own[:FINDINGS_MAX]:
        met = life.met
        title = f"  {met.title}" if met.title else ""
        seen = f"{STATES[life.state]}, {runs(row.sums.hits[life.signature])}, {met.program}"
        yield f"  FINDING {life.signature}  {seen}{title}"
    if len(own) > FINDINGS_MAX:
        yield f"  and {len(own) - FINDINGS_MAX} more findings"
    for known in sorted({life.met.known for life in mine if life.met.known}):
        yield f"  {known_as(known)}"


def _workers(row: Progress, now: float) -> Iterator[str]:
    beat = row.beat
    if beat is None:
        yield "  no heartbeat yet"
        return
    memory = [facts[0] for facts in beat.workers.values() if facts]
    stray = sum(facts[1] for facts in beat.workers.values() if len(facts) > 1)
    parts = [many(len(beat.workers), "worker")]
    if memory:
        parts.append(f"{size(sum(memory))}, the largest {size(max(memory))}")
    if stray:
        parts.append(f"{many(stray, 'thread')} left behind")
    if beat.free_disk:
        parts.append(f"disk free {size(beat.free_disk)}")
    yield f"  {'; '.join(parts)}; heartbeat {_ago(now - beat.when)}"


def _ago(seconds: float) -> str:
    return f"{duration(max(0.0, seconds))} ago"


def _last_sign(row: Progress, now: float) -> str:
    quiet = now - row.last_sign
    when = f"at {moment(row.last_sign)} UTC" if quiet > DAY_SECONDS else _ago(quiet)
    return f"  last sign of life {when}"


# -- as plain data --------------------------------------------------------------------------------------------------


def data(status: Status) -> dict[str, Any]:
    """Return it as plain data."""
    return {
        "schema": SCHEMA,
        "store": status.store,
        "now": status.now,
        "running": [row.campaign.campaign for row in status.rows if row.state == "running"],
        "resumable": status.resumable[-1] if status.resumable else "",
        "go_on": {
            row.campaign.campaign: go_on(row, status)
            for row in status.rows
            if row.campaign.campaign in status.resumable
        },
        "campaigns": [campaign_data(row) for row in status.rows],
        "damage": list(status.damage),
    }


def campaign_data(row: Progress) -> dict[str, Any]:
    """Return a campaign as plain data."""
    begun, ended, sums = row.campaign.begun, row.campaign.ended, row.sums
    return {
        "campaign": row.campaign.campaign,
        "state": row.state,
        "host": row.process[0],
        "pid": row.process[1],
        "revision": begun.revision if begun else "",
        "version": begun.version if begun else "",
        "command": row.command,
        "request": row.request,
        "began": row.began,
        "resumed": [resumed.when for resumed in row.campaign.resumed],
        "last_sign": row.last_sign,
        "seconds": row.seconds,
        "verdict": ended.verdict if ended else "",
        "exit_code": ended.exit_code if ended else None,
        "interrupted": ended.interrupted if ended else 0,
        "unkept_runs": ended.unkept_runs if ended else 0,
        "runs": sums.runs,
        "ops": sums.ops,
        "runs_per_second": row.rate,
        "runs_per_second_lately": row.lately,
        "verdicts": dict(sums.verdicts),
        "given_up": sums.given_up,
        "findings": dict(sums.hits),
        "canaries": [trial_data(trial) for trial in row.trials],
        "workers": dict(row.beat.workers) if row.beat else {},
        "heartbeat": row.beat.when if row.beat else None,
        "free_disk": row.beat.free_disk if row.beat else None,
    }


def trial_data(trial: Trial) -> dict[str, Any]:
    """Return what came of looking for a planted bug as plain data."""
    return {
        "campaign": trial.campaign,
        "when": trial.when,
        "canary": trial.canary,
        "oracle": trial.oracle,
        "found_after": trial.found_after,
        "tried": trial.tried,
        "cap": trial.cap,
        "twin_runs": trial.twin_runs,
        "twin_failed": trial.twin_failed,
    }
