"""The sequences that a campaign is made of: one for each scenario, workload and engine.

Run `turn` of a sequence is a function of the request and of (scenario, workload, engine, turn) alone: other scenarios
beside it, the number of workers and the order in which results come back change nothing.  Sequences are served in
rounds, each round a turn of every scenario, the least advanced first.  Invariant: `--runs N` is the first N runs of
these rounds, whoever makes them; a batch holds turns of one sequence that follow each other, and begins at a multiple
of its length, which is a power of two: so any two are nested or apart.
Not here: how long a campaign lasts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from mmrace.runs.spec import RunSpec, derive
from mmrace.search.campaign.request import Request
from mmrace.search.catalogue import Catalogue
from mmrace.search.ledger.ranges import Covered, piece_from
from mmrace.search.pool.drive import Pace
from mmrace.search.pool.messages import Batch, Job
from mmrace.strategies import registry

GATE_EVERY = 4
"""Without `--engine`, one round of the scenarios in this many runs under `gate`: free noise finds what nobody
imagined, so it gets the larger share; a gate round costs less time and visits orders that the OS never chooses."""


@dataclass(frozen=True, slots=True)
class Row:
    """The runs of one scenario, workload and engine, without end.

    Args: place: in each round.
    """

    request: Request
    known: Catalogue
    scenario: str
    workload: str | None
    engine: str
    place: int

    @property
    def name(self) -> str:
        """What a job says of where it comes from."""
        return "/".join(filter(None, (self.scenario, self.workload, self.engine)))

    def spec(self, turn: int) -> RunSpec:
        """Return run `turn`: a variation of the scenario, over which the given parameters go.

        Noise profiles go round, each row from another one on, so that a short campaign meets many pairs.
        """
        request, scenario = self.request, self.known.scenarios[self.scenario]
        profiles = tuple(self.known.noise)
        if self.engine != "free":
            noise = profiles[0]
        else:
            noise = request.noise or profiles[(turn + self._own(0, "noise")) % len(profiles)]
        variation = scenario.variations[self._own(request.seed, "variation", turn) % len(scenario.variations)]
        return RunSpec(
            program=self.scenario,
            params=tuple(sorted({**variation, **dict(request.params)}.items())),
            variant=request.variant,
            era=request.era,
            engine=self.engine,
            strategy=registry.member_by_turn(request.strategy, turn),
            noise=noise,
            seed=self._own(request.seed, "run", turn),
            workload=self.workload,
            load=request.load,
            maker=scenario.maker,
            digest=scenario.digest,
            without=request.without,
        )

    def _own(self, seed: int, what: str, *turn: int) -> int:
        return derive(seed, what, self.scenario, self.workload or "", self.engine, *turn)

    def round_of(self, turn: int) -> int:
        """Return the round in which a turn is served."""
        if self.request.engine is not None:
            return turn
        return GATE_EVERY * turn + GATE_EVERY - 1 if self.engine == "gate" else turn + turn // (GATE_EVERY - 1)

    def turns(self, rounds: int) -> int:
        """Return how many turns it has in the first so many rounds."""
        if self.request.engine is not None:
            return rounds
        gate = rounds // GATE_EVERY
        return gate if self.engine == "gate" else rounds - gate


def rows(request: Request, known: Catalogue) -> tuple[Row, ...]:
    """Return the rows of a campaign: each scenario with the workload that it performs, under each engine.

    That is the chosen workload, or each of the packaged ones, or none.
    """
    entries: list[tuple[str, str | None]] = []
    for name in request.scenarios:
        if not known.scenarios[name].needs_workload:
            entries.append((name, None))
        elif request.workload is not None:
            entries.append((name, request.workload))
        else:
            entries.extend((name, workload) for workload in known.workloads)
    engines = ("free", "gate") if request.engine is None else (request.engine,)
    return tuple(
        Row(request, known, *entry, engine, place) for engine in engines for place, entry in enumerate(entries)
    )


def shares(request: Request, among: tuple[Row, ...]) -> dict[str, int | None]:
    """Return how many turns each row has in `request.runs` runs, by its name; None where there is no such bound."""
    if request.runs is None:
        return dict.fromkeys((row.name for row in among), None)
    places = 1 + max(row.place for row in among)
    rounds, rest = divmod(request.runs, places)
    return {row.name: row.turns(rounds + (row.place < rest)) for row in among}


class At(NamedTuple):
    """Where a sequence stands.

    Attributes: first: its first turn for this campaign.  covered: turns that are not made again.  made: how many this
    campaign has made already.
    """

    first: int = 0
    covered: Covered | None = None
    made: int = 0


class Turns:
    """The turns of a sequence that are still to be made, in order.

    Args: first: the first of them.  covered: those that need not be made.  left: how many are wanted, None without end.
    """

    def __init__(self, first: int = 0, covered: Covered | None = None, left: int | None = None) -> None:
        self.next, self.left = first, left
        self._covered = covered or Covered()

    def take(self, most: int) -> range:
        """Take the longest piece that begins at the next of them, at most `most`, with no covered turn in it."""
        first = self._covered.next_gap(self.next)
        most = most if self.left is None else min(most, self.left)
        until = self._covered.next_start(first)
        length = piece_from(first, most if until is None else min(most, until - first))
        self.next = first + length
        if self.left is not None:
            self.left -= length
        return range(first, first + length)


class _Served:
    """A row that is handed out.  `given`: how many turns of it were, in this campaign."""

    def __init__(self, row: Row, turns: Turns, given: int) -> None:
        self.row, self.turns, self.given = row, turns, given

    def take(self, most: int) -> Batch:
        taken = self.turns.take(most)
        self.given += len(taken)
        return Batch(tuple(Job("main", self.row.name, turn, self.row.spec(turn)) for turn in taken))


class Sequences:
    """All rows of a campaign, up to `request.runs` or until nobody asks any more.

    Args: at: where a row stands.
    """

    def __init__(self, request: Request, known: Catalogue, at: Callable[[Row], At] = lambda row: At()) -> None:
        among = rows(request, known)
        share = shares(request, among)
        self._served = []
        for row in among:
            start, wanted = at(row), share[row.name]
            left = None if wanted is None else max(0, wanted - start.made)
            self._served.append(_Served(row, Turns(start.first, start.covered, left), start.made))
        self._back: deque[Job] = deque()

    def next_batch(self, pace: Pace) -> Batch | None:
        """Return turns of the least advanced row, as many as its pace allows; None when there are no more."""
        if self._back:
            return self._again(pace.size(self._back[0].source))
        waiting = [served for served in self._served if served.turns.left != 0]
        if not waiting:
            return None
        least = min(waiting, key=lambda served: (served.row.round_of(served.given), served.row.place))
        return least.take(pace.size(least.row.name))

    def _again(self, size: int) -> Batch:
        source = self._back[0].source
        jobs: list[Job] = []
        while self._back and len(jobs) < size and self._back[0].source == source:
            jobs.append(self._back.popleft())
        return Batch(tuple(jobs))

    def give_back(self, jobs: Iterable[Job]) -> None:
        """Take back jobs that were not run; they go first next time."""
        self._back.extendleft(reversed(list(jobs)))
