"""Atomic numbers: no addition is lost, each is one op, and two of them commute."""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.runtime.kinds import Kind
from mmrace.runtime.wording import outcome_text
from tests.runtime.engines import Setup


class Statistics(rt.Struct):
    """What a test counts in."""

    number = rt.atomic()


def test_each_addition_and_each_look_is_one_op(run: Setup) -> None:
    def main() -> None:
        number = Statistics("statistics").number
        number.add(3)
        number.add(-1)
        assert number.read() == 2

    ops = [(op[1].name, *op[3:]) for op in run(main).ops(Kind.ADD, Kind.READ) if "statistics" in str(op[2])]
    assert ops == [("ADD", 3, 3), ("ADD", -1, 2), ("READ", 2, None)]


def test_no_addition_is_lost(run: Setup) -> None:
    def main() -> None:
        number = Statistics("statistics").number

        def adds() -> None:
            for _ in range(5):
                number.add(1)

        for _ in range(3):
            rt.spawn(adds)
        rt.join_others()
        assert number.read() == 15

    run(main)


def test_an_addition_is_shown_with_its_sign() -> None:
    assert outcome_text(Kind.ADD, 3, 7) == "+3 ➜ 7"
    assert outcome_text(Kind.ADD, -1, 6) == "-1 ➜ 6"
