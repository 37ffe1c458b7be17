"""The minimal file of a finding: its smallest known schedule with all that repeats and explains it, as one JSON file.

It *contains* the record of its run, so that whoever takes a record takes it too.  The schedule is written in names
(`strategies/guided.py`): it outlives the interpreter and the edit.  Invariant: what `Minimal.read` returns is
consistent in itself: the finding is the record's, every causal ordering names two of its ops, and the record is as
sound as any that was read; anything else is a UsageError that says where.  Not here: how a schedule is made smaller
(`search/minimise/`), and text for people.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from mmrace.oracles.general.judgement import Finding
from mmrace.runs.proof import NoReturn, Op, Point, Proof, Swap
from mmrace.runs.spec import RunSpec
from mmrace.runtime import files
from mmrace.runtime.decoding import Count, converted, decode
from mmrace.runtime.errors import UsageError
from mmrace.runtime.files import MIB, Name
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.param import Value as Setting
from mmrace.runtime.record import Record
from mmrace.strategies.guided import Preemption, Value
from mmrace.version import __version__

__all__ = [
    "BYTES_MAX", "MINIMAL", "SCHEMA", "Causal", "Flips", "Minimal", "Op", "Replayed", "Schedule", "Shrunk", "Size",
    "is_minimal",
]  # fmt: skip

SCHEMA = "mmrace-minimal/1"
MINIMAL = "minimal.json"
"""Its name in the folder of a finding, beside the record of the run as it was found."""
BYTES_MAX = 160 * MIB  # the largest record, each line of it a JSON string
AGAIN = "mmrace minimise, which makes it again from the record beside it"
WHAT = f"a minimal file ({SCHEMA})"

OF_THE_RUN = ("maker", "program", "digest", "variant", "seed", "workload")
"""What the header of the record says too, so that a replay runs what it is said to run."""

Plain: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Flips:
    """What came of runs in which the second op came first: `fails` of `of` had the finding.  `proved`: those are all
    classes that there are.  `others`: of those without it, so many ended in another failure."""

    fails: Count
    of: Count
    proved: bool = False
    others: Count = 0


@dataclass(frozen=True, slots=True)
class Causal:
    """Two ops on one object that must not be swapped: the other way round, the failure vanishes."""

    first: Op
    second: Op
    object: str
    flips: Flips


@dataclass(frozen=True, slots=True)
class Size:
    """How large a failing run is: its turning points, choices, events, tasks, and the program's parameters."""

    turns: Count
    choices: Count
    events: Count
    tasks: Count
    params: dict[str, Setting]


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What minimising did.

    Attributes: fewest: no schedule of this program with fewer turning points fails: shown by a bounded walk to its end
    (True), one was met and could not be followed (False), or the walk did not end (None).  complete: the budget lasted.
    """

    runs: Count
    seconds: float
    before: Size
    after: Size
    fewest: bool | None = None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Replayed:
    """Of so many strict replays, so many had the finding."""

    of: Count
    same: Count


@dataclass(frozen=True, slots=True)
class Schedule:
    """Where a run leaves the default schedule: see `strategies/guided.py`."""

    turns: tuple[Preemption, ...]
    choices: tuple[Value, ...]


class _Finding(TypedDict):
    oracle: str
    rule: str
    title: str
    facts: dict[str, Any]
    signature: str
    known: str


class _File(TypedDict):
    """The keys of the file; unknown ones are of a later mmrace, and are left out."""

    schema: Literal["mmrace-minimal/1"]
    mmrace: str
    python: str
    date: str
    spec: RunSpec
    era: str
    signature: str
    finding: _Finding
    schedule: Schedule
    causal: tuple[Causal, ...]
    shrunk: Shrunk
    replayed: Replayed
    proof: Proof | None
    rarity: dict[str, Any] | None
    health: dict[str, Any] | None
    model: str
    script: NotRequired[str]
    record: list[str]


@dataclass(frozen=True, slots=True)
class Minimal:
    """A minimal schedule, and all that is known of it.

    Attributes: spec: of its run; `strategy` and `seed` are those of the run that was found.  proof: None until somebody
    makes it (`search/prove`).  rarity, health: as whoever adds them has them, None until then.  model: digest of the
    model that made the record, "" for a function.  script: the schedule as a person would write
    it (`strategies/script.py`), "" if none was found that fails too.
    """

    spec: RunSpec
    finding: Finding
    schedule: Schedule
    causal: tuple[Causal, ...]
    shrunk: Shrunk
    replayed: Replayed
    record: Record
    era: str = ""
    model: str = ""
    proof: Proof | None = None
    rarity: Plain | None = None
    health: Plain | None = None
    script: str = ""
    mmrace: str = __version__
    python: str = f"{sys.version_info.major}.{sys.version_info.minor}"
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def signature(self) -> str:
        """Of its finding."""
        return self.finding.signature

    def plain(self) -> dict[str, Any]:
        """Return the file's content as plain data."""
        known = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "record"}
        made = {
            name: asdict(value) if hasattr(value, "__dataclass_fields__") else value for name, value in known.items()
        }
        made["causal"] = [asdict(ordering) for ordering in self.causal]
        return {"schema": SCHEMA, **made, "signature": self.signature, "record": list(self.record.lines())}

    def write(self, path: Name) -> None:
        """Write the file, whole or not at all.  Raises OSError."""
        files.write_whole(path, self._text())

    def _text(self) -> Iterator[str]:
        yield json.dumps(self.plain(), indent=1, default=str)
        yield "\n"

    @classmethod
    def read(cls, path: Name, *, stream: bool = False) -> Minimal:
        """Read a minimal file.  Raises UsageError if it is missing, cut, changed or of another schema.

        Args: stream: a FIFO or a pipe will do too, for a person named it.
        """
        return cls.parse(files.read_whole(path, BYTES_MAX, what="minimal file", try_=AGAIN, stream=stream), str(path))

    @classmethod
    def parse(cls, content: bytes, where: str) -> Minimal:
        """Read a minimal file's content.  Args: where: it comes from, for errors.  Raises UsageError."""
        plain = decode(content, dict[str, Any], what=WHAT, where=where, try_=AGAIN)
        if plain.get("schema") != SCHEMA:
            raise UsageError(
                expected=f"the schema {SCHEMA}",
                got=plain.get("schema"),
                where=where,
                try_="the mmrace that wrote it, or a file that `mmrace minimise` wrote",
            )
        typed = converted(plain, _File, what=WHAT, where=where, try_=AGAIN)
        record = Record.parse(
            "".join(f"{line}\n" for line in typed["record"]).encode("utf-8", "surrogatepass"), f"{where}, record"
        )
        kept: dict[str, Any] = {part.name: typed.get(part.name, "") for part in fields(cls)}
        made = cls(**{**kept, "finding": Finding(**typed["finding"]), "record": record})
        _check(made, typed["signature"], where)
        return made


