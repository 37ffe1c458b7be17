"""A change late in a long task: a sampler that has few places for it hardly ever meets it, a walk does at once."""

from __future__ import annotations

from mmrace import runtime as rt


class Box(rt.Struct):
    """What the tasks share."""

    x: rt.Field[int] = rt.shared(0)
    y = rt.words(0)


def short(box: Box) -> None:
    """Change x."""
    box.x = 1


def main(writes: int = 20) -> None:
    """BUGGY: x is read twice, and nobody keeps it from changing in between."""
    box = Box("box", y=1)
    task = rt.spawn(short, box)
    for _ in range(writes):
        box.y.write(0, 1)
    first = box.x
    rt.bug_on(first != box.x, "changed between two reads")
    rt.join(task)
