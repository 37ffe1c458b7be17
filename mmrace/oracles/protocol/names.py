"""What records of the kernel model call things that several judges ask for: regions, notes, marks, modes of data."""

from __future__ import annotations

from mmrace.runtime.record import Record

LOG, SUPERBLOCK, INODES = "log", "superblock", "inodes"
"""Regions of the disk: the journal's two, and the blocks that hold inodes."""
ABORT = "journal-abort"
"""Note: the journal was given up."""
ABORTED, NO_HANDLE = "journal: aborted", "ext3: writepage got no handle"
WRITE_ERROR, UNREADABLE = "buffer: write error", "ext3: inode block unreadable"
"""Marks: what an aborted journal led to, and what a failed transfer did."""
PAGE_WRITE_ERROR = "mpage: write error"
"""Mark: what a failed transfer of a whole page did."""
STICK = "stick"
"""Note: the set-up has a second disk with this file on it, whose file system has no journal."""
HEAP = "heap"
"""What notes have instead of an inode where a program loads and stores memory of its own."""
ORDERED, WRITEBACK, JOURNALLED = "ordered", "writeback", "journal"


def without_journal(record: Record) -> frozenset[str]:
    """Return the numbers of the inodes whose file system has no journal, and no ->migratepage."""
    return frozenset(str(record.events[step][3][1]) for step in record.steps_on((), notes=(STICK,)))


def is_anon_vma(mapping: object) -> bool:
    """Say whether what a page has as its mapping, by name, makes it an anonymous page."""
    return isinstance(mapping, str) and mapping.startswith("anon_vma:")


def inode_of(mapping: object) -> str:
    """Return the number of the inode that a mapping is of, by the mapping's name; "" of a device, and of no file."""
    ino = str(mapping).rpartition(":")[2]
    return ino if ino.isdigit() and not is_anon_vma(mapping) else ""


def mode_of_data(record: Record) -> str:
    """Return the parameter `data` of a run, "" of a record that has none."""
    return str(record.header.get("params", {}).get("data", ""))
