"""One object's reference ledger: who holds what.  The rules are in `refcount.py`; this only keeps the book.

Invariant: `total` is the number of entries.  A drop takes the task's own entry if it has one, else the oldest
of that name: a reference may change hands (an I/O completes in another task), but its name may not.
"""

from __future__ import annotations

UNNAMED = "?"  # references that were there before the first event of the record
NEW = "new"  # the first reference to an object that was allocated


class Ledger:
    """Who holds references to one object: name -> the tasks that took them, oldest first."""

    __slots__ = ("broken", "freezer", "holders", "name", "seen", "total", "unborn")

    def __init__(self, name: str) -> None:
        self.name = name
        self.holders: dict[str, list[int]] = {}
        self.total = 0
        self.freezer: int | None = None
        self.seen = False  # some op of the record concerned it
        self.unborn = False  # an allocation was noted, the op that makes the count 1 is still to come
        self.broken = False

    def add(self, ref: str, task: int) -> None:
        """Enter one reference."""
        self.holders.setdefault(ref, []).append(task)
        self.total += 1

    def drop(self, ref: str, task: int) -> bool:
        """Strike out one reference, the task's own if it has one; False if nobody holds it."""
        for name in (ref, UNNAMED):
            tasks = self.holders.get(name)
            if tasks:
                tasks.remove(task if task in tasks else tasks[0])
                self.total -= 1
                return True
        return False

    def restart(self) -> None:
        """Forget everything: the object is free."""
        self.holders = {}
        self.total = 0
        self.freezer = None
        self.unborn = self.broken = False

    def owners(self) -> list[str]:
        """Name every reference that is held, one entry each."""
        return sorted(ref for ref, tasks in self.holders.items() for _ in tasks)
