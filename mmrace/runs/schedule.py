"""A kept schedule: what is needed to fail in the same way again, without the record, as a small JSON file.

    {"schema": "mmrace-schedule/1", "mmrace": ..., "python": ..., "date": ...,
     "spec": {... of the run; digests left out ...}, "signature": "...", "finding": {"oracle", "rule", "title", ...},
     "alone": false,
     "schedule": {"turns": [...], "choices": [...]}}

It is for programs that change: names, no line numbers, no digests; `strategies/guided.py` follows it as far as it
goes.  A file that has a record beside these keys (`mmrace-minimal/1`) is read in the same way.  Invariant: the name
that `key` gives is one of the content: equal schedules of equal programs have the same one, whoever kept them.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Required, TypedDict

from mmrace.oracles.general.judgement import Finding
from mmrace.runs.minimal import Minimal
from mmrace.runs.spec import LoadedFile, RunSpec
from mmrace.runtime import files
from mmrace.runtime.decoding import converted, decode
from mmrace.runtime.errors import UsageError
from mmrace.runtime.files import Name
from mmrace.runtime.record import Record
from mmrace.strategies.guided import (
    BYTES_MAX,
    TRY,
    Preemption,
    Steps,
    Value,
    choices_of,
    preemptions_of,
    says,
)
from mmrace.version import __version__

SCHEMA = "mmrace-schedule/1"
READABLE = (SCHEMA, "mmrace-minimal/1")
WHAT = f"a kept schedule ({' or '.join(READABLE)})"
IS_KEPT = re.compile(rb'"schema"\s*:\s*"mmrace-schedule/')
KEY_HEX = 16  # of the schedules of one program: 64 bits


class _Finding(TypedDict):
    oracle: str
    rule: str
    title: str


class _File(TypedDict, total=False):
    """The keys of the file; what else it has is for others."""

    mmrace: Required[str]
    python: Required[str]
    date: Required[str]
    spec: Required[RunSpec]
    signature: Required[str]
    finding: Required[_Finding]
    schedule: Required[Steps]
    alone: bool


@dataclass(frozen=True, slots=True)
class KeptSchedule:
    """A schedule that failed, and what it failed with.

    Attributes: spec: of its run; `strategy` and `seed` are those of the run that was found.  alone: it fails without
    anything to interleave, which is so no reason to doubt that it passes.
    """

    spec: RunSpec
    signature: str
    oracle: str
    rule: str
    title: str
    turns: tuple[Preemption, ...]
    choices: tuple[Value, ...]
    alone: bool = False
    mmrace: str = __version__
    python: str = field(default_factory=lambda: ".".join(platform.python_version_tuple()[:2]))
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @classmethod
    def of_record(cls, record: Record, spec: RunSpec, finding: Finding) -> KeptSchedule:
        """Return the schedule of a run that failed.  Raises UsageError for a record without sites, or of free threads.

        Args: spec: of the run.  finding: of it, for which it is kept.
        """
        turns, choices = tuple(preemptions_of(record)), tuple(choices_of(record))
        return cls(as_now(spec), finding.signature, finding.oracle, finding.rule, finding.title, turns, choices)

    @classmethod
    def of_minimal(cls, minimal: Minimal) -> KeptSchedule:
        """Return the schedule of a minimal file."""
        finding, schedule = minimal.finding, minimal.schedule
        return cls(
            as_now(minimal.spec),
            finding.signature,
            finding.oracle,
            finding.rule,
            finding.title,
            schedule.turns,
            schedule.choices,
        )

    @property
    def key(self) -> str:
        """Name it by what is in it, but for dates and versions."""
        content = {**self._plain(), "spec": asdict(replace(self.spec, strategy="", engine=""))}
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:KEY_HEX]

    def write(self, path: Name) -> None:
        """Write the file, whole or not at all.  Raises OSError."""
        made = {"schema": SCHEMA, "mmrace": self.mmrace, "python": self.python, "date": self.date, **self._plain()}
        files.write_whole(path, [json.dumps(made, indent=1, default=str), "\n"])

    def _plain(self) -> dict[str, Any]:
        return {
            "spec": asdict(self.spec),
            "signature": self.signature,
            "finding": {"oracle": self.oracle, "rule": self.rule, "title": self.title},
            "alone": self.alone,
            "schedule": {"turns": [asdict(turn) for turn in self.turns], "choices": [*map(asdict, self.choices)]},
        }

    @classmethod
    def read(cls, path: Name) -> KeptSchedule:
        """Read a file.  Raises UsageError if it is missing, cut, or of another kind."""
        where = str(path)
        content = files.read_whole(path, BYTES_MAX, what="kept schedule", try_=TRY)
        plain = decode(content, dict[str, Any], what=WHAT, where=where, try_=TRY)
        if plain.get("schema") not in READABLE:
            got = plain.get("schema", "no schema")
            raise UsageError(expected=f"the schema {' or '.join(READABLE)}", got=got, where=where, try_=TRY)
        typed = converted(plain, _File, what=WHAT, where=where, try_=TRY)
        return cls(
            spec=as_now(typed["spec"]),
            signature=typed["signature"],
            turns=typed["schedule"]["turns"],
            choices=typed["schedule"]["choices"],
            alone=typed.get("alone", False),
            mmrace=typed["mmrace"],
            python=typed["python"],
            date=typed["date"],
            **typed["finding"],
        )


def is_kept(path: str) -> bool:
    """Say whether a file is a kept schedule, without a record, as far as it says so itself."""
    return says(path, IS_KEPT)


def as_now(spec: RunSpec) -> RunSpec:
    """Return a spec that means a user's files as they are now, rather than as they were."""
    return replace(spec, digest="", load=tuple(LoadedFile(file.path) for file in spec.load))
