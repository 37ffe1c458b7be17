"""The strategy of one run, with what belongs in the record's header."""

from __future__ import annotations

from dataclasses import dataclass

from mmrace.runtime.strategy import Strategy
from mmrace.strategies.feedback import Tape


@dataclass(frozen=True, slots=True)
class Chosen:
    """A strategy for one run, with what belongs in the record's header."""

    strategy: Strategy
    promoted: frozenset[str] | None = None
    profile: str | None = None
    corpus: str | None = None
    tape: Tape | None = None  # of the draws, under feedback
