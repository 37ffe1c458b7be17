"""Claim C10: the patch was tested with ext3, as a black box only."""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim

CLAIM = Claim(
    "C10", says="tested with ext3 as a black box only; nothing unusual was seen",
    untested="it tells what was tested, not what holds: no record can refute it",
)  # fmt: skip
