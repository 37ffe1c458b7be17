"""Actor copier: cp(1) of the file to the one on the second disk, page by page.

Each round it reads the file from its begin, and writes as much to the other file: the first round makes that longer,
later ones overwrite it.  The data that it writes are versions of its own, so that two copies of one page can be told
apart; what it read is judged where it was read.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors import reader, writer
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.fs import fat
from mmrace.runtime.param import Number

COPY_SYNC = Number("copy_sync", 0, 0, 1, says="1: the copier calls fsync after each copy")
PARAMS = (*LOOP, COPY_SYNC)


def copier(stage: Stage) -> None:
    """Play `rounds` rounds."""
    for i in range(stage.rounds):
        stage.pause()
        for index in range(stage.pages):
            copy_page(stage, index)
        if stage.value(COPY_SYNC):
            sync_copy(stage)
        rt.note("round", "copier", i)


def copy_page(stage: Stage, index: int) -> bool:
    """Read one page of the file, and write one of the copy; return False if either failed."""
    per_page = stage.machine.buffers_per_page
    first = index * per_page
    if any(reader.read_block(stage, first + i) is None for i in range(per_page)):
        return False
    assert stage.stick is not None
    return writer.write_blocks(stage, stage.stick, first, per_page)


def sync_copy(stage: Stage) -> int:
    """Bring the copy to its disk; return 0 or a negative errno."""
    assert stage.stick is not None
    ino = stage.stick.i_ino
    rt.note("fsync-begin", ino)
    rc = fat.fat_file_fsync(stage.stick)
    rt.note("fsync-end", ino, rc)
    return rc


ACTOR = Actor("copier", copier, PARAMS, copies=True)
