"""The parameters of one scenario: the declarations of its cast and of the set-up, and the check of what it is told.

Invariant: values that come out are complete, typed and allowed.  Not checked: whether they make sense together.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping

from mmrace.actors.param import AnyParam, Value, Values
from mmrace.runtime.errors import InternalError, UsageError


class Parameters(Mapping[str, AnyParam]):
    """Declarations by name.

    Args: owner: the scenario's name.  declared: by all who read one; the same declaration may come several times.
    defaults: where the scenario's differ from the declared ones.
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
            try_=f"did you mean {close[0]}?" if close else "`mmrace list params` tells which scenarios have which",
        )

    def merged(self, values: Mapping[str, Value]) -> Values:
        """Return the defaults with `values` over them.  Raises UsageError."""
        return {**self.defaults, **{name: self.find(name).check(value) for name, value in values.items()}}

    def typed(self, texts: Mapping[str, str]) -> Values:
        """Return values that were given as texts.  Raises UsageError."""
        return {name: self.find(name).read(text) for name, text in texts.items()}
