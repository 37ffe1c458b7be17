"""Word-wise data: an array whose words are objects of their own.

Data, disk blocks, the slots of a tree: each word is read and written by one op, so a copy has a point between any two
words.  Invariant: one op touches one word, which is there.
"""

from __future__ import annotations

from typing import Any

from mmrace.runtime import live
from mmrace.runtime.fields import Owner, Part
from mmrace.runtime.kinds import READ, SHIFT, WRITE
from mmrace.runtime.struct import joined
from mmrace.runtime.task import Guard


class Words:
    """`n` words, each a lane.  `values` is the raw content, for snapshots."""

    __slots__ = ("code", "guard", "of", "values")

    def __init__(self, code: int, guard: Guard | None, n: int, fill: Any, of: object) -> None:
        self.code = code
        self.of = of  # its struct's name
        self.guard = guard
        self.values: list[Any] = [fill] * n

    def __len__(self) -> int:
        return len(self.values)

    def read(self, i: int) -> Any:
        """Return word `i`.  Raises IndexError unless 0 <= i < n.  Point: always."""
        if not 0 <= i < len(self.values):
            raise self._no_word(i)
        code = self.code + (i << SHIFT | READ)
        task = live.access(self, code)
        value = self.values[i]
        task.log((task.id, code, value, None))
        return value

    def write(self, i: int, value: Any) -> None:
        """Store word `i`.  Raises IndexError unless 0 <= i < n.  Point: always."""
        if not 0 <= i < len(self.values):
            raise self._no_word(i)
        code = self.code + (i << SHIFT | WRITE)
        task = live.access(self, code)
        old = self.values[i]
        self.values[i] = value
        task.log((task.id, code, old, value))

    def preset(self, values: list[Any]) -> None:
        """Set all words at once to what they hold before anybody looks at them; it is no op.  Point: never.

        Raises ValueError unless there is one value for each word.
        """
        if len(values) != len(self.values):
            raise ValueError(f"preset of {joined(self.of)}: expected {len(self.values)} words, got {len(values)}")
        self.values[:] = values

    def _no_word(self, i: int) -> IndexError:
        """Return what is raised before the point: an op that was announced has to be done, or no replay follows it."""
        n = len(self.values)
        return IndexError(f"word {i} of {joined(self.of)}, which has {f'words 0..{n - 1}' if n else 'no words'}")


class _WordsPart(Part):
    sized = True

    def __init__(self, fill: object) -> None:
        self.fill = fill

    def build(self, code: int, guard: Guard | None, owner: Owner, size: int) -> Words:
        return Words(code, guard, size, self.fill, owner.name_)

    def lane_names(self, size: int) -> list[str]:
        return [f"[{i}]" for i in range(size)]


def words(fill: object = 0) -> Words:
    """Declare an array of words; its length is the keyword of the same name when the struct is made (one a struct)."""
    part: Any = _WordsPart(fill)
    return part  # type: ignore[no-any-return]
