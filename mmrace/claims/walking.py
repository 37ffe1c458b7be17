"""Walking: every class of the programs that are small enough, in this process, one after the other.

Invariant: a part is exhausted on a program only if the walk came to its end and every class of it said something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mmrace.claims.judges import Part, check_parts
from mmrace.claims.one import MAKERS, why_unfinished
from mmrace.claims.programs import WALK, Setting, parts_for, spec_of
from mmrace.claims.result import ClaimsResult, PartCounts
from mmrace.runs import stops
from mmrace.runs.spec import RunSpec
from mmrace.runtime.record import Record
from mmrace.search.explore.walk import Walk
from mmrace.search.options import Options
from mmrace.strategies import registry
from mmrace.strategies.contract import Systematic


class Walking:
    """The walks of one call of the command.

    Args: result: where all goes.  late: says whether a share of the time is up.  Attributes: deciding: (part, program)
    -> the first class that decides it.
    """

    def __init__(self, result: ClaimsResult, options: Options, late: Callable[[float], bool]) -> None:
        self.result, self.options, self.late = result, options, late
        self.deciding: dict[tuple[str, str], Record] = {}

    def walk_all(self, settings: Sequence[Setting], after: float) -> None:
        """Walk each program.  Args: after: the share of the time that was gone before."""
        for place, setting in enumerate(settings, 1):
            self.walk(setting, after + (1 - after) * place / len(settings))

    def walk(self, setting: Setting, share: float) -> None:
        """Visit every class of a program, or as many as the bounds allow."""
        spec = spec_of(setting, self.options.seed, 0, self.result.era)
        parts = parts_for(self.result.claims, setting.name)
        strategy, options = registry.parse(WALK)
        search: Systematic = strategy.make(options)  # type: ignore[assignment]
        index = 0
        counts = self._begin(setting, parts)
        complete = True
        visits = iter(Walk(MAKERS.program(spec), spec, search))
        while not self.late(share) and (self.options.runs is None or index < self.options.runs):
            with stops.interruptible():
                visit = next(visits, None)
            if visit is None:
                for found in counts.values():
                    found.exhausted = complete
                break
            if visit.restarted:  # what came before was walked with too few dependences
                counts, complete = self._begin(setting, parts), True
            if not visit.counts:
                continue
            self.result.runs += 1
            complete &= self._visit(setting, spec, visit.played.record, index, counts)
            index += 1

    def _begin(self, setting: Setting, parts: Sequence[Part]) -> dict[str, PartCounts]:
        """Put counts of nothing yet into the result, where they are while they grow: Ctrl-C may come."""
        counts = {part.name: PartCounts() for part in parts}
        for name, found in counts.items():
            self.result.evidence.setdefault(name, {})[setting.name] = found
        return counts

    def _visit(
        self, setting: Setting, spec: RunSpec, record: Record, index: int, counts: dict[str, PartCounts]
    ) -> bool:
        """Count one class; return whether it says anything."""
        how = why_unfinished(record)
        if how:
            self.result.add_unfinished(spec, how)
            return False
        for name, instances in check_parts(record, parts_for(self.result.claims, setting.name)).items():
            counts[name].add(index, instances.tested, instances.times)
            if counts[name].first == index:
                self.deciding[name, setting.name] = record
        return True
