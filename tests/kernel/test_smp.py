"""Calls on other CPUs: they interrupt, they wait for interrupts alone, and the caller waits for all of them."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel import smp
from mmrace.kernel.fs import buffer
from tests.kernel.mm.bench import Bench, run, until

SEEDS = range(10)


def lru_of(bench: Bench, cpu: int) -> int:
    """Count the buffers that a CPU's LRU holds."""
    return len(rt.peek(bench.machine.percpu.of(cpu), "bh_lru"))


def fill_both_lrus(bench: Bench) -> None:
    """Let both CPUs remember a block of the device."""
    for cpu in range(2):
        task = rt.spawn(lambda: buffer.brelse(buffer.__getblk(bench.disk, 0)), name=("fill", cpu), cpu=cpu)
        rt.join(task)
    assert [lru_of(bench, cpu) for cpu in range(2)] == [1, 1]


@pytest.mark.parametrize("seed", SEEDS)
def test_buffer_lrus_are_dropped_while_a_cpu_is_in_a_section_without_preemption(seed: int) -> None:
    def busy(bench: Bench, inside: list[bool]) -> None:
        rt.spin_lock(bench.mapping.private_lock)
        inside.append(True)
        until(lambda: not lru_of(bench, 1))  # nobody but an interrupt gets this CPU now
        rt.spin_unlock(bench.mapping.private_lock)

    def body(bench: Bench) -> None:
        fill_both_lrus(bench)
        inside: list[bool] = []
        task = rt.spawn(busy, bench, inside, name="busy", cpu=1)
        until(lambda: inside)
        buffer.invalidate_bh_lrus(bench.machine)
        assert [lru_of(bench, cpu) for cpu in range(2)] == [0, 0]
        rt.join(task)

    run(body, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_buffer_lru_of_a_cpu_with_interrupts_off_is_left_alone_until_they_are_on(seed: int) -> None:
    def busy(bench: Bench, inside: list[bool]) -> None:
        rt.local_irq_disable()
        inside.append(True)
        for _ in range(100):
            rt.schedule()
            assert lru_of(bench, 1) == 1
        rt.local_irq_enable()

    def body(bench: Bench) -> None:
        fill_both_lrus(bench)
        inside: list[bool] = []
        task = rt.spawn(busy, bench, inside, name="busy", cpu=1)
        until(lambda: inside)
        buffer.invalidate_bh_lrus(bench.machine)
        assert [lru_of(bench, cpu) for cpu in range(2)] == [0, 0]
        rt.join(task)

    run(body, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_cpus_that_call_each_other_at_once_both_return(seed: int) -> None:
    def body(bench: Bench) -> None:
        fill_both_lrus(bench)
        tasks = [rt.spawn(buffer.invalidate_bh_lrus, bench.machine, name=("call", cpu), cpu=cpu) for cpu in range(2)]
        for task in tasks:
            rt.join(task)
        assert [lru_of(bench, cpu) for cpu in range(2)] == [0, 0]

    run(body, seed=seed)


def test_call_with_interrupts_off_is_a_bug() -> None:
    """BUGGY: two CPUs that did so would wait for each other for ever."""

    def body(bench: Bench) -> None:
        rt.local_irq_disable()
        smp.on_each_cpu(bench.machine, buffer.invalidate_bh_lru)

    assert run(body, ends="violation").detail["rule"] == "on_each_cpu with interrupts off"
