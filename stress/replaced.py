"""Kernel functions that do nothing, and kernel functions that do not wait: the variants of the blindness test.

While the actors play, a function of `mmrace.kernel` is replaced by one that returns its success value at once; set-up
and the last sync have the function itself.  The success value is what it returned most often in runs that passed, error
codes left out if it ever succeeded; of yes and no, the one with which it did more.  What returns an object (a page, a
handle) or at times none is replaced by one that has none; what always returns an object is not replaced.  A wait is a
call, in a function of the kernel model, of a primitive that waits for something to come true, or of a function with
"wait" in its name; it is replaced by what that returns, in that one place.
Invariant: a variant changes one function, and counts how often it was reached.  Not replaced: methods of structs, and
sleeping locks, which are functions of their own.
"""

from __future__ import annotations
import __future__

import ast
import copy
import functools
import importlib
import inspect
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from mmrace import kernel
from mmrace.history.variant import Variant
from mmrace.runtime import live
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.kinds import CLEAR, KIND_MASK, NOTE, SET, TEST_AND_CLEAR, TEST_AND_SET, WRITE

PRIMITIVES = frozenset({"wait_on_bit", "wait_event", "join"})
"""Primitives of the runtime that wait for something to come true, and take nothing."""
WAIT = "wait"
_INSTEAD = "_instead_of_the_wait"
OBJECT, NOTHING = "an object", "NoneType None"
"""Texts: of every value that is no plain data, and of None."""

SETS, CLEARS = frozenset({SET, TEST_AND_SET}), frozenset({CLEAR, TEST_AND_CLEAR})
Function = Callable[..., Any]
Reached = list[int]
"""How often a replacement was called, as its only item."""


# -- what there is --------------------------------------------------------------------------------------------------


def _modules() -> Iterator[tuple[str, ModuleType]]:
    prefix = f"{kernel.__name__}."
    for info in pkgutil.walk_packages(kernel.__path__, prefix):
        if not info.ispkg:
            yield info.name.removeprefix(prefix), importlib.import_module(info.name)


@cache
def functions() -> dict[str, FunctionType]:
    """Return the functions of the kernel model by place, as a variant names them: "mm.filemap:lock_page"."""
    return {
        f"{path}:{name}": value
        for path, module in _modules()
        for name, value in vars(module).items()
        if isinstance(value, FunctionType) and value.__module__ == module.__name__
    }


@dataclass(frozen=True, slots=True)
class Wait:
    """One wait: the `number`th call (from 1) of `callee` in the function at `place`."""

    place: str
    callee: str
    number: int

    @property
    def name(self) -> str:
        """As the table and the list have it: "mm.filemap:filemap_fdatawait/wait_on_page_writeback"."""
        return f"{self.place}/{self.callee}" + (f"#{self.number}" if self.number > 1 else "")


@cache
def waits(place: str) -> tuple[Wait, ...]:
    """Return the waits in a function; none if one wait is all that it does, for that is the function itself."""
    definition = _definition(place)
    if definition is None:
        return ()
    seen: Counter[str] = Counter()
    found = []
    for node in ast.walk(definition):
        if isinstance(node, ast.Call) and (callee := _callee(node)) and _waits(callee):
            seen[callee] += 1
            found.append(Wait(place, callee, seen[callee]))
    body = [statement for statement in definition.body if not _is_text(statement)]
    return () if len(body) == 1 and len(found) == 1 and isinstance(body[0], ast.Expr) else tuple(found)


def _waits(callee: str) -> bool:
    return callee in PRIMITIVES or (WAIT in callee and any(place.endswith(f":{callee}") for place in functions()))


def _callee(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _definition(place: str) -> ast.FunctionDef | None:
    """Return the source of a function; None of one that a loop or a closure made."""
    path, _, name = place.partition(":")
    file = inspect.getsourcefile(importlib.import_module(f"{kernel.__name__}.{path}"))
    assert file is not None
    tree = _tree(file)
    return next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name), None)


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse(Path(file).read_text(encoding="utf-8"), file)


