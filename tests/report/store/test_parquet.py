"""Batches as Parquet: the sums of the file are those of the index, and there is a whole file or none."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmrace.report.store import parquet
from mmrace.runtime.errors import UsageError
from mmrace.search.ledger.entry import Batch, Sequence
from mmrace.search.ledger.index import Index
from mmrace.search.ledger.ledger import Ledger
from tests.report.stores import nights, sequence
from tests.search.ledger.made import batch, drawn
from tests.search.ledger.made import sequence as other


def filled(folder: Path) -> Path:
    """Make a store with nights, with batches that others contain, in two segments, and one of an unknown sequence."""
    nights(folder)
    rows = {of.key: of for of in (other("writers"), other("readers"))}
    for seed in (1, 2):
        with Ledger.open(folder) as ledger:
            for one in drawn(seed):
                ledger.add(one, rows[one.sequence])
            if seed == 1:
                ledger._writer.add(batch(sequence(0, program="nameless"), 0, 4))
    return folder


def read(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq  # noqa: PLC0415

    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


@pytest.mark.slow
def test_what_is_in_the_file_is_what_the_index_counts(tmp_path: Path) -> None:
    index = Index.read_only(filled(tmp_path / "store"))
    made = parquet.write(str(tmp_path / "out.parquet"), index.batches())
    rows, sums = read(tmp_path / "out.parquet"), index.sums()
    assert (made.batches, made.runs) == (len(rows), sums.runs) and len(rows) > 20
    for name in parquet.NUMBERS:
        assert sum(row[name] for row in rows) == getattr(sums, name)
    for name, verdict in parquet.VERDICTS.items():
        assert sum(row[name] for row in rows) == sums.verdicts.get(verdict, 0)
    for name in parquet.COUNTS:
        total: Counter[str] = Counter()
        for row in rows:
            total.update(dict(row[name]))
        assert dict(total) == getattr(sums, name)
    by_program: Counter[str] = Counter()
    for row in rows:
        by_program[row["program"]] += row["runs"]
    assert by_program.pop(None) == 4, "of a sequence that nobody wrote down"  # type: ignore[call-overload]
    assert by_program == {name: index.sums(program=name).runs for name in ("writers", "readers")}
    assert {row["role"] for row in rows} == {"main", "canary", None}
    assert any(row["classes"] for row in rows) and rows[0]["when"].year == 2023
    index.close()


def test_each_batch_that_counts_comes_once_with_its_sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmrace.search.ledger.batches.CHUNK", 3)
    index = Index.read_only(filled(tmp_path))
    found = list(index.batches())
    assert sum(one.sums.runs for _, one in found) == index.sums().runs
    assert len({(one.sequence, one.first) for _, one in found}) == len(found)
    assert [of.key for of, one in found if of] == [one.sequence for of, one in found if of]
    assert [one.stop for of, one in found if of is None] == [4]
    index.close()


@pytest.mark.slow
def test_a_file_that_could_not_be_written_whole_is_not_there_and_the_one_before_stays(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[Sequence | None, Batch]]:
        yield None, batch(other(), 0, 1)
        raise OSError(5, "Input/output error")

    (tmp_path / "out.parquet").write_text("before")
    with pytest.raises(OSError, match="Input/output"):
        parquet.write(str(tmp_path / "out.parquet"), broken())
    assert (tmp_path / "out.parquet").read_text() == "before" and len(os.listdir(tmp_path)) == 1
    with pytest.raises(OSError, match="no stream"):
        parquet.write("/dev/null", ())


def test_without_pyarrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'mmrace\[parquet\]'"):
        parquet.check()
