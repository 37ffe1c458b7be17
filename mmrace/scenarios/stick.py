"""The stick: a slow disk with a file that another is copied to, from a fast one.

The parameter `stick` says which file system it has.  With FAT it is the second disk, and its file is empty at first;
with ext3 it is the first, and the second is the fast one, on which a file is read that has all its blocks, on FAT,
which is only read there.  Blocks of the second disk are numbered on from the first disk's last.
Invariant: without a stick, nothing of a run is otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.actors.copier import COPY_SYNC
from mmrace.actors.stage import Stage
from mmrace.kernel.block import device
from mmrace.kernel.fs import block_dev, fat, fs
from mmrace.runtime.errors import UsageError
from mmrace.runtime.param import Choice, Number, Values
from mmrace.scenarios import slow

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import Inode

STICK = Choice(
    "stick",
    "none",
    ("none", "vfat", "ext3"),
    says="the file system of a stick, with a file that the copier writes: vfat: on a second disk, empty at first; "
    "ext3: that of the casts, and what is copied is on a second disk; none: there is one disk",
)
STICK_TICKS = Number(
    "stick_ticks", 0, 0, 1_000_000, says="ticks that the stick is at one I/O; `ticks` are those of the other disk then"
)
PARAMS = (STICK, STICK_TICKS)
INO = 2


def check(values: Values, copying: Sequence[str]) -> None:
    """Raise UsageError for a stick that cannot be, or that is not there.  Args: copying: actors that work on it."""
    there = STICK.value_in(values) != "none"
    if copying and not there:
        raise UsageError(
            expected=f"a stick for {', '.join(copying)}",
            got=f"{STICK.name}=none",
            where="--param",
            try_=f"{STICK.name}=vfat, {STICK.name}=ext3, or leave them out (--param without={','.join(copying)})",
        )
    if STICK.value_in(values) == "ext3" and COPY_SYNC.value_in(values):
        raise UsageError(
            expected=f"{STICK.name}=vfat where the copier calls fsync: on ext3 that waits for kjournald, which it does "
            "not bring along",
            got=f"{COPY_SYNC.name}=1, {STICK.name}=ext3",
            where="--param",
            try_=f"{COPY_SYNC.name}=0",
        )
    if there and values.get("cache"):
        raise UsageError(
            expected="no volatile cache beside a stick: a flush is noted without its disk, and judges would not know "
            "whose cache it empties",
            got=f"cache=1, {STICK.name}={STICK.value_in(values)}",
            where="--param",
            try_=f"cache=0, or {STICK.name}=none",
        )


def ticks(stage: Stage, second: bool) -> int:
    """Say how slow the first disk is, or the second."""
    of_stick, of_other = stage.value(STICK_TICKS), stage.value(slow.TICKS)
    return of_stick if stage.value(STICK) == ("vfat" if second else "ext3") else of_other


def plug_in(stage: Stage, versions: int, *, errors: bool, irq_cpu: int | str) -> None:
    """Set up the second disk, if the parameters say so: its blocks hold `versions` at first, as the first disk's do."""
    kind = stage.value(STICK)
    if kind == "none":
        return
    machine = stage.machine
    stage.stick_is_second = kind == "vfat"
    blocks = stage.pages * machine.buffers_per_page
    name = "stick" if stage.stick_is_second else "source"
    stage.second_device = device.new_block_device(
        name,
        machine,
        [(INO, blocks)],
        errors=errors,
        irq_cpu=irq_cpu,
        versions=versions,
        first=stage.device.end,
        ticks=ticks(stage, second=True),
        nr_requests=stage.value(slow.REQUESTS),
    )
    block_dev.bdget(stage.second_device, name)
    stage.second = fat.fat_iget(fat.MsdosSbInfo(machine, stage.second_device), INO, blocks)
    if not stage.stick_is_second:
        fill(stage.second)
    rt.note("stick", kind, INO)


def fill(inode: Inode) -> None:
    """Give a file on FAT all its blocks, as if it had been written before the run."""
    inode.mmu_private = inode.i_blocks * fat.MSDOS_SB(inode).machine.words_per_buffer
    inode.i_clusters = inode.i_blocks // fat.MSDOS_SB(inode).sec_per_clus
    fs.i_size_write(inode, inode.mmu_private)


def frames(stage: Stage) -> int:
    """Say how many page frames the file on it needs."""
    return 0 if stage.value(STICK) == "none" else stage.pages
