"""Claims of exclusion: what was said of the protocol, each as something that a record can show.

``CLAIMS`` maps a name to a claim; each part of it is a pure function of the record (`claim.py`).  Invariant: a part
that met no instance was not tested.  Not here: which runs put a claim to the test (`claims/driver.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from mmrace.claims.judges import c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c11, c12, c13, c14
from mmrace.claims.judges.claim import Check, Claim, Example, Expected, Instances, Part
from mmrace.claims.judges.scene import scene
from mmrace.runtime.record import Record

__all__ = ["CLAIMS", "Check", "Claim", "Example", "Expected", "Instances", "Part", "check_parts"]

C10 = Claim(
    "C10", says="tested with ext3 as a black box only; nothing unusual was seen",
    untested="it tells what was tested, not what holds: no record can refute it",
)  # fmt: skip

CLAIMS: dict[str, Claim] = {
    claim.name: claim
    for claim in (
        c0.CLAIM, c1.CLAIM, c2.CLAIM, c3.CLAIM, c4.CLAIM, c5.CLAIM, c6.CLAIM, c7.CLAIM, c8.CLAIM, c9.CLAIM, C10,
        c11.CLAIM, c12.CLAIM, c13.CLAIM, c14.CLAIM,
    )
}  # fmt: skip


def check_parts(record: Record, parts: Iterable[Part]) -> dict[str, Instances]:
    """Ask parts of claims about one record, then let go of it."""
    try:
        return {part.name: part.check(record) for part in parts}
    finally:
        scene.cache_clear()
