"""Judges are pure functions of the record: a process that never imported the model gives the same judgements."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import mmrace.history
import mmrace.scenarios
from mmrace.installed import run_one
from mmrace.oracles.general import GENERAL
from mmrace.oracles.general.bench import judge_all
from mmrace.oracles.protocol import PROTOCOL
from mmrace.runtime.record import Record
from tests.scenarios.staged import gate_spec

TESTS = Path(__file__).resolve().parents[1]
STORED = sorted(TESTS.glob("**/data/*.jsonl"))
MODEL = ("mmrace.kernel", "mmrace.actors", "mmrace.scenarios", "mmrace.history")

JUDGE = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from mmrace.oracles.general.bench import judge_all
from mmrace.runtime.record import Record
{benches}
for path in sys.argv[1:]:
    print(json.dumps([[asdict(judged) for judged in judge_all(Record.read(path), bench)] for bench in benches]))
    loaded = [name for name in sys.modules if name.startswith({refused!r})]
    assert not loaded, loaded
"""
GENERAL_ONLY = "from mmrace.oracles.general import GENERAL\nbenches = GENERAL,\n"
BOTH = GENERAL_ONLY + "from mmrace.oracles.protocol import PROTOCOL\nbenches = GENERAL, PROTOCOL\n"


def elsewhere(paths: list[Path], benches: str, refused: tuple[str, ...]) -> list[Any]:
    """Judge records in a process of their own, which must not have loaded the refused modules."""
    code = JUDGE.format(benches=benches, refused=refused)
    done = subprocess.run([sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give the stored records, and those of a run with benign races and of one that fails."""
    place = tmp_path_factory.mktemp("records")
    paths = list(STORED)
    for name, variant in (("passes", ""), ("fails", "double-put")):
        record = run_one(gate_spec("async-vs-commit", 3, variant), keep_record=True).record
        assert record is not None
        paths.append(place / f"{name}.jsonl")
        record.write(paths[-1])
    return paths


def test_the_model_is_imported_here_and_records_are_stored() -> None:
    assert all(name in sys.modules for name in MODEL)
    assert len(STORED) >= 3


def test_a_process_without_the_model_judges_every_record_alike(records: list[Path]) -> None:
    assert mmrace.scenarios and mmrace.history
    here = [
        json.loads(json.dumps([[asdict(judged) for judged in judge_all(Record.read(path), bench)] for bench in
        (GENERAL, PROTOCOL)])) for path in records
    ]  # fmt: skip
    assert elsewhere(records, BOTH, MODEL) == here
    verdicts = [{judged["verdict"] for judged in judgements} for _, judgements in here]
    assert [("FAIL" in found) for found in verdicts] == [False] * len(STORED) + [False, True]


def test_the_general_judges_do_not_load_those_of_the_protocol(records: list[Path]) -> None:
    assert elsewhere(records[:1], GENERAL_ONLY, (*MODEL, "mmrace.oracles.protocol", "mmrace.runs", "mmrace.search"))


def test_benign_reads_are_those_of_the_record(records: list[Path]) -> None:
    """The run that passes has races that only its own table excuses."""
    record = Record.read(records[-2])
    assert record.header["tables"]["benign"]
    record.header["tables"]["benign"] = {}
    bare = Record(
        record.header, record.events, table=record.table, tasks=record.tasks, end=record.end, final=record.final
    )
    assert [finding.rule for finding in PROTOCOL["data-race"](bare).findings]
    assert not PROTOCOL["data-race"](Record.read(records[-2])).findings
