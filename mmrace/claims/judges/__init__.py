"""Judges of the claims: what was said of the protocol, each as something that a record can show.

One claim a file, named by what it says; `../CLAIMS.md` tells all of them with their parts.  ``CLAIMS`` maps a name to a
claim; each part of it is a pure function of the record (`claim.py`).  What they share: `scene.py`, a record as claims
ask it; `reading.py`, the one pass over it, which fills `holds.py` (who held what when), `pointers.py` and `attempts.py`
(the stages that each attempt at a page reached, as `migration.py` has them); `ops.py`, a single op.

Invariant: a part that met no instance was not tested.  Not here: which runs put a claim to the test (`../programs.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmrace.claims.judges import (
    c0_commit_without_page_lock,
    c1_order_of_events,
    c2_copy_under_all_locks,
    c3_no_other_reference,
    c4_commit_takes_buffer_lock,
    c5_copy_and_commit_apart,
    c6_copy_and_writeback_apart,
    c7_lookup_during_replace,
    c8_strip_under_page_lock,
    c9_private_lock_not_needed,
    c10_black_box_only,
    c11_async_locks_first,
    c12_async_does_not_block,
    c13_light_does_not_write,
    c14_nobody_else_at_the_page,
    c15_async_moves_dirty_pages,
    c16_dirty_pages_are_skipped,
    c17_refused_is_as_it_was,
    c18_fails_gracefully,
    c19_sync_became_mode,
    c20_compaction_for_huge_pages,
)
from mmrace.claims.judges.claim import Check, Claim, Example, Expect, Expected, Instances, Part
from mmrace.claims.judges.scene import scene
from mmrace.oracles.general.judgement import Fact
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record

__all__ = [
    "CLAIMS", "Check", "Claim", "Example", "Expect", "Expected", "Instances", "Part", "check_parts", "judge_claim",
    "judged", "part_named", "select",
]  # fmt: skip

CLAIMS: dict[str, Claim] = {
    file.CLAIM.name: file.CLAIM
    for file in (
        c0_commit_without_page_lock,
        c1_order_of_events,
        c2_copy_under_all_locks,
        c3_no_other_reference,
        c4_commit_takes_buffer_lock,
        c5_copy_and_commit_apart,
        c6_copy_and_writeback_apart,
        c7_lookup_during_replace,
        c8_strip_under_page_lock,
        c9_private_lock_not_needed,
        c10_black_box_only,
        c11_async_locks_first,
        c12_async_does_not_block,
        c13_light_does_not_write,
        c14_nobody_else_at_the_page,
        c15_async_moves_dirty_pages,
        c16_dirty_pages_are_skipped,
        c17_refused_is_as_it_was,
        c18_fails_gracefully,
        c19_sync_became_mode,
        c20_compaction_for_huge_pages,
    )
}


def select(names: Sequence[str]) -> tuple[Claim, ...]:
    """Return the claims of these names, all of them without names.  Raises UsageError."""
    wanted = [name.upper() for name in names] or list(CLAIMS)
    for name in wanted:
        if name not in CLAIMS:
            raise UsageError(expected=f"a claim out of {', '.join(CLAIMS)}", got=name, where="claims")
    return tuple(claim for name, claim in CLAIMS.items() if name in wanted)


def part_named(name: str) -> Part:
    """Return a part of a claim.  Raises UsageError."""
    found = next((part for claim in CLAIMS.values() for part in claim.parts if part.name == name), None)
    if found is None:
        known = ", ".join(part.name for claim in CLAIMS.values() for part in claim.parts)
        raise UsageError(expected=f"a part of a claim out of {known}", got=name, where="claim")
    return found


def judged(record: Record, part: Part) -> dict[str, Fact]:
    """Return what one record says of a part, as JSON values: the verdict on this record alone, and what it rests on."""
    found = check_parts(record, [part])[part.name]
    if not found.tested:
        verdict = "not tested"
    elif part.exists:
        verdict = "true" if found.times else "not shown"
    else:
        verdict = "false as worded" if found.times else "held"
    example = found.example
    return {
        "part": part.name,
        "verdict": verdict,
        "tested": found.tested,
        "times": found.times,
        "title": "" if example is None else example.title,
        "steps": [] if example is None else list(example.steps),
        "facts": {} if example is None else example.facts,
    }


def judge_claim(record: Record, name: str) -> dict[str, Fact]:
    """Judge a part of a claim, by its name, on one record; see `judged`.  Raises UsageError for an unknown name."""
    return judged(record, part_named(name))


def check_parts(record: Record, parts: Iterable[Part]) -> dict[str, Instances]:
    """Ask parts of claims about one record, then let go of it."""
    try:
        return {part.name: part.check(record) for part in parts}
    finally:
        scene.cache_clear()
