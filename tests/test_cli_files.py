"""What the command line does with the files that it is given: to write, and to read."""

from __future__ import annotations

import json
import os
import select
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmrace import installed
from mmrace.cli import sources, terminal
from mmrace.examples import two_locks
from mmrace.runs.spec import RunSpec
from mmrace.runtime import record_file
from mmrace.runtime.errors import EXIT_FAIL, EXIT_NONDETERMINISM, EXIT_PASS, EXIT_UNKNOWN, EXIT_USAGE
from mmrace.runtime.record import Record
from tests import in_process
from tests.runtime.test_files import FULL, NULL, ZERO, device

RUN = ("run", "async-vs-commit", "--engine", "fiber", "--param", "idle=0", "--param", "rounds=1", "--record")

Command = Callable[..., int]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line in an empty folder; return the exit code."""
    monkeypatch.chdir(tmp_path)

    def go(*words: str) -> int:
        return in_process.run(monkeypatch, *words)

    return go


# -- written --------------------------------------------------------------------------------------------------------


def test_a_record_is_written_up_to_the_size_that_is_read(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*RUN, "x") == EXIT_PASS
    size = Path("x").stat().st_size
    monkeypatch.setattr(record_file, "BYTES_MAX", size)
    assert command(*RUN, "y") == EXIT_PASS and Record.read("y").events
    monkeypatch.setattr(record_file, "BYTES_MAX", size - 1)
    capsys.readouterr()
    assert command(*RUN, "z") == EXIT_USAGE
    said = capsys.readouterr()
    assert "would not be read again" in said.err and "record: z" not in said.out
    assert "commits" in said.out and said.out.endswith("PASS\n"), "what the run showed is told all the same"
    assert not Path("z").exists() and sorted(os.listdir()) == ["x", "y"]


def test_record_writes_a_device_in_place(command: Command) -> None:
    node = device(Path("node"), NULL)
    assert command(*RUN, "node") == EXIT_PASS
    assert stat.S_ISCHR(node.stat().st_mode)


def test_record_through_a_link_keeps_the_link(command: Command) -> None:
    Path("link").symlink_to("target")
    assert command(*RUN, "link") == EXIT_PASS
    assert Path("link").is_symlink()
    assert Record.read("target").events


def test_record_follows_no_link_that_was_planted_at_a_temporary_name(command: Command) -> None:
    Path("victim").write_text("precious")
    Path("x.part").symlink_to("victim")
    assert command(*RUN, "x") == EXIT_PASS
    assert Path("victim").read_text() == "precious"
    assert Record.read("x").events


def test_record_reaches_the_reader_of_a_fifo(command: Command) -> None:
    os.mkfifo("fifo")
    reader = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)

    def drain() -> None:  # while it is written: a record is longer than what a FIFO holds
        select.select([reader], [], [])
        os.set_blocking(reader, True)
        with open(reader, "rb") as source:
            Path("copy").write_bytes(source.read())

    other = threading.Thread(target=drain)
    other.start()
    assert command(*RUN, "fifo") == EXIT_PASS
    other.join()
    assert Record.read("copy").events
    assert stat.S_ISFIFO(os.stat("fifo").st_mode)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["FIFO without a reader", "folder"])
def test_record_refuses_what_it_cannot_write(
    command: Command, capsys: pytest.CaptureFixture[str], make: Callable[[str], None]
) -> None:
    make("x")
    before = os.stat("x").st_mode
    assert command(*RUN, "x") == EXIT_USAGE
    assert os.stat("x").st_mode == before
    assert os.listdir() == ["x"]
    assert "record" in capsys.readouterr().err


def test_record_tells_of_a_missing_folder_before_the_run(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*RUN, "none/x") == EXIT_USAGE
    told = capsys.readouterr()
    assert "none" in told.err
    assert told.out == ""


@pytest.mark.parametrize("name", ["", "loop", "x" * 300, "none/x", "file/x"])
def test_a_record_file_that_cannot_be_is_told_before_the_run_with_what_to_try(
    command: Command, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    Path("loop").symlink_to("loop")
    Path("file").touch()
    assert command(*RUN, name) == EXIT_USAGE
    told = capsys.readouterr()
    assert told.err.startswith(
        f"mmrace: --record {name or repr(name)}: expected a record file that can be written, got '"
    )
    assert "; try: " in told.err and "[Errno" not in told.err and not told.out


def test_a_record_that_could_not_be_written_is_named_after_the_verdict(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    device(Path("full"), FULL)
    assert command(*RUN, "full") == EXIT_USAGE
    told = capsys.readouterr()
    assert told.out.endswith("PASS\n")
    assert (
        "--record full: expected a record file that can be written, got 'No space left on device'; try: a " in told.err
    )


@pytest.mark.parametrize("name", ["show", "replay"])
def test_a_fifo_that_nobody_writes_is_told_to_be_waited_for(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert command(*RUN, "x") == EXIT_PASS
    os.mkfifo("fifo")
    writer = threading.Thread(target=lambda: Path("fifo").write_bytes(Path("x").read_bytes()))
    told: list[str] = []

    def complain(message: str) -> None:
        told.append(message)
        writer.start()

    monkeypatch.setattr(terminal, "complain", complain)
    monkeypatch.setattr(sources, "QUIET_SECONDS", 0.0)
    assert command(name, "fifo") == EXIT_PASS
    writer.join()
    assert told == ["mmrace: waiting for somebody who writes a record into the FIFO fifo"]


def test_log_refuses_a_fifo_instead_of_waiting_for_its_reader(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("fifo")
    assert command("stress", "async-vs-commit", "--runs", "1", "--no-canaries", "--log", "fifo") == EXIT_USAGE
    assert "--log" in capsys.readouterr().err


# -- read -----------------------------------------------------------------------------------------------------------

STEERS = "\x1b[2J\u202e\r[bold]\n"


def recorded(path: Path, change: Callable[[list[Any]], object]) -> None:
    """Write a record of a real run, changed as data."""
    record = installed.run_one(RunSpec("async-vs-commit", IDLE, engine="fiber", seed=1), keep_record=True).record
    assert record is not None
    lines = [json.loads(line) for line in record.lines()]
    change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


IDLE = (("idle", 0), ("rounds", 1))


@pytest.mark.parametrize("words", [("show",), ("show", "--last", "1000000"), ("replay",)])
def test_a_record_cannot_steer_the_terminal(
    command: Command, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    def change(lines: list[Any]) -> None:
        for task in lines[0]["tasks"]:
            task["name"] += STEERS
        for entry in lines[0]["lanes"].values():
            entry[1] += STEERS
        for event in lines[1:-1]:
            event[5] = STEERS

    recorded(Path("x"), change)
    assert command(words[0], "x", *words[1:]) == (EXIT_NONDETERMINISM if words == ("replay",) else EXIT_PASS)
    told = capsys.readouterr()
    assert words != ("replay",) or "\\x1b[2J\\u202e\\r[bold]" in told.err
    for steers in "\x1b\u202e\r":
        assert steers not in told.out + told.err


@pytest.mark.parametrize("word", ["show", "replay"])
def test_a_device_without_end_is_read_up_to_the_limit(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    device(Path("zero"), ZERO)
    monkeypatch.setattr(record_file, "BYTES_MAX", 100_000)
    assert command(word, "zero") == EXIT_USAGE
    assert "a larger one" in capsys.readouterr().err


def test_a_record_is_read_from_a_pipe(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(Path("x"), lambda lines: None)
    read, write = os.pipe()
    writer = threading.Thread(target=_pour, args=(write, Path("x").read_bytes()))
    writer.start()
    assert command("show", f"/dev/fd/{read}") == EXIT_PASS
    writer.join()
    os.close(read)
    assert "scenario async-vs-commit" in capsys.readouterr().out


def _pour(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb") as out:
        out.write(content)


def test_a_record_without_the_digest_of_its_program_has_nothing_executed(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("evil.py").write_text("open('executed', 'w')\ndef main(): pass\n")

    def change(lines: list[Any]) -> None:
        lines[0].update(maker="function", program=str(Path("evil.py").resolve()) + ":main", digest="", given={})

    recorded(Path("x"), change)
    assert command("replay", "x") == EXIT_USAGE
    assert "digest" in capsys.readouterr().err
    assert not Path("executed").exists()


def test_replay_says_which_file_it_executes(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    program = f"{two_locks.__file__}:main"
    assert command("run", program, "--engine", "fiber", "--record", "x") in (EXIT_PASS, EXIT_FAIL, EXIT_UNKNOWN)
    capsys.readouterr()
    command("replay", "x")
    assert capsys.readouterr().out.startswith(f"program {program} (digest ")


def test_a_header_makes_nobody_read_a_workload_that_the_scenario_does_not_take(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("fifo")
    recorded(Path("x"), lambda lines: lines[0].update(workload=str(Path("fifo").resolve())))
    assert command("replay", "x") == EXIT_USAGE
    assert "no workload for async-vs-commit" in capsys.readouterr().err


def test_a_thread_of_the_host_program_is_no_reason_to_end_the_process(command: Command) -> None:
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        assert command(*RUN, "x") == EXIT_PASS
    finally:
        over.set()
        other.join()
