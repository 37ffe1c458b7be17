"""The outer loop of feedback: a generation's corpus on disk, its schedules as specs, the next corpus from its results.

Invariant: a spec names the corpus file and its own index, so that the same spec draws the same schedule anywhere; a
corpus file is written once, whole, under a name that has its digest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mmrace.runs.spec import RunSpec
from mmrace.runtime import files
from mmrace.runtime.errors import UsageError
from mmrace.strategies.feedback import Feedback, Shown, corpus_of, grow


class Loop:
    """The generations of one exploration.

    Args: text: of the strategy.  make_spec: text of a strategy -> spec of a run.  folder: where corpora go.
    """

    def __init__(self, text: str, make_spec: Callable[[str], RunSpec], folder: Path) -> None:
        self._make_spec = make_spec
        self._feedback = Feedback.parse(text)
        self._folder = folder / "explore"
        self.corpus = corpus_of(self._feedback.corpus)

    def indices(self, schedules: int | None) -> range:
        """Return the schedules of the generation, up to the number asked for."""
        start, stop = self.corpus.start, self.corpus.start + self._feedback.generation
        return range(start, stop if schedules is None else min(schedules, stop))

    def spec(self, index: int) -> RunSpec:
        """Return the spec of one schedule of the generation."""
        return self._make_spec(replace(self._feedback, index=index).text())

    def learn(self, results: Sequence[Shown]) -> None:
        """Make the next generation's corpus.

        Args: results: of every schedule of the generation, by index.  Raises UsageError if the file cannot be written.
        """
        self.corpus = grow(self.corpus, results)
        path = self._folder / f"corpus-{self.corpus.digest[:16]}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            files.write_whole(path, [json.dumps(self.corpus.to_json())])
        except OSError as error:
            raise UsageError(
                expected="a folder for the corpus that can be written", got=str(error), where="--store"
            ) from error
        self._feedback = replace(self._feedback, corpus=str(path))
