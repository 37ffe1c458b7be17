"""Structs of the model: shared fields as descriptors, embedded primitives, poison after free.

A class declares its fields; reading or writing a plain one *is* the op.  Each field has its own lanes, so the object
of an op is "this field of this object".  Invariant: a Struct has no mutable slot that is neither a shared field, an
embedded primitive nor declared `ghost` (a test checks it for all of `kernel/`).

The accessors are generated from a template, as namedtuple does: a property with its op code as a constant costs half
of a generic descriptor.  What an object of a `lazy` class holds is made when it is first touched: most page frames of a
run never are.  Until then it is of a subclass that has `__getattr__`, which CPython pays for at every access to any
attribute, there or not: no class of what is in use may have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

    def __init__(self, default: T, benign: str = "") -> None:
        self.default = default
        self.benign = benign

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


def shared(default: T, benign: str = "") -> Field[T]:
    """Declare a plain shared field.

    Args: benign: why reads of it may race with writes; "": they must not.  An array of words says so in its class:
    ``benign = {"words": why}``.  A record carries what was declared.
    """
    return Field(default, benign)


def ghost(default: T) -> T:
    """Declare unrecorded bookkeeping."""
    return cast(T, Ghost(default))


_TEMPLATE = """
def fget(self):
    code = self.code + {read}
    task = access(self, code)
    value = self.{slot}
    task.log((task.id, code, value, None))
    return value

def fset(self, value):
    code = self.code + {write}
    task = access(self, code)
    old = self.{slot}
    self.{slot} = value
    task.log((task.id, code, old, value))
"""


def _slot(name: str) -> str:
    """Return where a field's value is kept; never a name of two underscores, which a class body would mangle."""
    return "v" + name if name.startswith("_") else "_" + name


def _accessors(name: str, lane: int) -> property:
    source = _TEMPLATE.format(slot=_slot(name), read=lane << SHIFT | Kind.READ, write=lane << SHIFT | Kind.WRITE)
    source = source.replace("access(self", "live.access(self")
    scope: dict[str, Any] = {"live": live}
    exec(compile(source, FIELD_FILE, "exec"), scope)
    return property(scope["fget"], scope["fset"], doc=f"Shared field `{name}`: every access is an op.")


def _setter(values: dict[str, object]) -> Callable[[Any], None]:
    """Return a function that sets these attributes of an object."""
    lines = [f"    self.{name} = d{i}" for i, name in enumerate(values)]
    scope: dict[str, Any] = {f"d{i}": value for i, value in enumerate(values.values())}
    exec(compile("\n".join(["def fill(self):", *(lines or ["    pass"])]), FIELD_FILE, "exec"), scope)
    return cast("Callable[[Any], None]", scope["fill"])


