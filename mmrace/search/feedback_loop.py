"""The outer loop of feedback: a generation's corpus on disk, its schedules as specs, the next corpus from its results.

Invariant: a spec names the corpus file and its own index, so that the same spec draws the same schedule anywhere; a
corpus file is written once, whole, under a name that has its digest.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.search.spec import RunSpec
from mmrace.search.strategies.feedback import Corpus, Shown, Tape, fingerprint, grow

GENERATION = 64  # schedules between two corpora: short enough to follow a chain, long enough for many workers
OPTIONS: dict[str, int | str] = {"base": "pos", "generation": GENERATION, "corpus": "", "index": 0}


NOTHING = Shown((), frozenset())
"""What a run showed of which nothing is left, since its worker died."""


def options_of(text: str) -> dict[str, int | str]:
    """Read ``feedback:base=pos,generation=64,corpus=FILE,index=N``.  Raises UsageError."""
    options = dict(OPTIONS)
    for pair in filter(None, text.partition(":")[2].split(",")):
        key, equals, value = pair.partition("=")
        if not equals or key not in options:
            close = difflib.get_close_matches(key, OPTIONS)
            raise UsageError(
                expected=f"options of feedback: {', '.join(OPTIONS)}",
                got=pair,
                where="--strategy",
                try_=" or ".join(close),
            )
        if isinstance(OPTIONS[key], int) and not value.isdecimal():
            raise UsageError(expected=f"a number for {key}", got=value, where="--strategy")
        options[key] = int(value) if isinstance(OPTIONS[key], int) else value
    if not options["generation"]:
        try_ = f"feedback:generation={GENERATION}"
        raise UsageError(expected="a generation of 1 or more schedules", got=0, where="--strategy", try_=try_)
    return options


@lru_cache(maxsize=4)
def corpus_of(path: str) -> Corpus:
    """Read a corpus; "" is the empty one.  Raises UsageError."""
    if not path:
        return Corpus()
    try:
        return Corpus.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UsageError(
            expected="a corpus file", got=str(error), where="--strategy feedback", try_="explore again: it writes one"
        ) from error


def shown(tape: Tape, engine: Controlled, record: Record) -> Shown:
    """Return what a run showed."""
    names = [task.name for task in engine.tasks]
    return Shown(tuple(tape.drawn), fingerprint(engine.events, names, record.lane_name))


class Loop:
    """The generations of one exploration.

    Args: text: of the strategy.  make_spec: gives the spec of a run with another one.  folder: where corpora go.
    """

    def __init__(self, text: str, make_spec: Callable[[str], RunSpec], folder: Path) -> None:
        self._make_spec = make_spec
        options = options_of(text)
        self._base, self._size = str(options["base"]), int(options["generation"])
        self._folder = folder / "explore"
        self._path = str(options["corpus"])
        self.corpus = corpus_of(self._path)

    def indices(self, schedules: int | None) -> range:
        """Return the schedules of the generation, up to the number asked for."""
        start = self.corpus.start
        return range(start, start + self._size if schedules is None else min(schedules, start + self._size))

    def spec(self, index: int) -> RunSpec:
        """Return the spec of one schedule of the generation."""
        return self._make_spec(f"feedback:base={self._base},corpus={self._path},index={index}")

    def learn(self, results: Sequence[Shown]) -> None:
        """Make the next generation's corpus.

        Args: results: of the generation, by index, none left out.  Raises UsageError if it cannot be written.
        """
        self.corpus = grow(self.corpus, results)
        path = self._folder / f"corpus-{self.corpus.digest[:16]}.json"
        part = path.with_suffix(".part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(self.corpus.to_json()), encoding="utf-8")
            os.replace(part, path)
        except OSError as error:
            raise UsageError(
                expected="a folder for the corpus that can be written", got=str(error), where="--dir"
            ) from error
        self._path = str(path)
