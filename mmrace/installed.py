"""What this installation has: its scenarios, canaries, noise profiles and workloads, and the makers of its programs.

Here the two halves meet: what runs programs, and the kernel model that is one kind of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from mmrace import history
from mmrace.claims.judges import judge_claim
from mmrace.history import canaries, eras
from mmrace.history.canary import Canary
from mmrace.history.era import OWN
from mmrace.oracles.general import GENERAL
from mmrace.oracles.general.judgement import Oracle
from mmrace.oracles.telling import BOOK
from mmrace.runs import follow, follow_minimal, functions, registrations, run
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.minimal import Minimal
from mmrace.runs.program import Makers
from mmrace.runs.spec import LoadedFile, RunResult
from mmrace.runtime import noise
from mmrace.runtime.breaking import BreakAt
from mmrace.runtime.record import Record
from mmrace.scenarios import casts, marks, workload
from mmrace.scenarios.maker import JUDGES, KIND, ScenarioMaker
from mmrace.search.campaign import one
from mmrace.search.catalogue import Catalogue, OracleEntry, pick
from mmrace.search.convert import again as free_again
from mmrace.search.convert import convert as converting
from mmrace.search.convert.again import Again
from mmrace.search.minimise import minimise as minimising
from mmrace.search.minimise.trials import Budget
from mmrace.search.prove import prove as proving
from mmrace.search.prove.prove import SAMPLES
from mmrace.story.tell import NOTHING_OWN, Book
from mmrace.strategies import registry, script


def makers_with(maker: FunctionMaker, folders: Iterable[str] = ()) -> Makers:
    """Return the makers of all programs.  Args: maker: of functions.  folders: where files to load are looked for."""
    return Makers(ScenarioMaker(), maker, folders=folders)


MAKERS = makers_with(FunctionMaker())

run_one = partial(run.run_one, makers=MAKERS)
"""Make one run of whatever is installed, or of a function; see `runs.run.run_one`."""


campaign_one = partial(one.campaign_one, makers=MAKERS)
"""Make one run of a campaign; see `search.campaign.one`."""

convert = partial(converting.convert, makers=MAKERS)
"""Make a failed run of free threads again under control; see `search.convert.convert`."""


def replay(record: Record, path: str = "", load: tuple[str, ...] = (), breaking: BreakAt | None = None) -> RunResult:
    """Replay a record that was read; see `runs.follow.replay`.

    Args: path: of its file; what has a relative name that leads nowhere from here is looked for beside and above it.
    load: files to load beside those of the record, or instead of one that is not where it was: of a function, too.
    breaking: stops it at a step.
    """
    makers, added = _makers_of(record, path, load)
    return follow.replay(record, makers, added, draw=True, judge_claim=judge_claim, breaking=breaking)


def again(record: Record, path: str = "", load: tuple[str, ...] = (), *, seconds: float, signature: str = "") -> Again:
    """Do again under control what a record of free threads says; see `search.convert.again`.

    Args: path, load: as of `replay`.
    """
    makers, added = _makers_of(record, path, load)
    return free_again.again(record, makers, added, seconds=seconds, signature=signature)


def replay_minimal(minimal: Minimal, path: str, load: tuple[str, ...] = ()) -> tuple[RunResult, str]:
    """Replay a minimal file; see `runs.follow_minimal`.  Args: path, load: as of `replay`."""
    makers, added = _makers_of(minimal.record, path, load)
    return follow_minimal.replay_minimal(minimal, makers, added)


def minimise(record: Record, path: str, signature: str, budget: Budget, load: tuple[str, ...] = ()) -> Minimal:
    """Make a finding's schedule and program smaller; see `search.minimise`.  Args: path, load: as of `replay`."""
    makers, added = _makers_of(record, path, load)
    return minimising.minimise(record, makers, signature, budget, added)


def prove(minimal: Minimal, path: str, budget: Budget, samples: int = SAMPLES, load: tuple[str, ...] = ()) -> Minimal:
    """Prove a minimal schedule; see `search.prove`.  Args: path, load: as of `replay`.  samples: drawn at a point."""
    makers, _ = _makers_of(minimal.record, path, load)
    return proving.prove(minimal, makers, budget, samples)


def _makers_of(record: Record, path: str, load: tuple[str, ...]) -> tuple[Makers, tuple[LoadedFile, ...]]:
    """Return who makes the program of a record, and the files that were loaded beside those that it names."""
    folders = tuple(map(str, Path(path).resolve().parents)) if path else ()
    place = str(record.header.get("program", "")).rpartition(":")[0]
    its_own = tuple(file for file in load if functions.same_name(file, place))
    added = MAKERS.load(LoadedFile(file) for file in load if file not in its_own)
    return makers_with(FunctionMaker(folders=folders, pinned=True, files=its_own), folders), added


def replay_record(path: str) -> RunResult:
    """Replay a record file; see `replay`."""
    return replay(Record.read(path), path)


def book_of(record: Record) -> Book:
    """Return what tells a record's findings in the words of its program."""
    return BOOK if record.header.get("maker", KIND) == KIND else NOTHING_OWN


def catalogue() -> Catalogue:
    """Return what this installation has.  Raises UsageError if a canary names a judge that the kernel model lacks."""
    return Catalogue(
        scenarios={made.name: made for made in casts.all_scenarios()},
        canaries={name: _judged(canary) for name, canary in canaries.canaries().items()},
        noise={name: profile.title for name, profile in noise.PROFILES.items()},
        workloads=tuple(workload.packaged()),
        strategies=tuple(registry.entries()),
        marks=marks.declared(),
        excused=marks.EXCUSED,
        oracles=_oracles(),
        grammar={**script.GRAMMAR, "SITE": script.SITE, "example": f'--strategy "script:text={script.EXAMPLE}"'},
        eras={name: era.title for name, era in eras.ERAS.items()},
        era=OWN,
        own_variants={name: variant.title for name, variant in history.own().items()},
    )


def _judged(canary: Canary) -> Canary:
    pick("judge", canary.oracle, JUDGES, f"canary {canary.name}")
    return canary


def _oracles() -> tuple[OracleEntry, ...]:
    """Return every judge by name; where a general judge and one of the protocol share a name, both."""
    seats = {judge: (name, "general") for name, judge in GENERAL.items()}
    seats |= {judge: (name, "protocol") for name, judge in JUDGES.items() if judge not in seats}
    found = [OracleEntry(name, bench, _title(judge)) for judge, (name, bench) in seats.items()]
    own = [OracleEntry(name, "general", _title(judge)) for name, judge in registrations.every_judge().items()]
    return tuple(sorted([*found, *own]))


def _title(judge: Oracle) -> str:
    """Return the first line of the docstring of a judge's module."""
    inner = judge.judge if isinstance(judge, registrations.UsersJudge) else judge
    return (sys.modules[inner.__module__].__doc__ or "").partition("\n")[0]
