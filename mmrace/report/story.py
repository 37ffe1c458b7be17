"""A story as text: what broke and why in one sentence, what was expected, what happened, and what keeps it away.

Invariant: the first lines are the same for the same bug: a title with its signature, and the cause; no text is made up
here that is not a fact of the story, and what nobody knows is said to be unknown.  Not here: which facts (`story/`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap

from rich.console import Console
from rich.markup import escape

from mmrace.report.columns_of_tasks import PLAIN, Glyphs, glyphs_for, lines_of
from mmrace.report.finding import known_as
from mmrace.report.numbers import count, many
from mmrace.report.proof import otherwise
from mmrace.report.terminal import say
from mmrace.runtime.visible import visible
from mmrace.story.facts import Ordering, State, Story, Telling, Wait

NO_RETURN = "!"
LABEL = 10  # characters of the labels at the left
EVENTS_MAX = 3
PLAIN_WORDS = frozenset({"a", "no", "nobody", "the"})
"""What a cause may begin with that is no name."""


@dataclass(frozen=True, slots=True)
class Around:
    """What is known of a finding beside its record.

    Attributes: run: what was run, and how the run ended, in lines.  repeat: commands to paste.  told: of them,
    how the schedule was made smaller and whether it was replayed.  schedule: where it leaves the default one.  proof:
    what is proved, in lines.  shares: step -> how many runs that go on from there still fail.  rarity, health: lines;
    empty if nobody knows.
    """

    run: Sequence[str] = ()
    repeat: Sequence[str] = ()
    told: Sequence[str] = ()
    schedule: Sequence[str] = ()
    proof: Sequence[str] = ()
    shares: Mapping[int, str] = field(default_factory=dict)
    rarity: Sequence[str] = ()
    health: Sequence[str] = ()


class _Page:
    """Writes paragraphs and lines on a console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.glyphs: Glyphs = glyphs_for(console.encoding)
        self.width = console.width

    def text(self, text: str) -> str:
        """Return a text as this console can show it."""
        return text.replace(Glyphs().arrow, PLAIN.arrow) if self.glyphs is PLAIN else text

    def line(self, text: str = "", style: str = "") -> None:
        """Print one line as it is."""
        shown = escape(visible(self.text(text)))
        self.console.print(f"[{style}]{shown}[/]" if style and shown else shown, highlight=False, soft_wrap=True)

    def head(self, text: str) -> None:
        """Print the head of a part."""
        self.line()
        self.line(text, "bold")

    def labelled(self, label: str, text: str) -> None:
        """Print a text with a label at its left."""
        for i, line in enumerate(self.wrapped(text, self.width - LABEL)):
            self.line(f"{label if not i else '':<{LABEL}}{line}")

    def item(self, text: str, indent: int = 2) -> None:
        """Print a text that is indented from its second line on."""
        for i, line in enumerate(self.wrapped(text, self.width - indent - 2)):
            self.line(" " * (indent if not i else indent + 2) + line)

    def paragraph(self, text: str) -> None:
        """Print a text of its own."""
        for line in self.wrapped(text, self.width):
            self.line(line)

    def wrapped(self, text: str, width: int) -> list[str]:
        """Break a text between words."""
        return wrap(text, max(width, 20), break_on_hyphens=False, break_long_words=False) or [""]


def show_story(story: Story, around: Around, console: Console) -> None:
    """Print a story."""
    _around(show_telling(story, console, around.shares), story, around)


def show_telling(story: Story, console: Console, shares: Mapping[int, str] | None = None) -> _Page:
    """Print what happened, and nothing of the run; return the page.  Args: shares: see `Around`."""
    page = _Page(console)
    told = story.telling
    _head(page, story)
    _expected(page, told)
    _table(page, story, shares or {})
    _sides(page, told)
    _waits(page, told)
    _links(page, told)
    _orderings(page, story.orderings, story.afterwards)
    _states(page, story.states, story.table.events)
    _protects(page, told)
    return page


def _head(page: _Page, story: Story) -> None:
    page.line(f"{story.title} [{story.signature}]", "bold red")
    broken = ", ".join(one.ref for one in story.telling.protects if one.ref)
    known = f"; {known_as(story.known)}" if story.known else ""
    page.item(f"{story.oracle}: {story.rule}" + (f" ({broken})" if broken else "") + known, 0)
    page.head("Why")
    page.paragraph(_sentence(story.telling.cause))


def _sentence(text: str) -> str:
    """Begin a sentence with a capital, unless it begins with a name, which keeps its spelling."""
    return text[:1].upper() + text[1:] if text.split(" ", 1)[0] in PLAIN_WORDS else text


def _expected(page: _Page, told: Telling) -> None:
    if told.expected or told.seen or told.changes:
        page.line()
    if told.expected:
        page.labelled("expected", told.expected)
    if told.seen:
        page.labelled("seen", told.seen)
    for i, change in enumerate(told.changes):
        text = f"{change.what}: {change.old} {page.text('➜')} {change.new}  ({change.task}, step {change.step})"
        page.labelled("changed" if not i else "", text)


