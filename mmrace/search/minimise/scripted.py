"""A minimal schedule as a script: clauses that a person can paste, read and change (`strategies/script.py`).

Each time that a task has the floor becomes a clause: how far it goes, by the site before which it then stands.  The
rest follows one task after the other, so that it adds no switch of its own; clauses that say what it does anyway are
left out.  Invariant: a script that is returned was run, reached all its clauses, and has the finding.  A schedule with
choices has none: a script makes none.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import NOTE, Kind
from mmrace.runtime.record import Record
from mmrace.search.minimise import shrinking
from mmrace.search.minimise.trials import Case, Spent, Trials
from mmrace.strategies.guided import Guided, Place, places
from mmrace.strategies.script import Script

CLAUSES_MAX = 24  # longer ones are no easier to read than the turning points
UNSITED = {Kind.BEGIN.name, Kind.EXIT.name, "?"}


def script_of(trials: Trials, case: Case) -> str:
    """Return a script that has the finding, "" if there is none or the budget is used up."""
    if case.values:
        return ""
    with trials.played(case, Guided(case.turns)) as played:
        clauses = tuple(_clauses(played.record))
    if not 0 < len(clauses) <= CLAUSES_MAX:
        return ""

    def fails(kept: tuple[str, ...]) -> bool:
        return _fails(trials, case, _text(kept, clauses))

    try:
        if fails(clauses):
            return _text(shrinking.fewer(clauses, fails), clauses)
    except Spent:
        pass
    return ""


def _text(kept: tuple[str, ...], clauses: tuple[str, ...]) -> str:
    """Write a script.  Args: clauses: all that there were, which name the tasks of the rest, in turn."""
    names = dict.fromkeys(clause.split()[0] for clause in clauses)
    return "; ".join((*kept, f"rest {' '.join(names)}"))


def _fails(trials: Trials, case: Case, text: str) -> bool:
    """Say whether a script reaches all its clauses and has the finding.  Raises Spent."""
    trials.budget.take()
    try:
        script = Script(text)
    except UsageError:  # a site that scripts have no word for
        return False
    with trials.played(case, script) as played:
        return not script.unreached and trials.judged(played)


def _clauses(record: Record) -> Iterator[str]:
    """Yield a clause for each time that a task has the floor in the explored part."""
    first, end = record.header["explored"]
    named = [place for _, place in places(record)]
    numbers = [event[0] for event in record.events if event[1] != NOTE]
    steps = range(first, min(end, len(named)))
    for task, turn in groupby(steps, key=lambda step: numbers[step]):
        yield f"{record.task_name(task)} {_how_far(record, named, numbers, list(turn))}"


def _how_far(record: Record, named: list[Place], numbers: list[int], turn: list[int]) -> str:
    """Say how far a task goes while it has the floor."""
    task, last = numbers[turn[0]], turn[-1]
    if named[last][1] == Kind.EXIT.name:
        return "until end"
    if last + 1 >= len(record.masks) or not record.masks[last + 1] >> task & 1:
        return "until blocked"
    following = next((step for step in range(last + 1, len(named)) if numbers[step] == task), None)
    if following is None or named[following][1] in UNSITED:
        return f"for {len(turn)}"
    site = named[following][1]
    times = 1 + sum(named[step][1] == site for step in turn)
    return f"until {site}" + (f"*{times}" if times > 1 else "")
