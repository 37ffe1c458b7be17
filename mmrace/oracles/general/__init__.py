"""Judges of any program: they know ops, locks and counts, and no name of the kernel's."""

from __future__ import annotations

from mmrace.oracles.general import (
    bug_on,
    data_race,
    liveness,
    lock_discipline,
    lock_order,
    refcount,
    use_after_free,
)
from mmrace.oracles.general.judgement import Oracle

GENERAL: dict[str, Oracle] = {
    refcount.NAME: refcount.judge,
    use_after_free.NAME: use_after_free.judge,
    lock_discipline.NAME: lock_discipline.judge,
    bug_on.NAME: bug_on.judge,
    liveness.NAME: liveness.judge,
    lock_order.NAME: lock_order.judge,
    data_race.NAME: data_race.judge,
}
