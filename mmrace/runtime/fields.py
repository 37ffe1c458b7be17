"""What a struct's class body declares: plain shared fields, ghosts, embedded primitives; and how a field is accessed.

Reading or writing a plain field *is* the op.  Its accessors are generated from a template, as namedtuple's are: a
property that has its op code as a constant costs half of a generic descriptor.  Invariant: what is declared here is
all that an object of the model can hold; `struct.StructMeta` puts it in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast, overload

from mmrace.runtime import live
from mmrace.runtime.kinds import READ, SHIFT, WRITE
from mmrace.runtime.task import Guard

T = TypeVar("T")
FIELD_FILE = "<mmrace field>"
"""What generated accessors give as their source file."""


class Field(Generic[T]):
    """A plain shared field: reading it is a READ op, writing it a WRITE op.  Declared with `shared`."""

    def __init__(self, default: T, benign: str = "") -> None:
        self.default = default
        self.benign = benign

    @overload
    def __get__(self, obj: None, owner: type) -> Field[T]: ...
    @overload
    def __get__(self, obj: object, owner: type) -> T: ...
    def __get__(self, obj: object, owner: type) -> Field[T] | T:
        raise NotImplementedError  # StructMeta puts a property in its place

    def __set__(self, obj: object, value: T) -> None:
        raise NotImplementedError


class Ghost(Generic[T]):
    """Bookkeeping that the model does not share: immutable facts, and what only oracles read.  No op."""

    def __init__(self, default: T) -> None:
        self.default = default


class Owner(Protocol):
    """The struct that a primitive is part of, as far as the primitive knows it."""

    name_: object


class Part:
    """An embedded primitive (lock, flag word, refcount, ...): knows its lanes and how to build itself."""

    lanes = 1
    key = ""  # the field's name, set by StructMeta
    sized = False  # True: the number of lanes is given per object
    knots = False  # True: what is built can be part of a ring, which `untie` cuts

    def build(self, code: int, guard: Guard | None, owner: Owner, size: int) -> Any:
        """Return the primitive for one object; `code` is that of its first lane."""
        raise NotImplementedError

    def inner(self, made: Any) -> Iterable[Any]:
        """Return the primitives that a built one has made on its own lanes, if it makes any."""
        return ()

    def untie(self, made: Any) -> None:
        """After a run: cut the rings that a built one is part of.  Asked only of parts with `knots`."""

    def outlives(self, lane: int) -> bool:
        """Say whether the primitive's lane of this number stays when the struct is freed."""
        return False

    def lane_names(self, size: int) -> list[str]:
        """Name each lane, "" for the only one."""
        return [""]


class PlanRow(NamedTuple):
    """Where a field has its lanes, counted from the first one of its struct.  `part` is None for a plain field."""

    field: str
    first: int
    lanes: int
    part: Part | None


def shared(default: T, benign: str = "") -> Field[T]:
    """Declare a plain shared field.

    Args: benign: why reads of it may race with writes; "": they must not.  An array of words says so in its class:
    ``benign = {field: why}``.  A record carries what was declared.
    """
    return Field(default, benign)


def ghost(default: T) -> T:
    """Declare unrecorded bookkeeping."""
    return cast(T, Ghost(default))


_TEMPLATE = """
def fget(self):
    code = self.code + {read}
    task = live.access(self, code)
    value = self.{slot}
    task.log((task.id, code, value, None))
    return value

def fset(self, value):
    code = self.code + {write}
    task = live.access(self, code)
    old = self.{slot}
    self.{slot} = value
    task.log((task.id, code, old, value))
"""


def slot(name: str) -> str:
    """Return the attribute that stores a field's value.  Never one with two underscores: a class body mangles those."""
    return "v" + name if name.startswith("_") else "_" + name


def accessors(name: str, lane: int) -> property:
    """Make the property of a plain field whose lane is the struct's `lane`-th."""
    source = _TEMPLATE.format(slot=slot(name), read=lane << SHIFT | READ, write=lane << SHIFT | WRITE)
    scope: dict[str, Any] = {"live": live}
    exec(compile(source, FIELD_FILE, "exec"), scope)
    return property(scope["fget"], scope["fset"], doc=f"Shared field `{name}`: every access is an op.")


def setter(values: dict[str, object]) -> Callable[[Any], None]:
    """Make a function that sets these attributes of an object."""
    lines = [f"    self.{name} = d{i}" for i, name in enumerate(values)]
    scope: dict[str, Any] = {f"d{i}": value for i, value in enumerate(values.values())}
    exec(compile("\n".join(["def fill(self):", *(lines or ["    pass"])]), FIELD_FILE, "exec"), scope)
    return cast("Callable[[Any], None]", scope["fill"])
