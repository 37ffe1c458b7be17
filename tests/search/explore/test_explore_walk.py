"""Systematic exploration: the tree is walked in this process, and the verdict says how much of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace.installed import replay_record
from mmrace.runs.replay import REPLAYS
from mmrace.runs.store import FindingStore
from mmrace.runtime.errors import EXIT_FAIL, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_PASS, EXIT_UNKNOWN, UsageError
from mmrace.runtime.record import SCHEMA
from mmrace.search.explore import realise
from mmrace.search.explore.ask import check
from mmrace.search.explore.result import Exploration
from mmrace.strategies import registry
from mmrace.strategies.contract import Registered
from mmrace.strategies.dpor import Dpor
from tests.search.explore import explorations
from tests.search.explore.explorations import Notes, ask, explore

ORDERS = 6  # of two tasks that take one lock twice each


def walk(folder: Path, scenario: str, strategy: str = "dpor", **more: object) -> Exploration:
    """Walk a stand-in's tree to the end of the strategy."""
    return explore(ask(scenario, strategy, params=(), **{"runs": None, **more}), folder)


# -- how much was covered ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["dpor", "enumerate"])
def test_an_exhaustive_walk_passes_and_says_that_it_saw_every_class(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, strategy: str
) -> None:
    explorations.two_writers(monkeypatch)
    result = walk(tmp_path, "two-writers", strategy, exhaustive=True)
    assert (result.verdict, result.exit_code, result.exhaustive) == ("PASS", EXIT_PASS, True)
    assert result.classes.distinct == ORDERS
    assert result.tally.runs == ORDERS or strategy == "enumerate"


def test_a_bounded_walk_says_up_to_which_bound_and_is_not_exhaustive(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    explorations.two_writers(monkeypatch)
    result = walk(tmp_path, "two-writers", "preemption:bound=1")
    assert result.covered is not None and result.covered.bound == 1
    assert not result.exhaustive and result.verdict == "PASS"
    assert 2 <= result.classes.distinct < ORDERS
    assert result.covered.blocked > 0  # schedules of bound 0 that bound 1 repeats


@pytest.mark.parametrize("strategy", ["dpor", "preemption:bound=1"])
def test_an_exhaustive_walk_that_was_cut_is_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, strategy: str
) -> None:
    explorations.two_writers(monkeypatch)
    result = walk(tmp_path, "two-writers", strategy, exhaustive=True, runs=3)
    assert (result.verdict, result.exit_code) == ("UNKNOWN", EXIT_UNKNOWN)
    assert "not walked to its end" in result.unknown_because()


@pytest.mark.parametrize("strategy", ["dpor", "enumerate", "delay"])
def test_a_program_without_interleavings_is_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, strategy: str
) -> None:
    explorations.alone(monkeypatch)
    result = walk(tmp_path, "alone", strategy, exhaustive=True)
    assert (result.verdict, result.exit_code) == ("UNKNOWN", EXIT_UNKNOWN)
    assert result.unknown_because().startswith("no interleaving was exercised")


def test_a_real_scenario_without_its_other_actors_is_walked_too(tmp_path: Path) -> None:
    params = (*explorations.SMALL, ("without", "writer,committer,migrator"))
    result = explore(ask(strategy="dpor", params=params, runs=3), tmp_path)
    assert result.tally.runs <= 3
    assert (result.verdict, result.unknown_because()) == ("UNKNOWN", result.tally.nobody_met())


def test_classes_from_before_a_restart_are_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A search that starts again because it knew too little counts each class once."""

    class Restarting(Dpor):
        pending = 2

        def learn(self, engine: object) -> None:
            super().learn(engine)  # type: ignore[arg-type]
            if self.counts.runs == self.pending:
                self.pending = 0
                self._restart(frozenset())

    explorations.two_writers(monkeypatch)
    search = Restarting()
    again = Registered("again", "again", lambda _: search, kind="walk")
    monkeypatch.setitem(registry._registered, "again", again)
    result = walk(tmp_path, "two-writers", "again", exhaustive=True)
    assert search.counts.restarts == 1
    assert result.classes.distinct == search.counts.classes == ORDERS
    assert result.tally.runs == 2 + ORDERS


# -- predicted deadlocks -----------------------------------------------------------------------------------------


def signatures(result: Exploration, oracle: str) -> list[str]:
    """Return the signatures of one oracle's findings."""
    return [signature for signature, hit in result.hits.items() if hit.finding.oracle == oracle]


