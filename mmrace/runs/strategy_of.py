"""From a spec's text to the strategy of one run: make it, profile the program if need be, open the stream of draws.

Invariant: the strategy is a function of (program, text, seed) and of what its digest in the header names.
"""

from __future__ import annotations

import random

from mmrace.runs.chosen import Chosen
from mmrace.runs.profile import profile_of, promoted_fields
from mmrace.runs.program import Program
from mmrace.runs.spec import RunSpec
from mmrace.strategies import registry
from mmrace.strategies.contract import Draw
from mmrace.strategies.feedback import Corpus, Feedback, Tape, corpus_of, is_feedback, stream


def strategy_for(program: Program, spec: RunSpec) -> Chosen:
    """Return the strategy of one run that is drawn.  Raises UsageError."""
    text = registry.member_by_seed(spec.strategy, spec.seed)
    draw: Draw = random.Random(spec.seed).random
    corpus: Corpus | None = None
    tape: Tape | None = None
    if is_feedback(text):
        feedback = Feedback.parse(text)
        text, corpus = feedback.base, corpus_of(feedback.corpus)
        draw = tape = stream(spec.seed, feedback.index, corpus)
    sampler = registry.sampler(text)
    promoted = promoted_fields(program, spec.promote)
    profile = profile_of(program, promoted) if sampler.profiled else None
    return Chosen(
        sampler.strategy(draw, profile),
        promoted,
        profile.digest if profile is not None else None,
        corpus.digest if corpus is not None else None,
        tape,
    )
