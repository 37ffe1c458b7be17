"""An exception ends a run and keeps the others from going on: what they would have done is searched all the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace import explore
from mmrace import runtime as rt


class Box(rt.Struct):
    """What the tasks share."""

    x: rt.Field[int] = rt.shared(0)
    y: rt.Field[int] = rt.shared(0)


def _raises(box: Box) -> None:
    _ = box.x
    raise ValueError("one")


def _raises_later(box: Box) -> None:
    box.y = 1
    box.y = 2
    raise KeyError("other")


def _breaks_a_rule(box: Box) -> None:
    box.y = 1
    rt.bug_on(box.y == 1, "a rule")


def _raises_if_changed(box: Box) -> None:
    if box.x:
        raise LookupError("changed")
    box.y = 3


def _changes(box: Box) -> None:
    box.x = 1
    box.y = 1
    raise KeyError("after the change")


def _main(*bodies: Callable[[Box], None]) -> Callable[[], None]:
    def main() -> None:
        box = Box("box")
        for body in bodies:
            rt.spawn(body, box)
        rt.join_others()

    return main


PROGRAMS = {
    "each raises": (_main(_raises, _raises_later), 2),
    "one raises, one breaks a rule": (_main(_raises, _breaks_a_rule), 2),
    "one raises if the other came first": (_main(_raises_if_changed, _changes), 2),
    "all three": (_main(_raises, _raises_later, _breaks_a_rule), 3),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_exception_that_enumeration_meets_is_met(name: str) -> None:
    main, raised = PROGRAMS[name]
    found = {}
    for strategy in ("dpor", "enumerate"):
        explored = explore(main, exhaustive=True, strategy=strategy, without=("data-race",))
        assert explored.exhaustive
        found[strategy] = {finding.title.partition(" (")[0] for finding in explored.findings}
    assert found["dpor"] == found["enumerate"]
    assert len(found["dpor"]) >= raised
