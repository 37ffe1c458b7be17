"""The canary `async-backout` is the patch that was posted: each of its effects, by ring and busy buffer."""

from __future__ import annotations

import pytest

from mmrace.actors import migrator
from mmrace.actors.stage import Stage
from mmrace.history.canaries import canaries
from mmrace.history.canaries.async_backout import buffer_migrate_lock_buffers
from mmrace.history.variant import applied
from mmrace.kernel.fs import buffer
from mmrace.kernel.mm import swap
from mmrace.kernel.mm.migrate import MIGRATE_ASYNC, MIGRATE_SYNC
from tests.scenarios.staged import cached, play, ring


class StandIn:
    """A buffer that counts what is done to it."""

    def __init__(self, busy: bool) -> None:
        self.busy = busy
        self.unlocked = self.taken = 0
        self.b_this_page: StandIn | None = None


def made(size: int, busy: int) -> list[StandIn]:
    buffers = [StandIn(i == busy) for i in range(size)]
    for i, bh in enumerate(buffers):
        bh.b_this_page = buffers[(i + 1) % size]
    return buffers


def get(bh: StandIn, _ref: str) -> None:
    bh.taken += 1


def put(bh: StandIn, _ref: str) -> None:
    bh.taken -= 1


def unlock(bh: StandIn) -> None:
    bh.unlocked += 1


def not_asked(*_: object) -> bool:
    raise AssertionError("what stands below is for the other modes")


@pytest.mark.parametrize(
    ("size", "busy", "unlocked", "taken"),
    [
        (1, 0, [1], [0]),  # another's lock
        (4, 2, [1, 1, 0, 0], [0, 0, 1, 0]),  # its own, and a reference leaks
        (4, 0, [1, 1, 1, 1], [0, -1, -1, -1]),  # the whole ring
    ],
)
def test_what_the_posted_back_out_releases(
    size: int, busy: int, unlocked: list[int], taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer, "get_bh", get)
    monkeypatch.setattr(buffer, "put_bh", put)
    monkeypatch.setattr(buffer, "unlock_buffer", unlock)
    monkeypatch.setattr(buffer, "trylock_buffer", lambda bh: not bh.busy)
    buffers = made(size, busy)
    assert not buffer_migrate_lock_buffers(not_asked, buffers[0], MIGRATE_ASYNC)  # type: ignore[arg-type]
    assert [bh.unlocked for bh in buffers] == unlocked
    assert [bh.taken for bh in buffers] == taken


@pytest.mark.parametrize(("variant", "leaked"), [("async-backout", 1), ("async-locks-after-thaw", 0)])
def test_it_moves_the_slot_back_says_ebusy_and_leaks_the_busy_buffer_s_reference(variant: str, leaked: int) -> None:
    def body(stage: Stage) -> None:
        page, last = cached(stage), ring(stage)[-1]
        buffer.lock_buffer(last)
        assert migrator.migrate_some(stage, migrator.isolate_index(stage, 0), MIGRATE_ASYNC) == 1
        buffer.unlock_buffer(last)
        swap.lru_add_drain_all(stage.machine)
        assert [bh.b_count.value for bh in ring(stage)] == [0, 0, 0, leaked]
        assert cached(stage) is page and page._count.value == 2

    with applied(canaries()[variant].variant):
        played = play(body, buffers=4)
    assert [(rc, reason) for *_, rc, reason in played.notes("migrate-end")] == [("-EBUSY", "buffer-lock")]


@pytest.mark.parametrize("variant", ["async-backout", "async-locks-after-thaw"])
def test_without_a_busy_buffer_and_in_other_modes_it_is_right(variant: str) -> None:
    def body(stage: Stage) -> None:
        for mode in (MIGRATE_ASYNC, MIGRATE_SYNC):
            assert migrator.migrate_some(stage, migrator.isolate_index(stage, 0), mode) == 0
            swap.lru_add_drain_all(stage.machine)
        assert [bh.b_count.value for bh in ring(stage)] == [0, 0, 0, 0] and cached(stage)._count.value == 2

    with applied(canaries()[variant].variant):
        play(body, buffers=4)
