"""What the command line does with the files that it is given: to write, and to read."""

from __future__ import annotations

import os
import select
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mmrace import cli
from mmrace.runtime.errors import EXIT_PASS, EXIT_USAGE
from mmrace.runtime.record import Record
from tests.runtime.test_files import NULL, device

RUN = ("run", "async-vs-commit", "--engine", "fiber", "--param", "idle=0", "--param", "rounds=1", "--record")

Command = Callable[..., int]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line in an empty folder; return the exit code."""
    monkeypatch.chdir(tmp_path)

    def go(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["mmrace", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert isinstance(caught.value.code, int)
        return caught.value.code

    return go


# -- written --------------------------------------------------------------------------------------------------------


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


def test_log_refuses_a_fifo_instead_of_waiting_for_its_reader(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("fifo")
    assert command("stress", "async-vs-commit", "--runs", "1", "--no-canaries", "--log", "fifo") == EXIT_USAGE
    assert "--log" in capsys.readouterr().err
