"""A snapshot of the model at rest: plain data for the record, names instead of objects.

It is read without ops, so it has a meaning only while no other task runs.  Invariant: it says what is there; whether
that is right, the oracles say.  Its shape is described with the record schema.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import Any

from mmrace import runtime as rt
from mmrace.actors.stage import Stage
from mmrace.kernel.block.device import BlockDevice
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.fs.fs import AddressSpace
from mmrace.kernel.jbd.jbd import FrozenData, Journal, JournalHead, Transaction
from mmrace.kernel.mm import mmzone, pgtable, swapops
from mmrace.kernel.mm.mm_types import AnonVma, MmStruct, Page, PrivateVma, Vma
from mmrace.kernel.mm.mmzone import Machine
from mmrace.runtime import live
from mmrace.runtime.flags import FlagWord
from mmrace.runtime.struct import Struct


def snapshot(stage: Stage) -> dict[str, Any]:
    """Return the state of the whole machine.  Point: never."""
    machine = stage.machine
    zone = machine.zone
    live_ = _live()
    return {
        "pages": [_page(page) for page in machine.pages],
        "mappings": [_mapping(mapping) for mapping in machine.mappings],
        "buffers": [_buffer(bh) for bh in live_[BufferHead]],
        "heads": [_head(jh) for jh in live_[JournalHead]],
        "copies": [copy.name for copy in live_[FrozenData]],
        "journals": [_journal(journal) for journal in live_[Journal]],
        "disk": _disk(*stage.devices),
        "counters": dict(zone.vm_stat),
        "free_list": [page.name for page in mmzone.free_pages(zone)],
        **(_free_blocks(machine) if machine.max_order else {}),
        "lru": [page.name for field in LISTS for page in rt.peek(zone, field)] + _anon_lru(machine),
        "pagevecs": _pagevecs(machine),
        "bh_lrus": {state.name: [bh.name for bh in rt.peek(state, "bh_lru")] for state in machine.percpu},
        "mapped": [_vma(vma) for vma in live_[Vma] if not isinstance(vma, PrivateVma)],
        **(_private(live_) if zone.anon is not None else {}),
        "ptes": [_pte(mm, address) for mm in live_[MmStruct] for address, pte in enumerate(mm.ptes.values) if pte],
        "locks_held": [f"{lock} by {task.name}" for task in live.engine.tasks for lock in task.held],
    }


def _free_blocks(machine: Machine) -> dict[str, Any]:
    """Return the blocks of a zone whose blocks are more than single pages: free ones, and large ones in use."""
    areas = machine.zone.free_area
    lists = [free_list for area in areas for free_list in area.free_list]
    return {
        "free_blocks": [
            {"page": page.name, "order": free_list.order, "marked": _marked(page)}
            for free_list in lists
            for page in rt.peek(free_list, "pages")
        ],
        "areas": {str(order): rt.peek(area, "nr_free") for order, area in enumerate(areas)},
        "blocks": {page.name: page.block_order for page in machine.pages if page.block_order and page.dead is None},
    }


def _anon_lru(machine: Machine) -> list[str]:
    """Return the pages on the lists of anonymous pages."""
    anon = machine.zone.anon
    return [page.name for field in LISTS[:2] for page in rt.peek(anon, field)] if anon is not None else []


def _private(live_: dict[type[Struct], list[Any]]) -> dict[str, Any]:
    """Return the private mappings, and what leads to them from their pages."""
    return {
        "private": [
            {
                "name": vma.name,
                "anon_vma": _name(rt.peek(vma, "anon_vma")),
                "start": vma.vm_start,
                "end": vma.vm_end,
            }
            for vma in live_[Vma]
            if isinstance(vma, PrivateVma)
        ],
        "anon_vmas": [
            {
                "name": anon_vma.name,
                "count": anon_vma.refcount.value,
                "vmas": [vma.name for vma in rt.peek(anon_vma, "head")],
            }
            for anon_vma in live_[AnonVma]
        ],
    }


def _marked(page: Page) -> int | None:
    """Return the order that the page is marked with as the first of a free block."""
    marked = rt.peek(page, "_mapcount") == mmzone.PAGE_BUDDY_MAPCOUNT_VALUE
    return rt.peek(page, "order") if marked else None


LISTS = ("inactive_list", "active_list", "unevictable_list")
JOURNAL_LISTS = (
    "t_reserved_list", "t_locked_list", "t_buffers", "t_sync_datalist", "t_forget", "t_checkpoint_list",
    "t_checkpoint_io_list", "t_iobuf_list", "t_shadow_list", "t_log_list",
)  # fmt: skip
PAGEVECS = ("lru_add_inactive", "lru_add_active", "lru_rotate", "activate")


LIVE: tuple[type[Struct], ...] = (BufferHead, JournalHead, FrozenData, Journal, Vma, MmStruct, AnonVma)


def _live() -> dict[type[Struct], list[Any]]:
    """Return the objects of some classes that are not freed."""
    found: dict[type[Struct], list[Any]] = {cls: [] for cls in LIVE}
    for _, obj in live.engine.objects:
        for cls, objects in found.items():
            if isinstance(obj, cls):
                if obj.dead is None:
                    objects.append(obj)
                break
    return found


def _name(value: object) -> str | None:
    return value.name if isinstance(value, Struct) else None


def _flags(word: FlagWord) -> list[str]:
    return list(_names_of(word.part.bits, word.value))


NAMES_KEPT = 4096  # different values of flag words: a scenario has some hundred at rest


@lru_cache(NAMES_KEPT)
def _names_of(bits: type[IntEnum], value: int) -> tuple[str, ...]:
    """Name the bits that are set in a value.  At rest few values occur, and the same in every run."""
    return tuple(bit.name for bit in bits if value >> bit & 1)


_unused: dict[tuple[int, int], dict[str, Any]] = {}
"""Rows of untouched pages by pfn and number of words: nine of ten pages, and the same in every run."""


def _page(page: Page) -> dict[str, Any]:
    if page.touched:
        return _row(page)
    key = page.pfn, page.size
    return _unused.get(key) or _unused.setdefault(key, _row(page))


def _row(page: Page) -> dict[str, Any]:
    return {
        "name": page.name,
        "pfn": page.pfn,
        "generation": page.generation,
        "free": page.dead is not None,
        "flags": _flags(page.flags),
        "count": page._count.value,
        "mapcount": max(rt.peek(page, "_mapcount") + 1, 0),  # below: the first of a free block
        "mapping": _name(rt.peek(page, "mapping")),
        "index": rt.peek(page, "index"),
        "private": _name(rt.peek(page, "private")),
        "words": list(rt.peek(page, "words").values),
    }


def _vma(vma: Vma) -> dict[str, Any]:
    return {
        "name": vma.name,
        "mapping": vma.vm_file.name,
        "start": vma.vm_start,
        "end": vma.vm_end,
        "pgoff": vma.vm_pgoff,
    }


def _pte(mm: MmStruct, address: int) -> dict[str, Any]:
    pte = mm.ptes.values[address]
    bits = {
        "present": pgtable.pte_present(pte),
        "write": swapops.is_write_migration_entry(pte) if swapops.is_swap_pte(pte) else pgtable.pte_write(pte),
        "dirty": pgtable.pte_present(pte) and pgtable.pte_dirty(pte),
        "accessed": pgtable.pte_present(pte) and pgtable.pte_young(pte),
    }
    page = mm.machine.pages[pgtable.pte_pfn(pte)]
    return {"address": address, "page": page.name, "bits": [name for name, is_set in bits.items() if is_set]}


def _mapping(mapping: AddressSpace) -> dict[str, Any]:
    slots = [
        {
            "index": slot.index,
            "page": _name(rt.peek(slot, "page")),
            "tags": _flags(slot.tags),
        }
        for slot in mapping.page_tree.slots
    ]
    return {
        "name": mapping.name,
        "ino": mapping.host.i_ino,
        "slots": slots,
        "nrpages": rt.peek(mapping, "nrpages"),
        "i_mmap": [vma.name for vma in rt.peek(mapping, "i_mmap")],
    }


def _buffer(bh: BufferHead) -> dict[str, Any]:
    page = rt.peek(bh, "b_page")
    return {
        "name": bh.name,
        "page": _name(page),
        "block": rt.peek(bh, "b_blocknr"),
        "index": rt.peek(bh, "b_data") // max(1, bh.b_size),
        "state": _flags(bh.b_state),
        "count": bh.b_count.value,
        "jh": _name(rt.peek(bh, "b_private")),
        "next": _name(rt.peek(bh, "b_this_page")),
    }


def _head(jh: JournalHead) -> dict[str, Any]:
    return {
        "name": jh.name,
        "bh": _name(rt.peek(jh, "b_bh")),
        "count": rt.peek(jh, "b_jcount"),
        "list": rt.peek(jh, "b_jlist").name,
        "transaction": _name(rt.peek(jh, "b_transaction")),
        "next": _name(rt.peek(jh, "b_next_transaction")),
        "checkpoint": _name(rt.peek(jh, "b_cp_transaction")),
        "frozen": _name(rt.peek(jh, "b_frozen_data")),
        "committed": _name(rt.peek(jh, "b_committed_data")),
    }


def _journal(journal: Journal) -> dict[str, Any]:
    running: Transaction | None = rt.peek(journal, "j_running_transaction")
    committing: Transaction | None = rt.peek(journal, "j_committing_transaction")
    lists: dict[str, Any] = {}
    for transaction in (running, committing, *rt.peek(journal, "j_checkpoint_transactions")):
        if transaction is not None:
            lists[transaction.name] = {
                field: [jh.name for jh in rt.peek(transaction, field)] for field in JOURNAL_LISTS
            }
    return {"name": journal.name, "running": _name(running), "committing": _name(committing), "lists": lists}


def _disk(*devices: BlockDevice) -> dict[str, dict[str, list[int]]]:
    found: dict[str, dict[str, list[int]]] = {}
    for device in devices:
        for blocknr, block in sorted(device.blocks.items()):
            key, number = device.where(blocknr)
            found.setdefault(str(key), {})[str(number)] = list(block.words.values)
    return found


def _pagevecs(machine: Machine) -> dict[str, list[str]]:
    return {
        f"{state.name}.{field}": [page.name for page in pages]
        for state, fields in (
            *((state, PAGEVECS) for state in machine.percpu),
            *((state, PAGEVECS[:2]) for state in machine.percpu_anon or ()),
        )
        for field in fields
        if (pages := rt.peek(state, field))
    }
