"""Where a campaign of a store stands: it runs, it has ended, it was interrupted, or nobody can tell from here.

Invariant: what is called running has shown a sign of life (its segment is held, or its last heartbeat is young); what
is called interrupted has ended early, and can be gone on with.  Not here: text.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, Unpack

from mmrace.search.ledger.entry import Beat, Met, Trial
from mmrace.search.ledger.index import Campaign, Index, Where
from mmrace.search.ledger.sums import Sums

State: TypeAlias = Literal["running", "ended", "interrupted", "silent"]

QUIET_SECONDS = 300.0
"""A campaign that has not said anything for so long is not taken for a running one; it has a heartbeat a minute."""
LATELY_SECONDS = 600.0  # "lately" in a rate: a few cells of a long campaign
COUNTED = ("main", "twin")
"""Roles of the runs that should pass."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A campaign, and how far it is.

    Args: state: "silent" if it began on another host and has not said anything for long.  last_sign: unix seconds.
    sums: of the runs that should pass.  lately: runs a second, of late; None unless it runs.  trials: its canaries.
    """

    campaign: Campaign
    state: State
    last_sign: float
    sums: Sums
    lately: float | None
    beat: Beat | None
    trials: list[Trial]

    @property
    def began(self) -> float:
        """When, in unix seconds; when it was first heard of, if that is not known."""
        return self.campaign.begun.when if self.campaign.begun else self.last_sign

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        ended = self.campaign.ended
        return ended.seconds if ended and ended.seconds else max(0.0, self.last_sign - self.began)

    @property
    def rate(self) -> float:
        """Runs a second, all in all."""
        return self.sums.runs / self.seconds if self.seconds else 0.0

    @property
    def request(self) -> dict[str, Any]:
        """What was asked."""
        return self.campaign.begun.request if self.campaign.begun else {}

    @property
    def command(self) -> str:
        """The command that began it, "" if that is not known."""
        return self.campaign.begun.command if self.campaign.begun else ""


def standings(
    index: Index,
    rows: Iterable[Campaign],
    now: float,
    *,
    host: str | None = None,
    alive: Callable[[int], bool] | None = None,
) -> list[Standing]:
    """Return where campaigns stand, in the order given.  Args: now: unix seconds.  host, alive: this one's."""
    host, alive = host or socket.gethostname(), alive or is_alive
    trials: dict[str, list[Trial]] = {}
    for trial in index.trials():
        trials.setdefault(trial.campaign, []).append(trial)
    return [_standing(index, row, now, host, alive, trials.get(row.campaign, [])) for row in rows]


def _standing(
    index: Index, row: Campaign, now: float, host: str, alive: Callable[[int], bool], trials: list[Trial]
) -> Standing:
    beats = index.beats(row.campaign)
    beat = beats[-1] if beats else None
    sums = counted(index, campaign=row.campaign)
    signs = [entry.when for entry in (row.begun, row.ended, beat, *trials[-1:]) if entry is not None]
    if row.ended is None:
        signs += [when for when, _ in index.series(1.0, campaign=row.campaign)[-1:]]
    last_sign = max(signs, default=0.0)
    state = state_of(row, now - last_sign, host, alive)
    if state == "running" and row.running:
        last_sign = max(last_sign, now)  # it holds its segment just now
    lately = _lately(index, row.campaign, now) if state == "running" else None
    return Standing(row, state, last_sign, sums, lately, beat, trials)


def state_of(row: Campaign, quiet: float, host: str, alive: Callable[[int], bool]) -> State:
    """Return where a campaign stands.  Args: quiet: seconds since its last sign of life."""
    if row.ended is not None:
        return "interrupted" if row.ended.interrupted else "ended"
    if row.running:
        return "running"
    if row.begun is not None and row.begun.host == host:
        # a file system without locks says nothing; a number of a process is given again
        return "running" if alive(row.begun.pid) and quiet < QUIET_SECONDS else "interrupted"
    return "running" if quiet < QUIET_SECONDS else "silent"


def is_alive(pid: int) -> bool:
    """Say whether there is a process of this number here."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return pid > 0


def _lately(index: Index, campaign: str, now: float) -> float | None:
    """Return how many runs a second there were of late."""
    runs, first = 0, now
    for role in COUNTED:
        for when, sums in index.series(1.0, campaign=campaign, role=role, since=now - LATELY_SECONDS):
            runs, first = runs + sums.runs, min(first, when)
    return runs / (now - first) if now > first else None


def counted(index: Index, **where: Unpack[Where]) -> Sums:
    """Return what came of those of the runs asked for that should pass."""
    total = Sums()
    for role in COUNTED:
        asked: Where = {**where, "role": role}
        total.add(index.sums(**asked))
    return total


def first_met_in(mets: Iterable[Met]) -> dict[str, set[str]]:
    """Return which findings each campaign was the first to have."""
    found: dict[str, set[str]] = {}
    for met in mets:
        found.setdefault(met.campaign, set()).add(met.signature)
    return found
