"""Marks: the rare branches that the kernel model announces, and which of them these casts need not reach.

Each kernel module lists the marks of its code (``MARKS``).  A campaign over all scenarios should reach every mark but
those excused here, each with a reason.  Invariant: every excused mark exists (a test checks it).  Excused marks that
are reached all the same are counted like others.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import mmrace.kernel

TRUNCATION = (
    "needs a second truncation, or a look-up for the page lock, beside a truncation; i_mutex keeps them apart here"
)
FREED = "needs a block of metadata that is freed; files here have no blocks but their data"
MEMORY = "needs a machine that runs out of page frames where somebody migrates, or compacts with few left"
PINNED = (
    "needs get_user_pages, which dirties a page that nothing maps any more, a store into a hole beside a truncation, "
    "one through a mapping of the stick's file, or a ->writepage that activates its page"
)
READ_ERROR = "needs a block of metadata, or part of one of data, that is not in the cache when its read fails"
METADATA = "needs more metadata than blocks of inodes that are written as a whole"
PARTIAL = "needs a write of part of a block, or a block that is not mapped; writers here overwrite whole blocks"
LOCKED = "needs a page that is cleaned, or a block that cannot be had, under the page lock; nobody here does that"
SEQUENTIAL = "needs a file that somebody writes beyond its end; the copier writes from the begin on"
AGEING = "needs reclaim of the active list on a machine with too many buffers"
UNEVICTABLE = "needs mlock"
TWO_MOVERS = "needs two who move pages of one private mapping"
RARE = "can be reached, but was in less than one run of a hundred"

_REASONS: dict[str, tuple[str, ...]] = {
    TRUNCATION: (
        "find_lock_page: mapping changed",
        "truncate: page moved",
    ),
    FREED: (
        "forget: dropped from the running transaction",
        "forget: left to the commit, for its checkpoint",
        "forget: the committing transaction keeps it",
        "revoke: alias cleared",
        "revoke: block revoked",
        "revoke: cancelled",
        "revoke: records written",
        "revoke: revoked again",
    ),
    MEMORY: (
        "alloc: without watermarks",
        "compact: not enough free memory",
        "split: below the watermark",
        "migrate: no target page",
    ),
    PINNED: (
        "dirty: mapping went away",
        "mpage: write of a page without buffers",
        "migrate: writeback ended on the target",
        "reclaim: dirtied before the freeze",
        "writeback: writepage refused",
    ),
    READ_ERROR: (
        "ext3: inode block unreadable",
        "write_begin: read error",
    ),
    METADATA: (
        "checkpoint: committing transaction kept",
        "dirty_data: metadata of the committing transaction",
        "ext3: writepage inside a handle",
        "get_write_access: frozen copy exists",
        "ll_rw_block: buffer lock busy",
        "write_metadata: copied out by another",
        "write_metadata: escaped",
    ),
    PARTIAL: (
        "block_read_full_page: filled meanwhile",
        "block_write_full_page: recover",
        "write_begin: partial block read",
    ),
    LOCKED: (
        "writeout: already clean",
        "writeout: error",
        "writeout: no writepage",
    ),
    SEQUENTIAL: ("fat: corrupted file size",),
    AGEING: ("strip: page lock busy",),
    UNEVICTABLE: (
        "putback: evictable again",
        "putback: unevictable",
    ),
    TWO_MOVERS: ("anon_vma: mutex awaited",),
    RARE: (
        "anon_vma: page unmapped meanwhile",
        "checkpoint: BH_State awaited",
        "checkpoint: BH_State contended",
        "checkpoint: batch full",
        "checkpoint: log space was there already",
        "checkpoint: waited for a buffer",
        "commit: BH_State contended",
        "compact: block not suitable",
        "compact: block not suitable any more",
        "commit: cleaned while waiting for the lock",
        "commit: flush had buffers",
        "commit: forget list refilled",
        "commit: jh moved while lock dropped",
        "dirty_data: unmapped",
        "dirty_data: unmapped while written",
        "isolate: not on the LRU",
        "journal_head: made by another meanwhile",
        "locked-list: BH_State contended",
        "locked-list: jh moved while lock dropped",
        "lookup: slot changed",
        "migrate: PF_MEMALLOC may not lock",
        "migrate: freeze lost",
        "read: i/o error",
        "buffer: read error",
        "read: partially uptodate",
        "reclaim: pageout refused",
        "reclaim: freed by another",
        "reclaim: paged out",
        "reclaim: under writeback",
        "reclaim: waited for writeback",
        "release_buffer_page: page lock busy",
        "fault: beyond the end by now",
        "fault: page gone meanwhile",
        "truncate: page was mapped",
        "truncate: under writeback",
        "unmap: pte in use",
        "writeback: skipped, under writeback",
        "writeback: waited for writeback",
        "try_to_free_buffers: written data unfiled",
    ),
}

EXCUSED: dict[str, str] = {mark: reason for reason, marks in _REASONS.items() for mark in marks}
"""Mark -> why these casts need not reach it."""


@cache
def declared() -> dict[str, str]:
    """Return every mark of the kernel model with its meaning."""
    found: dict[str, str] = {}
    for module in pkgutil.walk_packages(mmrace.kernel.__path__, "mmrace.kernel."):
        found.update(getattr(importlib.import_module(module.name), "MARKS", ()))
    return found
