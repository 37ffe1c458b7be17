"""Ptes: page tables agree with pages, slots and counts, and the dirt of a pte becomes the page's.

During the run: a pte is made for a page by a task that holds its lock, and the slot of what is mapped there shows that
page; a fault looks at the size of the file under that lock first; a migration entry is made under it, too, and no page
is unlocked while there is one for it; who takes the dirt from a pte marks the page dirty before he unlocks it, cleans
it or lets go of it; no page is freed while somebody sleeps for its lock; reclaim takes no pte that was used since the
last look at it; a migration that refuses a page since it is mapped, or since nothing maps an anonymous one, has not
left a pte alone all the while; what is mapped is mapped once, and freed without ptes.
At rest: a page is counted as mapped once for each of its ptes, and NR_FILE_MAPPED counts those pages; there is no
migration entry; each file knows its mappings, and no others; each pte is of the page in its slot; a page with a pte
that is dirty, or lets stores through, is dirty.
Anonymous pages: the first pte is made by who made the page, which nobody else can see, under no lock; the dirt of a pte
goes with a munmap, but not with a move; NR_ANON_PAGES counts those that are mapped.  At rest each pte in private memory
is of a page that says it is there, and that leads by its anon_vma to the mapping; and an anon_vma that is not freed
knows the mappings that have it, at least one, and counts them; a program that ended has none.
Invariant: judged only where something is mapped.  Not checked: references "pte" (the refcount oracle), what is read and
written through ptes (the content oracle).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from mmrace.oracles.general.judgement import Evidence, Fact, Judgement
from mmrace.oracles.protocol.names import is_anon_vma
from mmrace.oracles.protocol.pte import NONE, Pte, pte
from mmrace.oracles.protocol.snapshot import PageView, Snapshot, snapshots, unfinished
from mmrace.runtime.kinds import (
    CLEARS,
    DEQUEUE,
    KIND_MASK,
    NOTE,
    PUT,
    QUEUE,
    READ,
    SETS,
    SHIFT,
    STORE,
    TEST,
    TEST_AND_CLEAR,
    WRITE,
)
from mmrace.runtime.record import Record

NAME = "ptes"
NOTES = frozenset({
    "map", "map-private", "unmap", "page-free", "scan-begin", "scan-end", "migrate-begin", "migrate-end",
})  # fmt: skip
UNMAPS = frozenset({"mapped", "anon-unmapped"})
"""Why a migration refuses a page that it cannot unmap, or that nothing maps."""
KINDS = (WRITE, *SETS, *CLEARS, STORE, TEST, PUT, QUEUE, DEQUEUE)


class _Audit:
    """Page tables, page locks and slots as the record so far left them."""

    def __init__(self, record: Record, words: dict[int, tuple[str, int]]) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.words = words
        self.locks = record.bit_lane("Page", "flags", "PG_locked")
        self.dirt = record.bit_lane("Page", "flags", "PG_dirty")
        self.counts = record.lanes("Page", "_count")
        self.slots = record.lanes("Slot", "page")
        self.sizes = record.lanes("Inode", "i_size")
        self.queues = record.queue_lanes("Page", "flags", "PG_locked")
        self.flags = record.lanes("Page", "flags")
        self.mappings = record.lanes("Page", "mapping")
        self.anonymous: dict[str, int] = {}  # page -> the task that made it and alone knows it; -1 after that
        self.spared: dict[tuple[int, str], int] = {}  # as `owed`, of anonymous pages: a munmap pays it
        self.locked: dict[str, int] = {}  # page -> task
        self.locked_at: dict[str, int] = {}
        self.took: dict[int, tuple[int, str]] = {}  # address -> who cleared the pte there, and of which page
        self.sized: dict[tuple[int, str], int] = {}  # task, file -> when it last looked at its size
        self.shown: dict[str, object] = {}  # slot -> page
        self.mapped: dict[int, str] = {}  # address -> slot
        self.entries: dict[str, set[int]] = {}  # page -> addresses of migration entries for it
        self.owed: dict[tuple[int, str], int] = {}  # task, page -> step at which it took the dirt from a pte
        self.ranges: dict[str, range] = {}  # mapping of a file, by name -> its addresses
        self.ptes: dict[int, Pte] = {}  # address -> what is there
        self.since: dict[int, int] = {}  # address -> since when a pte maps the page that it maps
        self.begun: dict[int, int] = {}  # task -> step at which its migration began
        self.scanning: set[int] = set()  # tasks in reclaim
        self.sleepers: dict[str, set[int]] = {}  # page -> tasks
        self.checked = 0

    @property
    def lanes(self) -> set[int]:
        """The lanes to look at."""
        of_pages = {*self.locks, *self.dirt, *self.counts, *self.queues, *self.flags}
        return {*self.words, *self.slots, *self.mappings, *of_pages}

    def caught(self, rule: str, text: str, step: int, task: int, *names: str, **facts: Fact) -> None:
        who = self.record.task_name(task)
        self.evidence.add(rule, f"{text} ({who})", (*names, who), step=step, task=who, objects=list(names), **facts)

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "map":
            self.map(step, task, facts)
            return
        if kind == "map-private":
            self.ranged(step, task, facts)
            return
        if kind == "unmap":
            self.unmap(step, task, str(self.record.name(facts[0])))
            return
        if kind == "migrate-begin":
            self.begun[task] = step
            return
        if kind == "migrate-end":
            self.refused(step, task, str(self.record.name(facts[0])), facts[4])
            return
        if kind in ("scan-begin", "scan-end"):
            (self.scanning.add if kind == "scan-begin" else self.scanning.discard)(task)
            return
        page = str(self.record.name(facts[0]))
        self.checked += 1
        self.locked.pop(page, None)
        for sleeper in sorted(self.sleepers.get(page, ())):
            who = self.record.task_name(sleeper)
            self.caught("freed under a sleeper", f"{page} freed while {who} waits for its lock", step, task, page, who)

    def refused(self, step: int, task: int, page: str, reason: object) -> None:
        """A migration ended: if it could not unmap the page, no pte of it was there all the while."""
        begun = self.begun.pop(task, step)
        if reason not in UNMAPS:
            return
        self.checked += 1
        for address, pte_ in self.ptes.items():
            if pte_.page == page and pte_.present and self.since[address] < begun:
                text = f"{page} is refused ({reason}), and nobody touched its pte at {address}"
                self.caught("mapped page not unmapped", text, step, task, page)
                return

    def map(self, step: int, task: int, facts: tuple[object, ...]) -> None:
        """A file is mapped: at addresses where nothing is mapped."""
        vma, ino, address, pages, pgoff = facts
        assert isinstance(address, int) and isinstance(pages, int) and isinstance(pgoff, int)
        self.ranged(step, task, (vma, address, pages))
        for i in range(pages):
            self.mapped[address + i] = f"slot:{ino}:{pgoff + i}"

    def ranged(self, step: int, task: int, facts: tuple[object, ...]) -> None:
        """Something is mapped."""
        vma, address, pages = facts
        assert isinstance(address, int) and isinstance(pages, int)
        name, addresses = str(self.record.name(vma)), range(address, address + pages)
        self.checked += 1
        for other, taken in self.ranges.items():
            if taken.start < addresses.stop and addresses.start < taken.stop:
                self.caught("mapped twice", f"{name} is mapped where {other} still is", step, task, name, other)
        self.ranges[name] = addresses

    def unmap(self, step: int, task: int, name: str) -> None:
        """A mapping is freed: it has no ptes."""
        self.checked += 1
        left = [address for address in self.ranges.pop(name, ()) if self.ptes.get(address, NONE).page]
        if left:
            text = f"{name} is freed with ptes at {', '.join(map(str, left))}"
            self.caught("mapping freed with ptes", text, step, task, name)

    def op(self, step: int, task: int, lane: int, kind: int, a: object, b: object) -> None:
        if kind == READ:
            self.sized[task, self.sizes[lane].rpartition(":")[2]] = step
        elif lane in self.words:
            if kind == WRITE:
                self.pte_written(step, task, self.words[lane][1], pte(a), pte(b))
        elif lane in self.slots:
            if kind == WRITE:
                self.shown[self.slots[lane]] = self.record.name(b)
        elif lane in self.mappings:
            if kind == WRITE:
                self.mapping_written(task, self.mappings[lane], self.record.name(b))
        elif lane in self.locks:
            self.lock(step, task, self.locks[lane], kind, a)
        elif lane in self.dirt:
            self.dirt_seen(step, task, self.dirt[lane], kind, a)
        elif lane in self.counts:
            if kind == PUT and a == "pte":
                self.parted(step, task, self.counts[lane], "let go of")
        elif lane in self.queues:
            sleepers = self.sleepers.setdefault(self.queues[lane], set())
            if kind == QUEUE:
                sleepers.add(task)
            elif kind == DEQUEUE:
                sleepers.discard(task)
        elif kind == STORE and not b:  # freed
            self.locked.pop(self.flags[lane], None)

    # -- ptes --------------------------------------------------------------------------------------------------------

    def pte_written(self, step: int, task: int, address: int, old: Pte, new: Pte) -> None:
        self.checked += 1
        self.ptes[address] = new
        if (old.page, old.entry) != (new.page, new.entry):
            self.since[address] = step
        if task in self.scanning and old.accessed and not new.page:
            text = f"reclaim takes a pte of {old.page} that was used since anybody looked"
            self.caught("pte in use taken by reclaim", text, step, task, old.page)
        if old.entry:
            self.entries.get(old.page, set()).discard(address)
        if not new.page:
            self.took[address] = task, old.page
        elif (old.page, old.entry) != (new.page, new.entry):
            self.made(step, task, address, old, new)
        if new.entry:
            self.entries.setdefault(new.page, set()).add(address)
        if old.dirty and not (new.dirty and new.page == old.page):
            owed = self.spared if old.page in self.anonymous else self.owed
            owed.setdefault((task, old.page), step)
        elif new.dirty:
            self.owed.pop((task, new.page), None)
            self.spared.pop((task, new.page), None)
        if new.entry:
            self.lost(step, task, new.page, "on the move", self.spared)

    def made(self, step: int, task: int, address: int, old: Pte, new: Pte) -> None:
        """A pte or an entry begins."""
        what = "a migration entry" if new.entry else "a pte"
        if self.anonymous.get(new.page) == task and not new.entry:
            self.anonymous[new.page] = -1  # from now on others can see it
        elif self.locked.get(new.page) != task:
            rule = f"{what.removeprefix('a ')} of an unlocked page"
            self.caught(rule, f"{what} is made for {new.page}, whose lock its maker has not", step, task, new.page)
        if not new.entry:
            self.in_slot(step, task, address, new)
            if not old.page and self.took.get(address) != (task, new.page):
                self.in_file(step, task, address, new)

    def in_file(self, step: int, task: int, address: int, new: Pte) -> None:
        """A fault made a pte, and did not only change it.

        A truncation takes the size first and the pages after: who has a page locked, and looks then, cannot miss it.
        """
        _, ino, index = self.mapped.get(address, "::").split(":")
        if (
            self.sizes
            and self.locked.get(new.page) == task
            and ino
            and self.sized.get((task, ino), -1) < self.locked_at[new.page]
        ):
            text = f"a pte is made for page {index} of file {ino}, whose size its maker did not look at under its lock"
            self.caught("pte without a look at the size", text, step, task, new.page)

    def in_slot(self, step: int, task: int, address: int, new: Pte) -> None:
        slot = self.mapped.get(address)
        if slot is not None and self.shown.get(slot) != new.page:
            text = f"a pte is made for {new.page} at {address}, but {slot} shows {self.shown.get(slot)}"
            self.caught("pte of a page that is not in its slot", text, step, task, new.page, slot)

    # -- pages -------------------------------------------------------------------------------------------------------

    def lock(self, step: int, task: int, page: str, kind: int, old: object) -> None:
        if kind in SETS:
            if not old:
                self.locked[page] = task
                self.locked_at[page] = step
        elif kind in CLEARS:
            self.locked.pop(page, None)
            left = self.entries.get(page)
            if left:
                text = f"{page} is unlocked, and the ptes at {', '.join(map(str, sorted(left)))} wait for its move"
                self.caught("migration entry left", text, step, task, page)
                left.clear()
            self.parted(step, task, page, "unlocked")

    def mapping_written(self, task: int, page: str, mapping: object) -> None:
        """A page becomes anonymous, or is it no more; the target of a move is known to its mover, and locked."""
        if is_anon_vma(mapping):
            self.anonymous[page] = -1 if self.locked.get(page) == task else task
        else:
            self.anonymous.pop(page, None)

    def dirt_seen(self, step: int, task: int, page: str, kind: int, old: object) -> None:
        if kind in SETS or (kind == TEST and old):
            self.owed.pop((task, page), None)
            self.spared.pop((task, page), None)
        elif kind == TEST_AND_CLEAR:
            self.parted(step, task, page, "cleaned")

    def parted(self, step: int, task: int, page: str, how: str) -> None:
        """A task is done with a page: no dirt that it took from a pte may be left with it."""
        self.spared.pop((task, page), None)
        self.lost(step, task, page, how, self.owed)

    def lost(self, step: int, task: int, page: str, how: str, owed: dict[tuple[int, str], int]) -> None:
        since = owed.pop((task, page), None)
        if since is not None:
            text = f"{page} is {how}, and the dirt of a pte, taken at step {since}, was not given to it"
            self.caught("dirt of a pte lost", text, step, task, page, since=since)


def judge(record: Record) -> Judgement:
    """Replay page tables against locks, slots and dirt, then judge the state at rest."""
    words = record.word_lanes("MmStruct", "ptes")
    if not words:
        return Evidence(NAME).judgement(0, unfinished(record))
    audit = _Audit(record, words)
    for step in sorted([*record.steps_on(audit.lanes, *KINDS, notes=NOTES), *record.steps_on(audit.sizes, READ)]):
        task, op, a, b = record.events[step]
        if op == NOTE:
            audit.note(step, task, a, b)
        else:
            audit.op(step, task, op >> SHIFT, op & KIND_MASK, a, b)
    ends = bool(record.header.get("params", {}).get("exits"))
    for snap in snapshots(record):
        audit.checked += _at_rest(snap, audit.evidence)
        for one in snap.private if ends else ():
            text = f"{one.name} is mapped still, though its program ended ({snap.label})"
            audit.evidence.add("mapping of an ended program", text, (one.name, snap.label), when=snap.label)
    return audit.evidence.judgement(audit.checked, unfinished(record))


def _at_rest(snap: Snapshot, evidence: Evidence) -> int:
    """Judge one snapshot; return how many ptes and pages were looked at."""
    when = snap.label

    def caught(rule: str, text: str, *names: str) -> None:
        evidence.add(rule, f"{text} ({when})", (*names, when), objects=list(names), when=when)

    shown = {position: slot.page for position, slot in snap.by_position.items()}
    mapped: Counter[str] = Counter()
    for row in snap.ptes:
        if "present" not in row.bits:
            caught("migration entry at rest", f"the pte at {row.address} waits for a move of {row.page}", row.page)
            continue
        mapped[row.page] += 1
        page = snap.page(row.page)
        if page is not None and page.anonymous:
            caught_at = _misplaced(snap, row.address, page)
            if caught_at:
                caught("pte of a page of another place", caught_at, row.page)
            continue
        home = snap.home(row.address)
        if home is None or shown.get(home) != row.page:
            text = f"the pte at {row.address} is of {row.page}, but {home} shows {shown.get(home) if home else None}"
            caught("pte of a page that is not in its slot", text, row.page)
        if page is not None and row.bits & {"dirty", "write"} and "PG_dirty" not in page.flags:
            what = "is dirty" if "dirty" in row.bits else "lets stores through"
            caught("dirty pte, clean page", f"the pte at {row.address} {what}, {row.page} is clean", row.page)
    for page in snap.pages.values():
        if page.mapcount != mapped[page.name] and not page.free:
            text = f"{page.name} counts {page.mapcount} ptes, and has {mapped[page.name]}"
            caught("map count is not ptes", text, page.name)
    for mapping, known in snap.i_mmap.items():
        vmas = {vma for vma, of in snap.vmas.items() if of == mapping}
        if set(known) != vmas:
            text = f"{mapping} knows of {', '.join(sorted(known)) or 'no mapping'}, not of {', '.join(sorted(vmas))}"
            caught("mappings that the file does not know", text, mapping)
    for anon_vma in snap.anon_vmas:
        vmas = {one.name for one in snap.private if one.anon_vma == anon_vma.name}
        if not vmas or set(anon_vma.vmas) != vmas or anon_vma.count != len(vmas):
            known_to = f"knows of {_all(anon_vma.vmas)}, and {_all(vmas)} has it"
            text = f"{anon_vma.name}, counted {anon_vma.count} times, {known_to}"
            caught("anon_vma is not its mappings", text, anon_vma.name)
    anonymous = {name for name in mapped if (view := snap.page(name)) is not None and view.anonymous}
    for name, number in (("NR_FILE_MAPPED", len(mapped) - len(anonymous)), ("NR_ANON_PAGES", len(anonymous))):
        counted = snap.counters.get(name, number)
        if counted != number:
            caught("accounting", f"{name} is {counted}, and {number} pages are mapped", name)
    return len(snap.ptes) + len(snap.pages) + len(snap.anon_vmas)


def _all(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _misplaced(snap: Snapshot, address: int, page: PageView) -> str:
    """Say why a pte at an address is not one of an anonymous page, "" if it may be."""
    mapping = snap.private_at(address)
    if mapping is not None and (page.mapping, page.index) == (mapping.anon_vma, address):
        return ""
    where = f"{mapping.name} of {mapping.anon_vma}" if mapping is not None else "nothing private"
    return f"the pte at {address}, in {where}, is of {page.name}, which is of {page.mapping} at {page.index}"
