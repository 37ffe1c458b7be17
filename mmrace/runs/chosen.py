"""The strategy of one run, with what belongs in the record's header."""

from __future__ import annotations

from dataclasses import dataclass

from mmrace.runtime.strategy import Followed, Strategy
from mmrace.strategies.feedback import Tape


@dataclass(frozen=True, slots=True)
class Chosen:
    """A strategy for one run, with what belongs in the record's header.

    Attributes: followed: of a run that is made again along its record, how much the first one followed.
    """

    strategy: Strategy
    promoted: frozenset[str] | None = None
    profile: str | None = None
    corpus: str | None = None
    tape: Tape | None = None  # of the draws, under feedback
    followed: Followed | None = None
