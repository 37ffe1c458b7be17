"""Parameters: what a run can be told.  Each is declared once, by whoever reads it; a program collects its own.

Invariant: a value that was checked has the declared type and is one of the allowed ones; a program gets all its values.
Not checked: whether values make sense together.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeAlias, TypeVar, cast

from mmrace.runtime.errors import InternalError, UsageError

Value: TypeAlias = int | str
Values: TypeAlias = dict[str, Value]
"""Values by name of the parameter."""

T = TypeVar("T", int, str)


@dataclass(frozen=True)
class Param(ABC, Generic[T]):
    """One declaration.  Args: default: what a run gets unless it is told otherwise.  says: what the value means."""

    name: str
    default: T
    says: str = field(kw_only=True)

    @property
    @abstractmethod
    def allowed(self) -> str:
        """The allowed values, for a table."""

    @property
    @abstractmethod
    def wanted(self) -> str:
        """The allowed values, for an error."""

    @abstractmethod
    def check(self, value: object) -> T:
        """Return `value`.  Raises UsageError if it is not allowed."""

    @abstractmethod
    def read(self, text: str) -> T:
        """Return the value that a text stands for.  Raises UsageError."""

    def value_in(self, values: Mapping[str, Value]) -> T:
        """Return its value among checked ones, or its default if it is not there."""
        return cast("T", values.get(self.name, self.default))

    def with_default(self, default: Value) -> Param[T]:
        """Return the same declaration with another default.  Raises UsageError if that is not allowed."""
        return replace(self, default=self.check(default))

    def refusal(self, got: object) -> UsageError:
        """Return the error for a value that is not allowed."""
        return UsageError(
            expected=self.wanted,
            got=got,
            where=f"--param {self.name}",
            try_=f"--param {self.name}={self.default}",
        )


@dataclass(frozen=True)
class Number(Param[int]):
    """A whole number from `low` to `high`, both included; None: no bound on that side."""

    low: int | None = None
    high: int | None = None

    @property
    def allowed(self) -> str:
        """The range."""
        low, high = ("" if bound is None else str(bound) for bound in (self.low, self.high))
        return f"{low}..{high}" if low or high else "any number"

    @property
    def wanted(self) -> str:
        """The range, in words."""
        return "a whole number" if self.low is self.high is None else f"a number in {self.allowed}"

    def check(self, value: object) -> int:
        """Return the number.  Raises UsageError for another type, or a number out of range."""
        if not isinstance(value, int):
            raise self.refusal(value)
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise self.refusal(value)
        return value

    def read(self, text: str) -> int:
        """Return the number that is written there.  Raises UsageError."""
        try:
            return self.check(int(text))
        except ValueError:
            raise self.refusal(text) from None


TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Flag(Param[int]):
    """True or false."""

    @property
    def allowed(self) -> str:
        """Both."""
        return "true, false"

    @property
    def wanted(self) -> str:
        """Both, in words."""
        return "true or false"

    def check(self, value: object) -> bool:
        """Return the truth value.  Raises UsageError for anything but one, 0 and 1."""
        if isinstance(value, int) and value in (0, 1):
            return bool(value)
        raise self.refusal(value)

    def read(self, text: str) -> bool:
        """Return the truth value that a text stands for, in either case.  Raises UsageError."""
        if text.lower() in TRUTH:
            return TRUTH[text.lower()]
        raise self.refusal(text)


@dataclass(frozen=True)
class Text(Param[str]):
    """Any text.  What it may name, the reader checks."""

    @property
    def allowed(self) -> str:
        """No bounds."""
        return "any text"

    @property
    def wanted(self) -> str:
        """The type."""
        return "a text"

    def check(self, value: object) -> str:
        """Return the text.  Raises UsageError for another type."""
        if isinstance(value, str):
            return value
        raise self.refusal(value)

    def read(self, text: str) -> str:
        """Return the text.  Raises UsageError."""
        return self.check(text)


@dataclass(frozen=True)
class Choice(Text):
    """One of `choices`."""

    choices: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The choices."""
        return ", ".join(self.choices)

    @property
    def wanted(self) -> str:
        """The choices, in words."""
        return f"one of {self.allowed}"

    def check(self, value: object) -> str:
        """Return the choice.  Raises UsageError for anything else."""
        if isinstance(value, str) and value in self.choices:
            return value
        raise self.refusal(value)


AnyParam: TypeAlias = Param[int] | Param[str]


class Parameters(Mapping[str, AnyParam]):
    """Declarations by name.

    Args: owner: the program's name.  declared: by all who read one; the same declaration may come several times.
    defaults: where the program's differ from the declared ones.
    """

    def __init__(self, owner: str, declared: Iterable[AnyParam], defaults: Mapping[str, Value] | None = None) -> None:
        self.owner = owner
        self._declared: dict[str, AnyParam] = {}
        for param in declared:
            if self._declared.setdefault(param.name, param) is not param:
                raise InternalError(f"parameter {param.name} of {owner} is declared twice")
        for name, default in (defaults or {}).items():
            self._declared[name] = self.find(name).with_default(default)

    def __getitem__(self, name: str) -> AnyParam:
        return self._declared[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)

    @property
    def defaults(self) -> Values:
        """Every parameter with its default."""
        return {name: param.default for name, param in self._declared.items()}

    def find(self, name: str) -> AnyParam:
        """Return a declaration.  Raises UsageError that says which there are, and a close one."""
        if name in self._declared:
            return self._declared[name]
        close = difflib.get_close_matches(name, self._declared, n=1)
        raise UsageError(
            expected=f"a parameter of {self.owner}: {', '.join(self._declared)}",
            got=name,
            where="--param",
            try_=f"did you mean {close[0]}?" if close else "",
        )

    def merged(self, values: Mapping[str, Value]) -> Values:
        """Return the defaults with `values` over them.  Raises UsageError."""
        return {**self.defaults, **{name: self.find(name).check(value) for name, value in values.items()}}

    def typed(self, texts: Mapping[str, str]) -> Values:
        """Return values that were given as texts.  Raises UsageError."""
        return {name: self.find(name).read(text) for name, text in texts.items()}


def smaller(declared: Mapping[str, AnyParam], values: Mapping[str, Value]) -> Iterator[Values]:
    """Yield values of programs that do less: all numbers at their lowest, then each at its lowest, halfway, one less.

    A number without a bound goes towards 0; a text stays.
    """
    lows = {name: _low(param) for name, param in declared.items()}
    numbers = {
        name: (value, low) for name, low in lows.items() if isinstance(value := values[name], int) and value > low
    }
    if len(numbers) > 1:
        yield {**values, **{name: low for name, (_, low) in numbers.items()}}
    for name, (value, low) in numbers.items():
        for other in dict.fromkeys((low, (low + value) // 2, value - 1)):
            yield {**values, name: other}


def _low(param: AnyParam) -> int:
    return param.low or 0 if isinstance(param, Number) else 0
