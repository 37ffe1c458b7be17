"""How the program writes and reads a file: the only place that opens one which somebody else may have put there.

Written is a file whole: under a random name beside it, made exclusively and never through a link, synced, renamed.  A
symbolic link keeps its place, its target is replaced.  What is no regular file is no file to replace: what a byte
stream reads (a FIFO with a reader, a terminal, /dev/null, this process's own output) is written as it is, anything
else is refused.  Read is a regular file up to a size; a stream only if the caller says that a person named it.
Invariant: nothing that lies at a name is lost or changed by a write that fails, nor by two writes at once; no read
blocks on, or is fed without end by, what a file names.  Not here: what is in a file (`decoding.py`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO, TypeAlias

from mmrace.runtime.errors import UsageError

Name: TypeAlias = str | os.PathLike[str]

_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_PLACE = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a FIFO that nobody reads is refused at once
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
RANDOM_BYTES = 8  # of a temporary name: nobody guesses it, and no two runs draw the same
MIB = 1 << 20
REPLACED_MAX = 100  # times that a file may give way to another while a line waits to be added
CHUNK_BYTES = MIB  # read at once: what is too long costs no more than that beyond the limit


# -- writing --------------------------------------------------------------------------------------------------------


def temporary_name() -> str:
    """Return a name for what is not finished yet; hidden, short enough for any folder, and drawn anew each time."""
    return f".mmrace-{secrets.token_hex(RANDOM_BYTES)}.part"


def create(path: Name) -> TextIO:
    """Open a new text file, which must not be there, nor be a link.  Raises OSError."""
    return _text(os.open(path, _FRESH, 0o666))


def write_whole(path: Name, parts: Iterable[str]) -> None:
    """Write a text file, whole or not at all; what is no regular file, as it is.  Raises OSError."""
    target = _replaceable(path)
    if target is None:
        with _in_place(path) as out:
            _write(out, parts)
        return
    temporary = target.with_name(temporary_name())
    try:
        out = create(temporary)
    except OSError as error:
        raise _error(error.errno or errno.EIO, target) from error
    try:
        with out:
            _write(out, parts)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, target)
    except BaseException:  # Ctrl-C too
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def check_writable(path: Name) -> None:
    """Raise OSError if `write_whole` could not write there, as far as that can be told without opening anything."""
    target = _replaceable(path)
    if target is None:
        _check_stream(path, os.stat(path))
    elif not os.access(target.parent, os.W_OK | os.X_OK):
        raise _error(errno.EACCES if target.parent.exists() else errno.ENOENT, target.parent)


def try_writing(path: Name) -> None:
    """Raise OSError if `write_whole` could not write there; tried by a file of another name beside it."""
    check_writable(path)
    target = _replaceable(path)
    if target is None:
        return
    trial = target.with_name(temporary_name())
    try:
        with create(trial) as out:
            out.write("x")
    except OSError as error:
        raise _error(error.errno or errno.EIO, target) from error
    finally:
        with contextlib.suppress(OSError):
            trial.unlink(missing_ok=True)


def check_growing(path: Name) -> None:
    """Raise OSError if what is there is nothing to add to, such as a folder, or a FIFO, which would block."""
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
            raise OSError(f"neither a regular file nor a terminal: {os.fspath(path)!r}")


def append_line(path: Name, line: str) -> None:
    """Add a line at once, so that several writers' lines do not mix; never through a link.

    It goes to the file that the name has when it is written, also if the folder is just replaced by another (`held`).
    Raises OSError: FileNotFoundError while there is no folder.
    """
    for _ in range(REPLACED_MAX):
        with held(path) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(f"not a regular file: {os.fspath(path)!r}")
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                os.write(descriptor, f"{line}\n".encode("utf-8", "backslashreplace"))
                return
    raise OSError(f"replaced again and again: {os.fspath(path)!r}")


@contextmanager
def held(path: Name) -> Iterator[int]:
    """Open a file to which lines are added, and let nobody else add one meanwhile.  Raises OSError."""
    descriptor = os.open(path, _APPEND, 0o666)
    try:
        with contextlib.suppress(OSError):  # a file system without such locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def sync_folder(folder: Name) -> None:
    """Have the names in a folder on the disk.  Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replaceable(path: Name) -> Path | None:
    """Return the file to be made or replaced; None for what has to be written as it is.  Raises OSError."""
    if not os.fspath(path):  # which resolves to the current folder
        raise _error(errno.ENOENT, path)
    try:
        there = os.stat(path)
    except FileNotFoundError:  # or a link to a place where nothing is yet
        return Path(os.path.realpath(path))
    except ValueError as error:
        raise OSError(str(error)) from error
    if not stat.S_ISREG(there.st_mode) or _own_output(there) is not None:
        return None
    target = Path(os.path.realpath(path))
    return target if target.exists() and os.path.samestat(os.stat(target), there) else None


