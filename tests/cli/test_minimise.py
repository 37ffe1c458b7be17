"""`mmrace minimise`, and what `explore` makes smaller of what it finds."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from mmrace import installed
from mmrace.runs.minimal import MINIMAL, Minimal
from mmrace.runtime.record import Record
from mmrace.search.convert.again import Again
from tests import in_process
from tests.runs.program_files import RACY, mmrace, write
from tests.search.convert.test_convert import ABBA

Screen = pytest.CaptureFixture[str]


def free_record(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a record of free threads that stand still in every run, in an empty folder."""
    monkeypatch.chdir(folder)
    write(folder / "abba.py", ABBA)
    words = ("--engine", "free", "--record", "free.jsonl", "--convert", "off")
    assert in_process.run(monkeypatch, "run", "abba.py:main", *words) == 1
    return "free.jsonl"


def test_a_record_of_free_threads_is_made_again_under_control_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Screen
) -> None:
    file = free_record(tmp_path, monkeypatch)
    capsys.readouterr()
    assert in_process.run(monkeypatch, "minimise", file, "--runs", "40") == 0
    assert "a record of free threads: made again under control" in capsys.readouterr().out
    made = Minimal.read(MINIMAL)
    assert made.record.header["engine"] == "fiber"
    assert made.signature in {finding["signature"] for finding in Record.read(file).verdict["findings"]}


def test_what_free_threads_did_and_does_not_come_again_is_a_wrong_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Screen
) -> None:
    file = free_record(tmp_path, monkeypatch)
    monkeypatch.setattr(installed, "again", lambda *given, **how: Again(None))
    assert in_process.run(monkeypatch, "minimise", file) == 2
    told = capsys.readouterr().err
    assert "comes again under control, which alone has a schedule to make smaller" in told
    assert "none in 30 s of search" in told and not Path(MINIMAL).exists()


