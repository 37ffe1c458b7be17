"""From a spec's text to the strategy of one run: parse it, profile the program if need be, open the stream of draws.

Invariant: the strategy is a function of (program, text, seed) and of what its digest in the header names.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mmrace.runs import loading
from mmrace.runs.chosen import Chosen
from mmrace.runs.profile import profile_of, promoted_fields
from mmrace.runs.program import Program
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.strategies import portfolio, registry
from mmrace.strategies.contract import Draw, Sampler
from mmrace.strategies.feedback import OPTIONS, Corpus, Tape, corpus_of, options_of, stream

PORTFOLIO, FEEDBACK = portfolio.NAME, "feedback"
_WHERE = "--strategy"
_SHOWN = "`mmrace list strategies` shows all of them"


class Listed(NamedTuple):
    """A strategy as a list shows it; `kind` is what it is to `--strategy`."""

    name: str
    kind: str
    title: str
    options: Mapping[str, int | str]


OUTER = {
    PORTFOLIO: Listed(PORTFOLIO, "mix", f"the default: {', '.join(portfolio.MEMBERS)} in turn", {}),
    FEEDBACK: Listed(
        FEEDBACK,
        "loop",
        "the sampler `base`, its draws mutated where a run showed a new hand-off",
        OPTIONS,
    ),
}
"""Strategies that stand around others."""


def listed() -> Iterator[Listed]:
    """Yield every strategy: those around others, the samplers, the walks."""
    yield from OUTER.values()
    made = [registry.get(name) for name in registry.names()]
    for strategy in sorted(made, key=lambda strategy: strategy.systematic):
        kind = "walk" if strategy.systematic else "sampler"
        yield Listed(strategy.name, kind, strategy.title, strategy.options)


def is_feedback(text: str) -> bool:
    """Say whether a text asks for feedback."""
    return text.partition(":")[0] == FEEDBACK


def check(text: str, *, systematic: bool = False) -> None:
    """Raise UsageError if the text names no strategy, or a systematic one where only a sampler will do."""
    name, _, options = text.partition(":")
    if name == PORTFOLIO and not options:
        return
    strategy, made_with = _fitting(text, systematic)
    strategy.make(made_with)  # says what is wrong with the options before anything is run


def _fitting(text: str, systematic: bool) -> tuple[registry.Known, registry.Options]:
    """Return the strategy of a text, of feedback its base, with its options.  Raises UsageError as `check` does."""
    name, _, given = text.partition(":")
    if name == PORTFOLIO:
        raise UsageError(
            expected="no options of portfolio", got=given, where=_WHERE, try_=f"one of its members: {_SHOWN}"
        )
    try_ = "mmrace explore, which walks the whole tree"
    if name == FEEDBACK:
        text, systematic, try_ = str(options_of(text)["base"]), False, f"{FEEDBACK}:base=pos"
        name = text.partition(":")[0]
    _known(name)
    strategy, options = registry.parse(text)
    if strategy.systematic and not systematic:
        raise UsageError(expected="a strategy that draws single schedules", got=text, where=_WHERE, try_=try_)
    return strategy, options


def _known(name: str) -> None:
    names = [*OUTER, *registry.names()]
    if name not in names:
        close = difflib.get_close_matches(name, names)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise UsageError(expected="a known strategy", got=name, where=_WHERE, try_=hint + _SHOWN)


def choose(program: Program, spec: RunSpec) -> Chosen:
    """Return the strategy of one run.  Raises UsageError."""
    loading.load(spec.load)
    text = portfolio.resolve(spec.strategy, spec.seed)
    strategy, options = _fitting(text, False)
    draw: Draw = random.Random(spec.seed).random
    corpus: Corpus | None = None
    tape: Tape | None = None
    if is_feedback(text):
        outer = options_of(text)
        corpus = corpus_of(str(outer["corpus"]))
        draw = tape = stream(spec.seed, int(outer["index"]), corpus)
    sampler: Sampler = strategy.make(options)  # type: ignore[assignment]
    promoted = promoted_fields(program, spec.promote)
    profile = profile_of(program, promoted) if sampler.profiled else None
    made = sampler.strategy(draw, profile)
    return Chosen(
        made,
        promoted,
        profile.digest if profile is not None else None,
        corpus.digest if corpus is not None else None,
        tape,
    )
