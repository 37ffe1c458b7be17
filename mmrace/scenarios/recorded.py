"""Scenario `recorded`: the actors do what a real kernel did, to the same pages, in that order and as close together.

Each kind of action has an actor, which performs the actions of that kind in the recorded order.  An action waits for
the earlier ones of other actors that had ended more than CLOSE_US before it began in the record.  Those that overlapped
it, or ended shortly before, run concurrently with it here too: these meetings are what the record is for.  How far the
recorded order was kept is counted and reported.  Not kept: durations, which CPU did what, and what came of an action:
a migration that the log saw refused may succeed here, and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable

from mmrace import runtime as rt
from mmrace.actors import committer, migrator, reader, reclaimer, writeback, writer
from mmrace.actors.actor import Actor
from mmrace.actors.stage import Stage
from mmrace.kernel import gfp
from mmrace.kernel.mm import filemap, swap
from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.page_writeback import SyncMode
from mmrace.runtime.param import AnyParam
from mmrace.scenarios.scenario import absent
from mmrace.scenarios.workload import KINDS, Action, Workload

CLOSE_US = 1000
"""Two actions may swap if the record has at most so much time between them: a jiffy of the recorded kernel, and well
above the cost of logging one migration there."""

PLUGGED = 160
"""A read waits for less than so many points, its page locked, until it is sent to the device: as an actor idles."""

ACTORS = {
    "writer": "dirty", "committer": "commit", "writeback": "writeback", "migrator": "migrate", "reclaimer": "reclaim",
    "reader": "read",
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
            for j in meets(workload, k):
                stage.reading[j].wait()
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


def meets(workload: Workload, k: int) -> list[int]:
    """Return the reads in the middle of which a migration came: they began before it, on its page, and overlap it."""
    action = workload.actions[k]
    if action.do != "migrate":
        return []
    return [
        j
        for j, other in enumerate(workload.actions[:k])
        if other.do == "read" and other.page == action.page and other.end_us >= action.begin_us
    ]


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


def _reading(stage: Stage, action: Action) -> rt.Completion:
    """Return what those wait for who met this read."""
    return next(stage.reading[k] for k, other in enumerate(stage.workload.actions) if other is action)


def _read_ahead(stage: Stage, page: Page, action: Action) -> None:
    """Put a new page into the cache and start its read: it is locked from here until the I/O ends.

    A migration that met the read waits until then.  As in readahead, the I/O is submitted some time later.
    """
    readpage = stage.mapping.a_ops.readpage
    assert readpage is not None
    added = filemap.add_to_page_cache_lru(page, stage.mapping, action.page, gfp.GFP_KERNEL) == 0
    _reading(stage, action).complete()
    if added:
        for _ in range(rt.choose(PLUGGED, "plugged")):
            rt.schedule()
        readpage(page)


def _read(stage: Stage, action: Action) -> bool:
    """Read a page from the disk, which holds its lock until the I/O ends; from the cache if it is in use or dirty.

    So that there is something to read, a clean page is dropped first, as a direct reclaimer does.
    """
    mapping = stage.mapping
    swap.lru_add_drain_all(stage.machine)
    pages = migrator.isolate_index(stage, action.page)
    if pages:
        reclaimer.shrink_isolated(stage, pages, kswapd=False)
    page = filemap.page_cache_alloc(mapping)
    if page is None:
        _reading(stage, action).complete()
    else:
        _read_ahead(stage, page, action)
        swap.put_page(page, "lookup")
    return reader.read_block(stage, action.page * stage.machine.buffers_per_page) is not None


DEEDS: dict[str, Callable[[Stage, Action], bool]] = {
    "dirty": _dirty,
    "writeback": _writeback,
    "migrate": _migrate,
    "commit": _commit,
    "reclaim": _reclaim,
    "read": _read,
}

DEED_PARAMS: dict[str, tuple[AnyParam, ...]] = {
    "dirty": (writer.METADATA,),
    "writeback": (),
    "migrate": (migrator.PASSES, migrator.DIRECT),
    "commit": (committer.WBUF, committer.RESCHED),
    "reclaim": (),
    "read": (),
}
"""Kind of action -> parameters that one such action reads; what an actor reads for its rounds is not among them."""

CAST = tuple(
    Actor(name, actor(kind), DEED_PARAMS[kind], commits=kind == "commit", migrates=kind == "migrate")
    for name, kind in ACTORS.items()
)


def announce(stage: Stage) -> None:
    """Note what was recorded, and make the completions that order the actions.  Called before the actors start."""
    workload: Workload = stage.workload
    counts = workload.counts()
    for kind in KINDS:
        rt.note("workload-recorded", kind, counts.get(kind, 0))
    stage.done = [rt.Completion(("action", k)) for k in range(len(workload.actions))]
    reads = [k for k, action in enumerate(workload.actions) if action.do == "read"]
    stage.reading = {k: rt.Completion(("reading", k)) for k in reads}
    left_out = {ACTORS[name] for name in absent(stage.params)}
    for action, done in zip(workload.actions, stage.done, strict=True):
        if action.do in left_out:  # else others would wait for it for ever
            done.complete()
    if "read" in left_out:
        for reading in stage.reading.values():
            reading.complete()


def conclude(stage: Stage) -> None:
    """Note how many actions there were, whose order is to be compared.  Called after the actors ended."""
    rt.note("workload-pairs", len(stage.workload.actions))
