"""A scenario: a named cast, its parameters, the claims that it puts to the test, and the marks it should reach.

`play` is a run's main task: it sets the stage up, starts the actors, waits for them and their I/O, takes the quiescent
snapshot, syncs, and takes the last one.  Invariant: the stage is a function of the parameters only; whatever can differ
between two runs is a choice at a point.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mmrace import runtime as rt
from mmrace.actors.stage import Params, Stage
from mmrace.runtime.errors import UsageError
from mmrace.scenarios.build import build, sync
from mmrace.scenarios.snapshot import snapshot

Actor = Callable[[Stage], None]

__all__ = ["Actor", "Scenario", "Stage"]

STEPS_SET_UP = 10_000
STEPS_PER_ROUND = 1_000
"""Bounds of a run in ops: a round of any actor took at most some hundred in correct runs, set-up and sync a few
thousand."""


@dataclass(frozen=True)
class Scenario:
    """See the module docstring.

    Args: cast: name -> actor.  defaults: every parameter with its default; the type of the default is the type of the
    parameter.  marks: rare branches that a campaign of this scenario alone should reach.  variations: changes to the
    defaults that a campaign goes through, the first being none.  before, after: called with the stage around the
    actors.
    """

    name: str
    title: str
    cast: Mapping[str, Actor]
    defaults: Params
    claims: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    variations: tuple[Params, ...] = ({},)
    before: Callable[[Stage], None] | None = None
    after: Callable[[Stage], None] | None = None
    needs_workload: bool = False
    maker = "scenario"
    digest = ""

    def merged(self, params: Mapping[str, int | str]) -> Params:
        """Return the defaults with `params` over them.  Raises UsageError for an unknown one or a wrong type."""
        merged = dict(self.defaults)
        for key, value in params.items():
            if key not in merged:
                close = difflib.get_close_matches(key, merged)
                raise UsageError(
                    expected=f"a parameter of {self.name}: {', '.join(merged)}",
                    got=key,
                    where="--param",
                    try_=close[0] if close else "",
                )
            if isinstance(merged[key], int) and not isinstance(value, int):
                raise UsageError(expected=f"a number for {key}", got=value, where="--param")
            low, high = LIMITS.get(key, (0, 0))
            if key in LIMITS and not (isinstance(value, int) and low <= value <= high):
                raise UsageError(expected=f"{key} in {low}..{high}", got=value, where="--param")
            choices = CHOICES.get(key)
            if choices and value not in choices:
                raise UsageError(expected=f"{key} out of {', '.join(choices)}", got=value, where="--param")
            merged[key] = value
        self.playing(merged)
        return merged

    def playing(self, params: Params) -> dict[str, Actor]:
        """Return the cast less those that the parameter `without` leaves out.  Raises UsageError for a stranger."""
        without = [name for name in str(params.get("without", "")).split(",") if name]
        for name in without:
            if name not in self.cast:
                raise UsageError(
                    expected=f"actors of {self.name}: {', '.join(self.cast)}", got=name, where="--param without"
                )
        return {name: actor for name, actor in self.cast.items() if name not in without}

    def ncpus(self, params: Params) -> int:
        """Return the number of CPUs: one for each actor unless `cpus` says otherwise (0: that), and an idle one."""
        cpus = params.get("cpus", 0)
        actors = cpus if isinstance(cpus, int) and cpus else max(2, len(self.playing(params)))
        return actors + (params.get("irq") == "idle")

    def steps(self, params: Params, actions: int = 0) -> int:
        """Return the bound of a run in ops.  Args: actions: of the workload, if there is one."""
        numbers = {key: value for key, value in params.items() if isinstance(value, int)}
        rounds = numbers["rounds"] * (len(self.cast) + numbers["burst"] + numbers["reads"])
        rounds += numbers["migrations"] * numbers["batch"]
        return STEPS_SET_UP + STEPS_PER_ROUND * (actions or rounds) + numbers["pages"] * STEPS_PER_ROUND

    def play(self, stage: Stage) -> None:
        """Be the main task of one run; what comes before and after the actors' play is not explored."""
        with rt.fixed_order():
            build(stage, self.ncpus(stage.params))
            if self.before is not None:
                self.before(stage)
            ncpus = stage.machine.ncpus - (stage.params.get("irq") == "idle")
            for i, (name, actor) in enumerate(self.playing(stage.params).items()):
                rt.spawn(actor, stage, name=name, cpu=i % ncpus)
        rt.join_others()
        with rt.fixed_order():
            if self.after is not None:
                self.after(stage)
            self._snapshot(stage, "quiescent")
            sync(stage)
            self._snapshot(stage, "synced")

    @staticmethod
    def _snapshot(stage: Stage, when: str) -> None:
        rt.note("snapshot", when)
        stage.final[when] = snapshot(stage)


MODES = ("MIGRATE_ASYNC", "MIGRATE_SYNC_LIGHT", "MIGRATE_SYNC")
CHOICES: dict[str, tuple[str, ...]] = {"mode": MODES, "irq": ("submitter", "any", "idle")}
LIMITS: dict[str, tuple[int, int]] = {
    "pages": (1, 64),
    "buffers": (1, 8),
    "words": (1, 8),
    "rounds": (1, 1000),
    "migrations": (1, 10_000),
    "passes": (1, 10),
    "batch": (1, 32),
    "cpus": (0, 8),
    "wbuf": (1, 64),
    "metadata": (0, 1),
    "direct": (0, 1),
    "device": (0, 1),
    "resched": (0, 1),
    "errors": (0, 1),
    "dirtied": (0, 64),
    "warm": (0, 64),
    "idle": (0, 10_000),
    "pagevec": (1, 14),
    "burst": (1, 64),
    "reads": (1, 64),
}
