"""Records of which one field was changed: no replay passes as recorded, whatever field it was.

Every key of the header and of the tail is changed, and a sample of the fields of events, each in a file of its own.  Not
changed: what may differ (`APART`).  The sample has a fixed seed.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmrace.installed import MAKERS, replay_record, run_one
from mmrace.report.single import show_replay
from mmrace.runs.differences import APART
from mmrace.runs.follow import with_sites
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import NondeterminismError, UsageError
from mmrace.runtime.record import Record
from tests.report.test_campaign_report import console, text
from tests.runs.program_files import RACY, write
from tests.search.explore.explorations import SMALL

EVENTS = 60  # changed in each record
LEAVES_MAX = 12  # changed of one part of the header or the tail; `final` alone has thousands
PASSES = "passes as recorded"

Path_ = tuple[Any, ...]  # keys and indices from the top of a JSON value down


def leaves(value: object, path: Path_ = ()) -> Iterator[Path_]:
    """Yield the paths of a JSON value's leaves; an empty list or object is one."""
    if isinstance(value, dict | list) and value:
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))
    else:
        yield path


def changed(value: object, rng: random.Random) -> object:
    """Return another value than this one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rng.choice([1, 2, 5])
    if isinstance(value, str):
        return rng.choice([value + "x", value[:-1] if value else "y"])
    if isinstance(value, list | dict):
        return ["x"] if isinstance(value, list) else {"x": 1}
    return rng.choice([1, "x"])


def put(value: Any, path: Path_, rng: random.Random) -> Any:
    """Return a copy of a JSON value with the leaf at `path` changed."""
    found = copy.deepcopy(value)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = changed(inner[path[-1]], rng)
    return found


def changes(lines: list[Any], rng: random.Random) -> Iterator[tuple[str, int, Any]]:
    """Yield changes of a record's lines: what is changed, which line, the line that stands there instead."""
    for number in (0, len(lines) - 1):
        for key, part in lines[number].items():
            if key in APART | {"schema", "events"}:  # the reader's business
                continue
            paths = list(leaves(part, (key,)))
            for path in rng.sample(paths, min(len(paths), LEAVES_MAX)):
                yield ".".join(map(str, path)), number, put(lines[number], path, rng)
    for number in rng.sample(range(1, len(lines) - 1), EVENTS):
        row = lines[number]
        note = row[1] == "NOTE"
        for field in rng.sample(list(leaves(row)), 2):
            if not (note and field == (2,)):  # a lane that no reader looks at
                yield f"{row}, field {field}", number, put(row, field, rng)


def outcome(path: Path, in_verdict: bool) -> str:
    """Say what a replay of a file comes to."""
    try:
        result = replay_record(str(path))
    except (NondeterminismError, UsageError) as error:
        return type(error).__name__
    shown = console()
    recorded = Record.read(path).verdict
    show_replay(result, [str(finding["signature"]) for finding in recorded["findings"]], shown)
    said = text(shown)
    if in_verdict:
        return "judged otherwise" if "judged otherwise" in said else PASSES
    return "told" if result.told else PASSES


@pytest.fixture(params=["failed", "passed", "function"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Record:
    """Give a record with sites: of a planted bug, of a run with choices and a profile, of a user's program."""
    specs = {
        "failed": RunSpec("async-vs-commit", SMALL, "double-put", engine="gate", strategy="pct", seed=11),
        "passed": RunSpec(
            "migrate-vs-reclaim",
            (("errors", 1), ("idle", 10), ("irq", "any"), ("rounds", 1)),
            engine="fiber",
            strategy="surw",
            seed=12,
            promote="Slot.page",
        ),
        "function": RunSpec(
            f"{write(tmp_path / 'racy.py', RACY)}:main", maker="function", engine="fiber", strategy="pos", seed=3
        ),
    }
    return with_sites(run_one(specs[request.param], keep_record=True), MAKERS)


@pytest.mark.slow
def test_no_changed_field_passes_as_recorded(record: Record, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in record.lines()]
    file = tmp_path / "changed.jsonl"

    def written(number: int, line: Any) -> Path:
        file.write_text("\n".join(json.dumps(line if i == number else row) for i, row in enumerate(lines)) + "\n")
        return file

    assert outcome(written(0, lines[0]), False) == PASSES
    assert outcome(written(0, lines[0]), True) == PASSES
    rng = random.Random(7)
    passed = []
    for what, number, line in changes(lines, rng):
        if line != lines[number] and outcome(written(number, line), what.startswith("verdict")) == PASSES:
            passed.append(what)
    assert passed == []
