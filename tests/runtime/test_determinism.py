"""The same seed gives the same run: in this process, in another one, and whatever the hash seed is."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from mmrace import runtime as rt
from mmrace.runtime.record import Record
from mmrace.strategies.random_walk import RandomWalk
from tests.runtime.contended import contended
from tests.runtime.engines import Outcome, Setup, gate, walk

ROOT = Path(__file__).resolve().parents[2]
PRINTS_A_RECORD = """
from tests.runtime.contended import contended
from tests.runtime.engines import walk
for line in walk(contended, "hash seeds", sites=True).record.lines():
    print(line)
"""
SEEDS = 5


def plain(outcome: Outcome) -> list[list[object]]:
    """Return the events with names for objects: what is the same must be the same in another process."""
    return list(outcome.record.plain())


def test_the_same_seed_gives_the_same_events_and_masks(controlled: Setup) -> None:
    first, again = controlled(contended), controlled(contended)
    assert plain(first) == plain(again)
    assert first.record.masks == again.record.masks


def test_the_same_seed_gives_the_same_record_lines() -> None:
    first, again = (list(walk(contended, 7, sites=True).record.lines()) for _ in range(2))
    assert first == again


def test_keeping_sites_changes_no_choice() -> None:
    with_sites, without = walk(contended, 7, sites=True), walk(contended, 7)
    assert plain(with_sites) == plain(without)
    assert with_sites.record.masks == without.record.masks


def test_different_seeds_give_different_schedules() -> None:
    schedules = {tuple(op[0] for op in walk(contended, seed).ops()) for seed in range(SEEDS)}
    assert len(schedules) == SEEDS


def test_there_is_one_mask_for_each_op_and_the_task_that_did_it_is_in_it(controlled: Setup) -> None:
    record: Record = controlled(contended).record
    ops = [event for event in record.events if event[1] != rt.NOTE]
    assert len(record.masks) == len(ops)
    assert all(mask >> task & 1 for mask, (task, *_) in zip(record.masks, ops, strict=True))


def test_a_mask_is_the_set_of_tasks_that_the_strategy_was_shown() -> None:
    class Noting(RandomWalk):
        asked_when_alone = True
        shown: ClassVar[list[int]] = []

        def pick(self, enabled: list[rt.Task], running: rt.Task, step: int) -> rt.Task:
            assert step == len(self.shown)
            assert len(set(enabled)) == len(enabled)
            self.shown.append(sum(task.bit for task in enabled))
            return super().pick(enabled, running, step)

    outcome = gate(contended, Noting(random.Random(3).random))
    assert outcome.record.masks == Noting.shown
    assert max(mask.bit_count() for mask in Noting.shown) > 5


def _lines_of_another_process(hash_seed: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PRINTS_A_RECORD],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.slow
def test_two_processes_with_other_hash_seeds_print_the_same_record() -> None:
    here = list(walk(contended, "hash seeds", sites=True).record.lines())
    assert len(here) > 500
    assert _lines_of_another_process("0") == here
    assert _lines_of_another_process("1") == here


def test_no_address_gets_into_a_record() -> None:
    assert not any(" at 0x" in line for line in walk(contended, 3, sites=True).record.lines())
