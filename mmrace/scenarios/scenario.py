"""A scenario: a named cast on one file, its parameters, and the variations that a campaign goes through.

`play` is a run's main task: it sets the stage up, starts the actors, waits for them and their I/O, takes the quiescent
snapshot, syncs, and takes the last one.  Invariant: the stage is a function of the parameters only; whatever can differ
between two runs is a choice at a point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.faulter import STORES
from mmrace.actors.fsync import LOG_ERRORS
from mmrace.actors.migrator import BATCH, MIGRATIONS
from mmrace.actors.reader import READS
from mmrace.actors.stage import PAGES, ROUNDS, Stage
from mmrace.actors.streamer import STREAMED
from mmrace.actors.writer import BURST, METADATA
from mmrace.kernel.fs.ext3 import DataMode
from mmrace.kernel.jbd import journal as journal_
from mmrace.oracles.general.expected import Expected
from mmrace.runtime.errors import UsageError, unknown
from mmrace.runtime.param import Number, Parameters, Text, Value, Values
from mmrace.scenarios import build, faults, private, stick
from mmrace.scenarios.build import DATA, ERRORS, HOLES, IRQ, WORDS
from mmrace.scenarios.snapshot import snapshot

__all__ = ["Scenario", "Stage", "absent"]

HEADER_WORDS = 2  # of a block of the log: the magic number, and what it is of

CPUS = Number("cpus", 0, 0, 8, says="CPUs, shared in turn; 0: one for each actor")
WITHOUT = Text("without", "", says="actors to leave out, by comma")
PARAMS = (CPUS, WITHOUT)

COUNTED = (ROUNDS, BURST, READS, MIGRATIONS, BATCH)
"""Parameters of actors that bound a run.  Where these actors are not cast, the bound has the default."""

FAILING = "migrate-vs-write-error"
"""The cast in which transfers fail beside a commit."""

STEPS_SET_UP = 10_000
STEPS_PER_ROUND = 1_000
"""Bounds of a run in ops: in correct runs a round of any actor took at most some hundred, set-up and sync a few
thousand."""


def absent(values: Values) -> tuple[str, ...]:
    """Return the names of the actors that are left out."""
    return tuple(name for name in WITHOUT.value_in(values).split(",") if name)


def _how_to_log_none(playing: Iterable[Actor]) -> str:
    """Say with which parameters a cast logs no metadata."""
    logging = ",".join(actor.name for actor in playing if actor.logs)
    and_without = f" and {WITHOUT.name}={logging}" if logging else ""
    return f"{METADATA.name}=0, {HOLES.name}=0 and {DATA.name}=ordered{and_without}, which log none"


@dataclass(frozen=True)
class Scenario:
    """See the module docstring.

    Args: overrides: defaults of its own.  marks: rare branches that a campaign of this scenario alone should reach.
    variations: changes to the defaults that a campaign goes through; the first changes nothing.  before, after: called
    with the stage around the actors.  expects: faults of what is modelled that show in it, and fail no run.  longer:
    times what its actors' rounds say that a run may take, for actors that play on until another one is done.
    """

    name: str
    title: str
    cast: tuple[Actor, ...]
    overrides: Values = field(default_factory=dict)
    marks: tuple[str, ...] = ()
    variations: tuple[Values, ...] = ({},)
    before: Callable[[Stage], None] | None = None
    after: Callable[[Stage], None] | None = None
    needs_workload: bool = False
    expects: tuple[Expected, ...] = ()
    longer: int = 1
    maker = "scenario"
    digest = ""

    @cached_property
    def params(self) -> Parameters:
        """What a run of this scenario can be told: the parameters of the set-up and of the cast."""
        of_cast = (param for actor in self.cast for param in actor.params)
        return Parameters(self.name, (*build.PARAMS, *PARAMS, *of_cast), self.overrides)

    @property
    def defaults(self) -> Values:
        """Every parameter with its default."""
        return self.params.defaults

    def typed(self, texts: Mapping[str, str]) -> Values:
        """Return parameters that were given as texts.  Raises UsageError."""
        return self.params.typed(texts)

    def merged(self, values: Mapping[str, Value]) -> Values:
        """Return the defaults with `values` over them.  Raises UsageError for what is unknown or not allowed."""
        merged = self.params.merged(values)
        playing = self.playing(merged)
        if ERRORS.value_in(merged) and not any(known.needs.get(ERRORS.name) for known in self.expects):
            self._refuse_errors(playing, merged)
        self._refuse_log_errors(playing, merged)
        self._refuse_stores(playing, merged)
        stick.check(merged, [actor.name for actor in playing if actor.copies])
        if WORDS.value_in(merged) < HEADER_WORDS and self._logged(playing, merged):
            raise UsageError(
                expected=f"{WORDS.name} of at least {HEADER_WORDS} where metadata is logged, for a log block's header",
                got=WORDS.value_in(merged),
                where="--param",
                try_=_how_to_log_none(playing),
            )
        return merged

    @staticmethod
    def _refuse_log_errors(playing: Iterable[Actor], values: Values) -> None:
        """Raise UsageError if the log may fail beside a truncation, which 3.3 then does by half."""
        if LOG_ERRORS.value_in(values) and any(actor.name == "truncater" for actor in playing):
            raise UsageError(
                expected="no truncation where the journal may be given up: 3.3 then changes a size whose blocks it "
                "does not free, and what was there comes back when the file is made longer",
                got=f"{LOG_ERRORS.name}={values[LOG_ERRORS.name]}",
                where="--param",
                try_=f"{WITHOUT.name}=truncater",
            )

    def _refuse_stores(self, playing: Iterable[Actor], values: Values) -> None:
        """Raise UsageError for stores through a mapping that 3.3 does not write as it should."""
        names = {actor.name for actor in playing}
        if "faulter" not in names or not STORES.value_in(values):
            return
        if "truncater" in names:
            why = (
                "beside a truncation: ext3 of 3.3 has no page_mkwrite, so that one into a hole reserves no block, and "
            )
            why += "is lost if none is free when it is written (R34)"
        elif DATA.value_in(values) == DataMode.JOURNAL.value and faults.R33 not in self.expects:
            why = "with data=journal: no handle holds it off while a commit copies the page, and a migration that "
            why += "writes the page loses sight of it (R33)"
        else:
            return
        raise UsageError(
            expected=f"no store through a mapping {why}",
            got=f"{STORES.name}={values[STORES.name]}",
            where="--param",
            try_=f"{STORES.name}=0",
        )

    @staticmethod
    def _logged(playing: Iterable[Actor], values: Values) -> bool:
        """Say whether a transaction has more than ordered data."""
        journalled = DATA.value_in(values) == DataMode.JOURNAL.value
        of_parameters = METADATA.value_in(values) or HOLES.value_in(values)
        return journalled or bool(of_parameters) or any(actor.logs for actor in playing)

    def _refuse_errors(self, playing: Sequence[Actor], values: Values) -> None:
        """Raise UsageError if somebody commits and somebody migrates, where 3.3 has a fault of its own."""
        logged = self._logged(playing, values)
        committers = [actor.name for actor in playing if actor.commits or (actor.asks and logged)]
        migrators = [actor.name for actor in playing if actor.migrates]
        if committers and migrators:
            raise UsageError(
                expected="no failing transfers where a commit meets a migration: there 3.3 itself unlocks a page "
                "that it never locked (R14)",
                got=f"{ERRORS.name}=1 in {self.name}",
                where="--param",
                try_=f"{FAILING}, the cast that expects it; or {WITHOUT.name}={','.join(committers)}, or "
                f"{WITHOUT.name}={','.join(migrators)}",
            )

    def expected(self, values: Values) -> tuple[Expected, ...]:
        """Return the faults that can show with these parameters, all of which are given."""
        playing = [actor.name for actor in self.playing(values)]
        return tuple(known for known in self.expects if known.possible(playing, values))

    def playing(self, values: Values) -> tuple[Actor, ...]:
        """Return the cast less the actors that are left out.  Raises UsageError for one that is not cast."""
        names = [actor.name for actor in self.cast]
        left_out = absent(values)
        for name in left_out:
            if name not in names:
                raise unknown(f"an actor of {self.name}", name, names, where=f"--param {WITHOUT.name}")
        return tuple(actor for actor in self.cast if actor.name not in left_out)

    def ncpus(self, values: Values) -> int:
        """Return the number of CPUs: `cpus`, or one for each task (at least two); with `irq` idle, one more."""
        playing = self.playing(values)
        cpus = CPUS.value_in(values) or max(2, len(playing) + any(actor.asks for actor in playing))
        return cpus + (IRQ.value_in(values) == "idle")

    def steps(self, values: Values, actions: int = 0) -> int:
        """Return the bound of a run in ops.  Args: actions: of the workload, if there is one."""
        rounds, burst, reads, migrations, batch = (param.value_in(values) for param in COUNTED)
        rounds = rounds * (len(self.cast) + burst + reads) + migrations * batch
        rounds += STREAMED.value_in(values) if STREAMED.name in values else 0
        rounds = actions or rounds * self.longer
        return STEPS_SET_UP + STEPS_PER_ROUND * rounds + PAGES.value_in(values) * STEPS_PER_ROUND

    def play(self, stage: Stage) -> None:
        """Be the main task of one run.  What comes before and after the actors' play has one fixed order."""
        with rt.fixed_order():
            build.build(stage, self.ncpus(stage.params))
            if self.before is not None:
                self.before(stage)
            ncpus = stage.machine.ncpus - (stage.value(IRQ) == "idle")
            playing = self.playing(stage.params)
            if any(actor.asks for actor in playing):
                journal_.journal_start_thread(stage.journal, len(playing) % ncpus)
            if any(actor.maps for actor in playing):
                build.map_file(stage)
            threads = sum(actor.private for actor in playing)
            if threads:
                private.map_memory(stage, threads)
            build.dirty(stage)
            for i, actor in enumerate(playing):
                rt.spawn(actor.play, stage, name=actor.name, cpu=i % ncpus)
        rt.join_others()
        with rt.fixed_order():
            build.settle(stage)
            if self.after is not None:
                self.after(stage)
            self._snapshot(stage, "quiescent")
            build.sync(stage)
            self._snapshot(stage, "synced")

    @staticmethod
    def _snapshot(stage: Stage, when: str) -> None:
        rt.note("snapshot", when)
        stage.final[when] = snapshot(stage)
