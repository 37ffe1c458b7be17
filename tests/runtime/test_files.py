"""A file is written whole or not at all, never through a link, and what is no file is left what it is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmrace.runtime import files
from mmrace.runtime.errors import UsageError
from mmrace.runtime.files import (
    append_line,
    check_growing,
    check_writable,
    create,
    read_whole,
    temporary_name,
    write_whole,
)

FULL = os.makedev(1, 7)
NULL = os.makedev(1, 3)
ZERO = os.makedev(1, 5)


def device(path: Path, number: int) -> Path:
    """Make a device node of the test's own."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, number)
    except PermissionError:
        pytest.skip("device nodes cannot be made here")
    try:
        os.close(os.open(path, os.O_RDONLY))
    except PermissionError:
        pytest.skip("device nodes cannot be opened here")
    return path


def read(path: Path, bytes_max: int = 100, *, stream: bool = False) -> bytes:
    return read_whole(path, bytes_max, what="file", try_="another", stream=stream)


def refused(path: Path, bytes_max: int = 100, *, stream: bool = False) -> str:
    with pytest.raises(UsageError) as caught:
        read(path, bytes_max, stream=stream)
    assert caught.value.where == str(path)
    return str(caught.value)


# -- writing --------------------------------------------------------------------------------------------------------


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    write_whole(path, ["n", "ew"])
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["x"]


def test_a_new_file_has_the_mode_that_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "x", [])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    def parts() -> Iterator[str]:
        yield "new"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_whole(path, parts())
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("name", ["x.part", ".x.part", "x.tmp"])
def test_a_link_that_somebody_planted_beside_a_file_is_not_followed(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / name).symlink_to(victim)
    write_whole(tmp_path / "x", ["new"])
    assert victim.read_text() == "precious"
    assert not (tmp_path / "x").is_symlink()


def test_a_temporary_name_is_drawn_anew_each_time_and_fits_beside_any_file(tmp_path: Path) -> None:
    assert len({temporary_name() for _ in range(100)}) == 100
    path = tmp_path / ("x" * 255)
    write_whole(path, ["new"])
    assert path.read_text() == "new"


def test_a_temporary_name_that_is_taken_is_refused_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "taken").symlink_to(victim)
    monkeypatch.setattr(files, "temporary_name", lambda: "taken")
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "x", ["new"])
    assert victim.read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == ["taken", "victim"]


def test_two_writers_of_one_file_leave_one_of_the_two_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    both = threading.Barrier(2)

    def parts(letter: str) -> Iterator[str]:
        yield letter * 1000
        both.wait()  # each has begun, neither has ended
        yield letter * 1000

    writers = [threading.Thread(target=write_whole, args=(path, parts(letter))) for letter in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_text() in ("a" * 2000, "b" * 2000)
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing yet"])
def test_a_link_keeps_its_place_and_its_target_is_written(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    if there:
        target.write_text("old")
    link.symlink_to(target.name)
    write_whole(link, ["new"])
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(link)
    with pytest.raises(OSError, match="symbolic links"):
        write_whole(link, ["new"])
    assert link.is_symlink()


@pytest.mark.parametrize("linked", [False, True], ids=["itself", "by a link"])
def test_a_device_is_written_in_place(tmp_path: Path, linked: bool) -> None:
    node = device(tmp_path / "null", NULL)
    path = node
    if linked:
        path = tmp_path / "link"
        path.symlink_to(node)
    check_writable(path)
    write_whole(path, ["new"])
    assert stat.S_ISCHR(node.stat().st_mode)
    assert node.stat().st_rdev == NULL


def test_a_fifo_is_written_in_place_to_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    check_writable(path)  # which does not open it: its reader would take that for the end
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(path, ["new"])
    assert os.read(reader, 100) == b"new"
    os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_fifo_that_nobody_reads_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(OSError, match="FIFO that nobody reads"):
        write_whole(path, ["new"])
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_folder_and_a_file_in_no_folder_are_refused_beforehand(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "x"):
        with pytest.raises(OSError, match="directory"):
            check_writable(path)
        with pytest.raises(OSError, match="directory"):
            write_whole(path, ["new"])
    check_writable(tmp_path / "x")
    assert os.listdir(tmp_path) == []


def test_no_name_is_the_name_of_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BUG once: it was taken for the current folder, and failed after the run, with a temporary name in the message."""
    monkeypatch.chdir(tmp_path)
    for call in (check_writable, lambda path: write_whole(path, ["new"])):
        with pytest.raises(OSError, match="No such file or directory: ''"):
            call("")
    assert os.listdir(tmp_path) == []


def test_the_own_output_is_written_as_it_stands(tmp_path: Path) -> None:
    """What was printed before and comes after is not lost, though stdout is a regular file here."""
    path = tmp_path / "out"
    code = (
        "from mmrace.runtime.files import write_whole; print('before');"
        "write_whole('/dev/stdout', ['record\\n']); print('after')"
    )
    with open(path, "w") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert path.read_text() == "before\nrecord\nafter\n"


def test_text_that_is_no_unicode_is_written_escaped(tmp_path: Path) -> None:
    write_whole(tmp_path / "x", ["\udc80"])
    assert (tmp_path / "x").read_text() == "\\udc80"


def test_a_new_file_is_never_made_where_something_is(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(FileExistsError):
            create(tmp_path / name)
    assert not (tmp_path / "target").exists()


def test_lines_are_added_to_a_file_but_to_nothing_else(tmp_path: Path) -> None:
    path, link, fifo = tmp_path / "x", tmp_path / "link", tmp_path / "fifo"
    append_line(path, "one")
    append_line(path, "two")
    assert path.read_text() == "one\ntwo\n"
    link.symlink_to(path)
    os.mkfifo(fifo)
    for other in (link, fifo, tmp_path):
        with pytest.raises(OSError, match=r"symbolic links|No such device|directory"):
            append_line(other, "three")
    assert path.read_text() == "one\ntwo\n"


def test_a_log_grows_in_a_file_or_on_a_device_and_nowhere_else(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "x").touch()
    for path in (tmp_path / "x", tmp_path / "none", device(tmp_path / "null", NULL)):
        check_growing(path)
    for path in (fifo, tmp_path):
        with pytest.raises(OSError, match="neither a regular file nor"):
            check_growing(path)


# -- reading --------------------------------------------------------------------------------------------------------


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1" * 100)
    assert read(path) == b"1" * 100
    path.write_bytes(b"1" * 101)
    assert "a larger one" in refused(path)


def test_what_is_no_regular_file_is_refused_without_a_look_at_it(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert "not a regular file" in refused(fifo)
    assert "directory" in refused(tmp_path)
    assert "not a regular file" in refused(device(tmp_path / "zero", ZERO))


def test_a_stream_that_a_person_named_is_read_up_to_the_limit(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(b"text",))
    writer.start()
    assert read(fifo, stream=True) == b"text"
    writer.join()
    assert "a larger one" in refused(device(tmp_path / "zero", ZERO), stream=True)


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3000, "a\0b"], ids=["long", "deep", "zero byte"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    refused(Path(name))


def test_a_missing_file_and_a_loop_of_links_are_refused(tmp_path: Path) -> None:
    assert "'no such file'" in refused(tmp_path / "none")
    (tmp_path / "loop").symlink_to("loop")
    refused(tmp_path / "loop")
