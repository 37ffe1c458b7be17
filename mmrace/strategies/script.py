"""Strategy `script`: a schedule that a person wrote down, clause by clause.

    writer until update:bit_lock; reader until blocked; rest fair

A script is clauses, separated by ";", then perhaps one for the rest: `GRAMMAR` has the forms.  Where a program fixes
the order (set-up) the script is not asked.

While the task of a clause is not spawned yet, the oldest task that can go on does.  A clause that cannot be met (its
task has to wait, or ended, before it got there) is given up and the next one begins; `unreached` says which and why.
`choose` gives the ordinary value.  Invariant: a script on a program gives one schedule.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import KIND_MASK, Kind
from mmrace.runtime.sites import site_name
from mmrace.runtime.strategy import BaseStrategy, Followed, RoundRobin, SteeredRun
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Options, Registered, Unprofiled

_WITHOUT_SITE = (int(Kind.BEGIN), int(Kind.EXIT))
_NAME = r"(?:<\w+>|[^\W\d]\w*)"
_SITE = re.compile(rf"(?:{_NAME} > )?{_NAME}(?::{_NAME}(?:#\d+)?)?")
GRAMMAR = {
    "TASK until SITE": "until it stands before an op at SITE: that op is not done",
    "TASK until SITE*N": "the Nth op at SITE since the clause began; the one it stands before then counts",
    "TASK until blocked": "as far as it gets alone: until it has to wait or has ended",
    "TASK until end": "until it has ended",
    "TASK for N": "N ops",
    "rest fair": "one op each in turn, by creation; this is the default",
    "rest TASK TASK": "the first one named here that can go on; nobody else until all of them have to wait",
}
"""Form of a clause -> how far its task goes."""
SITE = "function:name#k, or caller > function:name#k: as records and findings name it, without a line number"
EXAMPLE = "writer until update:bit_lock; reader until blocked; rest fair"


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause.  `what` is "site", "blocked", "end" or "ops"; `count` is of visits or ops."""

    text: str
    task: str
    what: str
    count: int = 1
    site: str = ""


def parse_script(text: str) -> tuple[list[Clause], list[str]]:
    """Read a script: its clauses, and the tasks that go first in the rest ([]: fair turns).  Raises UsageError."""
    parts = [part.strip() for part in text.strip().rstrip(";").split(";")]
    rest: list[str] = []
    if re.fullmatch(r"rest\b.*", parts[-1]):
        rest = _rest(parts.pop(), len(parts) + 1)
    elif parts == [""]:
        raise UsageError(expected="a script", got=text, where="script", try_=EXAMPLE)
    return [_clause(part, number) for number, part in enumerate(parts, 1)], rest


def _rest(text: str, number: int) -> list[str]:
    names = text[len("rest") :].replace(",", " ").split()
    if not names:
        raise UsageError(expected="rest fair, or rest and tasks", got=text, where=_where(number), try_="rest fair")
    return [] if names == ["fair"] else names


def _clause(text: str, number: int) -> Clause:
    words = text.split(maxsplit=2)
    where = _where(number)
    if words[:1] == ["rest"]:
        raise UsageError(expected="rest as the last clause", got=text, where=where, try_="move it to the end")
    if len(words) < 3 or words[1] not in ("until", "for"):
        close = difflib.get_close_matches(words[1], ["until", "for"], 1) if len(words) > 1 else []
        try_ = " ".join([words[0], *close, *words[2:]]) if close else EXAMPLE
        raise UsageError(expected=f"one of: {', '.join(GRAMMAR)}", got=text, where=where, try_=try_)
    task, verb, goal = words
    if verb == "for":
        return Clause(text, task, "ops", _count(goal, where, f"{task} for 3"))
    if goal in ("blocked", "end"):
        return Clause(text, task, goal)
    site, star, visit = goal.partition("*")
    site = site.strip()
    if not _SITE.fullmatch(site):
        raise UsageError(
            expected="blocked, end or a site: function:name, function:name#k or caller > function:name#k",
            got=site,
            where=where,
            try_=f"{task} until update:bit_lock, a name as records and findings have it",
        )
    return Clause(text, task, "site", _count(visit, where, f"{task} until {site}*2") if star else 1, site)


def _count(text: str, where: str, try_: str) -> int:
    text = text.strip()
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(expected="a number, 1 or more", got=text, where=where, try_=try_)
    return int(text)


def _where(number: int) -> str:
    return f"script clause {number}"


