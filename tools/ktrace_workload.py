"""Turn an ftrace log of the page-migration path into a recorded workload.

Purpose: ``python tools/ktrace_workload.py TRACE.txt[.xz] -o OUT.json`` takes the densest interesting part of
a log and writes which pages and buffers were dirtied, written back, committed, migrated and reclaimed there,
in which order and how close together.

Invariant kept: the output depends on the log and the options only (same input, same bytes), and passes
``ktrace_schema.check_workload``.

Not checked: how representative the chosen part is; rates and orders of a log are meaningful, durations of a
slow virtual machine are not.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if not __package__:  # run as a script: the modules beside it are found from the checkout's top
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmrace.runtime import files
from mmrace.scenarios.workload import SCHEMA
from tools.ktrace import Trace, TraceError, read_trace
from tools.ktrace_schema import Workload, check_workload, to_text
from tools.ktrace_select import NEAR_US, Choice, choose
from tools.ktrace_stories import BUFFERS, Action, Key, Stories, tell

PAGES = 12
ACTIONS = 160
READ_LEAD_US = 50
"""How long before a migration that found the page locked the read is taken to have begun: part of a transfer."""

READS = (
    "Reads: {} inferred, one for each migration that was refused at the page's lock, since who reads a page from the "
    "disk holds it; the log does not show who did."
)


def convert(
    trace: Trace,
    *,
    trace_name: str,
    name: str,
    kernel: str = "unknown",
    pages: int = PAGES,
    actions: int = ACTIONS,
    inferred: bool = True,
) -> tuple[Workload, str]:
    """The workload of a parsed log, and a report of what was chosen and what was dropped."""
    stories = tell(trace.events)
    choice = choose(stories.actions, pages=pages, limit=actions, inferred=inferred)
    if choice is None:
        raise TraceError(
            f"{trace_name}: expected actions that meet on a file page within {NEAR_US} us, got none in "
            f"{len(stories.actions)} actions of {len(trace.events)} events; "
            f"dropped: {dict(stories.dropped)}; try a longer log"
        )
    numbers = {key: number for number, key in enumerate(choice.pages)}
    start = choice.actions[0].begin_us
    rows = [_row(action, numbers, start, inferred) for action in choice.actions]
    reads = inferred_reads(rows) if inferred else []
    rows = sorted([*reads, *rows], key=lambda row: (row["begin_us"], row["end_us"]))
    workload: Workload = {
        "schema": SCHEMA,
        "name": name,
        "source": {
            "trace": trace_name,
            "kernel": kernel,
            "first_line": min(action.first_line for action in choice.actions),
            "last_line": max(action.last_line for action in choice.actions),
            "note": f"{_note(choice, inferred)} {READS.format(len(reads))}",
        },
        "pages": [
            {"page": number, "ino": ino, "index": index, "buffers": BUFFERS} for (ino, index), number in numbers.items()
        ],
        "actions": rows,
    }
    problems = check_workload(workload)
    if problems:
        raise TraceError(
            f"{trace_name}: the workload made of it is inconsistent: {problems[0]}; "
            f"{len(problems)} problems in all; try other --pages or --actions"
        )
    return workload, _report(workload, trace, stories, choice)


def inferred_reads(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a read for each migration that was refused at the page's lock: who held it, the log does not show."""
    return [
        {
            "do": "read",
            "begin_us": max(0, row["begin_us"] - READ_LEAD_US),
            "end_us": row["end_us"],
            "page": row["page"],
        }
        for row in rows
        if row.get("reason") == "page-lock"
    ]


def _row(action: Action, numbers: dict[Key, int], start: int, inferred: bool) -> dict[str, Any]:
    """One action in the file's form."""
    begin, end = action.begin_us - start, action.end_us - start
    row: dict[str, Any] = {"do": action.do, "begin_us": begin, "end_us": end}
    touched = [numbers[key] for key in action.keys(inferred=inferred) if key in numbers]
    if action.do == "commit":
        row["pages"] = touched
        return row
    row["page"] = touched[0]
    if action.do == "dirty":
        row["buffers"] = action.buffers()
    if action.mode:
        row["mode"] = action.mode
    if action.outcome:
        row["outcome"] = action.outcome
    if action.reason:
        row["reason"] = action.reason
    return row


def _commit_pages(choice: Choice, inferred: bool) -> tuple[int, int]:
    """How many (commit, page) touches were seen, and how many are inferred."""
    seen = total = 0
    wanted = set(choice.pages)
    for action in choice.actions:
        if action.do == "commit":
            seen += len(wanted.intersection(action.keys(inferred=False)))
            total += len(wanted.intersection(action.keys(inferred=inferred)))
    return seen, total - seen


