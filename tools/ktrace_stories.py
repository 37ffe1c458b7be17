"""From events to actions: dirty bursts, writebacks, migration tries, commits and reclaims of file pages.

Purpose: fold the events of a log into ``Action`` objects with a begin, an end, the pages they touch and
how they ended.  The selection and the file format are in ``ktrace_workload.py``.

Invariant kept: an action is only made of events that its own task logged, except where another context ends
it by nature (the end of a writeback comes from an interrupt); whatever has no seen begin or no seen end is
counted in `dropped`, never completed by guess.

Not checked: the order inside a migration, and whether a reclaim is a cache drop or a truncation (both free
the buffers and delete the page).

Which pages a commit touches: those whose writeback the committing task waited for or whose I/O it submitted,
and, by inference, those whose delayed blocks a writeback allocated while that transaction was running, since
an ordered-mode commit must have their data on disk (`Action.inferred`).

Modes: 0 MIGRATE_ASYNC, 1 MIGRATE_SYNC_LIGHT, 2 MIGRATE_SYNC; the same numbers on 6.1 and 6.12 (6.1 also has
3, MIGRATE_SYNC_NO_COPY, which 6.12 dropped).  6.12 tries a batch in mode 0 first and then in mode 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tools.ktrace import Event
from tools.ktrace_migrate import MODES, Try, end_of_move, note_step
from tools.ktrace_pages import BUFFERS, Action, BufferRing, Key, PageTable, Stay, device_inodes

__all__ = ["BUFFERS", "MODES", "Action", "Key", "Stories", "tell"]

BH_DELAY = 1 << 8
"""Bit of bh->b_state: dirty data without a block yet (delayed allocation)."""


@dataclass(slots=True)
class Stories:
    """All complete actions in order of (begin, end, line), and what was left out."""

    actions: list[Action]
    dropped: Counter[str]
    doubts: Counter[str]


def tell(events: list[Event]) -> Stories:
    """Fold `events` into actions on identified file pages, and commits."""
    teller = _Teller(device_inodes(events))
    for event in events:
        teller.take(event)
    teller.close()
    kept = []
    for action in teller.done:
        if action.do == "commit" or action.keys():
            kept.append(action)
        else:
            known = any(stay.metadata for stay in action.stays)
            teller.dropped[f"{action.do} of {'metadata' if known else 'an unidentified page'}"] += 1
    kept.sort(key=lambda a: (a.begin_us, a.end_us, a.first_line))
    return Stories(kept, teller.dropped, teller.pages.doubts)


class _Teller:
    """State while going through the log: everything that is open, by folio or by task."""

    def __init__(self, devices: frozenset[int]) -> None:
        self.pages = PageTable(devices)
        self.done: list[Action] = []
        self.dropped: Counter[str] = Counter()
        self.dirtying: dict[int, Action] = {}
        self.writing: dict[int, Action] = {}
        self.reclaiming: dict[int, Action] = {}
        self.freeing: dict[int, int] = {}  # pid -> folio inside try_to_free_buffers
        self.committing: dict[int, Action] = {}
        self.allocated: list[Stay] = []  # by writebacks inside the running transaction
        self.tries: dict[int, Try] = {}  # by source folio: a 6.12 batch holds several open
        self.refused: set[int] = set()  # source folios whose move failed: 6.12 moves them again in the batch
        self.trying: dict[int, Try] = {}  # pid -> the try whose buffers are being worked on
        self.handlers: dict[str, Callable[[Event], None]] = {
            "mm_filemap_add_to_page_cache": self.pages.added,
            "mm_filemap_delete_from_page_cache": self.deleted,
            "b_dirty": self.dirty,
            "f_unlock": self.unlock,
            "f_start_wb": self.start_writeback,
            "f_end_wb": self.end_writeback,
            "e_bio_write": self.identified,
            "b_writepage": self.identified,
            "b_tryfree": self.try_free,
            "j_tryfree": self.try_free,
            "b_tryfree_ret": self.try_free_ret,
            "j_commit": self.start_commit,
            "jbd2_start_commit": self.start_commit,
            "jbd2_commit_flushing": self.transaction_closed,
            "jbd2_end_commit": self.end_commit,
            "f_wait_wb": self.commit_touch,
            "b_submit": self.commit_touch,
        }

    def take(self, event: Event) -> None:
        """One event."""
        if event.name.startswith("m_"):
            self.migration(event)
        handler = self.handlers.get(event.name)
        if handler is not None:
            handler(event)

    def close(self) -> None:
        """The end of the log: what is still open is incomplete, not failed."""
        for name, still_open in (
            ("dirty", self.dirtying),
            ("writeback", self.writing),
            ("reclaim", self.reclaiming),
            ("commit", self.committing),
            ("migrate", self.tries),
        ):
            if still_open:
                self.dropped[f"{name} still open at the end of the log"] += len(still_open)

    def _open(self, do: str, event: Event, *stays: Stay) -> Action:
        return Action(do, event.who, event.t_us, event.t_us, event.line, event.line, list(stays))

    def _finish(self, action: Action, event: Event | None = None, outcome: str = "") -> None:
        if event is not None:
            action.end_us, action.last_line = event.t_us, event.line
        action.outcome = outcome
        self.done.append(action)

    # dirtying

    def dirty(self, event: Event) -> None:
        folio, bh = event.num("folio"), event.num("bh")
        stay = self.pages.of(folio)
        burst = self.dirtying.get(folio)
        ring = stay.ring_with(bh)
        if burst is not None and (burst.task != event.who or burst.ring is not ring):
            self._end_burst(folio)
            burst = None
        if burst is None:
            burst = self.dirtying[folio] = self._open("dirty", event, stay)
            burst.ring = ring
        burst.end_us, burst.last_line = event.t_us, event.line
        burst.dirtied.append(bh)
        stay.delayed = stay.delayed or bool(event.num("state") & BH_DELAY)

    def _end_burst(self, folio: int) -> None:
        burst = self.dirtying.pop(folio, None)
        if burst is not None:
            if burst.ring is not None:
                burst.ring.learn(burst.dirtied)
            self._finish(burst)

    def unlock(self, event: Event) -> None:
        folio = event.num("folio")
        self._end_burst(folio)
        reclaim = self.reclaiming.get(folio)
        if reclaim is not None and reclaim.task == event.who:
            self._finish(self.reclaiming.pop(folio), outcome="kept")

    # writeback

    def identified(self, event: Event) -> None:
        stay = self.pages.identify(event.num("folio"), event.num("ino"), event.num("index"))
        if "priv" in event.args:
            stay.set_head(event.num("priv"))

    def start_writeback(self, event: Event) -> None:
        folio = event.num("folio")
        self._end_burst(folio)
        self.identified(event)
        stay = self.pages.of(folio)
        if self.writing.pop(folio, None) is not None:
            self.dropped["writeback started twice without an end"] += 1
        self.writing[folio] = self._open("writeback", event, stay)
        if stay.delayed:
            stay.delayed = False
            self.allocated.append(stay)
        self.commit_touch(event)

    def end_writeback(self, event: Event) -> None:
        action = self.writing.pop(event.num("folio"), None)
        if action is None:
            self.dropped["writeback that began before the log"] += 1
        else:
            self._finish(action, event)

    # reclaim

    def try_free(self, event: Event) -> None:
        folio = event.num("folio")
        if event.name == "b_tryfree":
            self.freeing[event.pid] = folio
        reclaim = self.reclaiming.get(folio)
        if reclaim is None or reclaim.task != event.who:
            self.reclaiming[folio] = self._open("reclaim", event, self.pages.of(folio))
        else:
            reclaim.end_us, reclaim.last_line = event.t_us, event.line

    def try_free_ret(self, event: Event) -> None:
        folio = self.freeing.pop(event.pid, None)
        if folio is None or folio not in self.reclaiming:
            return
        reclaim = self.reclaiming[folio]
        reclaim.end_us, reclaim.last_line = event.t_us, event.line
        if event.num("ret"):
            reclaim.stays[0].ring = BufferRing()
        else:
            self._finish(self.reclaiming.pop(folio), outcome="kept")

    def deleted(self, event: Event) -> None:
        folio, stay = self.pages.deleted(event)
        self._end_burst(folio)
        reclaim = self.reclaiming.pop(folio, None)
        if reclaim is not None and reclaim.task == event.who and reclaim.stays[0] is stay:
            self._finish(reclaim, event, "freed")
        else:
            self.dropped["delete from the page cache without a try to free buffers"] += 1

    # commit

    def start_commit(self, event: Event) -> None:
        if event.pid not in self.committing:
            self.committing[event.pid] = self._open("commit", event)

    def transaction_closed(self, event: Event) -> None:
        """No more handles: what was allocated so far belongs to this transaction."""
        commit = self.committing.get(event.pid)
        if commit is not None:
            commit.inferred.extend(self.allocated)
        self.allocated = []

    def commit_touch(self, event: Event) -> None:
        commit = self.committing.get(event.pid)
        if commit is not None:
            commit.stays.append(self.pages.of(event.num("folio")))

    def end_commit(self, event: Event) -> None:
        commit = self.committing.pop(event.pid, None)
        if commit is None:
            self.dropped["commit that began before the log"] += 1
        else:
            self._finish(commit, event)

    # migration

    def migration(self, event: Event) -> None:
        src = event.num("src") if "src" in event.args else None
        if event.name == "m_src_try" or (event.name == "m_move" and src in self.refused):
            self._new_try(event)
        elif event.name == "m_move" and src not in self.tries:
            self.dropped["migration that began before the log"] += 1
        attempt = self.trying.get(event.pid) if src is None else self.tries.get(src)
        if attempt is None or attempt.pid != event.pid:
            return
        if event.name in ("m_bmf", "m_bmf_norefs"):
            self.trying[event.pid] = attempt
            self._identify_source(event, attempt)
        note_step(attempt, event)
        ended = end_of_move(attempt, event)
        if ended is not None:
            self._end_try(attempt, *ended)
            if event.name == "m_move_ret" and ended[0] == "refused":
                self.refused.add(attempt.src)

    def _identify_source(self, event: Event, attempt: Try) -> None:
        """m_bmf says that the page read by m_move is a file's, m_bmf_norefs a block device's."""
        if event.name == "m_bmf_norefs":
            self.pages.of(attempt.src).metadata = True
        elif attempt.shown is not None:
            attempt.stay = self.pages.identify(attempt.src, *attempt.shown)
            attempt.stay.set_head(attempt.head)

    def _new_try(self, event: Event) -> None:
        for stale in [t for t in self.tries.values() if t.pid == event.pid and t.page_lock_failed]:
            self._end_try(stale, "refused", "page-lock")
        src = event.num("src")
        self.refused.discard(src)
        if self.tries.pop(src, None) is not None:
            self.dropped["migration without a seen end"] += 1
        self.tries[src] = Try(
            event.pid, event.who, src, event.num("dst"), self.pages.of(src), event.num("mode"), event.t_us, event.line
        )

    def _end_try(self, attempt: Try, outcome: str, reason: str) -> None:
        del self.tries[attempt.src]
        if self.trying.get(attempt.pid) is attempt:
            del self.trying[attempt.pid]
        if attempt.order:
            attempt.stay.set_head(attempt.order[0])
            attempt.stay.ring.learn(attempt.order)
        if outcome == "moved":
            self.pages.moved(attempt.src, attempt.dst)
        self.done.append(
            Action(
                "migrate",
                attempt.task,
                attempt.begin_us,
                attempt.last_us,
                attempt.first_line,
                attempt.last_line,
                [attempt.stay],
                mode=MODES.get(attempt.mode, str(attempt.mode)),
                outcome=outcome,
                reason=reason,
            )
        )
