"""Follow a record strictly: the run of its spec again, op by op, with sites; and judge it again.

A replay also compares what the record says beside its ops (`differences.py`), and asks the strategy and the seed that
it names once more, whether they choose this run.  Invariant: what comes back did exactly the recorded ops in the
recorded order (`replay.StrictReplay`).  Not asked again: a walk, whose runs depend on the ones before, and a strategy
of a file that nobody loaded.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias

from mmrace.oracles.general.judgement import Fact
from mmrace.runs import debugging
from mmrace.runs.chosen import Chosen
from mmrace.runs.differences import OF_VERSION, differences, is_of_another_version, of_verdicts
from mmrace.runs.drawn import draw_again
from mmrace.runs.judge import followed_in, judge
from mmrace.runs.play import Stopping, play, stopped_by
from mmrace.runs.profile import promote_text
from mmrace.runs.program import Makers, Program
from mmrace.runs.replay import REPLAYS, StrictReplay
from mmrace.runs.spec import LoadedFile, RunResult, RunSpec
from mmrace.runtime.breaking import BreakAt
from mmrace.runtime.errors import MadeOtherwise, MmraceError, NondeterminismError, NotAsRecorded, UsageError
from mmrace.runtime.record import REPLAYABLE, Record
from mmrace.runtime.record_file import SUM
from mmrace.strategies import guided

OLDER = "an older one"  # that did not yet say which it was

JudgeClaim: TypeAlias = Callable[[Record, str], Mapping[str, Fact]]
"""(record, name of a part of a claim) -> what the record says of it."""


def follow(program: Program, spec: RunSpec, record: Record, breaking: BreakAt | None = None) -> Record:
    """Run strictly along `record`, keeping sites.  Raises NondeterminismError at the first difference.

    Args: breaking: stops the run at a step.  Raises DebuggerQuit if it was ended there.
    """
    header = record.header
    promoted = header.get("promoted")
    fields = None if promoted is None else frozenset(promoted)
    chosen = Chosen(
        StrictReplay(record), fields, header.get("profile"), header.get("corpus"), followed=followed_in(record)
    )
    stopping: Stopping = {"sites": True, **stopped_by(breaking)}
    with debugging.ending(breaking), play(program, spec, chosen, **stopping) as again:
        debugging.check_finished(breaking)
        return again.record


def with_sites(result: RunResult, makers: Makers) -> Record:
    """Return the record of a result, with sites.

    A controlled run that passed kept none; it is run again along its record.  Raises NondeterminismError if the run
    does not repeat itself.
    """
    record = result.record
    assert record is not None
    if result.spec.engine == "free" or record.sites:
        return record
    again = follow(makers.program(result.spec), result.spec, record)
    again.verdict = record.verdict
    return again


def replay_record(path: str, makers: Makers) -> RunResult:
    """Replay a record strictly and judge it again.

    Raises UsageError for a record that cannot be replayed, NondeterminismError if anything is not as recorded.
    """
    return replay(Record.read(path), makers)


def repeats(read: Callable[[], Record], makers: Makers, load: tuple[LoadedFile, ...] = ()) -> Counter[str]:
    """Return in how many of `REPLAYS` strict replays of a record each finding came again, by signature.

    Args: read: the record, for each replay; what it raises beside errors of mmrace ends the counting.  load: as of
    `replay`.  A replay that diverged, or could not be made, has no finding.
    """
    again: Counter[str] = Counter()
    for _ in range(REPLAYS):
        with suppress(MmraceError):
            again.update({finding.signature for finding in replay(read(), makers, load).findings})
    return again


def replay(
    record: Record,
    makers: Makers,
    load: tuple[LoadedFile, ...] = (),
    *,
    draw: bool = False,
    judge_claim: JudgeClaim | None = None,
    breaking: BreakAt | None = None,
) -> RunResult:
    """Replay a record that was read; see `replay_record`.

    Of the files that the run loaded, a replay needs those that added more than strategies.

    Args: load: further files.  draw: ask strategy and seed again too, which takes as long as the replay.  judge_claim:
    who judges the claim that a witness is of, as its header says.  breaking: stops the run at a step; it is made under
    the engine that can be stopped, which does the same.
    """
    spec = spec_of(record, makers)
    if breaking is not None:
        spec = replace(spec, engine=debugging.ENGINE)
    refuse_older(record, spec)
    recorded = spec
    spec = with_files(spec, load)
    program = makers.program(spec)
    models = models_of(program, record)
    began = time.perf_counter()
    try:
        again = follow(program, spec, record, breaking)
    except NondeterminismError as error:
        if models is None:
            raise
        raise MadeOtherwise(*models, error, guides=guided.can_follow(record)) from error
    seconds = time.perf_counter() - began
    found, told, unchecked = differences(record, again), [], False
    if draw:
        more, why = draw_again(program, recorded, record, again)
        found += more
        told += [why] if why else []
        unchecked = bool(why) and SUM not in record.header
    excused = OF_VERSION if models or is_of_another_version(record) else frozenset()
    hard = [difference for difference in found if difference.subject not in excused]
    if hard:
        raise NotAsRecorded(str(other) for other in found if other in hard or other.subject == "model")
    result = judge(program, spec, again, seconds)
    result.record = again
    result.told = [*told, *(f"not as recorded, of another version: {difference}" for difference in found)]
    result.unchecked = unchecked
    claim = record.header.get("claim")
    if claim is not None and judge_claim is not None:
        result.claim = again.verdict["claim"] = judge_claim(again, claim)
        again.header["claim"] = claim
    result.rejudged = list(map(str, of_verdicts(record, again)))
    return result


def with_files(spec: RunSpec, load: tuple[LoadedFile, ...]) -> RunSpec:
    """Return the spec of a run that is made again, with the files that it needs: a file without a digest is not loaded.

    Args: load: further ones, that somebody named.
    """
    files = [file for file in spec.load if file.digest]
    return replace(spec, load=(*files, *(file for file in load if file.digest not in dict(files).values())))


def models_of(program: Program, record: Record) -> tuple[str, str] | None:
    """Return the digests of the models that made a record and that runs now, None if it is the same one."""
    now = program.header().get("model", "")
    made = record.header.get("model", "" if not now else OLDER)
    return None if made == now else (made, now)


def spec_of(record: Record, makers: Makers) -> RunSpec:
    """Return the spec of a record's run.  Raises UsageError if it cannot be replayed strictly."""
    if record.header.get("engine") == "free":
        raise UsageError(
            expected="a record of a controlled engine",
            got="one of engine free",
            try_="`mmrace replay` of its file: it does under control what free threads did, as far as that can be done",
        )
    return spec_in(record, makers)


