"""Findings of many runs by signature."""

from __future__ import annotations

from mmrace.oracles.general.judgement import Finding
from mmrace.runs.spec import RunSpec
from mmrace.runs.store import Saved
from mmrace.search.totals import Hit, Hits


def hit(program: str, folder: str, *, before: bool) -> Hit:
    finding = Finding("content", "rule", "title", {}, "s1")
    return Hit(finding, RunSpec(program), "main", 0, Saved(folder, before=before))


def test_a_finding_tells_of_the_folder_of_its_own_program() -> None:
    """BUG once: the commands of one program replayed what another had just left under the same signature."""
    hits = Hits()
    assert [
        hits.add(hit(name, folder, before=before))
        for name, folder, before in (
            ("alpha", "s1", True),
            ("beta", "s1-beta", False),
        )
    ] == [True, False]
    assert (hits["s1"].saved.folder, hits["s1"].times) == ("s1", 2)
    hits.add(hit("alpha", "s1", before=False))
    assert not hits["s1"].saved.before
