"""BUGGY: one task raises while another sleeps and a third is in the middle of its work."""

from __future__ import annotations

from mmrace import runtime as rt

STEPS = 6


class Box(rt.Struct):
    full = rt.shared(0)
    work = rt.shared(0)
    waiters = rt.wait_queue()


def main() -> None:
    box = Box("box")

    def works() -> None:
        for _ in range(STEPS):
            box.work = box.work + 1

    def raises() -> None:
        for _ in range(STEPS):
            seen = box.work
        raise ValueError(f"planted, at {seen}")

    rt.spawn(works, name="worker")
    rt.spawn(rt.wait_event, box.waiters, lambda: box.full, name="sleeper")
    rt.spawn(raises, name="raiser")
    rt.join_others()
