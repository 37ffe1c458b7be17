"""Variants of the kernel model: canaries (planted bugs), those of a user's own, and eras (`eras/`)."""

from __future__ import annotations

from mmrace.history.canaries import CANARIES
from mmrace.history.canary import Canary
from mmrace.history.variant import Over, Variant, applied
from mmrace.runtime import given
from mmrace.runtime.errors import OWN_FILE, UsageError, unknown

__all__ = ["Canary", "Variant", "get", "own", "register"]

BIND = 'a function of your own for each name: {"mm.filemap:unlock_page": unlock_page}'
"""How a variant binds, for who has it wrong."""

_registered: dict[str, Variant] = {}


def register(variant: Variant, where: str) -> None:
    """Make a variant known by its name.  Raises UsageError if the name is taken, or the model lacks what it binds."""
    given.name("variant", variant.name, _known(), where)
    given.title("variant", variant.title, where)
    given.mapping("what a variant binds", variant.bind, where, BIND)
    if not variant.bind:
        raise UsageError(expected="a variant that binds something", got=variant.bind, where=where, try_=BIND)
    with applied(variant) as replaced:
        for place, old in replaced.items():
            new = variant.bind[place]
            if callable(old) and not callable(new.function if isinstance(new, Over) else new):
                raise UsageError(
                    expected=f"something that can be called in place of {place}",
                    got=given.described(new),
                    where=where,
                    try_=BIND,
                )
    _registered[variant.name] = variant


def own() -> dict[str, Variant]:
    """Return the variants that users' files registered, by name."""
    return dict(_registered)


def _known() -> dict[str, Variant]:
    return {**{canary.name: canary.variant for canary in CANARIES}, **_registered}


def get(name: str) -> Variant:
    """Return a variant.  Raises UsageError with close names if there is none."""
    known = _known()
    if name not in known:
        raise unknown("a variant", name, known, try_=f"`mmrace list canaries` shows all of them; {OWN_FILE}")
    return known[name]
