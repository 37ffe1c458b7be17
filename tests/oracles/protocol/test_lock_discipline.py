"""The lock discipline oracle of the kernel model: what nobody holds at rest, and what ASYNC must not wait for."""

from __future__ import annotations

import pytest

from mmrace.oracles.protocol import lock_discipline
from mmrace.runtime.kinds import Kind
from tests.claims.claims import caught, passed
from tests.oracles.hand import Hand, at_rest, buffer, page, rest

TREE_LOCK = "mapping:5.tree_lock"


def _hand() -> Hand:
    return Hand("migrator", "writer")


def _spin(hand: Hand, task: str, path: str, irq: str | None = None) -> Hand:
    return hand.op(task, Kind.ACQUIRE, path, irq).op(task, Kind.RELEASE, path, irq)


def test_lock_oracle_still_judges_as_the_general_one() -> None:
    hand = _hand().lock("writer", "page:0").unlock("migrator", "page:0")
    caught(lock_discipline.judge(hand.record()), "unlock by a stranger")


def test_lock_oracle_catches_a_lock_held_at_rest() -> None:
    hand = _spin(_hand(), "writer", TREE_LOCK, "irq")
    at_rest(hand, rest([page("page:0")], locks_held=["page:0.flags.PG_locked"]))
    caught(lock_discipline.judge(hand.record()), "held at rest")


@pytest.mark.parametrize(
    "snap",
    [
        rest([page("page:0", flags=["PG_locked"])]),
        rest([page("page:0")], buffers=[buffer("bh:1", state=["BH_Lock"])]),
    ],
)
def test_lock_oracle_catches_a_bit_lock_that_is_set_at_rest(snap: dict[str, object]) -> None:
    caught(lock_discipline.judge(at_rest(_hand(), snap).record()), "held at rest")


@pytest.mark.parametrize(
    ("owner", "field", "bit"),
    [("page:0", "flags", "PG_locked"), ("page:0", "flags", "PG_writeback"), ("bh:1", "b_state", "BH_Lock")],
)
def test_lock_oracle_catches_an_async_migration_that_waits(owner: str, field: str, bit: str) -> None:
    hand = _spin(_hand(), "migrator", TREE_LOCK, "irq").note("migrator", "migrate-begin", "page:0", "MIGRATE_ASYNC")
    finding = caught(lock_discipline.judge(hand.queue("migrator", owner, bit, field).record()), "ASYNC waits")
    assert finding.facts["object"] == f"{owner}.{field}.{bit}"


def test_lock_oracle_passes_on_waits_of_others_and_of_sync_and_after_the_end() -> None:
    hand = _spin(_hand(), "migrator", TREE_LOCK, "irq").note("migrator", "migrate-begin", "page:0", "MIGRATE_ASYNC")
    hand.queue("writer", "page:0", "PG_locked").op("migrator", Kind.QUEUE, "journal:0.j_wait")
    hand.note("migrator", "migrate-end", "page:0", None, "MIGRATE_ASYNC", "-EAGAIN", "page-lock")
    hand.queue("migrator", "page:0", "PG_locked").note("migrator", "migrate-begin", "page:0", "MIGRATE_SYNC")
    passed(lock_discipline.judge(hand.queue("migrator", "page:0", "PG_locked").record()))
