"""Which mmrace this is: its version, a digest of its own sources, and which Python runs it.

Invariant: equal revisions mean equal source of the whole package, byte for byte, and the same kind of interpreter: a
run is the same under both.  Not here: which files of a user's own a program is made of (`sources.py`).
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from functools import cache
from pathlib import Path

from mmrace.version import __version__

DIGEST_BYTES = 6  # told apart are the states of one project, not of an attacker


@cache
def revision() -> str:
    """Return the revision, such as ``0.1.0+3f62a9c0d1e5.cpython-313``; read once a process."""
    root = Path(__file__).resolve().parents[1]
    return f"{__version__}+{digest_of(root)}.{interpreter()}"


def interpreter() -> str:
    """Return what kind of Python runs this: free threads, and what `random` draws, differ between kinds."""
    free = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    return f"{sys.implementation.cache_tag}{free}"


def digest_of(root: Path) -> str:
    """Return the digest of the Python files below a folder, with their names there."""
    made = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in root.rglob("*.py")):
        content = path.read_bytes()
        made.update(f"{name}\n{len(content)}\n".encode())
        made.update(content)
    return made.hexdigest()
