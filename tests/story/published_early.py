"""BUGGY: a value is said to be ready before it is there."""

from __future__ import annotations

from mmrace import runtime as rt


class Cache(rt.Struct):
    ready = rt.shared(0)
    value: rt.Field[int | None] = rt.shared(None)


def main() -> None:
    cache = Cache("cache")

    def writes() -> None:
        cache.ready = 1
        cache.value = 42

    def reads() -> None:
        if cache.ready:
            got = cache.value
            if got is None:
                raise ValueError("nothing there")

    rt.spawn(writes, name="writer")
    rt.spawn(reads, name="reader")
    rt.join_others()
