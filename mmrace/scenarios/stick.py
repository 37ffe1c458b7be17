"""The stick: a second disk, slower in the world than the first, with one file on it that is empty at first.

The parameter `stick` says which file system it has.  Its blocks are numbered on from the first disk's last.
Invariant: without it, nothing of a run is otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmrace import runtime as rt
from mmrace.actors.stage import Stage
from mmrace.kernel.block import device
from mmrace.kernel.fs import block_dev, fat
from mmrace.runtime.errors import UsageError
from mmrace.runtime.param import Choice, Values

STICK = Choice(
    "stick",
    "none",
    ("none", "vfat"),
    says="the file system of a second disk, with one file on it that the copier writes; none: there is no such disk",
)
INO = 2


def check(values: Values, copying: Sequence[str]) -> None:
    """Raise UsageError for a stick that cannot be, or that is not there.  Args: copying: actors that work on it."""
    there = STICK.value_in(values) != "none"
    if copying and not there:
        raise UsageError(
            expected=f"a stick for {', '.join(copying)}",
            got=f"{STICK.name}=none",
            where="--param",
            try_=f"{STICK.name}=vfat, or leave them out (--param without={','.join(copying)})",
        )
    if there and values.get("cache"):
        raise UsageError(
            expected="no volatile cache beside a stick: a flush is noted without its disk, and judges would not know "
            "whose cache it empties",
            got=f"cache=1, {STICK.name}={STICK.value_in(values)}",
            where="--param",
            try_=f"cache=0, or {STICK.name}=none",
        )


def plug_in(stage: Stage, versions: int, *, errors: bool, irq_cpu: int | str) -> None:
    """Set up the second disk, if the parameters say so: its blocks hold `versions` at first, as the first disk's do."""
    kind = stage.value(STICK)
    if kind == "none":
        return
    machine = stage.machine
    blocks = stage.pages * machine.buffers_per_page
    stage.stick_device = device.new_block_device(
        "stick", machine, [(INO, blocks)], errors=errors, irq_cpu=irq_cpu, versions=versions, first=stage.device.end
    )
    block_dev.bdget(stage.stick_device, "stick")
    stage.stick = fat.fat_iget(fat.MsdosSbInfo(machine, stage.stick_device), INO, blocks)
    rt.note("stick", kind, INO)


def frames(stage: Stage) -> int:
    """Say how many page frames the file on it needs."""
    return 0 if stage.value(STICK) == "none" else stage.pages
