"""Eras: states of the kernel's code around the patch, each a variant on its neighbour towards 3.3.

The source of `mmrace.kernel` is that of `OWN`.  Another era binds what is otherwise in it than in the era that it
stands `on`, and nothing else; a planted bug stands on top.  Invariant: a stack begins beside the model's own era and
ends with the era itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmrace.history.variant import Variant

OWN = "3.3"
"""The era whose source `mmrace.kernel` is."""


@dataclass(frozen=True)
class Era(Variant):
    """A state of the code.  Args: on: the era that it is a difference to; None of the model itself."""

    on: Era | None = None

    @property
    def stack(self) -> tuple[Era, ...]:
        """What is applied for it, the lowest first."""
        return (*(self.on.stack if self.on else ()), self)
