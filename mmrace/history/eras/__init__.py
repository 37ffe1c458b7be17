"""The eras, one a file: what each is otherwise than its neighbour towards 3.3, as `ERA`.

Invariant: `ERAS` has them as time does.
"""

from __future__ import annotations

from pathlib import Path

from mmrace.history.era import OWN, Era
from mmrace.history.eras import v3_1, v3_2, v3_2_sync_light, v3_2_trylock, v3_3, v3_4
from mmrace.runtime.errors import unknown

_MODULES = (v3_1, v3_2, v3_2_trylock, v3_2_sync_light, v3_3, v3_4)
ERAS: dict[str, Era] = {module.ERA.name: module.ERA for module in _MODULES}
"""Name -> era, the oldest first."""


def get(name: str) -> Era:
    """Return an era, the model's own for "".  Raises UsageError that lists them if there is none of the name."""
    if name and name not in ERAS:
        raise unknown("an era", name, ERAS, where="--era", try_="`mmrace list eras` says what each is")
    return ERAS[name or OWN]


def sources(era: Era) -> tuple[Path, ...]:
    """Return the files that make an era of the model: those of its stack that bind something."""
    stack = {one.name for one in era.stack if one.bind}
    return tuple(Path(str(module.__file__)) for module in _MODULES if module.ERA.name in stack)
