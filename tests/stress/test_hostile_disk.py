"""A disk that is full at any of fifty places: what a store says that it kept is there, the rest when there is room."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmrace.runs.store import FindingStore
from stress.full_store import Disk, batches_kept, failing, refused, unread
from stress.hostile_disk import SAVED, UNKEPT, Ran, main


@pytest.mark.slow
def test_a_ledger_keeps_what_it_says_on_a_disk_that_is_full_at_any_of_fifty_places(tmp_path: Path) -> None:
    assert list(batches_kept(tmp_path, 50)) == []


def test_a_ledger_that_loses_a_batch_in_silence_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BUGGY: of a write that came short, the rest is dropped."""
    monkeypatch.setattr(Disk, "write", _lossy)
    assert any("runs are kept, and it says that" in wrong for wrong in batches_kept(tmp_path, 3))


def _lossy(disk: Disk, descriptor: int, content: bytes) -> int:
    disk.room -= len(part := content[: max(0, disk.room)])
    os.write(descriptor, part)
    return len(content)


@pytest.mark.slow
def test_findings_are_whole_or_said_to_be_not_kept_on_disks_of_all_sizes(capfd: pytest.CaptureFixture[str]) -> None:
    if why := refused():
        pytest.skip(f"no mounts of one's own here: {why}")
    assert main(["findings", "--positions", "16"]) == 0
    told = capfd.readouterr().out
    assert "16 sizes" in told and "said to be not kept" in told and "nothing is wrong" in told
    assert " 0 of 64 said" not in told, "some disks were full"


def test_a_finding_that_is_not_whole_would_be_seen(tmp_path: Path) -> None:
    kept = FindingStore(tmp_path).save(failing(1))
    [folder] = [saved.folder for saved in kept.values()]
    assert list(unread([folder])) == []
    record = Path(folder, "record.jsonl")
    record.write_bytes(record.read_bytes()[:-100])
    [wrong] = unread([folder])
    assert wrong.startswith(str(record))


def test_what_a_report_says_of_what_is_kept_is_read_off() -> None:
    told = "  new; saved in /a/b/findings/0123456789ab\nunkept: 1,204 runs are not in the ledger: No space left"
    assert SAVED.findall(told) == ["/a/b/findings/0123456789ab"]
    assert UNKEPT.findall(told) == ["1,204"]
    assert Ran(1, "", "").wrong(1) == [] and Ran(1, "", "").wrong(0, 2)
    assert Ran(1, "", "Traceback (most recent call last)").wrong(1)
