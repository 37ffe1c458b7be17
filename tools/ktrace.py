"""Parser of ftrace text: one line in, one :class:`Event` out.

Purpose: read the logs (plain or ``.xz``) that kprobes on the page-migration path leave, so that
``ktrace_workload.py`` can tell who did what to which page, in which order.

Invariant kept: events come out in file order, which is the order the kernel logged them in (two CPUs in
the same microsecond included), each with the number of its line; a line that is neither a header, blank,
nor an event is never dropped in silence: it is counted and reported.

Not checked: the meaning of the arguments, and the flags column.  The latter is skipped on purpose: under an
int3 kprobe it shows ``Z`` and a preempt depth that is off by one, so nothing can be concluded from it; and
the task of an interrupt's line is the interrupted one, so callers must not take it for the actor.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["BadLine", "Event", "Trace", "TraceError", "parse_line", "read_lines", "read_trace"]

PAGE_SHIFT = 12
FOLIO_BASE = 0xFFD4000000000000
FOLIO_SIZE = 64

_LINE = re.compile(
    r"\s*(?P<task>\S.*)-(?P<pid>\d+)\s+"  # greedy: the last -PID before [cpu]; names hold spaces and dashes
    r"(?:\(\s*[\d-]+\)\s+)?"  # the TGID column, when record-tgid is on
    r"\[(?P<cpu>\d+)\]\s+"
    r"(?:(?P<flags>[^\s:]+)\s+)?"  # absent with irq-info off
    r"(?P<sec>\d+)\.(?P<frac>\d{6,9}):\s+"
    r"(?P<name>[A-Za-z_]\w*):(?:\s+(?P<rest>.*))?$"
)
_PROBE_SITE = re.compile(r"\(\S+?\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[\w+\])?\)\s*")
_KEY_VALUE = re.compile(r"(\w+)=(\S*)")
_KEY_SPACE_VALUE = re.compile(r"\b(dev|bdi|ino|transaction|page_index) ([0-9A-Fa-f]+(?:[:,][0-9]+)?)")
_LOST = re.compile(r"\bLOST\b.*\bEVENTS?\b", re.IGNORECASE)


class TraceError(Exception):
    """A log that cannot be read as it is; the text says where and what to try."""


@dataclass(frozen=True, slots=True)
class Event:
    """One logged event.  ``args`` keeps the text of each value, since bases differ by event."""

    line: int
    task: str
    pid: int
    cpu: int
    t_us: int
    name: str
    args: dict[str, str]

    @property
    def who(self) -> str:
        """Name and pid: several tasks may share a name."""
        return f"{self.task}-{self.pid}"

    def num(self, key: str) -> int:
        """The argument as a number, ``0x`` or decimal."""
        return self._number(key, 0)

    def hexnum(self, key: str) -> int:
        """The argument as a number that is hexadecimal even without ``0x`` (filemap events' ``ino c``)."""
        return self._number(key, 16)

    def _number(self, key: str, base: int) -> int:
        text = self.args.get(key)
        try:
            return int(text if text is not None else "", base)
        except ValueError:
            got = "no such argument" if text is None else repr(text)
            raise TraceError(
                f"line {self.line}: {self.name}: expected a number (base {base or 'auto'}) for {key!r}, "
                f"got {got}; try a log recorded with the probe definitions this reader knows"
            ) from None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no event: its number, what was wrong, and its beginning."""

    line: int
    why: str
    text: str


@dataclass(slots=True)
class Trace:
    """All events of a log in file order, and the lines that had to be skipped."""

    events: list[Event] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    lines: int = 0


def parse_line(text: str, line: int) -> Event | None:
    """One line of ftrace text as an event; None for a header or a blank line; TraceError for the rest."""
    stripped = text.strip()
    if not stripped or stripped.startswith("#"):
        return None
    if _LOST.search(stripped):
        raise TraceError(f"line {line}: events were lost here")
    match = _LINE.match(text.rstrip("\r\n"))
    if match is None:
        raise TraceError(f"line {line}: expected 'TASK-PID [CPU] FLAGS SECONDS.MICROS: EVENT: ...'")
    t_us = int(match["sec"]) * 1_000_000 + int(match["frac"][:6])
    return Event(
        line, match["task"], int(match["pid"]), int(match["cpu"]), t_us, match["name"], _arguments(match["rest"] or "")
    )


def _arguments(rest: str) -> dict[str, str]:
    """``key=value`` pairs, and the ``key value`` ones that tracepoints use for devices and inodes."""
    probe = _PROBE_SITE.match(rest)
    if probe is not None:
        return dict(_KEY_VALUE.findall(rest[probe.end() :]))
    args = dict(_KEY_SPACE_VALUE.findall(rest))
    args.update(_KEY_VALUE.findall(rest))
    return args


def read_lines(lines: Iterable[str], *, max_bad: int = 0, where: str = "the log") -> Trace:
    """Parse all lines.  More than `max_bad` lost or garbled ones is an error that counts them."""
    trace = Trace()
    for number, text in enumerate(lines, start=1):
        trace.lines = number
        try:
            event = parse_line(text, number)
        except TraceError as error:
            trace.bad.append(BadLine(number, str(error), text.strip()[:80]))
            continue
        if event is not None:
            trace.events.append(event)
    if len(trace.bad) > max_bad:
        first = trace.bad[0]
        raise TraceError(
            f"{where}: {first.why}, got {first.text!r}; skipped {len(trace.bad)} of {trace.lines} lines, "
            f"allowed {max_bad}; try --max-bad {len(trace.bad)} if the gap does not matter, or cut the log"
        )
    return trace


def read_trace(path: Path, *, max_bad: int = 0) -> Trace:
    """Read a log file, ``.xz`` or plain text."""
    try:
        return read_lines(_text_of(path), max_bad=max_bad, where=path.name)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise TraceError(f"{path.name}: expected an ftrace log, plain or .xz, got {error}; try another file") from error


def _text_of(path: Path) -> Iterator[str]:
    if path.suffix == ".xz":
        with lzma.open(path, "rt", encoding="utf-8", errors="replace") as packed:
            yield from packed
    else:
        with path.open(encoding="utf-8", errors="replace") as plain:
            yield from plain
