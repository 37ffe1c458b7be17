"""Structs of the model: shared fields as descriptors, embedded primitives, poison after free.

A class declares its fields; reading or writing a plain one *is* the op.  Each field has its own lanes, so the object
of an op is "this field of this object".  Invariant: a Struct has no mutable slot that is neither a shared field, an
embedded primitive nor declared `ghost` (a test checks it for all of `kernel/`).

The accessors are generated from a template, as namedtuple does: a property with its op code as a constant costs half
of a generic descriptor.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Generic, TypeVar, cast, overload

from mmrace.runtime import live
from mmrace.runtime.contract import Guard
from mmrace.runtime.errors import Violation
from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind

T = TypeVar("T")
FIELD_FILE = "<mmrace field>"


class Field(Generic[T]):
    """A plain shared field: reading it is a READ op, writing it a WRITE op.  Declared with `shared`."""

    lanes = 1

    def __init__(self, default: T) -> None:
        self.default = default

    @overload
    def __get__(self, obj: None, owner: type) -> Field[T]: ...
    @overload
    def __get__(self, obj: Struct, owner: type) -> T: ...
    def __get__(self, obj: Struct | None, owner: type) -> Field[T] | T:
        raise NotImplementedError  # StructMeta puts a property in its place

    def __set__(self, obj: Struct, value: T) -> None:
        raise NotImplementedError


class Ghost(Generic[T]):
    """Bookkeeping that the model does not share: immutable facts, and what only oracles read.  No op."""

    def __init__(self, default: T) -> None:
        self.default = default

    @overload
    def __get__(self, obj: None, owner: type) -> Ghost[T]: ...
    @overload
    def __get__(self, obj: Struct, owner: type) -> T: ...
    def __get__(self, obj: Struct | None, owner: type) -> Ghost[T] | T:
        raise NotImplementedError

    def __set__(self, obj: Struct, value: T) -> None:
        raise NotImplementedError


class Part:
    """An embedded primitive (lock, flag word, refcount, ...): knows its lanes and how to build itself."""

    lanes = 1
    key = ""  # the field's name, set by StructMeta
    sized = False  # True: the number of lanes is given per object

    def build(self, code: int, guard: Guard | None, owner: Struct, size: int) -> Any:
        """Return the primitive for one object; `code` is that of its first lane."""
        raise NotImplementedError

    def outlives(self, lane: int) -> bool:
        """Say whether the primitive's lane of this number is no part of the struct's memory."""
        return False

    def lane_names(self, size: int) -> list[str]:
        """Name each lane, "" for the only one."""
        return [""]


def shared(default: T) -> Field[T]:
    """Declare a plain shared field."""
    return Field(default)


def ghost(default: T) -> T:
    """Declare unrecorded bookkeeping."""
    return cast(T, Ghost(default))


_TEMPLATE = """
def fget(self):
    code = self.code + {read}
    task = point(self, code)
    value = self.{slot}
    task.log((task.id, code, value, None))
    return value

def fset(self, value):
    code = self.code + {write}
    task = point(self, code)
    old = self.{slot}
    self.{slot} = value
    task.log((task.id, code, old, value))
"""


def _slot(name: str) -> str:
    """Return where a field's value is kept; never a name of two underscores, which a class body would mangle."""
    return "v" + name if name.startswith("_") else "_" + name


def _accessors(name: str, lane: int) -> property:
    source = _TEMPLATE.format(slot=_slot(name), read=lane << SHIFT | Kind.READ, write=lane << SHIFT | Kind.WRITE)
    source = source.replace("point(self", "live.point(self")
    scope: dict[str, Any] = {"live": live}
    exec(compile(source, FIELD_FILE, "exec"), scope)
    return property(scope["fget"], scope["fset"], doc=f"Shared field `{name}`: every access is an op.")


