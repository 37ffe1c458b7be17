"""What stands in the folder of a finding that was kept, and whether a new run has something better to put there.

A folder is of use as long as its record repeats its finding: one of engine `free` never does, one of another mmrace may
not, and one of a user's files that changed since cannot.  Invariant: what cannot be understood is left as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmrace.runs.spec import RunSpec
from mmrace.version import VERSION

SUMMARY = "summary.json"
RECORD = "record.jsonl"
HITS = "hits.jsonl"
UNDATED = "an unknown date"  # of what an older mmrace kept, or is damaged


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept finding.

    Attributes: since: the date of its first run.  version: of the mmrace that kept it.  files: digests of the user's
    files that its program came from, with the program's name.  seed, command: of its run.  recorded: it has a record.
    """

    since: str
    version: str
    engine: str
    files: tuple[object, ...]
    seed: int
    command: str
    recorded: bool


def files_of(spec: Mapping[str, Any] | RunSpec) -> tuple[object, ...]:
    """Return what a run had of a user's own; empty if it had nothing."""
    if isinstance(spec, RunSpec):
        spec = {"program": spec.program, "digest": spec.digest, "load": spec.load}
    digests = [digest for _, digest in spec.get("load", ())]
    return (spec["program"], spec["digest"], *digests) if spec["digest"] or digests else ()


def read(folder: Path) -> Kept | None:
    """Return what a folder keeps; None if that is damaged, or another process is just replacing it."""
    try:
        facts = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        spec = facts["spec"]
        return Kept(
            since=str(facts.get("since") or UNDATED),
            version=str(facts.get("mmrace", "")),
            engine=str(spec["engine"]),
            files=files_of(spec),
            seed=int(spec["seed"]),
            command=str(facts["command"]),
            recorded=(folder / RECORD).is_file(),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def of_another_program(kept: Kept, spec: RunSpec) -> bool:
    """Say whether a folder is of a user's files, and not of these as they are now."""
    return bool(files_of(spec)) and kept.files != files_of(spec)


def gives_way(kept: Kept, spec: RunSpec, recorded: bool) -> bool:
    """Say whether a new run replaces what is kept.  Args: recorded: the new run has a record."""
    if of_another_program(kept, spec):
        return True
    if spec.engine == "free":
        return kept.engine == "free" and kept.version != VERSION
    return recorded and (kept.engine == "free" or kept.version != VERSION or not kept.recorded)
