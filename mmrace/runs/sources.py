"""The source files that a user's program consists of, and their digest.

They are its own file, and what that imports from beside it, directly or not: a helper that changed is another program.
Invariant: the digest is a function of these files' names below the program's folder and of their content; not of where
the folder lies, and not of what this process imported before.  Not in it: installed packages, mmrace itself, and what
is imported under a name that the source does not spell out.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmrace.runtime import files

DIGEST_HEX = 16
BYTES_MAX = 16 * files.MIB
OTHERS = frozenset({*sys.stdlib_module_names, "mmrace"})
"""Packages that a name means wherever the program lies: its folder comes last on the path."""

Files = dict[str, tuple[Path, bytes]]
"""Module name -> file and content."""


def of_file(path: Path) -> Files:
    """Return the files of the program in a file, by module name; its own name is "".  Raises UsageError."""
    return _closure("", path, path.parent, "")


def of_module(name: str, path: Path) -> Files:
    """Return the files of the program in an importable module: those of its outermost package.  Raises UsageError."""
    parts = name.split(".")
    above = len(parts) if path.name == "__init__.py" else len(parts) - 1
    return _closure(name, path, path.parents[above], parts[0])


def digest_of(files: Files) -> str:
    """Return the hash of files: of each one's name and content."""
    digest = hashlib.sha256()
    for name, (_, content) in sorted(files.items()):
        digest.update(f"{name}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:DIGEST_HEX]


def _closure(name: str, path: Path, root: Path, package: str) -> Files:
    """Follow imports below `root`.  Args: package: follow them only there; "": wherever they lead."""
    found: Files = {name: (path, _content(path))}
    left = [name]
    while left:
        importer = left.pop()
        file, content = found[importer]
        imported = _imports(content, importer, file.name == "__init__.py")
        for wanted in (*_with_outer(importer), *imported):  # the packages around a module are executed before it
            outermost = wanted.split(".")[0]
            if wanted in found or outermost in OTHERS or package not in ("", outermost):
                continue
            beside = _file(root, wanted)
            if beside is not None and beside != path:
                found[wanted] = beside, _content(beside)
                left.append(wanted)
    return found


def _content(path: Path) -> bytes:
    return files.read_whole(
        path, BYTES_MAX, what="Python file", try_="a smaller one: no source of a person's is so long"
    )


def _file(root: Path, name: str) -> Path | None:
    """Return the file of a module below `root`, if there is one."""
    place = root.joinpath(*name.split("."))
    candidates = (place / "__init__.py", place.with_name(place.name + ".py"))
    return next((path for path in candidates if os.path.isfile(path)), None)


def _imports(content: bytes, importer: str, is_package: bool) -> Iterator[str]:
    """Yield every module name that a source may import, outer packages first; of one that is no Python, nothing."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):  # whoever executes it says what is wrong
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_outer(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, importer, is_package)
            if base is not None:
                yield from _with_outer(base)
                for alias in node.names:
                    yield f"{base}.{alias.name}".lstrip(".")  # perhaps a module, perhaps a name in one


def _base(node: ast.ImportFrom, importer: str, is_package: bool) -> str | None:
    """Return what an import from something imports from; None if that is above the outermost package."""
    if not node.level:
        return node.module
    parts = importer.split(".") if importer else []
    above = node.level - is_package
    if above > len(parts):
        return None
    return ".".join([*parts[: len(parts) - above], *([node.module] if node.module else [])])


def _with_outer(name: str) -> Iterator[str]:
    parts = name.split(".") if name else []
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])


def strangers(files: Files) -> Mapping[str, str]:
    """Return the modules of `files` that this process imported from elsewhere: name -> that file."""
    found: dict[str, str] = {}
    for name, (path, _) in files.items():
        origin = getattr(sys.modules.get(name), "__file__", None)
        if origin is not None and Path(origin).resolve() != path.resolve():
            found[name] = origin
    return found
