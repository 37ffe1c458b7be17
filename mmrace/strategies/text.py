"""The text of a strategy, as `--strategy`, specs and records have it: ``name``, or ``name:key=value,key=value``.

Invariant: nothing else takes such a text apart.  Not known here: which strategies there are (`registry.py`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from mmrace.runtime.errors import UsageError
from mmrace.strategies.contract import Options

WHERE = "--strategy"


def unknown(kind: str, name: str, known: Iterable[str], more: str = "") -> UsageError:
    """Return the error for a name that does not exist; it names those that do, and the closest.  Args: more: to try."""
    known = list(known)
    close = difflib.get_close_matches(name, known)
    hint = f"did you mean {' or '.join(close)}?" if close else ""
    article = "an" if kind[0] in "aeiou" else "a"
    expected = f"{article} {kind} out of {', '.join(known)}" if known else f"no {kind}"
    return UsageError(expected=expected, got=name, where=WHERE, try_=" ".join(filter(None, (hint, more))))


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
                raise unknown(f"option of {self.name}", key, options)
            if not equals:
                raise UsageError(expected=f"a value of {self.name}:{key}", got=pair, where=WHERE, try_=f"{key}=VALUE")
            if not isinstance(options[key], int):
                options[key] = value
            elif value.removeprefix("-").isdecimal():
                options[key] = int(value)
            else:
                raise UsageError(expected=f"a number for {key}", got=value, where=WHERE)
        return options
