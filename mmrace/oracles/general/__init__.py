"""Judges of any program: they know ops, locks and counts, and a program's names only as its tables give them.

``GENERAL`` maps a name to a judge; `bench.py` asks them and makes one verdict of their answers.
"""

from __future__ import annotations

from mmrace.oracles.general import (
    bug_on,
    data_race,
    liveness,
    lock_discipline,
    lock_order,
    raised,
    refcount,
    use_after_free,
)
from mmrace.oracles.general.judgement import Oracle

__all__ = ["GENERAL"]

GENERAL: dict[str, Oracle] = {
    refcount.NAME: refcount.judge,
    use_after_free.NAME: use_after_free.judge,
    lock_discipline.NAME: lock_discipline.judge,
    bug_on.NAME: bug_on.judge,
    liveness.NAME: liveness.judge,
    lock_order.NAME: lock_order.judge,
    data_race.NAME: data_race.judge,
    raised.NAME: raised.judge,
}
