"""Structs of the model: shared fields as descriptors, embedded primitives, a lane for each.

A class declares its fields (`fields.py`); reading or writing a plain one *is* the op.  Each field has its own lanes,
so the object of an op is "this field of this object".  Invariant: a Struct has no mutable slot that is neither a
shared field, an embedded primitive nor declared `ghost` (a test checks it for the kernel model).

What an object of a `lazy` class holds is made when it is first touched: most page frames never are.  Until
then its class is a twin with `__getattr__`.  Objects in use must not have one: CPython then slows down every attribute
access.  A freed object has a twin class as well (`poison.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from mmrace.runtime import live
from mmrace.runtime.errors import UsageError
from mmrace.runtime.fields import Field, Ghost, Part, PlanRow, accessors, setter, slot
from mmrace.runtime.kinds import SHIFT


class StructMeta(type):
    """Turns declarations into slots, accessors and a lane plan.

    Attributes: plan: a row for each field and primitive, in the order of their lanes, `fixed_lanes` in all.
    sized_part: the primitive whose lanes are counted per object, and come last.  parts: (field, code offset,
    primitive) of the others.  knots: (field, primitive) of those that can be part of a ring.  defaults: attribute that
    stores a plain field -> its first value.  ghosts: name -> first value.  slot_of: field -> attribute that stores its
    value; None if it is not a plain field.  lazy: what an object holds is made when it is first touched.  drop: makes
    a live object forget all values.  struct_name: what the model calls it, also in a subclass that a variant made.
    """

    plan: list[PlanRow]
    fixed_lanes: int
    sized_part: tuple[str, Part] | None
    parts: list[tuple[str, int, Part]]
    knots: tuple[tuple[str, Part], ...]
    defaults: dict[str, object]
    ghosts: dict[str, object]
    slot_of: Any
    set_fields: Any
    lazy: bool
    shape: tuple[int, str, Any, type | None]  # see Struct
    drop: Any
    benign_reads: tuple[tuple[str, str], ...]  # (field, why)
    struct_name: str

    def __new__(mcs, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> StructMeta:
        parent = next((base for base in bases if isinstance(base, StructMeta)), None)
        plan = list(parent.plan) if parent else []
        defaults = dict(parent.defaults) if parent else {}
        ghosts = dict(parent.ghosts) if parent else {}
        lane = parent.fixed_lanes if parent else 0
        sized = parent.sized_part if parent else None
        benign: dict[str, str] = {**(parent.benign if parent else {}), **space.pop("benign", {})}
        lazy: bool = space.pop("lazy", parent.lazy if parent else False)
        slots: list[str] = list(space.pop("__slots__", ()))
        for key, value in list(space.items()):
            if isinstance(value, Field):
                plan.append(PlanRow(key, lane, 1, None))
                defaults[slot(key)] = value.default
                if value.benign:
                    benign[key] = value.benign
                slots.append(slot(key))
                space[key] = accessors(key, lane)
                lane += 1
            elif isinstance(value, Ghost):
                ghosts[key] = value.default
                slots.append(key)
                del space[key]
            elif isinstance(value, Part):
                slots.append(key)
                value.key = key
                del space[key]
                if value.sized:
                    sized = (key, value)
                    continue
                plan.append(PlanRow(key, lane, value.lanes, value))
                lane += value.lanes
        space["__slots__"] = tuple(slots)
        made = super().__new__(mcs, name, bases, space)
        made.plan, made.defaults, made.ghosts, made.fixed_lanes, made.sized_part = plan, defaults, ghosts, lane, sized
        made.parts = [(row.field, row.first << SHIFT, row.part) for row in plan if row.part is not None]
        made.knots = tuple((key, part) for key, _, part in made.parts if part.knots)
        made.slot_of = staticmethod({row.field: slot(row.field) for row in plan if row.part is None}.get)
        made.set_fields = staticmethod(setter(defaults))
        held = [*defaults, *ghosts, *(key for key, _, _ in made.parts), *([sized[0]] if sized else [])]
        made.drop = staticmethod(setter(dict.fromkeys(held)))
        made.lazy = lazy
        made.shape = (lane, sized[0] if sized else "", setter(ghosts), _untouched(made) if lazy else None)
        made.benign_reads = tuple(benign.items())
        made.struct_name = parent.struct_name if parent is not None and parent.struct_name != "Struct" else name
        return made

    @property
    def benign(cls) -> dict[str, str]:
        """Field -> why reads of it without a lock are meant."""
        return dict(cls.benign_reads)

    def row_at(cls, lane: int) -> PlanRow | None:
        """Return the row of an object's `lane`-th lane; None if it belongs to the sized part."""
        return next((row for row in cls.plan if row.first <= lane < row.first + row.lanes), None)

    def twin(cls, **space: object) -> type:
        """Make a subclass of the same layout, so that an object of the one can become one of the other."""
        return type.__new__(StructMeta, cls.__name__, (cls,), {"__slots__": (), **space})  # not StructMeta.__new__


