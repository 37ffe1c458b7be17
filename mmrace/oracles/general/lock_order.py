"""Lock order: a deadlock that did not happen in this run but would in another order of the same steps.

A link is "this task held lock A when it asked for lock B, ready to wait".  A ring of links is a deadlock that some
schedule may reach (Goodlock; the kernel's lockdep does the same by class).  Finding: ``lock-order cycle``, a prediction
(facts["predicted"]), its facts["edges"] the chain in forward order: each wants what the next one holds.

Locks are instances, never classes: what one task does to object A, and another to B in the other order, is no ring.
No ring either: links of one task; links whose held locks share one (a gate lock lets in one of them at a time); links
of which one was over before the other's task was spawned, or joined.  A try waits for nobody and makes no link, but
what it took is held like any lock.  A sleep until a bit lock is clear (`wait_on_bit`) waits for the lock's holder and
makes a link, though it takes nothing.  What several hold open, and others wait for until nobody does, is a lock that
many may hold: whoever judges a program with such counts says which they are (`judge_with`).  A lock handed to its I/O
is nobody's: the completion drops it without waiting for a task.

Invariant: every bit lock of a ring was waited for (`flags.LOCK` beside its test-and-set, or a queue); in a record from
before that mark only queueing tells, and less is predicted.  Not here: what is no lock (a bit that says that I/O is
under way, a join), since no record says when its end passes from a task to the I/O; an interrupt that spins on what its
CPU holds (`lock_discipline.py`); whether the data would let that schedule happen.
Source: Documentation/lockdep-design.txt, v3.3; Havelund, "Using runtime analysis to guide model checking", 2000.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mmrace.oracles.general.judgement import Evidence, Fact, Judgement, kind_of
from mmrace.oracles.general.locks import lock_bits
from mmrace.runtime.flags import LOCK
from mmrace.runtime.kinds import (
    ACQUIRE,
    CLEAR,
    EXIT,
    JOIN,
    KIND_MASK,
    NOTE,
    QUEUE,
    RELEASE,
    SHIFT,
    SPAWN,
    STORE,
    TEST,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    TRY,
    WRITE,
)
from mmrace.runtime.record import Record

NAME = "lock-order"
RULE = "lock-order cycle"
LINKS_MAX = 4  # tasks in a ring; longer ones are unknown in the kernel's history
MAIN = 0  # the task that sets the stage: it sees every end, and a join of all others is no op if nobody is left
SEARCH_MAX = 20_000  # links that the search for rings looks at: some 10 ms

_NOTE = NOTE & KIND_MASK
_WANTED = (TEST_AND_SET, CLEAR, TEST_AND_CLEAR, ACQUIRE, TRY, RELEASE, STORE, QUEUE, SPAWN, JOIN, EXIT, _NOTE)

Opened = Mapping[int, Collection[int]]
"""Lane of a count of those who hold something open -> lanes of the locks that who has to wait for them drops first.

