"""The file of a record: its schema as types, and the one reader of it.

What a line must hold is written down here as a type; RECORD.md says what it means.  Invariant: what `read` returns is
consistent in itself: every id is of a task that there is, every op has its lane and an outcome of its kind, and either
every op has its place in the order or none has; so nobody who works from it has to ask again.  Not checked: whether a
run could have gone so, or names exist (a strict replay and the judges say that).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Required, TypeAlias, TypedDict

from msgspec import Meta

from mmrace.runtime import files
from mmrace.runtime.decoding import (
    COUNT_MAX,
    DEPTH_MAX,
    ERRORS,
    Count,
    check_depth,
    converted,
    decode,
    decoder,
    malformed,
)
from mmrace.runtime.errors import UsageError
from mmrace.runtime.files import MIB, Name
from mmrace.runtime.kinds import NOTE, SHIFT, Kind

SCHEMA = "mmrace-record/3"
REPLAYABLE = ("mmrace-record/2", SCHEMA)
"""The schemas whose ops are those that programs do now, so that a strict replay can follow them."""
READABLE = ("mmrace-record/1", *REPLAYABLE)
"""Every schema that was ever written; what changed is in RECORD.md."""
WITHOUT_TABLES = ("mmrace-record/1", "mmrace-record/2")
"""The schemas whose headers carry no tables: the reader supplies those of the time."""

BYTES_MAX = 128 * MIB  # some million and a half of ops; read, a record takes six times as much memory
CPUS_MAX = 1024
LANES_MAX = 1 << 40  # an op's code still fits into one machine word
NOTES_ON_LANES = ("retire", "rename", "hand-over")
"""Kinds of notes whose first fact is a lane."""

SUM = "sum"
"""The key of the header that has the hash of the others, so that an edited one is told from what was written."""
OUTSIDE_SUM = (SUM, "host")
SUM_BYTES = 8

AGAIN = "copy it again from where it was saved"
NO_RECORD = "what `mmrace run --record FILE` wrote, or the folder of a finding: this looks like no record at all"

Event: TypeAlias = tuple[Any, ...]
Stamp: TypeAlias = tuple[int, int]  # number of an op under `free`, and of the op before it on the same object (0: none)
LaneEntry: TypeAlias = tuple[str, str, str, str]  # class, owner's name, field, sub-name

_Lane: TypeAlias = Annotated[int, Meta(ge=0, lt=LANES_MAX)]
_Value: TypeAlias = bool | int | str


class _Task(TypedDict, total=False):
    id: Required[Count]
    name: Required[str]
    cpu: Count | None
    daemon: bool


class _Followed(TypedDict):
    done: Count
    of: Count
    what: str
    left: list[str]


class _Header(TypedDict, total=False):
    """Keys that others go by.  A record made without a program has only the required ones."""

    schema: Required[str]
    tasks: Required[list[_Task]]
    lanes: Required[dict[_Lane, LaneEntry]]
    maker: str
    program: str
    scenario: str
    digest: str
    params: dict[str, _Value]
    given: dict[str, _Value] | None
    variant: str
    era: str
    model: str
    engine: Literal["gate", "fiber", "free"]
    strategy: str | None
    load: list[str]
    loaded: dict[str, str]
    without: list[str]
    noise: str | None
    seed: int
    workload: str | None
    ncpus: Annotated[int, Meta(ge=1, le=CPUS_MAX)]
    promoted: list[str] | None
    explored: tuple[Count, Count] | None
    profile: str | None
    corpus: str | None
    followed: _Followed | None
    claim: str
    host: dict[str, str]
    sum: str


class _Finding(TypedDict, total=False):
    oracle: str
    rule: str
    title: str
    facts: dict[str, Any]
    signature: Required[str]
    known: str


class _Verdict(TypedDict, total=False):
    verdict: Literal["PASS", "FAIL", "UNKNOWN"]
    findings: list[_Finding]
    checked: dict[str, Count]


class _End(TypedDict, total=False):
    how: str
    detail: dict[str, Any]


class _Tail(TypedDict):
    end: _End
    final: dict[str, Any]
    marks: dict[str, Count]
    verdict: _Verdict
    events: Count


# task, kind, lane, a, b, site, order; the order's bounds are checked below, since a union of a bounded number and a
# tuple of fixed length is what msgspec (0.23) mistakes
_event = decoder(tuple[Count, str, _Lane | None, Any, Any, str | None, int | list[int] | None])


# -- outcomes: what a and b must be, where somebody counts on it ------------------------------------------------------


def _is_int(value: object) -> bool:
    return type(value) is int


def _chosen(a: object, b: object) -> bool:
    return isinstance(a, int) and isinstance(b, int) and 0 <= b < a < LANES_MAX


def _woken(a: object, b: object) -> bool:
    return _is_int(a) and isinstance(b, list) and all(map(_is_int, b))


_OUTCOMES: dict[Kind, Callable[[object, object], bool]] = {
    Kind.CHOOSE: _chosen,
    Kind.WAKE: _woken,
    Kind.SPAWN: lambda a, b: _is_int(a),
    Kind.JOIN: lambda a, b: a is None or _is_int(a),
    Kind.GET: lambda a, b: _is_int(b),
    Kind.PUT: lambda a, b: _is_int(b),
    Kind.GET_UNLESS_ZERO: lambda a, b: _is_int(b),
    Kind.FREEZE: lambda a, b: _is_int(a),
    Kind.UNFREEZE: lambda a, b: _is_int(a),
    Kind.COUNT: lambda a, b: _is_int(a),
    Kind.ADD: lambda a, b: _is_int(a) and _is_int(b),
}
_KINDS = {kind.name: (int(kind), _OUTCOMES.get(kind)) for kind in Kind}


def _check_note(lane: int | None, kind: object, facts: object, order: object) -> None:
    if lane is not None or not isinstance(kind, str) or not isinstance(facts, list) or isinstance(order, int):
        raise ValueError("a note of another shape than [task, NOTE, null, kind, [facts], site, null]")
    if kind in NOTES_ON_LANES and facts and not (_is_int(facts[0]) and 0 <= facts[0] < LANES_MAX):
        raise ValueError(f"{kind} of no lane")


# -- reading --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RecordFile:
    """A file, read: the parts of a record."""

    header: dict[str, Any]
    tasks: list[dict[str, Any]]
    table: dict[int, LaneEntry]
    tail: dict[str, Any]
    events: list[Event] = field(default_factory=list)
    sites: list[str | None] = field(default_factory=list)
    masks: list[int] = field(default_factory=list)
    stamps: list[Stamp] = field(default_factory=list)
    altered: str = ""


def sum_of(header: Mapping[str, Any]) -> str:
    """Return the hash of what a header says, whatever the order of its keys; where it ran does not count."""
    summed = {key: value for key, value in header.items() if key not in OUTSIDE_SUM}
    text = json.dumps(summed, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=SUM_BYTES).hexdigest()


def read(path: Name, *, stream: bool) -> RecordFile:
    """Read a record file.  Raises UsageError that names the file, the line, and what is wrong there."""
    try_ = "the path that the run printed"
    return parse(files.read_whole(path, BYTES_MAX, what="record file", try_=try_, stream=stream), str(path))


def parse(content: bytes, where: str) -> RecordFile:
    """Take a record file's content apart.  Args: where: it comes from.  Raises UsageError, see `read`."""
    first, last = content.find(b"\n"), content.rfind(b"\n", 0, -1)
    if first < 0 or last < first:
        first = last = len(content)
    made = _header(content[:first], f"{where}, line 1")
    lines = content.count(b"\n", 0, last + 1)
    tail_at = f"{where}, line {lines + 1}"
    what = "a verdict line, the last one of a record"
    tail = decode(content[last + 1 :], dict[str, Any], what=what, where=tail_at, try_=AGAIN)
    converted(tail, _Tail, what=what, where=tail_at, try_=AGAIN)
    if tail["events"] != lines - 1:
        raise UsageError(
            expected=f"{lines - 1} events and a verdict line that says so",
            got=f"{tail['events']}, in a file that was cut or changed",
            where=tail_at,
            try_=AGAIN,
        )
    made.tail = tail
    body = content[first + 1 : last + 1]
    del content
    _events(made, body, where)
    return made


