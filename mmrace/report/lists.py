"""What there is to choose from, as tables."""

from __future__ import annotations

from collections import Counter

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmrace.search.catalogue import Catalogue
from mmrace.strategies import registry

KINDS = ("scenarios", "params", "canaries", "noise", "strategies", "marks")


def show_lists(known: Catalogue, kinds: tuple[str, ...], console: Console) -> None:
    """Print the tables of `kinds`."""
    tables = {
        "scenarios": _scenarios,
        "params": _params,
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
        params = " ".join(f"{key}={param.default}" for key, param in scenario.params.items())
        table.add_row(escape(name), escape(scenario.title), escape(params))
    console.print(table)


def _params(known: Catalogue, console: Console) -> None:
    table = _table("parameters (--param NAME=VALUE)", "name", "default", "allowed", "what it means", "scenarios")
    every = {name: param for made in known.scenarios.values() for name, param in made.params.items()}
    for name, param in sorted(every.items()):
        having = [key for key, made in sorted(known.scenarios.items()) if name in made.params]
        lacking = [key for key in sorted(known.scenarios) if key not in having]
        where = ", ".join(having) if len(lacking) > 1 else f"all but {lacking[0]}" if lacking else "all"
        cells = name, _defaults(known, name, having), param.allowed, param.says, where
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)


def _defaults(known: Catalogue, name: str, having: list[str]) -> str:
    """Return the default that most scenarios have, and where it is another one."""
    defaults = {key: str(known.scenarios[key].params[name].default) for key in having}
    (usual, _), *others = Counter(defaults.values()).most_common()
    own = [f"{other} in {', '.join(key for key, value in defaults.items() if value == other)}" for other, _ in others]
    return "; ".join([usual, *own])


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
