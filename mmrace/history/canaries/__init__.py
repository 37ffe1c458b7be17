"""The planted bugs, one a file; each file shows its whole difference to the correct protocol."""

from mmrace.history.canaries import (
    async_backout,
    async_locks_after_thaw,
    commit_no_flush,
    copy_after_unlock,
    double_put,
    forgotten_wake,
    lost_get,
    lost_put,
    no_freeze,
    unlock_by_stranger,
)
from mmrace.history.canary import Canary

CANARIES: tuple[Canary, ...] = (
    double_put.CANARY,
    lost_get.CANARY,
    lost_put.CANARY,
    forgotten_wake.CANARY,
    unlock_by_stranger.CANARY,
    copy_after_unlock.CANARY,
    async_backout.CANARY,
    async_locks_after_thaw.CANARY,
    no_freeze.CANARY,
    commit_no_flush.CANARY,
)


def canaries() -> dict[str, Canary]:
    """Return every canary by name."""
    return {canary.name: canary for canary in CANARIES}
