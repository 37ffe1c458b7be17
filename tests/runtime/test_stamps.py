"""Version stamps: under `free` each event carries them, and they order the record."""

from __future__ import annotations

import threading
from pathlib import Path

from mmrace import runtime as rt
from mmrace.runtime.kinds import CLEAR, KIND_MASK, NOTE
from mmrace.runtime.record import Record
from tests.runtime.contended import contended
from tests.runtime.engines import Flag, box, free, walk


def test_each_event_of_a_free_run_carries_stamps_in_the_order_of_the_record() -> None:
    record = free(contended, "chaos", 3).record
    numbers = [number for number, _ in record.stamps]
    assert len(numbers) == len(record.events)
    assert numbers == sorted(set(numbers))


def test_an_op_names_the_op_before_it_on_its_object_which_came_earlier() -> None:
    record = free(contended, "gentle", 5).record
    known = {number for number, _ in record.stamps} | {0}
    assert all(before in known and before < number for number, before in record.stamps)
    assert any(before for _, before in record.stamps)


def test_stamps_survive_the_file(tmp_path: Path) -> None:
    record = free(contended, "off", 1).record
    record.write(tmp_path / "free.jsonl")
    assert Record.read(tmp_path / "free.jsonl").stamps == record.stamps


def test_a_controlled_run_has_masks_and_no_stamps() -> None:
    record = walk(contended, 1).record
    assert record.masks
    assert not record.stamps


def test_of_two_rules_that_were_broken_the_first_in_the_order_of_ops_ends_the_run() -> None:
    """BUG once: it was the first that was told of, and what followed from it was told as a finding of its own.

    The main task says late that it unlocked what was not its own; by then the other has unlocked what nobody holds.
    """

    def main() -> None:
        shared = box()
        slow = threading.Event()
        rt.bit_lock(shared.flags, Flag.LOCKED)

        def stranger() -> None:
            try:
                rt.bit_unlock(shared.flags, Flag.LOCKED)
            except rt.Violation:
                slow.wait()
                raise

        rt.spawn(stranger, name="stranger", cpu=1)
        while rt.test_bit(shared.flags, Flag.LOCKED):
            pass
        try:
            rt.bit_unlock(shared.flags, Flag.LOCKED)
        finally:
            slow.set()

    for _ in range(3):
        outcome = free(main)
        assert (outcome.detail["rule"], outcome.detail["facts"]["task"]) == ("unlock by a stranger", "stranger")
        assert [facts[1] for facts in outcome.notes("violation")] == ["unlock by a stranger"]
        [place] = outcome.record.steps(NOTE)
        before = outcome.record.events[place - 1]
        assert (before[0], before[1] & KIND_MASK) == (1, CLEAR), "its note stands behind the op that broke the rule"
