"""The stage: what the actors of one run share, and the parameters that several of them read.

Invariant: a stage is set up before the first actor starts and holds only what the model, the parameters and the
workload say; the version numbers that writers draw are unique and grow.  Nothing in `kernel/` knows of the stage.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from mmrace import runtime as rt
from mmrace.runtime.param import Number, Param, T, Values

if TYPE_CHECKING:
    from mmrace.kernel.block.device import BlockDevice
    from mmrace.kernel.fs.ext3 import Ext3
    from mmrace.kernel.fs.fs import AddressSpace, Inode
    from mmrace.kernel.jbd.jbd import Journal
    from mmrace.kernel.mm.mm_types import CountedMm, MmStruct, Page
    from mmrace.kernel.mm.mmzone import Machine

PAGES = Number("pages", 1, 1, 64, says="pages of the file")
ROUNDS = Number("rounds", 2, 1, 1000, says="rounds of each actor but the migrator")
IDLE = Number("idle", 160, 0, 10_000, says="an actor idles for up to so many points before a round")
LOOP = (ROUNDS, IDLE)
"""What an actor reads that plays rounds."""


class Stage:
    """One run's machine, file and parameters; `final` collects the snapshots.

    Where there is a second disk, `second_device`, it has a file, too: `second`.  One of the two files is copied to the
    other, the stick's: the first to the second if `stick_is_second`.
    `raw_device`: a disk without a file system, where there is one.  `over`: who is waited for is done (`endless.py`).
    """

    machine: Machine
    device: BlockDevice
    fs: Ext3
    journal: Journal
    inode: Inode
    mm: MmStruct  # only where an actor has the file mapped, or memory that is private
    program: CountedMm  # the same, if it is a program's that ends
    heap_start = 0  # where that begins
    second: Inode | None = None
    second_device: BlockDevice | None = None
    stick_is_second = True
    raw_device: BlockDevice | None = None

    def __init__(self, params: Values, workload: Any = None) -> None:
        self.params = params
        self._values: dict[str, Any] = params  # typed by the declarations
        self.workload = workload
        self.final: dict[str, Any] = {}
        self.others: list[Page] = []  # frames that nobody in the cast has
        self.done: list[rt.Completion] = []  # of a workload's actions
        self.reading: dict[int, rt.Completion] = {}  # its reads: the page is locked, or nothing is to be read
        self.over = False
        self._versions = itertools.count(1)

    def value(self, param: Param[T]) -> T:
        """Return the value of a parameter.  Raises KeyError for one that the cast does not declare."""
        value: T = self._values[param.name]
        return value

    def value_or_default(self, param: Param[T]) -> T:
        """Return the value of an actor's parameter, or its default where that actor is not in the cast."""
        return param.value_in(self.params)

    @property
    def mapping(self) -> AddressSpace:
        """The mapping of the file that all actors work on."""
        return self.inode.i_mapping

    @property
    def files(self) -> tuple[Inode, ...]:
        """The file that all actors work on, and that on the second disk."""
        return (self.inode,) if self.second is None else (self.inode, self.second)

    @property
    def devices(self) -> tuple[BlockDevice, ...]:
        """The disks."""
        return tuple(disk for disk in (self.device, self.second_device, self.raw_device) if disk is not None)

    @property
    def stick(self) -> Inode:
        """The file on the stick, which others are copied to.  Needs a second disk."""
        assert self.second is not None, "a cast with a copier has a second disk"
        return self.second if self.stick_is_second else self.inode

    @property
    def source(self) -> Inode:
        """The file that is copied; without a second disk the only one."""
        return self.inode if self.second is None or self.stick_is_second else self.second

    @property
    def source_device(self) -> BlockDevice:
        """The disk of that file."""
        return self.device if self.second_device is None or self.stick_is_second else self.second_device

    @property
    def pages(self) -> int:
        """How many pages the file has."""
        return self.value(PAGES)

    @property
    def rounds(self) -> int:
        """How many rounds each actor plays."""
        return self.value(ROUNDS)

    def any_file(self) -> Inode:
        """Choose a file.  Point: if there are two."""
        return self.files[rt.choose(len(self.files), "file")] if self.second is not None else self.inode

    def any_index(self) -> int:
        """Choose a page of the file.  Point: if there is more than one."""
        return rt.choose(self.pages, "page") if self.pages > 1 else 0

    def any_block(self) -> int:
        """Choose a page of the file, then a block of that page.  Point: for each choice among more than one."""
        per_page = self.machine.buffers_per_page
        index = self.any_index()
        return index * per_page + (rt.choose(per_page, "buffer") if per_page > 1 else 0)

    def pause(self) -> None:
        """Idle before a round for a chosen number of points below `idle`.

        Real users are idle most of the time; without pauses all actors hold the page all the time.
        Point: as chosen; never if `idle` is 0.
        """
        idle = self.value(IDLE)
        if idle:
            for _ in range(rt.choose(idle, "idle")):
                rt.schedule()

    def next_version(self) -> int:
        """Draw a version number: new, and greater than all drawn so far."""
        return next(self._versions)
