"""Each example, all the way: found, made smaller, explained, kept as a test, red."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

import mmrace
from mmrace.examples import bounded_queue, lost_update, lost_wakeup, page_move, torn_read, two_locks
from tests import in_process
from tests.plugin.sessions import session

BUGS = {
    "lost_update": (lost_update, "AssertionError"),
    "two_locks": (two_locks, "cycle"),
    "lost_wakeup": (lost_wakeup, "lost-wakeup"),
    "torn_read": (torn_read, "torn"),
    "page_move": (page_move, "unlock by a stranger"),
    "bounded_queue": (bounded_queue, "stuck"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("module", "rule"), BUGS.values(), ids=BUGS)
def test_an_example_is_found_made_smaller_explained_and_kept(
    module: ModuleType,
    rule: str,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = mmrace.explore(module.main, exhaustive=True, folder=pytester.path)
    finding = next(finding for finding in found.findings if finding.rule == rule)
    folder = found.records[finding.signature].parent
    minimal = mmrace.minimise(folder, runs=150, out=folder / "minimal.json")
    assert minimal.shrunk.after.turns <= minimal.shrunk.before.turns
    assert (minimal.replayed.same, minimal.replayed.of) == (5, 5)
    assert in_process.run(monkeypatch, "explain", str(folder)) == 0
    assert f"[{finding.signature}]" in capsys.readouterr().out
    assert in_process.run(monkeypatch, "keep", str(folder), "--name", "it") == 0
    done = session(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines([f"*[[]{finding.signature}[]]"])
    mended = mmrace.replay(Path(pytester.path, "it.json"), program=module.mended, near=20)
    unknown = rule == "lost-wakeup"  # its twin wakes by another function, of which the schedule knows nothing
    assert mended.verdict == ("UNKNOWN" if unknown else "PASS")
