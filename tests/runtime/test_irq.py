"""Interrupts: none begins on a CPU that keeps them off or serves one, and its CPU's task waits until it ended."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.runtime.kinds import Kind
from tests.runtime.contended import contended
from tests.runtime.engines import Outcome, Setup, asleep, box, explore, gate, until


def irqs_respected(outcome: Outcome) -> int:
    """Assert, along the record, what an interrupt may not do; return how many there were."""
    home = {task["name"]: task["cpu"] for task in outcome.record.tasks}
    off = dict.fromkeys(home, 0)  # a task's reasons to keep interrupts off
    serving: dict[int, str] = {}  # CPU -> the device that interrupts it
    served = 0
    for task, kind, _, a, b in outcome.ops():
        if kind is Kind.IRQ and a == "enter":
            cpu = int(b)
            assert cpu not in serving, f"{task} interrupts an interrupt by {serving[cpu]}"
            assert not any(off[other] for other in home if home[other] == cpu), f"{task} interrupts with irqs off"
            serving[cpu] = task
            served += 1
        elif kind is Kind.IRQ and a == "exit":
            assert serving.pop(int(b)) == task
        else:
            assert home[task] not in serving, f"{task} goes on inside an interrupt by {serving[home[task]]}"
            if a in ("disable", "irq") and kind in (Kind.IRQ, Kind.ACQUIRE):
                off[task] += 1
            elif a in ("enable", "irq") and kind in (Kind.IRQ, Kind.RELEASE):
                off[task] -= 1
    assert not serving
    return served


def _traffic() -> None:
    """Tasks on two CPUs that switch interrupts off in two ways, and devices that interrupt both."""
    shared = box()

    def device(cpu: int) -> None:
        for _ in range(4):
            rt.irq_enter(cpu)
            rt.spin_lock(shared.spin)
            shared.x += 1
            rt.spin_unlock(shared.spin)
            rt.irq_exit()

    def task() -> None:
        for _ in range(4):
            rt.local_irq_disable()
            shared.count.get("lookup")
            rt.local_irq_enable()
            rt.spin_lock_irq(shared.spin)
            shared.x += 1
            rt.spin_unlock_irq(shared.spin)

    for i in range(2):
        rt.spawn(task, name=f"task{i}", cpu=i + 1)
    for i in range(4):
        rt.spawn(device, i % 2 + 1, name=f"device{i}", cpu=None)
    rt.join_others()
    assert shared.x == 24


def test_interrupts_keep_to_the_rules(run: Setup) -> None:
    outcome = run(_traffic)
    assert outcome.how == "finished"
    assert irqs_respected(outcome) == 16


def test_interrupts_keep_to_the_rules_where_everything_is_contended(run: Setup) -> None:
    assert irqs_respected(run(contended)) == 6


def test_a_completion_runs_to_its_end_before_the_cpus_task_goes_on(run: Setup) -> None:
    def main() -> None:
        shared = box()

        def completion() -> None:
            rt.irq_enter(0)
            for _ in range(10):
                shared.x += 1
            rt.irq_exit()

        rt.spawn(completion, cpu=None)
        seen = {shared.x}
        for _ in range(30):
            rt.schedule()
            seen.add(shared.x)  # an op: what is no op may meet the completion under `free`
        rt.join_others()
        rt.note("seen", *sorted(seen))

    outcome = run(main)
    assert irqs_respected(outcome) == 1
    assert set(outcome.notes("seen")[0]) <= {0, 10}


def test_completions_do_come_between_a_tasks_ops() -> None:
    def main() -> None:
        shared = box()

        def completion() -> None:
            rt.irq_enter(0)
            shared.x = 1
            rt.irq_exit()

        rt.spawn(completion, cpu=None)
        rt.note("x", shared.x)
        rt.join_others()

    assert {outcome.notes("x")[0] for outcome in explore(main)} == {(0,), (1,)}


def _interrupt(cpu: int) -> None:
    rt.irq_enter(cpu)
    rt.irq_exit()


def test_with_irqs_off_no_completion_runs_there_but_one_does_elsewhere(controlled: Setup) -> None:
    def main() -> None:
        rt.local_irq_disable()
        for cpu in range(2):
            rt.spawn(_interrupt, cpu, name=f"device{cpu}", cpu=None)
        for _ in range(60):
            rt.schedule()
        rt.local_irq_enable()
        rt.join_others()

    outcome = controlled(main)
    order = [(op[0], op[3]) for op in outcome.ops(Kind.IRQ)]
    enabled = order.index(("main", "enable"))
    assert order.index(("device1", "exit")) < enabled < order.index(("device0", "enter"))
    irqs_respected(outcome)


def test_a_nested_interrupt_waits_for_the_end_of_the_first(controlled: Setup) -> None:
    def main() -> None:
        shared = box()

        def first() -> None:
            rt.irq_enter(1)
            rt.spawn(_interrupt, 1, name="second", cpu=None)
            for _ in range(40):
                shared.x += 1
            rt.irq_exit()

        rt.spawn(first, name="first", cpu=None)
        rt.join_others()

    outcome = controlled(main)
    assert [(op[0], op[3]) for op in outcome.ops(Kind.IRQ)] == [
        ("first", "enter"), ("first", "exit"), ("second", "enter"), ("second", "exit"),
    ]  # fmt: skip


def test_with_preemption_off_but_irqs_on_interrupts_do_come(controlled: Setup) -> None:
    def main() -> None:
        shared = box()
        rt.spawn(_interrupt, 0, name="device", cpu=None)
        rt.spin_lock(shared.spin)
        for _ in range(60):
            rt.schedule()
        rt.spin_unlock(shared.spin)
        rt.join_others()

    order = [op[:2] for op in controlled(main).ops(Kind.IRQ, Kind.ACQUIRE, Kind.RELEASE)]
    assert order.index(("device", Kind.IRQ)) < order.index(("main", Kind.RELEASE))


def test_a_completion_wakes_the_task_that_waits_for_it(run: Setup) -> None:
    def main() -> None:
        done = rt.Completion("done:0")

        def device() -> None:
            rt.irq_enter(0)
            done.complete()
            rt.irq_exit()

        rt.spawn(device, cpu=None)
        done.wait()

    outcome = run(main)
    assert outcome.how == "finished"
    assert irqs_respected(outcome) == 1


def test_in_an_interrupt_the_device_is_on_that_cpu_and_after_it_on_none(run: Setup) -> None:
    def main() -> None:
        def device() -> None:
            me = rt.current()
            assert me.cpu is None
            rt.irq_enter(2)
            assert (me.cpu, me.in_irq) == (2, True)
            rt.irq_exit()
            assert (me.cpu, me.in_irq) == (None, False)

        rt.spawn(device, cpu=None)
        rt.join_others()

    assert run(main).how == "finished"


def test_a_task_that_spins_for_a_lock_with_irqs_off_lets_no_interrupt_in(run: Setup) -> None:
    def main() -> None:
        shared = box()

        def holder() -> None:
            rt.spin_lock(shared.other)
            shared.x = 1
            until(lambda: shared.y)
            for _ in range(300):  # time for the interrupt to come, if it may
                rt.schedule()
            rt.spin_unlock(shared.other)

        def spinner() -> None:
            until(lambda: shared.x)
            rt.local_irq_disable()
            shared.y = 1
            rt.spin_lock(shared.other)
            rt.spin_unlock(shared.other)
            rt.local_irq_enable()

        rt.spawn(holder, cpu=1)
        rt.spawn(spinner, cpu=2)
        until(lambda: shared.y)
        rt.join(rt.spawn(_interrupt, 2, cpu=None))
        rt.join_others()

    assert irqs_respected(run(main)) == 1


def test_the_exit_is_in_the_record_before_the_cpus_task_may_go_on(run: Setup) -> None:
    still_in: list[bool] = []

    def main() -> None:
        def device() -> None:
            me = rt.current()
            log = me.log

            def logged(event: tuple[object, ...]) -> None:
                if event[2] == "exit":
                    still_in.append(me.in_irq)
                log(event)

            rt.irq_enter(1)
            me.log = logged
            rt.irq_exit()

        rt.join(rt.spawn(device, cpu=None))

    run(main)
    assert still_in == [True]


def test_leaving_an_interrupt_that_never_began_is_a_violation(run: Setup) -> None:
    def main() -> None:
        """BUGGY: irq_exit by a task."""
        rt.irq_exit()

    assert run(main).detail["rule"] == "irq_exit outside an interrupt"


@pytest.mark.parametrize("cpu", [-1, 4])
def test_a_cpu_that_the_model_does_not_have_is_a_usage_error(run: Setup, cpu: int) -> None:
    def main() -> None:
        with pytest.raises(rt.UsageError, match=r"a CPU in 0\.\.3"):
            rt.irq_enter(cpu)

    assert run(main).how == "finished"


def test_a_parked_task_is_interrupted_too(run: Setup) -> None:
    def main() -> None:
        shared = box()
        rt.spawn(rt.wait_event, shared.queue, lambda: shared.x, cpu=1)
        asleep(shared.queue, 1)
        rt.join(rt.spawn(_interrupt, 1, cpu=None))
        shared.x = 1
        rt.wake_up(shared.queue)

    assert irqs_respected(run(main)) == 1


def test_a_task_of_the_cpu_that_was_spawned_in_the_interrupt_waits_for_its_end() -> None:
    def main() -> None:
        def device() -> None:
            rt.irq_enter(1)
            rt.spawn(rt.schedule, name="kid", cpu=1)
            for _ in range(20):
                rt.schedule()
            rt.irq_exit()

        rt.join(rt.spawn(device, name="device", cpu=None))

    irqs_respected(gate(main))
    for outcome in explore(main, 10):
        irqs_respected(outcome)
