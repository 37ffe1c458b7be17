"""Scenarios of a user's own, looked through before they are registered.

Invariant: a scenario that passed can be listed, and played up to what its actors do.  Not checked: marks, which may be
its actors' own.
"""

from __future__ import annotations

from types import ModuleType

from mmrace.actors.actor import Actor
from mmrace.oracles.general.expected import Expected, Shows
from mmrace.runtime import given
from mmrace.runtime.errors import UsageError
from mmrace.runtime.param import Param, Values
from mmrace.scenarios.scenario import Scenario

CAST_LIKE = "cast=(reader.ACTOR, migrator.ACTOR), with a comma behind a single one"


def check(scenario: Scenario, where: str) -> None:
    """Raise UsageError for what cannot be a scenario."""
    given.title("scenario", scenario.title, where)
    _check_cast(scenario.cast, where)
    given.mapping("overrides", scenario.overrides, where, 'overrides={"pages": 2}')
    given.members("variations", scenario.variations, dict, where, 'variations=({}, {"pages": 2})')
    given.members("marks", scenario.marks, str, where, 'marks=("async back-out",)')
    _check_expected(scenario.expects, where)
    for name in ("before", "after"):
        if getattr(scenario, name) is not None:
            given.function(name, getattr(scenario, name), ("stage",), where)
    _check_values(scenario, where)


def _check_expected(expects: object, where: str) -> None:
    like = 'expects=(Expected("R14", "what it is", (Shows("data-race", "race", ("committer",), "b_page"),)),)'
    given.members("expects", expects, Expected, where, like)
    assert isinstance(expects, tuple)
    for known in expects:
        given.members(f"what {known.row} shows", known.shows, Shows, where, like)
        if not (isinstance(known.row, str) and known.row and known.shows):
            raise UsageError(expected="a row and what it shows", got=known, where=where, try_=like)


def _check_cast(cast: object, where: str) -> None:
    for member in cast if isinstance(cast, tuple) else ():
        if isinstance(member, ModuleType) and isinstance(getattr(member, "ACTOR", None), Actor):
            raise UsageError(
                expected="a cast of actors",
                got=given.described(member),
                where=where,
                try_=f"the actor in it: {member.__name__.rpartition('.')[2]}.ACTOR",
            )
    given.members("a cast of actors", cast, Actor, where, CAST_LIKE)
    assert isinstance(cast, tuple)
    if not cast:
        raise UsageError(expected="a cast of at least one actor", got=cast, where=where, try_=CAST_LIKE)
    names: list[str] = []
    for actor in cast:
        given.name("cast's actor", actor.name, names, where)
        names.append(actor.name)
        given.function(getattr(actor.play, "__name__", "play"), actor.play, ("stage",), where)
        declared = "Number('rounds', 2, says='what it means'), from mmrace.runtime.param"
        given.members(f"parameters of actor {actor.name}", actor.params, Param, where, declared)


def _check_values(scenario: Scenario, where: str) -> None:
    """Raise UsageError for a parameter that the cast does not have, or a value that it refuses."""
    bare = Scenario(scenario.name, scenario.title, scenario.cast)
    changes: list[tuple[str, Values]] = [("overrides", dict(scenario.overrides))]
    changes += [(f"variation {i}", dict(values)) for i, values in enumerate(scenario.variations)]
    for what, values in changes:
        try:
            bare.merged(values)
        except UsageError as error:
            hint = error.try_ if error.try_.startswith("did you mean") else ""
            at = what if error.got in values else f"{what}, {_refused(bare, values)}"
            raise UsageError(
                expected=f"in {at}: {error.expected}",
                got=error.got,
                where=where,
                try_=hint or "`mmrace list params` says what each parameter takes",
            ) from error


def _refused(scenario: Scenario, values: Values) -> str:
    """Return the name of the parameter of which the value is refused."""
    for name, value in values.items():
        try:
            scenario.merged({name: value})
        except UsageError:
            return name
    return ""
