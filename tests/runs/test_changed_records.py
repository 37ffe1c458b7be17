"""Records of which one field was changed: no replay passes as recorded, whatever field it was.

Every key of the header and of the tail is changed, and a sample of the fields of events, each in a file of its own.
Not changed: `host`, which may differ.  The sample has a fixed seed.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmrace.installed import MAKERS, replay_record, run_one
from mmrace.report.single import show_replay
from mmrace.runs.follow import with_sites
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime.errors import EXIT_NONDETERMINISM, NondeterminismError, NotAsRecorded, UsageError
from mmrace.runtime.record import Record
from mmrace.runtime.record_file import sum_of
from tests.report.test_campaign_report import console, text
from tests.runs.program_files import GOOD, RACY, write
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
        return rng.choice([value + "x", value[:-1] if value else "y", None])
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
            if key in {"host", "schema", "events"}:  # apart, and the reader's business
                continue
            paths = list(leaves(part, (key,)))
            for path in rng.sample(paths, min(len(paths), LEAVES_MAX)):
                yield ".".join(map(str, path)), number, put(lines[number], path, rng)
    for number in rng.sample(range(1, len(lines) - 1), min(EVENTS, len(lines) - 2)):
        row = lines[number]
        for field in rng.sample(list(leaves(row)), 2):
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


# -- what was not changed --------------------------------------------------------------------------------------------

ENDS = """
from mmrace import runtime as rt

class Box(rt.Struct):
    x = rt.shared(0)
    one, other = rt.mutex(), rt.mutex()

def both(first, second):
    rt.mutex_lock(first)
    rt.mutex_lock(second)
    rt.mutex_unlock(second)
    rt.mutex_unlock(first)

def falls(box):
    rt.schedule()
    [][box.x]

def bugs(box):
    rt.bug_on(box.x == 0, "nothing there", box=box)

def spins(box):
    while not box.x:
        rt.schedule()

def adds(box):
    while True:
        box.x += 1

def main(how="deadlock", steps_max=400):
    box = Box("box")
    pairs = {"deadlock": [(both, box.one, box.other), (both, box.other, box.one)], "cut": [(adds, box)] * 2}
    others = {"crash": falls, "violation": bugs, "livelock": spins}
    for body, *given in pairs.get(how) or [(others[how], box)] * 2:
        rt.spawn(body, *given)
