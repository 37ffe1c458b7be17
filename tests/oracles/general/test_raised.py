"""The exception oracle: what leaves a task is a finding, if it is the program's."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.oracles.general import raised
from mmrace.oracles.general.judgement import Finding
from mmrace.runtime import crash
from mmrace.runtime.record import Record
from mmrace.runtime.said import is_interrupt
from mmrace.runtime.strategy import RoundRobin, Strategy
from tests.oracles.hand import Hand
from tests.oracles.verdicts import caught, passed, unknown
from tests.runtime.engines import ONE_OF_EACH, Outcome, Setup, gate, random_walk

HERE = Path(__file__).name
ENGINES = pytest.mark.parametrize("run", ONE_OF_EACH, ids=lambda setup: setup.name)


def _asserts(total: int) -> None:
    """BUGGY: it is not two."""
    assert total == 2, f"total is {total}"


def _beside(deed: Callable[[], object]) -> Callable[[], None]:
    """Make a program whose task "worker" does the deed."""

    def main() -> None:
        rt.spawn(deed, name="worker", cpu=1)
        rt.join_others()

    return main


def _finding(outcome: Outcome, rule: str) -> Finding:
    assert outcome.how == "crash", outcome.record.end
    return caught(raised.judge(outcome.record), rule)


@ENGINES
def test_exception_oracle_catches_an_assert_that_fails(run: Setup) -> None:
    finding = _finding(run(_beside(lambda: _asserts(1)), raising=False), "AssertionError")
    facts = finding.facts
    assert (facts["task"], facts["function"], facts["file"]) == ("worker", "_asserts", HERE)
    assert str(facts["text"]).startswith("total is 1")
    assert facts["source"] == 'assert total == 2, f"total is {total}"'
    assert finding.title.startswith("AssertionError: total is 1")
    assert f"(worker, in _asserts, {HERE}:{facts['line']})" in finding.title


@ENGINES
def test_exception_oracle_passes_on_what_the_program_catches(run: Setup) -> None:
    def caught_inside() -> None:
        try:
            _asserts(1)
        except AssertionError:
            rt.schedule()

    passed(raised.judge(run(_beside(caught_inside)).record))


def test_exception_oracle_catches_an_assert_of_the_main_task() -> None:
    assert _finding(gate(lambda: _asserts(1), raising=False), "AssertionError").facts["task"] == "main"


def test_the_same_bug_has_one_signature_whatever_its_text_and_another_function_another() -> None:
    wrong = [gate(_beside(partial(_asserts, total)), raising=False) for total in (1, 3)]
    one, two = (_finding(outcome, "AssertionError") for outcome in wrong)
    assert one.signature == two.signature
    assert one.title != two.title
    other = _finding(gate(_beside(_another), raising=False), "AssertionError")
    assert other.signature != one.signature


def _checks(first: int, second: int) -> None:
    """BUGGY: either may be wrong."""
    assert first == 1
    assert second == 1, f"it is {second}"


def test_each_failed_statement_of_a_function_is_a_finding_of_its_own_whatever_its_text() -> None:
    """BUG once: two asserts of one function were one finding."""
    wrong = [gate(_beside(partial(_checks, *given)), raising=False) for given in ((2, 2), (3, 1), (1, 2), (1, 3))]
    found = [_finding(outcome, "AssertionError").signature for outcome in wrong]
    assert found[0] == found[1] != found[2] == found[3]


def _another() -> None:
    """BUGGY: always."""
    raise AssertionError("total is 1")


def test_an_exception_that_a_library_or_the_runtime_raised_is_told_where_the_program_called_it() -> None:
    for deed, rule in ((_parses, "JSONDecodeError"), (_misuses, "AttributeError")):
        finding = _finding(gate(_beside(deed), raising=False), rule)
        assert (finding.facts["function"], finding.facts["file"]) == (deed.__name__, HERE)


def _parses() -> object:
    """BUGGY: that is no JSON."""
    return json.loads("{")


def _misuses() -> object:
    """BUGGY: that is no task."""
    return rt.join(2)  # type: ignore[arg-type]


def test_an_assert_without_text_is_told_by_its_source() -> None:
    def bare() -> None:
        n = 1
        if n != 2:
            raise AssertionError

    finding = _finding(gate(_beside(bare), raising=False), "AssertionError")
    assert finding.title.startswith("AssertionError: raise AssertionError (worker, in ")


def test_an_address_in_the_text_is_masked_and_a_long_text_cut() -> None:
    def main() -> None:
        raise ValueError(f"{object()!r} {'x' * 1000}")

    text = str(_finding(gate(main, raising=False), "ValueError").facts["text"])
    assert "object at 0x...>" in text
    assert len(text) == 300


def _recurses() -> None:
    """BUGGY: there is no end to it."""
    rt.schedule()
    _recurses()


@pytest.mark.parametrize("strategy", [None, random_walk(1)], ids=["runtime", "strategy"])
def test_a_stack_that_is_full_is_told_where_the_program_stood_whoever_filled_it_up(strategy: Strategy | None) -> None:
    outcome = gate(_beside(_recurses), strategy, raising=False)
    finding = _finding(outcome, "RecursionError")
    assert finding.facts["file"] == HERE
    outcome.record.end["detail"]["source"] = "another statement of it"  # where it is full depends on who called
    assert _finding(outcome, "RecursionError").signature == finding.signature
    assert not crash.repeats(outcome.record.end), "a replay has other frames on its stack"
    assert crash.repeats(gate(_beside(lambda: _asserts(1)), raising=False).record.end)


class _Stumbles(RoundRobin):
    """BUGGY: a strategy that cannot choose."""

    def pick(self, enabled: list[Any], running: Any, step: int) -> Any:
        if step > 5:
            raise KeyError("a strategy's mistake")
        return super().pick(enabled, running, step)


def test_what_a_strategy_or_mmrace_raises_is_no_finding_of_the_program() -> None:
    wrong = [
        gate(_two_turns, _Stumbles(), raising=False),
        gate(_beside(lambda: rt.choose(0)), raising=False),
    ]
    for outcome in wrong:
        assert outcome.how == "abort", outcome.record.end
        assert not raised.judge(outcome.record).findings
        assert outcome.engine.error is not None


def _two_turns() -> None:
    for cpu in (1, 2):
        rt.spawn(lambda: [rt.schedule() for _ in range(9)], cpu=cpu)


def _interrupts() -> None:
    """BUGGY: it is nobody's wish."""
    raise KeyboardInterrupt


