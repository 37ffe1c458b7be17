"""Eras, as claims speak of them: those before something that the series changed, by name.

Invariant: what is expected of an era comes from a reading of its source (PROTOCOL.md has the table), with a reason; it
decides an exit code, never a verdict.  Not here: what an era does otherwise (`mmrace/history/eras/`).
"""

from __future__ import annotations

from collections.abc import Iterable

from mmrace.claims.judges.claim import Expect, Expected

BEFORE = ("3.1", "3.2")
"""Before the patch of the mail: async refuses dirty pages, and sleeps for the buffers of clean ones."""
WITHOUT_LIGHT = (*BEFORE, "3.2+trylock")
"""Before there was SYNC_LIGHT: what is not async waits for writeback, and writes what it cannot move."""
LATE_CUT = ("3.4",)
"""Where the old page's mapping is cleared after its ptes are restored, not at the end of the copy."""


def expected_in(eras: Iterable[str], what: Expected, why: str) -> dict[str, Expect]:
    """Say what is expected of a part in these eras, and why."""
    return {era: Expect(what, why) for era in eras}
