"""Reference counts: every change is one op that names its reference, and a frozen count lets nobody in."""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.runtime.kinds import Kind
from tests.runtime.engines import Setup, box, explore

COUNTS = (Kind.GET, Kind.PUT, Kind.GET_UNLESS_ZERO, Kind.FREEZE, Kind.UNFREEZE, Kind.COUNT)


def test_each_change_is_one_op_with_its_reference_and_the_new_count(run: Setup) -> None:
    def main() -> None:
        count = box().count
        assert count.get("slot") == 1
        assert count.get_unless_zero("lookup") is True
        assert count.put("lookup") == 1
        assert count.read() == 1
        assert count.put("slot") == 0
        assert count.get_unless_zero("lookup") is False

    assert [(op[1].name, *op[3:]) for op in run(main).ops(*COUNTS)] == [
        ("GET", "slot", 1),
        ("GET_UNLESS_ZERO", "lookup", 2),
        ("PUT", "lookup", 1),
        ("COUNT", 1, None),
        ("PUT", "slot", 0),
        ("GET_UNLESS_ZERO", "lookup", 0),
    ]


def test_a_freeze_succeeds_on_exactly_the_expected_count(run: Setup) -> None:
    def main() -> None:
        count = box().count
        count.get("slot")
        count.get("isolation")
        assert not count.freeze(1)
        assert not count.freeze(3)
        assert count.read() == 2
        assert count.freeze(2)
        assert count.read() == 0
        assert not count.get_unless_zero("lookup")
        count.unfreeze(1, dropped="slot")
        assert count.read() == 1

    freezes = [op[3:] for op in run(main).ops(Kind.FREEZE, Kind.UNFREEZE)]
    assert freezes == [(1, False), (3, False), (2, True), (1, "slot")]


def test_gets_and_puts_of_many_tasks_balance(run: Setup) -> None:
    def main() -> None:
        count = box().count
        count.get("slot")

        def visitor() -> None:
            for _ in range(10):
                if count.get_unless_zero("lookup"):
                    count.put("lookup")

        for i in range(4):
            rt.spawn(visitor, cpu=i)
        rt.join_others()
        assert count.read() == 1

    assert run(main).how == "finished"


def test_the_last_put_is_seen_by_exactly_one_task(run: Setup) -> None:
    def main() -> None:
        count = box().count
        for i in range(5):
            count.get(f"pte{i}")

        def dropper(i: int) -> None:
            if count.put(f"pte{i}") == 0:
                rt.note("last", i)

        for i in range(5):
            rt.spawn(dropper, i, cpu=i % 4)
        rt.join_others()

    assert len(run(main).notes("last")) == 1


def test_a_lookup_either_precedes_the_freeze_or_fails(run: Setup) -> None:
    def main() -> None:
        count = box().count
        count.get("slot")

        def freezer() -> None:
            if count.freeze(1):
                rt.note("frozen")
                count.unfreeze(1)

        def looker() -> None:
            if count.get_unless_zero("lookup"):
                count.put("lookup")

        rt.spawn(freezer, cpu=1)
        rt.spawn(looker, cpu=2)
        rt.join_others()

    value = 1
    for _, kind, _, a, b in run(main).ops(*COUNTS)[1:]:
        if kind is Kind.FREEZE:
            assert b is (value == a)
            value = 0 if b else value
        elif kind is Kind.GET_UNLESS_ZERO:
            value = value + 1 if value else 0
            assert b == value
        else:
            value = a if kind is Kind.UNFREEZE else value - 1
    assert value == 1


def test_a_random_walk_finds_both_outcomes_of_freeze_against_lookup() -> None:
    def main() -> None:
        count = box().count
        count.get("slot")
        rt.spawn(count.freeze, 1, cpu=1)
        rt.spawn(count.get_unless_zero, "lookup", cpu=2)
        rt.join_others()

    seen = {tuple((op[1].name, op[4]) for op in outcome.ops(*COUNTS)[1:]) for outcome in explore(main)}
    assert seen == {
        (("FREEZE", True), ("GET_UNLESS_ZERO", 0)),
        (("GET_UNLESS_ZERO", 2), ("FREEZE", False)),
    }


def test_retire_and_rename_are_notes_on_the_counts_lane(run: Setup) -> None:
    def main() -> None:
        count = box().count
        count.get("new")
        count.rename("new", "slot")
        count.retire("slot", "isolation")

    outcome = run(main)
    [(lane, old, new)] = outcome.notes("rename")
    assert (outcome.record.lane_name(lane), old, new) == ("box:0.count", "new", "slot")
    [(lane, refs)] = outcome.notes("retire")
    assert (outcome.record.lane_name(lane), refs) == ("box:0.count", ("slot", "isolation"))
    assert [op[1] for op in outcome.ops(*COUNTS)] == [Kind.GET]
