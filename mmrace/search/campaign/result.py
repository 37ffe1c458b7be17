"""What a campaign has to show: counts per scenario, findings, canaries, workers; and its verdict and exit code.

Invariant: everything that the final table prints is here, as numbers and names; sums only, so that the order in which
outcomes come back does not matter.  Not here: text, which `report/` makes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mmrace.runs.minimal import Minimal, Plain
from mmrace.runs.named import is_function
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.search.campaign.request import Request
from mmrace.search.campaign.trial import CanaryTrial
from mmrace.search.pool.messages import Health, Job
from mmrace.search.totals import Hits, RunKind, Tally, Trouble, exit_code, is_wrong_call

RSS_FIRST_SECONDS = 120.0  # memory is compared from minute two on, when pools and caches are full
RSS_STEP_SECONDS = 1.0


@dataclass(slots=True)
class WorkerLife:
    """One worker process over time: samples of (seconds since the start, resident bytes), up to minute two and last."""

    samples: list[tuple[float, int]] = field(default_factory=list)
    stray_threads: int = 0

    def add(self, now: float, health: Health) -> None:
        """Take a sample: memory at most once a second, the last one always; threads every time.

        From minute two on only the last one is kept: a soak of days has a bounded number.
        """
        sample, before = (now, health.rss_bytes), self.samples[-2][0] if len(self.samples) > 1 else None
        if before is not None and (now - before < RSS_STEP_SECONDS or before >= RSS_FIRST_SECONDS):
            self.samples[-1] = sample
        else:
            self.samples.append(sample)
        self.stray_threads = max(self.stray_threads, health.stray_threads)

    def growth(self, total: float) -> tuple[float, int, int]:
        """Return (when, bytes then, bytes at the end); "then" is minute two, or a quarter of a shorter campaign."""
        mark = min(RSS_FIRST_SECONDS, total / 4)
        first = next((sample for sample in self.samples if sample[0] >= mark), self.samples[-1])
        return first[0], first[1], self.samples[-1][1]


@dataclass(slots=True)
class CampaignResult:
    """A campaign, under way or over."""

    request: Request
    scenarios: dict[str, Tally] = field(default_factory=dict)
    workloads: dict[str, Tally] = field(default_factory=dict)
    twins: Tally = field(default_factory=Tally)
    kinds: Counter[RunKind] = field(default_factory=Counter)
    trials: list[CanaryTrial] = field(default_factory=list)
    unplanted: tuple[str, ...] = ()
    """Canaries that were not looked for, since the time is too short."""
    hits: Hits = field(default_factory=Hits)
    known: Hits = field(default_factory=Hits)
    """Findings that are expected of their programs, and fail nothing."""
    minimal: dict[str, Minimal | str] = field(default_factory=dict)
    """signature -> its minimal schedule, or why there is none; of those that were made smaller."""
    converting: int = 0
    """Workers that make a failure of free threads again under control just now, and no run."""
    troubles: list[Trouble] = field(default_factory=list)
    workers: dict[str, WorkerLife] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)
    """Workers that were lost: how -> how many."""
    given_up: list[RunSpec] = field(default_factory=list)
    given_up_before: Counter[str] = field(default_factory=Counter)
    """Scenario -> how many before the campaign was interrupted."""
    marks_known: tuple[str, ...] = ()
    seconds: float = 0.0
    interrupted: int = 0
    unkept: int = 0
    """Runs that the ledger of the store could not keep."""
    unkept_because: str = ""

    def count(self, job: Job, result: RunResult) -> None:
        """Add a run of the unmodified protocol, or of the variant that the caller asked for."""
        self.kinds[RunKind.of(job.role, job.spec)] += 1
        if job.role == "twin":
            self.twins.add(result)
        else:
            self.scenarios.setdefault(job.spec.program, Tally()).add(result)
            if job.spec.workload is not None:
                self.workloads.setdefault(job.spec.workload, Tally()).add(result)

    @property
    def only_functions(self) -> bool:
        """Whether it is of functions alone, of which there is less to count."""
        return all(map(is_function, self.request.scenarios))

    def rarity(self, signature: str) -> Plain:
        """Return how often a finding was met, of how many runs like the first one that had it."""
        hit = self.hits[signature]
        return {"hits": hit.kinds[hit.kind], "of": self.kinds[hit.kind]}

    def health(self) -> Plain:
        """Return what says that the campaign did its work."""
        found = sum(trial.found_after is not None for trial in self.trials)
        total = self.total()
        return {
            "runs": total.runs,
            "canaries found": f"{found} of {len(self.trials)}",
            "marks reached": self.marks_reached(),
            "could not be judged": total.unjudged,
        }

    def total(self) -> Tally:
        """Return the sums over the sequences and the twins: all runs that should pass."""
        total = Tally()
        total.merge(self.twins)
        for tally in self.scenarios.values():
            total.merge(tally)
        return total

    def marks_reached(self) -> int:
        """Return how many different marks were reached, announced by a scenario or not."""
        return sum(1 for times in self.total().marks.values() if times)

    def marks_missed(self) -> list[str]:
        """Return the known marks that no run reached."""
        marks = self.total().marks
        return [mark for mark in self.marks_known if not marks[mark]]

    def stray_threads(self) -> int:
        """Return how many threads runs have left behind."""
        return sum(life.stray_threads for life in self.workers.values())

    def unknown_because(self) -> list[str]:
        """Say why a campaign without a finding still proves nothing."""
        reasons = []
        for name in self.request.scenarios:
            given_up = sum(spec.program == name for spec in self.given_up) + self.given_up_before[name]
            reasons += [f"{name}: {doubt}" for doubt in self.scenarios.get(name, Tally()).doubts(given_up)]
        reasons += [
            f"canary {trial.canary.name}: {trial.tried} of {trial.cap_runs} runs made, not found yet"
            for trial in self.trials
            if trial.found_after is None and not trial.missed
        ]
        reasons += [
            f"twin of canary {trial.canary.name}: {trial.twin_runs} of {trial.tried} runs made"
            for trial in self.trials
            if trial.found_after is not None and not trial.concluded
        ]
        return reasons

    def to_try(self) -> str:
        """Say what would let the same campaign end in a verdict, as far as time is what it wants."""
        if self.interrupted:
            return ""
        if any(not trial.concluded for trial in self.trials):
            return "a longer --for, or --no-canaries, which leaves the planted bugs out"
        tallies = [self.scenarios.get(name, Tally()) for name in self.request.scenarios]
        if all(tally.runs and not tally.never_seen() for tally in tallies):
            return ""
        return "more --runs" if self.request.seconds is None else "a longer --for"

    @property
    def verdict(self) -> str:
        """PASS, FAIL or UNKNOWN; UNKNOWN too for a campaign that could not be made, or that was a wrong call."""
        if is_wrong_call(self.troubles):
            return "UNKNOWN"
        if self.hits or any(trial.missed for trial in self.trials):
            return "FAIL"
        return "UNKNOWN" if self.troubles or self.interrupted or self.unknown_because() else "PASS"

    @property
    def exit_code(self) -> int:
        """The exit code: of Ctrl-C or a wrong call, whatever was found; then of a finding; then of the rest."""
        return exit_code(self.verdict, self.troubles, self.interrupted)
