"""A lost update: two tasks add one to a balance that each has read before the other writes.

mmrace explore mmrace/examples/lost_update.py:main --until-found     # BUGGY: ends in FAIL
mmrace explore mmrace/examples/lost_update.py:mended --exhaustive
"""

from __future__ import annotations

from mmrace import runtime as rt


class Account(rt.Struct):
    """Shared state is what a `Struct` declares; each access to it is a point at which another task may run."""

    balance: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()


def deposit(account: Account) -> None:
    """Add one, without the lock."""
    before = account.balance
    account.balance = before + 1


def locked_deposit(account: Account) -> None:
    """Add one, with the lock held."""
    rt.mutex_lock(account.lock)
    deposit(account)
    rt.mutex_unlock(account.lock)


def main(tasks: int = 2) -> None:
    """BUGGY: some deposit is lost in some schedule, and the accesses race in all."""
    account = Account("account")
    for _ in range(tasks):
        rt.spawn(deposit, account)
    rt.join_others()
    assert account.balance == tasks


def mended(tasks: int = 2) -> None:
    """As `main`, under the lock."""
    account = Account("account")
    for _ in range(tasks):
        rt.spawn(locked_deposit, account)
    rt.join_others()
    assert account.balance == tasks
