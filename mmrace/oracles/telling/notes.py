"""Notes of the kernel model in words, for those who did not read `mmrace/scenarios/RECORD.md`.

Invariant: each note is told with all facts that matter to it.  A kind that is not here is shown as it is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Words = Callable[[Sequence[Any]], str]

WORDS: Mapping[str, Words] = {
    "alloc-block": lambda b: f"has got {1 << b[1]} pages from {b[0]} on" + (", to free memory" if b[3] else ""),
    "change-begin": lambda b: f"begins to change block {b[0]} of the inodes from {b[1]} to {b[2]}",
    "change-end": lambda b: f"has changed block {b[0]} of the inodes to {b[1]}",
    "commit-begin": lambda b: f"closes transaction {b[1]}, to commit it",
    "commit-end": lambda b: f"transaction {b[1]} is committed",
    "commit-wait": lambda b: f"waits until transaction {b[1]} is committed",
    "direct-reclaim": lambda b: f"begins to reclaim for an allocation of {1 << b[0]} pages",
    "flush-begin": lambda b: f"begins to write the dirty pages of inode {b[0]}, {b[1]} to {b[2]}",
    "flush-end": lambda b: f"has been through the pages of inode {b[0]}",
    "fsync-begin": lambda b: f"fsync of inode {b[0]} begins",
    "fsync-end": lambda b: f"fsync of inode {b[0]} returns {b[1]}",
    "io-begin": lambda b: f"submits the {b[0]} of disk {_blocks(b[1], b[2:3])}",
    "io-end": lambda b: f"the {b[0]} of disk {_blocks(b[1], b[3:4])} is done" + (f": {b[2]}" if b[2:] and b[2] else ""),
    "load-begin": lambda b: f"begins to load block {b[1]} of inode {b[0]} through its mapping",
    "load-end": lambda b: f"has loaded block {b[1]} of inode {b[0]}: {_values(b[2:])}",
    "load-failed": lambda b: f"gets {b[2]} for block {b[1]} of inode {b[0]}",
    "log-block": lambda b: f"composes a log block: {b[1]} of transaction {b[2]}, in disk block {b[0]}",
    "map": lambda b: f"maps {b[3]} pages of inode {b[1]} at {b[2]}",
    "migrate-begin": lambda b: f"begins to move {b[0]}, {b[1]}",
    "migrate-end": lambda b: f"is done with {b[0]}: {'moved' if b[3] == 0 else f'not moved ({b[4]})'}",
    "page-alloc": lambda b: f"allocates {b[0]}",
    "page-free": lambda b: f"frees {b[0]}",
    "read-begin": lambda b: f"begins to read block {b[1]} of inode {b[0]}",
    "read-end": lambda b: f"has read block {b[1]} of inode {b[0]}: {_values(b[2:])}",
    "reclaim": lambda b: f"reclaim is done with {b[0]}: {b[1]} ({b[2]})",
    "store-begin": lambda b: f"begins to store version {b[2]} in block {b[1]} of inode {b[0]} through its mapping",
    "store-end": lambda b: f"has stored version {b[2]} in block {b[1]} of inode {b[0]}",
    "store-failed": lambda b: f"gets {b[3]} for block {b[1]} of inode {b[0]}",
    "truncate-begin": lambda b: f"truncates inode {b[0]} to {b[1]} blocks",
    "truncate-end": lambda b: f"the truncation of inode {b[0]} is done",
    "vm-event": lambda b: f"counts {b[0]}" + (f", {b[1]} times" if b[1] != 1 else ""),
    "unmap": lambda b: f"has unmapped {b[0]}",
    "write-begin": lambda b: f"begins to write version {b[2]} to block {b[1]} of inode {b[0]}",
    "write-end": lambda b: f"has written version {b[2]} to block {b[1]} of inode {b[0]}",
    "writeback-begin": lambda b: f"puts {b[0]} under writeback",
    "writeback-end": lambda b: f"is about to end the writeback of {b[0]}",
    "stick": lambda b: f"a second disk has inode {b[1]}" + (", which is empty" if b[0] == "vfat" else ""),
    "snapshot": lambda b: f"the state at rest is taken: {b[0]}",
}
"""Kind of note -> what it says."""


def _blocks(first: int, many: Sequence[Any]) -> str:
    """Name the blocks of an I/O.  Args: many: how many they are, where the note says so."""
    if many and isinstance(many[0], int) and many[0] > 1:
        return f"blocks {first} to {first + many[0] - 1}"
    return f"block {first}"


def _values(values: Sequence[Any]) -> str:
    flat = values[0] if len(values) == 1 and isinstance(values[0], list | tuple) else values
    return ", ".join(map(str, flat)) or "nothing, the file ends before"
