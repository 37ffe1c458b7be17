"""Bugs planted in the kernel model by rebinding its functions, and what the judges say of them over some seeds."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pytest

from mmrace import runtime as rt
from mmrace.installed import run_one
from mmrace.kernel.fs import buffer
from mmrace.kernel.jbd import commit, jbd, transaction
from mmrace.kernel.jbd.jbd import JList, Journal, Transaction
from mmrace.oracles.general.judgement import Finding
from mmrace.oracles.protocol import conservation
from mmrace.runs.spec import RunSpec
from mmrace.runtime.param import Value

SEEDS = 20
STRATEGIES = ("random", "pos", "pct", "random-delays")
"""In turn: what one hardly ever shows, such as an I/O that ends late, is usual under another."""
OFTEN = (40, ("surw",))
"""Seeds and strategies for a bug that one run in three shows: that none of them does has a chance of one in a
million."""


def findings(
    scenario: str,
    bind: Mapping[str, Callable[..., object]],
    params: Mapping[str, Value] | None = None,
    seeds: int = SEEDS,
    strategies: Sequence[str] = STRATEGIES,
) -> list[Finding]:
    """Return what every judge finds in runs of a scenario, one seed after the other.

    Args: bind: "module:name" under `mmrace.kernel` -> what stands there instead.
    """
    found: list[Finding] = []
    given = tuple(sorted((params or {}).items()))
    with pytest.MonkeyPatch.context() as patch:
        for place, new in bind.items():
            module, _, name = place.partition(":")
            patch.setattr(importlib.import_module(f"mmrace.kernel.{module}"), name, new)
        for seed in range(seeds):
            strategy = strategies[seed % len(strategies)]
            found += run_one(RunSpec(scenario, given, engine="fiber", strategy=strategy, seed=seed)).findings
    return found


def unfile_all(journal: Journal, commit_transaction: Transaction, jlist: JList) -> None:
    """Let a commit let go of all buffers on one of its lists of data, without I/O and without waiting for any."""
    rt.spin_lock(journal.j_list_lock)
    while jhs := getattr(commit_transaction, conservation.LISTS[jlist.name]):
        jh = jhs[0]
        bh = jbd.jh2bh(jh)
        buffer.get_bh(bh, "commit")
        if not commit.inverted_lock(journal, bh):
            buffer.put_bh(bh, "commit")
            rt.spin_lock(journal.j_list_lock)
            continue
        if commit._still_on(bh, jh, commit_transaction, jlist):
            transaction.__journal_unfile_buffer(jh)
        jbd.jbd_unlock_bh_state(bh)
        commit.release_data_buffer(bh)
    rt.spin_unlock(journal.j_list_lock)


def rules(found: list[Finding]) -> Counter[tuple[str, str]]:
    """Count findings by judge and rule."""
    return Counter((finding.oracle, finding.rule) for finding in found)