def _note(choice: Choice, inferred: bool) -> str:
    """How the parts that are not plainly in the log were obtained."""
    dirty = [action for action in choice.actions if action.do == "dirty"]
    listed = sum(bool(action.ring is not None and action.ring.listed) for action in dirty)
    seen, guessed = _commit_pages(choice, inferred)
    return (
        f"Times are relative to the first action. Commit pages: {seen} seen (the commit waited for their "
        f"writeback or submitted it), {guessed} inferred (a writeback allocated their delayed blocks in that "
        f"transaction). Buffer indexes: {listed} of {len(dirty)} dirtyings by the order of the whole buffer "
        "ring, the rest with the head as 0 and the others by first appearance. A reclaim may be a cache drop "
        "or a truncation."
    )


def _report(workload: Workload, trace: Trace, stories: Stories, choice: Choice) -> str:
    """What was chosen, counts per kind, tasks, meetings, and what was dropped."""
    source = workload["source"]
    kinds = Counter(action.do for action in choice.actions)
    ends = Counter(
        " ".join(filter(None, (a.do, a.mode, a.outcome, a.reason)))
        for a in choice.actions
        if a.do in ("migrate", "reclaim")
    )
    tasks = Counter(f"{a.do} by {a.task}" for a in choice.actions)
    met = Counter({f"{one}+{other}": count for (one, other), count in choice.meetings.items()})
    lines = [
        f"{workload['name']}: lines {source['first_line']}..{source['last_line']} of {source['trace']}, "
        f"a window of {choice.window_us} us, {len(choice.pages)} pages, {len(choice.actions)} actions "
        f"(log: {len(trace.events)} events, {len(stories.actions)} complete actions)",
        f"  pages (ino, index): {' '.join(f'{ino}:{index}' for ino, index in choice.pages)}",
        f"  kinds: {_counts(kinds)}",
        f"  ends: {_counts(ends)}",
        f"  tasks: {_counts(tasks)}",
        f"  meetings: {choice.meetings.total()} ({_counts(met)}), score {choice.score[0]}",
        f"  {source['note']}",
        f"  dropped in the whole log: {_counts(stories.dropped)}; skipped lines: {len(trace.bad)}",
        f"  doubts: {_counts(stories.doubts)}",
    ]
    return "\n".join(lines)


def _counts(counter: Counter[str]) -> str:
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{key} {count}" for key, count in ordered) or "none"


def _arguments(argv: Sequence[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(prog="ktrace_workload.py", description="Record a workload from an ftrace log.")
    parser.add_argument("trace", type=Path, help="ftrace text, plain or .xz")
    parser.add_argument("--kernel", default="unknown", help="kernel release of the log, noted in the output")
    parser.add_argument("--pages", type=int, default=PAGES, help="most pages to take (default %(default)s)")
    parser.add_argument("--actions", type=int, default=ACTIONS, help="most actions (default %(default)s)")
    parser.add_argument("--name", help="name of the workload (default: the log's)")
    parser.add_argument("--max-bad", type=int, default=0, help="lost or garbled lines to accept (default 0)")
    parser.add_argument(
        "--seen-only", action="store_true", help="leave out the commit pages that are inferred from delayed allocation"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    return parser, parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; 0 written, 1 the log cannot be converted, 2 usage."""
    parser, args = _arguments(argv)
    for option, value, least in (
        ("--pages", args.pages, 1),
        ("--actions", args.actions, 2),
        ("--max-bad", args.max_bad, 0),
    ):
        if value < least:
            parser.error(f"{option}: expected at least {least}, got {value}")
    if not args.trace.is_file():
        parser.error(f"TRACE: expected a log file, got {str(args.trace)!r}; try a path to a .txt or .txt.xz")
    if not args.output.parent.is_dir():
        parser.error(
            f"-o: expected a file in an existing directory, got {str(args.output)!r}; try to create the directory first"
        )
    plain = args.trace.name.removesuffix(".xz").removesuffix(".txt")
    try:
        trace = read_trace(args.trace, max_bad=args.max_bad)
        workload, report = convert(
            trace,
            trace_name=args.trace.name,
            name=args.name or plain,
            kernel=args.kernel,
            pages=args.pages,
            actions=args.actions,
            inferred=not args.seen_only,
        )
    except TraceError as error:
        print(f"ktrace_workload.py: {error}", file=sys.stderr)
        return 1
    files.write_whole(args.output, [to_text(workload)])
    print(report)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
