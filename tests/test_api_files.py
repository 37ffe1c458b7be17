"""`mmrace.replay` and `mmrace.minimise`, and the whole of the public API: its names and signatures."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import mmrace
from mmrace.api import Explored, Minimal, Replayed
from mmrace.examples import lost_update, two_locks
from mmrace.runs.schedule import KeptSchedule
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from tests.api_example import lost_update_kept_and_mended
from tests.runs.program_files import RACY, imports_restored, write

PATH = "str | os.PathLike[str]"
PROGRAM = "Callable[..., object] | str"
PUBLIC = {
    "explore": f"(program: {PROGRAM}, *, schedules: int | None = None, seconds: float | None = None, strategy: str | "
    "None = None, exhaustive: bool = False, engine: str = 'fiber', seed: int = 1, params: Mapping[str, Value] | None = "
    f"None, variant: str = '', era: str = '', without: Iterable[str] = (), load: {PATH} | Iterable[{PATH}] = (), "
    f"until_found: bool = False, jobs: int = 0, folder: {PATH} | None = None) -> Explored",
    "replay": f"(file: {PATH}, *, program: {PROGRAM} | None = None, variant: str | None = None, era: str | None = "
    "None, engine: str | None = None, near: int = 0) -> Replayed",
    "minimise": f"(file: {PATH}, *, signature: str = '', runs: int | None = None, seconds: float | None = None, out: "
    f"{PATH} | None = None, load: {PATH} | Iterable[{PATH}] = ()) -> Minimal",
}
"""What programs of others call: a change here breaks them, and is told in CHANGELOG.md."""
RESULTS: dict[type, list[str]] = {
    Explored: ["verdict", "because", "findings", "schedules", "classes", "exhaustive", "records", "known"],
    Replayed: ["verdict", "because", "findings", "same", "followed", "near", "known", "record"],
    Minimal: [
        "spec", "finding", "schedule", "causal", "shrunk", "replayed", "record", "era", "model", "proof", "rarity",
        "health", "mmrace", "python", "date",
    ],
}  # fmt: skip


def test_the_public_api_is_what_it_was() -> None:
    assert sorted(mmrace.__all__) == sorted([*PUBLIC, *(kind.__name__ for kind in RESULTS)])
    for name, signature in PUBLIC.items():
        got = str(inspect.signature(getattr(mmrace, name)))
        assert got.replace("'", "") == signature.replace("'", ""), name  # annotations are texts
    for kind, fields in RESULTS.items():  # a result may get further fields
        assert set(fields) - set(kind.__dataclass_fields__) == set()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", mmrace.__all__)
def test_each_public_name_is_documented_with_all_its_arguments(name: str) -> None:
    public = getattr(mmrace, name)
    said = inspect.getdoc(public) or ""
    arguments = inspect.signature(public).parameters if inspect.isfunction(public) else {}
    assert said and [argument for argument in arguments if argument not in said] == []


def test_the_example_does_what_it_says(tmp_path: Path) -> None:
    came = lost_update_kept_and_mended(tmp_path)
    assert came == ["FAIL", "main.0 after deposit:balance: main.1", "FAIL", "True", "PASS"]


def found(tmp_path: Path, program: Any = lost_update.main, rule: str = "AssertionError") -> Path:
    """Explore; return the folder of the finding of a rule."""
    explored = mmrace.explore(program, exhaustive=True, folder=tmp_path)
    return next(explored.records[finding.signature].parent for finding in explored.findings if finding.rule == rule)


# -- replay


def test_a_record_is_followed_strictly_by_its_file_or_its_folder(tmp_path: Path) -> None:
    folder = found(tmp_path)
    for file in (folder, folder / "record.jsonl", str(folder)):
        done = mmrace.replay(file)
        assert (done.verdict, done.same, done.followed, done.near) == ("FAIL", True, None, 0)
        assert "AssertionError" in {finding.rule for finding in done.findings} and done.record is not None


def test_with_another_program_it_is_followed_as_far_as_that_goes(tmp_path: Path) -> None:
    folder = found(tmp_path)
    done = mmrace.replay(folder, program=lost_update.mended, near=7)
    assert (done.verdict, done.same, done.followed, done.near) == ("PASS", False, (1, 1), 7)
    other = mmrace.replay(folder, program=two_locks.mended)
    assert (other.verdict, other.followed) == ("UNKNOWN", (0, 1))
    assert other.because == "the run followed none of 1 turning points"


def test_a_minimal_file_beside_the_record_is_what_is_followed(tmp_path: Path) -> None:
    folder = found(tmp_path)
    minimal = mmrace.minimise(folder, runs=60, out=folder / "minimal.json")
    assert mmrace.replay(folder / "minimal.json").followed is None
    done = mmrace.replay(folder, engine="gate")
    assert (done.verdict, done.followed) == ("FAIL", (len(minimal.schedule.turns),) * 2)


def test_a_kept_schedule_is_followed_by_name_and_its_finding_comes_first(tmp_path: Path) -> None:
    folder = found(tmp_path)
    kept = KeptSchedule.of_minimal(mmrace.minimise(folder, runs=60))
    kept.write(tmp_path / "kept.json")
    assert KeptSchedule.read(tmp_path / "kept.json") == kept
    done = mmrace.replay(tmp_path / "kept.json")
    assert (done.verdict, done.same, done.findings[0].signature) == ("FAIL", True, kept.signature)


def test_what_follows_is_of_a_controlled_engine_even_if_the_file_says_free(tmp_path: Path) -> None:
    kept = KeptSchedule.of_minimal(mmrace.minimise(found(tmp_path), runs=60))
    text = '"engine": "fiber"'
    kept.write(tmp_path / "kept.json")
    path = write(tmp_path / "free.json", (tmp_path / "kept.json").read_text().replace(text, '"engine": "free"'))
    assert mmrace.replay(path).followed == (1, 1)


def test_a_file_that_changed_has_its_own_sites_when_it_is_executed_anew(tmp_path: Path) -> None:
    with imports_restored(tmp_path):
        path = write(tmp_path / "again.py", RACY)
        kept = KeptSchedule.of_minimal(mmrace.minimise(found(tmp_path, f"{path}:main"), runs=60))
        kept.write(tmp_path / "kept.json")
        assert [turn.site for turn in kept.turns] == ["hasty:x#2"]
        added = "def hasty(box):\n    rt.mutex_lock(box.lock)\n    box.x = box.x + 1\n    rt.mutex_unlock(box.lock)\n"
        write(path, "\n\n\n" + RACY.replace("def hasty(box):\n    box.x = box.x + 1\n", added))
        done = mmrace.replay(tmp_path / "kept.json")
    assert (done.verdict, done.followed) == ("PASS", (1, 1))


@pytest.mark.parametrize(
    ("file", "options", "words"),
    [
        (3, {}, "expected the path of a record"),
        ("nosuch.jsonl", {}, "nosuch.jsonl"),
        ("nosuch.json", {"near": 2}, "expected a readable record"),
        (".", {}, "which has no record.jsonl"),
        (".", {"near": -1}, "a whole number, 0 or more"),
        (".", {"engine": "free"}, "engine out of fiber, gate"),
        (".", {"program": 3}, "record.jsonl"),
    ],
)
def test_what_cannot_be_replayed_is_a_wrong_call(
    file: Any, options: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=words):
        mmrace.replay(file, **options)


def test_a_path_with_a_comma_is_refused_where_a_strategy_has_to_name_it(tmp_path: Path) -> None:
    kept = KeptSchedule.of_minimal(mmrace.minimise(found(tmp_path), runs=60))
    kept.write(tmp_path / "a,b.json")
    with pytest.raises(UsageError, match="whose path has no comma"):
        mmrace.replay(tmp_path / "a,b.json")


# -- minimise


def test_with_runs_alone_the_same_file_gives_the_same_schedule(tmp_path: Path) -> None:
    folder = found(tmp_path)
    one, other = (mmrace.minimise(folder, runs=80) for _ in range(2))
    assert (one.schedule, one.causal, one.signature) == (other.schedule, other.causal, other.signature)
    assert one.replayed.same == one.replayed.of == 5


def test_another_finding_of_the_record_can_be_asked_for(tmp_path: Path) -> None:
    folder = found(tmp_path)
    record = Record.read(folder / "record.jsonl")
    for finding in record.verdict["findings"]:
        assert mmrace.minimise(folder, runs=40, signature=finding["signature"]).finding.rule == finding["rule"]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"runs": 0}, "1 or more"), ({"seconds": 0}, "more than 0"), ({"signature": "0" * 12}, "the finding that is to")],
)
def test_what_cannot_be_minimised_is_a_wrong_call(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        mmrace.minimise(found(tmp_path), **options)


def test_a_run_that_passed_has_nothing_to_minimise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = found(tmp_path)
    record = Record.read(folder / "record.jsonl")
    record.verdict["findings"] = []
    record.write(tmp_path / "passed.jsonl")
    with pytest.raises(UsageError, match="expected a record with a finding"):
        mmrace.minimise(tmp_path / "passed.jsonl")
