"""Tell the story of a finding: ask who knows its rule, choose the rows, describe the objects.

A *teller* is a function of scene and finding that makes the `Telling` of one rule: the general ones are in this folder,
those who know a program's own words come in a `Book` from whoever made the program.  Invariant: a finding of a rule
that nobody knows is told too, with its title for a cause.  Not here: text, and what is known beside the record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.runtime.selection import findings_of, steps_named
from mmrace.story import caught, counting, ended, ordering, plainly, racing, waiting, waking
from mmrace.story.facts import Ordering, State, Story, Telling
from mmrace.story.scene import Scene, Words
from mmrace.story.slice import sliced
from mmrace.story.state import state_of
from mmrace.story.table import marks_of, table_of

Finding: TypeAlias = Mapping[str, Any]
"""As a record's verdict has it."""
Teller: TypeAlias = Callable[[Scene, Finding], Telling]
Refiner: TypeAlias = Callable[[Scene, Finding, Telling], Telling]
"""Says in a program's own words what a general teller made."""
States: TypeAlias = Callable[[Scene, Sequence[str], int], Sequence[State]]

PLAINLY = "(Its facts are not those that this rule has here, so that no more can be said.)"
OBJECTS_MAX = 6  # whose state is shown: more is no explanation

GENERAL: dict[tuple[str, str], Teller] = {
    ("liveness", "cycle"): waiting.cycle,
    ("liveness", "lost-wakeup"): waking.lost_wakeup,
    ("liveness", "stuck"): waking.stuck,
    ("liveness", "livelock"): waiting.in_vain,
    ("liveness", "starvation"): waiting.in_vain,
    ("data-race", ""): racing.race,
    ("lock-order", ""): ordering.ring,
    ("refcount", "leaked reference"): counting.leak,
    ("refcount", "put without reference"): counting.double_put,
    ("refcount", "lost get"): counting.lost_get,
    ("refcount", ""): counting.account,
    ("lock-discipline", "unlock by a stranger"): caught.stranger,
    ("lock-discipline", "released by another than its holder"): caught.stranger,
    ("lock-discipline", "sleep in atomic context"): caught.sleeps,
    ("lock-discipline", "irq-unsafe"): caught.irq_unsafe,
    ("use-after-free", ""): ended.after_free,
    ("bug-on", ""): ended.bug_on,
    ("exception", ""): ended.raised,
    ("", ""): plainly.told,
}
"""By oracle and rule; a rule of "" is any other of that oracle."""


def _as_they_are(scene: Scene, names: Sequence[str], step: int) -> Sequence[State]:
    return [state for name in names if (state := state_of(scene, name, step)) is not None]


@dataclass(frozen=True)
class Book:
    """What a program's own words add.

    Args: refiners: by oracle and rule.  roles: what tasks play, by the first part of their names.  notes: what
    a kind of note says, from its facts.  states: tells the state of
    objects.
    """

    refiners: Mapping[tuple[str, str], Refiner] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Words] = field(default_factory=dict)
    states: States = _as_they_are


NOTHING_OWN = Book()


