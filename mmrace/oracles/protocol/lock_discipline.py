"""Lock discipline of the kernel model: what a migration must not wait for, and what nobody holds at rest.

Extends the general judge.  Rules: an ASYNC migration queues for neither PG_locked, BH_Lock nor PG_writeback, a
SYNC_LIGHT one not for PG_writeback, and either as its era has it (`eras.py`): before the patch ASYNC sleeps for
buffers; with everybody done no lock is held.  Invariant: queueing is what counts as waiting, since a sleep that never
ended is not in the record.
"""

from __future__ import annotations

from mmrace.oracles.general import lock_discipline
from mmrace.oracles.general.judgement import Judgement
from mmrace.oracles.protocol.eras import ASYNC, EVERY, LIGHT, rules_of
from mmrace.oracles.protocol.snapshot import snapshots
from mmrace.runtime.record import Record

NAME = lock_discipline.NAME
SAYS = {ASYNC: "ASYNC waits", LIGHT: "SYNC_LIGHT waits"}
"""Mode -> rule."""
WAITED_BITS = (("Page", "flags", "PG_locked"), ("BufferHead", "b_state", "BH_Lock"), ("Page", "flags", "PG_writeback"))


class _Audit(lock_discipline.Audit):
    """Beside locks and contexts: who migrates, and how."""

    notes = lock_discipline.Audit.notes | {"migrate-begin", "migrate-end"}

    def __init__(self, record: Record) -> None:
        super().__init__(record)
        self.queues = {lane: bit[2] for bit in WAITED_BITS for lane in record.queue_lanes(*bit)}
        self.waits = rules_of(record).waits
        self.moves: dict[int, tuple[str, str]] = {}  # task -> page that it migrates, and mode

    def queued(self, step: int, task: int, lane: int) -> None:
        page, mode = self.moves.get(task, ("", ""))
        if lane in self.queues and mode in SAYS and self.queues[lane] not in self.waits.get(mode, EVERY):
            what = self.record.lane_name(lane).removesuffix(".queue")
            who = self.record.task_name(task)
            text = f"{mode} of {page} waits for {what} ({who})"
            self.evidence.add(SAYS[mode], text, (what, who), object=what, task=who, step=step)

    def note(self, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "migrate-begin":
            self.moves[task] = str(self.record.name(facts[0])), str(facts[1])
        elif kind == "migrate-end":
            self.moves.pop(task, None)
        else:
            super().note(task, kind, facts)

    def at_rest(self) -> None:
        for snap in snapshots(self.record):
            bits = [f"{page.name}.flags.PG_locked" for page in snap.pages.values() if "PG_locked" in page.flags]
            bits += [f"{bh.name}.b_state.BH_Lock" for bh in snap.buffers.values() if "Lock" in bh.state]
            self.checked += snap.nr_pages + len(snap.buffers)
            for name in (*snap.locks_held, *bits):
                text = f"{name} is held with everybody done ({snap.label})"
                self.evidence.add("held at rest", text, (name,), object=name, when=snap.label)


def judge(record: Record) -> Judgement:
    """Replay locks, contexts and asynchronous migrations."""
    return lock_discipline.followed(_Audit(record))