class StructMeta(type):
    """Turns declarations into slots, accessors and a lane plan."""

    plan: list[tuple[str, int, int, Part | None]]  # (field, first lane, lanes, part)
    defaults: dict[str, object]
    slot_of: Any  # (field) -> where a plain field's value is kept; None for what is none
    ghosts: dict[str, object]
    set_fields: Any  # (object) -> None: gives each plain field its default
    set_ghosts: Any
    shape: tuple[int, str, Any, bool]  # see Struct
    lazy: bool  # what an object holds is made when it is first touched
    drop: Any  # (object) -> None: forgets the values of all fields, ghosts and primitives of a live one
    parts: list[tuple[str, int, Part]]
    fixed_lanes: int
    sized_part: tuple[str, Part] | None
    benign_reads: tuple[tuple[str, str], ...]  # (field, why)
    struct_name: str  # as the model declares it, whatever subclass a variant made of it

    def __new__(mcs, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> StructMeta:
        parent = next((base for base in bases if isinstance(base, StructMeta)), None)
        plan = list(parent.plan) if parent else []
        defaults = dict(parent.defaults) if parent else {}
        ghosts = dict(parent.ghosts) if parent else {}
        parts = list(parent.parts) if parent else []
        lane = parent.fixed_lanes if parent else 0
        sized = parent.sized_part if parent else None
        benign: dict[str, str] = {**(parent.benign if parent else {}), **space.pop("benign", {})}
        lazy: bool = space.pop("lazy", parent.lazy if parent else False)
        slots: list[str] = list(space.pop("__slots__", ()))
        for key, value in list(space.items()):
            if isinstance(value, Field):
                plan.append((key, lane, 1, None))
                defaults[_slot(key)] = value.default
                if value.benign:
                    benign[key] = value.benign
                slots.append(_slot(key))
                space[key] = _accessors(key, lane)
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
                plan.append((key, lane, value.lanes, value))
                parts.append((key, lane << SHIFT, value))
                lane += value.lanes
        space["__slots__"] = tuple(slots)
        made = super().__new__(mcs, name, bases, space)
        made.plan, made.defaults, made.parts, made.fixed_lanes, made.sized_part = plan, defaults, parts, lane, sized
        made.ghosts = ghosts
        made.slot_of = staticmethod({key: _slot(key) for key, _, _, part in plan if part is None}.get)
        made.set_fields, made.set_ghosts = staticmethod(_setter(defaults)), staticmethod(_setter(ghosts))
        held = [*defaults, *ghosts, *(key for key, _, _ in parts), *([sized[0]] if sized else [])]
        made.drop = staticmethod(_setter(dict.fromkeys(held)))
        made.lazy = lazy
        made.shape = (lane, sized[0] if sized else "", made.set_ghosts, lazy)
        made.benign_reads = tuple(benign.items())
        made.struct_name = parent.struct_name if parent is not None and parent.struct_name != "Struct" else name
        return made

    @property
    def benign(cls) -> dict[str, str]:
        """Field -> why reads of it without a lock are meant."""
        return dict(cls.benign_reads)


class Struct(metaclass=StructMeta):
    """Base of every struct of the model.

    Args: name: stable name, a str or a tuple that is joined by ":" when somebody asks.  Keywords override the
    defaults of fields; for a `words` field the keyword gives the number of words.
    """

    __slots__ = ("base", "code", "dead", "guard", "name_", "size", "touched")
    shape: tuple[int, str, Callable[[Struct], None], bool]
    """What every new object asks its class: lanes, name of the sized part or "", setter of ghosts, `lazy`."""

    def __init__(self, name: object, **values: Any) -> None:
        engine = live.engine or live.need()
        lanes, sized, set_ghosts, lazy = self.shape
        self.size = size = values.pop(sized) if sized else 0
        self.name_ = name
        self.dead: tuple[str, ...] | None = None
        self.base = base = engine.alloc(self, lanes + size)
        self.code = base << SHIFT
        self.guard = guard = engine.new_guard()
        set_ghosts(self)
        if lazy and guard is None:  # with guards, two threads might make the same primitive at once
            self.touched = False
            self.__class__ = _untouched_class(type(self))
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
        """Make what an untouched object holds; from now on it is of its own class, or of that class's dead one."""
        cls: Any = _live_class(self).__mro__[1]
        self.touched = True
        self.__class__ = cls
        self._fill()
        if self.dead is not None:
            _poison_parts(self, self.dead)
            self.__class__ = _dead_class(cls, self.dead)

    @property
    def name(self) -> str:
        """The stable name."""
        return joined(self.name_)

    def plain_lanes(self, base: int, fields: frozenset[str]) -> Iterator[int]:
        """Yield the lanes of those plain fields and words that are named in `fields` ("Class.field").

        Args: base: its first lane, which an object that is being registered does not know yet.
        """
        cls = type(self)
        for key, first, _, part in cls.plan:
            if part is None and f"{cls.struct_name}.{key}" in fields:
                yield base + first
        if cls.sized_part is not None and f"{cls.struct_name}.{cls.sized_part[0]}" in fields:
            yield from range(base + cls.fixed_lanes, base + cls.fixed_lanes + self.size)

    def __repr__(self) -> str:
        return self.name


def joined(name: object) -> str:
    """Return a stable name as text."""
    if isinstance(name, str):
        return name
    return ":".join([str(part) for part in cast("tuple[object, ...]", name)])


def peek(obj: Struct, field: str) -> Any:
    """Return a plain field's value, or an embedded primitive, without an op and even after free.

    For snapshots and explanations, never for the model.
    """
    cls = type(obj)
    engine = live.engine
    if engine is not None and engine.observer is not None:
        engine.observer.peeked(obj, field)
    if not obj.touched and field not in cls.ghosts:
        obj._touch()
    slot = cls.slot_of(field)
    return getattr(obj, slot) if slot is not None else getattr(_live_class(obj), field).__get__(obj)


def fresh(kind: str) -> tuple[str, str, int]:
    """Name an object made at run time, by the current task and its ordinal: "jh:committer:3"."""
    task = live.current()
    return (kind, task.name, task.ordinal(kind))


# -- untouched ------------------------------------------------------------------------------------------------------

_untouched_classes: dict[type, type] = {}


def _touch_and_get(self: Struct, key: str) -> Any:
    """Be `__getattr__` of an untouched object, called for what is not there: all that it declares."""
    if key == "touched":
        raise AttributeError(f"{type(self).__name__} has no attribute {key!r}")
    self._touch()
    return object.__getattribute__(self, key)


def _untouched_class(cls: type) -> type:
    made = _untouched_classes.get(cls)
    if made is None:
        # type.__new__, not the metaclass: the layout stays the one of `cls`, so __class__ may be assigned
        made = type.__new__(StructMeta, cls.__name__, (cls,), {"__slots__": (), "__getattr__": _touch_and_get})
        _untouched_classes[cls] = made
    return made


# -- poison ---------------------------------------------------------------------------------------------------------

_dead_classes: dict[tuple[type, tuple[str, ...]], type] = {}


def _refuse(cls_name: str, field: str) -> Any:
    def refuse(self: Any, *_: object) -> Any:
        name = getattr(self, "name_", None) or getattr(self, "of", field)
        raise Violation(
            "use-after-free",
            f"access to {cls_name}.{field} after free",
            object=joined(name),
            task=live.current().name,
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
        _refuse(type(obj).__name__, field)(obj)


def _primitives(obj: Struct, keep: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield (field, primitive) of all that is embedded and not in `keep`: bits' gates with their word."""
    cls = type(obj)
    for key in [key for key, _, _ in cls.parts] + ([cls.sized_part[0]] if cls.sized_part else []):
        if key not in keep:
            part = peek(obj, key)
            yield key, part
            gates = getattr(part, "gates", None)
            if gates:
                for gate in list(gates.values()):
                    yield key, gate


def poison(obj: Struct, keep: tuple[str, ...] = ()) -> None:
    """Mark `obj` as freed: any op on a field that is not in `keep` is a Violation of use-after-free.

    So is an op that another task has announced already (then it is raised here, on that task's behalf).  Embedded
    primitives are poisoned too.  The queue of a bit is not: in the kernel its sleepers wait on a hashed queue, and the
    wake half of an unlock needs only the address of what may be free by then.  Point: never.
    """
    if obj.dead is not None:
        raise Violation("use-after-free", f"double free of a {type(obj).__name__}", object=obj.name)
    engine = live.engine or live.need()
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
    if obj.touched:
        _poison_parts(obj, keep)
    obj.dead = keep
    obj.__class__ = _dead_class(type(obj), keep)


def _poison_parts(obj: Struct, keep: tuple[str, ...]) -> None:
    for key, part in _primitives(obj, keep):
        part.__class__ = _dead_part(type(part), _live_class(obj).__name__, key)


def revive(obj: Struct) -> None:
    """Make a poisoned, type-stable object usable again (allocation).  Point: never."""
    if obj.dead is None:
        return
    engine = live.need()
    if engine.observer is not None:
        engine.observer.freed(obj, obj.dead)  # what was a use after free is one of the new object's from here on
    obj.__class__ = _live_class(obj)
    obj.dead = None
    if not obj.touched:
        return
    for _, part in _primitives(obj, ()):
        part.__class__ = _live_class(part)


def release(obj: Struct) -> None:
    """Make `obj` forget what it holds, so that rings of objects come apart; its name, size and lanes stay.

    For engines, after a run.  An object that was never touched holds nothing but ghosts, whose rings, if any, lead
    through one that was.  Point: never.
    """
    if not obj.touched:
        return
    cls: Any = _live_class(obj)
    obj.__class__ = cls
    cls.drop(obj)
