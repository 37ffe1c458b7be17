"""Sampling of claims: what becomes of a schedule whose worker is lost."""

from __future__ import annotations

import pytest

from mmrace.claims.judges import CLAIMS
from mmrace.claims.programs import SETTINGS, spec_of
from mmrace.claims.result import ClaimsResult
from mmrace.claims.sampling import Sampling
from mmrace.runtime.errors import EXIT_FAIL, EXIT_UNKNOWN
from mmrace.search.options import Options
from mmrace.search.pool.contract import Lost
from mmrace.search.pool.messages import Batch, Job

SPEC = spec_of(SETTINGS["sync"], 1, 0)
JOB = Job("main", "sync", 0, SPEC)


@pytest.fixture
def sampling() -> Sampling:
    return Sampling(ClaimsResult((CLAIMS["C2"],), seed=1), [SETTINGS["sync"]], Options(), lambda: False)


@pytest.mark.parametrize(("outside", "failures"), [(True, 0), (False, 1)])
def test_a_lost_worker_is_told_and_fails_its_run_unless_somebody_ended_it(
    sampling: Sampling, outside: bool, failures: int
) -> None:
    lost = Lost("w", Batch((JOB,)), JOB, [], "worker died", "was ended by SIGKILL", True, outside)
    sampling.buried(lost)
    assert sampling.result.losses == {lost.told: 1}
    assert len(sampling.result.failures) == failures
    assert (sampling.result.exit_code == EXIT_FAIL) is not outside


def test_a_schedule_that_is_given_up_and_a_worker_that_did_not_begin_are_told(sampling: Sampling) -> None:
    sampling.give_up(JOB)
    sampling.unstarted("could not be started: no more processes")
    assert sampling.result.given_up == [SPEC]
    assert sampling.result.losses.total() == 1


def test_a_machine_that_gave_out_is_no_bug_of_mmrace(sampling: Sampling) -> None:
    sampling.trouble(EXIT_UNKNOWN, "UNKNOWN: the machine has no thread left", SPEC)
    assert sampling.over() and sampling.result.exit_code == EXIT_UNKNOWN
