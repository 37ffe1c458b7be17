"""A small program in which everything is contended: the one that records are judged on."""

from __future__ import annotations

from mmrace import runtime as rt
from tests.runtime.engines import Flag, asleep, box

ROUNDS = 6


def contended(settled: bool = True) -> None:
    """Two tasks a CPU, locks of each sort, a sleeping bit lock, a count that is frozen, a wait, and interrupts.

    Args: settled: the sleeper sleeps before others begin; to know that the main task looks at what no op shows.
    """
    page, other, plain = box(0, words=3), box(1, words=1), box(2, words=0)
    page.count.get("slot")

    def mixer(i: int) -> None:
        me = rt.current()
        for turn in range(ROUNDS):
            page.x += 1
            page.y = turn * 100 + me.id
            rt.bit_lock(page.flags, Flag.LOCKED)
            page.words.write(turn % 3, (i, turn))
            rt.bit_unlock(page.flags, Flag.LOCKED)
            if rt.spin_trylock(page.spin):
                other.x += 1
                rt.spin_unlock(page.spin)
            rt.mutex_lock(other.mutex)
            page.words.read(turn % 3)
            rt.mutex_unlock(other.mutex)
            if rt.choose(2, "store"):
                plain.flags.store(plain.flags.load() ^ 1 << Flag.WAITERS)  # loses what came between
            rt.set_bit(plain.flags, Flag.DIRTY)
            rt.test_and_clear_bit(plain.flags, Flag.DIRTY)
            rt.note("round", me.name, turn)

    def freezer() -> None:
        for _ in range(ROUNDS):
            if page.count.freeze(1):
                page.link = other
                page.count.unfreeze(1)

    def looker() -> None:
        for _ in range(ROUNDS):
            for _ in rt.until_changed():
                if page.count.get_unless_zero("lookup"):
                    break
            rt.bit_spin_lock(other.flags, Flag.SPIN)
            other.y += 1
            rt.bit_spin_unlock(other.flags, Flag.SPIN)
            page.count.put("lookup")

    def device(cpu: int) -> None:
        rt.irq_enter(cpu)
        rt.spin_lock(other.spin)
        other.words.write(0, cpu)
        rt.spin_unlock(other.spin)
        rt.irq_exit()

    sleeper = rt.spawn(lambda: rt.wait_event(other.queue, lambda: other.link), name="sleeper", cpu=3)
    if settled:
        asleep(other.queue, 1)
    for i in range(4):
        rt.spawn(mixer, i, cpu=i % 2)
    rt.spawn(freezer, cpu=2)
    rt.spawn(looker, cpu=2)
    rt.spawn(looker, cpu=3)
    for i in range(6):
        rt.spawn(device, i % 4, name=("io", i), cpu=None)
    rt.spin_lock_irq(other.spin)
    other.link = page
    rt.spin_unlock_irq(other.spin)
    rt.wake_up(other.queue)
    rt.join(sleeper)
    rt.join_others()
