"""The log in a file: added to what is there, and one line on stderr when that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace.cli.logfile import LogFile


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
