"""The text of a strategy, as `--strategy`, specs and records have it: ``name``, or ``name:key=value,key=value``.

Invariant: nothing else takes such a text apart.  Not known here: which strategies there are (`registry.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from mmrace.runtime.errors import UsageError, unknown
from mmrace.strategies.contract import Options

WHERE = "--strategy"


@dataclass(frozen=True, slots=True)
class StrategyText:
    """A text, taken apart: the name, and the options as they were written."""

    name: str
    pairs: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> StrategyText:
        """Take a text apart."""
        name, _, options = text.partition(":")
        return cls(name, tuple(filter(None, options.split(","))))

    def options(self, defaults: Options) -> dict[str, int | str]:
        """Return all options, typed like their defaults.  Raises UsageError for one that does not exist."""
        options = dict(defaults)
        for pair in self.pairs:
            key, equals, value = pair.partition("=")
            if key not in options:
                raise unknown(f"an option of {self.name}", key, options, where=WHERE)
            if not equals:
                raise UsageError(expected=f"a value of {self.name}:{key}", got=pair, where=WHERE, try_=f"{key}=VALUE")
            if not isinstance(options[key], int):
                options[key] = value
            elif value.removeprefix("-").isdecimal():
                options[key] = int(value)
            else:
                raise UsageError(expected=f"a number for {key}", got=value, where=WHERE)
        return options
