"""Scenario `recorded`: the actors do what a real kernel did, to the same pages, in that order and as close together.

Each kind of action has an actor, which performs the actions of that kind in the recorded order.  An action waits for
the earlier ones of other actors that had ended more than CLOSE_US before it began in the record.  Those that overlapped
it, or ended shortly before, run concurrently with it here too: these meetings are what the record is for.  How far the
recorded order was kept is counted and reported.  Not kept: durations, and which CPU did what.
"""

from __future__ import annotations

from collections.abc import Callable

from mmrace import runtime as rt
from mmrace.actors import committer, migrator, reclaimer, writeback, writer
from mmrace.actors.actor import Actor
from mmrace.actors.stage import Stage
from mmrace.kernel.mm import swap
from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.kernel.mm.page_writeback import SyncMode
from mmrace.runtime.param import AnyParam
from mmrace.scenarios.scenario import absent
from mmrace.scenarios.workload import KINDS, Action, Workload

CLOSE_US = 1000
"""Two actions may swap if the record has at most so much time between them: a jiffy of the recorded kernel, and well
above the cost of logging one migration there."""

ACTORS = {
    "writer": "dirty", "committer": "commit", "writeback": "writeback", "migrator": "migrate", "reclaimer": "reclaim",
}  # fmt: skip
"""The cast, and the kind of action that each performs."""


def actor(kind: str) -> Callable[[Stage], None]:
    """Return the actor that performs a workload's actions of one kind."""

    def perform_all(stage: Stage) -> None:
        workload, done = stage.workload, stage.done
        for k, action in enumerate(workload.actions):
            if action.do != kind:
                continue
            for j in waits_for(workload, k):
                done[j].wait()
            rt.note("workload-begin", k)
            performed = DEEDS[kind](stage, action)
            if performed:
                rt.note("workload-end", k, kind)
            done[k].complete()

    return perform_all


def waits_for(workload: Workload, k: int) -> list[int]:
    """Return, for each other kind, the last action that ended more than CLOSE_US before action k began."""
    action = workload.actions[k]
    last: dict[str, int] = {}
    for j in range(k):
        other = workload.actions[j]
        if other.do != action.do and other.end_us + CLOSE_US < action.begin_us:
            last[other.do] = j
    return sorted(last.values())


def _dirty(stage: Stage, action: Action) -> bool:
    per_page = stage.machine.buffers_per_page
    return all([writer.write_block(stage, action.page * per_page + b % per_page) for b in action.buffers or (0,)])


def _writeback(stage: Stage, action: Action) -> bool:
    return writeback.write_range(stage, SyncMode.WB_SYNC_NONE, action.page, action.page) == 0


def _migrate(stage: Stage, action: Action) -> bool:
    swap.lru_add_drain_all(stage.machine)
    pages = migrator.isolate_index(stage, action.page)
    if not pages:
        return False
    migrator.migrate_some(stage, pages, MigrateMode[action.mode])
    return True


def _commit(stage: Stage, action: Action) -> bool:
    return committer.commit_running(stage)


def _reclaim(stage: Stage, action: Action) -> bool:
    swap.lru_add_drain_all(stage.machine)
    pages = migrator.isolate_index(stage, action.page)
    if not pages:
        return False
    reclaimer.shrink_isolated(stage, pages)
    return True


DEEDS: dict[str, Callable[[Stage, Action], bool]] = {
    "dirty": _dirty,
    "writeback": _writeback,
    "migrate": _migrate,
    "commit": _commit,
    "reclaim": _reclaim,
}

DEED_PARAMS: dict[str, tuple[AnyParam, ...]] = {
    "dirty": (writer.METADATA,),
    "writeback": (),
    "migrate": (migrator.PASSES, migrator.DIRECT),
    "commit": (committer.WBUF, committer.RESCHED),
    "reclaim": (),
}
"""Kind of action -> parameters that one such action reads; what an actor reads for its rounds is not among them."""

CAST = tuple(Actor(name, actor(kind), DEED_PARAMS[kind]) for name, kind in ACTORS.items())


def announce(stage: Stage) -> None:
    """Note what was recorded, and make the completions that order the actions.  Called before the actors start."""
    workload: Workload = stage.workload
    counts = workload.counts()
    for kind in KINDS:
        rt.note("workload-recorded", kind, counts.get(kind, 0))
    stage.done = [rt.Completion(("action", k)) for k in range(len(workload.actions))]
    left_out = {ACTORS[name] for name in absent(stage.params)}
    for action, done in zip(workload.actions, stage.done, strict=True):
        if action.do in left_out:  # else others would wait for it for ever
            done.complete()


def conclude(stage: Stage) -> None:
    """Note how many actions there were, whose order is to be compared.  Called after the actors ended."""
    rt.note("workload-pairs", len(stage.workload.actions))
