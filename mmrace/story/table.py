"""Rows and columns: the chosen events as a table, a column a task, time down.

Each row says what was done, in which function, which of the shown locks who holds, and why its task does not go on
after it.  Loops are folded: a task that does the same again and again has one row for it.  Invariant: rows are in the
order of the record, and an event that the finding names is never folded away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from mmrace.oracles.general.judgement import kind_of
from mmrace.runtime.kinds import ACQUIRE, EXIT, JOIN, NOTE, RETRY, SLEEP, TEST_AND_SET, YIELD
from mmrace.story.deeds import deed
from mmrace.story.facts import Ghost, Ordering, Row, Table
from mmrace.story.scene import Scene
from mmrace.story.tenures import Tenure

PERIOD_MAX = 4
"""Rows of a loop's body that is folded: longer ones are told as they are."""
FOLD_MIN = 3  # turns of a loop of one row; of a longer one two will do


def table_of(
    scene: Scene,
    chosen: Mapping[int, str],
    named: Mapping[int, str],
    ghosts: Sequence[Ghost],
    marks: Mapping[int, str],
    *,
    fold: bool = True,
) -> Table:
    """Make the table of some events.

    Args: chosen: step -> what it is there for.  named: those of the finding.  marks: ends of causal orderings.
    fold: a loop is one row.
    """
    steps = sorted(chosen)
    bars = _Bars(scene, steps, named)
    rows = [_row(scene, step, chosen[step], step in named, bars, marks.get(step, "")) for step in steps]
    rows = _folded(rows) if fold else rows
    belows: list[Row | None] = [*rows[1:], None]
    rows = [replace(row, leaves=_leaves(scene, row, below)) for row, below in zip(rows, belows, strict=False)]
    rows = list(_with_ghosts(rows, ghosts))
    tasks = dict.fromkeys(row.task for row in rows)
    acting = {row.task for row in rows if row.step is None or scene.kind(row.step) != NOTE}
    return Table(tuple(tasks), tuple(rows), scene.end, frozenset({*tasks} - acting))


def marks_of(orderings: Sequence[tuple[int, int, Ordering]]) -> dict[int, str]:
    """Return the marks of causal orderings by step."""
    found: dict[int, list[str]] = {}
    for first, second, ordering in orderings:
        found.setdefault(first, []).append(f"{ordering.number}<")
        found.setdefault(second, []).append(f">{ordering.number}")
    return {step: " ".join(marks) for step, marks in found.items()}


class _Bars:
    """The locks that are shown as bars, and who holds which of them, step by step.

    A bar has a lock that a row is about while it is held, and a lock that its task holds at an op of the finding's own;
    where it was taken stands in words if that is no row.
    """

    def __init__(self, scene: Scene, steps: Sequence[int], named: Collection[int]) -> None:
        about = {tenure for step in steps for tenure in _about(scene, step)}
        ops = (step for step in steps if step in named and scene.kind(step) != NOTE)
        own = (tenure for step in ops for tenure in scene.held(scene.events[step][0], step))
        self.scene = scene
        self.tenures = sorted({*about, *own})
        self.rows = frozenset(steps)
        self.told: set[int] = set()  # bars of which it is clear where they begin
        self.held: dict[int, Tenure] = {}  # number of a bar -> its tenure, of those that are held now
        self.next = 0

    def since(self, step: int) -> tuple[str, ...]:
        """Say of the locks that a step's task holds before it, and of which no row so far tells it, since when."""
        task, found = self.scene.events[step][0], []
        for number, tenure in enumerate(self.tenures):
            held = tenure.taken < step and (tenure.released is None or tenure.released >= step)
            if held and tenure.task == task and tenure.taken not in self.rows and number not in self.told:
                self.told.add(number)
                found.append(f"has {self.scene.short(tenure.lane)} since step {tenure.taken}")
        return tuple(found)

    def at(self, step: int) -> tuple[dict[str, tuple[int, ...]], int | None, int | None]:
        """Return who holds which bars after a step, and which one that takes and drops; steps have to rise."""
        takes = drops = None
        while self.next < len(self.tenures) and self.tenures[self.next].taken <= step:
            takes = self.next if self.tenures[self.next].taken == step else takes
            self.held[self.next] = self.tenures[self.next]
            self.next += 1
        found: dict[str, tuple[int, ...]] = {}
        for number, tenure in list(self.held.items()):
            if tenure.released is not None and tenure.released <= step:
                del self.held[number]
                drops = number if tenure.released == step else drops
                continue
            name = self.scene.record.task_name(tenure.task)
            found[name] = (*found.get(name, ()), number)
        return found, takes, drops


def _about(scene: Scene, step: int) -> Iterator[Tenure]:
    """Yield the tenures of the lock that an op is on, if it is on one: what it takes, drops or meets."""
    lane = scene.lane(step)
    if lane not in scene.locks:
        return
    for at in (step, step + 1):
        tenure = scene.holder(lane, at)
        if tenure is not None:
            yield tenure


def _row(scene: Scene, step: int, why: str, named: bool, bars: _Bars, mark: str) -> Row:
    since = bars.since(step)
    held, takes, drops = bars.at(step)
    dropped = "" if drops is None else scene.record.task_name(bars.tenures[drops].task)
    return Row(
        step, scene.who(step), deed(scene, step), scene.call(step), why, named, held, takes, drops, dropped,
        since=since, causal=mark,
    )  # fmt: skip


