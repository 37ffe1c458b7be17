"""Flag bits, sleeping bit locks, bit spinlocks."""

from __future__ import annotations

from mmrace import runtime as rt
from tests.runtime.engines import Box, Flag, Program
from tests.strategies.dpor_programs import played


def plain_store(b: Box) -> None:
    """Set a bit by a plain load and store of the whole word."""
    b.flags.store(b.flags.load() | 1 << Flag.DIRTY)


def sets_waiters(b: Box) -> None:
    """Set a bit."""
    rt.set_bit(b.flags, Flag.WAITERS)


def _looks_at_waiters(b: Box) -> None:
    if rt.test_bit(b.flags, Flag.WAITERS):
        rt.clear_bit(b.flags, Flag.WAITERS)


def _tests_and_sets(b: Box) -> None:
    if not rt.test_and_set_bit(b.flags, Flag.DIRTY):
        b.x = b.x + 1


def _tests_and_clears(b: Box) -> None:
    if rt.test_and_clear_bit(b.flags, Flag.DIRTY):
        b.y = 1


def _bit_locked(b: Box) -> None:
    rt.bit_lock(b.flags, Flag.LOCKED)
    b.x = b.x + 1
    rt.bit_unlock(b.flags, Flag.LOCKED)


def _waits_on_bit(b: Box) -> None:
    rt.wait_on_bit(b.flags, Flag.LOCKED)


def bit_spun(b: Box) -> None:
    """Read x and write one more, under the bit spinlock."""
    rt.bit_spin_lock(b.flags, Flag.SPIN)
    b.x = b.x + 1
    rt.bit_spin_unlock(b.flags, Flag.SPIN)


def _bit_spun_store(b: Box) -> None:
    rt.bit_spin_lock(b.flags, Flag.SPIN)
    b.flags.store(b.flags.load() | 1 << Flag.DIRTY)
    rt.bit_spin_unlock(b.flags, Flag.SPIN)


def _bit_spun_once(b: Box) -> None:
    rt.bit_spin_lock(b.flags, Flag.SPIN)
    rt.bit_spin_unlock(b.flags, Flag.SPIN)


def _store_and_bit_spun_store(b: Box) -> None:
    plain_store(b)
    _bit_spun_store(b)


def _bit_spin_tries(b: Box) -> None:
    if rt.bit_spin_trylock(b.flags, Flag.SPIN):
        rt.bit_spin_unlock(b.flags, Flag.SPIN)


PROGRAMS: dict[str, Program] = {
    "lost waiters bit": played(plain_store, sets_waiters, _looks_at_waiters),
    "test-and-set || test-and-set || test-and-clear": played(_tests_and_sets, _tests_and_sets, _tests_and_clears),
    "sleeping bit lock": played(_bit_locked, _bit_locked),
    "wait on bit": played(_bit_locked, _waits_on_bit),
    "bit spinlock": played(bit_spun, bit_spun, _bit_spin_tries),
    "bit spinlock around a plain store": played(_bit_spun_store, _bit_spun_store),
    "bit spinlock || plain store inside and outside": played(_bit_spun_once, _store_and_bit_spun_store),
}

AT_ONCE = {
    "lost waiters bit",
    "test-and-set || test-and-set || test-and-clear",
    "sleeping bit lock",
    "wait on bit",
    "bit spinlock",
}