@pytest.mark.slow
def test_a_predicted_deadlock_is_made_to_happen_and_replays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    explorations.abba(monkeypatch)
    result = walk(tmp_path, "abba", "delay:bound=0")  # one schedule, in which nothing happens
    assert result.tally.runs == 1
    [predicted], [met] = signatures(result, "lock-order"), signatures(result, "liveness")
    assert result.realised == {predicted: met}
    assert result.replayed == {predicted: (REPLAYS, REPLAYS), met: (REPLAYS, REPLAYS)}
    record = Path(result.hits[met].saved.folder, "record.jsonl")
    assert met in [finding.signature for finding in replay_record(str(record)).findings]
    assert (result.verdict, result.exit_code) == ("FAIL", EXIT_FAIL)


def test_a_deadlock_that_data_rule_out_stays_predicted_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    explorations.abba_in_turn(monkeypatch)
    monkeypatch.setattr(realise, "RUNS_MAX", 10)
    result = walk(tmp_path, "abba-in-turn", "delay:bound=0")
    [predicted] = signatures(result, "lock-order")
    assert result.realised == {predicted: ""}
    assert not signatures(result, "liveness")


def test_a_switched_off_judge_finds_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    explorations.abba(monkeypatch)
    result = walk(tmp_path, "abba", "delay:bound=0", without=("lock-order",))
    assert not result.hits and result.verdict == "PASS"


# -- what goes wrong ---------------------------------------------------------------------------------------------


def test_a_run_that_breaks_mmrace_ends_the_walk_with_what_was_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    explorations.breaking(monkeypatch)
    result = walk(tmp_path, "breaking", "enumerate")
    assert (result.verdict, result.exit_code) == ("UNKNOWN", EXIT_INTERNAL)
    [trouble] = result.troubles
    assert "mmrace bug" in trouble.text and "one was first" in trouble.text


def test_ctrl_c_keeps_what_a_walk_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    explorations.abba(monkeypatch)
    monkeypatch.setattr("mmrace.search.explore.driver.TELL_SECONDS", 0.0)
    result = explore(ask("abba", "enumerate", params=(), runs=None), tmp_path, Notes(interrupt_at=2))
    assert (result.interrupted, result.exit_code) == (2, EXIT_INTERRUPTED)
    assert result.tally.runs == 2 and result.hits and not result.replayed


def test_a_record_of_an_earlier_session_that_does_not_replay_is_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    explorations.abba(monkeypatch)
    first = walk(tmp_path, "abba", "delay:bound=0")
    [predicted] = signatures(first, "lock-order")
    place = FindingStore(tmp_path / "findings").place(predicted) / "record.jsonl"
    place.write_text(place.read_text(encoding="utf-8").replace(SCHEMA, "mmrace-record/1"), encoding="utf-8")
    again = walk(tmp_path, "abba", "delay:bound=0")
    assert again.hits[predicted].saved.before
    assert again.replayed[predicted] == (0, REPLAYS)


@pytest.mark.parametrize(
    ("more", "needle"),
    [
        ({"strategy": "dporr"}, "did you mean dpor"),
        ({"strategy": "portfoilo"}, "did you mean portfolio"),
        ({"strategy": "portfolio:depth=3"}, "an option of portfolio"),
        ({"strategy": "feedback:base=dpor"}, "try: feedback:base=pos"),
        ({"strategy": "feedback:base=poss"}, "did you mean pos"),
        ({"strategy": "feedback:generation=0"}, "1 or more"),
        ({"strategy": "feedback:corpses=1"}, "corpus"),
        ({"strategy": "pct:deep=3"}, "an option of pct out of depth"),
        ({"strategy": "pct:depth=much"}, "a number for depth"),
        ({"strategy": "pos", "exhaustive": True}, "--strategy dpor"),
        ({"strategy": "dpor", "jobs": 2}, "no --jobs"),
    ],
    ids=str,
)
def test_a_wrong_ask_is_refused_with_what_to_try(more: dict[str, object], needle: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(ask(**more))  # type: ignore[arg-type]
    assert needle in str(caught.value)


def test_a_judge_that_the_program_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean content"):
        explore(ask(without=("contents",)), tmp_path)
