"""The story of a finding that was kept: read from its folder, told, and made ready for a page.

Invariant: a folder that is gone, damaged or hostile costs its own story and nothing else, and the page says why it has
none.  Not here: how a story is told (`story/`, `report/story.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import TypeAlias

from rich.console import Console

from mmrace.report.around import around_of, orderings_of
from mmrace.report.night.facts import StoryOf
from mmrace.report.night.lanes import picture_of
from mmrace.report.story import show_story
from mmrace.report.terminal import Screen
from mmrace.runs.source import Source, open_source
from mmrace.runtime.errors import MmraceError
from mmrace.runtime.record import Record
from mmrace.story.facts import Story
from mmrace.story.tell import Book, tell

BookOf: TypeAlias = Callable[[Record], Book]
"""Returns the tellers that are installed for a record's program."""

WIDTH = 118  # characters of the text, as a wide terminal has them
TEXT_MAX = 40_000  # characters of one story
SENTENCE_MAX = 2_000
EVENTS_MAX = 200_000  # of a record: a longer one takes seconds to tell


def story_of(folder: Path, signature: str, book_of: BookOf) -> StoryOf:
    """Return the story of a finding."""
    try:
        source = open_source(str(folder))
        return _told(source, signature, book_of)
    except MmraceError as error:
        return StoryOf(missing=f"there is no story: {error}")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # a record that lies
        return StoryOf(missing=f"there is no story: what {folder} has makes no sense ({type(error).__name__}: {error})")


def _told(source: Source, signature: str, book_of: BookOf) -> StoryOf:
    minimal = source.minimal
    if minimal is not None and minimal.signature != signature:
        minimal = None
    record = source.record if minimal is None else minimal.record
    if len(record.events) > EVENTS_MAX:
        return StoryOf(missing=f"its record has {len(record.events)} events: `mmrace explain {source.path}` tells it")
    story = tell(record, signature, book_of(record), orderings_of(minimal))
    told = story.telling
    screen = Screen(file=StringIO(), width=WIDTH, height=25, emoji=False, color_system=None, force_terminal=False)
    show_story(story, around_of(record, minimal, str(source.folder or source.path), source.folder), screen)
    return StoryOf(
        cause=_cut(told.cause),
        expected=_cut(told.expected),
        seen=_cut(told.seen),
        changes=tuple(
            _cut(f"{change.what}: {change.old} → {change.new} ({change.task}, step {change.step})")
            for change in told.changes
        ),
        text=_text(screen),
        picture=picture_of(story.table, _title(story)),
    )


def _cut(text: str) -> str:
    return text if len(text) <= SENTENCE_MAX else f"{text[:SENTENCE_MAX]}…"


def _title(story: Story) -> str:
    return f"{story.title} [{story.signature}]"


def _text(screen: Console) -> str:
    assert isinstance(screen.file, StringIO)
    text = screen.file.getvalue().strip("\n")
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}\n… (mmrace explain tells the rest)"
