"""What became of the attempt to have a finding of free threads again under control.

Three ends: *followed*: a run along the free record (`strategies/retrace.py`) had a finding of the same signature, and
did not leave the record before the tasks of the finding had done their last recorded op.  *Re-found by search*: a run
had it that follows the record for a while at most.  *Neither*: another signature is told and is no success.
Invariant: what is called followed or re-found was replayed strictly, each time with the same signature.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mmrace.oracles.general.judgement import Finding
from mmrace.runs.replay import REPLAYS
from mmrace.strategies.retrace import Way

FOLLOWED, REFOUND, NEITHER = "followed", "re-found by search", "neither"


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of one finding.

    Attributes: how: see above.  done, of: recorded ops that the run which followed did, and how many there are.
    parted: where that run first left the record, "" if it did not.  runs: of the search, up to the one that had the
    finding.  common: ops of the record that this one begins with.  seconds: of it all.  replayed: strict replays with
    the same signature.  others: other findings of the runs that were made, by signature, with their titles.  broke: why
    no further run could be made, or "".
    """

    how: str
    done: int
    of: int
    parted: str = ""
    runs: int = 0
    common: int = 0
    seconds: float = 0.0
    replayed: int = 0
    others: tuple[tuple[str, str], ...] = ()
    broke: str = ""

    @property
    def came(self) -> bool:
        """Whether there is a controlled record of it."""
        return self.how != NEITHER

    def lines(self) -> list[str]:
        """Tell it, for the eye."""
        if self.broke and not self.done:
            return [f"under control: could not be tried; {self.broke}"]
        share = f"{self.done:,} of {self.of:,} recorded ops followed ({share_text(self.done, self.of)})"
        runs = f"{self.runs:,} run{'' if self.runs == 1 else 's'}"
        took = f"{self.seconds:.1f} s"
        if self.how == FOLLOWED:
            told = [f"under control: followed; {share}, replayed {self.replayed} of {REPLAYS}, {took}"]
        elif self.how == REFOUND and not self.runs:
            told = [
                f"under control: re-found by the run that followed, but after it parted; {share}, "
                f"replayed {self.replayed} of {REPLAYS}, {took}"
            ]
        elif self.how == REFOUND:
            begun = f"{runs} that began with the record, the last with {self.common:,} ops of it"
            told = [
                f"under control: re-found by search; {begun}, replayed {self.replayed} of {REPLAYS}, {took}",
                f"  before that {share}",
            ]
        else:
            told = [f"under control: not found again; {share}, then {runs} of search, {took}"]
            told += [f"  the last one broke: {self.broke}"] if self.broke else []
        if self.parted:
            told.append(f"  {self.parted}")
        if self.others and not self.came:
            told += [f"  found instead: {title} [{signature}]" for signature, title in self.others]
        return told


def share_text(done: int, of: int) -> str:
    """Write a share, never rounded up to all of it."""
    return f"{100 * done // of} %" if of else "nothing to follow"


def kept_to(way: Way, finding: Finding) -> bool:
    """Say whether a run kept to its record up to the last recorded op that the finding's own tasks did.

    Those are the tasks that its facts name; all of them if it names none.
    """
    if not way.partings:
        return True
    own = set(_texts(finding.facts)) & way.last.keys() or way.last.keys()
    return way.partings[0].step > max((way.last[name] for name in own), default=-1)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
