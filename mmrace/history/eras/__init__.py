"""The eras, one a file: what each is otherwise than its neighbour towards 3.3, as `ERA`.

Invariant: `ERAS` has them as time does.
"""

from __future__ import annotations

from mmrace.history.era import OWN, Era
from mmrace.history.eras import v3_1, v3_2, v3_2_sync_light, v3_2_trylock, v3_3, v3_4
from mmrace.runtime.errors import unknown

ERAS: dict[str, Era] = {
    module.ERA.name: module.ERA for module in (v3_1, v3_2, v3_2_trylock, v3_2_sync_light, v3_3, v3_4)
}
"""Name -> era, the oldest first."""


def get(name: str) -> Era:
    """Return an era, the model's own for "".  Raises UsageError that lists them if there is none of the name."""
    if name and name not in ERAS:
        raise unknown("an era", name, ERAS, where="--era", try_="`mmrace list eras` says what each is")
    return ERAS[name or OWN]
