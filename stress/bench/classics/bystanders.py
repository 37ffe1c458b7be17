"""Ten tasks, of which two share an account.  BUGGY: those two do so without its lock; the others only fill the time."""

from __future__ import annotations

from mmrace import runtime as rt

ALL, PAYERS, CHORES = 10, 2, 4


class Account(rt.Struct):
    """What the two share."""

    balance: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()


class Garden(rt.Struct):
    """What each of the others has for itself."""

    beds = rt.words(0)
    gate = rt.mutex()


def digs(garden: Garden) -> None:
    """Do chores in one's own garden."""
    for chore in range(CHORES):
        rt.mutex_lock(garden.gate)
        garden.beds.write(0, chore)
        rt.mutex_unlock(garden.gate)


def pays(account: Account, locked: bool) -> None:
    """Add one."""
    if locked:
        rt.mutex_lock(account.lock)
    account.balance = account.balance + 1
    if locked:
        rt.mutex_unlock(account.lock)


def _play(locked: bool) -> None:
    account = Account("account")
    for number in range(ALL):
        if number % (ALL // PAYERS) == 1:
            rt.spawn(pays, account, locked)
        else:
            rt.spawn(digs, Garden(f"garden.{number}", beds=1))
    rt.join_others()
    rt.bug_on(account.balance != PAYERS, "a payment is lost")


def main() -> None:
    """BUGGY: without the lock."""
    _play(False)


def mended() -> None:
    """With it."""
    _play(True)
