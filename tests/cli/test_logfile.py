"""The log in a file: added to what is there, and one line on stderr when that fails."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from loguru import logger

from mmrace.cli.logfile import LogFile, RotatedLog, log_to
from mmrace.runtime.errors import UsageError

Log: TypeAlias = Callable[[str, str | None, str | None], None]


def test_lines_are_added_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    log = LogFile(str(path))
    log.write("µ\n")
    log.stop()
    assert path.read_text() == "before\nµ\n"


def test_a_full_disk_is_one_line_however_much_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    log = LogFile("/dev/full")
    for _ in range(3):
        log.write("line\n")
    log.stop()
    assert capsys.readouterr().err == (
        "mmrace: /dev/full: No space left on device: the log ends here, the campaign goes on\n"
    )


def test_a_file_that_cannot_be_opened_raises(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        LogFile(str(tmp_path))


@pytest.fixture
def log() -> Iterator[Log]:
    """Begin a log; ended with the test."""
    logger.remove()
    logger.enable("mmrace")
    yield log_to
    logger.remove()
    logger.disable("mmrace")


def messages(folder: Path) -> list[str]:
    """Return what is in all files, the oldest first."""
    paths = sorted(folder.iterdir(), key=lambda path: (path.stat().st_mtime_ns, path.name))
    lines = [line for path in paths for line in path.read_text().splitlines()]
    return [json.loads(line)["record"]["message"] for line in lines]


def test_a_rotated_log_has_every_line_once_under_the_name_that_was_said(log: Log, tmp_path: Path) -> None:
    log(str(tmp_path / "n{time}.log"), "2 kB", None)
    for i in range(12):
        logger.info("{} µ {{time}}", i)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) > 2 and names[-1] == "n{time}.log" and all(name.startswith("n{time}.") for name in names)
    assert messages(tmp_path) == [f"{i} µ {{time}}" for i in range(12)]


def test_only_so_many_files_stay(log: Log, tmp_path: Path) -> None:
    log(str(tmp_path / "a.log"), "1 kB", "2")
    for i in range(12):
        logger.info("{}", i)
    assert len(list(tmp_path.iterdir())) == 3, "two, and the one that is written"
    assert messages(tmp_path) == ["9", "10", "11"]


def test_two_logs_of_one_file_follow_each_other_over_a_rotation(log: Log, tmp_path: Path) -> None:
    first, second = (RotatedLog(str(tmp_path / "a.log"), "30 B", None) for _ in range(2))
    for i in range(10):
        (first, second)[i % 2].write(f"line {i} of ten\n")
    first.stop()
    second.stop()
    lines = [line for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert sorted(lines) == [f"line {i} of ten" for i in range(10)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # loguru lets go of a file unclosed
def test_a_full_disk_under_a_rotated_log_is_one_line(
    log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "a.log")
    rotated = RotatedLog(path, "1 MB", None)
    rotated.write("before\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (7, hard))
    try:
        for _ in range(3):
            rotated.write("line\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    rotated.stop()
    assert capsys.readouterr().err == f"mmrace: {path}: File too large: the log ends here, the campaign goes on\n"
    assert Path(path).read_text().startswith("before\n")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/null", path)], ids=["FIFO", "device"])
def test_what_is_no_file_is_not_rotated(make: Callable[[Path], None], log: Log, tmp_path: Path) -> None:
    make(tmp_path / "log")
    with pytest.raises(OSError, match="regular file"):
        log(str(tmp_path / "log"), "1 MB", None)


def test_what_a_link_leads_to_is_rotated_and_the_link_stays(log: Log, tmp_path: Path) -> None:
    os.symlink("a.log", tmp_path / "link")
    log(str(tmp_path / "link"), "1 B", None)
    logger.info("one")
    logger.info("two")
    assert (tmp_path / "link").is_symlink() and len(list(tmp_path.glob("a.*log"))) == 3


@pytest.mark.parametrize(
    ("rotation", "retention", "where"),
    [
        ("soon", None, "--log-rotation"),
        ("0 s", None, "--log-rotation"),
        ("-1 day", None, "--log-rotation"),
        ("", None, "--log-rotation"),
        ("1 MB", "few", "--log-retention"),
    ],
)
def test_what_loguru_cannot_read_is_told(
    rotation: str, retention: str | None, where: str, log: Log, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=where):
        log(str(tmp_path / "a.log"), rotation, retention)
