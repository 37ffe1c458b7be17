"""Variants: names of the kernel model bound to something else for the length of a run.

The symbol table is the module namespaces of `mmrace.kernel`: its modules call each other through module attributes and
their own global names, so rebinding there reaches every caller.  A variant's file shows the whole difference.
Invariant: one variant at a time in a process, and the namespaces are as before when it ends, whatever happened.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mmrace import kernel
from mmrace.runtime.errors import UsageError, unknown

_applied: list[str] = []


@dataclass(frozen=True)
class Variant:
    """A named difference to era 3.3.

    Args: name, title.  bind: "module:name" under `mmrace.kernel` ("mm.migrate:migrate_page") -> what stands there
    instead.  source: where the idea comes from.
    """

    name: str
    title: str
    bind: dict[str, Any] = field(default_factory=dict)
    source: str = ""


CORRECT = Variant("", "era 3.3, correct")


@contextmanager
def applied(variant: Variant) -> Iterator[dict[str, Any]]:
    """Bind a variant's names for the length of the block, which gets what they meant before, by place.

    Raises UsageError if another variant is applied, or if the model lacks a name: a variant adds none.
    """
    if _applied:
        raise UsageError(expected="no variant applied in this process", got=_applied[0], try_="one at a time")
    saved: list[tuple[Any, str, Any]] = []
    for place in variant.bind:
        path, colon, name = place.partition(":")
        if not colon:
            raise UsageError(
                expected='"module:name", a name of the model',
                got=place,
                where=f"variant {variant.name!r}",
                try_=":".join(place.rpartition(".")[::2]) if "." in place else f"MODULE:{place}",
            )
        try:
            module = importlib.import_module(f"mmrace.kernel.{path}")
        except ModuleNotFoundError as error:
            raise _absent(variant, "a module of mmrace.kernel", path, _modules()) from error
        if name not in vars(module):
            raise _absent(variant, f"something in mmrace.kernel.{path}", name, vars(module))
        saved.append((module, name, vars(module)[name]))
    _applied.append(variant.name)
    try:
        for (module, name, _), new in zip(saved, variant.bind.values(), strict=True):
            setattr(module, name, new)
        yield {place: old for place, (_, _, old) in zip(variant.bind, saved, strict=True)}
    finally:
        for module, name, old in saved:
            setattr(module, name, old)
        _applied.pop()


def _modules() -> list[str]:
    """Return the modules of the kernel model, as a variant names them."""
    prefix = f"{kernel.__name__}."
    return [info.name.removeprefix(prefix) for info in pkgutil.walk_packages(kernel.__path__, prefix)]


def _absent(variant: Variant, kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a place that the model lacks."""
    names = [other for other in known if not other.startswith("__")]
    hint = "is it spelt as the model spells it? If the model was changed, adapt the variant"
    return unknown(kind, name, names, where=f"variant {variant.name!r}", try_=hint)
