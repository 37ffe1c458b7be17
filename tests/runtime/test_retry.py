"""`until_changed`: a turn is repeated when what the last one read was changed by somebody else, and not before."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.runtime.kinds import Kind
from tests.runtime.engines import Box, Flag, Outcome, Setup, box, explore, free, gate, unless_cut, until

CHANGES = 8


def turns(outcome: Outcome, task: str) -> int:
    """Return how many times a task repeated its turn."""
    return len(outcome.ops(Kind.RETRY, task=task))


def test_a_loop_that_is_left_in_its_first_turn_is_no_op(run: Setup) -> None:
    def main() -> None:
        for turn in rt.until_changed():
            assert turn == 0
            break

    assert not run(main).ops(Kind.RETRY)


def _lookup_against_a_frozen_count() -> None:
    page, elsewhere = box(0), box(1)
    page.count.get("slot")
    assert page.count.freeze(1)

    def lookup() -> None:
        for _ in rt.until_changed():
            if page.count.get_unless_zero("lookup"):
                return

    rt.spawn(lookup, name="lookup", cpu=1)
    for i in range(40):
        elsewhere.x = i
    page.count.unfreeze(1)
    rt.join_others()
    assert page.count.read() == 2


def test_a_lookup_ends_when_the_count_thaws(run: Setup) -> None:
    assert run(_lookup_against_a_frozen_count).how == "finished"


def test_a_lookup_against_a_frozen_count_takes_one_turn_a_change(controlled: Setup) -> None:
    outcome = controlled(_lookup_against_a_frozen_count)
    assert turns(outcome, "lookup") <= 1  # the thaw is the one change of what it read


def test_n_changes_cost_at_most_n_turns(controlled: Setup) -> None:
    def main() -> None:
        shared = box()
        rt.spawn(until, lambda: shared.x == CHANGES, name="spinner", cpu=1)
        for _ in range(CHANGES):
            shared.x += 1
            shared.y += 1
        rt.join_others()

    assert turns(controlled(main), "spinner") <= CHANGES


CONDITIONS: dict[str, tuple[Callable[[Box], object], Callable[[Box], object]]] = {
    "a field": (lambda it: it.x, lambda it: setattr(it, "x", 1)),
    "a bit": (lambda it: rt.test_bit(it.flags, Flag.DIRTY), lambda it: rt.set_bit(it.flags, Flag.DIRTY)),
    "a bit, by a store": (lambda it: rt.test_bit(it.flags, Flag.DIRTY), lambda it: it.flags.store(1 << Flag.DIRTY)),
    "a word, by a bit": (lambda it: it.flags.load(), lambda it: rt.set_bit(it.flags, Flag.DIRTY)),
    "a word, by a test-and-set": (lambda it: it.flags.load(), lambda it: rt.test_and_set_bit(it.flags, Flag.DIRTY)),
    "a word, by a store": (lambda it: it.flags.load(), lambda it: it.flags.store(1)),
    "a count": (lambda it: it.count.read(), lambda it: it.count.get("slot")),
    "a data word": (lambda it: it.words.read(1), lambda it: it.words.write(1, 5)),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", CONDITIONS)
def test_no_change_is_missed_wherever_it_comes(run: Setup, what: str) -> None:
    holds, change = CONDITIONS[what]

    def main() -> None:
        shared = box()

        def spin() -> None:
            for _ in rt.until_changed():
                if holds(shared):
                    return
                rt.schedule()  # time for the change to come between the look and the end of the turn

        rt.spawn(spin, cpu=1)
        rt.spawn(change, shared, cpu=2)
        rt.join_others()

    assert run(main).how == "finished"
    if run.controlled:
        assert {outcome.how for outcome in explore(main)} == {"finished"}


def test_a_trylock_that_failed_is_tried_again_after_the_release(run: Setup) -> None:
    def main() -> None:
        shared = box()

        def trier() -> None:
            until(lambda: rt.spin_trylock(shared.spin))
            rt.spin_unlock(shared.spin)

        rt.spin_lock(shared.spin)
        rt.spawn(trier, name="trier", cpu=1)
        for _ in range(20):
            rt.schedule()
        rt.spin_unlock(shared.spin)
        rt.join_others()

    outcome = run(main)
    assert outcome.how == "finished"
    if run.controlled:
        assert turns(outcome, "trier") <= 1


def _two_spinners(look: Callable[[Box], object]) -> Callable[[], None]:
    def main() -> None:
        """BUGGY: two tasks wait by spinning for what nobody does."""
        shared = box()
        rt.spin_lock(shared.spin)
        for cpu in (1, 2):
            rt.spawn(until, lambda: look(shared), name=f"spinner{cpu}", cpu=cpu)
        rt.join_others()

    return main


@pytest.mark.parametrize(
    "look",
    [
        lambda it: it.count.get_unless_zero("lookup"),
        lambda it: rt.spin_trylock(it.spin),
        lambda it: it.count.freeze(3),
        lambda it: rt.test_and_clear_bit(it.flags, Flag.DIRTY),
        lambda it: it.x,
    ],
    ids=["get_unless_zero", "trylock", "freeze", "test_and_clear", "read"],
)
def test_two_spinners_do_not_wake_each_other_for_ever(controlled: Setup, look: Callable[[Box], object]) -> None:
    outcome = controlled(_two_spinners(look))
    assert (outcome.how, outcome.detail["kind"]) == ("deadlock", "stuck")
    waits = {row["task"]: row["waits_for"] for row in outcome.detail["tasks"]}
    assert waits["spinner1"] == waits["spinner2"] == "a change of what its last turn read"
    assert turns(outcome, "spinner1") == turns(outcome, "spinner2") == 0


def test_blind_spot_two_spinners_that_take_a_lock_in_each_turn_do_wake_each_other() -> None:
    """Taking and dropping a lock counts as a change of it, so this standstill is called a livelock."""

    def look(it: Box) -> object:
        rt.spin_lock(it.other)
        seen = it.x
        rt.spin_unlock(it.other)
        return seen

    outcome = gate(_two_spinners(look), steps_max=1000)
    assert (outcome.how, outcome.detail["kind"]) == ("bound", "livelock")


def test_a_tasks_own_changes_do_not_repeat_its_turn(controlled: Setup) -> None:
    def main() -> None:
        """BUGGY: waits for what it did itself."""
        shared = box()
        for _ in rt.until_changed():
            if shared.x:
                return
            shared.x = 1

    outcome = controlled(main)
    assert (outcome.how, outcome.detail["kind"]) == ("deadlock", "stuck")


def test_a_change_before_the_look_does_not_count() -> None:
    def main() -> None:
        shared = box()
        rt.spawn(setattr, shared, "x", 1, cpu=1)
        rt.spawn(until, lambda: shared.x and shared.y, name="spinner", cpu=2)
        rt.spawn(setattr, shared, "y", 1, cpu=3)
        rt.join_others()

    for outcome in explore(main):
        assert outcome.how == "finished"
        assert turns(outcome, "spinner") <= 2


def test_under_free_a_spinner_goes_on_turning_and_ends_at_the_bound() -> None:
    outcome = unless_cut(lambda: free(_two_spinners(lambda it: it.x), steps_max=200))
    assert (outcome.how, outcome.detail["kind"]) == ("bound", "livelock")


def test_the_number_of_the_turn_is_given_and_recorded(run: Setup) -> None:
    def main() -> None:
        shared = box()

        def spin() -> None:
            for turn in rt.until_changed():
                rt.note("turn", turn)
                if shared.x >= 3:
                    return

        rt.spawn(spin, name="spin", cpu=1)
        for _ in range(3):
            shared.x += 1
        rt.join_others()

    outcome = run(main)
    given = [turn for (turn,) in outcome.notes("turn")]
    assert given == list(range(len(given)))
    assert [op[3] for op in outcome.ops(Kind.RETRY)] == given[1:]


def test_a_change_by_the_last_op_of_another_spinners_turn_is_not_missed(controlled: Setup) -> None:
    def main() -> None:
        shared = box()

        def first() -> None:
            until(lambda: shared.x)
            shared.y = 1

        def second() -> None:
            for _ in rt.until_changed():
                if shared.y:
                    return
                shared.x = 1  # and then it turns at once

        rt.spawn(first, cpu=1)
        rt.spawn(second, cpu=2)
        rt.join_others()

    assert controlled(main).how == "finished"
    assert {outcome.how for outcome in explore(main)} == {"finished"}
