"""Ask the strategy and the seed that a record names once more: do they choose the run that it has?

A strict replay follows the record and asks nobody, so that it would follow one whose header names another strategy, or
another seed, just as well.  Invariant: whoever can be asked again is.  Not asked: a walk through a tree, whose runs
depend on the ones before; a strategy of a user's file that was not loaded here, since a record's header never makes
this process execute what it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mmrace.runs import registrations
from mmrace.runs.differences import Difference, between, of_events
from mmrace.runs.play import play
from mmrace.runs.program import Program
from mmrace.runs.spec import RunSpec
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.strategies import guided, registry
from mmrace.strategies.text import StrategyText

CHOSEN = ("profile", "corpus", "followed")
"""Keys of the header that say how the strategy came to its choices."""
OF_A_WALK: Mapping[str, object] = dict.fromkeys((*CHOSEN, "promoted"))
"""What they are for a walk, which needs none of them and takes every plain access for a point."""


def draw_again(program: Program, spec: RunSpec, record: Record, again: Record) -> tuple[list[Difference], str]:
    """Return what differs if the run is drawn afresh, and why it was not drawn, "" if it was.

    Args: spec: as the record has it, with all files that the run loaded.  again: the strict replay of `record`.
    Raises UsageError for a strategy that does not exist.
    """
    files = {file.path: registrations.here(file) for file in spec.load}
    missing = [path for path, file in files.items() if file is None]
    if missing and not registry.is_own(spec.strategy):
        return [], f"not checked: strategy and seed, for want of --load {' --load '.join(missing)}"
    spec = replace(spec, load=tuple(file for file in files.values() if file is not None))
    registry.parse(spec.strategy)
    if registry.is_systematic(spec.strategy):
        why = f"not checked: the seed, and that {spec.strategy} comes to this run; a walk's runs depend on those before"
        return _of_header(record, OF_A_WALK), why
    try:
        chosen = strategy_for(program, spec)
    except UsageError as error:  # a file that the strategy reads is gone
        return _unfollowed(record, spec), f"not checked: strategy and seed; {error}"
    with play(program, spec, chosen) as played:
        drawn = played.record
    found = _of_header(record, {key: drawn.header[key] for key in CHOSEN})
    other = next(of_events(again, drawn), None)
    if other is not None:
        text = f"{spec.strategy} with seed {spec.seed} makes another run, with {other.now} there"
        found.append(Difference("strategy and seed", f"{other.recorded} as {other.what}", text))
    return found, f"not checked: --load {' --load '.join(missing)}, which this run does not need" if missing else ""


def _unfollowed(record: Record, spec: RunSpec) -> list[Difference]:
    """Return what a record lacks that says it was guided: how much it followed."""
    name = StrategyText.of(spec.strategy).name
    if name != guided.STRATEGY.name or record.header.get("followed") is not None:
        return []
    return [Difference("header strategy", spec.strategy, "another one: this run says nothing of what it followed")]


def _of_header(record: Record, expected: Mapping[str, object]) -> list[Difference]:
    pairs = [(key, record.header.get(key), value) for key, value in expected.items()]
    return [difference for key, recorded, now in pairs for difference in between(f"header {key}", recorded, now)]
