"""Sleeping bit locks, as of pages and buffers: a bit of a flag word plus a queue of sleepers.

Unlock is two ops, clear and wake.  The bit records no owner; the word's ghost owner is what "only the holder or its
I/O may release it" is judged by.  Invariant: ghost owners change only inside ops on their bit.  Source: Linux
`kernel/wait.c`, `mm/filemap.c`, v3.3.
"""

from __future__ import annotations

from mmrace.runtime import live
from mmrace.runtime.context import might_sleep
from mmrace.runtime.errors import Violation
from mmrace.runtime.flags import CLEAR_OF, LOCK, MASK_OF, TAS_OF, FlagWord, test_bit
from mmrace.runtime.kinds import SHIFT
from mmrace.runtime.struct import Struct
from mmrace.runtime.task import Task
from mmrace.runtime.wait import WaitEntry, finish_wait, prepare_to_wait, sleep_on, wake_up


def bit_trylock(word: FlagWord, bit: int, waits: str | None = None) -> bool:
    """Try to take a sleeping bit lock; never waits.  `waits` is `LOCK` if the caller will.  Point: always."""
    code = word.code + TAS_OF[bit]
    task = live.point(word, code)
    value, mask = word.value, MASK_OF[bit]
    old = value & mask != 0
    if not old:
        word.value = value | mask
        word.owners[bit] = task
    task.log((task.id, code, old, waits))
    return not old


def bit_lock(word: FlagWord, bit: int) -> None:
    """Take a sleeping bit lock, sleeping (exclusively) while it is set.  Raises Violation in atomic context.

    Point: always; more of them when it is contended.
    """
    might_sleep()
    if bit_trylock(word, bit, LOCK):
        return
    queue = word.queue(bit)
    entry: WaitEntry | None = None
    while True:
        entry = prepare_to_wait(queue, entry, exclusive=True)
        _explain(entry, word, bit)
        if test_bit(word, bit):
            sleep_on(entry)
        if bit_trylock(word, bit, LOCK):
            break
    finish_wait(entry)


def _explain(entry: WaitEntry, word: FlagWord, bit: int, token: object = None) -> None:
    entry.holds = lambda: not word.peek(bit)
    entry.holder = lambda: word.owners.get(bit, token)


def wait_on_bit(word: FlagWord, bit: int, token: object = None) -> None:
    """Sleep until the bit is clear; takes nothing.  Raises Violation in atomic context.  Point: always.

    Args: token: of the I/O that clears the bit, if it is no lock that somebody holds; for explanations.
    """
    might_sleep()
    if not test_bit(word, bit):
        return
    queue = word.queue(bit)
    entry: WaitEntry | None = None
    while True:
        entry = prepare_to_wait(queue, entry)
        _explain(entry, word, bit, token)
        if not test_bit(word, bit):
            break
        sleep_on(entry)
    finish_wait(entry)


def clear_bit_unlock(word: FlagWord, bit: int) -> None:
    """The first half of an unlock: clear the bit.  Raises Violation if a stranger does it.  Point: always."""
    code = word.code + CLEAR_OF[bit]
    task = live.point(word, code)
    value, mask = word.value, MASK_OF[bit]
    old = value & mask != 0
    word.value = value & ~mask
    owner = word.owners.pop(bit, None)
    task.log((task.id, code, old, None))
    if owner is not task and owner not in task.acts_for:
        facts = {"bit": "set, but by no lock op"} if old and owner is None else {}
        raise Violation(
            "lock-discipline",
            "unlock by a stranger" if owner is not None else "unlock of a lock that nobody holds",
            object=f"{word}.{word.name_of(bit)}",
            task=task.name,
            holder=owner.name if isinstance(owner, Task | Struct) else None,
            **facts,
        )


def wake_up_bit(word: FlagWord, bit: int) -> None:
    """The second half of an unlock: wake one exclusive sleeper and all others.  Point: always."""
    wake_up(word.queue(bit))


def bit_unlock(word: FlagWord, bit: int) -> None:
    """Release a sleeping bit lock: clear, then wake.  Raises Violation if a stranger does it.  Point: always, twice."""
    clear_bit_unlock(word, bit)
    wake_up_bit(word, bit)


def hand_over(word: FlagWord, bit: int, token: object) -> None:
    """Hand a held sleeping bit lock to the I/O `token`: tasks that act for it may release it.  Point: never."""
    word.owners[bit] = token
    live.engine.note("hand-over", (word.bit_code(bit) >> SHIFT, token))
