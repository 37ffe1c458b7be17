"""Strategy `timed`: a machine's own pace, by the clock of `runtime/clock.py`; a measure of runs, and no search.

An op takes one tick of its CPU, what sleeps goes on when its time has come, and where nobody else can go on the clock
jumps there.  Tasks of one CPU have turns of about `turn` ops, each drawn between half of that and one and a half times;
the one that has waited longest comes next.  Of two CPUs that are due at the same tick one is drawn.
Invariant: whoever goes on is among those whose next op can come first by the clock of the record so far.  A task that
wakes up does not take the CPU from the one that has it, unlike in the kernel: it waits for the end of a turn.
"""

from __future__ import annotations

from mmrace.runtime.clock import Clock
from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.strategy import SteeredRun
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Draw, Drawing, Options, Registered, Unprofiled

TURN = 40  # ops: some system calls of the model are shorter, none that does I/O is


class Timed(Drawing):
    """Picks by time.  Args: draw: the stream of the run.  turn: ops that a task does before another one's turn."""

    __slots__ = ("_clock", "_last", "_left", "_occupant", "_run", "_taken", "_turn")

    def __init__(self, draw: Draw, turn: int) -> None:
        super().__init__(draw)
        self._turn = turn
        self._clock = Clock()
        self._taken = 0  # events of the run
        self._last: dict[int, int] = {}  # task -> event of its last op
        self._occupant: dict[int, int] = {}  # CPU -> the task that had it last
        self._left: dict[int, int] = {}  # CPU -> ops that are left of that task's turn

    def attach(self, run: SteeredRun) -> None:
        """Take the run whose events tell the time."""
        self._run = run

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the task whose next op comes first."""
        self._follow()
        start = self._clock.start
        first, due = -1, []
        for task in enabled:
            when = start(task.id, None if task.home is None else task.home.id)
            if first < 0 or when < first:
                first, due = when, [task]
            elif when == first:
                due.append(task)
        return due[0] if len(due) == 1 else self._among(due)

    def _among(self, due: list[Task]) -> Task:
        """Return one of those that are due: a device, else on a CPU that is drawn who has the turn."""
        by_cpu: dict[int, list[Task]] = {}
        for task in due:
            if task.home is None:
                return task
            by_cpu.setdefault(task.home.id, []).append(task)
        cpus = sorted(by_cpu)
        cpu = cpus[0] if len(cpus) == 1 else cpus[int(self._draw() * len(cpus))]
        there = by_cpu[cpu]
        if self._left.get(cpu, 0) > 0:
            for task in there:
                if task.id == self._occupant[cpu]:
                    return task
        return min(there, key=lambda task: (self._last.get(task.id, -1), task.id))

    def _follow(self) -> None:
        """Take in what happened since the last pick."""
        events, tasks = self._run.events, self._run.tasks
        for at in range(self._taken, len(events)):
            event = events[at]
            task = tasks[event[0]]
            cpu = None if task.home is None else task.home.id
            self._clock.take(event, cpu)
            if event[1] == NOTE or cpu is None:
                continue
            self._last[task.id] = at
            if self._occupant.get(cpu) != task.id:
                self._occupant[cpu] = task.id
                self._left[cpu] = self._turn // 2 + int(self._draw() * (self._turn + 1))
            self._left[cpu] -= 1
        self._taken = len(events)


def sampler(options: Options) -> Unprofiled:
    """Make the sampler.  Option: turn: ops of a task's turn, about.  Raises UsageError."""
    turn = int(options["turn"])
    if turn < 1:
        raise UsageError(expected="a turn >= 1", got=turn, where="timed:turn")
    return Unprofiled(lambda draw: Timed(draw, turn))


TITLE = "a machine's pace: ops take a tick of their CPU, sleeps last, turns of about `turn` ops; no search"
STRATEGY = Registered("timed", TITLE, sampler, {"turn": TURN})
