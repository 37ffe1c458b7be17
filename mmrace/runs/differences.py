"""What a replay that did every recorded op shows otherwise: notes, sites, how it ended, and what the header says.

A strict replay stops at the first op that differs (`replay.py`).  What a file says beside its ops is compared here, as
it is written: events with their notes, tasks, lanes, the end, the final state, marks, and each key of the header.
Invariant: whatever a record has of its run is the same in the new one, or told.  Not compared: `APART`, the verdict,
which is judged anew, and keys that this mmrace does not write.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import WITHOUT_TABLES, Record
from mmrace.runtime.record_file import SUM
from mmrace.runtime.wording import event_text
from mmrace.version import __version__

APART = frozenset({"host", "engine", "load", "loaded", SUM})
"""Keys of the header that no new run shows: where it ran, which of two engines that do the same, and which files were
there: those of a strategy (`drawn.py`), and of judges that are asked now only; each is compared by its digest when
loaded.  That all but `host` are what was written, the sum of the header says."""
OF_VERSION = frozenset({"tables", "era", "model", "strategy and seed", "profile", "corpus"})
"""What another version of mmrace, or of the model, may have otherwise for the same ops."""
SHOWN_CHARACTERS = 160
_NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a record says, and that is not so.  `recorded`, `now`: as JSON, or in words."""

    what: str
    recorded: str
    now: str

    @property
    def subject(self) -> str:
        """What it is about: a part of the record, or a key of its header."""
        return self.what.removeprefix("header ").partition(".")[0]

    def __str__(self) -> str:
        return f"{self.what}: recorded {self.recorded}, now {self.now}"


def differences(recorded: Record, now: Record) -> list[Difference]:
    """Return what differs, the first event only.  Args: now: the replay, with sites."""
    sites = _first("site of event", recorded.sites, now.sites) if recorded.sites else ()
    return [*of_events(recorded, now), *sites, *_tasks(recorded, now), *_tail(recorded, now), *_header(recorded, now)]


def is_of_another_version(record: Record) -> bool:
    """Say whether another mmrace made a record, or one that did not say which it was."""
    host = record.header.get("host")
    version = host.get("mmrace") if isinstance(host, Mapping) else None
    return version != __version__ or "given" not in record.header


def between(what: str, recorded: object, now: object) -> Iterator[Difference]:
    """Yield the places at which two JSON values differ, part by part."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        for key in sorted(recorded.keys() | now.keys(), key=str):
            if key not in recorded or key not in now:
                sides = [_text(side[key]) if key in side else _NOTHING for side in (recorded, now)]
                yield Difference(f"{what}.{key}", *sides)
            else:
                yield from between(f"{what}.{key}", recorded[key], now[key])
    elif isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
        for number, pair in enumerate(zip(recorded, now, strict=True)):
            yield from between(f"{what}[{number}]", *pair)
    elif _exact(recorded) != _exact(now):
        yield Difference(what, _text(recorded), _text(now))


def of_verdicts(recorded: Record, now: Record) -> Iterator[Difference]:
    """Yield what two judgements of the same run differ in; judges that only one of them asked do not count."""
    before, after = _plain(recorded.verdict), _plain(now.verdict)
    if before:
        checked = [side.get("checked") for side in (before, after)]
        if all(isinstance(side, dict) for side in checked):
            both = checked[0].keys() & checked[1].keys()
            before["checked"], after["checked"] = ({name: side[name] for name in both} for side in checked)
        if "claim" not in after:  # nobody here judges claims
            before.pop("claim", None)
        yield from between("verdict", before, {key: value for key, value in after.items() if key in before})


def of_events(recorded: Record, now: Record) -> Iterator[Difference]:
    """Yield the first event that differs, then the first set of enabled tasks, and stamps."""
    for step, (want, got) in enumerate(zip_longest(map(_exact, recorded.plain()), map(_exact, now.plain()))):
        if want != got:
            sides = [_NOTHING if step >= len(side.events) else _said(side, step) for side in (recorded, now)]
            yield Difference(f"event {step}", *sides)
            break
    masks = [side.masks[: sum(event[1] != NOTE for event in side.events)] for side in (recorded, now)]
    yield from _first("enabled tasks", *masks)  # in memory there may be one more, of the op that was not done
    yield from _first("stamps", recorded.stamps, now.stamps)


def _first(what: str, recorded: Iterable[object], now: Iterable[object]) -> Iterator[Difference]:
    for number, (was, is_) in enumerate(zip_longest(recorded, now, fillvalue=_NOTHING)):
        if _exact(was) != _exact(is_):
            yield Difference(f"{what} {number}", _text(was), _text(is_))
            return


def _said(record: Record, step: int) -> str:
    return _short(json.dumps(event_text(record.events[step], record)))


def _tasks(recorded: Record, now: Record) -> Iterator[Difference]:
    for number, (was, is_) in enumerate(zip_longest(recorded.tasks, now.tasks)):
        yield from between(f"task {number}", was, is_)
    for lane, entry in recorded.table.items():
        yield from between(f"lane {lane}", _plain(entry), _plain(now.table.get(lane)))


def _tail(recorded: Record, now: Record) -> Iterator[Difference]:
    end = _plain(recorded.end)
    yield from between("end", end, _plain(now.end) if recorded.sites else _unsited(_plain(now.end), end))
    yield from between("final", _plain(recorded.final), _plain(now.final))
    yield from between("marks", _plain(recorded.marks), _plain(now.marks))


def _unsited(now: Any, recorded: Any) -> Any:
    """Return how a run ended without the sites that a record which kept none cannot have."""
    if isinstance(now, dict) and isinstance(recorded, dict):
        return {
            key: None if key in ("at", "taken_at") and recorded.get(key) is None else _unsited(part, recorded.get(key))
            for key, part in now.items()
            if key in recorded or key not in ("at", "taken_at")
        }
    if isinstance(now, list) and isinstance(recorded, list) and len(now) == len(recorded):
        return [_unsited(*pair) for pair in zip(now, recorded, strict=True)]
    return now


def _header(recorded: Record, now: Record) -> Iterator[Difference]:
    before, after = _plain(recorded.header), _plain(now.header)
    if recorded.schema not in WITHOUT_TABLES:
        after["tables"] = _plain(now.tables.plain())
    if recorded.altered:
        yield Difference("header sum", _text(before[SUM]), f"{_text(recorded.altered)}: the header was edited")
    for path in sorted(before.get("loaded", {}).keys() - {*before.get("load", ())}):
        yield Difference(f"header loaded.{path}", _text(before["loaded"][path]), "no file that the run loaded")
    older = is_of_another_version(recorded)
    if "given" not in before and isinstance(before.get("params"), dict):  # it may list those of other programs
        before["params"] = {key: value for key, value in before["params"].items() if key in after["params"]}
    for key, value in after.items():
        if key in APART or (key not in before and (value is None or older)):
            continue
        for difference in between(key, before.get(key), value):
            yield Difference(f"header {difference.what}", difference.recorded, difference.now)


def _plain(value: object) -> Any:
    """Return a value as it is read from a file."""
    return json.loads(json.dumps(Record.name(value), default=str))


def _exact(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _text(value: object) -> str:
    return value if value is _NOTHING else _short(_exact(value))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."
