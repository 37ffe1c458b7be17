"""Lock order: a deadlock that did not happen in this run but would in another order of the same steps.

A link is "this task held A when it asked for B, ready to wait" (`holding.py`).  A ring of links (`rings.py`) is a
deadlock that some schedule may reach (Goodlock; the kernel's lockdep does the same by class).  Finding: ``lock-order
cycle``, a prediction (facts["predicted"]), its facts["edges"] the ring in forward order: each wants what the next one
holds; its facts["chain"] the same by class, as lockdep shows it.

What is held need be no lock.  A task owes its end to who joins it, a completion to who waits for it, and the clear of a
bit to who sleeps for that (`waits.py`); an I/O holds the lock that was handed to it; whoever judges a program says what
its tasks hold open, and owe, beside (`judge_with`).
Locks are instances, never classes: what one task does to object A, and another to B in the other order, is no ring.
Nor is it if A was freed and allocated anew in between.

Invariant: less is predicted than could happen where a record does not tell who waits: of a completion, and of a bit
that is no lock, only what somebody slept for is known.  Not here: an interrupt that spins on what its CPU holds
(`lock_discipline.py`); whether the data would let that schedule happen.
Source: Documentation/lockdep-design.txt, v3.3; Havelund, "Using runtime analysis to guide model checking", 2000.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

from mmrace.oracles.general import rings
from mmrace.oracles.general.holding import MAIN, Holding, Link
from mmrace.oracles.general.judgement import Evidence, Fact, Judgement, kind_of
from mmrace.oracles.general.waits import NO_MORE, TURN, Promises, Waits, end_of
from mmrace.runtime.kinds import ACQUIRE, JOIN, KIND_MASK, NOTE, QUEUE, SHIFT, TEST_AND_SET, TRY
from mmrace.runtime.record import Record

__all__ = ["MAIN", "NAME", "RULE", "held_at", "judge", "judge_with"]

NAME = "lock-order"
RULE = "lock-order cycle"
ARROW = " --> "
_TAKES = (ACQUIRE, TRY, TEST_AND_SET)


def judge(record: Record) -> Judgement:
    """Follow every lock, then look for rings among the links."""
    return judge_with(record, NO_MORE)


def judge_with(record: Record, waits: Waits) -> Judgement:
    """Do the same with what a program says of its own waits."""
    promises = Promises(record, waits.bits)
    holding = Holding(record, waits, promises)
    checked = holding.follow(len(record.events))
    joined: set[int] = set()
    while not holding.joined_under <= joined:  # whom somebody waited for while it held something owes its end
        joined |= holding.joined_under
        holding = Holding(record, waits, promises, joined)
        holding.follow(len(record.events))
    return _Rings(holding, waits, joined).conclude(checked)


def held_at(record: Record, step: int) -> list[str]:
    """Name the locks that the task of the event at `step` took and holds there, in the order of taking."""
    holding = Holding(record, NO_MORE)
    holding.follow(step)
    mine = holding.held[record.events[step][0]]
    return [record.lane_name(lane) for lane, taken in mine.items() if holding.counts(lane, taken)]


class _Rings:
    """The rings of one record: which links count, and how they are told."""

    def __init__(self, holding: Holding, waits: Waits, joined: Collection[int]) -> None:
        self.record = record = holding.record
        self.holding = holding
        self.owed = {*waits.opened, *holding.completions}  # and what is below 0: nothing that keeps others apart
        self.names: Mapping[int, str] = {
            **{lane: f"completion {name}" for lane, name in holding.completions.items()},
            **{end_of(task): f"end of {record.task_name(task)}" for task in joined},
            **waits.names,
        }

    def conclude(self, checked: int) -> Judgement:
        """Look for rings among the links."""
        evidence = Evidence(NAME)
        budget = [rings.SEARCH_MAX]
        links = rings.on_rings(self.holding.links())
        if links:
            links = rings.on_rings([self.of_locks(link) for link in links if self.waits_for_one(link)])
        for ring in rings.rings(links, budget):
            if all(self.is_one(link, before) for link, before in zip(ring, (ring[-1], *ring), strict=False)):
                self.report(ring, evidence)
        return evidence.judgement(checked, "" if budget[0] > 0 else "too many links to look at every ring")

    # -- what counts ----------

    def waits_for_one(self, link: Link) -> bool:
        """Say whether what a link wants counts and, if the task slept on a bit's queue, that it was that bit's."""
        if link.wanted < 0 or link.wanted % TURN in self.owed:
            return True
        slept_elsewhere = link.queue >= 0 and self.name(link.queue) != f"{self.record.lane_name(link.wanted)}.queue"
        return not slept_elsewhere and self.holding.counts(link.wanted, link.step)

    def of_locks(self, link: Link) -> Link:
        """Leave out what the link holds that does not count: a bit of another use keeps nobody apart."""
        kept = [pair for pair in zip(link.held, link.steps, strict=True) if self.holding.counts(*pair)]
        guards = frozenset(lane for lane, _ in kept if lane >= 0 and lane % TURN not in self.owed)
        return link._replace(held=tuple(lane for lane, _ in kept), steps=tuple(step for _, step in kept), guards=guards)

    def is_one(self, link: Link, before: Link) -> bool:
        """Say whether what `before` wants is what a link holds: not if it was freed and allocated in between."""
        if before.wanted < 0 or not self.record.tables.allocates:
            return True
        since = link.steps[link.held.index(before.wanted)]
        first, last = min(since, before.step), max(since, before.step)
        owner = (self.record.lane(before.wanted % TURN) or ("", ""))[1]
        return not any(first < born < last for born in self.births.get(owner, ()))

    @cached_property
    def births(self) -> Mapping[str, Sequence[int]]:
        """When each object was allocated."""
        found: dict[str, list[int]] = {}
        for step in self.record.steps_on((), notes=self.record.tables.allocates):
            found.setdefault(str(self.record.name(self.record.events[step][3][0])), []).append(step)
        return found

    # -- how it is told ----------

    def name(self, lane: int) -> str:
        """Name what is held or wanted."""
        return self.names.get(lane if lane < 0 else lane % TURN) or self.record.lane_name(lane)

    def report(self, ring: rings.Ring, evidence: Evidence) -> None:
        """Add the finding of a ring."""
        edges: list[dict[str, Fact]] = []
        points, said = [], []
        for link, before in zip(ring, (ring[-1], *ring), strict=False):
            i = link.held.index(before.wanted)
            edge = self.edge(link, i)
            edges.append(edge)
            who, held, wanted = str(edge["task"]), str(edge["held"]), str(edge["wanted"])
            points.append(f"{kind_of(who)} holds {kind_of(held)} wants {kind_of(wanted)}")
            said.append(f"{who} holds {held} and wants {wanted}")
        tasks: list[Fact] = [edge["task"] for edge in edges]
        classes = [kind_of(str(edge["held"])) for edge in edges]
        first = classes.index(min(classes))  # so that it reads alike whichever task comes first in a run
        classes = [*classes[first:], *classes[:first]]
        evidence.add(
            RULE,
            "could deadlock: " + "; ".join(said),
            points,
            predicted=True,
            chain=ARROW.join([*classes, classes[0]]),
            edges=edges,
            tasks=tasks,
            step=max(link.step for link in ring),
        )

    def edge(self, link: Link, i: int) -> dict[str, Fact]:
        """Tell a link.  Args: i: which of what it holds is wanted by another."""
        sites: Sequence[str | None] = self.record.sites
        return {
            "task": self.record.task_name(link.task),
            "task_id": link.task,
            "held": self.name(link.held[i]),
            "held_lane": link.held[i] if self.was_taken(link, i) else None,
            "held_step": link.steps[i],
            "held_site": sites[link.steps[i]] if sites else None,
            "wanted": self.name(link.wanted),
            "wanted_lanes": list(self.asked_at(link)),
            "step": link.step,
            "site": sites[link.step] if sites else None,
            "also_held": [self.name(lane) for lane in link.held if lane != link.held[i]],
        }

    def was_taken(self, link: Link, i: int) -> bool:
        """Say whether the task took what it holds, by an op on that, and did not come to owe it."""
        task, op, _, _ = self.record.events[link.steps[i]]
        return task == link.task and op != NOTE and op >> SHIFT == link.held[i] and op & KIND_MASK in _TAKES

    def asked_at(self, link: Link) -> list[int]:
        """Return the lanes of the ops at which the task of a link waits."""
        _, op, _, _ = self.record.events[link.step]
        if link.wanted >= 0 and link.wanted % TURN not in self.owed:
            return [link.wanted, *self.queue_of(link.wanted)]
        return [op >> SHIFT] if op != NOTE and op & KIND_MASK == JOIN else [link.queue] if link.queue >= 0 else []

    def queue_of(self, lane: int) -> list[int]:
        """Return the lane of a sleeping bit lock's queue, if anybody used it (a file knows no others)."""
        record = self.record
        cls, owner, key, bit = record.lane(lane) or ("", "", "", "")
        used = record.steps_by_lane(QUEUE)
        return [queue for queue, name in record.queue_lanes(cls, key, bit).items() if name == owner and queue in used]
