"""Use after free: every op on a freed object is caught, however close the free came to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from mmrace import runtime as rt
from mmrace.runtime.kinds import KIND_MASK, Kind
from tests.runtime.engines import EXPLORED, Box, Flag, Outcome, Setup, asleep, box, explore, free

TOUCHES: dict[str, Callable[[Box], object]] = {
    "x": lambda freed: freed.x,
    "y": lambda freed: setattr(freed, "y", 1),
    "count": lambda freed: freed.count.get("lookup"),
    "flags": lambda freed: rt.set_bit(freed.flags, Flag.DIRTY),
    "spin": lambda freed: rt.spin_lock(freed.spin),
    "mutex": lambda freed: rt.mutex_trylock(freed.mutex),
    "queue": lambda freed: rt.wake_up(freed.queue),
    "words": lambda freed: freed.words.read(0),
}

# the same, through a primitive that was looked up while the object lived
KEPT: dict[str, Callable[[Box], Callable[[], object]]] = {
    "count": lambda live: partial(live.count.put, "lookup"),
    "flags": lambda live: partial(rt.test_bit, live.flags, Flag.DIRTY),
    "bit spinlock": lambda live: partial(rt.bit_spin_trylock, live.flags, Flag.SPIN),
    "spin": lambda live: partial(rt.spin_lock, live.spin),
    "mutex": lambda live: partial(rt.mutex_lock, live.mutex),
    "queue": lambda live: partial(rt.wake_up_all, live.queue),
    "words": lambda live: partial(live.words.write, 1, 5),
}


def caught(outcome: Outcome, field: str) -> dict[str, object]:
    """Assert that the run ended by a use of `field` after free; return the facts."""
    assert outcome.how == "violation", outcome.record.end
    assert (outcome.detail["oracle"], outcome.detail["rule"]) == ("use-after-free", f"access to Box.{field} after free")
    facts: dict[str, object] = outcome.detail["facts"]
    return facts


@pytest.mark.parametrize("field", TOUCHES)
def test_a_freed_object_refuses_every_access(run: Setup, field: str) -> None:
    def main() -> None:
        """BUGGY: touches what it freed."""
        freed = box()
        rt.poison(freed)
        TOUCHES[field](freed)

    assert caught(run(main), field) == {"task": "main", "object": "box:0"}


@pytest.mark.parametrize("which", KEPT)
def test_a_primitive_of_a_freed_object_refuses_every_op(run: Setup, which: str) -> None:
    def main() -> None:
        """BUGGY: uses a lock, a count or a queue of what it freed."""
        freed = box()
        rt.bit_spin_lock(freed.flags, Flag.SPIN)  # the bit has a gate by now
        rt.bit_spin_unlock(freed.flags, Flag.SPIN)
        touch = KEPT[which](freed)
        rt.poison(freed)
        touch()

    caught(run(main), "flags" if which == "bit spinlock" else which)


@pytest.mark.parametrize("slept", [False, True], ids=["nobody-ever-slept", "somebody-slept-before"])
def test_an_unlock_may_wake_after_the_free_since_a_bits_queue_is_not_in_the_word(run: Setup, slept: bool) -> None:
    def main() -> None:
        """Frees between the two halves of an unlock, as who saw the bit clear may do."""
        freed = box()
        flags = freed.flags
        rt.bit_lock(flags, Flag.LOCKED)
        if slept:
            sleeper = rt.spawn(rt.wait_on_bit, flags, Flag.LOCKED, cpu=1)
            asleep(flags.queue(Flag.LOCKED), 1)
            rt.bit_unlock(flags, Flag.LOCKED)
            rt.join(sleeper)
            rt.bit_lock(flags, Flag.LOCKED)
        rt.clear_bit_unlock(flags, Flag.LOCKED)
        rt.poison(freed)
        rt.wake_up_bit(flags, Flag.LOCKED)

    assert run(main).how == "finished"


def test_the_clear_of_an_unlock_after_the_free_is_caught(run: Setup) -> None:
    def main() -> None:
        """BUGGY: frees what is locked, then unlocks it."""
        freed = box()
        flags = freed.flags
        rt.bit_lock(flags, Flag.LOCKED)
        rt.poison(freed)
        rt.bit_unlock(flags, Flag.LOCKED)

    assert caught(run(main), "flags") == {"task": "main", "object": "box:0"}


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


def test_a_free_between_the_announcement_of_an_op_and_the_op_is_caught() -> None:
    outcomes = list(explore(_free_under_a_reader))
    late = [outcome for outcome in outcomes if outcome.how == "violation"]
    early = [outcome for outcome in outcomes if outcome.how == "finished"]
    assert late
    assert early
    assert len(late) + len(early) == EXPLORED
    for outcome in late:
        facts = caught(outcome, "x")
        assert facts == {"object": "box:0", "task": "reader", "about_to": "READ", "freed_by": "freer"}
    for outcome in early:  # it read before the free, or it found nothing
        order = [op[1:3] for op in outcome.ops(Kind.READ, Kind.WRITE)]
        read, unlinked = (Kind.READ, "box:0.x"), (Kind.WRITE, "box:1.link")
        assert read not in order or order.index(read) < order.index(unlinked)


def test_a_task_that_waits_for_a_lock_of_a_freed_object_is_caught(controlled: Setup) -> None:
    def main() -> None:
        """BUGGY: frees an object with a mutex that somebody waits for."""
        freed = box()
        rt.mutex_lock(freed.mutex)
        rt.spawn(rt.mutex_lock, freed.mutex, name="waiter", cpu=1)
        while not freed.mutex.waiters:
            rt.schedule()
        rt.poison(freed)

    facts = caught(controlled(main), "mutex")
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

    assert caught(controlled(main), "queue") == {"task": "sleeper", "object": "box:0"}


def test_under_free_an_op_that_was_announced_before_the_free_is_refused_when_it_begins() -> None:
    announced, freed = threading.Event(), threading.Event()

    def linger(obj: object, code: int) -> None:
        if code & KIND_MASK == Kind.GET:
            announced.set()
            assert freed.wait(60)

    def main() -> None:
        """BUGGY: frees what another task is about to take a reference to."""
        page = box()

        def user() -> None:
            rt.current().noise = linger
            page.count.get("gup")

        task = rt.spawn(user, name="user", cpu=1)
        assert announced.wait(60)
        rt.poison(page)
        freed.set()
        rt.join(task)

    assert caught(free(main), "count")["task"] == "user"


def test_fields_that_are_kept_can_be_used_after_the_free(run: Setup) -> None:
    def main() -> None:
        page = box(x=4)
        rt.poison(page, keep=("x", "count", "flags"))
        page.x += 1
        page.count.get("gup")
        rt.set_bit(page.flags, Flag.DIRTY)
        rt.bit_lock(page.flags, Flag.LOCKED)
        rt.bit_unlock(page.flags, Flag.LOCKED)
        with pytest.raises(rt.Violation, match=r"access to Box\.y after free"):
            _ = page.y

    assert run(main).how == "finished"


def test_a_pending_op_on_a_kept_field_is_let_be(controlled: Setup) -> None:
    def main() -> None:
        page = box()
        rt.spawn(lambda: page.count.get_unless_zero("gup"), cpu=1)
        rt.schedule()
        rt.poison(page, keep=("count",))
        rt.join_others()

    assert controlled(main).how == "finished"


def test_freeing_twice_is_caught(run: Setup) -> None:
    def main() -> None:
        """BUGGY: a double free."""
        freed = box()
        rt.poison(freed, keep=("count",))
        rt.poison(freed)

    outcome = run(main)
    assert outcome.detail["rule"] == "double free of a Box"
    assert outcome.detail["facts"]["object"] == "box:0"


def test_a_revived_object_is_as_it_was(run: Setup) -> None:
    def main() -> None:
        page = box(x=4)
        rt.bit_spin_lock(page.flags, Flag.SPIN)
        rt.bit_spin_unlock(page.flags, Flag.SPIN)
        for _ in range(2):
            rt.poison(page)
            rt.revive(page)
        rt.revive(page)  # and once more does no harm
        assert type(page) is Box
        for touch in TOUCHES.values():
            touch(page)
        rt.spin_unlock(page.spin)
        rt.mutex_unlock(page.mutex)
        assert rt.bit_spin_trylock(page.flags, Flag.SPIN)
        rt.bit_spin_unlock(page.flags, Flag.SPIN)
        assert page.x == 4

    assert run(main).how == "finished"


def test_a_freed_object_still_has_its_name_and_can_be_peeked_at(run: Setup) -> None:
    def main() -> None:
        freed = box(x=4)
        rt.poison(freed)
        assert (freed.name, repr(freed), rt.peek(freed, "x"), rt.peek(freed, "words").values) == (
            "box:0", "box:0", 4, [0, 0],
        )  # fmt: skip
        box(1).link = freed

    assert run(main).ops(Kind.WRITE)[0][4].name == "box:0"
