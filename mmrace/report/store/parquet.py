"""The batches of a ledger as a Parquet file: a row for each that counts, with what it is of and what came of it.

pyarrow writes it, which is there with `pip install mmrace[parquet]`; it is imported when a file is written.
Invariant: the sums of a column are those of the index; the file is whole or not there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from mmrace.runtime import files
from mmrace.runtime.errors import UsageError
from mmrace.search.ledger.entry import Batch, Sequence

ROWS = 20_000
"""In a group: a few megabytes in memory."""
OF_SEQUENCE = (
    "revision", "program", "maker", "variant", "era", "engine", "strategy", "noise", "promote", "workload", "role",
    "trial", "digest",
)  # fmt: skip
"""Texts of a sequence, as it names them."""
NUMBERS = ("runs", "ops", "given_up")
VERDICTS = {"passed": "PASS", "failed": "FAIL", "unknown": "UNKNOWN"}
COUNTS = ("hits", "marks", "counters")
"""Sums by name: signatures, marks, counters."""


class Written(NamedTuple):
    """How much was written."""

    batches: int
    runs: int


def write(path: str, batches: Iterable[tuple[Sequence | None, Batch]]) -> Written:
    """Write batches into a file.  Raises UsageError without pyarrow, OSError."""
    pa, pq = _pyarrow()
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise OSError(f"no regular file, and Parquet is no stream: {path!r}")
    files.try_writing(target)
    temporary = target.with_name(files.temporary_name())
    rest, number, runs = iter(batches), 0, 0
    try:
        schema = _schema(pa)
        with open(temporary, "xb") as file:
            with pq.ParquetWriter(file, schema) as writer:
                while rows := list(islice(rest, ROWS)):
                    number, runs = number + len(rows), runs + sum(batch.sums.runs for _, batch in rows)
                    writer.write_table(pa.Table.from_pylist([row_of(*row) for row in rows], schema=schema))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:  # Ctrl-C too
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return Written(number, runs)


def check() -> None:
    """Raise UsageError if pyarrow is not there."""
    _pyarrow()


def row_of(sequence: Sequence | None, batch: Batch) -> dict[str, Any]:
    """Return a batch as a row; what its sequence is may not be known."""
    sums, sketch = batch.sums, batch.sums.sketch
    row: dict[str, Any] = {"sequence": batch.sequence, "first": batch.first, "stop": batch.stop}
    row |= {"when": round(batch.when * 1000), "campaign": batch.campaign}
    if sequence is not None:
        row |= {name: getattr(sequence, name) for name in OF_SEQUENCE}
        row |= {"seed": str(sequence.seed), "without": list(sequence.without), "files": list(sequence.files)}
        row["params"] = [(key, str(value)) for key, value in sequence.params]
    row |= {name: getattr(sums, name) for name in NUMBERS}
    row |= {"seconds": sums.seconds, **{name: sums.verdicts.get(verdict, 0) for name, verdict in VERDICTS.items()}}
    row |= {name: sorted(getattr(sums, name).items()) for name in COUNTS}
    if sketch is not None:
        row |= {"classes": sketch.distinct(), "classes_once": sketch.once(), "classes_twice": sketch.twice()}
        row |= {"classes_level": sketch.level, "classes_runs": sketch.runs}
    return row


def _schema(pa: Any) -> Any:
    text, whole = pa.string(), pa.int64()
    return pa.schema(
        [
            ("sequence", text),
            ("first", whole),
            ("stop", whole),
            ("when", pa.timestamp("ms", tz="UTC")),
            ("campaign", text),
            *((name, text) for name in OF_SEQUENCE),
            ("seed", text),  # it may be larger than any column of whole numbers takes
            ("without", pa.list_(text)),
            ("files", pa.list_(text)),
            ("params", pa.map_(text, text)),
            *((name, whole) for name in NUMBERS),
            ("seconds", pa.float64()),
            *((name, whole) for name in VERDICTS),
            *((name, pa.map_(text, whole)) for name in COUNTS),
            *((f"classes{what}", whole) for what in ("", "_once", "_twice", "_level", "_runs")),
        ]
    )


def _pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and what it has for Parquet.  Raises UsageError."""
    try:
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            expected="pyarrow, which writes Parquet",
            got=str(error),
            where="--parquet",
            try_="pip install 'mmrace[parquet]'; `mmrace history --json` needs nothing",
        ) from error
    return pa, pq
