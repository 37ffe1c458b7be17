"""Judges of the kernel model: they know its pages, buffers and journal by name, from the record alone.

``PROTOCOL`` maps a name to a judge.  Of some names there is a general judge too: the one here extends it by rules of
the protocol, and gives one judgement.  Not among them: `crash`, which needs to be handed a recovery
(`scenarios/crash.py`).
"""

from __future__ import annotations

from mmrace.oracles.general import bug_on, data_race, raised, use_after_free
from mmrace.oracles.general.judgement import Oracle
from mmrace.oracles.protocol import (
    ageing,
    allocator,
    back_out,
    compaction,
    conservation,
    content,
    dirty,
    durability,
    era,
    errno,
    failures,
    free_lists,
    liveness,
    lock_discipline,
    lock_order,
    progress,
    ptes,
    refcount,
    slot,
    slowpath,
)

__all__ = ["OPTIONAL", "PROTOCOL"]

PROTOCOL: dict[str, Oracle] = {
    content.NAME: content.judge,
    durability.NAME: durability.judge,
    era.NAME: era.judge,
    errno.NAME: errno.judge,
    failures.NAME: failures.judge,
    refcount.NAME: refcount.judge,
    slot.NAME: slot.judge,
    ptes.NAME: ptes.judge,
    dirty.NAME: dirty.judge,
    conservation.NAME: conservation.judge,
    back_out.NAME: back_out.judge,
    progress.NAME: progress.judge,
    ageing.NAME: ageing.judge,
    compaction.NAME: compaction.judge,
    allocator.NAME: allocator.judge,
    slowpath.NAME: slowpath.judge,
    free_lists.NAME: free_lists.judge,
    use_after_free.NAME: use_after_free.judge,
    lock_discipline.NAME: lock_discipline.judge,
    bug_on.NAME: bug_on.judge,
    liveness.NAME: liveness.judge,
    lock_order.NAME: lock_order.judge,
    data_race.NAME: data_race.judge,
    raised.NAME: raised.judge,
}

FORWARD = frozenset({
    ageing.NAME, back_out.NAME, compaction.NAME, content.NAME, dirty.NAME, durability.NAME, errno.NAME, ptes.NAME,
    refcount.NAME,
    slot.NAME, lock_discipline.NAME,
})  # fmt: skip
"""Judges that take nothing back: what they find in the beginning of a run they find in all of it.  Not so `data-race`,
which needs the whole record to know what orders, and `crash`, to know what was promised; others were not looked at."""

OPTIONAL = frozenset({
    ageing.NAME, allocator.NAME, back_out.NAME, compaction.NAME, durability.NAME, era.NAME, errno.NAME, failures.NAME,
    free_lists.NAME, progress.NAME, ptes.NAME, slowpath.NAME,
})  # fmt: skip
"""Judges of what only some casts do: a run in which they had nothing to check can pass."""
