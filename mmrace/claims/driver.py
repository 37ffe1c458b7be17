"""Put the claims of exclusion to the test: explore programs that can refute them, keep a witness of what decides one.

Each claim has its programs (`claims_result.py`).  A program is sampled, or, if it is small enough, walked to its end.
Schedule i of a program is a function of (seed, program, i), whichever claims are asked for and whatever `--jobs` says;
so is what is found, unless `--for` cuts it by time.  The first deciding instance of a part, by order of the programs
and of the schedules, is made again here, saved with its sites, and replayed strictly.  Invariant: what is counted was
seen in a record by a check; a run that did not finish is not counted.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mmrace.claims.judges import CLAIMS, Claim, Example, Part, check_parts
from mmrace.claims.result import (
    SETTINGS,
    TESTS,
    WALK,
    ClaimsResult,
    Failure,
    PartCounts,
    Setting,
    Witness,
    setting_of,
)
from mmrace.runs.follow import follow, replay_record
from mmrace.runs.judge import judge
from mmrace.runs.play import Play, play
from mmrace.runs.program import Makers
from mmrace.runs.spec import RunResult, RunSpec, derive
from mmrace.runs.store import FindingStore
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime.errors import InternalError, MmraceError, UsageError
from mmrace.runtime.record import Record
from mmrace.scenarios.maker import ScenarioMaker
from mmrace.search.explore.result import REPLAYS
from mmrace.search.explore.walk import Walk
from mmrace.search.options import Options
from mmrace.search.pool.contract import Lost
from mmrace.search.pool.cores import cores
from mmrace.search.pool.drive import Queue, Source, drive
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Batch, Job, Outcome
from mmrace.search.pool.parent import ProcessPool
from mmrace.strategies import portfolio, registry

MAKERS = Makers(ScenarioMaker())
ENGINE = "fiber"
BATCH_RUNS = 8  # a third of a second: the answer to Ctrl-C and to the end of the time
TELL_SECONDS = 5.0
SAMPLING_SHARE = 0.6  # of `--for`; the rest is for the walks, of which the small ones end
COUNTED_AS_RUN = ("finished",)
"""How a run has to end to say anything of a claim; a cut one says nothing, any other end is a finding by itself."""


def select(names: Sequence[str]) -> tuple[Claim, ...]:
    """Return the claims of these names, all of them without names.  Raises UsageError."""
    wanted = [name.upper() for name in names] or list(CLAIMS)
    for name in wanted:
        if name not in CLAIMS:
            raise UsageError(expected=f"a claim out of {', '.join(CLAIMS)}", got=name, where="claims")
    return tuple(claim for name, claim in CLAIMS.items() if name in wanted)


def parts_for(claims: Sequence[Claim], setting: str) -> tuple[Part, ...]:
    """Return the parts of these claims that a program puts to the test."""
    return tuple(part for claim in claims if setting in TESTS[claim.name] for part in claim.parts)


def spec_of(setting: Setting, seed: int, index: int) -> RunSpec:
    """Return schedule `index` of a program that is sampled, or the spec that all runs of a walk share."""
    strategy = portfolio.member(index) if setting.schedules else WALK
    drawn = derive(seed, "claims", setting.name, index) if setting.schedules else seed
    return RunSpec(setting.scenario, setting.params, "", ENGINE, strategy, "off", drawn)


# -- one run -----------------------------------------------------------------------------------------------------------


@contextmanager
def drawn(spec: RunSpec) -> Iterator[Play]:
    """Run one schedule that is drawn."""
    program = MAKERS.program(spec)
    with play(program, spec, strategy_for(program, spec)) as played:
        yield played


def counted(spec: RunSpec, keep_record: bool = False, *, names: tuple[str, ...]) -> RunResult:
    """Run one schedule, ask the parts of these claims that its program tests; the answers are the result's counters."""
    with drawn(spec) as played:
        record = played.record
    setting = setting_of(spec).name
    result = RunResult(spec, "PASS", ops=len(record.events), record=record if keep_record else None)
    how = str(record.end.get("how"))
    if how not in COUNTED_AS_RUN:
        result.verdict, result.unknown = "UNKNOWN", {"claims": _how(record)}
        return result
    for name, instances in check_parts(record, parts_for(select(names), setting)).items():
        result.counters |= {f"{name}.tested": instances.tested, f"{name}.times": instances.times}
    return result


