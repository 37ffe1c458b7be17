"""Parameters: what a run can be told.  Each is declared once, in the file that reads it.

A file lists the declarations that it reads in its ``PARAMS``; a scenario collects those of its cast and of the set-up.
Invariant: a value that passed `check` has the declared type and is one of the allowed ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Generic, TypeAlias, TypeVar, cast

from mmrace.runtime.errors import UsageError

Value: TypeAlias = int | str
Values: TypeAlias = dict[str, Value]
"""Values by name of the parameter."""

T = TypeVar("T", int, str)


@dataclass(frozen=True)
class Param(ABC, Generic[T]):
    """One declaration.  Args: default: what a run gets unless it is told otherwise.  says: what the value means."""

    KIND: ClassVar[str]
    name: str
    default: T
    says: str = field(kw_only=True)

    @property
    @abstractmethod
    def allowed(self) -> str:
        """The allowed values, for a table."""

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
            expected=f"{self.KIND} {self.allowed}",
            got=got,
            where=f"--param {self.name}",
            try_=f"--param {self.name}={self.default}",
        )


@dataclass(frozen=True)
class Number(Param[int]):
    """A whole number from `low` to `high`, both included."""

    KIND = "a number in"
    low: int
    high: int

    @property
    def allowed(self) -> str:
        """The range."""
        return f"{self.low}..{self.high}"

    def check(self, value: object) -> int:
        """Return the number.  Raises UsageError for another type, or a number out of range."""
        if isinstance(value, int) and self.low <= value <= self.high:
            return value
        raise self.refusal(value)

    def read(self, text: str) -> int:
        """Return the number that is written there.  Raises UsageError."""
        try:
            return self.check(int(text))
        except ValueError:
            raise self.refusal(text) from None


@dataclass(frozen=True)
class Text(Param[str]):
    """Any text.  What it may name, the reader checks."""

    KIND = "any"

    @property
    def allowed(self) -> str:
        """No bounds."""
        return "text"

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

    KIND = "one of"
    choices: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The choices."""
        return ", ".join(self.choices)

    def check(self, value: object) -> str:
        """Return the choice.  Raises UsageError for anything else."""
        if isinstance(value, str) and value in self.choices:
            return value
        raise self.refusal(value)


AnyParam: TypeAlias = Param[int] | Param[str]
