"""Strategies by name: ``pos``, or with options ``pct:depth=3``.

`register` adds one; the names that come with mmrace are registered at the end of this file.  Invariant: a text that
`parse` accepts names a registered strategy and only options that it has.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mmrace.runtime.errors import UsageError
from mmrace.strategies.bounded import DelayBounded, Enumerate, PreemptionBounded
from mmrace.strategies.contract import Sampler, Systematic
from mmrace.strategies.dpor import Dpor
from mmrace.strategies.guided import Guide
from mmrace.strategies.pct import PctSampler
from mmrace.strategies.pos import PosSampler
from mmrace.strategies.postpone import Postponing, parse_wants
from mmrace.strategies.random_delays import BOUND, RandomDelaysSampler
from mmrace.strategies.random_walk import RandomWalkSampler
from mmrace.strategies.round_robin import RoundRobinSampler
from mmrace.strategies.script import Scripted
from mmrace.strategies.surw import SurwSampler
from mmrace.strategies.urw import UrwSampler

Options = Mapping[str, int | str]


@dataclass(frozen=True)
class Known:
    """One registered strategy.

    Args: name, title.  make: options (complete) -> the sampler or the systematic search.  options: defaults; an int
    default makes it a number.  systematic: `make` returns a `Systematic`.
    """

    name: str
    title: str
    make: Callable[[Options], Sampler | Systematic]
    options: Options = field(default_factory=dict)
    systematic: bool = False


_known: dict[str, Known] = {}


def register(strategy: Known) -> None:
    """Make a strategy known by its name.  Raises UsageError if the name is taken."""
    if strategy.name in _known:
        raise UsageError(expected="a name that is not taken", got=strategy.name, where="register")
    _known[strategy.name] = strategy


def names() -> list[str]:
    """Return the names of all registered strategies."""
    return sorted(_known)


def get(name: str) -> Known:
    """Return a registered strategy.  Raises UsageError that names the closest ones."""
    if name not in _known:
        close = difflib.get_close_matches(name, _known)
        raise UsageError(
            expected=f"a strategy out of {', '.join(names())}", got=name, where="--strategy", try_=" or ".join(close)
        )
    return _known[name]


def is_systematic(text: str) -> bool:
    """Say whether a text names a walk through a tree.  An unknown name, as an old record may have, is none."""
    known = _known.get(text.partition(":")[0])
    return known is not None and known.systematic


def parse(text: str) -> tuple[Known, dict[str, int | str]]:
    """Read ``name`` or ``name:key=value,key=value``; return the strategy and its complete options.

    Raises UsageError.
    """
    name, _, rest = text.partition(":")
    strategy = get(name)
    options = dict(strategy.options)
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals or key not in options:
            known = ", ".join(options) or "none"
            raise UsageError(expected=f"options of {name}: {known}", got=pair, where="--strategy")
        if isinstance(options[key], int):
            if not value.lstrip("-").isdigit():
                raise UsageError(expected=f"a number for {key}", got=value, where="--strategy")
            options[key] = int(value)
        else:
            options[key] = value
    return strategy, options


# Samplers.  Their modules must not import this one.
register(Known("random", "random walk: any enabled task, equal chances", lambda _: RandomWalkSampler()))
register(Known("pos", "partial-order sampling", lambda _: PosSampler()))
register(Known("urw", "uniform random walk, by what each task still has to do", lambda _: UrwSampler()))
register(Known("surw", "uniform orders of the accesses to one drawn lane", lambda _: SurwSampler()))
register(
    Known(
        "pct",
        "random priorities with depth - 1 changes; depth 0: drawn for each schedule",
        lambda options: PctSampler(int(options["depth"])),
        {"depth": 0},
    )
)
register(
    Known(
        "random-delays",
        "turns without preemption, but for up to `bound` random delays",
        lambda options: RandomDelaysSampler(int(options["bound"])),
        {"bound": BOUND},
    )
)
register(
    Known(
        "round-robin",
        "fair turns of `turn` ops; one schedule only",
        lambda options: RoundRobinSampler(int(options["turn"])),
        {"turn": 1},
    )
)
register(
    Known(
        "script",
        "a schedule that a person wrote; one schedule only",
        lambda options: Scripted(str(options["text"])),
        {"text": ""},
    )
)
register(
    Known(
        "guided",
        "the turning points of a saved record, as far as they still exist; one schedule only",
        lambda options: Guide.of_file(str(options["record"])),
        {"record": ""},
    )
)
register(
    Known(
        "postpone",
        "random walk that heads for a cycle of locks, TASK@LANE/HELD+TASK@LANE/HELD",
        lambda options: Postponing(parse_wants(str(options["cycle"]))),
        {"cycle": ""},
    )
)

# Systematic searches.
register(
    Known(
        "preemption",
        "every schedule with up to `bound` preemptions, fewest first",
        lambda options: PreemptionBounded(int(options["bound"])),
        {"bound": 2},
        systematic=True,
    )
)
register(
    Known(
        "delay",
        "every schedule with up to `bound` delays against turns without preemption, fewest first",
        lambda options: DelayBounded(int(options["bound"])),
        {"bound": 3},
        systematic=True,
    )
)
register(
    Known(
        "dpor",
        "every class of interleavings once: source-DPOR with sleep sets",
        lambda _: Dpor(),
        systematic=True,
    )
)
register(Known("enumerate", "every interleaving, without any reduction", lambda _: Enumerate(), systematic=True))