def spec_in(record: Record, makers: Makers) -> RunSpec:
    """Return the spec that a record's header has, whatever its engine.  Raises UsageError."""
    header: dict[str, Any] = record.header
    free = header.get("engine") == "free"
    try:
        kind = header.get("maker", "scenario")
        name = header["program"] if "program" in header else header["scenario"]
        given = header.get("given")
        if header["strategy"] is None and not free:
            raise TypeError(f"no strategy under {header['engine']}")
        params = makers.of(kind).given(name, header["params"]) if given is None else tuple(sorted(given.items()))
        return RunSpec(
            program=name,
            params=params,
            variant=header["variant"],
            era=makers.era(kind, header.get("era", "")),
            engine=header["engine"],
            strategy=header["strategy"] or RunSpec(name).strategy,
            noise=header["noise"] if free else "off",
            seed=header["seed"],
            workload=header["workload"],
            promote="all" if header.get("promoted") is None else promote_text(header["promoted"]),
            load=tuple(LoadedFile(path, header.get("loaded", {}).get(path, "")) for path in header.get("load", ())),
            maker=kind,
            digest=header.get("digest", ""),
            without=tuple(header.get("without", ())),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(expected="a header with the run's spec", got=repr(error), where="record header") from error


def refuse_older(record: Record, spec: RunSpec) -> None:
    """Raise UsageError for a record of an older schema: its ops are not those of the program any more."""
    if record.schema not in REPLAYABLE:
        raise UsageError(
            expected=f"a record of schema {' or '.join(REPLAYABLE)}, whose ops this mmrace repeats",
            got=f"one that an older mmrace wrote ({record.schema})",
            where="replay",
            try_=f"`mmrace show` and the judges still read it; to make such a run anew: {spec.command()}",
        )
