"""The casts: who meets whom.

Each scenario is one cast on one file.  Parameters that they share (numbers unless said otherwise):

    pages, buffers, words   pages of the file, buffers of a page, words of a buffer
    rounds, burst, reads    rounds of each actor; blocks that the writer overwrites, the reader reads in one
    migrations, batch       rounds of the migrator; pages that it takes in one
    mode                    MIGRATE_ASYNC, MIGRATE_SYNC_LIGHT or MIGRATE_SYNC
    passes                  of `migrate_pages` over what is left (10 in the kernel)
    direct                  1: the migrator is a direct compactor (PF_MEMALLOC) unless the mode is MIGRATE_SYNC
    device                  1: it also takes pages of the block device, which have no ->migratepage
    metadata                1: a write also changes its inode's block through the journal
    wbuf, resched           kjournald's batch of data buffers; 1: it may be asked to give way with a batch in hand
    irq                     whose CPU a completion interrupts: submitter, any, or idle: one where nobody else runs,
                            which allows every order of ops that the others allow, and is what an exhaustive search
                            should take: no op has to be ordered with an interrupt for its CPU's sake
    warm                    first blocks of the log that are in the page cache already, as on a machine that has run for
                            a while, where commits allocate nothing
    dirtied                 blocks of the file that are overwritten before the actors begin
    errors                  1: the device may fail a transfer
    pagevec                 entries of a per-CPU pagevec, each a reference that keeps its page from moving until that
                            CPU drains it (14 in the kernel, where other pages soon fill it)
    idle                    an actor idles for up to so many points before a round
    cpus                    CPUs, shared in turn; 0: one for each actor
    without                 actors to leave out, by comma
"""

from __future__ import annotations

from collections.abc import Iterable

from mmrace.actors.committer import committer
from mmrace.actors.fsync import fsync
from mmrace.actors.migrator import migrator
from mmrace.actors.reader import reader
from mmrace.actors.reclaimer import reclaimer
from mmrace.actors.stage import Params
from mmrace.actors.writeback import writeback
from mmrace.actors.writer import writer
from mmrace.scenarios import recorded
from mmrace.scenarios.scenario import Scenario

BASE: Params = {
    "pages": 1,
    "buffers": 2,
    "words": 2,
    "mode": "MIGRATE_ASYNC",
    "rounds": 2,
    "migrations": 4,
    "passes": 3,
    "batch": 2,
    "direct": 1,
    "device": 0,
    "metadata": 0,
    "wbuf": 4,
    "resched": 0,
    "irq": "submitter",
    "dirtied": 0,
    "warm": 0,
    "cpus": 0,
    "errors": 0,
    "idle": 160,
    "pagevec": 1,
    "burst": 1,
    "reads": 1,
    "without": "",
}


def _params(**changed: int | str) -> Params:
    return {**BASE, **changed}


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="async-vs-commit",
        title="asynchronous migration meets the journal commit: trylock all buffers, or back out",
        cast={"writer": writer, "committer": committer, "migrator": migrator, "reader": reader},
        defaults=_params(),
        variations=(
            {},
            {"pages": 2, "metadata": 1, "passes": 5},
            {"buffers": 4, "burst": 3, "wbuf": 2, "resched": 1, "direct": 0, "passes": 5},
            {"cpus": 2, "irq": "any", "pages": 2, "pagevec": 2},
        ),
        claims=("C0", "C1", "C2", "C4", "C5", "C7", "C11", "C12"),
    ),
    Scenario(
        name="sync-vs-commit",
        title="synchronous migration meets the journal commit: the slot moves first, then it sleeps on the buffers",
        cast={"writer": writer, "committer": committer, "migrator": migrator, "reader": reader},
        defaults=_params(mode="MIGRATE_SYNC_LIGHT", passes=5),
        variations=(
            {},
            {"mode": "MIGRATE_SYNC", "direct": 0, "passes": 6},
            {"mode": "MIGRATE_SYNC", "metadata": 1, "device": 1, "batch": 8, "rounds": 4, "passes": 6},
            {"buffers": 4, "burst": 3, "wbuf": 2, "resched": 1},
        ),
        claims=("C0", "C1", "C2", "C3", "C4", "C5", "C7", "C13"),
    ),
    Scenario(
        name="migrate-vs-writeback",
        title="migration meets the flusher, from clear_page_dirty_for_io to end_buffer_async_write",
        cast={"writer": writer, "writeback": writeback, "fsync": fsync, "migrator": migrator, "reader": reader},
        defaults=_params(mode="MIGRATE_SYNC", passes=5),
        variations=(
            {},
            {"mode": "MIGRATE_ASYNC", "pages": 2},
            {"mode": "MIGRATE_SYNC_LIGHT", "direct": 0, "buffers": 4},
            {"cpus": 2, "irq": "any", "burst": 2},
            {"errors": 1},
        ),
        claims=("C6", "C7"),
    ),
    Scenario(
        name="migrate-vs-reclaim",
        title="migration meets page reclaim, which strips buffers and freezes the same count",
        cast={"reader": reader, "reclaimer": reclaimer, "migrator": migrator},
        defaults=_params(pages=2, pagevec=2),
        variations=(
            {},
            {"mode": "MIGRATE_SYNC", "passes": 6},
            {"pagevec": 14, "buffers": 1},
            {"errors": 1},
        ),
        claims=("C7", "C8", "C14"),
    ),
    Scenario(
        name="four",
        title="all of them: migrator, committer, writeback and reclaimer on the same pages, with a writer and a reader",
        cast={
            "writer": writer,
            "committer": committer,
            "writeback": writeback,
            "migrator": migrator,
            "reclaimer": reclaimer,
            "reader": reader,
        },
        defaults=_params(pages=2, rounds=3, pagevec=2, device=1),
        variations=(
            {},
            {"mode": "MIGRATE_SYNC_LIGHT", "direct": 0, "passes": 6},
            {"mode": "MIGRATE_SYNC", "passes": 6, "metadata": 1},
            {"pages": 3, "buffers": 4, "burst": 2, "wbuf": 2, "resched": 1},
            {"cpus": 2, "irq": "any", "metadata": 1, "batch": 8},
        ),
        claims=("C0", "C1", "C2", "C4", "C5", "C6", "C7", "C8"),
    ),
    Scenario(
        name="recorded",
        title="the actors do what a real kernel did, to the same pages, in that order and as close together",
        cast={name: recorded.actor(kind) for name, kind in recorded.ACTORS.items()},
        defaults=_params(pages=12, buffers=4, pagevec=4),
        claims=("C0", "C5", "C6"),
        before=recorded.announce,
        after=recorded.conclude,
        needs_workload=True,
    ),
)


def all_scenarios() -> Iterable[Scenario]:
    """Yield every scenario."""
    return SCENARIOS
