"""What commands do with a run of free threads: have it made again under control."""

from __future__ import annotations

from pathlib import Path

from mmrace import installed
from mmrace.cli import options as shared
from mmrace.cli import terminal
from mmrace.report import converted
from mmrace.runs.source import Source
from mmrace.runs.spec import RunResult
from mmrace.runs.store import placed
from mmrace.runtime import files
from mmrace.runtime.errors import EXIT_OF, UsageError
from mmrace.runtime.record import Record

CONTROLLED = "controlled"
"""What the name of a record has that was made after one of free threads: race.jsonl, race.controlled.jsonl."""


def replay_free(source: Source, load: tuple[str, ...], seconds: float | None, out: str | None) -> int:
    """Do again what free threads did, and tell; return the exit code.

    Args: seconds: of search; None: follow only.  out: where the controlled record goes; None: nowhere.
    """
    if out is not None:
        with shared.writing("record", "--record", out):
            files.check_writable(out)
    found = installed.again(source.record, source.path, load, seconds=seconds or 0.0, signature=source.signature)
    if found.result is not None:
        found.result = placed(found.result, Path(source.path))
        if out is not None and found.result.record is not None:
            with shared.writing("record", "--record", out):
                found.result.record.write(out)
    converted.show_again(found, terminal.console(), record=out or "")
    return EXIT_OF[found.verdict]


def controlled(
    source: Source, signature: str, seconds: float | None, load: tuple[str, ...], wish: str
) -> tuple[Record, str]:
    """Return the record of a run under control that fails as free threads did, and the signature of its finding.

    Args: seconds: of search; None: follow only.  wish: what the schedule is wanted for.  Raises UsageError.
    """
    again = installed.again(source.record, source.path, load, seconds=seconds or 0.0, signature=signature)
    record = again.result.record if again.result is not None and again.verdict == "FAIL" else None
    if record is None:
        raise UsageError(
            expected=f"a failure of free threads that comes again under control, which alone has a schedule to {wish}",
            got=f"none in {seconds or 0:g} s of search",
            where=source.path,
            try_="a longer --budget, or mmrace explore of the same program",
        )
    found = [str(finding["signature"]) for finding in record.verdict.get("findings", ())]
    return record, signature if signature in found else found[0]


def beside(result: RunResult, record: str, seconds: float | None) -> list[str]:
    """Make a failed run of free threads again under control, keep that beside its record; say what came of it.

    Args: record: the file of the free one; beside a pipe or a device nothing is made.  seconds: of search; None: none.
    """
    if not Path(record).is_file():
        return []
    signatures = [finding.signature for finding in result.findings if not finding.known]
    if result.spec.engine != "free" or result.record is None or seconds is None or not signatures:
        return []
    made = installed.convert(result, signatures, seconds=seconds)
    lines = converted.made_lines(made, {finding.signature: finding.title for finding in result.findings})
    written: set[int] = set()
    for run in made.values():
        if run.conversion is None or not run.conversion.came or run.record is None or id(run.record) in written:
            continue
        name = Path(record)
        out = name.with_name(f"{name.stem}.{CONTROLLED}{len(written) or ''}{name.suffix}")
        written.add(id(run.record))
        with shared.writing("record", "--record", str(out)):
            placed(run, name).record.write(out)  # type: ignore[union-attr]
        lines.append(f"record under control: {out}")
    return lines


def refuse_under_control(out: str | None) -> None:
    """Raise UsageError if a place was named for what only the record of free threads gives."""
    if out is not None:
        got = "one of a controlled run, which a replay follows op by op"
        raise UsageError(expected="a record of free threads", got=got, where="--record", try_="no --record")
