"""One schedule, played: the only place where an engine runs a program.

`play` makes the engine, runs the program on it, gives its record to whoever asks, and lets go of everything at the end
of the block.  Invariant: a failure of the program is a result, never an exception; what raises is a wrong call
(UsageError) or a bug of mmrace (InternalError, NondeterminismError).  Not here: who chooses (`strategy_of.py`) and what
a record is worth (`judge.py`).
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypedDict

from mmrace.runs import engines, registrations
from mmrace.runs.chosen import Chosen
from mmrace.runs.foreign import watched
from mmrace.runs.program import Engine, Program
from mmrace.runs.spec import RunSpec
from mmrace.runtime.breaking import BreakAt
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.crash import ABORT
from mmrace.runtime.errors import UsageError, Violation
from mmrace.runtime.leaving import kept
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import Followed
from mmrace.version import __version__

Watch = Callable[[Controlled], object]
"""Called with the engine before the run, to watch it."""


class Play:
    """A schedule that was played.

    Attributes: watched: what `watch` gave.  seconds: how long the engine took.  unmet: what the strategy says of a run
    that did not go as it was told; whoever judges the run decides whether that matters.
    """

    unmet: UsageError | None = None

    def __init__(self, program: Program, spec: RunSpec, engine: Engine, chosen: Chosen | None, watched: object) -> None:
        self.program, self.spec, self.engine, self.chosen, self.watched = program, spec, engine, chosen, watched
        began = time.perf_counter()
        self.final = _run(program, engine)
        self.seconds = time.perf_counter() - began

    @property
    def followed(self) -> Followed | None:
        """How much of the schedule that its strategy was given the run was."""
        chosen = self.chosen
        return None if chosen is None else chosen.followed or chosen.strategy.followed()

    @property
    def how(self) -> str:
        """How the run ended."""
        return str(self.engine.end.get("how"))

    @cached_property
    def record(self) -> Record:
        """The record of the run; it stays readable after the engine is released."""
        return Record.of_run(self.engine, self._header(), self.final)

    def _header(self) -> dict[str, Any]:
        program, spec, chosen = self.program, self.spec, self.chosen
        engine = None if spec.engine == "free" else self.engine
        promoted = engine.promoted if isinstance(engine, Controlled) else None
        followed = self.followed
        return {
            "maker": spec.maker,
            "program": spec.program,
            "digest": program.digest,
            "params": dict(program.params),
            "given": dict(spec.params),
            "variant": spec.variant,
            **program.header(),
            "engine": spec.engine,
            "strategy": None if engine is None else spec.strategy,
            "load": [file.path for file in spec.load],
            "loaded": registrations.needed(spec.load),
            **({"without": list(spec.without)} if spec.without else {}),
            "noise": spec.noise if engine is None else None,
            "seed": spec.seed,
            "workload": spec.workload,
            "ncpus": program.ncpus,
            "promoted": None if promoted is None else sorted(promoted),
            "explored": list(engine.explored()) if isinstance(engine, Controlled) else None,
            "profile": None if chosen is None else chosen.profile,
            "corpus": None if chosen is None else chosen.corpus,
            "followed": None if followed is None else followed._asdict(),
            "host": {"python": sys.version.split()[0], "machine": platform.machine(), "mmrace": __version__},
        }


@contextmanager
def play(
    program: Program, spec: RunSpec, chosen: Chosen | None = None, *, sites: bool = False, watch: Watch | None = None
) -> Iterator[Play]:
    """Play one schedule, and hand it out until the block ends.

    Args: chosen: the strategy, None under `free`.  sites: keep the site of every op.  Raises what the program raised,
    if that is no result: UsageError, InternalError, and from a program that may not raise anything but Violation; and
    NondeterminismError of a replay.
    """
    engine: Engine
    seen: object = None
    if chosen is None:
        engine = engines.free(program, spec)
    else:
        engine = engines.controlled(program, spec, chosen.strategy, sites=sites, promoted=chosen.promoted)
        seen = None if watch is None else watch(engine)
    try:
        played = Play(program, spec, engine, chosen, seen)
        if chosen is not None:
            try:
                chosen.strategy.finish()
            except UsageError as error:
                played.unmet = error
        yield played
    finally:
        engine.release()


class Stopping(TypedDict, total=False):
    """What `play` is told of a run that is stopped at a step."""

    sites: bool
    watch: Watch


def stopped_by(breaking: BreakAt | None) -> Stopping:
    """Return what `play` is to be told, so that a run is stopped at a step."""
    return {} if breaking is None else {"sites": True, "watch": breaking.attach}


def _run(program: Program, engine: Engine) -> dict[str, Any]:
    """Run the program; raise its exception, unless that is the end of the run (`runtime/crash.py`)."""
    with kept:
        if program.may_raise or isinstance(engine, Controlled):  # free runs of mmrace's own programs have a watchdog
            with watched(engine):
                final = program.play(engine)
        else:
            final = program.play(engine)
    error = engine.error
    is_result = program.may_raise and engine.end.get("how") not in (None, ABORT)
    if error is not None and not (isinstance(error, Violation) or is_result):
        raise error
    return final
