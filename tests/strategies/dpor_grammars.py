"""The alphabets of the grammar of tiny programs: what a task or a daemon can do, one family of primitives each."""

from __future__ import annotations

from zlib import crc32

from mmrace import runtime as rt
from mmrace.runtime.kinds import Kind
from tests.runtime.engines import Flag
from tests.strategies.dpor_grammar import Deed, Grammar
from tests.strategies.open_lock import Room

BIT, SPIN, DIRTY = Flag.LOCKED, Flag.SPIN, Flag.DIRTY
NOTHING = frozenset[Kind]()
BEGINS = frozenset((Kind.BEGIN,))


def _me() -> int:
    """Return a number for the task that tells its name: ids depend on the order of spawns."""
    return crc32(rt.current().name.encode())


def _write(b: Room) -> None:
    b.x = _me()


def _write_y(b: Room) -> None:
    b.y = _me()


def _read(b: Room) -> None:
    _ = b.x


def _unset(b: Room) -> None:
    b.x = 0


def _bug_unless_x(b: Room) -> None:
    rt.bug_on(b.x == 0, "x is 0")


def _bug_if_y(b: Room) -> None:
    rt.bug_on(b.y != 0, "y is not 0")


def _unlock_mutex_if_held(b: Room) -> None:
    if b.mutex in rt.current().held:
        rt.mutex_unlock(b.mutex)


def _clear(b: Room) -> None:
    """Release the bit lock, whoever holds it: the plain clear knows no owner."""
    rt.clear_bit(b.flags, BIT)
    b.flags.owners.pop(BIT, None)


def _unspin_if_held(b: Room) -> None:
    if b.flags.gate(SPIN) in rt.current().held:
        rt.bit_spin_unlock(b.flags, SPIN)


def _toggle(b: Room) -> None:
    b.flags.store(b.flags.load() ^ 1 << DIRTY)


def _sleep(b: Room) -> None:
    rt.sleep_on(rt.prepare_to_wait(b.queue, None))


def _sleep_exclusive(b: Room) -> None:
    rt.sleep_on(rt.prepare_to_wait(b.queue, None, exclusive=True))


def _wait_for_x(b: Room) -> None:
    rt.wait_event(b.queue, lambda: bool(b.x), holds=lambda: bool(rt.peek(b, "x")))


def _sleep_unless_x(b: Room) -> None:
    """BUGGY on purpose: tests before it queues, so a wake in between is lost."""
    if not b.x:
        entry = rt.prepare_to_wait(b.queue, None)
        entry.holds = lambda: bool(rt.peek(b, "x"))
        rt.sleep_on(entry)
        rt.finish_wait(entry)


def _spawn(b: Room) -> None:
    rt.spawn(_write, b, cpu=None)


def _spawn_sleeper(b: Room) -> None:
    rt.spawn(_sleep, b, cpu=None)


def _spawn_daemon(b: Room) -> None:
    rt.spawn(_write, b, cpu=None, daemon=True)


def _spawn_and_join(b: Room) -> None:
    rt.join(rt.spawn(_write, b, cpu=None))


def _retry_until_x(b: Room) -> None:
    for _ in rt.until_changed():
        if b.x:
            break


def _choose(b: Room) -> None:
    b.x = rt.choose(2)


def _preempt_on(b: Room) -> None:
    if rt.current().preempt:
        rt.preempt_enable()


def _spin_unlock_if_held(b: Room) -> None:
    if b.spin in rt.current().held:
        rt.spin_unlock(b.spin)


LOCK: dict[str, Deed] = {"lock": lambda b: b.lock.acquire(), "unlock": lambda b: b.lock.release()}
PREEMPT: dict[str, Deed] = {"preempt off": lambda b: rt.preempt_disable(), "preempt on": _preempt_on}
WAKE: Deed = lambda b: rt.wake_up(b.queue)  # noqa: E731