def _table(page: _Page, story: Story, shares: Mapping[int, str]) -> None:
    table = story.table
    if not table.rows:
        return
    shown = sum(row.step is not None for row in table.rows)
    page.head(f"What happened: {many(shown, 'row')} of {count(table.events)} events, time goes down")
    lines = list(lines_of(table, page.width, page.glyphs, shares))
    for line in lines:
        page.line(line)
    legend = ["* the finding's own"] if any(row.named for row in table.rows) else []
    if any(page.glyphs.bar in line for line in lines):
        legend.append(f"{page.glyphs.bar} a lock is held")
    if any(row.leaves for row in table.rows):
        legend.append("~ why the task does not go on here")
    if any(row.step is None for row in table.rows):
        legend.append("? not in the record: what would have had to be otherwise")
    if story.orderings:
        legend.append("1< and >1 an order that matters")
    if any(row.step in shares for row in table.rows):
        legend.append("% of the runs that go on from there still have this finding")
    if any(share.startswith(NO_RETURN) for share in shares.values()):
        legend.append(f"{NO_RETURN} the point of no return")
    if legend:
        page.paragraph("; ".join(legend))


def _sides(page: _Page, told: Telling) -> None:
    if not told.sides:
        return
    page.head("The two sides")
    for side in told.sides:
        page.item(f"{side.task} {side.deed}")
        page.item(f"step {side.step}" + (f", in {side.where}" if side.where else ""), 4)
        page.item(f"holds {', '.join(side.locks) or 'no lock'}", 4)
    if told.gap:
        page.item(told.gap)


def _waits(page: _Page, told: Telling) -> None:
    if told.progress:
        page.head("Who should have woken whom")
        for text in told.progress:
            page.item(text)
    if not told.waits:
        return
    page.head("Who waits for what at the end")
    for wait in told.waits:
        page.item(_wait(wait))


def _wait(wait: Wait) -> str:
    text = f"{wait.task} waits for {wait.wants}" + (f", in {wait.where}" if wait.where else "")
    if wait.holder and wait.wants.startswith("end of"):
        text += f": {wait.holder}"
    elif wait.holder:
        text += f"; {wait.holder} has it"
        if wait.taken is not None:
            text += f" since step {wait.taken}" + (f", taken in {wait.taken_where}" if wait.taken_where else "")
    return text + (f"; {wait.task} holds {', '.join(wait.holds)}" if wait.holds else "")


def _links(page: _Page, told: Telling) -> None:
    if not told.links:
        return
    page.head("The ring, in forward order")
    for link in told.links:
        page.item(
            f"{link.task} holds {link.held} (step {link.held_step}{_in(link.held_where)}), and wants {link.wanted} "
            f"(step {link.step}{_in(link.where)})"
        )
    page.item("and so round: each wants what the next one holds")


def _in(where: str) -> str:
    return f", in {where}" if where else ""


def _orderings(page: _Page, orderings: Sequence[Ordering], afterwards: int) -> None:
    if not orderings:
        return
    page.head("The orders that matter")
    for one in orderings:
        swapped = f"swap these two, and {count(one.fails)} of {count(one.of)} runs still have it"
        if not one.fails:
            swapped = f"swap these two, and this finding is gone ({_known(one)})"
        page.item(f"{one.number}  {one.first} before {one.second}, at {one.about}: {swapped}")
    if afterwards:
        page.item(f"{many(afterwards, 'more order')} in the file of what comes after the finding")


def _known(one: Ordering) -> str:
    known = "proved" if one.proved else f"{one.of} of {one.of} runs"
    return known + otherwise(one.others, one.of)


def _states(page: _Page, states: Sequence[State], events: int) -> None:
    for state in states:
        last = state.step >= events  # there is no such step
        page.head(
            f"{state.name} {f'at the end, after step {events - 1}' if last else f'just before step {state.step}'}"
        )
        size = max(len(what) for what, _ in state.lines)
        for what, now in state.lines:
            for i, line in enumerate(page.wrapped(now, page.width - size - 4)):
                page.line(f"  {what if not i else '':<{size}}  {line}")


def _protects(page: _Page, told: Telling) -> None:
    if not told.protects:
        return
    page.head("What keeps this away where the program is correct")
    for one in told.protects:
        functions = f" ({', '.join(one.functions)})" if one.functions else ""
        page.item(f"{one.ref + '  ' if one.ref else ''}{one.text}{functions}")


def _around(page: _Page, story: Story, around: Around) -> None:
    if around.schedule:
        page.head("The schedule, where it leaves the default one")
        for text in around.schedule:
            page.item(text)
    if around.proof:
        page.head("How sure it is")
        for text in around.proof:
            page.line(f"  {text}")
    page.head("The run")
    for text in around.run:
        page.item(text)
    for text in around.repeat:
        say(page.console, f"  repeat: {text}")
    for text in around.told:
        page.item(text)
    page.item(f"rarity: {'; '.join(around.rarity) or 'unknown: nobody counted the runs'}")
    page.item(f"health of the campaign: {'; '.join(around.health) or 'unknown'}")
    for text in story.others[:EVENTS_MAX]:
        page.item(f"found in the same run: {text}")
    if len(story.others) > EVENTS_MAX:
        page.item(f"and {many(len(story.others) - EVENTS_MAX, 'finding')} more in the same run (--finding SIGNATURE)")
