"""The casts: who meets whom.

Each scenario is one cast on one file.  Parameters they share: `pages`, `buffers` per page, `words` per buffer, `rounds`
each actor plays, `passes` of `migrate_pages` (10 in the kernel), `batch` pages a round of the migrator, `direct` (1: the
migrator is a direct compactor), `metadata` (1: a write also journals its inode), `wbuf` (kjournald's batch), `resched`
(1: kjournald may be asked to give way), `irq` (whose CPU completions interrupt), `cpus` (0: one for each actor),
`errors` (1: the device may fail),
`idle` (an actor idles for up to so many points before a round).
"""

from __future__ import annotations

from collections.abc import Iterable

from mmrace.actors.committer import committer
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
    "passes": 3,
    "batch": 2,
    "direct": 1,
    "metadata": 0,
    "wbuf": 4,
    "resched": 0,
    "irq": "submitter",
    "cpus": 0,
    "errors": 0,
    "idle": 160,
}


def _params(**changed: int | str) -> Params:
    return {**BASE, **changed}


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="async-vs-commit",
        title="asynchronous migration meets the journal commit: trylock all buffers, or back out",
        cast={"writer": writer, "committer": committer, "migrator": migrator, "reader": reader},
        defaults=_params(),
        claims=("C0", "C1", "C2", "C4", "C5", "C7", "C11", "C12"),
    ),
    Scenario(
        name="sync-vs-commit",
        title="synchronous migration meets the journal commit: the slot moves first, then it sleeps on the buffers",
        cast={"writer": writer, "committer": committer, "migrator": migrator, "reader": reader},
        defaults=_params(mode="MIGRATE_SYNC_LIGHT"),
        claims=("C0", "C1", "C2", "C3", "C4", "C5", "C7", "C13"),
    ),
    Scenario(
        name="migrate-vs-writeback",
        title="migration meets the flusher, from clear_page_dirty_for_io to end_buffer_async_write",
        cast={"writer": writer, "writeback": writeback, "migrator": migrator, "reader": reader},
        defaults=_params(mode="MIGRATE_SYNC", passes=5),
        claims=("C6", "C7"),
    ),
    Scenario(
        name="migrate-vs-reclaim",
        title="migration meets page reclaim, which strips buffers and freezes the same count",
        cast={"reader": reader, "reclaimer": reclaimer, "migrator": migrator},
        defaults=_params(pages=2),
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
        defaults=_params(pages=2, rounds=3),
        claims=("C0", "C1", "C2", "C4", "C5", "C6", "C7", "C8"),
    ),
    Scenario(
        name="recorded",
        title="the actors do what a real kernel did, to the same pages, in that order and as close together",
        cast={
            "writer": recorded.actor("dirty"),
            "committer": recorded.actor("commit"),
            "writeback": recorded.actor("writeback"),
            "migrator": recorded.actor("migrate"),
            "reclaimer": recorded.actor("reclaim"),
        },
        defaults=_params(pages=12, buffers=4),
        claims=("C0", "C5", "C6"),
        before=recorded.announce,
        after=recorded.conclude,
        needs_workload=True,
    ),
)


def all_scenarios() -> Iterable[Scenario]:
    """Yield every scenario."""
    return SCENARIOS
