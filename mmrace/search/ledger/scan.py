"""What is covered, read from the segments themselves: for who must not touch the index, on a network file system.

Invariant: it says what the index would say.  Not here: what came of the runs.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from zlib import crc32

import msgspec

from mmrace.runtime.decoding import ERRORS
from mmrace.search.ledger.ranges import Covered, is_piece
from mmrace.search.ledger.segment import SUM_CHARS, lines_of, segments_in


class _Range(msgspec.Struct, tag_field="is", tag="batch"):
    """Of a batch, which runs it has."""

    sequence: str
    first: int
    stop: int


_BATCH = b'{"is":"batch"'
_decode = msgspec.json.Decoder(_Range).decode


def covered_in(folder: Path) -> dict[str, Covered]:
    """Return which turns were run, by key of their sequence.

    Args: folder: of the segments; one that cannot be read is left out.  Raises OSError.
    """
    found: dict[str, Covered] = {}
    for path in segments_in(folder):
        with contextlib.suppress(OSError):
            _read(path, found)
    return found


def _read(path: Path, found: dict[str, Covered]) -> None:
    for _, line, _ in lines_of(path):
        content = line[SUM_CHARS + 1 :]
        if not content.startswith(_BATCH) or b"%08x" % crc32(content) != line[:SUM_CHARS]:
            continue
        try:
            batch = _decode(content)
        except ERRORS:
            continue
        if is_piece(batch.first, batch.stop):
            found.setdefault(batch.sequence, Covered()).add(batch.first, batch.stop)
