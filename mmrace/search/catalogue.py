"""What there is to choose from: scenarios, canaries, noise, recorded workloads, strategies; and the check of a choice.

Invariant: a name that `pick` returned exists; every scenario that gets the parameters that `parameters` returned knows
them, and allows their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from mmrace.oracles.general.judgement import Finding
from mmrace.runs.spec import Params
from mmrace.runtime.errors import OWN_FILE, UsageError, unknown
from mmrace.runtime.param import Parameters, Value
from mmrace.strategies.contract import Registered

LISTS = {
    "scenario": "scenarios", "canary": "canaries", "variant": "canaries", "noise": "noise", "judge": "oracles",
    "era": "eras",
}  # fmt: skip
"""Kind of name -> the list of `mmrace list` that has it."""
OWN = frozenset({"scenario", "variant", "judge"})
"""Kinds that a user's own file can add to."""


class ParamLike(Protocol):
    """What a list shows of a parameter."""

    @property
    def default(self) -> Value: ...
    @property
    def allowed(self) -> str: ...
    @property
    def says(self) -> str: ...


class ScenarioLike(Protocol):
    """What a campaign needs to know of a program: a scenario, or a function."""

    @property
    def name(self) -> str: ...
    @property
    def maker(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def params(self) -> Mapping[str, ParamLike]: ...
    @property
    def marks(self) -> Sequence[str]: ...
    @property
    def variations(self) -> Sequence[Mapping[str, Value]]: ...
    @property
    def needs_workload(self) -> bool: ...
    def merged(self, params: Mapping[str, Value]) -> Mapping[str, Value]:
        """Return the defaults with `params` over them.  Raises UsageError."""

    def typed(self, texts: Mapping[str, str]) -> Mapping[str, Value]:
        """Return parameters that were given as texts.  Raises UsageError."""


class CanaryLike(Protocol):
    """What a campaign needs to know of a planted bug."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def scenario(self) -> str: ...
    @property
    def noise(self) -> str: ...
    @property
    def oracle(self) -> str: ...
    def params_under(self, engine: str) -> Mapping[str, Value]:
        """Return the parameters of its runs under an engine."""

    def cap_under(self, engine: str) -> int:
        """Return the runs under an engine within which it must be found.  Raises UsageError if nobody measured that."""

    def caught_in(self, findings: Iterable[Finding]) -> bool:
        """Say whether it was caught as it is meant to be."""


@dataclass(frozen=True)
class FunctionEntry:
    """A function among the scenarios of a catalogue: what somebody asked for by name, beside what is installed."""

    name: str
    params: Parameters
    digest: str
    title = "a function"
    maker = "function"
    marks: tuple[str, ...] = ()
    variations: tuple[Mapping[str, Value], ...] = ({},)
    needs_workload = False

    def merged(self, params: Mapping[str, Value]) -> Mapping[str, Value]:
        """Return the defaults with `params` over them.  Raises UsageError."""
        return self.params.merged(params)

    def typed(self, texts: Mapping[str, str]) -> Mapping[str, Value]:
        """Return parameters that were given as texts.  Raises UsageError."""
        return self.params.typed(texts)


class OracleEntry(NamedTuple):
    """What a list shows of a judge; `bench`: "general" or "protocol"."""

    name: str
    bench: str
    title: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All names that a campaign may use.

    `noise`: profile -> title, the quietest first.  `workloads`: those that come with the package.  `marks`: rare branch
    of the model -> meaning.  `excused`: mark that need not be reached -> reason.  `own_variants`: of a user's files ->
    title; a campaign does not look for them by itself.  `grammar`: of a script: form or word -> meaning.
    `eras`: states of the kernel model -> title; `era`: its own.
    """

    scenarios: Mapping[str, ScenarioLike]
    canaries: Mapping[str, CanaryLike] = field(default_factory=dict)
    noise: Mapping[str, str] = field(default_factory=lambda: {"off": "no delays"})
    workloads: tuple[str, ...] = ()
    strategies: tuple[Registered, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)
    excused: Mapping[str, str] = field(default_factory=dict)
    oracles: tuple[OracleEntry, ...] = ()
    own_variants: Mapping[str, str] = field(default_factory=dict)
    grammar: Mapping[str, str] = field(default_factory=dict)
    eras: Mapping[str, str] = field(default_factory=dict)
    era: str = ""

    def expected_marks(self, scenarios: Iterable[str]) -> set[str]:
        """Return the marks that a campaign over these scenarios should reach; over all of them, the whole model's."""
        chosen = set(scenarios)
        marks = {mark for name in chosen for mark in self.scenarios[name].marks}
        if chosen == set(self.scenarios):
            marks |= self.marks.keys() - self.excused.keys()
        return marks

    @property
    def variants(self) -> tuple[str, ...]:
        """The names that `--variant` knows."""
        return *self.canaries, *self.own_variants


def pick(kind: str, name: str, known: Iterable[str], where: str = "") -> str:
    """Return `name` if it is known.  Raises UsageError that names the closest known ones."""
    names = sorted(known)
    if name in names:
        return name
    listed = LISTS.get(kind)
    raise unknown(
        {"noise": "noise", "era": "an era"}.get(kind, f"a {kind}"),
        name,
        names,
        where=where,
        try_=(f"`mmrace list {listed}` shows all of them" + (f"; {OWN_FILE}" if kind in OWN else "")) if listed else "",
    )


def parameters(pairs: Iterable[str], scenarios: Sequence[ScenarioLike]) -> Params:
    """Read ``key=value`` pairs.  Raises UsageError if one of `scenarios` lacks a key, or refuses a value."""
    texts: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(expected="KEY=VALUE", got=pair, where="--param", try_="--param pages=2")
        if key in texts:
            raise UsageError(
                expected=f"one value of {key}",
                got=f"{key}={texts[key]}, {pair}",
                where="--param",
                try_=f"--param {pair}",
            )
        texts[key] = value
    found: dict[str, Value] = {}
    for scenario in scenarios:
        found = dict(scenario.typed(texts))
        scenario.merged(found)
    return tuple(sorted(found.items()))
