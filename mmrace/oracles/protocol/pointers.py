"""Pointer agreement in one snapshot: slot -> page -> private -> ring -> each buffer's page is the same page.

The half of the slot oracle that looks at the model at rest.  Invariant:
each disagreement is told once, from the side of the object that is wrong, or else of the slot.  Not checked:
contents, counts and dirtiness, which have oracles of their own.
"""

from __future__ import annotations

from mmrace.oracles.general.judgement import Evidence
from mmrace.oracles.protocol.snapshot import PageView, Snapshot


def check(snap: Snapshot, evidence: Evidence) -> int:
    """Judge one snapshot; return how many pointers were followed."""
    followed = _slots(snap, evidence) + len(snap.unused)
    ringed: set[str] = set()
    shown = {position: slot.page for position, slot in snap.by_position.items()}
    for page in snap.pages.values():
        followed += _page(snap, page, shown, ringed, evidence)
    for buffer in snap.buffers.values():
        if buffer.page is None or buffer.name in ringed:
            continue
        followed += 1
        page_ = snap.page(buffer.page)
        if page_ is not None and (page_.free or buffer.next is not None):
            state = "a free page" if page_.free else "a page whose ring it is not on"
            evidence.add(
                "stray buffer",
                f"{buffer.name} points at {buffer.page}, {state} ({snap.label})",
                (buffer.name, buffer.page, state),
                buffer=buffer.name,
                page=buffer.page,
                when=snap.label,
            )
    return followed


def _slots(snap: Snapshot, evidence: Evidence) -> int:
    used = dict.fromkeys(snap.nrpages, 0)
    for slot in snap.slots:
        if slot.page is None:
            continue
        used[slot.mapping] += 1
        page = snap.pages.get(slot.page)
        if page is not None and not page.free and (page.mapping, page.index) == (slot.mapping, slot.index):
            continue
        state = "free or unknown" if page is None or page.free else f"of {page.mapping}[{page.index}]"
        evidence.add(
            "slot shows a stranger",
            f"slot {slot.mapping}[{slot.index}] shows {slot.page}, which is {state} ({snap.label})",
            (slot.mapping, slot.page, state.partition(" ")[0]),
            mapping=slot.mapping,
            index=slot.index,
            page=slot.page,
            when=snap.label,
        )
    for mapping, count in snap.nrpages.items():
        if count != used[mapping]:
            evidence.add(
                "nrpages",
                f"{mapping}: nrpages is {count}, {used[mapping]} slots are in use ({snap.label})",
                (mapping,),
                mapping=mapping,
                nrpages=count,
                used=used[mapping],
                when=snap.label,
            )
    total = sum(used.values())
    counted = snap.counters.get("NR_FILE_PAGES", total)
    if counted != total:
        evidence.add(
            "NR_FILE_PAGES",
            f"NR_FILE_PAGES is {counted}, {total} slots are in use ({snap.label})",
            counted=counted,
            used=total,
            when=snap.label,
        )
    return len(snap.slots)


def _page(
    snap: Snapshot,
    page: PageView,
    shown: dict[tuple[str, int], str | None],
    ringed: set[str],
    evidence: Evidence,
) -> int:
    """Judge one page from its own side: its slot, and its ring; enter the ring's buffers in `ringed`."""
    if page.free:
        return 1
    facts = {"page": page.name, "when": snap.label}
    if page.mapping is not None:
        position = (page.mapping, page.index if page.index is not None else -1)
        other = shown.get(position, page.name)
        if other != page.name:
            text = f"{page.name} claims {page.mapping}[{page.index}], which shows {other} ({snap.label})"
            evidence.add("page is not in its slot", text, (page.name, page.mapping), shown=other, **facts)
    if ("PG_private" in page.flags) != (page.private is not None):
        text = f"{page.name}: PG_private disagrees with private {page.private} ({snap.label})"
        evidence.add("PG_private", text, (page.name,), private=page.private, **facts)
    if page.private is None:
        return 1
    ring: list[str] = []
    name: str | None = page.private
    while name is not None and name not in ring:
        buffer = snap.buffers.get(name)
        ring.append(name)
        if buffer is None:
            text = f"{page.name}: its ring holds {name}, which is not a live buffer ({snap.label})"
            evidence.add("ring holds a dead buffer", text, (page.name, name), buffer=name, **facts)
            return 1 + len(ring)
        ringed.add(name)
        if buffer.page != page.name:
            text = f"{name} is on the ring of {page.name} but its b_page is {buffer.page} ({snap.label})"
            evidence.add("b_page", text, (page.name, name), buffer=name, b_page=buffer.page, **facts)
        name = buffer.next
    if name != ring[0]:
        text = f"{page.name}: its ring {', '.join(ring)} does not close (next is {name}) ({snap.label})"
        evidence.add("open ring", text, (page.name, ring[-1]), ring=ring, next=name, **facts)
    return 1 + len(ring)