class StructMeta(type):
    """Turns declarations into slots, accessors and a lane plan."""

    plan: list[tuple[str, int, int, Part | None]]  # (field, first lane, lanes, part)
    defaults: dict[str, object]
    parts: list[tuple[str, int, Part]]
    fixed_lanes: int
    sized_part: tuple[str, Part] | None

    def __new__(mcs, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> StructMeta:
        parent = next((base for base in bases if isinstance(base, StructMeta)), None)
        plan = list(parent.plan) if parent else []
        defaults = dict(parent.defaults) if parent else {}
        parts = list(parent.parts) if parent else []
        lane = parent.fixed_lanes if parent else 0
        sized = parent.sized_part if parent else None
        slots: list[str] = list(space.pop("__slots__", ()))
        for key, value in list(space.items()):
            if isinstance(value, Field):
                plan.append((key, lane, 1, None))
                defaults[_slot(key)] = value.default
                slots.append(_slot(key))
                space[key] = _accessors(key, lane)
                lane += 1
            elif isinstance(value, Ghost):
                defaults[key] = value.default
                slots.append(key)
                del space[key]
            elif isinstance(value, Part):
                slots.append(key)
                value.key = key
                del space[key]
                if value.sized:
                    sized = (key, value)
                    continue
                plan.append((key, lane, value.lanes, value))
                parts.append((key, lane << SHIFT, value))
                lane += value.lanes
        space["__slots__"] = tuple(slots)
        made = super().__new__(mcs, name, bases, space)
        made.plan, made.defaults, made.parts, made.fixed_lanes, made.sized_part = plan, defaults, parts, lane, sized
        return made


class Struct(metaclass=StructMeta):
    """Base of every struct of the model.

    Args: name: stable name, a str or a tuple that is joined by ":" when somebody asks.  Keywords override the
    defaults of fields; for a `words` field the keyword gives the number of words.
    """

    __slots__ = ("base", "code", "dead", "guard", "name_", "size")

    def __init__(self, name: object, **values: Any) -> None:
        cls = type(self)
        engine = live.need()
        sized = cls.sized_part
        size = values.pop(sized[0]) if sized else 0
        self.name_ = name
        self.size = size
        self.dead: tuple[str, ...] | None = None
        self.base = base = engine.alloc(self, cls.fixed_lanes + size)
        self.code = code = base << SHIFT
        self.guard = guard = engine.new_guard()
        for slot, default in cls.defaults.items():
            setattr(self, slot, default)
        for key, offset, part in cls.parts:
            setattr(self, key, part.build(code + offset, guard, self, 0))
        if sized:
            setattr(self, sized[0], sized[1].build(code + (cls.fixed_lanes << SHIFT), guard, self, size))
        for key, value in values.items():
            slot = _slot(key)
            if slot in cls.defaults:
                setattr(self, slot, value)
            elif key in cls.defaults:
                setattr(self, key, value)
            else:
                raise TypeError(f"{cls.__name__} has no field {key!r}")

    @property
    def name(self) -> str:
        """The stable name."""
        name = self.name_
        return name if isinstance(name, str) else ":".join(str(part) for part in cast("tuple[object, ...]", name))

    def __repr__(self) -> str:
        return self.name


def peek(obj: Struct, field: str) -> Any:
    """Return a plain field's value, or an embedded primitive, without an op and even after free.

    For snapshots and explanations, never for the model.
    """
    if _slot(field) in type(obj).defaults:
        return getattr(obj, _slot(field))
    return getattr(_live_class(obj), field).__get__(obj)


def fresh(kind: str) -> tuple[str, str, int]:
    """Name an object made at run time, by the current task and its ordinal: "jh:committer:3"."""
    task = live.need().current()
    number = task.fresh.get(kind, 0)
    task.fresh[kind] = number + 1
    return (kind, task.name, number)


# -- poison ---------------------------------------------------------------------------------------------------------

_dead_classes: dict[tuple[type, tuple[str, ...]], type] = {}


def _refuse(cls_name: str, field: str) -> Any:
    def refuse(self: Any, *_: object) -> Any:
        owner = self if isinstance(self, Struct) else getattr(getattr(self, "word", self), "struct", None)
        raise Violation(
            "use-after-free",
            f"access to {cls_name}.{field} after free",
            object=owner.name if owner is not None else field,
            task=live.need().current().name,
        )

    return refuse


def _dead_class(cls: StructMeta, keep: tuple[str, ...]) -> type:
    key = (cls, keep)
    made = _dead_classes.get(key)
    if made is None:
        space: dict[str, Any] = {"__slots__": (), "_dead": True}
        for field, _, _, _ in cls.plan:
            if field not in keep:
                refuse = _refuse(cls.__name__, field)
                space[field] = property(refuse, refuse)
        if cls.sized_part is not None and cls.sized_part[0] not in keep:
            refuse = _refuse(cls.__name__, cls.sized_part[0])
            space[cls.sized_part[0]] = property(refuse, refuse)
        # type.__new__, not the metaclass: the layout stays the one of `cls`, so __class__ may be assigned
        made = type.__new__(StructMeta, cls.__name__, (cls,), space)
        for attribute in ("plan", "defaults", "parts", "fixed_lanes", "sized_part"):
            setattr(made, attribute, getattr(cls, attribute))
        _dead_classes[key] = made
    return made


def _dead_part(cls: type, owner: str, field: str) -> type:
    key = (cls, (owner, field))
    made = _dead_classes.get(key)
    if made is None:
        refuse = _refuse(owner, field)
        made = type(cls.__name__, (cls,), {"__slots__": (), "_dead": True, "code": property(refuse, refuse)})
        _dead_classes[key] = made
    return made


def _live_class(obj: Any) -> type:
    cls: type = type(obj)
    return cls.__mro__[1] if "_dead" in cls.__dict__ else cls


def _field_of(obj: Struct, code: int) -> str:
    """Return the field of `obj` that an op on one of its lanes concerns."""
    lane = (code >> SHIFT) - obj.base
    cls = type(obj)
    for key, first, count, _ in cls.plan:
        if first <= lane < first + count:
            return key
    return cls.sized_part[0] if cls.sized_part else f"lane {lane}"


def _outlives(obj: Struct, code: int) -> bool:
    """Say whether an op is on a lane that is no part of the object's memory (the queue of a bit)."""
    lane = (code >> SHIFT) - obj.base
    for _, first, count, part in type(obj).plan:
        if first <= lane < first + count:
            return part is not None and part.outlives(lane - first)
    return False


def _refuse_announced(obj: Struct, keep: tuple[str, ...]) -> None:
    """Raise Violation if a task has announced an op on `obj`: it has looked already, and will do it on freed memory.

    Under control only: `free` keeps no pending ops, and looks when the op begins (`check_alive`).  A sleeper is let
    be: its wake is an op of somebody else, and what it does when it was woken is announced then.
    """
    engine = live.need()
    me = engine.current()
    lanes = type(obj).fixed_lanes + obj.size
    for task in engine.tasks:
        code = task.pending
        if task is me or task.done or not 0 <= (code >> SHIFT) - obj.base < lanes:
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
        _refuse(type(obj).__name__, field)(obj)


def _primitives(obj: Struct, keep: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield (field, primitive) of all that is embedded and not in `keep`: bits' gates with their word."""
    cls = type(obj)
    for key in [key for key, _, _ in cls.parts] + ([cls.sized_part[0]] if cls.sized_part else []):
        if key not in keep:
            part = peek(obj, key)
            yield key, part
            for gate in list(getattr(part, "gates", {}).values()):
                yield key, gate


def poison(obj: Struct, keep: tuple[str, ...] = ()) -> None:
    """Mark `obj` as freed: any op on a field that is not in `keep` is a Violation of use-after-free.

    So is an op that another task has announced already (then it is raised here, on that task's behalf).  Embedded
    primitives are poisoned too.  The queue of a bit is not: in the kernel its sleepers wait on a hashed queue, and the
    wake half of an unlock needs only the address of what may be free by then.  Point: never.
    """
    if obj.dead is not None:
        raise Violation("use-after-free", f"double free of a {type(obj).__name__}", object=obj.name)
    _refuse_announced(obj, keep)
    cls = type(obj)
    with obj.guard.lock if obj.guard is not None else contextlib.nullcontext():
        for key, part in _primitives(obj, keep):
            part.__class__ = _dead_part(type(part), cls.__name__, key)
        obj.dead = keep
        obj.__class__ = _dead_class(cls, keep)


def revive(obj: Struct) -> None:
    """Make a poisoned, type-stable object usable again (allocation).  Point: never."""
    if obj.dead is None:
        return
    obj.__class__ = _live_class(obj)
    obj.dead = None
    for _, part in _primitives(obj, ()):
        part.__class__ = _live_class(part)


