"""The real files that mutants are made of, written by mmrace itself; and things that it would be wrong to read."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from mmrace.examples import lost_update, two_locks
from mmrace.history import rates
from mmrace.installed import MAKERS, minimise, run_one
from mmrace.runs import store
from mmrace.runs.follow import with_sites
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.minimal import Minimal
from mmrace.runs.schedule import KeptSchedule
from mmrace.runs.spec import RunSpec
from mmrace.runtime.record import Record
from mmrace.scenarios import workload
from mmrace.search.minimise.trials import Budget
from mmrace.strategies.feedback import Corpus, Shown, grow

SMALL = (("buffers", 1), ("idle", 0), ("migrations", 1), ("rounds", 1), ("words", 1))
DOUBLE_PUT = RunSpec("async-vs-commit", SMALL, "double-put", "fiber", "random", seed=1)
RUNS = 40  # of a minimiser: a file of the right shape is wanted, not the smallest
WORKLOAD = {
    "schema": workload.SCHEMA,
    "name": "tiny",
    "source": {"trace": "none"},
    "pages": [{"page": 0, "buffers": 2}, {"page": 1, "buffers": 2}],
    "actions": [
        {"do": "dirty", "begin_us": 0, "end_us": 5, "page": 0, "buffers": [0, 1]},
        {"do": "migrate", "begin_us": 10, "end_us": 40, "page": 1, "mode": "MIGRATE_ASYNC", "outcome": "moved"},
        {"do": "commit", "begin_us": 2000, "end_us": 2600, "pages": [0]},
        {"do": "writeback", "begin_us": 2100, "end_us": 2200, "page": 0},
        {"do": "reclaim", "begin_us": 9000, "end_us": 9001, "page": 0, "outcome": "kept"},
    ],
}


@cache
def seeds() -> dict[str, list[bytes]]:
    """Return real files by their format."""
    corpus = grow(Corpus(), [Shown((0.25, 0.0, 0.999) * 9, frozenset({"a", "b"})), Shown((0.5,), frozenset({"c"}))])
    failed = RunSpec("mine.py:main", engine="gate", maker="function", digest="4567", seed=1)
    return {
        "record": list(_records()),
        "workload": [json.dumps(WORKLOAD, indent=1).encode()],
        "corpus": [json.dumps(corpus.to_json()).encode()],
        "minimal": list(_minimals()),
        "kept": list(_kept()),
        "summary": [json.dumps(store.summary(failed, "FAIL", []), indent=1).encode()],
        "rates": [rates.FILE.read_bytes()],
    }


def _records() -> Iterable[bytes]:
    """Yield records of every engine, of functions and of the kernel model, that passed and that failed."""
    for module, seed in ((lost_update, 1), (lost_update, 5), (two_locks, 1)):
        spec = RunSpec(f"{module.__file__}:main", maker="function", engine="fiber", seed=seed)
        spec = replace(spec, digest=FunctionMaker().program(spec).digest)
        for engine in ("fiber", "gate", "free"):
            yield _written(replace(spec, engine=engine, strategy="pos"))
    yield _written(RunSpec("async-vs-commit", SMALL, engine="fiber", seed=1, strategy="pos"))
    yield _written(RunSpec("migrate-vs-write-error", SMALL, "async-backout", "fiber", "pos", seed=2))


def _minimals() -> Iterable[bytes]:
    """Yield minimal files of a function and of the kernel model."""
    for content in (_failed(), _written(DOUBLE_PUT)):
        record = Record.parse(content, "a seed")
        found = record.verdict["findings"][0]["signature"]
        made = minimise(record, "", found, Budget(RUNS))
        yield json.dumps(made.plain(), separators=(",", ":"), default=str).encode()


def _kept() -> Iterable[bytes]:
    """Yield kept schedules of the same."""
    with TemporaryDirectory() as folder:
        for content in _minimals():
            path = Path(folder, "kept.json")
            KeptSchedule.of_minimal(Minimal.parse(content, "a seed")).write(path)
            yield path.read_bytes()


def _failed() -> bytes:
    """Return a record that lost an update."""
    spec = RunSpec(f"{lost_update.__file__}:main", maker="function", engine="fiber", seed=1)
    return _written(replace(spec, digest=FunctionMaker().program(spec).digest))


def finding(folder: Path, name: str, content: bytes) -> Path:
    """Make the folder of a finding, one of whose files is given; return it."""
    made = folder / "finding"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    parts = {
        "record.jsonl": seeds()["record"][0],
        "minimal.json": seeds()["minimal"][0],
        "summary.json": seeds()["summary"][0],
    }
    for part, valid in {**parts, name: content}.items():
        (made / part).write_bytes(valid)
    return made


def _written(spec: RunSpec) -> bytes:
    record = with_sites(run_one(spec, keep_record=True), MAKERS)
    return "".join(f"{line}\n" for line in record.lines()).encode()


def traps(folder: Path) -> list[str]:
    """Make what a file must not make anybody read: FIFOs, a device without end, a folder; return their paths."""
    made = []
    for name in ("fifo", "fifo.json", "fifo.py"):
        os.mkfifo(folder / name)
        made.append(str(folder / name))
    made += [f"{folder}/fifo.py:main", str(folder)]
    for name in ("zero", "zero.json"):
        try:
            os.mknod(folder / name, stat.S_IFCHR | 0o600, os.makedev(1, 5))
        except PermissionError:
            continue
        made.append(str(folder / name))
    return made