def _own_output(there: os.stat_result) -> int | None:
    """Return the descriptor of this process's stdout or stderr, if that is what is there."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # closed
            if os.path.samestat(os.fstat(descriptor), there):
                return descriptor
    return None


def _in_place(path: Name) -> TextIO:
    """Open what is no regular file.  Raises OSError for what a stream of bytes makes no sense to."""
    there = os.stat(path)
    own = _own_output(there)
    if own is not None:
        (sys.stdout if own == 1 else sys.stderr).flush()
        return _text(os.dup(own))
    _check_stream(path, there)
    try:
        descriptor = os.open(path, _IN_PLACE)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise OSError(f"a FIFO that nobody reads, or a socket: {os.fspath(path)!r}") from error
    try:
        _check_stream(path, os.fstat(descriptor))
        os.set_blocking(descriptor, True)
        return _text(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _check_stream(path: Name, there: os.stat_result) -> None:
    if stat.S_ISDIR(there.st_mode):
        raise _error(errno.EISDIR, path)
    if not (stat.S_ISFIFO(there.st_mode) or stat.S_ISCHR(there.st_mode) or _own_output(there) is not None):
        raise OSError(f"neither a regular file nor a stream: {os.fspath(path)!r}")


def _text(descriptor: int) -> TextIO:
    return open(descriptor, "w", encoding="utf-8", errors="backslashreplace")


def _write(out: TextIO, parts: Iterable[str]) -> None:
    for part in parts:
        out.write(part)


def _error(number: int, path: Name) -> OSError:
    return OSError(number, os.strerror(number), os.fspath(path))


# -- reading --------------------------------------------------------------------------------------------------------


def read_whole(path: Name, bytes_max: int, *, what: str, try_: str, stream: bool = False) -> bytes:
    """Read a file of at most `bytes_max` bytes.

    Args: what: it should be: "record file".  stream: a FIFO, a pipe or a device will do too, for a person named it.
    Raises UsageError, whatever stands there instead.
    """
    where = os.fspath(path)
    content = bytearray()
    try:
        with _opened(path, stream) as file:
            while len(content) <= bytes_max and (chunk := file.read(CHUNK_BYTES)):
                content += chunk
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise UsageError(expected=f"a readable {what}", got=_why(error), where=where, try_=try_) from error
    if len(content) > bytes_max:
        raise UsageError(
            expected=f"a {what} of at most {bytes_max / MIB:g} MiB", got="a larger one", where=where, try_=try_
        )
    return bytes(content)


def _why(error: OSError | ValueError) -> str:
    """Say why a file cannot be read, without its name, which stands before it."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _opened(path: Name, stream: bool) -> IO[bytes]:
    _check_readable(path, os.stat(path).st_mode, stream)  # to open some devices does something already
    descriptor = os.open(path, _READ & ~os.O_NONBLOCK if stream else _READ)
    try:
        _check_readable(path, os.fstat(descriptor).st_mode, stream)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_readable(path: Name, mode: int, stream: bool) -> None:
    if stat.S_ISDIR(mode):
        raise _error(errno.EISDIR, path)
    if not (stream or stat.S_ISREG(mode)):
        raise OSError(f"not a regular file: {os.fspath(path)!r}")