def is_minimal(path: Name) -> bool:
    """Say whether a file is named as a minimal file is; what is in it, `Minimal.read` says."""
    return Path(path).suffix == ".json"


def _check(made: Minimal, signature: str, where: str) -> None:
    """Raise UsageError for parts that do not belong together."""
    found = [finding["signature"] for finding in made.record.verdict.get("findings", ())]
    if not made.signature == signature or signature not in found:
        raise _torn(
            f"one signature in signature, finding and record ({', '.join(found) or 'no finding'})", signature, where
        )
    for key, said in (*((name, getattr(made.spec, name)) for name in OF_THE_RUN), ("given", dict(made.spec.params))):
        if made.record.header.get(key) != said:
            raise _torn(f"{key} of the record in its spec: {made.record.header.get(key)!r}", said, where)
    if made.spec.era not in ("", made.era) or made.era != made.record.header.get("era", ""):
        raise _torn(f"the era of the record in it: {made.record.header.get('era')!r}", made.spec.era or made.era, where)
    for op in (op for ordering in made.causal for op in (ordering.first, ordering.second)):
        if not _has(made.record, op):
            raise _torn("causal orderings of ops of the record", f"event {op.event} of {op.task}", where)
    _check_proof(made, where)
    if (len(made.schedule.turns), len(made.schedule.choices)) != (made.shrunk.after.turns, made.shrunk.after.choices):
        raise _torn("as many turning points and choices as it was shrunk to", len(made.schedule.turns), where)


def _check_proof(made: Minimal, where: str) -> None:
    """Raise UsageError for a proof of something else."""
    proof = made.proof
    if proof is None:
        return
    placed: list[Point | NoReturn] = [*proof.points, *([proof.no_return] if proof.no_return else [])]
    counted: list[Point | NoReturn | Swap] = [*placed, *proof.swaps]
    if any(part.fails + (part.others if isinstance(part, Swap) else 0) > part.of for part in counted):
        raise _torn("a proof with no more failures than runs", "more of them", where)
    for op in (part.after for part in placed):
        if op is not None and not _has(made.record, op):
            raise _torn("a proof of ops of the record", f"event {op.event} of {op.task}", where)
    if any(swap.causal >= len(made.causal) for swap in proof.swaps):
        raise _torn(f"swaps of {len(made.causal)} causal orderings", max(swap.causal for swap in proof.swaps), where)


def _has(record: Record, op: Op) -> bool:
    events = record.events
    return op.event < len(events) and events[op.event][1] != NOTE and record.task_name(events[op.event][0]) == op.task


def _torn(expected: str, got: object, where: str) -> UsageError:
    return UsageError(expected=expected, got=got, where=where, try_=AGAIN)
