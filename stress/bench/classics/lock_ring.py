"""Three accounts, three transfers round the ring, twice each.  BUGGY: each locks its own account, then the next one."""

from __future__ import annotations

from mmrace import runtime as rt

ACCOUNTS, TIMES = 3, 2


class Account(rt.Struct):
    """A balance under a lock."""

    balance: rt.Field[int] = rt.shared(10)
    lock = rt.mutex()


def transfers(accounts: list[Account], source: int, ranked: bool) -> None:
    """Move one to the next account."""
    target = (source + 1) % ACCOUNTS
    first, second = sorted((source, target)) if ranked else (source, target)
    for _ in range(TIMES):
        rt.mutex_lock(accounts[first].lock)
        rt.mutex_lock(accounts[second].lock)
        accounts[source].balance = accounts[source].balance - 1
        accounts[target].balance = accounts[target].balance + 1
        rt.mutex_unlock(accounts[second].lock)
        rt.mutex_unlock(accounts[first].lock)


def _play(ranked: bool) -> None:
    accounts = [Account(f"account.{i}") for i in range(ACCOUNTS)]
    for source in range(ACCOUNTS):
        rt.spawn(transfers, accounts, source, ranked)
    rt.join_others()


def main() -> None:
    """BUGGY: a cycle of three."""
    _play(False)


def mended() -> None:
    """The account with the lower number first."""
    _play(True)