def _interrupts_deep() -> None:
    """BUGGY: as above, on its way through other code."""
    try:
        _interrupts()
    finally:
        rt.schedule()


def _exits() -> None:
    """BUGGY: it would end mmrace."""
    raise SystemExit(0)


@ENGINES
@pytest.mark.parametrize("deed", [_interrupts, _interrupts_deep, _exits])
def test_an_interrupt_or_exit_that_the_program_raises_is_its_own(run: Setup, deed: Callable[[], None]) -> None:
    rule = "SystemExit" if deed is _exits else "KeyboardInterrupt"
    finding = _finding(run(_beside(deed), raising=False), rule)
    assert finding.title.startswith(f"{rule}: ") and finding.facts["task"] == "worker"


class _Unsayable(Exception):
    """BUGGY: it cannot say what it is, and is nothing else either."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class _Odd(Exception):
    """BUGGY: its text is none."""

    def __str__(self) -> str:
        return 3  # type: ignore[return-value]  # noqa: PLE0307


@ENGINES
@pytest.mark.parametrize(("kind", "why"), [(_Unsayable, "ValueError"), (_Odd, "TypeError")])
def test_an_exception_that_cannot_say_what_it_is_is_a_finding_like_any_other(
    run: Setup, kind: type[Exception], why: str
) -> None:
    def raises() -> None:
        raise kind

    finding = _finding(run(_beside(raises), raising=False), kind.__name__)
    assert finding.title.startswith(f"{kind.__name__}: (its text cannot be made: {why}) (worker, in ")


def test_an_interrupt_is_known_by_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    def caught_from(deed: Callable[[], object]) -> KeyboardInterrupt:
        try:
            deed()
        except KeyboardInterrupt as error:
            return error
        raise AssertionError("it was to interrupt")

    def handler(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    assert not is_interrupt(caught_from(_interrupts))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert is_interrupt(caught_from(lambda: signal.raise_signal(signal.SIGINT)))
        signal.signal(signal.SIGINT, handler)
        assert is_interrupt(caught_from(lambda: signal.raise_signal(signal.SIGINT)))
    finally:
        signal.signal(signal.SIGINT, before)
    assert not is_interrupt(SystemExit()) and not is_interrupt(None)


def test_exception_oracle_judges_a_record_from_a_file_alike(tmp_path: Path) -> None:
    record = gate(_beside(lambda: _asserts(1)), raising=False).record
    record.write(tmp_path / "run.jsonl")
    assert raised.judge(Record.read(tmp_path / "run.jsonl")) == raised.judge(record)


def test_exception_oracle_reads_what_older_records_say_of_a_crash() -> None:
    hand = Hand("writer").op("writer", rt.Kind.BEGIN, "cpu:0.tasks")
    hand.end = {"how": "crash", "detail": {"error": "KeyError: 'a: b'"}}
    finding = caught(raised.judge(hand.record()), "KeyError")
    assert (finding.title, finding.facts["text"]) == ("KeyError: 'a: b'", "'a: b'")


def test_exception_oracle_does_not_know_of_a_record_without_tasks() -> None:
    assert raised.judge(Hand().record()).nothing_to_check
    assert unknown(raised.judge(Hand().record()))
