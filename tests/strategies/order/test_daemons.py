"""Daemons: which steps meet the end of the run and the births that put it off, in the order of a run."""

from __future__ import annotations

from collections.abc import Callable

from mmrace import runtime as rt
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.kinds import KIND_MASK, NOTE, Kind
from mmrace.runtime.strategy import RoundRobin
from mmrace.strategies.order.daemons import against_daemons, of_daemon
from mmrace.strategies.order.dependence import ALIVE_LANE, ALONE, BIRTH, END_LANE, READ, WRITE, Footprint

LONG = 20  # ops a turn: each task runs to its end


def met(main: Callable[[], None]) -> list[tuple[str, Kind, Footprint]]:
    """Run a program, task after task; return (task, kind, footprint) of the steps that meet something."""
    run = FiberEngine(RoundRobin(LONG), ncpus=2)
    run.run(main)
    if run.error is not None:
        raise run.error
    places = [place for place, event in enumerate(run.events) if event[1] != NOTE]
    made = [(run.events[place], against_daemons(run, place, step)) for step, place in enumerate(places)]
    return [(run.tasks[event[0]].name, Kind(event[1] & KIND_MASK), lanes) for event, lanes in made if lanes]


def idle() -> None:
    """Do nothing."""


def spawns() -> None:
    """Spawn a child that is waited for."""
    rt.spawn(idle, name="child", cpu=None)


def test_steps_of_a_daemon_meet_the_end_of_the_run() -> None:
    def main() -> None:
        rt.spawn(idle, name="daemon", cpu=None, daemon=True)
        rt.spawn(idle, name="t0", cpu=None)
        rt.join_others()

    assert met(main) == [
        ("daemon", Kind.BEGIN, [(END_LANE, READ)]),
        ("daemon", Kind.EXIT, [(END_LANE, READ)]),
        ("main", Kind.EXIT, [(END_LANE, WRITE)]),
    ]


def test_the_last_exit_is_the_end_whosoever_it_is() -> None:
    def main() -> None:
        rt.spawn(idle, name="t0", cpu=None)

    assert met(main) == [("t0", Kind.EXIT, [(END_LANE, WRITE)])]


def test_a_child_of_a_daemon_puts_off_the_end() -> None:
    def main() -> None:
        rt.spawn(spawns, name="daemon", cpu=None, daemon=True)
        rt.spawn(idle, name="t0", cpu=None)

    assert met(main) == [
        ("daemon", Kind.BEGIN, [(END_LANE, READ)]),
        ("daemon", Kind.SPAWN, [(END_LANE, READ), (ALIVE_LANE, BIRTH)]),
        ("daemon", Kind.EXIT, [(END_LANE, READ)]),
        ("t0", Kind.EXIT, [(ALIVE_LANE, ALONE)]),
        ("child", Kind.EXIT, [(END_LANE, WRITE)]),
    ]


def test_a_step_behind_which_fixed_order_begins_comes_too_late_for_daemons() -> None:
    def main() -> None:
        rt.spawn(idle, name="t0", cpu=None)
        rt.join_others()
        with rt.fixed_order():
            rt.schedule()

    assert ("main", Kind.JOIN, [(END_LANE, WRITE)]) in met(main)


def test_who_descends_from_a_daemon_is_known_by_its_parents() -> None:
    found: dict[str, bool] = {}

    def tells() -> None:
        found[rt.current().name] = of_daemon(rt.current())

    def main() -> None:
        rt.spawn(lambda: rt.join(rt.spawn(lambda: rt.spawn(tells, name="grandchild"), name="child")), daemon=True)
        rt.spawn(tells, name="t1")
        rt.join_others()

    met(main)
    assert found == {"grandchild": True, "t1": False}
