"""What there is to choose from, as tables."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.markup import escape

from mmrace.claims.judges import CLAIMS
from mmrace.report.columns import print_table
from mmrace.report.terminal import say, table
from mmrace.runtime.errors import UsageError
from mmrace.search.catalogue import CanaryLike, Catalogue

KINDS = ("scenarios", "params", "canaries", "eras", "noise", "strategies", "script", "oracles", "claims", "marks")
OF = {"general": "any program", "protocol": "the kernel model"}
"""Bench -> whose runs its judges judge."""


def show_lists(known: Catalogue, kinds: tuple[str, ...], console: Console) -> None:
    """Print the tables of `kinds`."""
    tables = {
        "scenarios": _scenarios,
        "params": _params,
        "canaries": _canaries,
        "eras": _eras,
        "noise": _noise,
        "strategies": _strategies,
        "script": _script,
        "oracles": _oracles,
        "claims": _claims,
        "marks": _marks,
    }
    for kind in kinds:
        tables[kind](known, console)


def _scenarios(known: Catalogue, console: Console) -> None:
    shown = table("scenarios", "name", "what it does", "parameters (defaults)")
    for name, scenario in sorted(known.scenarios.items()):
        params = " ".join(f"{key}={param.default}" for key, param in scenario.params.items())
        shown.add_row(escape(name), escape(scenario.title), escape(params))
    print_table(console, shown)


def _params(known: Catalogue, console: Console) -> None:
    shown = table("parameters (--param NAME=VALUE)", "name", "default", "allowed", "what it means", "scenarios")
    every = {name: param for made in known.scenarios.values() for name, param in made.params.items()}
    for name, param in sorted(every.items()):
        having = [key for key, made in sorted(known.scenarios.items()) if name in made.params]
        lacking = [key for key in sorted(known.scenarios) if key not in having]
        where = ", ".join(having) if len(lacking) > 1 else f"all but {lacking[0]}" if lacking else "all"
        cells = name, _defaults(known, name, having), param.allowed, param.says, where
        shown.add_row(*(escape(cell) for cell in cells))
    print_table(console, shown)


def _defaults(known: Catalogue, name: str, having: list[str]) -> str:
    """Return the default that most scenarios have, and where it is another one."""
    defaults = {key: str(known.scenarios[key].params[name].default) for key in having}
    (usual, _), *others = Counter(defaults.values()).most_common()
    own = [f"{other} in {', '.join(key for key, value in defaults.items() if value == other)}" for other, _ in others]
    return "; ".join([usual, *own])


def _canaries(known: Catalogue, console: Console) -> None:
    shown = table("canaries (planted bugs)", "name", "what is broken", "scenario", "oracle", "cap")
    for name, canary in sorted(known.canaries.items()):
        cells = name, canary.title, canary.scenario, canary.oracle, _cap(canary)
        shown.add_row(*(escape(cell) for cell in cells))
    for name, title in sorted(known.own_variants.items()):
        shown.add_row(escape(name), escape(title), "any", "any", "not looked for")
    print_table(console, shown)


def _eras(known: Catalogue, console: Console) -> None:
    shown = table("eras of the kernel model (--era NAME)", "name", "what it is")
    for name, title in known.eras.items():
        shown.add_row(escape(name) + " (default)" * (name == known.era), escape(title))
    print_table(console, shown)


def _cap(canary: CanaryLike) -> str:
    """Write within how many free runs a canary must be found."""
    try:
        return str(canary.cap_under("free"))
    except UsageError:
        return "not measured"


def _noise(known: Catalogue, console: Console) -> None:
    shown = table("noise profiles (engine free)", "name", "what it does")
    for name, title in known.noise.items():
        shown.add_row(escape(name), escape(title))
    print_table(console, shown)


def _strategies(known: Catalogue, console: Console) -> None:
    shown = table("strategies (engines gate and fiber)", "name", "kind", "what it does", "options (defaults)")
    for listed in known.strategies:
        options = " ".join(f"{key}={value}" for key, value in listed.options.items())
        shown.add_row(escape(listed.name), listed.kind, escape(listed.title), escape(options))
    print_table(console, shown)
    say(
        console,
        "A sampler, mix or loop draws schedules; a walk goes through all of them, under `mmrace explore` only.",
    )


def _script(known: Catalogue, console: Console) -> None:
    shown = table('script: clauses, separated by ";" (--strategy script:text=...)', "clause", "how far the task goes")
    for form, meaning in known.grammar.items():
        shown.add_row(escape(form), escape(meaning))
    print_table(console, shown)


def _claims(known: Catalogue, console: Console) -> None:
    shown = table("claims (mmrace claims NAME)", "name", "what it says")
    for claim in CLAIMS.values():
        for name, says in [(part.name, part.says) for part in claim.parts] or [(claim.name, claim.says)]:
            shown.add_row(escape(name), escape(says))
    print_table(console, shown)
    say(console, "Of a claim in several parts, `mmrace claims` takes the name before the suffix.")


def _oracles(known: Catalogue, console: Console) -> None:
    shown = table("oracles: judges of a record (--without NAME)", "name", "of", "what it holds a run to")
    for judge in known.oracles:
        shown.add_row(escape(judge.name), OF[judge.bench], escape(judge.title))
    print_table(console, shown)
    say(console, "A judge of the kernel model extends the general one of its name, and sits in its place there.")


def _marks(known: Catalogue, console: Console) -> None:
    shown = table("marks (rare branches)", "mark", "reached when", "not expected because")
    own = {mark: f"see scenario {name}" for name, made in sorted(known.scenarios.items()) for mark in made.marks}
    for mark, meaning in sorted({**own, **known.marks}.items()):
        shown.add_row(escape(mark), escape(meaning), escape(known.excused.get(mark, "")))
    print_table(console, shown)
