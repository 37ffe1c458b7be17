"""The table of the series as text: a table for each row, its eras as columns, the published shares below; the order.

Invariant: everything comes from the `TableResult`; a median stands with its quartiles, and what was published only as a
share, or as a ratio to the era before the patch.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from mmrace.measure import order
from mmrace.measure.blocked import PLACES
from mmrace.measure.counting import ALLOC, BLOCKED, ELAPSED, FAILED, FALLBACK, MOVED, REFUSED, STALLS, SUCCESS
from mmrace.measure.published import BASE, PUBLISHED, Published
from mmrace.measure.result import Cell, Spread, TableResult
from mmrace.report.columns import print_table
from mmrace.report.numbers import count, duration, runs
from mmrace.report.terminal import TROUBLES_SHOWN_MAX, interrupted, say, say_lost, table

Changed = Sequence[tuple[str, TableResult]]
"""Tables of a load that was changed, each with the name of the change."""

_QUANTITIES = (ALLOC, FALLBACK, SUCCESS, STALLS, MOVED, REFUSED, FAILED)
THOUSANDS = 1000  # ticks and the like: more digits say nothing beside these quartiles
EXACT = 100  # from here on without decimals
_UNIT = "median and quartiles"


def line(result: TableResult) -> str:
    """Write progress on one line."""
    wanted = result.seeds * len(result.rows) * len(result.eras)
    return f"{duration(result.seconds)}: {runs(result.runs)} of {count(wanted)}"


def show(result: TableResult, console: Console, changed: Changed = ()) -> None:
    """Print the tables, what they say of the order, and the last line."""
    for row in result.rows:
        _row(result, row, console)
    _order(result, console)
    if changed:
        _turns(result, changed, console)
    for (row, era), cell in result.cells.items():
        for how, number in cell.unfinished.items():
            say(console, f"not finished: {runs(number)} of {row} in era {era}: {how}")
    say_lost(console, result.losses, result.given_up)
    for trouble in result.troubles[:TROUBLES_SHOWN_MAX]:
        say(console, f"trouble: {trouble}")
    if result.interrupted:
        say(console, interrupted(result.interrupted))
    wanted = result.seeds * len(result.rows) * len(result.eras)
    word = "complete" if result.complete else "INCOMPLETE"
    say(console, f"{word}: {runs(result.runs)} of {count(wanted)}, seed {result.seed}, {duration(result.seconds)}")


def quantities(result: TableResult) -> list[str]:
    """Return what is shown, in order: counts, refusals by reason, ticks by place."""
    reasons = sorted(name for name in result.quantities if name.startswith(f"{REFUSED}: "))
    places = [f"{BLOCKED}: {place}" for place in PLACES]
    return [*_QUANTITIES[:-1], *reasons, FAILED, *places, BLOCKED, ELAPSED]


def _row(result: TableResult, row: str, console: Console) -> None:
    shown = table(f"{row} ({_UNIT} over {result.seeds} seeds; ticks)", "", *result.eras)
    for name in quantities(result):
        cells = [result.cell(row, era).spread(name) for era in result.eras]
        if any(cell is not None and cell.high for cell in cells):
            shown.add_row(escape(name), *map(spread, cells))
    base = result.cell(row, BASE)
    shown.add_row(f"elapsed / {BASE}'s", *(_ratio(result.cell(row, era), base) for era in result.eras))
    known = PUBLISHED.get(row)
    if known is not None:
        for name, values in _published(known, result.eras):
            shown.add_row(f"published: {name}", *values)
    print_table(console, shown)


def _published(known: Published, eras: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the rows of what was published: a name, and a value for each era."""
    rows = [
        (SUCCESS, [known.success_of(era) for era in eras]),
        (FAILED, [known.refused_of(era) for era in eras]),
        (f"elapsed / {BASE}'s", [known.ratio(era) for era in eras]),
    ]
    return [
        (name, ["-" if value is None else _percent(value) for value in values])
        for name, values in rows
        if any(value is not None for value in values)
    ]


def _ratio(cell: Cell, base: Cell) -> str:
    mine, its = cell.spread(ELAPSED), base.spread(ELAPSED)
    return _percent(100 * mine.median / its.median) if mine and its and its.median else "-"


def _percent(value: float) -> str:
    return f"{value:.1f} %" if value < EXACT else f"{value:.0f} %"


def spread(found: Spread | None) -> str:
    """Write a median and its quartiles."""
    if found is None:
        return "-"
    return f"{_number(found.median)} [{_number(found.low)}-{_number(found.high)}]"


def _number(value: float) -> str:
    if value >= THOUSANDS:
        return f"{value / 1000:.1f}k"
    return count(value) if value >= EXACT or value == int(value) else f"{value:.1f}"


# -- the order --------------------------------------------------------------------------------------------------------


def _order(result: TableResult, console: Console) -> None:
    shown = table("does the order come out?", "row", "what the series said", "here", "before", "after", "sign test")
    for row in result.rows:
        for answer in order.answers(result, row):
            chance = "-" if answer.came_out is None else f"p = {answer.chance:.2g}"
            values = (_number(answer.before), _number(answer.after))
            shown.add_row(row, answer.says, word(answer.came_out), *values, chance)
    print_table(console, shown)


def word(came_out: bool | None) -> str:
    """Say whether something came out."""
    return "cannot tell" if came_out is None else "yes" if came_out else "no"


def _turns(result: TableResult, changed: Changed, console: Console) -> None:
    """Print what each change of the load makes of each sentence; where an answer turns, it stands in capitals."""
    names = [name for name, _ in changed]
    shown = table("with each thing halved and doubled", "row", "what the series said", "as committed", *names)
    for row in result.rows:
        for i, answer in enumerate(order.answers(result, row)):
            others = [order.answers(other, row)[i].came_out for _, other in changed if row in other.rows]
            told = [word(one) if one == answer.came_out else word(one).upper() for one in others]
            told += ["-"] * (len(names) - len(told))
            shown.add_row(row, answer.says, word(answer.came_out), *told)
    print_table(console, shown)
