"""Per-CPU data belongs to a CPU that the task cannot leave; an array of words is as many objects as it has words."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.runtime.kinds import Kind
from tests.runtime.engines import EXPLORED, NCPUS, Box, Setup, box, explore


def per_cpu() -> rt.PerCpu[Box]:
    """Make a box for each CPU."""
    return rt.PerCpu(NCPUS, box)


def test_each_task_gets_its_own_cpus_copy(run: Setup) -> None:
    def main() -> None:
        state = per_cpu()

        def task(cpu: int) -> None:
            for _ in range(5):
                rt.preempt_disable()
                mine = state.this_cpu()
                mine.x += 1
                rt.preempt_enable()
                assert mine is state.of(cpu)

        for i in range(2 * NCPUS):
            rt.spawn(task, i % NCPUS, cpu=i % NCPUS)
        rt.join_others()
        assert [copy.x for copy in state] == [10] * NCPUS  # no lock, and none lost

    assert run(main).how == "finished"


def test_per_cpu_data_may_be_used_with_irqs_off_and_in_an_interrupt(run: Setup) -> None:
    def main() -> None:
        state = per_cpu()
        rt.local_irq_disable()
        assert state.this_cpu() is state.of(0)
        rt.local_irq_enable()

        def device() -> None:
            rt.irq_enter(3)
            assert state.this_cpu() is state.of(3)
            rt.irq_exit()

        rt.join(rt.spawn(device, cpu=None))

    assert run(main).how == "finished"


@pytest.mark.parametrize("who", ["preemptible", "device", "device-with-a-spinlock"])
def test_per_cpu_data_of_no_certain_cpu_is_a_violation(run: Setup, who: str) -> None:
    def main() -> None:
        """BUGGY: uses per-CPU data while it could be moved, or on no CPU."""
        state, shared = per_cpu(), box(9)

        def user() -> None:
            if who == "device-with-a-spinlock":
                rt.spin_lock(shared.spin)
            state.this_cpu()

        rt.join(rt.spawn(user, name="user", cpu=1 if who == "preemptible" else None))

    outcome = run(main)
    assert (outcome.detail["oracle"], outcome.detail["rule"]) == (
        "lock-discipline", "per-CPU data used with preemption on",
    )  # fmt: skip
    assert outcome.detail["facts"] == {"task": "user"}


def test_a_word_is_read_and_written_by_one_op_on_its_own_lane(run: Setup) -> None:
    def main() -> None:
        words = box(words=3).words
        words.write(1, 7)
        assert words.read(1) == 7
        assert (len(words), words.values) == (3, [0, 7, 0])

    outcome = run(main)
    assert outcome.ops(Kind.READ, Kind.WRITE) == [
        ("main", Kind.WRITE, "box:0.words[1]", 0, 7),
        ("main", Kind.READ, "box:0.words[1]", 7, None),
    ]
    assert sorted(outcome.record.word_lanes("Box", "words").values()) == [("box:0", i) for i in range(3)]


def test_a_word_that_is_not_there_is_an_error_of_the_program(run: Setup) -> None:
    outcome = run(lambda: box(words=2).words.read(2), raising=False)
    assert isinstance(outcome.engine.error, IndexError)
    assert outcome.how == "crash"


def test_a_copy_can_be_torn_and_its_record_shows_it() -> None:
    def main() -> None:
        """BUGGY: copies a block while another writes it."""
        source, target = box(0), box(1)

        def copy() -> None:
            for i in range(2):
                target.words.write(i, source.words.read(i))

        def write() -> None:
            for i in range(2):
                source.words.write(i, 1)

        rt.spawn(copy, name="copy", cpu=1)
        rt.spawn(write, name="write", cpu=2)
        rt.join_others()
        rt.note("copied", *target.words.values)

    outcomes = list(explore(main))
    torn = [outcome for outcome in outcomes if outcome.notes("copied") == [(0, 1)]]
    assert torn
    assert {outcome.notes("copied")[0] for outcome in outcomes} <= {(0, 0), (0, 1), (1, 1), (1, 0)}
    assert len(outcomes) == EXPLORED
    for outcome in torn:
        assert [op[3] for op in outcome.ops(Kind.READ, task="copy")] == [0, 1]


def test_the_fill_of_a_words_field_is_what_its_words_start_with(run: Setup) -> None:
    class Block(rt.Struct):
        data = rt.words(None)

    def main() -> None:
        block = Block("block:0", data=2)
        assert block.data.read(0) is None
        block.data.write(0, block.name)
        assert block.data.values == ["block:0", None]

    assert run(main).how == "finished"
