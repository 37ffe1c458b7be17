"""Inodes and mappings, made when the scenario is set up.

Invariant: a mapping is known to its machine from the moment it is made.
Not modelled: the inode cache, eviction.
Source: fs/inode.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace.kernel.fs.fs import AddressSpace, Inode
from mmrace.kernel.mm import radix_tree

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import AddressSpaceOperations
    from mmrace.kernel.mm.mmzone import Machine


def new_inode(sb: object, ino: int, machine: Machine, a_ops: AddressSpaceOperations, blocks: int) -> Inode:
    """Make the inode of a file of `blocks` blocks, all of which are allocated.  Called when the scenario is set up.

    The file system sets `i_data`, and `i_laid` if some are not.
    """
    inode = Inode(sb, ino, blocks * machine.words_per_buffer, blocks)
    nr_slots = -(-blocks // machine.buffers_per_page)
    inode.i_mapping = _new_mapping(inode, machine, a_ops, nr_slots)
    return inode


def _new_mapping(host: Inode, machine: Machine, a_ops: AddressSpaceOperations, nr_slots: int | None) -> AddressSpace:
    """Make the mapping of an inode, with `nr_slots` slots (None: any number).  Called when the scenario is set up."""
    mapping = AddressSpace(host, machine, a_ops, radix_tree.RadixTreeRoot(host.i_ino, nr_slots))
    machine.mappings.append(mapping)
    return mapping
