"""Actor copier: cp(1) of the file to the one on the stick, page by page, or in smaller chunks.

Each round it reads the file from its begin, and writes as much to the other file: the first round makes that longer,
later ones overwrite it.  The data that it writes are versions of its own, so that two copies of one page can be told
apart; what it read is judged where it was read.  A copy ends where something fails.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors import fsync, reader, writer
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.fs import fat
from mmrace.runtime.param import Number

COPY_SYNC = Number("copy_sync", 0, 0, 1, says="1: the copier calls fsync after each copy, on FAT")
CHUNK = Number("chunk", 0, 0, 8, says="blocks of a page that the copier writes at once; 0: the whole page")
PARAMS = (*LOOP, COPY_SYNC, CHUNK)


def copier(stage: Stage) -> None:
    """Play `rounds` rounds."""
    for i in range(stage.rounds):
        stage.pause()
        for index in range(stage.pages):
            if not copy_page(stage, index):
                break
        if stage.value(COPY_SYNC):
            sync_copy(stage)
        rt.note("round", "copier", i)


def copy_page(stage: Stage, index: int) -> bool:
    """Read one page of the file, and write one of the copy, chunk by chunk; return False if any of that failed."""
    per_page = stage.machine.buffers_per_page
    first = index * per_page
    if any(reader.read_block(stage, first + i, stage.source) is None for i in range(per_page)):
        return False
    chunk = min(stage.value(CHUNK), per_page) or per_page
    for block in range(0, per_page, chunk):
        if block:
            stage.pause()
        if not writer.write_blocks(stage, stage.stick, first + block, min(chunk, per_page - block)):
            return False
    return True


def sync_copy(stage: Stage) -> int:
    """Bring the copy to its disk, which has FAT; return 0 or a negative errno."""
    return fsync.sync_file(stage.stick, fat.fat_file_fsync)


ACTOR = Actor("copier", copier, PARAMS, copies=True)
