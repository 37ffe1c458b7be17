"""The device on real runs: transfers word by word, ends in any order, interrupts on the CPU that was asked for."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mmrace import runtime as rt
from mmrace.kernel.block import device
from mmrace.kernel.fs import buffer, buffer_head
from mmrace.kernel.fs.buffer_head import BufferState
from mmrace.kernel.mm import filemap
from mmrace.runtime import clock
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.record import Record
from tests.kernel.mm.bench import Bench, Outcome, run

DATA = [11, 12, 13, 14]


def irq_cpus(outcome: Outcome) -> set[int]:
    """The CPUs on which completions ran."""
    return {b for _, op, a, b in outcome.gate.events if op >= 0 and op & KIND_MASK == Kind.IRQ and a == "enter"}


@pytest.mark.parametrize(("irq_cpu", "cpus"), [("submitter", {0}), (1, {1}), ("any", {0, 1})])
def test_completion_interrupts_the_cpu_that_was_asked_for(irq_cpu: int | str, cpus: set[int]) -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)

    assert irq_cpus(run(body, irq_cpu=irq_cpu, values=[0, 1])) == cpus


def test_ios_end_in_any_order() -> None:
    """Each buffer of a page ends first for some seed; the seeds are fixed and many times more than it takes."""
    firsts = set()
    for seed in range(80):

        def body(bench: Bench) -> None:
            bench.fill(0, DATA)

        outcome = run(body, seed=seed, stay=0.9)
        record = Record.of_run(outcome.gate, {}, {})
        lanes = record.bit_lane("BufferHead", "b_state", "BH_Async_Write")
        events = outcome.gate.events
        ended = [op >> SHIFT for _, op, _, _ in events if op & KIND_MASK == Kind.CLEAR and op >> SHIFT in lanes]
        firsts.add(lanes[ended[0]])
    assert len(firsts) == 2


@pytest.mark.slow
def test_transfer_can_be_torn_by_a_writer() -> None:
    """Somebody who changes the page under I/O without a lock gets a block of both versions on disk, for some seed.

    The seeds are fixed and many times more than it takes.
    """
    seen = set()
    for seed in range(150):

        def body(bench: Bench) -> None:
            page = bench.fill(0, [1, 1, 1, 1])
            bh = bench.ring()[0]
            buffer_head.set_buffer_dirty(bh)
            buffer.write_dirty_buffer(bh)
            for i in range(2):
                page.words.write(i, 2)
            buffer.wait_on_buffer(bh)
            seen.add(tuple(bench.on_disk(0)))

        run(body, seed=seed)
    assert {(1, 1), (2, 2)} < seen and len(seen) > 2


def test_error_is_chosen_only_where_the_scenario_allows_it() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        assert not any(bh.b_state.peek(BufferState.BH_Write_EIO) for bh in bench.ring())

    outcome = run(body, values=[1] * 10)
    assert "device: i/o error" not in outcome.marks


def test_block_numbers_have_names() -> None:
    def body(bench: Bench) -> None:
        assert bench.disk.where(0) == ("meta", 0)
        assert bench.disk.where(8) == (1, 0)
        assert bench.disk.where(999) == ("disk", 999)
        assert filemap.filemap_fdatawait(bench.mapping) == 0
        assert rt.current().cpu == 0

    run(body)


def test_a_slow_disk_serves_one_io_after_the_other_and_each_takes_its_ticks() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        bench.fill(1, DATA)

    record = Record.of_run(run(body, ticks=50).gate, {}, {})
    ends = [
        tick
        for event, tick in zip(record.events, clock.times(record), strict=True)
        if event[1] == NOTE and event[2] == "io-end"
    ]
    assert len(ends) == 4
    assert all(later - earlier >= 50 for earlier, later in pairwise(ends))


def test_a_disk_that_is_not_slow_has_no_queue_and_no_op_more() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        assert bench.disk.request_queue is None

    record = Record.of_run(run(body).gate, {}, {})
    assert not any(entry[0] == "RequestQueue" for entry in record.table.values())
    assert not any(event[1] == NOTE and event[2] == "sleep" for event in record.events)


def test_who_submits_to_a_full_queue_sleeps_until_an_io_has_ended() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        assert bench.disk.request_queue is not None and rt.peek(bench.disk.request_queue, "rq_count") == 0

    waited = 0
    for seed in range(10):
        outcome = run(body, seed=seed, stay=0.9, ticks=50, nr_requests=1)
        record = Record.of_run(outcome.gate, {}, {})
        slept = [event[1] >> SHIFT for event in record.events if event[1] >= 0 and event[1] & KIND_MASK == Kind.SLEEP]
        there = "queue:disk.wait" in map(record.lane_name, slept)
        assert there == ("device: waited for a request" in outcome.marks)
        waited += there
    assert waited


def test_an_io_of_several_pages_moves_each_block_to_its_place() -> None:
    def body(bench: Bench) -> None:
        pages = [bench.fill(index, [10 * index + i for i in range(4)]) for index in range(2)]
        vec = tuple(device.BioVec(page, 0, 4) for page in pages)
        ended: list[int] = []
        swapped = device.Bio(bench.disk, bench.inode.i_data, vec[::-1], None, lambda bio, error: ended.append(error))
        device.submit_bio(device.WRITE, swapped)
        rt.join_others()
        assert ended == [0]
        assert [bench.on_disk(block) for block in range(4)] == [[10, 11], [12, 13], [0, 1], [2, 3]]

    run(body)
