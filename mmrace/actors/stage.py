"""The stage: what the actors of one run share.

Invariant: a stage is set up before the first actor starts and holds only what the model, the parameters and the
workload say; the version numbers that writers draw are unique and grow.  Not shared state of the model: nothing in
`kernel/` knows of it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from mmrace import runtime as rt

if TYPE_CHECKING:
    from mmrace.kernel.block.device import BlockDevice
    from mmrace.kernel.fs.ext3 import Ext3
    from mmrace.kernel.fs.inode import Inode
    from mmrace.kernel.jbd.journal import Journal
    from mmrace.kernel.mm.filemap import AddressSpace
    from mmrace.kernel.mm.mmzone import Machine

Params = dict[str, int | str]


class Stage:
    """One run's machine, file and parameters; `final` collects the snapshots."""

    machine: Machine
    device: BlockDevice
    fs: Ext3
    journal: Journal
    inode: Inode

    def __init__(self, params: Params, workload: Any = None) -> None:
        self.params = params
        self.workload = workload
        self.final: dict[str, Any] = {}
        self.done: list[rt.Completion] = []  # of a workload's actions
        self._versions = itertools.count(1)

    def number(self, name: str) -> int:
        """Return a numeric parameter."""
        value = self.params[name]
        assert isinstance(value, int)
        return value

    @property
    def mapping(self) -> AddressSpace:
        """The mapping of the file that all actors work on."""
        return self.inode.i_mapping

    @property
    def pages(self) -> int:
        """How many pages the file has."""
        return self.number("pages")

    @property
    def rounds(self) -> int:
        """How many rounds each actor plays."""
        return self.number("rounds")

    def any_index(self) -> int:
        """Choose a page of the file.  Point: if there is more than one."""
        return rt.choose(self.pages, "page") if self.pages > 1 else 0

    def any_block(self) -> int:
        """Choose a block of the file, of those that a page holds.  Point: if there is more than one."""
        per_page = self.machine.buffers_per_page
        index = self.any_index()
        return index * per_page + (rt.choose(per_page, "buffer") if per_page > 1 else 0)

    def pause(self) -> None:
        """Idle before a round for a chosen number of points below `idle`: real users are idle most of the time, and
        without it all actors hold the page all the time.  Point: as chosen; never if `idle` is 0."""
        idle = self.number("idle")
        if idle:
            for _ in range(rt.choose(idle, "idle")):
                rt.schedule()

    def next_version(self) -> int:
        """Draw a number that was never written before, greater than all drawn so far."""
        return next(self._versions)
