"""Use after free: every op on a freed object is caught, however close the free came to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from mmrace import runtime as rt
from mmrace.runtime.kinds import Kind
from tests.runtime.engines import Box, Flag, Setup, asleep, box, caught_after_free

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


@pytest.mark.parametrize("field", TOUCHES)
def test_a_freed_object_refuses_every_access(run: Setup, field: str) -> None:
    def main() -> None:
        """BUGGY: touches what it freed."""
        freed = box()
        rt.poison(freed)
        TOUCHES[field](freed)

    assert caught_after_free(run(main), field) == {"task": "main", "object": "box:0"}


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

    caught_after_free(run(main), "flags" if which == "bit spinlock" else which)


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


def test_the_clear_of_an_unlock_after_the_free_is_caught_after_free(run: Setup) -> None:
    def main() -> None:
        """BUGGY: frees what is locked, then unlocks it."""
        freed = box()
        flags = freed.flags
        rt.bit_lock(flags, Flag.LOCKED)
        rt.poison(freed)
        rt.bit_unlock(flags, Flag.LOCKED)

    assert caught_after_free(run(main), "flags") == {"task": "main", "object": "box:0"}


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


def test_freeing_twice_is_caught_after_free(run: Setup) -> None:
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