# -- what they return -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Returns:
    """What one function returned in traced runs, while actors played.

    `counts`: by the value's text; `values`: those of plain data; `work`: changes of shared state before such a return;
    `ops`: it touched shared state at all.
    """

    counts: Counter[str] = field(default_factory=Counter)
    values: dict[str, Any] = field(default_factory=dict)
    work: Counter[str] = field(default_factory=Counter)
    ops: bool = False

    def add(self, value: object, changes: int, ops: bool = True) -> None:
        """Count one return; an error code that knows more (`migrate.Refusal`) is a number."""
        if isinstance(value, int) and not isinstance(value, bool | Enum):
            value = int(value)
        text = f"{type(value).__name__} {value!r}" if _is_plain(value) else OBJECT
        self.counts[text] += 1
        self.work[text] += changes
        self.ops = self.ops or ops
        if text != OBJECT and text not in self.values:
            self.values[text] = copy.deepcopy(value)

    def merge(self, other: Returns) -> None:
        """Add what another run counted."""
        self.counts.update(other.counts)
        self.values = {**other.values, **self.values}
        self.work.update(other.work)
        self.ops = self.ops or other.ops

    @property
    def success(self) -> str:
        """The text of what it returns on success, OBJECT if that never is plain data; ties go to the first by name.

        Of yes and no that is the one with which it changed more.
        """
        if {type(value) for value in self.values.values()} == {bool} and OBJECT not in self.counts:
            return min(self.counts, key=lambda text: (-self.work[text] / self.counts[text], -self.counts[text], text))
        good = {text: count for text, count in self.counts.items() if not _is_error(self.values.get(text))}
        plain = good.keys() - {OBJECT}
        return min(plain or good or self.counts, key=lambda text: (-self.counts[text], text))

    @property
    def same(self) -> bool:
        """Whether it does nothing but return one value, as far as was seen: its replacement is itself.

        What returns None and touches nothing is there for something that is no op, such as freeing.
        """
        only_one = len(self.counts) == 1 and self.success != OBJECT
        return only_one and not self.work.total() and (self.ops or self.success != NOTHING)


def _is_plain(value: object) -> bool:
    if value is None or isinstance(value, Enum) or type(value) in (bool, int, str):
        return True
    if type(value) in (list, tuple, set, frozenset):
        return all(map(_is_plain, value))  # type: ignore[call-overload]
    return type(value) is dict and all(_is_plain(key) and _is_plain(item) for key, item in value.items())


def _is_error(value: object) -> bool:
    return isinstance(value, int) and value < 0


def _playing() -> bool:
    """Say whether actors play: there a strategy is asked."""
    engine = live.engine
    return isinstance(engine, Controlled) and not engine.order_fixed


def _changes(op: int, old: object, new: object) -> bool:
    """Say whether an op left another state than it found."""
    if not op & 1:
        return False
    kind = op & KIND_MASK
    return not old if kind in SETS else bool(old) if kind in CLEARS else kind != WRITE or old != new


def tracing(name: str, seen: dict[str, Returns]) -> Variant:
    """Return the variant that is the model as it stands, and notes in `seen` what each function returned."""

    def traced(place: str, function: Function) -> Function:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            engine = live.engine
            if not (isinstance(engine, Controlled) and _playing()):
                return function(*args, **kwargs)
            me, begin = engine.running.id, len(engine.events)
            value = function(*args, **kwargs)
            mine = [(op, old, new) for task, op, old, new in engine.events[begin:] if task == me and op != NOTE]
            seen.setdefault(place, Returns()).add(value, sum(_changes(*op) for op in mine), bool(mine))
            return value

        return call

    bind = {place: traced(place, function) for place, function in functions().items()}
    return Variant(name, "the model as it stands, traced", bind)


# -- what stands there instead ---------------------------------------------------------------------------------------


def nothing(place: str, value: object, name: str) -> tuple[Variant, Reached]:
    """Return the variant in which a function returns `value` at once, and the count of its calls."""

    def instead(*args: Any, **kwargs: Any) -> Any:
        return copy.deepcopy(value)

    return _variant(name, f"{place} returns {value!r} at once", place, instead)


def without(wait: Wait, value: object, name: str) -> tuple[Variant, Reached]:
    """Return the variant in which one wait is left out and `value` stands for what it returns, and how often it was."""
    left_out = [0]

    def instead() -> object:
        left_out[0] += 1
        return copy.deepcopy(value)

    made = _rewritten(wait)(instead)
    variant, _ = _variant(name, f"{wait.place} does not do its {wait.callee}", wait.place, made)
    return variant, left_out


def _rewritten(wait: Wait) -> Callable[[Function], Function]:
    """Return what makes the function around a wait anew, with a call of its argument for the wait."""
    definition = copy.deepcopy(_definition(wait.place))
    assert definition is not None
    calls = [node for node in ast.walk(definition) if isinstance(node, ast.Call) and _callee(node) == wait.callee]
    call = calls[wait.number - 1]
    call.func, call.args, call.keywords = ast.Name(_INSTEAD, ast.Load()), [], []
    path, _, function = wait.place.partition(":")
    module = importlib.import_module(f"{kernel.__name__}.{path}")
    around = ast.parse(f"def make({_INSTEAD}):\n    return {function}")
    maker = around.body[0]
    assert isinstance(maker, ast.FunctionDef)
    maker.body.insert(0, definition)
    made: dict[str, Any] = {}
    flags = __future__.annotations.compiler_flag
    code = compile(ast.fix_missing_locations(around), str(module.__file__), "exec", flags, dont_inherit=True)
    exec(code, vars(module), made)
    make: Callable[[Function], Function] = made["make"]
    return make


def _variant(name: str, title: str, place: str, instead: Function) -> tuple[Variant, Reached]:
    function, reached = functions()[place], [0]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not _playing():
            return function(*args, **kwargs)
        reached[0] += 1
        return instead(*args, **kwargs)

    return Variant(name, title, {place: call}), reached