def tell(
    record: Record,
    signature: str = "",
    book: Book = NOTHING_OWN,
    orderings: Sequence[tuple[int, int, Ordering]] = (),
    whole: bool = False,
) -> Story:
    """Tell one finding of a record.

    Args: signature: of the finding, "" for the first that nobody expects.  orderings: the causal ones that are known,
    with their events.  whole: the table has every event of its tasks after set-up, each in a row of its own.  Raises
    UsageError if there is no such finding.
    """
    finding = chosen(record, signature)
    scene = Scene(record, book.roles, book.notes)
    told = _telling(scene, finding, book)
    known, orderings = orderings, _until(scene, finding, orderings)
    own = dict.fromkeys(steps_named(record, str(finding["signature"])), "")
    ends = {step: "" for first, second, _ in orderings for step in (first, second)}
    anchors = {**ends, **own, **told.anchors}
    anchors = {step: why for step, why in anchors.items() if 0 <= step < scene.end}
    steps = sliced(scene, anchors)
    if whole and steps:
        steps = _all_of_its_tasks(scene, steps)
    objects = list(dict.fromkeys(told.objects))[:OBJECTS_MAX]
    return Story(
        title=str(finding.get("title", "")),
        signature=str(finding["signature"]),
        oracle=str(finding.get("oracle", "")),
        rule=str(finding.get("rule", "")),
        known=str(finding.get("known", "")),
        telling=told,
        table=table_of(scene, steps, own, told.ghosts, marks_of(orderings), fold=not whole),
        states=tuple(book.states(scene, objects, told.moment or scene.end)),
        orderings=tuple(ordering for _, _, ordering in orderings),
        afterwards=len(known) - len(orderings),
        others=tuple(
            f"{other.get('oracle')}: {other.get('title')} [{other['signature']}]"
            for other in findings_of(record)
            if other["signature"] != finding["signature"]
        ),
    )


def _all_of_its_tasks(scene: Scene, steps: Mapping[int, str]) -> dict[int, str]:
    """Return every event of the tasks that have some of these, from where a strategy was first asked."""
    tasks = {scene.events[step][0] for step in steps}
    every = range(min(scene.begins, *steps), scene.end)
    return {step: steps.get(step, "") for step in every if scene.events[step][0] in tasks}


def _until(
    scene: Scene, finding: Finding, orderings: Sequence[tuple[int, int, Ordering]]
) -> list[tuple[int, int, Ordering]]:
    """Return the orderings whose later side comes before the finding, numbered: no other can have led to it."""
    end = plainly.step_of(scene, finding)
    kept = [one for one in orderings if one[1] <= end]
    return [(first, second, replace(one, number=i)) for i, (first, second, one) in enumerate(kept, 1)]


def chosen(record: Record, signature: str = "") -> Finding:
    """Return the finding that is to be told.  Raises UsageError if there is none, or none of that signature."""
    found = findings_of(record, signature)
    if not found:
        raise UsageError(
            expected="a record with a finding",
            got=f"one whose verdict is {record.verdict.get('verdict', 'none: nobody judged it')}",
            where="FILE",
            try_="`mmrace show`, which shows what happened in any record",
        )
    if signature and found[0]["signature"] != signature:
        raise UsageError(
            expected=f"a finding of the record: {', '.join(str(one['signature']) for one in found)}",
            got=signature,
            where="--finding",
        )
    return found[0] if signature else next((one for one in found if not one.get("known")), found[0])


def _telling(scene: Scene, finding: Finding, book: Book) -> Telling:
    key = str(finding.get("oracle", "")), str(finding.get("rule", ""))
    general = _of(GENERAL, key) or plainly.told
    refine = book.refiners.get(key) or book.refiners.get((key[0], ""))
    try:
        told = general(scene, finding)
        told = told if refine is None else refine(scene, finding, told)
    except (LookupError, TypeError, ValueError, AttributeError):  # facts that somebody edited, or another mmrace wrote
        told = plainly.told(scene, finding)
        told = replace(told, cause=f"{told.cause} {PLAINLY}")
    cause = f"{told.cause.removesuffix('.')}; {told.habit}" if told.habit else told.cause
    return replace(told, cause=_with_roles(cause, scene))


def _with_roles(text: str, scene: Scene) -> str:
    """Say once of each task that plays something what that is: "committer (kjournald)"."""
    for name in sorted(scene.ids, key=len, reverse=True):
        role = scene.roles.get(name.partition(".")[0])
        if role:
            text = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w]|\.\w)", f"{name} ({role})", text, count=1)
    return text


def _of(known: Mapping[tuple[str, str], Any], key: tuple[str, str]) -> Any:
    """Return what is known of a rule, else of its oracle, else of any."""
    return known.get(key) or known.get((key[0], "")) or known.get(("", ""))