@pytest.fixture
def explored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Screen) -> str:
    """What an exploration of a racy program says, made in an empty folder."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "racy.py", RACY)
    assert in_process.run(monkeypatch, "explore", "racy.py:main", "--exhaustive") == 1
    return capsys.readouterr().out


def folders() -> list[Path]:
    return sorted(path.parent for path in Path(".mmrace/findings").glob("*/record.jsonl"))


def test_explore_makes_what_it_finds_smaller_and_says_so(
    explored: str, monkeypatch: pytest.MonkeyPatch, capsys: Screen
) -> None:
    for folder in folders():
        minimal = Minimal.read(folder / MINIMAL)
        assert minimal.signature == folder.name
        assert minimal.rarity is not None and 1 <= minimal.rarity["hits"] <= minimal.rarity["of"]
        assert minimal.health is not None and minimal.health["schedules"] == minimal.rarity["of"]
        assert f"minimal: mmrace replay {folder / MINIMAL}" in explored
        assert in_process.run(monkeypatch, "replay", str(folder / MINIMAL)) == 1
        assert "every op as recorded; the same findings as recorded" in capsys.readouterr().out
    assert folders()
    assert len(re.findall(r"^minimised: \d+ -> \d+ turning points", explored, re.M)) == len(folders())


def test_what_is_switched_off_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Screen) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "racy.py", RACY)
    assert in_process.run(monkeypatch, "explore", "racy.py:main", "--exhaustive", "--minimise", "off") == 1
    assert "minimised" not in capsys.readouterr().out
    assert folders() and not any((folder / MINIMAL).exists() for folder in folders())
    assert in_process.run(monkeypatch, "explore", "racy.py:main", "--exhaustive", "--minimise", "soon") == 2
    assert "--minimise" in capsys.readouterr().err


def test_the_file_goes_beside_the_record_or_where_it_is_told_to(
    explored: str, monkeypatch: pytest.MonkeyPatch, capsys: Screen
) -> None:
    folder = folders()[0]
    for source in (folder, folder / "record.jsonl", folder / MINIMAL):
        assert in_process.run(monkeypatch, "minimise", str(source), "--runs", "40") == 0
        told = capsys.readouterr().out
        assert f"[{folder.name}]" in told and f"minimal: {folder / MINIMAL}; replayed 5 of 5" in told
    assert in_process.run(monkeypatch, "minimise", str(folder), "--out", "other.json") == 0
    assert Minimal.read("other.json").signature == folder.name
    assert Minimal.read("other.json").rarity == Minimal.read(folder / MINIMAL).rarity
    assert "repeat: mmrace replay other.json" in capsys.readouterr().out


def test_a_minimal_file_that_is_damaged_is_replaced(
    explored: str, monkeypatch: pytest.MonkeyPatch, capsys: Screen
) -> None:
    folder = folders()[0]
    (folder / MINIMAL).write_text("{}")
    assert in_process.run(monkeypatch, "minimise", str(folder)) == 0
    assert Minimal.read(folder / MINIMAL).signature == folder.name


def test_a_wrong_call_is_told_before_anything_is_run(
    explored: str, monkeypatch: pytest.MonkeyPatch, capsys: Screen
) -> None:
    folder = folders()[0]
    for words, said in (
        ([str(folder), "--signature", "0" * 12], folder.name),
        ([str(folder), "--out", "no/such/folder.json"], "--out no/such/folder.json"),
        ([str(folder), "--budget", "soon"], "--budget"),
        (["nothing.jsonl"], "nothing.jsonl"),
    ):
        assert in_process.run(monkeypatch, "minimise", *words) == 2
        assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_program_that_was_changed_since_is_told_as_replay_tells_it(explored: str) -> None:
    write(Path("racy.py"), f"{RACY}\n# a comment\n")
    replayed, minimised = (mmrace(command, str(folders()[0]), cwd=Path()) for command in ("replay", "minimise"))
    assert (replayed.returncode, minimised.returncode) == (2, 2)
    assert "racy.py" in replayed.stderr and "diverged" not in replayed.stderr
    assert minimised.stderr == replayed.stderr


def test_a_file_that_somebody_wrote_has_nothing_executed_that_it_names_without_a_digest(
    explored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(Path("evil.py"), "open('executed', 'w')")
    folder = folders()[0]
    plain = json.loads((folder / MINIMAL).read_text())
    plain["spec"]["load"] = [["evil.py", ""]]
    header = json.loads(plain["record"][0])
    del header["sum"]
    header["load"] = ["evil.py"]
    plain["record"][0] = json.dumps(header)
    write(Path("evil.json"), json.dumps(plain))
    write(Path("evil.jsonl"), "".join(f"{line}\n" for line in plain["record"]))
    for words in (("replay", "evil.json"), ("minimise", "evil.json"), ("minimise", "evil.jsonl")):
        in_process.run(monkeypatch, *words)
        assert not Path("executed").exists(), words


def test_with_another_model_the_schedule_is_followed_and_told(
    explored: str, monkeypatch: pytest.MonkeyPatch, capsys: Screen
) -> None:
    plain = json.loads((folders()[0] / MINIMAL).read_text())
    header = json.loads(plain["record"][0])
    header["model"] = plain["model"] = "0123456789abcdef"
    plain["record"][0] = json.dumps(header)
    write(Path("older.json"), json.dumps(plain))
    assert in_process.run(monkeypatch, "replay", "older.json") == 1
    told = capsys.readouterr().out
    assert "guided by its schedule, for the model is another one" in told and "the same finding" in told


@pytest.mark.slow
def test_a_script_and_a_minimal_file_fail_again_in_fresh_processes(
    explored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = [shlex.split(command) for command in re.findall(r"script: mmrace (.*)", explored)]
    assert scripts
    for words in scripts:
        ended = mmrace(*words, cwd=Path())
        assert ended.returncode == 1 and "script followed" in ended.stdout
    for seed in ("0", "12345"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        for folder in folders():
            ended = mmrace("replay", str(folder / MINIMAL), cwd=Path())
            assert ended.returncode == 1 and "the same findings as recorded" in ended.stdout