# -- loops ---------------------------------------------------------------------------------------------------------


def _folded(rows: Sequence[Row]) -> list[Row]:
    made: list[Row] = []
    i = 0
    while i < len(rows):
        period, turns = _loop(rows, i)
        made += [
            replace(row, times=turns, until=rows[i + (turns - 1) * period + k].step) if turns > 1 else row
            for k, row in enumerate(rows[i : i + period])
        ]
        i += period * turns
    return made


def _loop(rows: Sequence[Row], i: int) -> tuple[int, int]:
    """Return the period and the turns of the loop that begins at a row; 1, 1 for none."""
    for period in range(1, PERIOD_MAX + 1):
        body = [_shape(row) for row in rows[i : i + period]]
        turns = 1
        while True:
            there = rows[i + turns * period : i + (turns + 1) * period]
            if len(there) < period or [_shape(row) for row in there] != body or any(map(_stands_out, there)):
                break
            turns += 1
        if turns >= (FOLD_MIN if period == 1 else 2) and not any(map(_stands_out, rows[i : i + period])):
            return period, turns
    return 1, 1


def _shape(row: Row) -> tuple[str, str, str]:
    words = row.text.split(" ")
    return row.task, row.call, " ".join(kind_of(word.rpartition("[")[0] or word) for word in words[:2])


def _stands_out(row: Row) -> bool:
    return row.named or row.takes is not None or row.drops is not None or bool(row.causal or row.since)


# -- switches ------------------------------------------------------------------------------------------------------


def _leaves(scene: Scene, row: Row, below: Row | None) -> str:
    """Say why the floor went elsewhere after a row, "" if it did not."""
    assert row.step is not None
    if below is not None and below.task == row.task:
        return ""
    task = scene.events[row.step][0]
    until = scene.end if below is None or below.step is None else below.step
    last = scene.before(task, until)
    last = row.step if last is None or last < row.step else last
    then = scene.after(task, until - 1)
    if scene.kind(last) == EXIT:
        return "ends" if last == row.step else "goes on to its end"
    mask = scene.enabled(last + 1)
    if then is None:
        return _stays(scene, row.task) or (_cut_short(scene, task, row.step) if below is not None else "")
    if mask is None:
        return "meanwhile" if below is not None else ""
    if mask >> task & 1:
        return "gives way" if scene.kind(last) == YIELD else "preempted"
    return _blocked(scene, then, last)


def _blocked(scene: Scene, then: int, last: int) -> str:
    """Say what a task that cannot go on waits for.  Args: then: the op that it is about to do."""
    kind, lane = scene.kind(then), scene.lane(then)
    if kind in (ACQUIRE, TEST_AND_SET):
        tenure = scene.holder(lane, last + 1)
        by = f", held by {scene.record.task_name(tenure.task)}" if tenure else ""
        return f"waits for {scene.short(lane)}{by}"
    if kind == SLEEP:
        return f"sleeps on {scene.short(lane)}"
    if kind == JOIN:
        return "waits for the end of others"
    return "waits for a change" if kind == RETRY else "waits for its CPU"


def _stays(scene: Scene, task: str) -> str:
    """Say what becomes of a task that does nothing more."""
    waits = scene.record.end.get("detail", {}).get("tasks") or ()
    for row in waits:
        if row.get("task") == task and row.get("waits_for"):
            wants = str(row["waits_for"])
            lane = scene.find(wants.removeprefix("wake on ").removesuffix(".queue"))
            by = f", held by {row['held_by']}" if row.get("held_by") and not wants.startswith("end of") else ""
            return f"waits for {wants if lane is None else scene.short(lane)}{by}: for ever"
    return ""


def _cut_short(scene: Scene, task: int, step: int) -> str:
    """Say what a task was at whose next op is not in the record: the run ended first."""
    masks, last = scene.record.masks, scene.of_task[task][-1]
    could = bool(masks) and bool(masks[-1] >> task & 1)
    asleep = scene.asleep(task)
    if asleep is not None and not could:
        queue, since = asleep
        goes_on = f"goes on to step {last}, and " if last != step else ""
        return f"{goes_on}sleeps on {scene.short(queue)} (queued at step {since})"
    if not masks:
        return f"the run ends before its next op, after step {last}"
    could_not = "" if could else ", and could not be done yet"
    return f"has another op to do after step {last}{could_not}, when the run ends"


# -- ghosts --------------------------------------------------------------------------------------------------------


def _with_ghosts(rows: Sequence[Row], ghosts: Sequence[Ghost]) -> Iterator[Row]:
    waiting = sorted(ghosts, key=lambda ghost: ghost.after)
    held: Mapping[str, tuple[int, ...]] = {}
    for row in rows:
        assert row.step is not None
        while waiting and waiting[0].after < row.step:
            ghost = waiting.pop(0)
            yield Row(None, ghost.task, ghost.text, held=held)
        held = row.held
        yield row
    yield from (Row(None, ghost.task, ghost.text, held=held) for ghost in waiting)
