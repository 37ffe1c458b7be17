"""What killed processes leave among findings: a finding gets its name back, half a one goes, the rest stays."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace.runs import store as store_
from mmrace.runs.leftovers import LEFT_SECONDS, put_back
from mmrace.runs.spec import RunSpec
from mmrace.runs.store import FindingStore, harness_finding

HIDDEN = ".mmrace-0123456789abcdef.part"
SPEC, OTHER = RunSpec("four", seed=3), RunSpec("four", variant="double-put")


class Killed(BaseException):
    """The process is gone."""


def save(folder: Path, spec: RunSpec = SPEC) -> str:
    finding = harness_finding("a rule", "a title", None)
    assert not FindingStore(folder).save_finding(spec, finding).error
    return finding.signature


def test_a_finding_whose_process_was_killed_while_it_gave_way_is_put_back(tmp_path: Path) -> None:
    """BUG once: between its two renames a kill took the finding along."""
    signature = save(tmp_path)
    os.rename(tmp_path / signature, tmp_path / f"{HIDDEN}.old")
    assert put_back(tmp_path) == [signature]
    assert [path.name for path in tmp_path.iterdir()] == [signature]
    assert put_back(tmp_path) == []


def test_whose_name_another_program_has_by_now_is_put_beside_it(tmp_path: Path) -> None:
    signature = save(tmp_path)
    os.rename(tmp_path / signature, tmp_path / f"{HIDDEN}.old")
    save(tmp_path, OTHER)
    assert put_back(tmp_path) == [signature]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[0] == signature and names[1].startswith(f"{signature}-") and len(names) == 2


def test_what_gave_way_already_and_what_is_half_made_goes_when_nobody_can_be_at_it(tmp_path: Path) -> None:
    signature = save(tmp_path)
    for name in (HIDDEN, f"{HIDDEN}.old"):
        (tmp_path / name).mkdir()
    (tmp_path / ".of-somebody-else").mkdir()
    made = (tmp_path / HIDDEN).stat().st_mtime
    assert put_back(tmp_path, lambda: made + LEFT_SECONDS - 1) == []
    assert len(list(tmp_path.iterdir())) == 4
    put_back(tmp_path, lambda: made + LEFT_SECONDS + 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".of-somebody-else", signature]


@pytest.mark.parametrize("signature", ["a/b", "..", "../../x", "\0", "/"])
def test_a_signature_that_is_no_name_leads_nowhere_else(tmp_path: Path, signature: str) -> None:
    """BUG once: every campaign on such a store ended as a bug of mmrace."""
    finding = replace(harness_finding("a rule", "a title", None), signature=signature)
    folder = tmp_path / "store" / "findings"
    assert not FindingStore(folder).save_finding(SPEC, finding).error
    [kept] = folder.iterdir()
    os.rename(kept, folder / f"{HIDDEN}.old")
    assert put_back(folder) == [signature]
    assert list(folder.iterdir()) == [kept] and [path.name for path in tmp_path.iterdir()] == ["store"]


def test_where_nothing_is_there_is_nothing_to_put_back(tmp_path: Path) -> None:
    assert put_back(tmp_path / "none") == []


def test_what_killed_processes_left_does_not_count_as_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BUG once: after two hundred kills nothing was kept any more."""
    monkeypatch.setattr(store_, "FOLDERS_MAX", 2)
    for number in range(2):
        (tmp_path / f".mmrace-{number:016x}.part").mkdir()
    save(tmp_path)
