"""Which runs a campaign makes: its sequences, their rounds, and the batches that they are handed out in."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from mmrace.search.campaign.request import Request, complete
from mmrace.search.campaign.sequences import GATE_EVERY, Row, Sequences, rows
from mmrace.search.catalogue import Catalogue
from mmrace.search.pool.drive import Pace
from mmrace.search.pool.messages import Batch, Job
from tests.search.campaign.stand_ins import stand_in_catalogue

KNOWN = stand_in_catalogue(workloads=("real", "other"))


class Pacing(Pace):
    """As many runs as it is told, in turn."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.sizes, self.asked = sizes, 0

    def size(self, kind: str = "") -> int:
        self.asked += 1
        return self.sizes[self.asked % len(self.sizes)]


def planned(request: Request, pace: Pace, known: Catalogue = KNOWN) -> list[Batch]:
    sequences = Sequences(request, known)
    batches = []
    while batch := sequences.next_batch(pace):
        batches.append(batch)
    return batches


def jobs(batches: list[Batch]) -> set[Job]:
    made = [job for batch in batches for job in batch.jobs]
    assert len(made) == len(set(made))
    return set(made)


@pytest.mark.parametrize("engine", [None, "free", "fiber"])
@pytest.mark.parametrize("runs", [1, 3, 100, 333])
def test_the_set_of_runs_depends_on_seed_and_number_only(engine: str | None, runs: int) -> None:
    request = complete(KNOWN, Request(seed=7, runs=runs, jobs=1, engine=engine))
    one = jobs(planned(request, Pacing(1)))
    many = jobs(planned(replace(request, jobs=5), Pacing(7, 3, 50, 1)))
    assert one == many and len(one) == runs
    fewer = jobs(planned(replace(request, runs=runs // 2), Pacing(5))) if runs > 1 else set()
    assert fewer <= one


def test_a_run_depends_on_its_turn_and_on_no_other_scenario() -> None:
    alone = {row.name: row for row in rows(complete(KNOWN, Request(("beta",), runs=1)), KNOWN)}
    among = {row.name: row for row in rows(complete(KNOWN, Request(runs=1)), KNOWN)}
    for name, row in alone.items():
        assert [row.spec(turn) for turn in range(20)] == [among[name].spec(turn) for turn in range(20)]


def test_no_two_runs_and_no_two_seeds_have_a_run_in_common() -> None:
    specs = [
        row.spec(turn)
        for seed in (1, 2)
        for row in rows(complete(KNOWN, Request(seed=seed, runs=1)), KNOWN)
        for turn in range(100)
    ]
    assert len({spec.seed for spec in specs}) == len(specs)


def test_a_batch_is_of_one_sequence_and_begins_at_a_multiple_of_its_length() -> None:
    pace = Pacing(1, 9, 64, 3, 17)
    for batch in planned(complete(KNOWN, Request(seed=3, runs=500)), pace):
        first, length = batch.jobs[0].index, len(batch.jobs)
        assert {(job.source, job.spec.engine, job.spec.program, job.spec.workload) for job in batch.jobs} == {
            (batch.jobs[0].source, batch.engine, batch.jobs[0].spec.program, batch.jobs[0].spec.workload)
        }
        assert [job.index for job in batch.jobs] == [*range(first, first + length)]
        assert length & (length - 1) == 0 and first % length == 0


def test_batches_of_a_sequence_grow_to_its_pace() -> None:
    request = complete(KNOWN, Request(("alpha",), engine="free", seconds=9.0))
    sequences = Sequences(request, KNOWN)
    sizes = [len(batch.jobs) for _ in range(9) if (batch := sequences.next_batch(Pacing(30)))]
    assert sizes == [1, 1, 2, 4, 8, 16, 16, 16, 16]


def test_default_plan_meets_every_scenario_under_every_noise_and_a_quarter_under_gate() -> None:
    known = stand_in_catalogue(workloads=("real",))
    runs = 3 * len(known.noise) * GATE_EVERY
    specs = [job.spec for job in jobs(planned(complete(known, Request(runs=runs)), Pacing(4), known))]
    free = {(spec.program, spec.noise) for spec in specs if spec.engine == "free"}
    assert free == {(scenario, noise) for scenario in known.scenarios for noise in known.noise}
    gate = Counter(spec.program for spec in specs if spec.engine == "gate")
    assert gate.keys() == known.scenarios.keys() and gate.total() == runs / GATE_EVERY
    assert {spec.workload for spec in specs if spec.program == "played"} == {"real"}
    assert {spec.workload for spec in specs if spec.program != "played"} == {None}


def test_all_scenarios_advance_together_whatever_their_paces() -> None:
    request = complete(KNOWN, Request(seconds=9.0))
    sequences, pace, drawn = Sequences(request, KNOWN), Pacing(1, 8, 3), random.Random(5)
    rounds = {row.name: row for row in rows(request, KNOWN)}
    given: Counter[str] = Counter()
    for _ in range(200):
        batch = sequences.next_batch(pace)
        assert batch is not None
        at = {name: row.round_of(given[name]) for name, row in rounds.items()}
        assert at[batch.jobs[0].source] == min(at.values())
        given[batch.jobs[0].source] += len(batch.jobs)
        if drawn.random() < 0.2:
            sequences.give_back(batch.jobs)
            assert jobs_of(sequences, len(batch.jobs)) == list(batch.jobs)


def jobs_of(sequences: Sequences, count: int) -> list[Job]:
    got: list[Job] = []
    while len(got) < count:
        batch = sequences.next_batch(Pacing(2))
        assert batch is not None
        got += batch.jobs
    return got


def test_rounds_and_turns_tell_the_same() -> None:
    request = complete(KNOWN, Request(("alpha",), runs=1))
    free, gate = rows(request, KNOWN)
    served = sorted((row.round_of(turn), row.engine) for row in (free, gate) for turn in range(30))[:40]
    assert [at for at, _ in served] == [*range(40)]

    def before(row: Row, round_: int) -> int:
        return sum(engine == row.engine for at, engine in served if at < round_)

    for round_ in range(40):
        assert (free.turns(round_), gate.turns(round_)) == (before(free, round_), before(gate, round_))


def test_jobs_given_back_are_handed_out_first_and_unchanged() -> None:
    sequences = Sequences(complete(KNOWN, Request(("alpha",), runs=20, engine="free")), KNOWN)
    for _ in range(4):
        batch = sequences.next_batch(Pacing(4))
    assert batch is not None and len(batch.jobs) == 4
    sequences.give_back(batch.jobs[1:])
    again = sequences.next_batch(Pacing(2))
    assert again is not None and again.jobs == batch.jobs[1:3]
