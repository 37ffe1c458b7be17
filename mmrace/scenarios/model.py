"""Which model this is: a digest of the source of what a cast is made of, for the header of its records.

Invariant: equal digests mean equal source of `kernel/`, `actors/` and `scenarios/`, and of the era, byte for byte, so
that whoever reads a record knows whether the model has changed since.  Not told: whether a change matters to a run; a
strict replay does.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

PACKAGES = ("actors", "kernel", "scenarios")
DIGEST_BYTES = 8  # told apart are the models of one project, not of an attacker


@cache
def digest(*more: Path) -> str:
    """Return the digest, read once a process.  Args: more: files that make an era of it, none for its own."""
    root = Path(__file__).resolve().parents[1]
    return digest_of(root, *more, *(path for package in PACKAGES for path in (root / package).rglob("*.py")))


def digest_of(root: Path, *paths: Path) -> str:
    """Return the digest of files, with their names below `root`."""
    made = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in paths):
        content = path.read_bytes()
        made.update(f"{name}\n{len(content)}\n".encode())
        made.update(content)
    return made.hexdigest()
