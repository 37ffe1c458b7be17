"""The casts: who meets whom.  Each scenario is one cast on one file; files of a user's own register theirs.

`mmrace list params` tells what the parameters mean.  Invariant: a registered scenario has a name of its own, and
parameters that can be declared together.
"""

from __future__ import annotations

from collections.abc import Iterable

from mmrace.actors import (
    committer,
    compactor,
    flusher,
    fsync,
    hugepage,
    migrator,
    reader,
    reclaimer,
    toucher,
    truncater,
    writeback,
    writer,
)
from mmrace.runtime import given
from mmrace.scenarios import anonymous, checked, copies, faults, mapped, recorded, streams
from mmrace.scenarios.scenario import FAILING, Scenario

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="async-vs-commit",
        title="asynchronous migration meets the journal commit: trylock all buffers, or back out",
        cast=(writer.ACTOR, committer.ACTOR, migrator.ACTOR, reader.ACTOR),
        variations=(
            {},
            {"pages": 2, "metadata": 1, "passes": 5},
            {"buffers": 4, "burst": 3, "wbuf": 2, "resched": 1, "direct": 0, "passes": 5},
            {"cpus": 2, "irq": "any", "pages": 2, "pagevec": 2},
            {"data": "writeback", "bare": 100},
            {"data": "journal", "buffers": 1, "rounds": 6, "idle": 600, "passes": 5},
            {"holes": 1, "pages": 2, "idle": 60},
        ),
    ),
    Scenario(
        name="sync-vs-commit",
        title="synchronous migration meets the journal commit: the slot moves first, then it sleeps on the buffers",
        cast=(writer.ACTOR, committer.ACTOR, migrator.ACTOR, reader.ACTOR),
        overrides={"mode": "MIGRATE_SYNC_LIGHT", "passes": 5},
        variations=(
            {},
            {"mode": "MIGRATE_SYNC", "direct": 0, "passes": 6},
            {"mode": "MIGRATE_SYNC", "metadata": 1, "device": 1, "batch": 8, "rounds": 4, "passes": 6},
            {"buffers": 4, "burst": 3, "wbuf": 2, "resched": 1},
            {"data": "journal", "mode": "MIGRATE_SYNC", "direct": 0, "rounds": 4, "passes": 6},
            {"bare": 100, "rounds": 4},
        ),
    ),
    Scenario(
        name=FAILING,
        title="migration meets a commit whose data cannot be written: the error path of 3.3 may unlock another page",
        cast=(writer.ACTOR, committer.ACTOR, migrator.ACTOR),
        overrides={
            "errors": 1,
            "mode": "MIGRATE_SYNC",
            "buffers": 1,
            "words": 1,
            "rounds": 12,
            "migrations": 30,
            "passes": 8,
            "idle": 10,
        },
        variations=({}, {"mode": "MIGRATE_SYNC_LIGHT"}),
        expects=(faults.R14,),
    ),
    Scenario(
        name="migrate-vs-writeback",
        title="migration meets the flusher, from clear_page_dirty_for_io to end_buffer_async_write",
        cast=(writer.ACTOR, writeback.ACTOR, fsync.ACTOR, migrator.ACTOR, reader.ACTOR),
        overrides={"mode": "MIGRATE_SYNC", "passes": 5},
        variations=(
            {},
            {"mode": "MIGRATE_ASYNC", "pages": 2},
            {"mode": "MIGRATE_SYNC_LIGHT", "direct": 0, "buffers": 4},
            {"cpus": 2, "irq": "any", "burst": 2, "bare": 100},
            {"errors": 1},
            {"cache": 1, "pages": 2},
        ),
        expects=faults.LOGGED,
    ),
    Scenario(
        name="migrate-vs-reclaim",
        title="migration meets page reclaim, which strips buffers and freezes the same count",
        cast=(reader.ACTOR, reclaimer.ACTOR, migrator.ACTOR),
        overrides={"pages": 2, "pagevec": 2},
        variations=(
            {},
            {"mode": "MIGRATE_SYNC", "passes": 6},
            {"pagevec": 14, "buffers": 1},
            {"errors": 1},
        ),
    ),
    Scenario(
        name="reclaim-vs-writer",
        title="reclaim meets a writer: pages are dirtied while it looks at them, and it writes some itself",
        cast=(writer.ACTOR, reclaimer.ACTOR, migrator.ACTOR),
        overrides={"pages": 2, "rounds": 3},
        variations=({}, {"mode": "MIGRATE_SYNC", "passes": 6, "order": 9}, {"pagevec": 2, "pages": 3, "burst": 2}),
    ),
    Scenario(
        name="reclaim-vs-truncate",
        title="truncation takes pages away from reclaim, from a reader, and from a migration",
        cast=(reader.ACTOR, truncater.ACTOR, reclaimer.ACTOR, migrator.ACTOR),
        overrides={"pages": 2, "rounds": 4, "idle": 60},
        variations=({}, {"mode": "MIGRATE_SYNC", "passes": 6}, {"pages": 1, "bare": 100}),
    ),
    Scenario(
        name="truncate-vs-commit",
        title="truncation meets a writer, and a commit that has buffers of what it takes away, while pages move",
        cast=(writer.ACTOR, committer.ACTOR, truncater.ACTOR, migrator.ACTOR, reader.ACTOR),
        overrides={"pages": 2, "rounds": 4, "idle": 60},
        variations=(
            {},
            {"metadata": 1, "mode": "MIGRATE_SYNC", "passes": 6, "tails": 1},
            {"data": "journal"},
            {"data": "journal", "buffers": 1, "mode": "MIGRATE_SYNC_LIGHT", "direct": 0, "rounds": 6, "idle": 20},
            {"data": "writeback", "bare": 100},
            {"buffers": 4, "burst": 3, "wbuf": 2, "resched": 1, "tails": 1},
        ),
        expects=(faults.R15,),
    ),
    Scenario(
        name="truncate-vs-writeback",
        title="truncation meets the flusher and fsync, which write what it takes away, and a writer that makes it anew",
        cast=(writer.ACTOR, writeback.ACTOR, fsync.ACTOR, truncater.ACTOR, migrator.ACTOR),
        overrides={"pages": 2, "rounds": 4, "idle": 60},
        variations=(
            {},
            {"metadata": 1, "mode": "MIGRATE_SYNC", "passes": 6, "tails": 1},
            {"data": "journal", "metadata": 1},
            {"data": "writeback", "bare": 100, "cpus": 2, "irq": "any", "tails": 1},
            {"buffers": 4, "burst": 2, "credits": 3, "tails": 1},
        ),
        expects=(*faults.LOGGED, faults.R15),
    ),
    Scenario(
        name="four",
        title="all of them: migrator, committer, writeback and reclaimer on the same pages, with a writer and a reader",
        cast=(writer.ACTOR, committer.ACTOR, writeback.ACTOR, migrator.ACTOR, reclaimer.ACTOR, reader.ACTOR),
        overrides={"pages": 2, "rounds": 3, "pagevec": 2, "device": 1},
        variations=(
            {},
            {"mode": "MIGRATE_SYNC_LIGHT", "direct": 0, "passes": 6},
            {"mode": "MIGRATE_SYNC", "passes": 6, "metadata": 1, "order": 9},
            {"pages": 3, "buffers": 4, "burst": 2, "wbuf": 2, "resched": 1, "zone_reclaim": 1},
            {"cpus": 2, "irq": "any", "metadata": 1, "batch": 8},
            {"data": "journal"},
            {"pages": 4, "rounds": 4, "batch": 1, "migrations": 2, "idle": 60, "without": "reader"},
            {"pagevec": 1},
            {"cpus": 1},
        ),
    ),
    Scenario(
        name="fsync-commits",
        title="fsync asks kjournald for a commit and waits for it, with a writer, while pages move",
        cast=(writer.ACTOR, fsync.ACTOR, migrator.ACTOR),
        overrides={"metadata": 1, "rounds": 3, "idle": 60},
        marks=("fsync: flushed the disk's cache", "log_wait_commit: slept"),
        variations=(
            {},
            {"mode": "MIGRATE_SYNC", "device": 1, "batch": 8, "passes": 6},
            {"data": "journal", "pages": 2},
            {"credits": 3, "burst": 2, "mode": "MIGRATE_SYNC_LIGHT", "direct": 0},
            {"cpus": 2, "irq": "any", "data": "writeback"},
            {"holes": 1, "metadata": 0},
            {"cache": 1},
            {"holes": 1, "pages": 2, "data": "journal"},
        ),
        expects=faults.LOGGED,
    ),
    Scenario(
        name="log-fills",
        title="a small log that fills: a write finds no room in it, and writes metadata home, while pages move",
        cast=(writer.ACTOR, fsync.ACTOR, migrator.ACTOR),
        overrides={"metadata": 1, "device": 1, "credits": 3, "log": 12, "rounds": 4, "idle": 20},
        marks=("journal_start: log full", "checkpoint: wrote a batch home", "checkpoint: tail moved"),
        variations=(
            {},
            {"mode": "MIGRATE_SYNC", "batch": 8},
            {"data": "journal", "pages": 2, "log": 20},
            {"cache": 1},
        ),
        expects=faults.LOGGED,
    ),
    Scenario(
        name="journal-aborts",
        title="the log cannot be written: the journal is given up, and who comes after is told so, while pages move",
        cast=(writer.ACTOR, fsync.ACTOR, writeback.ACTOR, migrator.ACTOR),
        overrides={"metadata": 1, "log_errors": 6, "rounds": 5, "idle": 60},
        marks=("journal: aborted", "journal_start: refused, journal aborted", "commit: aborted, no commit block"),
        variations=(
            {},
            {"mode": "MIGRATE_SYNC", "device": 1, "batch": 8, "passes": 6},
            {"data": "journal", "pages": 2},
            {"data": "writeback", "log_errors": 2, "bare": 100, "buffers": 4},
            {"log_errors": 12, "log": 12, "credits": 3, "rounds": 6, "bare": 100, "buffers": 4},
        ),
        expects=faults.LOGGED,
    ),
    Scenario(
        name="two-handles",
        title="a write and a chmod change one block of inodes through handles of their own, while a commit copies it",
        cast=(writer.ACTOR, toucher.ACTOR, committer.ACTOR, migrator.ACTOR),
        overrides={"metadata": 1, "rounds": 4, "idle": 60, "batch": 4, "device": 1},
        marks=(
            "journal_start: another handle is open",
            "journal_stop: last handle woke commit",
            "get_write_access: frozen copy made",
            "get_write_access: waited for the log copy",
            "dirty_metadata: buffer of the committing transaction",
        ),
        variations=(
            {},
            {"mode": "MIGRATE_SYNC", "passes": 6},
            {"touches": 3, "wbuf": 1},
            {"data": "journal", "buffers": 1, "warm": 16},
            {"cpus": 2, "irq": "any", "data": "writeback"},
        ),
    ),
    Scenario(
        name="flusher-vs-checkpoint",
        title="a block device's flusher meets a checkpoint, which writes the same metadata, a commit, and a migration",
        cast=(writer.ACTOR, fsync.ACTOR, flusher.ACTOR, migrator.ACTOR),
        overrides={"metadata": 1, "device": 1, "credits": 3, "log": 12, "rounds": 6, "idle": 20},
        marks=(
            "flusher: inode is clean",
            "temp_unlink: journal-dirty became dirty",
            "get_write_access: buffer dirty",
            "checkpoint: wrote a batch home",
            "checkpoint: waited for its own write",
        ),
        variations=(
            {},
            {"mode": "MIGRATE_SYNC", "batch": 8, "passes": 6},
            {"buffers": 8, "bare": 0},
            {"data": "journal", "pages": 2, "log": 20},
            {"log": 0, "idle": 60, "cpus": 2, "irq": "any"},
            {"cache": 1},
        ),
        expects=faults.LOGGED,
    ),
    *copies.SCENARIOS,
    *streams.SCENARIOS,
    Scenario(
        name="compaction-vs-commit",
        title="compaction, for huge pages and of all memory, meets a writer and the journal commit",
        cast=(writer.ACTOR, committer.ACTOR, hugepage.ACTOR, compactor.ACTOR),
        overrides={"huge": 2, "pages": 3, "idle": 60},
        variations=(
            {},
            {"compacts": "direct-async", "pinned": 1, "passes": 5},
            {"compacts": "direct-sync", "metadata": 1, "passes": 5},
            {"huge": 3, "pages": 4, "cluster": 2, "buffers": 4, "burst": 2},
            {"data": "journal", "passes": 5},
            {"without": "compactor", "faults": 6, "held": 2, "bare": 100},
        ),
    ),
    Scenario(
        name="compaction-vs-writeback",
        title="compaction, for huge pages and of all memory, meets a writer, the flusher and fsync",
        cast=(writer.ACTOR, writeback.ACTOR, fsync.ACTOR, hugepage.ACTOR, compactor.ACTOR),
        overrides={"huge": 2, "pages": 3, "idle": 60},
        variations=(
            {},
            {"compacts": "direct-async", "pinned": 1, "passes": 5, "bare": 100},
            {"compacts": "direct-sync", "cpus": 2, "irq": "any", "passes": 5},
            {"cluster": 1, "pages": 4, "pagevec": 2},
        ),
        expects=faults.LOGGED,
    ),
    Scenario(
        name="compaction-vs-reclaim",
        title="compaction, for huge pages and of all memory, meets reclaim and a reader: who isolates a page has it",
        cast=(reader.ACTOR, reclaimer.ACTOR, hugepage.ACTOR, compactor.ACTOR),
        overrides={"huge": 2, "pages": 4, "pagevec": 2, "idle": 60},
        variations=(
            {},
            {"compacts": "direct-async", "pinned": 2, "order": 2},
            {"compacts": "direct-sync", "cluster": 2, "passes": 5},
            {"huge": 1, "pages": 6, "pagevec": 14, "zone_reclaim": 1},
        ),
    ),
    Scenario(
        name="two-compactors",
        title="two compactions, a page fault's and a migration on the same pages: one isolates a page, others leave it",
        cast=(reader.ACTOR, compactor.ACTOR, compactor.RIVAL, hugepage.ACTOR, migrator.ACTOR),
        overrides={"huge": 2, "pages": 4, "idle": 30},
        variations=(
            {},
            {"compacts": "direct-async"},
            {"compacts": "direct-sync", "cluster": 1, "pagevec": 2},
            {"mode": "MIGRATE_SYNC", "direct": 0, "cluster": 2, "passes": 6},
            {"huge": 1, "pages": 6, "device": 1, "batch": 4},
        ),
    ),
    *mapped.SCENARIOS,
    *anonymous.SCENARIOS,
    Scenario(
        name="tight-memory",
        title="few frames are free: who allocates compacts and reclaims from where it stands, with what it holds",
        cast=(writer.ACTOR, committer.ACTOR, reader.ACTOR, hugepage.ACTOR),
        overrides={
            "huge": 2,
            "pages": 3,
            "free": 10,  # more than the buffers that CPUs remember can pin: a commit that gets none would wait for ever
            "kept": 2,
            "metadata": 1,
            "rounds": 2,
            "faults": 3,
            "held": 2,
            "idle": 60,
            "passes": 5,
        },
        marks=("alloc: others took it", "alloc: large order failed"),
        variations=(
            {},
            {"huge": 0, "bare": 100, "faults": 24, "held": 12},
            {"huge": 3, "pages": 4, "cluster": 2, "held": 1},
            {"data": "journal", "pagevec": 2},
            {"faults": 6, "pinned": 1, "kept": 1},
        ),
    ),
    Scenario(
        name="recorded",
        title="the actors do what a real kernel did, to the same pages, in that order and as close together",
        cast=recorded.CAST,
        overrides={"pages": 12, "buffers": 4, "pagevec": 4, "passes": 10},
        before=recorded.announce,
        after=recorded.conclude,
        needs_workload=True,
    ),
)


_registered: dict[str, Scenario] = {}


def register(scenario: Scenario, where: str) -> None:
    """Make a scenario known by its name.  Raises UsageError if the name is taken, or the scenario makes no sense."""
    given.name("scenario", scenario.name, (made.name for made in all_scenarios()), where)
    checked.check(scenario, where)
    _registered[scenario.name] = scenario


def is_registered(scenario: Scenario) -> bool:
    """Say whether a scenario is a user's own."""
    return scenario.name in _registered


def all_scenarios() -> Iterable[Scenario]:
    """Yield every scenario."""
    return (*SCENARIOS, *_registered.values())
