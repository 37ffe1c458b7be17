"""Memory that was given back: any op on it is a use after free.

A freed object and each primitive in it change to a twin class whose accesses raise Violation, so that objects in use
pay nothing.  Invariant: an object's `dead` is set exactly while its class is such a twin; a type-stable object can be
revived.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from mmrace.runtime import live
from mmrace.runtime.errors import Violation
from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind
from mmrace.runtime.struct import Struct, StructMeta, joined, peek, real_class


def _refusal(cls_name: str, field: str, named_by: str) -> property:
    """Make the property that stands for a freed field.  Args: named_by: attribute with the name of its struct."""

    def refuse(self: Any, *_: object) -> Any:
        raise Violation(
            "use-after-free",
            f"access to {cls_name}.{field} after free",
            object=joined(getattr(self, named_by)),
            task=live.current().name,
        )

    return property(refuse, refuse)


@cache
def _dead_class(cls: StructMeta, keep: tuple[str, ...]) -> type:
    fields = [row.field for row in cls.plan] + ([cls.sized_part[0]] if cls.sized_part else [])
    refusals = {field: _refusal(cls.__name__, field, "name_") for field in fields if field not in keep}
    return cls.twin(_dead=True, _touch=_touch_dead, **refusals)


@cache
def _dead_part(cls: type, owner: str, field: str) -> type:
    return type(cls.__name__, (cls,), {"__slots__": (), "_dead": True, "code": _refusal(owner, field, "of")})


def _touch_dead(obj: Struct) -> None:
    """`_touch` of a freed object that was never touched: make what it holds, freed as it is."""
    keep = obj.dead or ()
    obj.__class__ = real_class(obj)
    obj._touch()
    _die(obj, keep)


def _field_of(obj: Struct, code: int) -> str:
    """Return the field of `obj` that an op on one of its lanes concerns."""
    lane = (code >> SHIFT) - obj.base
    cls = type(obj)
    row = cls.row_at(lane)
    return row.field if row is not None else cls.sized_part[0] if cls.sized_part else f"lane {lane}"


def _outlives(obj: Struct, code: int) -> bool:
    """Say whether an op is on a lane that stays when the object is freed (the queue of a bit)."""
    lane = (code >> SHIFT) - obj.base
    row = type(obj).row_at(lane)
    return row is not None and row.part is not None and row.part.outlives(lane - row.first)


def _refuse_announced(obj: Struct, keep: tuple[str, ...]) -> None:
    """Raise Violation if a task has announced an op on `obj`: it has looked already, and will do it on freed memory.

    Under control only: `free` keeps no pending ops, and looks when the op begins (`check_alive`).  A sleeper may stay:
    its wake is an op of somebody else, and it announces what it does after that.
    """
    engine = live.engine
    me = engine.current()
    first = obj.code
    end = first + (type(obj).fixed_lanes + obj.size << SHIFT)
    for task in engine.tasks:
        code = task.pending
        if not first <= code < end or task is me or task.done:
            continue
        field, kind = _field_of(obj, code), Kind(code & KIND_MASK)
        if field not in keep and kind is not Kind.SLEEP and not _outlives(obj, code):
            rule = f"access to {type(obj).__name__}.{field} after free"
            raise Violation(
                "use-after-free", rule, object=obj.name, task=task.name, about_to=kind.name, freed_by=me.name
            )


def check_alive(obj: Any, code: int) -> None:
    """Raise Violation if `obj`, on which an op was announced, was freed before the op began."""
    if "_dead" not in type(obj).__dict__:
        return
    if not isinstance(obj, Struct):
        _ = obj.code  # a freed primitive refuses it
    elif (field := _field_of(obj, code)) not in (obj.dead or ()):
        getattr(obj, field)  # a freed field refuses it


def _primitives(obj: Struct, keep: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield (field, primitive) of all that is embedded and not in `keep`: bits' gates with their word."""
    cls = type(obj)
    for key, part in [(key, part) for key, _, part in cls.parts] + ([cls.sized_part] if cls.sized_part else []):
        if key not in keep:
            made = peek(obj, key)
            yield key, made
            for inner in part.inner(made):
                yield key, inner


def poison(obj: Struct, keep: tuple[str, ...] = ()) -> None:
    """Mark `obj` as freed: any op on a field that is not in `keep` is a Violation of use-after-free.

    So is an op that another task has announced already (then it is raised here, on that task's behalf).  Embedded
    primitives are poisoned too, but for the queue of a bit: in the kernel its sleepers wait on a hashed queue, and the
    wake half of an unlock needs only the address of what may be free by then.  Point: never.
    """
    if obj.dead is not None:
        raise Violation("use-after-free", f"double free of a {type(obj).__name__}", object=obj.name)
    engine = live.engine
    if len(engine.tasks) > 1:
        _refuse_announced(obj, keep)
    if engine.observer is not None:
        engine.observer.freed(obj, keep)
    if obj.guard is None:
        _die(obj, keep)
    else:
        with obj.guard.lock:
            _die(obj, keep)


def _die(obj: Struct, keep: tuple[str, ...]) -> None:
    cls = type(obj)
    if obj.touched:
        for key, part in _primitives(obj, keep):
            part.__class__ = _dead_part(part.__class__, cls.__name__, key)
    obj.dead = keep
    obj.__class__ = _dead_class(cls, keep)


def revive(obj: Struct) -> None:
    """Make a poisoned, type-stable object usable again (allocation).  Point: never."""
    if obj.dead is None:
        return
    observer = live.engine.observer
    if observer is not None:
        observer.freed(obj, obj.dead)  # what was a use after free is one of the new object's from here on
    obj.__class__ = real_class(obj)
    obj.dead = None
    if not obj.touched:
        return
    for _, part in _primitives(obj, ()):
        part.__class__ = real_class(part)
