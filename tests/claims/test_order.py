"""ORDER.md: the order of steps that it gives is that of real records, and of the excerpts of two logs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mmrace.claims
from mmrace.claims.judges.scene import scene
from mmrace.claims.one import play_one
from mmrace.runs.spec import Params, RunSpec
from tools.ktrace import read_trace
from tools.ktrace_order import orders, where_unmapped

TEXT = (Path(mmrace.claims.__file__).parent / "ORDER.md").read_text(encoding="utf-8")
LOGS = Path(__file__).parent.parent / "tools" / "data"
ORDERS = {
    tuple(words.split()): [" ".join(step.split()) for step in body.split(",")]
    for words, body in re.findall(r"^```order ([^\n]+)\n(.*?)^```$", TEXT, re.M | re.S)
}
OF_MODEL = [words for words in ORDERS if len(words) == 2]
OF_LOGS = [words for words in ORDERS if len(words) == 1]
BEFORE = ("3.1", "3.2")


def alone(mode: str) -> Params:
    """Return the parameters of a run in which a migrator meets nobody."""
    return (
        ("buffers", 2), ("idle", 0), ("irq", "idle"), ("migrations", 1), ("mode", mode), ("pages", 1),
        ("without", "writer,committer,reader"),
    )  # fmt: skip


def test_the_text_has_the_orders_that_it_compares() -> None:
    assert ("3.3", "MIGRATE_ASYNC") in OF_MODEL and ("3.3", "MIGRATE_SYNC_LIGHT") in OF_MODEL
    assert len(OF_LOGS) == 2


def order_in(era: str, mode: str) -> list[str]:
    """Return the order of the first migration that moves a page with buffers."""
    with play_one(RunSpec("async-vs-commit", alone(mode), "", "fiber", "random", "off", 1, era=era)) as played:
        return next(move.order for move in scene(played.record).migrations if move.succeeded and move.ring)


@pytest.mark.parametrize(("era", "mode"), OF_MODEL)
def test_the_order_of_an_era_is_that_of_a_record_of_it(era: str, mode: str) -> None:
    assert order_in(era, mode) == ORDERS[era, mode]


def test_sync_takes_its_steps_as_sync_light_and_every_mode_does_before_the_patch() -> None:
    assert order_in("3.3", "MIGRATE_SYNC") == ORDERS["3.3", "MIGRATE_SYNC_LIGHT"]
    for era in BEFORE:
        assert order_in(era, "MIGRATE_SYNC") == ORDERS["3.1", "MIGRATE_ASYNC"]


@pytest.mark.parametrize("log", [words[0] for words in OF_LOGS])
def test_the_order_of_a_log_is_that_of_every_move_in_its_excerpt(log: str) -> None:
    events = read_trace(LOGS / f"{log}.txt.xz").events
    found, _ = orders(events)
    assert list(found) == [tuple(ORDERS[log,])] and found.total() > 20
    after, before = where_unmapped(events)
    assert after and not before


def test_where_model_and_logs_agree() -> None:
    common = ("lock old", "writeback looked at", "count tested", "lock buffers", "ring moved", "unlock buffers",
              "unlock new", "unlock old")  # fmt: skip
    for words in (("3.3", "MIGRATE_ASYNC"), *OF_LOGS):
        assert [step for step in ORDERS[words] if step in common] == list(common)
