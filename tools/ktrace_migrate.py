"""One try to migrate a page, for ``ktrace_stories.py``: its steps, its end and why it was refused.

Purpose: 6.1 and 6.12 log the same protocol with steps in another order and with other exits; this module
hides the difference.  A try begins with ``m_src_try`` (or with ``m_move``, when 6.12 moves a page of a batch
again) and ends with ``m_move_ret`` or at one of the exits before the move.

Invariant kept: a reason is only given for what the try itself logged; anything else is "other".

Not checked: that the steps come in the order of the protocol.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tools.ktrace import Event
from tools.ktrace_pages import Key, Stay

MODES = {0: "MIGRATE_ASYNC", 1: "MIGRATE_SYNC_LIGHT", 2: "MIGRATE_SYNC", 3: "MIGRATE_SYNC_NO_COPY"}
"""enum migrate_mode; 3 exists up to 6.1's series only."""

_BUFFER_SEEN = frozenset({"m_bh_try_ok", "m_bh_try_fail", "m_bh_lock_ok", "m_bh_lock_wait"})
_EXITS = frozenset({"m_src_bail", "m_undo_src", "m_src_wb_ebusy"})


@dataclass(slots=True, eq=False)
class Try:
    """State of one try."""

    pid: int
    task: str
    src: int
    dst: int
    stay: Stay
    mode: int
    begin_us: int
    first_line: int
    last_us: int = 0
    last_line: int = 0
    shown: Key | None = None
    head: int = 0
    order: list[int] = field(default_factory=list)
    page_lock_failed: bool = False
    writeback: bool = False
    too_many_refs: bool = False
    buffer_lock_failed: bool = False
    replacing: bool = False


def note_step(attempt: Try, event: Event) -> None:
    """Remember what `event` tells about the try."""
    attempt.last_us, attempt.last_line = event.t_us, event.line
    name = event.name
    if name not in _EXITS:
        attempt.page_lock_failed = name == "m_src_trylock_fail"
    if name == "m_src_wb_seen" or name == "m_src_wb_seen_force":
        attempt.writeback = True
    elif name == "m_src_wb_clear":
        attempt.writeback = False
    elif name == "m_move":
        attempt.shown = (event.num("ino"), event.num("index"))
        attempt.head = event.num("priv")
    elif name == "m_bh_refs":
        attempt.too_many_refs = event.num("refs") != event.num("want")
    elif name == "m_bh_busy2":
        attempt.too_many_refs = True
    elif name in _BUFFER_SEEN:
        attempt.buffer_lock_failed |= name == "m_bh_try_fail"
        if event.num("bh") not in attempt.order:
            attempt.order.append(event.num("bh"))
    elif name == "m_replace":
        attempt.replacing = True
    elif name in ("m_replaced", "m_replaced_nr"):
        attempt.too_many_refs |= event.num("ret") != 0 and not attempt.replacing


def end_of_move(attempt: Try, event: Event) -> tuple[str, str] | None:
    """(outcome, reason) when `event` ends the try, else None."""
    if event.name == "m_move_ret":
        return ("moved", "") if event.num("ret") == 0 else ("refused", _refusal(attempt))
    if event.name in _EXITS:
        if attempt.writeback:
            return "refused", "writeback"
        return "refused", "page-lock" if attempt.page_lock_failed else "other"
    return None


def _refusal(attempt: Try) -> str:
    """Why a move returned an error: the check that failed first.

    6.12 checks the page's references a second time before it copies and enters the replace, so a failure
    without ``m_replace`` is that check; once the replace was entered only the freeze can refuse, on both.
    """
    if attempt.too_many_refs:
        return "refcount"
    if attempt.buffer_lock_failed:
        return "buffer-lock"
    return "freeze" if attempt.replacing else "other"
