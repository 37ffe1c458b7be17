"""`mmrace.replay`: a saved run again, from Python: strictly along its record, or as far as its program has it still."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mmrace.api.program import check_number, path_of, refuse_while_loading, resolved
from mmrace.oracles.general.judgement import Finding, Verdict
from mmrace.runs import follow, functions, kept, loading
from mmrace.runs.engines import CONTROLLED
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.program import Makers
from mmrace.runs.schedule import KeptSchedule, as_now, is_kept
from mmrace.runs.source import open_source
from mmrace.runs.spec import LoadedFile, RunResult, RunSpec
from mmrace.runtime.record import Record
from mmrace.search.around import Around, play_around
from mmrace.search.catalogue import pick
from mmrace.strategies.guided import is_schedule, smallest_in


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to.

    Attributes: verdict: PASS, FAIL or UNKNOWN.  because: why UNKNOWN.  findings: of the first run that failed; what the
    file was kept for comes first.  same: it is among them.  followed: turning points that were met, and how many there
    are; None: every op, strictly.  near: schedules near it that were tried; if a finding is theirs, it is of the last.
    known: findings that are expected of the program, and fail nothing.  record: of the run, if it failed.  file: of the
    program of a kept schedule, as it was found; "": nobody looked for one.
    """

    verdict: str
    because: str
    findings: tuple[Finding, ...]
    same: bool
    followed: tuple[int, int] | None
    near: int
    known: tuple[Finding, ...] = ()
    record: Record | None = None
    file: str = ""


def replay(
    file: str | os.PathLike[str],
    *,
    program: Callable[..., object] | str | None = None,
    variant: str | None = None,
    era: str | None = None,
    engine: str | None = None,
    near: int = 0,
) -> Replayed:
    """Have a saved run again, and judge it.

    Args: file: a record, a minimal file, the folder of a finding, or a schedule that was kept.  All but the last are
    followed strictly, op by op, unless one of the other arguments is given, or the model is another one by now; else
    their turning points are, as far as the program still has them.  program: in place of the one that the file names,
    as `explore` takes it.  variant: in place of the file's; "": the correct protocol.  era: in
    place of the file's.  engine: fiber or gate.  near: so
    many schedules near it are tried as well, if it passes.

    Raises UsageError for a wrong call or file, NondeterminismError where a strict replay goes otherwise.
    """
    refuse_while_loading("replay")
    check_number("replay", "near", near, 0)
    if engine is not None:
        pick("engine", engine, CONTROLLED, where="replay")
    path = path_of("replay", file)
    if not (near or is_kept(path)) and (program, variant, era, engine) == (None,) * 4:
        return _strictly(path)
    path = schedule_in(path)
    spec, signature, makers = named_in(path)
    if program is not None:
        target = resolved("replay", program, loads=bool(spec.load))
        found, makers = "", target.makers
        spec = replace(spec, program=target.name, maker=target.kind, digest=target.digest)
    else:
        found = file_of(path, spec)
    engine = engine or (spec.engine if spec.engine in CONTROLLED else "fiber")
    spec = replace(
        spec,
        variant=spec.variant if variant is None else variant,
        era=spec.era if era is None else makers.era(spec.maker, era),
        engine=engine,
    )
    alone = is_kept(path) and KeptSchedule.read(path).alone
    return replace(_told(play_around(path, spec, makers, near, alone=alone), signature), file=found)


def schedule_in(path: str) -> str:
    """Return the file of a FILE that has a schedule: of a finding's folder the minimal one, if that is there."""
    return path if not os.path.isdir(path) else smallest_in(path) or os.path.join(path, kept.RECORD)


def named_in(path: str) -> tuple[RunSpec, str, Makers]:
    """Return the run that a file is of, with its files as they are now; the signature; and who makes its program.

    What has a relative name is looked for from here, else beside the file and above; the program of a schedule beside
    that first, whatever is here.  Raises UsageError.
    """
    folders = tuple(map(str, Path(path).resolve().parents))
    maker = FunctionMaker(folders=folders)
    if is_schedule(path):
        schedule = KeptSchedule.read(path)
        found = file_of(path, schedule.spec)
        makers = _makers(replace(maker, files=(found,) if found else ()), schedule.spec, folders)
        return schedule.spec, schedule.signature, makers
    record = Record.read(path)
    signatures = [str(finding["signature"]) for finding in record.verdict.get("findings", ())]
    kind = record.header.get("maker", "scenario")
    makers = _makers(
        maker, RunSpec("", maker=kind, load=tuple(map(LoadedFile, record.header.get("load", ())))), folders
    )
    return as_now(follow.spec_of(record, makers)), signatures[0] if signatures else "", makers


def file_of(path: str, spec: RunSpec) -> str:
    """Return the file of a schedule's program: beside the schedule, else from here, else above; "" if there is none."""
    place = spec.program.rpartition(":")[0]
    if spec.maker != functions.KIND or not loading.is_file(place) or not is_schedule(path):
        return ""
    beside, *above = map(str, Path(path).resolve().parents)
    found = next((file for file in (os.path.join(beside, place), place) if os.path.isfile(file)), "")
    return found or next((file for file in [loading.placed(place, above)] if os.path.isfile(file)), "")


def _makers(maker: FunctionMaker, spec: RunSpec, folders: tuple[str, ...]) -> Makers:
    """Return the makers of a program; of the kernel model's too, unless a function needs none."""
    if spec.maker == functions.KIND and not spec.load:
        return Makers(maker)
    from mmrace.installed import makers_with  # noqa: PLC0415  (a function of one's own needs nothing of the kernel)

    return makers_with(maker, folders)


def _strictly(path: str) -> Replayed:
    from mmrace import installed  # noqa: PLC0415  (as above; a record says only when it is read what it needs)

    source = open_source(path)
    wanted = [str(finding["signature"]) for finding in source.record.verdict.get("findings", ())]
    followed = None
    if source.file is None:
        result = installed.replay(source.record, source.path)
    else:
        result, why = installed.replay_minimal(source.file, source.path)
        wanted = wanted if not why else [source.signature]
        followed = None if not why or result.followed is None else (result.followed.done, result.followed.of)
    because = "; ".join(f"{judge}: {reason}" for judge, reason in sorted(result.unknown.items()))
    found = {finding.signature for finding in result.findings}
    return _replayed(result, because, same=found.issuperset(wanted), followed=followed, near=0)


def _told(around: Around, signature: str) -> Replayed:
    result, (done, of, *_) = around.result, around.followed
    same = any(finding.signature == signature for finding in result.findings)
    result.findings.sort(key=lambda finding: finding.signature != signature)
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
