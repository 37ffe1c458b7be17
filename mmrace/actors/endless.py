"""Actors that play on until another one is done: what a load consists of, beside the one that is measured.

Invariant: whoever plays endlessly ends within a round after the one that is waited for, or after `ROUNDS_MAX` rounds.
"""

from __future__ import annotations

from dataclasses import replace

from mmrace.actors.actor import Actor
from mmrace.actors.stage import Stage

ROUNDS_MAX = 10_000
"""Times that an actor plays again: a bound only, many times what any load needs."""


def endless(actor: Actor) -> Actor:
    """Return an actor that plays what this one does again and again, until who is waited for is done."""

    def play(stage: Stage) -> None:
        for _ in range(ROUNDS_MAX):
            if stage.over:
                return
            actor.play(stage)

    return replace(actor, play=play)


def awaited(actor: Actor) -> Actor:
    """Return an actor that plays what this one does, and then lets the endless ones end."""

    def play(stage: Stage) -> None:
        try:
            actor.play(stage)
        finally:
            stage.over = True

    return replace(actor, play=play)
