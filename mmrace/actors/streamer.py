"""Actor streamer: reads a file, or the device itself, from begin to end again and again, as `cat` of it would.

The kernel reads ahead for it.  Each round is one page; after the last page it opens the file anew.
Not judged here: what it reads of the device.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors import reader
from mmrace.actors.actor import Actor
from mmrace.actors.stage import IDLE, Stage
from mmrace.kernel.fs.fs import FileRaState
from mmrace.kernel.mm import filemap
from mmrace.runtime.param import Choice, Number

STREAMED = Number("streamed", 8, 1, 10_000, says="pages that the streamer reads, one after the other")
WINDOW = Number("window", 4, 0, 32, says="pages of the largest window that is read ahead for the streamer (0: none)")
STREAMS = Choice(
    "streams",
    "file",
    ("file", "device"),
    says="what the streamer reads: the file, or the disk without a file system (see `raw`), else the file's disk",
)
RAW = Number("raw", 0, 0, 4096, says="pages of a disk without a file system, for a streamer that reads the device")
PARAMS = (IDLE, STREAMED, WINDOW, STREAMS, RAW)


def streamer(stage: Stage) -> None:
    """Play `streamed` rounds."""
    of_device = stage.value(STREAMS) == "device"
    first, pages = raw_pages(stage) if of_device else (0, stage.pages)
    ra = FileRaState(stage.value(WINDOW))
    for i in range(stage.value(STREAMED)):
        stage.pause()
        index = i % pages
        if i and index == 0:
            ra = FileRaState(stage.value(WINDOW))
        if of_device:
            read_raw_page(stage, first + index, ra)
        else:
            read_page(stage, index, ra)
        rt.note("round", "streamer", i)


def raw_pages(stage: Stage) -> tuple[int, int]:
    """Return the first page of the disk without a file system, and how many it has; without one, of the file's disk."""
    per_page = stage.machine.buffers_per_page
    device = stage.raw_device or stage.source_device
    first = -(-device.first // per_page)
    return first, device.end // per_page - first


def read_page(stage: Stage, index: int, ra: FileRaState) -> bool:
    """Read the blocks of one page of the file; return False if one could not be read."""
    per_page = stage.machine.buffers_per_page
    blocks = range(index * per_page, (index + 1) * per_page)
    return all(reader.read_block(stage, block, stage.source, ra) is not None for block in blocks)


def read_raw_page(stage: Stage, index: int, ra: FileRaState) -> bool:
    """Read one page of the device; return False if it could not be read."""
    words = stage.machine.words_per_page
    mapping = (stage.raw_device or stage.source_device).bd_inode.i_mapping
    return not isinstance(filemap.do_generic_file_read(mapping, index * words, words, ra), int)


ACTOR = Actor("streamer", streamer, PARAMS)
