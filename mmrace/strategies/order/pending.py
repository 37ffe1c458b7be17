"""Which pending ops race: the relation for samplers, who know what tasks are about to do and not how it will turn out.

Two ops race as `dependent` says (same lane, not both reads).  LOAD and STORE of a flag word have the word's own lane
but concern all its bits, whose lanes follow it; nothing here says how many there are, so they race with every bit op on
the next `WORD_BITS` lanes.  That takes in bits of a neighbouring word: for a sampler one draw too many, never a race
that is missed.  Executed ops are told apart more finely, by their outcome (`dependence.py`).
"""

from __future__ import annotations

from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind, dependent

WORD_BITS = 64  # lanes; no flag word of the model is longer
WHOLE = frozenset((int(Kind.LOAD), int(Kind.STORE)))
BITS = frozenset(map(int, (Kind.TEST, Kind.SET, Kind.CLEAR, Kind.TEST_AND_SET, Kind.TEST_AND_CLEAR)))
OF_WORDS = sum(1 << kind for kind in WHOLE | BITS)
"""The kinds of both, as a mask: a test of it costs half of a look-up in a set."""


def racing(a: int, b: int) -> bool:
    """Say whether two pending ops of different tasks race."""
    if b >> SHIFT < a >> SHIFT:
        a, b = b, a
    if a & KIND_MASK in WHOLE and b & KIND_MASK in BITS:
        return bool((a | b) & 1) and (b >> SHIFT) - (a >> SHIFT) <= WORD_BITS
    return dependent(a, b)
