"""What a claim is, and what one record says about it.

A claim of exclusion has parts: what it says word by word, and beside that what is true instead or what it leaves out.
Each part is judged by a pure function of the record, ``check(record) -> Instances``.  Invariant: a part without an
instance was not tested.  Not here: which runs to look at, and the words of a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from mmrace.oracles.general.judgement import Fact
from mmrace.runtime.record import Record

Expected = Literal["holds", "false", "nothing"]
"""What the source says of a part: that it holds (or is shown), that it does not, or that no run can ask it at all."""


class Expect(NamedTuple):
    """What the source of an era says of a part, and why, if that is not what 3.3's says."""

    what: Expected
    why: str = ""


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
    """How often a record put a part to the test, and the first instance that decides the part.

    `times`: how many instances decide it: counterexamples, or examples of what is said to exist.
    """

    tested: int = 0
    times: int = 0
    example: Example | None = None

    def test(self, times: int = 1) -> None:
        """Count instances that decide nothing."""
        self.tested += times

    def decide(self, title: str, *steps: int, **facts: Fact) -> None:
        """Count a deciding instance, which was counted by `test` too; the first is kept."""
        self.times += 1
        if self.example is None:
            self.example = Example(steps, title, facts)


Check = Callable[[Record], Instances]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is judged by itself.

    Args: name: "C7", or "C7+" for what is true instead.  says: in own words.  checks: what exactly is looked at, and
    what counts as an instance.  exists: one example makes the part true; else one counterexample makes it false.
    expected: what a reading of the v3.3 source says of the part; decides the exit code, never a verdict.  by_era: the
    same of other eras, where it differs, with the reason.
    """

    name: str
    says: str
    checks: str
    check: Check
    exists: bool = False
    expected: Expected = "holds"
    by_era: Mapping[str, Expect] = field(default_factory=dict)

    def expects(self, era: str = "") -> Expect:
        """Return what is expected of the part in an era; "": 3.3."""
        return self.by_era.get(era, Expect(self.expected))


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.

    Args: says: of a claim without parts.  untested: what cannot be tested yet, and why.
    """

    name: str
    parts: tuple[Part, ...] = ()
    says: str = ""
    untested: str = ""