def _how(record: Record) -> str:
    """Say how a run ended: "cut", or what was wrong with it."""
    how, detail = str(record.end.get("how")), record.end.get("detail", {})
    kind = str(detail.get("kind", detail.get("rule", "")))
    return "cut" if (how, kind) == ("bound", "cut") else f"{how}: {kind}" if kind else how


# -- all of them -------------------------------------------------------------------------------------------------------


class ClaimsRun(Source):
    """One call of the command.

    Args: options: of which `runs` is the number of schedules of each program instead of its own, `seconds` for all of
    it.  tell: called some times a minute.
    """

    def __init__(
        self,
        claims: Sequence[Claim],
        folder: Path,
        options: Options,
        *,
        tell: Callable[[ClaimsResult], None] = lambda result: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.claims, self.folder, self.options = tuple(claims), folder, options
        self._tell, self.clock = tell, clock
        self.result = ClaimsResult(self.claims, options.seed)
        self._began = clock()
        self._told = 0.0
        self._walked: dict[tuple[str, str], Record] = {}
        """(part, program) -> the first class that decides it."""
        used = {name for claim in self.claims for name in TESTS[claim.name]}
        self.settings = [setting for name, setting in SETTINGS.items() if name in used]
        self.queue = Queue(self._jobs())

    def run(self) -> ClaimsResult:
        """Sample, walk, keep the witnesses; Ctrl-C ends what is going on, and goes on with what is known by then."""
        try:
            self._sample()
            self._walk_all()
        except KeyboardInterrupt:
            self.result.interrupted = True
        try:
            self._prove()
        except KeyboardInterrupt:
            self.result.interrupted = True
        self.result.seconds = self.clock() - self._began
        return self.result

    def _now(self) -> float:
        self.result.seconds = self.clock() - self._began
        if self.result.seconds - self._told >= TELL_SECONDS:
            self._told = self.result.seconds
            self._tell(self.result)
        return self.result.seconds

    def _late(self, share: float) -> bool:
        seconds = self._now()
        return self.options.seconds is not None and seconds >= share * self.options.seconds

    # -- sampling: the source of its runs ----------------------------------------------------------------------------

    def _jobs(self) -> Iterator[Job]:
        """Yield the schedules of all programs that are sampled, in turn."""
        index = 0
        sampled = [setting for setting in self.settings if setting.schedules]
        while sampled:
            for setting in sampled:
                yield Job("main", setting.name, index, spec_of(setting, self.options.seed, index))
            index += 1
            if self.options.seconds is None or self.options.runs is not None:
                sampled = [s for s in sampled if index < (self.options.runs or s.schedules)]

    def _sample(self) -> None:
        if any(setting.schedules for setting in self.settings):
            names = tuple(claim.name for claim in self.claims)
            making = Making(partial(counted, names=names), FindingStore(self.folder / "findings"))
            with ProcessPool(self.options.jobs or len(cores()), making) as pool:
                drive(pool, self)

    def over(self) -> bool:
        """Say whether sampling has had its share of the time, or went wrong."""
        return bool(self.result.troubles) or self._late(SAMPLING_SHARE)

    def next_batch(self) -> Batch | None:
        """Return the next schedules."""
        jobs = self.queue.next(BATCH_RUNS)
        return Batch(tuple(jobs)) if jobs else None

    def give_back(self, batch: Batch, undone: list[Job]) -> None:
        """Hand undone schedules out again, first."""
        self.queue.give_back(undone)

    def buried(self, lost: Lost) -> None:
        """A worker died or hung: if that was during a run it failed."""
        if lost.culprit is not None:
            self.result.failures.append(Failure(lost.culprit.spec, f"{lost.rule}: the process {lost.how}"))

    def trouble(self, exit_code: int, text: str, spec: RunSpec) -> None:
        """Note that runs cannot be made."""
        self.result.troubles.append(text)

    def take(self, job: Job, outcome: Outcome) -> None:
        """Count what a schedule says of each part."""
        result, run = self.result, outcome.result
        result.runs += 1
        if run is None:
            assert outcome.trouble is not None
            result.troubles.append(outcome.trouble[1])
        elif run.verdict != "PASS":
            self._ended(job.spec, run.unknown["claims"])
        else:
            for part in parts_for(self.claims, job.source):
                counts = result.evidence.setdefault(part.name, {}).setdefault(job.source, PartCounts())
                counts.add(job.index, run.counters[f"{part.name}.tested"], run.counters[f"{part.name}.times"])

    def _ended(self, spec: RunSpec, how: str) -> None:
        if how == "cut":
            self.result.cut += 1
        else:
            self.result.failures.append(Failure(spec, how))

    # -- walking ----------------------------------------------------------------------------------------------------

    def _walk_all(self) -> None:
        walks = [setting for setting in self.settings if not setting.schedules]
        for place, setting in enumerate(walks, 1):
            share = SAMPLING_SHARE + (1 - SAMPLING_SHARE) * place / len(walks)
            gc.collect()
            gc.freeze()  # else each collection looks through all that the walk keeps
            try:
                self._walk(setting, share)
            finally:
                gc.unfreeze()

    def _walk(self, setting: Setting, share: float) -> None:
        """Visit every class of a program, or as many as the bounds allow."""
        spec = spec_of(setting, self.options.seed, 0)
        parts = parts_for(self.claims, setting.name)
        search = registry.walk(WALK)
        index = 0
        counts = self._fresh(setting, parts)
        complete = True
        visits = iter(Walk(MAKERS.program(spec), spec, search))
        while not self._late(share) and (self.options.runs is None or index < self.options.runs):
            visit = next(visits, None)
            if visit is None:
                for found in counts.values():
                    found.exhausted = complete
                break
            if visit.restarted:  # what came before was walked with too few dependences
                counts, complete = self._fresh(setting, parts), True
            if not visit.counts:
                continue
            self.result.runs += 1
            complete &= self._visit(setting, spec, visit.played.record, index, counts)
            index += 1

    def _fresh(self, setting: Setting, parts: Sequence[Part]) -> dict[str, PartCounts]:
        """Put counts of nothing yet into the result, where they are while they grow: Ctrl-C may come."""
        counts = {part.name: PartCounts() for part in parts}
        for name, found in counts.items():
            self.result.evidence.setdefault(name, {})[setting.name] = found
        return counts

    def _visit(
        self, setting: Setting, spec: RunSpec, record: Record, index: int, counts: dict[str, PartCounts]
    ) -> bool:
        """Count one class; return whether it says anything."""
        if record.end.get("how") not in COUNTED_AS_RUN:
            self._ended(spec, _how(record))
            return False
        for name, instances in check_parts(record, parts_for(self.claims, setting.name)).items():
            counts[name].add(index, instances.tested, instances.times)
            if counts[name].first == index:
                self._walked[name, setting.name] = record
        return True

    # -- proofs -----------------------------------------------------------------------------------------------------

    def _prove(self) -> None:
        """Keep, for each part that was decided, its first witness: that of the first program that has one."""
        for claim in self.claims:
            for part in claim.parts:
                found = self.result.programs(part)
                deciding = next(((setting, e.first) for setting, e in found if e.first >= 0), None)
                try:
                    if deciding is not None:
                        self._witness(part, *deciding)
                except MmraceError as error:
                    self.result.troubles.append(f"witness of {part.name}: {error}")
                self._now()

    def _witness(self, part: Part, setting: Setting, index: int) -> None:
        spec = spec_of(setting, self.options.seed, index)
        if setting.schedules:
            with drawn(spec) as played:
                record = played.record
        else:
            record = self._walked[part.name, setting.name]
        program = MAKERS.program(spec)
        again = follow(program, spec, record)
        judge(program, spec, again, 0.0)  # so that a replay of it has a verdict to compare with
        example = check_parts(again, [part])[part.name].example
        if example is None:
            raise InternalError(f"schedule {index} of {setting.name} does not decide {part.name} when made again")
        self.result.witnesses[part.name] = Witness(
            setting.name, index, spec, example, *_save(again, part, example, self.folder / "claims" / part.name)
        )


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
