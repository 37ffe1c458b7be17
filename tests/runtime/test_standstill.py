"""Nothing can go on: the run says which kind of standstill it is, who waits for what, who holds it, and where it was
taken.  The text of the explanation is `report/`'s; here are the facts it is made of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.runtime import watchdog
from tests.runtime.engines import Box, Flag, Outcome, Setup, asleep, box, explore, free, gate, until, walk

FREE_STEPS = 2000  # under `free` a task that waits for a change polls until the bound


def rows(outcome: Outcome) -> dict[str, dict[str, object]]:
    """Assert that the run stood still; return what is known of each task."""
    assert outcome.how == "deadlock", outcome.record.end
    return {row["task"]: row for row in outcome.detail["tasks"]}


TAKE: dict[str, Callable[[Box], object]] = {
    "mutex": lambda it: rt.mutex_lock(it.mutex),
    "spin": lambda it: rt.spin_lock(it.spin),
    "bit": lambda it: rt.bit_spin_lock(it.flags, Flag.SPIN),
    "page lock": lambda it: rt.bit_lock(it.flags, Flag.LOCKED),
}
WAITS = {"mutex": "{}.mutex", "spin": "{}.spin", "bit": "{}.flags.SPIN", "page lock": "wake on {}.flags.LOCKED.queue"}


def abba(take: Callable[[Box], object]) -> None:
    """BUGGY: two tasks take two locks in opposite order, and meet."""
    a, b = box(0), box(1)

    def ab(first: Box, second: Box) -> None:
        take(first)
        first.x = 1
        until(lambda: second.x)
        take(second)

    rt.spawn(ab, a, b, name="ab", cpu=1)
    rt.spawn(ab, b, a, name="ba", cpu=2)
    rt.join_others()


@pytest.mark.parametrize("kind", TAKE)
def test_an_abba_deadlock_is_a_cycle_with_its_owners(run: Setup, kind: str) -> None:
    outcome = run(lambda: abba(TAKE[kind]))
    found = rows(outcome)
    assert outcome.detail["kind"] == "cycle"
    assert sorted(outcome.detail["cycle"]) == ["ab", "ba"]
    assert found["ab"]["waits_for"] == WAITS[kind].format("box:1")
    assert found["ba"]["waits_for"] == WAITS[kind].format("box:0")
    assert (found["ab"]["held_by"], found["ba"]["held_by"]) == ("ba", "ab")
    assert (found["main"]["waits_for"], found["main"]["held_by"]) == ("end of the others", "ab, ba"), "on each engine"


@pytest.mark.parametrize("kind", ["mutex", "spin", "bit"])
def test_a_cycle_says_where_each_lock_was_taken_and_what_its_tasks_hold(kind: str) -> None:
    for outcome in (walk(lambda: abba(TAKE[kind]), 1, sites=True), free(lambda: abba(TAKE[kind]))):
        found = rows(outcome)
        for task, other in (("ab", "box:0"), ("ba", "box:1")):
            assert str(found[task]["taken_at"]).startswith("ab > <lambda>:")
            assert str(found[task]["at"]).startswith("ab > <lambda>:")
            assert found[task]["holds"] == [WAITS[kind].format(other)]


def test_an_unforced_abba_is_found_by_some_schedules_and_not_by_others() -> None:
    def main() -> None:
        """BUGGY: two tasks take two mutexes in opposite order."""
        a, b = box(0), box(1)

        def both(first: Box, second: Box) -> None:
            rt.mutex_lock(first.mutex)
            rt.mutex_lock(second.mutex)
            rt.mutex_unlock(second.mutex)
            rt.mutex_unlock(first.mutex)

        rt.spawn(both, a, b, cpu=1)
        rt.spawn(both, b, a, cpu=2)

    assert {outcome.how for outcome in explore(main)} == {"deadlock", "finished"}


@pytest.mark.parametrize("kind", TAKE)
def test_a_task_that_takes_a_lock_twice_is_a_cycle_of_one(run: Setup, kind: str) -> None:
    def main() -> None:
        """BUGGY: takes a lock that it holds."""
        shared = box()
        TAKE[kind](shared)
        TAKE[kind](shared)

    outcome = run(main)
    assert rows(outcome)["main"]["held_by"] == "main"
    assert (outcome.detail["kind"], outcome.detail["cycle"]) == ("cycle", ["main"])


def test_a_forgotten_wake_is_a_lost_wakeup_that_names_the_sleeper(run: Setup) -> None:
    def main() -> None:
        """BUGGY: an unlock without its wake."""
        page = box()
        rt.bit_lock(page.flags, Flag.LOCKED)
        rt.spawn(rt.bit_lock, page.flags, Flag.LOCKED, name="sleeper", cpu=1)
        asleep(page.flags.queue(Flag.LOCKED), 1)
        rt.clear_bit_unlock(page.flags, Flag.LOCKED)

    outcome = run(main)
    found = rows(outcome)
    assert (outcome.detail["kind"], outcome.detail["lost"]) == ("lost-wakeup", ["sleeper"])
    assert found["sleeper"]["waits_for"] == "wake on box:0.flags.LOCKED.queue"
    assert found["sleeper"]["condition_holds"] is True


def test_a_wake_before_the_clear_is_lost_on_some_schedules() -> None:
    def main() -> None:
        """BUGGY: wakes first, clears then."""
        page = box()
        rt.bit_lock(page.flags, Flag.LOCKED)
        rt.spawn(rt.bit_lock, page.flags, Flag.LOCKED, name="sleeper", cpu=1)
        rt.wake_up_bit(page.flags, Flag.LOCKED)
        rt.clear_bit_unlock(page.flags, Flag.LOCKED)

    kinds = [outcome.detail["kind"] for outcome in explore(main) if outcome.how == "deadlock"]
    assert kinds
    assert set(kinds) == {"lost-wakeup"}


def test_a_lost_wakeup_of_an_event_is_named_too(run: Setup) -> None:
    def main() -> None:
        """BUGGY: completes without a wake."""
        done = rt.Completion("done:0")
        rt.spawn(done.wait, name="sleeper", cpu=1)
        asleep(done.queue, 1)
        done.done = True

    outcome = run(main)
    assert rows(outcome)["sleeper"]["waits_for"] == "wake on done:0.queue"
    assert (outcome.detail["kind"], outcome.detail["lost"]) == ("lost-wakeup", ["sleeper"])


def test_a_sleeper_whose_condition_does_not_hold_lost_nothing(run: Setup) -> None:
    def main() -> None:
        """BUGGY: waits for what nobody does."""
        rt.Completion("done:0").wait()

    outcome = run(main)
    assert rows(outcome)["main"].get("condition_holds") is None
    assert (outcome.detail["kind"], outcome.detail["lost"], outcome.detail["cycle"]) == ("stuck", [], [])


def test_a_lock_kept_by_an_io_that_never_comes_is_stuck_and_names_the_token(run: Setup) -> None:
    def main() -> None:
        """BUGGY: hands a lock to an I/O that is never submitted."""
        bh = box()
        rt.bit_lock(bh.flags, Flag.LOCKED)
        rt.hand_over(bh.flags, Flag.LOCKED, bh)
        rt.bit_lock(bh.flags, Flag.LOCKED)

    outcome = run(main)
    assert outcome.detail["kind"] == "stuck"
    assert rows(outcome)["main"]["held_by"] == "box:0"


def test_a_task_that_joins_itself_is_a_cycle_of_one(run: Setup) -> None:
    def main() -> None:
        """BUGGY: waits for its own end."""
        rt.join(rt.current())

    outcome = run(main)
    assert rows(outcome)["main"]["waits_for"] == "end of main"
    assert outcome.detail["cycle"] == ["main"]


def interrupted_lock() -> None:
    """BUGGY: a lock taken with interrupts on, and in an interrupt of the same CPU."""
    shared = box()

    def device() -> None:
        until(lambda: shared.x)
        rt.irq_enter(0)
        shared.y = 1
        rt.spin_lock(shared.spin)
        rt.spin_unlock(shared.spin)
        rt.irq_exit()

    rt.spawn(device, name="device", cpu=None)
    rt.spin_lock(shared.spin)
    shared.x = 1
    while not rt.peek(shared, "y"):
        rt.schedule()
    rt.spin_unlock(shared.spin)


def test_an_interrupt_that_spins_for_its_own_cpus_lock_is_a_cycle() -> None:
    outcome = gate(interrupted_lock)
    found = rows(outcome)
    assert outcome.detail["kind"] == "cycle"
    assert (found["device"]["waits_for"], found["device"]["held_by"]) == ("box:0.spin", "main")
    assert (found["main"]["waits_for"], found["main"]["held_by"]) == ("its CPU", "device")


@pytest.mark.slow
def test_under_free_the_watchdog_finds_what_waits_for_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "STALL_SECONDS", 0.3)
    outcome = free(interrupted_lock)
    found = rows(outcome)
    assert outcome.detail["stalled_s"] == 0.3
    assert (found["device"]["waits_for"], found["device"]["held_by"]) == ("box:0.spin", "main")


def test_a_standstill_of_one_pair_does_not_hide_behind_a_daemon_that_sleeps(run: Setup) -> None:
    def main() -> None:
        """BUGGY: an ABBA deadlock beside an idle daemon."""
        rt.spawn(rt.Completion("idle:0").wait, name="kjournald", cpu=3, daemon=True)
        abba(TAKE["mutex"])

    outcome = run(main)
    assert "kjournald" in rows(outcome)
    assert sorted(outcome.detail["cycle"]) == ["ab", "ba"]


def test_a_ring_through_waits_that_are_no_locks_is_a_cycle(run: Setup) -> None:
    def main() -> None:
        """BUGGY: one waits with a lock until the others have closed what is open; one of them wants that lock first."""
        shared = box()

        def user() -> None:
            until(lambda: shared.y)
            rt.mutex_lock(shared.mutex)
            shared.x = 1
            rt.mutex_unlock(shared.mutex)

        users = [rt.spawn(until, lambda: False, name="idler", cpu=3), rt.spawn(user, name="user", cpu=1)]

        def closer() -> None:
            rt.mutex_lock(shared.mutex)
            shared.y = 1
            rt.wait_event(shared.queue, lambda: shared.x == 1, holder=lambda: users)

        rt.spawn(closer, name="closer", cpu=2)

    outcome = run(main, steps_max=FREE_STEPS)
    assert sorted(outcome.detail["cycle"]) == ["closer", "user"]
    row = next(row for row in outcome.detail["tasks"] if row["task"] == "closer")
    assert row["held_by"] == "idler, user"


def test_a_ring_through_a_join_is_a_cycle(run: Setup) -> None:
    def main() -> None:
        """BUGGY: joins with a lock held that the other wants."""
        shared = box()
        rt.mutex_lock(shared.mutex)
        rt.join(rt.spawn(rt.mutex_lock, shared.mutex, name="other", cpu=1))

    assert sorted(run(main).detail["cycle"]) == ["main", "other"]


def test_a_lock_that_was_handed_to_an_io_is_held_by_the_task_that_serves_it(run: Setup) -> None:
    def main() -> None:
        """BUGGY: the end of the I/O wants a lock of who waits for it."""
        bh = box()

        def serve() -> None:
            rt.mutex_lock(bh.mutex)
            rt.bit_unlock(bh.flags, Flag.LOCKED)

        rt.mutex_lock(bh.mutex)
        rt.bit_lock(bh.flags, Flag.LOCKED)
        rt.hand_over(bh.flags, Flag.LOCKED, bh)
        rt.spawn(serve, name="io", cpu=1, acts_for=(bh,))
        rt.bit_lock(bh.flags, Flag.LOCKED)

    outcome = run(main)
    assert rows(outcome)["main"]["held_by"] == "io"
    assert sorted(outcome.detail["cycle"]) == ["io", "main"]


def test_the_op_that_each_task_is_about_to_do_is_told(run: Setup) -> None:
    def main() -> None:
        """BUGGY: an ABBA deadlock."""
        abba(TAKE["mutex"])

    about = {row["task"]: row["about_to"] for row in run(main).detail["tasks"]}
    assert (about["ab"], about["ba"]) == ("ACQUIRE box:1.mutex", "ACQUIRE box:0.mutex")
    assert about["main"].startswith("JOIN ")


def test_a_join_of_all_others_waits_for_each_of_them(run: Setup) -> None:
    def main() -> None:
        """BUGGY: it joins with a lock held that another takes."""
        it = box()
        rt.mutex_lock(it.mutex)
        rt.spawn(rt.mutex_lock, it.mutex, name="child", cpu=1)
        rt.join_others()

    assert sorted(run(main).detail["cycle"]) == ["child", "main"]


def test_a_wait_for_a_completion_names_who_is_to_complete_it(run: Setup) -> None:
    def main() -> None:
        """BUGGY: it waits with a lock held that the other takes first."""
        it, done = box(), rt.Completion("done")

        def work() -> None:
            rt.mutex_lock(it.mutex)
            done.complete()

        rt.mutex_lock(it.mutex)
        worker = rt.spawn(work, name="worker", cpu=1)
        done.wait(holder=lambda: worker)

    outcome = run(main)
    assert rows(outcome)["main"]["held_by"] == "worker"
    assert sorted(outcome.detail["cycle"]) == ["main", "worker"]
    assert rows(outcome)["main"]["about_to"] == "SLEEP done.queue"


def test_a_sleep_for_a_bit_that_is_no_lock_names_the_task_that_serves_its_io(run: Setup) -> None:
    def main() -> None:
        """BUGGY: the end of the I/O wants a lock of who waits for it."""
        it = box()

        def serve() -> None:
            rt.mutex_lock(it.mutex)
            rt.clear_bit(it.flags, Flag.LOCKED)
            rt.wake_up_bit(it.flags, Flag.LOCKED)

        rt.set_bit(it.flags, Flag.LOCKED)
        rt.mutex_lock(it.mutex)
        rt.spawn(serve, name="io", cpu=1, acts_for=(it,))
        rt.wait_on_bit(it.flags, Flag.LOCKED, it)

    assert sorted(run(main).detail["cycle"]) == ["io", "main"]
