"""What a claim is, and what one record says about it.

A claim of exclusion has parts: what it says word by word, and beside it what is true instead or what it leaves out.
Each part is judged by a pure function of the record, ``check(record) -> Instances``.  Invariant: a part that had no
instance was not tested; nobody reads more out of it.  Not here: which runs to look at, and the words of a verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from mmrace.oracles.general.judgement import Fact
from mmrace.runtime.record import Record

Expected = Literal["holds", "false"]


@dataclass(frozen=True, slots=True)
class Example:
    """One instance to show: against a claim, or for a claim that something exists.

    Args: steps: indices in `record.events`, in the order in which they are told.  facts: tasks, objects, values.
    """

    steps: tuple[int, ...]
    title: str
    facts: dict[str, Fact] = field(default_factory=dict)


@dataclass(slots=True)
class Instances:
    """How often a record put a claim to the test, and the first instance that decides it.

    `times`: how many decide it: counterexamples, or examples of what is said to exist.
    """

    tested: int = 0
    times: int = 0
    example: Example | None = None

    def test(self, times: int = 1) -> None:
        """Count instances that do not decide anything."""
        self.tested += times

    def decide(self, title: str, *steps: int, **facts: Fact) -> None:
        """Count a deciding instance that is among those tested; the first is kept."""
        self.times += 1
        if self.example is None:
            self.example = Example(steps, title, facts)


Check = Callable[[Record], Instances]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is judged by itself.

    Args: name: "C7", or "C7+" for what is true instead.  says: in own words.  checks: what exactly is looked at, and
    what counts as an instance.  exists: one example makes it true; else one counterexample makes it false.
    expected: what the protocol's description says of it; decides the exit code, never a verdict.
    """

    name: str
    says: str
    checks: str
    check: Check
    exists: bool = False
    expected: Expected = "holds"


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.  `untested`: why, if nothing of it can be tested yet, and what of it is not if something can."""

    name: str
    parts: tuple[Part, ...] = ()
    says: str = ""
    untested: str = ""
