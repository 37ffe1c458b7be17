"""Error numbers as the kernel returns them: negative ints.

Invariant: the Linux values, whatever the host is.
Source: include/asm-generic/errno-base.h, v3.3.
"""

from __future__ import annotations

from enum import IntEnum


class Errno(IntEnum):
    """The error numbers that the model returns (as `-Errno.EAGAIN`)."""

    EIO = 5
    EAGAIN = 11
    ENOMEM = 12
    EBUSY = 16
    EEXIST = 17
    EINVAL = 22
    ENOSPC = 28
    EROFS = 30


def errno_name(rc: int) -> str:
    """Name a return code: "0", "-EAGAIN", or the plain number for anything else."""
    if rc == 0:
        return "0"
    if rc < 0 and -rc in Errno._value2member_map_:
        return "-" + Errno(-rc).name
    return str(rc)
