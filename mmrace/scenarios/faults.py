"""Faults of Linux 3.3 that the model has too: which casts show them, and how judges see them.

They are written down in `kernel/PROTOCOL.md`, by row.  Invariant: a face is there because runs have shown it, or could
at the same op.
"""

from __future__ import annotations

from mmrace.oracles.general.expected import Expected, Shows
from mmrace.oracles.protocol import crash

_ERROR_PATH = "_mark_write_error"
"""The commit's branch for a data buffer whose write failed."""

R14 = Expected(
    "R14",
    "the commit's error path reads b_page anew at each step, and a migration moves the buffer in between",
    (
        Shows("data-race", "race", ("committer", "migrator"), "b_page", _ERROR_PATH),
        # it locks a page that was moved, and is free by then, or was when somebody else's pagevec was drained
        Shows("data-race", "plain store over a bit", ("committer",), at=_ERROR_PATH),
        Shows("use-after-free", "use after free", ("committer",), at=_ERROR_PATH),
        # which whoever frees it or gets it next finds locked
        Shows("bug-on", "free_pages_check: page is in use"),
        Shows("bug-on", "prep_new_page: a free page has flags"),
        Shows("bug-on", "move_to_new_page: newpage is locked"),
        # and unlocks the page that the buffer is in now
        Shows("lock-discipline", "unlock of a lock that nobody holds", ("committer",), "PG_locked", _ERROR_PATH),
        Shows("lock-discipline", "unlock by a stranger", ("committer",), "PG_locked", _ERROR_PATH),
    ),
    actors=("committer", "migrator"),
    needs={"errors": 1},
)

R15 = Expected(
    "R15",
    "the commit looks at the page of a buffer that truncation left to it, without a lock, while a migration moves it",
    (Shows("data-race", "race", ("migrator",), "b_page", "release_buffer_page"),),
    actors=("truncater", "migrator"),
    rare=True,
)

R29 = Expected(
    "R29",
    "the log's tail moves while the metadata that a checkpoint wrote home is in the disk's volatile cache only",
    (Shows("crash", crash.GIVEN_UP),),
    actors=("writer", "fsync"),
    needs={"cache": 1},
    unless={"log": 0},
)

R33 = Expected(
    "R33",
    "a migration that writes its page instead of moving it gives ptes back that let stores through, on a page that is "
    "clean by then: the next store is told to nobody",
    (
        Shows("ptes", "dirty pte, clean page"),
        # the store is on no disk, though everything was synced
        Shows("content", "stale after sync"),
        # and a look at the pte, which marks the page, comes after that
        Shows("dirty", "dirty after sync"),
    ),
    actors=("faulter", "migrator"),
    needs={"data": "journal", "mode": "MIGRATE_SYNC"},
    unless={"stores": 0},
)

R37 = Expected(
    "R37",
    "a checkpoint asks whether a buffer is locked, and then whether it is dirty; a writeback that locks and cleans it "
    "in between makes it look written",
    (Shows("crash", crash.SLIPPED),),
    actors=("writer",),
    unless={"log": 0},
    rare=True,
)

LOGGED = (R29, R37)
"""What an fsync can meet where the log is used again."""
