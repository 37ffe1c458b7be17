"""Strategies by name: every file of this folder that has a ``STRATEGY``, and what users register.

Invariant: a text that `parse` accepts names a registered strategy and only options that it has.  Strategies must not
import this file: it imports them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import cast, get_args

from mmrace import strategies
from mmrace.runtime import given
from mmrace.runtime.errors import OWN_FILE, UsageError, unknown
from mmrace.strategies import users
from mmrace.strategies.contract import Kind, Mix, Options, OuterLoop, Registered, Sampler, Systematic
from mmrace.strategies.text import WHERE, StrategyText

NAME = "STRATEGY"
"""What a file calls the strategy that it registers."""
_KINDS: tuple[Kind, ...] = get_args(Kind)

_registered: dict[str, Registered] = {}


def register(strategy: Registered, where: str = "register") -> None:
    """Make a strategy known by its name.  Raises UsageError if another one has the name, or it cannot be one."""
    _check(strategy, where)
    if _registered.setdefault(strategy.name, strategy) is not strategy:
        try_ = f"{NAME} = Registered(name, title, make) with another name"
        raise UsageError(expected="a name that is not taken", got=strategy.name, where=where, try_=try_)


def _check(strategy: Registered, where: str) -> None:
    """Raise UsageError for what can be no strategy."""
    given.name("strategy", strategy.name, (), where)
    given.title("strategy", strategy.title, where)
    given.function("make", strategy.make, ("options",), where)
    given.mapping("options with their defaults", strategy.options, where, 'Registered(..., options={"depth": 3})')
    for option, default in strategy.options.items():
        if not isinstance(default, int | str):
            expected = f"a number or a text as the default of option {option}"
            raise UsageError(expected=expected, got=given.described(default), where=where)
    if strategy.kind not in _KINDS:
        raise unknown("a kind of strategy", str(strategy.kind), _KINDS, where=where)


def register_of(module: ModuleType, where: str) -> None:
    """Register what a module calls `STRATEGY`, if it has one.  Raises UsageError."""
    strategy = vars(module).get(NAME)
    if strategy is None:
        return
    if not isinstance(strategy, Registered):
        raise UsageError(expected=f"{NAME} = Registered(name, title, make)", got=strategy, where=where)
    register(strategy, where)


def names() -> list[str]:
    """Return the names of all registered strategies."""
    return sorted(_registered)


def entries() -> list[Registered]:
    """Return all registered strategies, those around others first, then samplers, then walks."""
    return sorted(_registered.values(), key=lambda strategy: (_KINDS.index(strategy.kind), strategy.name))


def get(name: str) -> Registered:
    """Return a registered strategy.  Raises UsageError that names the closest ones."""
    if name not in _registered:
        try_ = f"`mmrace list strategies` shows all of them; {OWN_FILE}"
        raise unknown("a strategy", name, names(), where=WHERE, try_=try_)
    return _registered[name]


def kind_of(text: str) -> Kind | None:
    """Return the kind of the strategy that a text names; None for an unknown name, as an old record may have."""
    strategy = _registered.get(StrategyText.of(text).name)
    return None if strategy is None else strategy.kind


def is_systematic(text: str) -> bool:
    """Say whether a text names a walk through a tree; False for an unknown name, as an old record may have."""
    return kind_of(text) == "walk"


def is_own(text: str) -> bool:
    """Say whether a text names a strategy of mmrace's own, which no file of a user's adds."""
    return StrategyText.of(text).name in _OWN


def parse(text: str) -> tuple[Registered, Options]:
    """Read a text; return the strategy and its complete options.  Raises UsageError."""
    parts = StrategyText.of(text)
    strategy = get(parts.name)
    return strategy, parts.options(strategy.options)


def sampler(text: str, try_: str = "mmrace explore, which walks the whole tree") -> Sampler:
    """Make the sampler that a text names.  Raises UsageError, also for a strategy of another kind."""
    strategy, options = parse(text)
    if strategy.kind != "sampler":
        raise UsageError(expected="a strategy that draws single schedules", got=text, where=WHERE, try_=try_)
    made = cast("Sampler", _made(strategy, options))
    return made if strategy.name in _OWN else users.WatchedSampler(made)


def walk(text: str) -> Systematic:
    """Make the systematic search that a text names.  Raises UsageError, also for a strategy of another kind."""
    strategy, options = parse(text)
    if strategy.kind != "walk":
        raise UsageError(expected="a strategy that walks a tree", got=text, where=WHERE, try_="dpor")
    made = cast("Systematic", _made(strategy, options))
    return made if strategy.name in _OWN else users.WatchedWalk(made)


def member_by_turn(text: str, turn: int) -> str:
    """Return the text of one of many schedules: a mix gives its members in turn, any other text stays."""
    return _member(text, turn)


def member_by_seed(text: str, seed: int) -> str:
    """Return the text of a run that stands alone, without a turn: its seed takes the member of a mix."""
    return _member(text, seed)


def _member(text: str, index: int) -> str:
    if kind_of(text) != "mix":
        return text
    strategy, options = parse(text)
    with users.told(strategy.make, "", "the text of a strategy"):
        return cast("Mix", strategy.make(options)).member(index)


def check(text: str, *, systematic: bool = False) -> None:
    """Raise UsageError for a text that names nothing, has wrong options, or asks for a walk if not `systematic`."""
    strategy, options = parse(text)
    if strategy.kind == "walk" and systematic:
        walk(text)
    elif strategy.kind == "loop":
        sampler(cast("OuterLoop", strategy.make(options)).base, try_=f"{strategy.name}:base=pos")
    elif strategy.kind != "mix":
        sampler(text)


def _made(strategy: Registered, options: Options) -> object:
    """Return what a strategy makes of its options.  Raises UsageError, whatever a user's own raises."""
    if strategy.name in _OWN:
        return strategy.make(options)
    with users.told(strategy.make, "", f"strategy {strategy.name} to be made of its options"):
        return strategy.make(options)


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(package.__path__):
        if not found.ispkg:
            yield importlib.import_module(f"{package.__name__}.{found.name}")


for _module in _modules(strategies):
    register_of(_module, _module.__name__)
_OWN = frozenset(_registered)
"""The strategies of mmrace's own: what they do wrong is a bug."""