A task that counts itself in might have had to wait for the others; it holds until it counts itself out."""

Clock = list[int]  # by task: up to which of its spawns and joins all of it is over


@dataclass(frozen=True, slots=True)
class Link:
    """A task holds locks, each taken at its step of `steps`, and asks for one, sleeping on `queue` (-1: it did not).

    `guards`: those of the held ones that only one can hold.
    """

    task: int
    held: tuple[int, ...]
    steps: tuple[int, ...]
    wanted: int
    step: int
    queue: int
    clock: Clock
    guards: frozenset[int] = frozenset()


class _Holding:
    """Who holds what, as the events so far left it, and the links seen."""

    def __init__(self, record: Record, opened: Opened) -> None:
        self.record = record
        self.opened = opened
        tasks = len(record.tasks)
        self.held: list[dict[int, int]] = [{} for _ in range(tasks)]  # lane -> step, in the order of taking
        self.holder: dict[int, int] = {}  # lane of a bit -> who set it last
        self.clocks: list[Clock] = [[0] * i + [1] + [0] * (tasks - i - 1) for i in range(tasks)]
        self.begun: set[int] = set()
        self.links: dict[tuple[int, int, int, tuple[int, ...], int], Link] = {}

    def wants(self, step: int, task: int, lane: int, queue: int = -1) -> None:
        """A task that holds something is ready to wait for `lane`."""
        held = self.held[task]
        clock = self.clocks[task]
        locks = tuple(held)
        key = (task, lane, clock[task], locks, queue)
        if key not in self.links and lane not in held:
            self.links[key] = Link(task, locks, tuple(held.values()), lane, step, queue, clock)

    def set_bit(self, step: int, task: int, lane: int) -> None:
        before = self.holder.get(lane, task)
        if before != task:  # cleared by other means than a clear
            self.held[before].pop(lane, None)
        self.holder[lane] = task
        self.held[task][lane] = step

    def cleared(self, lane: int) -> None:
        """A bit that another than its holder clears (its I/O, or a stranger), or that is handed over."""
        holder = self.holder.pop(lane, None)
        if holder is not None:
            self.held[holder].pop(lane, None)

    def stored(self, task: int, word: int, value: object) -> None:
        """A plain store of a flag word drops the bits that are not in it."""
        if not value and self.held[task]:
            prefix = self.record.lane_name(word) + "."
            for lane in [lane for lane in self.held[task] if self.record.lane_name(lane).startswith(prefix)]:
                self.cleared(lane)

    def waits(self, step: int, task: int, queue: int) -> None:
        """A task goes to sleep: if it just saw a bit set, that is what it may be waiting for."""
        events = self.record.events
        for i in range(step - 1, -1, -1):
            who, op, bit, _ = events[i]
            if who == task and op != NOTE:
                if bit and op & KIND_MASK in (TEST, TEST_AND_SET):  # TEST_AND_SET: in a record from before the mark
                    self.wants(step, task, op >> SHIFT, queue)
                return

    def spawned(self, task: int, child: int) -> None:
        """What the task did so far is over when the child begins."""
        self.begun.add(child)
        clock = self.clocks[task]
        self.clocks[child] = born = clock.copy()
        born[child] = 1
        self.clocks[task] = clock = clock.copy()
        clock[task] += 1

    def joined(self, task: int, child: int | None) -> None:
        """All of the child (None: of everybody but daemons) is over when the task goes on."""
        rows = self.record.tasks
        ended = [child] if child is not None else [i for i in self.begun if i != task and not rows[i].get("daemon")]
        known = [self.clocks[i] for i in (task, *ended)]
        self.clocks[task] = clock = [max(column) for column in zip(*known, strict=True)]
        clock[task] += 1

    def counted(self, step: int, task: int, lane: int, more: bool) -> None:
        """A task counts itself in or out."""
        held = self.held[task]
        if more:
            kept = held.copy()
            for dropped in self.opened[lane]:
                held.pop(dropped, None)
            if held:
                self.wants(step, task, lane)
            self.held[task] = {**kept, lane: step}
        else:
            held.pop(lane, None)

    def steps(self) -> list[int]:
        """Return the steps that tell."""
        record, events = self.record, self.record.events
        counts = (
            [step for step in record.steps(WRITE) if events[step][1] >> SHIFT in self.opened] if self.opened else []
        )
        return sorted([*record.steps(*_WANTED), *counts]) if counts else record.steps(*_WANTED)

    def follow(self, until: int) -> int:
        """Follow every lock up to the event at `until`; count the requests that were ready to wait."""
        events, held = self.record.events, self.held
        checked = 0
        for step in self.steps():
            if step >= until:
                break
            task, op, a, b = events[step]
            kind, lane = op & KIND_MASK, op >> SHIFT
            if kind == ACQUIRE:
                checked += 1
                mine = held[task]
                if mine:
                    self.wants(step, task, lane)
                mine[lane] = step
            elif kind == RELEASE:
                held[task].pop(lane, None)
            elif kind == TEST_AND_SET:
                if b == LOCK:
                    checked += 1
                    if held[task]:
                        self.wants(step, task, lane)
                if not a:
                    self.set_bit(step, task, lane)
            elif kind in (CLEAR, TEST_AND_CLEAR):
                if a and held[task].pop(lane, None) is None:
                    self.cleared(lane)
            elif kind == TRY:
                if a:
                    held[task][lane] = step
            elif kind == _NOTE:
                if a == "hand-over":
                    self.cleared(b[0])
            elif kind == SPAWN:
                self.spawned(task, a)
            elif kind == JOIN:
                self.joined(task, a)
            elif kind == EXIT:
                if task != MAIN:
                    self.joined(MAIN, task)
            elif kind == QUEUE:
                if held[task]:
                    self.waits(step, task, lane)
            elif kind == WRITE:
                self.counted(step, task, lane, b > a)
            else:
                self.stored(task, lane, b)
        return checked


def judge(record: Record) -> Judgement:
    """Follow every lock, then look for rings among the links."""
    return judge_with(record, {})


def judge_with(record: Record, opened: Opened) -> Judgement:
    """Do the same with what a program holds open."""
    holding = _Holding(record, opened)
    checked = holding.follow(len(record.events))
    return _conclude(record, list(holding.links.values()), checked)


def held_at(record: Record, step: int) -> list[str]:
    """Name the locks that the task of the event at `step` holds there, in the order of taking."""
    holding = _Holding(record, {})
    holding.follow(step)
    mine = holding.held[record.events[step][0]]
    return [record.lane_name(lane) for lane, taken in mine.items() if _took_lock(record, lane, taken)]


# -- rings ---------------------------------------------------------------------------------------------------------


def _conclude(record: Record, links: list[Link], checked: int) -> Judgement:
    evidence = Evidence(NAME)
    budget = [SEARCH_MAX]
    links = _on_rings(links)
    if links:
        links = _on_rings([_of_locks(record, link) for link in links if _waits_for_lock(record, link)])
    for ring in _rings(links, budget):
        _report(record, ring, evidence)
    return evidence.judgement(checked, "" if budget[0] > 0 else "too many links to look at every ring")


def _on_rings(links: list[Link]) -> list[Link]:
    """Drop, until nothing more goes, the links whose wanted lock nobody holds while asking, or the other way round."""
    while True:
        held = {lane for link in links for lane in link.held}
        wanted = {link.wanted for link in links}
        left = [link for link in links if link.wanted in held and not wanted.isdisjoint(link.held)]
        if len(left) == len(links):
            return left
        links = left


def _took_lock(record: Record, lane: int, step: int) -> bool:
    """Say whether the event at `step` took, or asked for, a lock and not a bit of another use."""
    _, op, _, mark = record.events[step]
    return op & KIND_MASK in (ACQUIRE, TRY, WRITE) or mark == LOCK or lane in lock_bits(record).lanes


def _waits_for_lock(record: Record, link: Link) -> bool:
    """Say whether a link's wanted lane is a lock and, if the task slept, that it slept on that lock's queue."""
    slept_elsewhere = link.queue >= 0 and record.lane_name(link.queue) != f"{record.lane_name(link.wanted)}.queue"
    return not slept_elsewhere and _took_lock(record, link.wanted, link.step)


def _of_locks(record: Record, link: Link) -> Link:
    """Leave out what the link holds that is no lock: a bit of another use keeps nobody apart."""
    kept = [pair for pair in zip(link.held, link.steps, strict=True) if _took_lock(record, *pair)]
    guards = frozenset(lane for lane, step in kept if record.events[step][1] & KIND_MASK != WRITE)
    return replace(link, held=tuple(lane for lane, _ in kept), steps=tuple(step for _, step in kept), guards=guards)


def _rings(links: list[Link], budget: list[int]) -> Iterator[tuple[Link, ...]]:
    """Yield each ring once, beginning with its first link."""
    by_held: dict[int, list[Link]] = {}
    for link in links:
        for lane in link.held:
            by_held.setdefault(lane, []).append(link)
    for first in links:
        yield from _grow((first,), by_held, budget)


def _grow(path: tuple[Link, ...], by_held: dict[int, list[Link]], budget: list[int]) -> Iterator[tuple[Link, ...]]:
    for link in by_held.get(path[-1].wanted, ()):
        budget[0] -= 1
        if budget[0] <= 0:
            return
        if link.step > path[0].step and all(_meet(link, other) for other in path):
            longer = (*path, link)
            if link.wanted in path[0].held:
                yield longer
            elif len(longer) < LINKS_MAX:
                yield from _grow(longer, by_held, budget)


def _meet(one: Link, other: Link) -> bool:
    """Say whether two links can stand at the same moment: two tasks, no lock in common, neither over by then."""
    return (
        one.task != other.task
        and one.guards.isdisjoint(other.guards)
        and one.clock[one.task] > other.clock[one.task]
        and other.clock[other.task] > one.clock[other.task]
    )


def _queue_of(record: Record, lane: int) -> list[int]:
    """Return the lane of a sleeping bit lock's queue, if anybody used it (a file knows no others)."""
    cls, owner, field, bit = record.lane(lane) or ("", "", "", "")
    used = {record.events[step][1] >> SHIFT for step in record.steps(QUEUE)}
    return [queue for queue, name in record.queue_lanes(cls, field, bit).items() if name == owner and queue in used]


