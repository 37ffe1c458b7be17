"""What there is to choose from, as tables."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmrace.search.catalogue import Catalogue
from mmrace.strategies import registry

KINDS = ("scenarios", "canaries", "noise", "strategies", "marks")


def show_lists(known: Catalogue, kinds: tuple[str, ...], console: Console) -> None:
    """Print the tables of `kinds`."""
    tables = {
        "scenarios": _scenarios,
        "canaries": _canaries,
        "noise": _noise,
        "strategies": _strategies,
        "marks": _marks,
    }
    for kind in kinds:
        tables[kind](known, console)


def _table(title: str, *columns: str) -> Table:
    table = Table(*columns, title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    return table


def _scenarios(known: Catalogue, console: Console) -> None:
    table = _table("scenarios", "name", "what it does", "parameters (defaults)")
    for name, scenario in sorted(known.scenarios.items()):
        params = " ".join(f"{key}={value}" for key, value in scenario.defaults.items())
        table.add_row(escape(name), escape(scenario.title), escape(params))
    console.print(table)


def _canaries(known: Catalogue, console: Console) -> None:
    table = _table("canaries (planted bugs)", "name", "what is broken", "scenario", "oracle", "cap")
    for name, canary in sorted(known.canaries.items()):
        table.add_row(
            escape(name), escape(canary.title), escape(canary.scenario), escape(canary.oracle), str(canary.cap_runs)
        )
    console.print(table)


def _noise(known: Catalogue, console: Console) -> None:
    table = _table("noise profiles (engine free)", "name", "what it does")
    for name, title in known.noise.items():
        table.add_row(escape(name), escape(title))
    console.print(table)


def _strategies(known: Catalogue, console: Console) -> None:
    table = _table("strategies (engines gate and fiber)", "name", "kind", "what it does", "options (defaults)")
    for entry in registry.entries():
        options = ",".join(f"{key}={value}" for key, value in entry.options.items())
        table.add_row(escape(entry.name), entry.kind, escape(entry.title), escape(options))
    console.print(table)
    console.print(
        "A sampler, mix or loop draws schedules; a walk goes through all of them, under `mmrace explore` only.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _marks(known: Catalogue, console: Console) -> None:
    table = _table("marks (rare branches)", "mark", "reached when", "not expected because")
    own = {mark: f"see scenario {name}" for name, made in sorted(known.scenarios.items()) for mark in made.marks}
    for mark, meaning in sorted({**own, **known.marks}.items()):
        table.add_row(escape(mark), escape(meaning), escape(known.excused.get(mark, "")))
    console.print(table)