def _header(line: bytes, where: str) -> RecordFile:
    what = f"the header of a record ({SCHEMA})"
    try_ = AGAIN if line.lstrip().startswith(b"{") else NO_RECORD
    header = decode(line, dict[str, Any], what=what, where=where, try_=try_)
    if header.get("schema") not in READABLE:
        raise UsageError(
            expected=f"a schema out of {', '.join(READABLE)}",
            got=header.get("schema"),
            where=where,
            try_="read it with the mmrace that wrote it",
        )
    typed = converted(header, _Header, what=what, where=where, try_=AGAIN)
    now = sum_of(header)
    tasks = header.pop("tasks")
    for i, row in enumerate(tasks):
        if row["id"] != i:
            raise UsageError(expected=f"task {i} in its place", got=row["id"], where=f"{where}: tasks", try_=AGAIN)
    del header["lanes"]
    return RecordFile(header, tasks, typed["lanes"], {}, altered=now if header.get(SUM, now) != now else "")


def _events(made: RecordFile, body: bytes, where: str) -> None:
    """Read the lines of the events into `made`."""
    enter, tasks, masks, stamps, sites = made.events.append, len(made.tasks), made.masks, made.stamps, made.sites
    same: dict[str | None, str | None] = {}  # a run has few sites, each many times
    kinds, plain = _KINDS, 2 * DEPTH_MAX
    number, ops = 1, 0
    try:
        for line in io.BytesIO(body):
            number += 1
            if len(line) > plain:
                check_depth(line)
            task, kind, lane, a, b, site, order = _event(line)
            if task >= tasks:
                raise ValueError(f"task {task} of {tasks}")
            if kind == "NOTE":
                _check_note(lane, a, b, order)
                enter((task, NOTE, a, b))
            else:
                known = kinds.get(kind)
                if known is None:
                    raise ValueError(f"an unknown kind of op: {kind!r}")
                if lane is None:
                    raise ValueError("an op without a lane")
                if known[1] is not None and not known[1](a, b):
                    raise ValueError(f"an outcome that {kind} cannot have: {a!r}, {b!r}")
                ops += 1
                enter((task, lane << SHIFT | known[0], a, b))
            sites.append(same.setdefault(site, site))
            if order is None:
                continue
            if type(order) is int:
                if order < 0 or order >> tasks:
                    raise ValueError(f"a set of enabled tasks with others than the {tasks} that there are")
                masks.append(order)
            else:
                now, before = order  # one op's number, and that of the one before it
                if not 0 <= before <= now <= COUNT_MAX:
                    raise ValueError(f"stamps {order}")
                stamps.append((now, before))
    except (*ERRORS, ValueError) as error:
        what = "an event, as RECORD.md has it"
        raise malformed(error, what=what, where=f"{where}, line {number}", try_=AGAIN) from error
    if (masks and (stamps or len(masks) != ops)) or (stamps and len(stamps) != len(made.events)):
        raise UsageError(
            expected="the order beside each event, or beside none",
            got=f"{len(masks)} sets of enabled tasks and {len(stamps)} stamps for {ops} ops",
            where=where,
            try_=AGAIN,
        )
    if same.keys() <= {None, ""}:
        made.sites = []
