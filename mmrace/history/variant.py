"""Variants: names of the kernel model bound to something else for the length of a run.

The symbol table is the module namespaces of `mmrace.kernel`: its modules call each other through module attributes and
their own global names, so rebinding there reaches every caller.  A variant's file shows the whole difference to what it
stands on: the model, or a variant below it.  Invariant: one stack of variants at a time in a process, and the
namespaces are as before when it ends, whatever happened.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

from mmrace import kernel
from mmrace.runtime.errors import UsageError, unknown

_applied: list[tuple[str, ...]] = []


@dataclass(frozen=True)
class Over:
    """A function that stands on what stood in its place: it gets that as its first argument; see `over`."""

    function: Callable[..., Any]


def over(function: Callable[..., Any]) -> Over:
    """Return what a variant binds for a function that calls what stood there before.

    The function's first argument is that: the model's own, or that of the variant below.  So a planted bug stands on
    any era; one that took `migrate.migrate_page` when its file was imported would skip the era's.
    """
    return Over(function)


@dataclass(frozen=True)
class Variant:
    """A named difference to what it stands on.

    Args: name, title.  bind: "module:name" under `mmrace.kernel` ("mm.migrate:migrate_page") -> what stands there
    instead, which may stand on what was there (`over`).  source: where the idea comes from.
    """

    name: str
    title: str
    bind: dict[str, Any] = field(default_factory=dict)
    source: str = ""


CORRECT = Variant("", "correct")


@contextmanager
def applied(*variants: Variant) -> Iterator[dict[str, Any]]:
    """Bind the names of variants for the length of the block, the lowest first.

    The block gets what the names meant before, by place.  Raises UsageError if variants are applied already, or if the
    model lacks a name: a variant adds none.
    """
    if _applied:
        got = " and ".join(filter(None, _applied[0])) or "the correct protocol"
        raise UsageError(expected="no variant applied in this process", got=got, try_="one stack of them at a time")
    places = [(variant, place, *_found(variant, place)) for variant in variants for place in variant.bind]
    before: dict[str, Any] = {}
    saved = [(module, name, before.setdefault(place, vars(module)[name])) for _, place, module, name in places]
    _applied.append(tuple(variant.name for variant in variants))
    try:
        for variant, place, module, name in places:
            new = variant.bind[place]
            setattr(module, name, partial(new.function, vars(module)[name]) if isinstance(new, Over) else new)
        yield before
    finally:
        for module, name, old in saved:
            setattr(module, name, old)
        _applied.pop()


def _found(variant: Variant, place: str) -> tuple[ModuleType, str]:
    """Return the module and the name of a place.  Raises UsageError if the model lacks it."""
    path, colon, name = place.partition(":")
    if not colon:
        raise UsageError(
            expected='"module:name", a name of the model',
            got=place,
            where=f"variant {variant.name!r}",
            try_=":".join(place.rpartition(".")[::2]) if "." in place else f"MODULE:{place}",
        )
    try:
        module = importlib.import_module(f"{kernel.__name__}.{path}")
    except ModuleNotFoundError as error:
        raise _absent(variant, "a module of mmrace.kernel", path, _modules()) from error
    if name not in vars(module):
        raise _absent(variant, f"something in mmrace.kernel.{path}", name, vars(module))
    return module, name


def _modules() -> list[str]:
    """Return the modules of the kernel model, as a variant names them."""
    prefix = f"{kernel.__name__}."
    return [info.name.removeprefix(prefix) for info in pkgutil.walk_packages(kernel.__path__, prefix)]


def _absent(variant: Variant, kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a place that the model lacks."""
    names = [other for other in known if not other.startswith("__")]
    hint = "is it spelt as the model spells it? If the model was changed, adapt the variant"
    return unknown(kind, name, names, where=f"variant {variant.name!r}", try_=hint)
