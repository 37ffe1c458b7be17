"""`mmrace.replay`: a saved run again, from Python: strictly along its record, or as far as its program still has it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mmrace.api.program import check_number, refuse_while_loading, resolved
from mmrace.oracles.general.judgement import Finding, Verdict
from mmrace.runs import follow, functions, kept
from mmrace.runs.engines import CONTROLLED
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.program import Makers
from mmrace.runs.schedule import KeptSchedule, as_now
from mmrace.runs.spec import LoadedFile, RunResult, RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.search.around import Around, play_around
from mmrace.search.catalogue import pick
from mmrace.strategies.guided import is_schedule


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to.

    Attributes: verdict: PASS, FAIL or UNKNOWN.  because: why UNKNOWN.  findings: of the first run that failed.  same:
    one of them is what the file was kept for.  followed: turning points that were met, and how many there are; None:
    every op, strictly.  near: schedules near it that were tried; if a finding is theirs, it is of the last.  known:
    findings that are expected of the program, and fail nothing.  record: of the run, if it failed.
    """

    verdict: str
    because: str
    findings: tuple[Finding, ...]
    same: bool
    followed: tuple[int, int] | None
    near: int
    known: tuple[Finding, ...] = ()
    record: Record | None = None


def replay(
    file: str | os.PathLike[str],
    *,
    program: Callable[..., object] | str | None = None,
    variant: str | None = None,
    engine: str | None = None,
    near: int = 0,
) -> Replayed:
    """Have a saved run again, and judge it.

    Args: file: a record, the folder of a finding, or a schedule that was kept.  A record is followed strictly, op by
    op, unless one of the other arguments is given; anything else is followed by its turning points, as far as the
    program still has them.  program: in place of the one that the file names, as `explore` takes it.  variant: in place
    of the file's; "": the correct protocol.  engine: fiber or gate.  near: so many schedules near it are tried as well,
    if it passes.

    Raises UsageError for a wrong call or file, NondeterminismError where a strict replay goes otherwise.
    """
    refuse_while_loading("replay")
    check_number("replay", "near", near, 0)
    if engine is not None:
        pick("engine", engine, CONTROLLED, where="replay")
    path = _file(file)
    if not (is_schedule(path) or near) and (program, variant, engine) == (None, None, None):
        return _strictly(path)
    spec, signature, makers = named_in(path)
    if program is not None:
        target = resolved("replay", program, loads=bool(spec.load))
        makers, spec = target.makers, replace(spec, program=target.name, maker=target.kind, digest=target.digest)
    engine = engine or (spec.engine if spec.engine in CONTROLLED else "fiber")
    spec = replace(spec, variant=spec.variant if variant is None else variant, engine=engine)
    return _told(play_around(path, spec, makers, near), signature)


def named_in(path: str) -> tuple[RunSpec, str, Makers]:
    """Return the run that a file is of, with its files as they are now; the signature; and who makes its program.

    What has a relative name is looked for from here, else beside the file and above.  Raises UsageError.
    """
    folders = tuple(map(str, Path(path).resolve().parents))
    maker = FunctionMaker(folders=folders)
    if is_schedule(path):
        schedule = KeptSchedule.read(path)
        makers = _makers(maker, schedule.spec, folders)
        return schedule.spec, schedule.signature, makers
    record = Record.read(path)
    signatures = [str(finding["signature"]) for finding in record.verdict.get("findings", ())]
    kind = record.header.get("maker", "scenario")
    makers = _makers(
        maker, RunSpec("", maker=kind, load=tuple(map(LoadedFile, record.header.get("load", ())))), folders
    )
    return as_now(follow.spec_of(record, makers)), signatures[0] if signatures else "", makers


def _makers(maker: FunctionMaker, spec: RunSpec, folders: tuple[str, ...]) -> Makers:
    """Return the makers of a program; of the kernel model's too, unless a function needs none."""
    if spec.maker == functions.KIND and not spec.load:
        return Makers(maker)
    from mmrace.installed import makers_with  # noqa: PLC0415  (a function of one's own needs nothing of the kernel)

    return makers_with(maker, folders)


def _strictly(path: str) -> Replayed:
    from mmrace import installed  # noqa: PLC0415  (as above; a record says only when it is read what it needs)

    record = Record.read(path)
    result = installed.replay(record, path)
    wanted = [str(finding["signature"]) for finding in record.verdict.get("findings", ())]
    because = "; ".join(f"{judge}: {reason}" for judge, reason in sorted(result.unknown.items()))
    found = [finding.signature for finding in result.findings]
    return _replayed(result, because, same=sorted(found) == sorted(wanted), followed=None, near=0)


def _told(around: Around, signature: str) -> Replayed:
    result, (done, of, *_) = around.result, around.followed
    same = any(finding.signature == signature for finding in result.findings)
    return _replayed(result, around.because, same=same, followed=(done, of), near=around.near)


def _replayed(result: RunResult, because: str, *, same: bool, followed: tuple[int, int] | None, near: int) -> Replayed:
    return Replayed(
        verdict=result.verdict,
        because=because if result.verdict == Verdict.UNKNOWN else "",
        findings=tuple(finding for finding in result.findings if not finding.known),
        same=same,
        followed=followed,
        near=near,
        known=tuple(finding for finding in result.findings if finding.known),
        record=result.record,
    )


def _file(file: object) -> str:
    """Return the path of the file that is meant.  Raises UsageError."""
    if not isinstance(file, str | os.PathLike):
        raise UsageError(
            expected="the path of a record, of a kept schedule, or of a finding's folder",
            got=file,
            where="replay",
            try_='mmrace.replay("record.jsonl")',
        )
    path = os.fspath(file)
    return os.path.join(path, kept.RECORD) if os.path.isdir(path) else path
