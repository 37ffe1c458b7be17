"""The refcount oracle of any program: the ledger of a count, and what is left when everybody is done."""

from __future__ import annotations

from collections.abc import Callable

from mmrace import runtime as rt
from mmrace.oracles.general import refcount
from mmrace.oracles.general.judgement import Judgement
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import RoundRobin
from mmrace.runtime.tables import EMPTY, Tables
from tests.oracles.verdicts import caught, passed, unknown

TABLES = Tables(transient=("lookup",), foreign=("lookup",), allocates=("made",), frees=("gone",))


class Thing(rt.Struct):
    """What is counted."""

    count = rt.refcount()
    x: rt.Field[int] = rt.shared(0)


def _judged(body: Callable[[Thing], object], tables: Tables = EMPTY) -> Judgement:
    def main() -> None:
        thing = Thing("thing:0")
        rt.note("made", thing)
        thing.count.get("new")
        thing.count.rename("new", "owner")
        body(thing)
        rt.note("gone", thing)

    engine = GateEngine(RoundRobin(), tables=tables)
    engine.run(main)
    assert engine.error is None
    return refcount.judge(Record.of_run(engine, {}, {}))


def _borrows(thing: Thing) -> None:
    assert thing.count.get_unless_zero("lookup")
    thing.count.put("lookup")
    thing.count.put("owner")


def test_refcount_oracle_passes_on_references_that_are_dropped() -> None:
    passed(_judged(_borrows))
    passed(_judged(_borrows, TABLES))


def test_refcount_oracle_catches_a_put_that_nobody_took_without_any_table() -> None:
    caught(_judged(lambda thing: (thing.count.put("owner"), thing.count.put("owner"))), "put without reference")


def test_refcount_oracle_catches_an_object_given_back_with_references_if_a_table_says_that_it_is() -> None:
    finding = caught(_judged(lambda thing: thing.count.get("lookup"), TABLES), "freed while referenced")
    assert finding.title == "thing:0: thing freed with references (main)"
    passed(_judged(lambda thing: thing.count.get("lookup")))


def test_refcount_oracle_asks_for_no_reference_to_what_was_never_counted() -> None:
    def has_a_tail(thing: Thing) -> None:
        tail = Thing("thing:1")
        rt.note("made", tail)
        assert not tail.count.get_unless_zero("lookup")
        rt.note("gone", tail)
        thing.count.put("owner")

    passed(_judged(has_a_tail, TABLES))


def test_refcount_oracle_catches_a_transient_reference_that_is_left() -> None:
    tables = Tables(transient=TABLES.transient)
    finding = caught(_judged(lambda thing: thing.count.get("lookup"), tables), "leaked reference")
    assert (finding.facts["ref"], finding.facts["tasks"]) == ("lookup", ["main"])
    passed(_judged(lambda thing: thing.count.get("slot"), tables))


def test_refcount_oracle_catches_a_freeze_over_a_reference_that_its_caller_cannot_know() -> None:
    def main(thing: Thing) -> None:
        task = rt.spawn(lambda: thing.count.get("lookup"), name="reader")
        rt.join(task)
        assert thing.count.freeze(2)

    caught(_judged(main, Tables(foreign=TABLES.foreign)), "freeze over owners")
    passed(_judged(main))


def test_refcount_oracle_does_not_judge_what_is_left_of_a_run_that_did_not_finish() -> None:
    def main() -> None:
        thing = Thing("thing:0")
        thing.count.get("lookup")
        rt.Completion("never:0").wait()

    engine = GateEngine(RoundRobin(), tables=TABLES)
    engine.run(main)
    assert "deadlock" in unknown(refcount.judge(Record.of_run(engine, {}, {})))


def test_refcount_oracle_has_nothing_to_check_in_a_program_without_counts() -> None:
    engine = GateEngine(RoundRobin())
    engine.run(lambda: setattr(Thing("thing:0"), "x", 1))
    assert refcount.judge(Record.of_run(engine, {}, {})).nothing_to_check
