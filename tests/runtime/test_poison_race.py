"""A free that falls between the announcement of an op and the op, which would be done on freed memory, is caught."""

from __future__ import annotations

import threading

from mmrace import runtime as rt
from mmrace.runtime.kinds import KIND_MASK, Kind
from tests.runtime.engines import EXPLORED, Flag, Setup, asleep, box, caught_after_free, explore, free, until


def _free_under_a_reader() -> None:
    """BUGGY: one task frees what another found without a reference."""
    found = box(0)
    root = box(1, link=found)

    def reader() -> None:
        it = root.link
        if it is not None:
            assert it.x == 0

    def freer() -> None:
        root.link = None
        rt.poison(found)

    rt.spawn(reader, name="reader", cpu=1)
    rt.spawn(freer, name="freer", cpu=2)
    rt.join_others()


def test_a_free_between_the_announcement_of_an_op_and_the_op_is_caught_after_free() -> None:
    outcomes = list(explore(_free_under_a_reader))
    late = [outcome for outcome in outcomes if outcome.how == "violation"]
    early = [outcome for outcome in outcomes if outcome.how == "finished"]
    assert late
    assert early
    assert len(late) + len(early) == EXPLORED
    for outcome in late:
        facts = caught_after_free(outcome, "x")
        assert facts == {"object": "box:0", "task": "reader", "about_to": "READ", "freed_by": "freer"}
    for outcome in early:  # it read before the free, or it found nothing
        order = [op[1:3] for op in outcome.ops(Kind.READ, Kind.WRITE)]
        read, unlinked = (Kind.READ, "box:0.x"), (Kind.WRITE, "box:1.link")
        assert read not in order or order.index(read) < order.index(unlinked)


def test_a_task_that_waits_for_a_lock_of_a_freed_object_is_caught_after_free(controlled: Setup) -> None:
    def main() -> None:
        """BUGGY: frees an object with a mutex that somebody waits for."""
        freed = box()
        rt.mutex_lock(freed.mutex)
        rt.spawn(rt.mutex_lock, freed.mutex, name="waiter", cpu=1)
        while not freed.mutex.waiters:
            rt.schedule()
        rt.poison(freed)

    facts = caught_after_free(controlled(main), "mutex")
    assert facts["task"] == "waiter"
    assert facts["freed_by"] == "main"


def test_a_sleeper_is_caught_at_what_it_does_when_it_was_woken(controlled: Setup) -> None:
    def main() -> None:
        """BUGGY: frees an object as soon as its sleepers were woken."""
        freed = box()
        queue = freed.queue
        rt.spawn(rt.wait_event, queue, lambda: False, name="sleeper", cpu=1)
        asleep(queue, 1)
        rt.wake_up(queue)
        rt.poison(freed)
        rt.join_others()

    assert caught_after_free(controlled(main), "queue") == {"task": "sleeper", "object": "box:0"}


def test_under_free_an_op_that_was_announced_before_the_free_is_refused_when_it_begins() -> None:
    announced, freed = threading.Event(), threading.Event()

    def linger(obj: object, code: int) -> None:
        if code & KIND_MASK == Kind.READ:
            announced.set()
            assert freed.wait(60)

    def main() -> None:
        """BUGGY: frees what another task is about to read."""
        page = box()
        page.count.get("gup")

        def user() -> None:
            rt.current().noise = linger
            try:
                _ = page.x
            finally:
                page.count.put("gup")  # not freed, and not to wait for: the refused op owns nothing

        task = rt.spawn(user, name="user", cpu=1)
        assert announced.wait(60)
        rt.poison(page, keep=("count",))
        freed.set()
        rt.join(task)

    outcome = free(main)
    assert caught_after_free(outcome, "x")["task"] == "user"
    assert outcome.ops(Kind.PUT, task="user")


def test_a_pending_op_on_a_kept_field_is_let_be(controlled: Setup) -> None:
    def main() -> None:
        page = box()
        rt.spawn(lambda: page.count.get_unless_zero("gup"), cpu=1)
        rt.schedule()
        rt.poison(page, keep=("count",))
        rt.join_others()

    assert controlled(main).how == "finished"


def test_a_wake_that_was_announced_before_the_free_is_let_be() -> None:
    def main() -> None:
        """Frees as soon as the bit is clear, whether or not the unlocker came to its wake."""
        freed = box()
        flags = freed.flags
        rt.bit_lock(flags, Flag.LOCKED)
        rt.hand_over(flags, Flag.LOCKED, freed)
        rt.spawn(rt.bit_unlock, flags, Flag.LOCKED, cpu=1, acts_for=(freed,))
        until(lambda: not rt.test_bit(flags, Flag.LOCKED))
        rt.poison(freed)

    outcomes = list(explore(main))
    assert {outcome.how for outcome in outcomes} == {"finished"}
    last = [outcome.ops(Kind.TEST, Kind.WAKE)[-1][1] for outcome in outcomes]
    assert set(last) == {Kind.TEST, Kind.WAKE}  # before the free, and after it
