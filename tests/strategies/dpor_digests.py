"""The class digests of the runs of a search."""

from __future__ import annotations

from typing import Any

from mmrace.runtime.controlled import Controlled
from mmrace.strategies.order.classes import ClassDigest


class Both:
    """Tells two observers."""

    def __init__(self, *observers: Any) -> None:
        self.observers = observers

    def __getattr__(self, name: str) -> Any:
        """Return what tells both."""

        def tell(*args: object) -> None:
            for observer in self.observers:
                getattr(observer, name)(*args)

        return tell


class Digests:
    """Takes the class digest of each run of a search; of none that was abandoned, or cut off by a violation.

    A violation is known by itself alone: how far the others got by then is no class.
    """

    def __init__(self) -> None:
        self._taken: list[int] = []
        self._last: tuple[Controlled, ClassDigest] | None = None

    def watch(self, run: Controlled) -> None:
        """Watch one more run, beside who watches it already."""
        self._take()
        before = run.observer
        digest = ClassDigest(run)
        if before is not None:
            run.observer = Both(before, digest.footprints)
        self._last = run, digest

    def _take(self) -> None:
        if self._last is not None:
            run, digest = self._last
            if run.end["how"] not in ("abandoned", "violation"):
                self._taken.append(digest.value())
        self._last = None

    def values(self) -> list[int]:
        """Return the digests in the order of the runs."""
        self._take()
        return self._taken
