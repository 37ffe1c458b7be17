"""Witnesses: the first run that decides each part, made again, saved with its sites, and replayed strictly.

Invariant: which run that is depends on the order of the programs and of their schedules alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mmrace.claims.judges import Example, Part, check_parts, judged
from mmrace.claims.one import MAKERS, play_one
from mmrace.claims.programs import Setting, spec_of
from mmrace.claims.result import ClaimsResult, Witness
from mmrace.runs.follow import follow, replay_record
from mmrace.runs.judge import judge
from mmrace.runs.replay import REPLAYS
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import InternalError, MmraceError
from mmrace.runtime.record import Record


def keep_witnesses(
    result: ClaimsResult, deciding: Mapping[tuple[str, str], Record], folder: Path, tell: Callable[[], object]
) -> None:
    """Keep a witness of each part that was decided: the first of the first program that has one.

    Args: deciding: (part, program) -> the first class of a walk that decides it.  tell: called after each part.
    """
    for claim in result.claims:
        for part in claim.parts:
            decided = next(((setting, counts.first) for setting, counts in result.programs(part) if counts.times), None)
            try:
                if decided is not None:
                    setting, index = decided
                    spec = spec_of(setting, result.seed, index, result.era)
                    walked = deciding.get((part.name, setting.name))
                    witness = _witness(part, setting, spec, walked, folder / part.name, index)
                    result.witnesses[part.name] = witness
            except MmraceError as error:
                result.troubles.append(f"witness of {part.name}: {error}")
            tell()


def _witness(part: Part, setting: Setting, spec: RunSpec, walked: Record | None, folder: Path, index: int) -> Witness:
    """Make the run again, with sites, and save it.  Args: walked: its record, if it is a class of a walk."""
    program = MAKERS.program(spec)
    if walked is None:
        with play_one(spec) as played:
            walked = played.record
    again = follow(program, spec, walked)
    judge(program, spec, again, 0.0)  # so that a replay of it has a verdict to compare with
    again.header["claim"], again.verdict["claim"] = part.name, judged(again, part)
    example = check_parts(again, [part])[part.name].example
    if example is None:
        raise InternalError(f"schedule {index} of {setting.name} does not decide {part.name} when made again")
    return Witness(setting.name, index, spec, example, *_save(again, part, example, folder))


def _save(record: Record, part: Part, example: Example, folder: Path) -> tuple[str, int, int, str]:
    """Write a witness and replay it: (path, replays that showed the same example, replays, error)."""
    path = folder / "record.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        record.write(path)
    except OSError as error:
        return "", 0, 0, f"{type(error).__name__}: {error}"
    return str(path), sum(_repeats(path, part, example) for _ in range(REPLAYS)), REPLAYS, ""


def _repeats(path: Path, part: Part, example: Example) -> bool:
    """Follow a record strictly, and say whether the part is decided by the same instance."""
    try:
        record = replay_record(str(path), MAKERS).record
    except MmraceError:
        return False
    return record is not None and check_parts(record, [part])[part.name].example == example