GRAMMARS: dict[str, Grammar] = {
    "plain": Grammar(
        {"write": _write, "read": _read, "write y": _write_y, "bug unless x": _bug_unless_x, "bug if y": _bug_if_y}
    ),
    "locks that anybody releases": Grammar({**LOCK, "try": lambda b: b.lock.try_(), "write": _write}, whole=(2, 2)),
    "longer": Grammar({**LOCK, "write": _write}, whole=(3, 1)),
    "mutexes": Grammar(
        {
            "mutex": lambda b: rt.mutex_lock(b.mutex),
            "unlock if held": _unlock_mutex_if_held,
            "unlock": lambda b: rt.mutex_unlock(b.mutex),
            "write": _write,
        },
        whole=(2, 2),
    ),
    "sleeping bit locks": Grammar(
        {
            "bit lock": lambda b: rt.bit_lock(b.flags, BIT),
            "clear": _clear,
            "wake": lambda b: rt.wake_up_bit(b.flags, BIT),
            "wait": lambda b: rt.wait_on_bit(b.flags, BIT),
        }
    ),
    "bit tries": Grammar(
        {
            "bit try": lambda b: rt.bit_trylock(b.flags, BIT),
            "bit lock": lambda b: rt.bit_lock(b.flags, BIT),
            "clear": _clear,
            "wake": lambda b: rt.wake_up_bit(b.flags, BIT),
            "write": _write,
        }
    ),
    "bit spinlocks": Grammar(
        {"spin": lambda b: rt.bit_spin_lock(b.flags, SPIN), "unspin if held": _unspin_if_held, "toggle": _toggle}
    ),
    "queues": Grammar(
        {"sleep": _sleep, "sleep exclusive": _sleep_exclusive, "wake": WAKE, "write": _write}, whole=(2, 2)
    ),
    "events": Grammar({"wait for x": _wait_for_x, "sleep unless x": _sleep_unless_x, "wake": WAKE, "write": _write}),
    "locks and queues": Grammar({**LOCK, "sleep": _sleep, "wake": WAKE}, whole=(2, 2)),
    "children": Grammar(
        {"spawn": _spawn, "spawn daemon": _spawn_daemon, "spawn and join": _spawn_and_join, "write": _write},
        daemons={"spawn daemon": _spawn_daemon, "write": _write},
        whole=(1, 1),
    ),
    "children of daemons": Grammar(
        {"write": _write, "read": _read},
        daemons={"spawn": _spawn, "spawn sleeper": _spawn_sleeper, "spawn and join": _spawn_and_join, "write": _write},
        at_once=BEGINS | {Kind.EXIT},
        whole=(1, 2),
        classes=False,
    ),
    "join others": Grammar(
        {"spawn": _spawn, "read": _read, "join others": lambda b: rt.join_others()}, at_once=BEGINS, classes=False
    ),
    "retries": Grammar({"retry until x": _retry_until_x, "write": _write, "unset": _unset}, whole=(2, 2)),
    "counts": Grammar(
        {
            "get": lambda b: b.count.get("g"),
            "put": lambda b: b.count.put("g"),
            "freeze": lambda b: b.count.freeze(1),
            "get unless zero": lambda b: b.count.get_unless_zero("g"),
            "count": lambda b: b.count.read(),
        }
    ),
    "choices": Grammar({**LOCK, "choose": _choose, "bug unless x": _bug_unless_x}),
    "memory": Grammar({"free": rt.poison, "read": _read, "lock": LOCK["lock"]}, at_once=NOTHING),
    "one CPU": Grammar({**LOCK, **PREEMPT}, cpus=(1, 1, 1), at_once=NOTHING),
    "daemon on a task's CPU": Grammar({**LOCK, **PREEMPT}, cpus=(1, 2, 1), at_once=NOTHING),
    "interrupts": Grammar(
        {"lock": lambda b: rt.spin_lock(b.spin), "unlock if held": _spin_unlock_if_held, "write": _write},
        cpus=(1, 2, None),
        at_once=NOTHING,
        irq=True,
    ),
}