def _touch_and_get(self: Struct, key: str) -> Any:
    """`__getattr__` of an untouched object: fill it in, then look the attribute up again."""
    if key == "touched":
        raise AttributeError(f"{type(self).__name__} has no attribute {key!r}")
    self._touch()
    return object.__getattribute__(self, key)


def _untouched(cls: StructMeta) -> type:
    return cls.twin(__getattr__=_touch_and_get)


class Struct(metaclass=StructMeta):
    """Base of every struct of the model.

    Args: name: stable name, a str or a tuple that is joined by ":" when somebody asks.  Keywords override the
    defaults of fields; for a `words` field the keyword gives the number of words.
    """

    __slots__ = ("base", "code", "dead", "guard", "name_", "size", "touched")
    shape: tuple[int, str, Callable[[Struct], None], type[Struct] | None]
    """What every new object asks its class: lanes, name of the sized part or "", setter of ghosts, the class of an
    object that was not touched yet."""

    def __init__(self, name: object, **values: Any) -> None:
        engine = live.engine
        lanes, sized, set_ghosts, untouched = self.shape
        self.size = size = _size_of(sized, values) if sized else 0
        self.name_ = name
        self.dead: tuple[str, ...] | None = None
        self.base = base = engine.alloc(self, lanes + size)
        self.code = base << SHIFT
        self.guard = guard = engine.new_guard()
        set_ghosts(self)
        if untouched is not None and guard is None:  # with guards, two threads might make the same primitive at once
            self.touched = False
            self.__class__ = untouched
        else:
            self.touched = True
            self._fill()
        for key, value in values.items():
            self._set(key, value)

    def _set(self, key: str, value: object) -> None:
        """Give a field or a ghost of a new object another value than its default."""
        cls = type(self)
        if key in cls.ghosts:
            setattr(self, key, value)
        elif (slot := cls.slot_of(key)) is not None:
            if not self.touched:
                self._touch()
            setattr(self, slot, value)
        else:
            raise TypeError(f"{cls.__name__} has no field {key!r}")

    def _fill(self) -> None:
        """Make what the object holds: default values and primitives."""
        cls = type(self)
        cls.set_fields(self)
        code, guard = self.code, self.guard
        for key, offset, part in cls.parts:
            setattr(self, key, part.build(code + offset, guard, self, 0))
        if cls.sized_part is not None:
            key, part = cls.sized_part
            setattr(self, key, part.build(code + (cls.fixed_lanes << SHIFT), guard, self, self.size))

    def _touch(self) -> None:
        """Make what an untouched object holds, and give it its own class."""
        self.touched = True
        self.__class__ = type(self).__mro__[1]
        self._fill()

    @property
    def name(self) -> str:
        """The stable name; joined when it is asked for first, which most objects' never is."""
        name = self.name_
        if not isinstance(name, str):
            self.name_ = name = joined(name)
        return name

    def plain_lanes(self, base: int, fields: frozenset[str]) -> Iterator[int]:
        """Yield the lanes of those plain fields and words that are named in `fields` ("Class.field").

        Args: base: its first lane; an object that is being registered does not know that yet.
        """
        cls = type(self)
        for row in cls.plan:
            if row.part is None and f"{cls.struct_name}.{row.field}" in fields:
                yield base + row.first
        if cls.sized_part is not None and f"{cls.struct_name}.{cls.sized_part[0]}" in fields:
            yield from range(base + cls.fixed_lanes, base + cls.fixed_lanes + self.size)

    def __repr__(self) -> str:
        return self.name


def _size_of(part: str, values: dict[str, Any]) -> int:
    """Take the number of words out of a new object's keywords.  Raises UsageError."""
    size = values.pop(part, None)
    if not isinstance(size, int) or size < 0:
        raise UsageError(expected="a number of words, 0 or more", got=size, where=part, try_=f"{part}=4")
    return size


def joined(name: object) -> str:
    """Return a stable name as text."""
    if isinstance(name, str):
        return name
    return ":".join([str(part) for part in cast("tuple[object, ...]", name)])


def real_class(obj: Any) -> type:
    """Return the class of a struct or a primitive, whether it was freed or not."""
    cls: type = type(obj)
    return cls.__mro__[1] if "_dead" in cls.__dict__ else cls


def peek(obj: Struct, field: str) -> Any:
    """Return a plain field's value, or an embedded primitive, without an op and even after free.

    For snapshots and explanations, never for the model.
    """
    cls = type(obj)
    observer = live.engine.observer
    if observer is not None:
        observer.peeked(obj, field)
    if not obj.touched and field not in cls.ghosts:
        obj._touch()
    slot = cls.slot_of(field)
    return getattr(obj, slot) if slot is not None else getattr(real_class(obj), field).__get__(obj)


def fresh(kind: str) -> tuple[str, str, int]:
    """Name an object made at run time, by the current task and its ordinal: "box:writer:3"."""
    task = live.current()
    return (kind, task.name, task.ordinal(kind))