class Script(BaseStrategy):
    """Follows a script for one run.  Raises UsageError for a text that is not a script.

    Attributes: unreached: one line for each clause that was given up, or that the run's end left; empty if all is well.
    """

    asked_when_alone = True
    needs_sites = True

    def __init__(self, text: str) -> None:
        self.clauses, self._first = parse_script(text)
        self._at = 0  # clause that is being followed
        self._count = 0  # its visits or ops so far
        self._tasks: Sequence[Task] = ()
        self._given_up: list[str] = []
        self._fair = RoundRobin()

    def attach(self, run: SteeredRun) -> None:
        """Take the list of the run's tasks, which grows with the run."""
        self._tasks = run.tasks

    def finish(self) -> None:
        """Raise UsageError if some clause was not reached."""
        if self.unreached:
            raise UsageError(
                expected="a script whose clauses are all reached",
                got="; ".join(self.unreached),  # each with what to try
                where="script",
            )

    def followed(self) -> Followed:
        """Count the clauses that were reached."""
        left = tuple(self.unreached)
        return Followed(len(self.clauses) - len(left), len(self.clauses), "clauses", left)

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the task of the clause, or of the rest."""
        while self._at < len(self.clauses):
            clause = self.clauses[self._at]
            task = self._find(clause.task)
            if task is None:
                return min(enabled, key=lambda task: task.id)
            if self._met(clause, task):
                self._next()
            elif not task.on:
                self._given_up.append(self._line(self._at, *self._why(clause, task)))
                self._next()
            else:
                self._count += clause.what == "ops"
                return task
        return self._of_rest(enabled, running, step)

    def _next(self) -> None:
        self._at += 1
        self._count = 0

    def _met(self, clause: Clause, task: Task) -> bool:
        """Say whether the clause is over; asked once for each op that its task announces."""
        if clause.what == "site":
            self._count += not _ended(task) and _stands_at(task, clause.site)
        if clause.what in ("site", "ops"):
            return self._count == clause.count
        return _ended(task) or (clause.what == "blocked" and not task.on)

    def _of_rest(self, enabled: list[Task], running: Task, step: int) -> Task:
        for name in self._first:
            task = self._find(name)
            if task is not None and task.on:
                return task
        return self._fair.pick(enabled, running, step)

    def _find(self, name: str) -> Task | None:
        return next((task for task in self._tasks if task.name == name), None)

    # -- what went wrong --------------------------------------------------------------------------------------------

    @property
    def unreached(self) -> list[str]:
        """What was not reached, a line each with what to try.  Ask after the run."""
        left = list(self._given_up)
        for at in range(self._at, len(self.clauses)):
            task = self._find(self.clauses[at].task)
            if task is None:
                left.append(self._line(at, *self._unknown(self.clauses[at].task)))
            elif not self._over(at, task):
                left.append(self._line(at, "the run ended first", "a look at how the run ended"))
        return left

    def _over(self, at: int, task: Task) -> bool:
        """Say whether the run's end ended the clause too."""
        clause = self.clauses[at]
        if clause.what == "end":
            return _ended(task)
        return at == self._at and (clause.what == "blocked" or (clause.what == "ops" and self._count == clause.count))

    def _line(self, at: int, why: str, try_: str) -> str:
        return f"{_where(at + 1)}, {self.clauses[at].text!r}, was never reached: {why}; try: {try_}"

    def _why(self, clause: Clause, task: Task) -> tuple[str, str]:
        seen = f" (at its site {self._count} of {clause.count} times)" if clause.what == "site" else ""
        if _ended(task):
            site = clause.what == "site"
            return f"{task.name} ended{seen}", "a site as `mmrace show` prints it" if site else "until end"
        at = site_name(task.site) or Kind(task.pending & KIND_MASK).name
        return f"{task.name} has to wait at {at}{seen}", f"a clause before it for the task that {task.name} waits for"

    def _unknown(self, name: str) -> tuple[str, str]:
        names = [task.name for task in self._tasks]
        close = difflib.get_close_matches(name, names, 1)
        return f"no such task was spawned, but {', '.join(names) or 'none'}", close[0] if close else "one of these"


def _ended(task: Task) -> bool:
    """Say whether a task did its EXIT; one that was unwound is done too, but did not end."""
    return task.exit_gate is not None and not task.exit_gate.busy


def _stands_at(task: Task, site: str) -> bool:
    if task.pending & KIND_MASK in _WITHOUT_SITE:
        return False
    name = site_name(task.site)
    return name is not None and site in (name, name.rpartition(" > ")[2])


def sampler(options: Options) -> Unprofiled:
    """Make the sampler of one schedule.  Option: text: the script.  Raises UsageError."""
    text = str(options["text"])
    parse_script(text)
    return Unprofiled(lambda _: Script(text))


STRATEGY = Registered("script", "a schedule that a person wrote; one schedule only", sampler, {"text": ""})
