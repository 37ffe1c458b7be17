"""Which plain accesses are switch points of which schedules, when they are to be those that race.

Some schedules, here called looks, are random walks that may switch at every plain access; the others switch at the
fields that are known to race.  A field counts as known from one generation on if the data race judge named it, benign
or not, in any run of a generation before, be that a look or not.  A generation ends at a power of two, so that there
are few of them to wait for.  Invariant: what is a look, and where generations end, is a function of the index alone,
and the fields of a schedule are one of the schedules before its generation: workers and time change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from mmrace.runs.profile import RACING, promote_text
from mmrace.runtime.errors import MmraceError
from mmrace.search.explore.ask import Ask
from mmrace.strategies import registry

LOOK = "random"
"""The strategy of a look: it knows nothing of a program, and meets races that no switch point leads to."""
FIRST = 2
"""Schedules that are looks, before anything is known.  They alone come before the search: with a rich cast each takes
seconds, and each worker has one of them at once."""
EVERY = 4  # of the schedules after them a look: three quarters are left for the search
LOOKS = 24  # in all
_LAST = EVERY * (LOOKS - FIRST) + FIRST  # no look from here on


class Promotion:
    """The switch points of one exploration, schedule by schedule.

    Attributes: learning: whether fields are looked for.  fields: known so far.  since: schedule -> fields that are
    switch points from it on, and were not before.
    """

    def __init__(self, ask: Ask) -> None:
        self._settled = "all" if ask.systematic or _switches_everywhere(ask.strategy) else ask.promote
        self.learning = self._settled == RACING
        self.fields: frozenset[str] = frozenset()
        self.since: dict[int, tuple[str, ...]] = {}
        self._named: set[str] = set()

    @property
    def text(self) -> str:
        """The switch points of the next schedule that is no look, as `--promote` takes them."""
        return promote_text(self.fields) if self.learning else self._settled

    def is_look(self, index: int) -> bool:
        """Say whether a schedule is a look."""
        return self.learning and (index < FIRST or (index < _LAST and index % EVERY == 0))

    def looks(self, index: int) -> int:
        """Return how many schedules before this one are looks."""
        return min(index, FIRST) + (max(FIRST, min(index, _LAST)) - 1) // EVERY if self.learning else 0

    def turn(self, index: int) -> int:
        """Return how many schedules before this one are no looks."""
        return index - self.looks(index)

    def index_of(self, turn: int) -> int:
        """Return the schedule of a turn, which is no look."""
        index = turn
        while self.turn(index) < turn or self.is_look(index):
            index += 1
        return index

    def end(self, index: int) -> int | None:
        """Return the first schedule after the generation of this one; None if there is nothing to learn."""
        return max(FIRST, 1 << index.bit_length()) if self.learning else None

    def name(self, fields: Iterable[str]) -> None:
        """Take the fields that a run showed to race."""
        self._named.update(fields)

    def learn(self, index: int) -> None:
        """A generation is over; go on with what it showed.  Args: index: the first schedule of the next one."""
        new = self._named - self.fields
        if new:
            self.since[index] = tuple(sorted(new))
            self.fields |= new


def _switches_everywhere(strategy: str) -> bool:
    """Say whether a strategy knows ops by their site, so that each plain access is a switch point of its run."""
    if registry.kind_of(strategy) != "sampler":
        return False
    sampler = registry.sampler(strategy)
    try:
        return not sampler.profiled and sampler.strategy(lambda: 0.0, None).needs_sites
    except MmraceError:
        raise
    except Exception:  # of a user's own: its first run says what is wrong with it
        return False
