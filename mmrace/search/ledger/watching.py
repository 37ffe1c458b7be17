"""Where a campaign of a store stands: it runs, it has ended, it was interrupted, or nobody can tell from here.

Invariant: what is called running has shown a sign of life (its segment is held, or its last heartbeat is young); what
is called interrupted has ended early, and can be gone on with.  Not here: text.
"""

from __future__ import annotations

import contextlib
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
class Progress:
    """A campaign, and how far it is.

    Args: state: "silent" if it began on another host and has not said anything for long.  last_sign: unix seconds.
    sums: of the runs that it made and that should pass.  lately: runs a second, of late; None unless it runs, and makes
    what no other had made.  trials: its canaries.
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
        """How long it has lasted; what lies between two of its processes does not count."""
        return self.campaign.lasted(self.last_sign)

    @property
    def process(self) -> tuple[str, int]:
        """On which host, and as which process, it runs or ran last; ("", 0) if that is not known."""
        return process_of(self.campaign)

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


class Watcher:
    """Says where campaigns stand.  Args: now: unix seconds.  host, alive: this one's name, and who runs on it."""

    def __init__(
        self, index: Index, now: float, *, host: str | None = None, alive: Callable[[int], bool] | None = None
    ) -> None:
        self.index, self.now = index, now
        self.host, self.alive = host or socket.gethostname(), alive or is_alive
        self._trials: dict[str, list[Trial]] = {}
        for trial in index.trials():
            self._trials.setdefault(trial.campaign, []).append(trial)

    def state(self, row: Campaign) -> State:
        """Return where a campaign stands."""
        quiet = 0.0 if row.ended is not None or row.running else self.now - self.index.last(row.campaign)
        return state_of(row, quiet, self.host, self.alive)

    def progress(self, row: Campaign) -> Progress:
        """Return where a campaign stands, and what came of it."""
        beats, state = self.index.beats(row.campaign), self.state(row)
        lately = state == "running" and not _is_anew(row)
        return Progress(
            campaign=row,
            state=state,
            last_sign=self.now if row.running and state == "running" else self.index.last(row.campaign),
            sums=self._made(row),
            lately=_lately(self.index, row.campaign, self.now) if lately else None,
            beat=beats[-1] if beats else None,
            trials=self._trials.get(row.campaign, []),
        )

    def _made(self, row: Campaign) -> Sums:
        """Return what a campaign made; of one that began anew, also what the store had already and counts once."""
        if _is_anew(row):
            total, roles = Sums(), {sequence.key: sequence.role for sequence in self.index.sequences()}
            with contextlib.suppress(OSError, ValueError):  # somebody prunes it meanwhile
                for key, (_, sums) in self.index.own(row.campaign).items():
                    if roles.get(key) in COUNTED:
                        total.add(sums)
                return total
        return counted(self.index, campaign=row.campaign)


def _is_anew(row: Campaign) -> bool:
    """Say whether a campaign began at the first turn of its seed, whatever the store had."""
    return row.begun is not None and bool(row.begun.request.get("anew"))


def process_of(row: Campaign) -> tuple[str, int]:
    """Return on which host, and as which process, a campaign runs or ran last."""
    entry = row.resumed[-1] if row.resumed else row.begun
    return (entry.host, entry.pid) if entry is not None else ("", 0)


def state_of(row: Campaign, quiet: float, host: str, alive: Callable[[int], bool]) -> State:
    """Return where a campaign stands.  Args: quiet: seconds since its last sign of life."""
    if row.ended is not None:
        return "interrupted" if row.ended.early else "ended"
    if row.running:
        return "running"
    where, pid = process_of(row)
    if where == host:
        # a file system without locks says nothing; a number of a process is given again
        return "running" if alive(pid) and quiet < QUIET_SECONDS else "interrupted"
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
