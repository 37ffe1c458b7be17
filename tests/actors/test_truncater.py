"""The truncater takes pages out of the cache, and readers and migrations get out of its way.

What is drawn has fixed seeds.
"""

from __future__ import annotations

import pytest

from mmrace.installed import run_one
from mmrace.runs.spec import RunSpec

MARKS = {"truncate: page lock busy", "migrate: freed meanwhile", "read: page gone while waiting for its lock"}


@pytest.mark.slow
def test_truncation_meets_reader_reclaim_and_migration_and_everything_holds() -> None:
    reached: set[str] = set()
    for seed in range(60):
        result = run_one(RunSpec("reclaim-vs-truncate", engine="fiber", strategy="pos", seed=seed))
        assert result.verdict == "PASS", result.findings
        reached |= result.marks.keys()
    assert reached >= MARKS