"""


@pytest.mark.parametrize("engine", ["gate", "fiber"])
@pytest.mark.parametrize("how", ["deadlock", "crash", "violation", "livelock", "cut"])
def test_whatever_way_a_run_ended_its_record_is_replayed_as_recorded(how: str, engine: str, tmp_path: Path) -> None:
    spec = RunSpec(f"{write(tmp_path / 'ends.py', ENDS)}:main", (("how", how),), maker="function", engine=engine)
    for seed in range(100):
        record = run_one(replace(spec, seed=seed), keep_record=True).record
        assert record is not None
        if how in (record.end["how"], record.end["detail"].get("kind")):
            break
    else:
        raise AssertionError(f"no run ended as {how}")
    for kept in record, with_sites(run_one(replace(spec, seed=seed), keep_record=True), MAKERS):
        kept.write(tmp_path / "run.jsonl")
        result = replay_record(str(tmp_path / "run.jsonl"))
        assert (result.told, result.rejudged) == ([], [])


# -- what is said ----------------------------------------------------------------------------------------------------


def kept(tmp_path: Path, strategy: str = "surw", seed: int = 3) -> list[Any]:
    """Return the lines of a record of a small program with a note, as JSON values.

    Without the sum of the header, as records had none once, and as one who edits it may leave it out.
    """
    noted = GOOD.replace("    assert", '    rt.note("total", box.x)\n    assert')
    spec = RunSpec(f"{write(tmp_path / 'noted.py', noted)}:main", (("tasks", 4),), maker="function", engine="fiber")
    spec = replace(spec, strategy=strategy, seed=seed)
    lines = [json.loads(line) for line in with_sites(run_one(spec, keep_record=True), MAKERS).lines()]
    del lines[0]["sum"]
    return lines


def replayed(lines: list[Any], tmp_path: Path) -> RunResult:
    """Replay a file with these lines."""
    path = tmp_path / "changed.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return replay_record(str(path))


def refused(lines: list[Any], tmp_path: Path) -> NotAsRecorded:
    """Assert that a replay tells differences; return the error."""
    with pytest.raises(NotAsRecorded) as caught:
        replayed(lines, tmp_path)
    assert caught.value.exit_code == EXIT_NONDETERMINISM
    return caught.value


def test_a_changed_note_is_told_with_both_sides(tmp_path: Path) -> None:
    lines = kept(tmp_path)
    (number,) = [i for i, line in enumerate(lines[1:-1], 1) if line[1:4:2] == ["NOTE", "total"]]
    lines[number][4] = [5]
    (line,) = refused(lines, tmp_path).differences
    assert line == f'event {number - 1}: recorded "main: -- total 5", now "main: -- total 4"'


def test_a_changed_end_and_a_changed_final_state_are_told(tmp_path: Path) -> None:
    lines = kept(tmp_path)
    lines[-1] |= {"end": {"how": "deadlock", "detail": {}}, "final": {"x": 1}, "marks": {"rare": 2}}
    assert refused(lines, tmp_path).differences == (
        'end.how: recorded "deadlock", now "finished"',
        "final.x: recorded 1, now nothing",
        "marks.rare: recorded 2, now nothing",
    )


def test_another_seed_and_another_strategy_are_told_by_the_run_that_they_make(tmp_path: Path) -> None:
    lines = kept(tmp_path)
    lines[0]["seed"] += 1
    (line,) = refused(lines, tmp_path).differences
    assert line.startswith("strategy and seed: recorded ") and "now surw with seed 4 makes another run" in line
    lines[0] |= {"seed": 3, "strategy": "random"}
    assert [line.split(":")[0] for line in refused(lines, tmp_path).differences] == [
        "header profile", "strategy and seed",
    ]  # fmt: skip


def test_a_header_that_disagrees_with_what_ran_is_told(tmp_path: Path) -> None:
    lines = kept(tmp_path)
    lines[0] |= {"ncpus": 3, "explored": [1, 2], "noise": "gentle", "params": {"tasks": 5}}
    assert [line.split(":")[0] for line in refused(lines, tmp_path).differences] == [
        "header params.tasks", "header noise", "header ncpus", "header explored[0]", "header explored[1]",
    ]  # fmt: skip


def test_where_it_ran_and_under_which_of_two_engines_may_differ(tmp_path: Path) -> None:
    lines = kept(tmp_path)
    lines[0]["host"] |= {"python": "3.99.0", "machine": "abacus"}
    lines[0]["engine"] = "gate"
    result = replayed(lines, tmp_path)
    assert (result.verdict, result.told, result.rejudged) == ("PASS", [], [])


@pytest.mark.parametrize(
    "change",
    [
        {"engine": "gate"},
        {"load": ["gone.py"]},
        {"strategy": "preemption"},
        {"strategy": "guided:record=gone.jsonl"},
        {"strategy": "dpor", "profile": None},
        {"sum": "0" * 16},
    ],
    ids=" ".join,
)
def test_an_edited_header_is_told_by_its_sum_though_no_op_shows_it(change: dict[str, Any], tmp_path: Path) -> None:
    """BUG once: a strategy that nobody can ask again, or another engine, and all was "as recorded"."""
    lines = kept(tmp_path)
    lines[0]["sum"] = sum_of(lines[0])
    assert replayed(lines, tmp_path).told == []
    lines[0] |= change
    assert any(line.startswith("header sum: recorded ") for line in refused(lines, tmp_path).differences)
    lines[0]["sum"] = sum_of(lines[0])
    (tmp_path / "changed.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    assert Record.read(tmp_path / "changed.jsonl").altered == ""


def test_the_sum_of_a_header_counts_neither_the_order_of_keys_nor_the_host(tmp_path: Path) -> None:
    header = kept(tmp_path)[0]
    assert sum_of(dict(reversed(header.items()))) == sum_of(header) == sum_of({**header, "host": {}, "sum": "x"})
    assert sum_of({**header, "engine": "gate"}) != sum_of(header)


@pytest.mark.parametrize("strategy", ["preemption", "dpor"])
def test_a_strategy_that_cannot_be_asked_again_is_not_called_as_recorded(strategy: str, tmp_path: Path) -> None:
    lines = kept(tmp_path)
    lines[0] |= {"strategy": strategy, "profile": None}
    shown, result = console(), replayed(lines, tmp_path)
    show_replay(result, [], shown)
    assert result.unchecked
    assert "replay: every op follows the record, whose strategy and seed are not checked; no finding" in text(shown)


def test_files_that_disagree_with_those_that_were_loaded_are_told(tmp_path: Path) -> None:
    lines = kept(tmp_path)
    lines[0] |= {"load": [], "loaded": {"gone.py": "0123"}}
    (line,) = refused(lines, tmp_path).differences
    assert line == 'header loaded.gone.py: recorded "0123", now no file that the run loaded'


def test_what_another_version_draws_otherwise_is_told_and_no_error(tmp_path: Path) -> None:
    lines = kept(tmp_path)
    lines[0]["host"]["mmrace"] = "0.0.7"
    lines[0]["profile"] = "0" * 16
    result = replayed(lines, tmp_path)
    assert result.verdict == "PASS"
    (line,) = result.told
    assert line.startswith("not as recorded, of another version: header profile")
    lines[0]["ncpus"] = 3
    assert "header ncpus: recorded 3, now 16" in str(refused(lines, tmp_path))


def test_a_replay_says_what_it_cannot_check(tmp_path: Path) -> None:
    lines = kept(tmp_path)
    lines[0]["load"] = ["nobody_has.py"]
    assert replayed(lines, tmp_path).told == ["not checked: --load nobody_has.py, which this run does not need"]
    lines[0]["strategy"] = "nobodys"
    assert replayed(lines, tmp_path).told == ["not checked: strategy and seed, for want of --load nobody_has.py"]
    lines[0] |= {"load": [], "strategy": "guided:record=gone.jsonl", "profile": None}
    (line,) = refused(lines, tmp_path).differences
    assert line.startswith("header strategy: recorded guided:record=gone.jsonl, now another one")
    lines[0]["followed"] = {"done": 1, "of": 1, "what": "turning points", "left": []}
    (line,) = replayed(lines, tmp_path).told
    assert line.startswith("not checked: strategy and seed; gone.jsonl: ")
    lines[0] |= {"strategy": "dpor", "followed": None}
    (line,) = replayed(lines, tmp_path).told
    assert line.startswith("not checked: the seed, and that dpor comes to this run")
    lines[0] |= {"strategy": "surf"}
    with pytest.raises(UsageError, match="did you mean surw"):
        replayed(lines, tmp_path)


def test_a_changed_verdict_is_judged_otherwise_and_says_where(tmp_path: Path) -> None:
    lines = kept(tmp_path)
    lines[-1]["verdict"]["checked"]["liveness"] += 1
    result = replayed(lines, tmp_path)
    shown = console()
    show_replay(result, [], shown)
    count = lines[-1]["verdict"]["checked"]["liveness"]
    said = f"judged otherwise: verdict.checked.liveness: recorded {count}, now {count - 1}"
    assert f"replay: every op as recorded; {said}" in text(shown)
