"""`mmrace.minimise`: the smallest schedule of a finding, and the smallest program that has it, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mmrace.api.program import check_number, path_of, refuse_while_loading
from mmrace.runs.minimal import Minimal
from mmrace.runs.source import open_source
from mmrace.runtime.errors import UsageError
from mmrace.search.minimise.trials import Budget

SECONDS = 30.0
"""How long minimising lasts that is told neither a number of runs nor how long: as `mmrace minimise` does."""


def minimise(
    file: str | os.PathLike[str],
    *,
    signature: str = "",
    runs: int | None = None,
    seconds: float | None = None,
    out: str | os.PathLike[str] | None = None,
    load: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
) -> Minimal:
    """Make the schedule of a finding as small as it gets; then its program.

    Args: file: a record, a minimal file, or the folder of a finding.  signature: of the finding; default: the one that
    the file was kept for, or its first.  runs, seconds: at most; neither: `SECONDS`.  With runs alone, the same file
    gives the same result.  out: where it is written; None: nowhere (`Minimal.write` does it later).  load: files that
    are not where they were.

    Raises UsageError for a wrong call or file, NondeterminismError if the run has not the finding again, OSError if
    `out` cannot be written.
    """
    from mmrace import installed  # noqa: PLC0415  (a record says only when it is read what it needs)

    refuse_while_loading("minimise")
    for name, value, low in (("runs", runs, 1), ("seconds", seconds, 0)):
        if value is not None:
            check_number("minimise", name, value, low)
    source = open_source(path_of("minimise", file))
    wanted = (
        signature
        or source.signature
        or next((str(finding["signature"]) for finding in source.record.verdict.get("findings", ())), "")
    )
    if not wanted:
        raise UsageError(
            expected="a record with a finding", got="one without", where=source.path, try_="a run that failed"
        )
    budget = Budget(runs, SECONDS if runs is None and seconds is None else seconds)
    paths = (load,) if isinstance(load, str | os.PathLike) else load
    made = installed.minimise(source.record, source.path, wanted, budget, tuple(os.fspath(path) for path in paths))
    if out is not None:
        made.write(out)
    return made
