"""Mutated files: every reader ends each of them with a code that says what it is, and prints nothing that steers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import pytest

from mmrace import cli
from mmrace.search.pool import cores
from stress.fuzz.__main__ import WEIGHTS, files, fuzz
from stress.fuzz.readers import READERS, call, command
from stress.fuzz.seeds import seeds

FILES = 300
SLICES = 6
SEED = 8


@pytest.fixture(autouse=True)
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave this process on all of its cores."""
    monkeypatch.setattr(cores, "pin", lambda engine: None)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLICES))
def test_no_mutated_file_ends_in_a_traceback_or_steers_a_terminal(tmp_path: Path, part: int) -> None:
    read = 0
    for told, _ in fuzz(range(part, FILES, SLICES), SEED, tmp_path):
        assert not told.breach, f"{told.reader}: {told.breach}\n{told.out[-2000:]}"
        read += 1
    assert read > FILES / SLICES


@pytest.mark.slow
def test_every_format_has_a_file_that_its_readers_take(tmp_path: Path) -> None:
    """What is not mutated is read: so it is the mutation that a reader refuses."""
    for name, contents in seeds().items():
        path = tmp_path / f"{name}.json"
        path.write_bytes(contents[0])
        for reader in READERS[name]:
            told = reader(path)
            passed = told.reader == "explain" and "whose verdict is PASS" in told.out  # which has no story
            assert (told.breach, told.code in (0, 1, 5) or passed) == ("", True), (
                f"{told.reader}: {told.code}\n{told.out}"
            )


def test_a_mutant_is_a_function_of_seed_and_number(tmp_path: Path) -> None:
    made = []
    for name, numbers in (("one", range(40)), ("two", reversed(range(40)))):
        folder = tmp_path / name
        folder.mkdir()
        contents = {i: path.read_bytes() for i, _, path in files(numbers, 1, folder)}
        made.append({i: content.replace(str(folder).encode(), b"FOLDER") for i, content in contents.items()})
    assert made[0] == made[1]
    assert len(set(made[0].values())) > 30


def test_all_formats_are_mutated_and_read() -> None:
    assert WEIGHTS.keys() == READERS.keys() == seeds().keys()


# -- what a breach is -----------------------------------------------------------------------------------------------


def ending(monkeypatch: pytest.MonkeyPatch, text: str, code: int) -> str:
    """Return the breach where the command line prints a text and ends with a code."""

    def main() -> NoReturn:
        print(text)
        sys.exit(code)

    monkeypatch.setattr(cli, "main", main)
    return command("stand-in", "replay", "FILE")(Path("x")).breach


@pytest.mark.parametrize(
    ("text", "code", "breach"),
    [
        ("PASS", 0, ""),
        ("FAIL", 1, ""),
        ("mmrace: no", 2, ""),
        ("mmrace: replay diverged", 3, ""),
        ("UNKNOWN because", 5, ""),
        ("PASS", 1, "exit code 1 under"),
        ("nothing", 0, "exit code 0 under"),
        ("mmrace: no", 4, "exit code 4"),
        ("mmrace bug: no", 2, "a traceback"),
        ("Traceback (most recent call last):", 2, "a traceback"),
        ("\x1b[31mPASS", 0, "steers"),
        ("\u202ePASS", 2, "steers"),
    ],
)
def test_a_broken_promise_is_told(monkeypatch: pytest.MonkeyPatch, text: str, code: int, breach: str) -> None:
    told = ending(monkeypatch, text, code)
    assert breach in told
    assert bool(breach) == bool(told)


def test_the_command_line_is_called_in_this_process() -> None:
    code, out = call(["frobnicate"])
    assert (code, "frobnicate" in out) == (2, True)
