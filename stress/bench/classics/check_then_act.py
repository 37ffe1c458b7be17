"""Two withdraw from an account, and look first.  BUGGY: they let go of the lock between the look and the deed."""

from __future__ import annotations

from mmrace import runtime as rt


class Account(rt.Struct):
    """Enough for one."""

    balance: rt.Field[int] = rt.shared(3)
    lock = rt.mutex()


def withdraws(account: Account, amount: int, at_once: bool) -> None:
    """Take the amount if it is there."""
    for _ in range(2):
        rt.mutex_lock(account.lock)
        enough = account.balance >= amount
        if not at_once:
            rt.mutex_unlock(account.lock)
            rt.mutex_lock(account.lock)
        if enough:
            account.balance = account.balance - amount
        rt.mutex_unlock(account.lock)


def _play(at_once: bool) -> None:
    account = Account("account")
    for amount in (1, 2):
        rt.spawn(withdraws, account, amount, at_once)
    rt.join_others()
    rt.bug_on(account.balance < 0, "overdrawn")


def main() -> None:
    """BUGGY: in two steps."""
    _play(False)


def mended() -> None:
    """In one."""
    _play(True)