def _report(record: Record, ring: tuple[Link, ...], evidence: Evidence) -> None:
    edges: list[dict[str, Fact]] = []
    points, said = [], []
    sites: Sequence[str | None] = record.sites
    for link, before in zip(ring, (ring[-1], *ring), strict=False):
        i = link.held.index(before.wanted)
        who, held, wanted = record.task_name(link.task), *map(record.lane_name, (link.held[i], link.wanted))
        edges.append(
            {
                "task": who,
                "task_id": link.task,
                "held": held,
                "held_lane": link.held[i],
                "held_step": link.steps[i],
                "held_site": sites[link.steps[i]] if sites else None,
                "wanted": wanted,
                "wanted_lanes": [link.wanted, *_queue_of(record, link.wanted)],
                "step": link.step,
                "site": sites[link.step] if sites else None,
                "also_held": [record.lane_name(lane) for lane in link.held if lane != link.held[i]],
            }
        )
        points.append(f"{kind_of(who)} holds {kind_of(held)} wants {kind_of(wanted)}")
        said.append(f"{who} holds {held} and wants {wanted}")
    tasks: list[Fact] = [edge["task"] for edge in edges]
    evidence.add(
        RULE,
        "could deadlock: " + "; ".join(said),
        points,
        predicted=True,
        edges=edges,
        tasks=tasks,
        step=max(link.step for link in ring),
    )
