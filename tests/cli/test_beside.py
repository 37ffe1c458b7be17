"""Who is told what happens beside whoever shows it."""

from __future__ import annotations

from typing import Any

from mmrace.cli.beside import BEAT_SECONDS, Heartbeat, Several
from mmrace.report.progress import Silent
from mmrace.search.totals import Hit
from tests.cli.clock import Clock
from tests.report.test_campaign_report import FINDING, SPEC, failed, trial


def test_a_heartbeat_comes_once_a_minute_with_runs_findings_and_memory(logged: list[dict[str, Any]]) -> None:
    clock = Clock()
    heart, result = Heartbeat(clock), failed()
    for passed in range(3 * int(BEAT_SECONDS)):
        clock.now = float(passed)
        heart.progress(result)
        if passed == 7:
            result.scenarios["alpha"].runs += 600
    assert [beat["event"] for beat in logged] == ["heartbeat"] * 2
    first, second = logged
    assert (first["runs"], first["runs_per_second"], second["runs_per_second"]) == (3603, 10.0, 0.0), (
        "those that a campaign goes on with were not made in this minute"
    )
    assert (first["findings"], first["canaries_found"], first["canaries"]) == (2, 1, 2)
    assert (first["memory"], first["workers_lost"]) == ({"free.0": 51 << 20}, 3)


def test_each_observer_is_told_everything() -> None:
    told: list[str] = []

    class Noting(Silent):
        def progress(self, result: object) -> None:
            told.append("progress")

        def found(self, hit: Hit) -> None:
            told.append(hit.finding.signature)

        def canary(self, trial: Any) -> None:
            told.append(trial.canary.name)

    several = Several([Noting(), Noting()])
    several.progress(failed())
    several.found(Hit(FINDING, SPEC, "main", 3))
    several.canary(trial(True, 3))
    assert told == ["progress"] * 2 + ["abc123abc123"] * 2 + ["lost-copy"] * 2
