"""The text of a regression test: a file of pytest's with one test, whose schedule stands beside it.

It uses the fixture `follow` of mmrace's pytest plugin and nothing else: without the plugin it is an error, and not
green.  Invariant: whatever a title has in it, the text is a Python file whose docstring says it.
"""

from __future__ import annotations

import re
import textwrap

from mmrace.runs.schedule import KeptSchedule
from mmrace.runtime.visible import one_line
from mmrace.search.around import NEAR

WIDTH = 110  # characters of a line of the docstring
TITLE_MAX = 400  # characters of a title; the schedule has all of it
TEXT = '''"""{doc}
"""


def test_{name}(follow):
    follow({arguments})
'''


def text(schedule: KeptSchedule, name: str, near: int = NEAR) -> str:
    """Return the file.  Args: name: of the test and of the schedule's file.  near: schedules near it to be tried."""
    spec = schedule.spec
    arguments = [f'"{name}.json"']
    arguments += [f'variant="{spec.variant}"'] * bool(spec.variant)
    arguments += [f"near={near}"] * (near != NEAR)
    return TEXT.format(doc=_doc(schedule, name, near), arguments=", ".join(arguments), name=name)


def _doc(schedule: KeptSchedule, name: str, near: int) -> str:
    spec = schedule.spec
    title = one_line(schedule.title)[:TITLE_MAX].replace("\\", "/").replace('"', "'")
    params = "".join(f" {key}={value}" for key, value in spec.params)
    variant = f", variant {spec.variant}" if spec.variant else ""
    variant += f", era {spec.era}" if spec.era else ""
    until = (
        "With variant= it takes the planted bug, and fails; without, once that is mended, the correct protocol passes."
        if spec.variant
        else f"It fails until that is mended in {spec.program}."
    )
    paragraphs = [
        f"Found by mmrace and not to come back: {title} [{schedule.signature}].",
        f"Of {spec.program}{params}{variant}; the schedule, {_size(schedule)}, is in {name}.json, and is followed with "
        f"{near} near it. {until}",
    ]
    return "\n\n".join(
        textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False) for paragraph in paragraphs
    )


def _size(schedule: KeptSchedule) -> str:
    turns, choices = len(schedule.turns), len(schedule.choices)
    if not turns + choices:
        return "the default one"
    parts = [f"{turns} turning point{'' if turns == 1 else 's'}"] * bool(turns)
    return " and ".join([*parts, *[f"{choices} choice{'' if choices == 1 else 's'}"] * bool(choices)])


def name_of(schedule: KeptSchedule) -> str:
    """Propose a name: the program, or the planted bug, and the rule that was broken."""
    spec = schedule.spec
    place, _, function = spec.program.rpartition(":")
    what = spec.variant or f"{re.split(r'[/.]', place.removesuffix('.py'))[-1]} {function}"
    return slug(f"{what} {schedule.rule}")


def slug(words: str) -> str:
    """Return what can be a name in Python."""
    return re.sub(r"\W+", "_", words.strip()).strip("_").lower() or "kept"
