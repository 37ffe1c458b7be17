"""What a migration may do in each era of the kernel: tables for judges, looked up by what a record's header says.

Invariant: a record that names no era, or none of these, is judged as one of 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mmrace.runtime.record import Record

OWN = "3.3"
ASYNC, LIGHT, SYNC = "MIGRATE_ASYNC", "MIGRATE_SYNC_LIGHT", "MIGRATE_SYNC"
LOCKED, BUFFER, WRITEBACK = "PG_locked", "BH_Lock", "PG_writeback"
EVERY = frozenset({LOCKED, BUFFER, WRITEBACK})
"""What there is to wait for in a migration."""


class Rules(NamedTuple):
    """The rules of one era.

    Attributes: waits: by mode, the bits that a migration may queue for; a mode that is not in it is none of the era's.
    filters: an isolation heeds what it is for: zone_reclaim takes no dirty page, ASYNC none under writeback, and no
    dirty one: none at all if `clean`, else none whose mapping lacks ->migratepage.  moves_dirty: ASYNC has a dirty page
    moved by its op.  tries: ASYNC locks the buffers before it replaces the slot; other modes, and other eras, after
    that.  late: the old page leaves its mapping after its buffers are unlocked.
    defers_any: an asynchronous compaction that failed puts off the next ones, too.  gives_up: an allocation that must
    not disturb ends where compaction is put off.  asks: reclaim for a large order asks first whether there is room to
    compact; keeps: and reclaims unless the high watermark is kept besides.
    """

    waits: Mapping[str, frozenset[str]]
    filters: bool = True
    clean: bool = False
    moves_dirty: bool = True
    tries: bool = True
    late: bool = False
    defers_any: bool = False
    gives_up: bool = True
    asks: bool = True
    keeps: bool = True


_TWO_MODES = {ASYNC: frozenset[str](), SYNC: EVERY}
_SLEEPS_IN_OP = {**_TWO_MODES, ASYNC: frozenset({BUFFER})}
_THREE_MODES = {**_TWO_MODES, LIGHT: frozenset({LOCKED, BUFFER})}

_OLD_DEFERRAL = Rules(_THREE_MODES, defers_any=True, gives_up=False, keeps=False)

RULES: Mapping[str, Rules] = {
    "3.1": _OLD_DEFERRAL._replace(waits=_SLEEPS_IN_OP, filters=False, moves_dirty=False, tries=False, asks=False),
    "3.2": _OLD_DEFERRAL._replace(waits=_SLEEPS_IN_OP, clean=True, moves_dirty=False, tries=False),
    "3.2+trylock": _OLD_DEFERRAL._replace(waits=_TWO_MODES),
    "3.2+sync-light": _OLD_DEFERRAL,
    "3.3": Rules(_THREE_MODES),
    "3.4": Rules(_THREE_MODES, late=True),
}


def rules_of(record: Record) -> Rules:
    """Return the rules that a record is judged by."""
    return RULES.get(str(record.header.get("era", "")), RULES[OWN])
