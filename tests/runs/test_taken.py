"""A finding's folder from elsewhere: taken in whole, counted once, and nothing that is better gives way to it."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace.oracles.general.judgement import Finding
from mmrace.report.finding import summary_text
from mmrace.runs import kept
from mmrace.runs import store as store_
from mmrace.runs import taken as taken_
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore
from mmrace.runs.taken import take_in
from mmrace.runtime.record import Record
from mmrace.strategies import retrace
from tests.search.campaign.stand_ins import record_of

SPEC = RunSpec("alpha", (("pages", 2),), "", "gate", "random", "off", 77)
FREE = replace(SPEC, engine="free", seed=3)


def keep(folder: Path, spec: RunSpec = SPEC, free: Record | None = None) -> Path:
    """Keep a finding in a store; return its folder."""
    record = record_of(spec)
    record.header["strategy"] = spec.strategy
    result = RunResult(spec, "FAIL", [Finding("content", "rule", "title", {}, "s1")], record=record, free=free)
    return Path(FindingStore(folder, summary_text).save(result)["s1"].folder)


def contents(folder: Path) -> dict[str, str]:
    """Return the files of a folder."""
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def hits(folder: Path) -> list[int]:
    """Return the seeds of a folder's further hits."""
    path = folder / kept.HITS
    return [json.loads(line)["seed"] for line in path.read_text().splitlines()] if path.exists() else []


def test_a_finding_is_taken_in_as_if_it_had_been_kept_there(tmp_path: Path) -> None:
    source = keep(tmp_path / "far away")
    there = contents(keep(tmp_path / "one of its own"))

    saved = take_in(source, FindingStore(tmp_path / "here"))

    assert (saved.before, saved.error) == (False, "")
    assert saved.folder == str(tmp_path / "here" / "s1")
    for name, text in contents(Path(saved.folder)).items():
        if name != kept.SUMMARY:  # it has a date
            assert text == there[name].replace(str(tmp_path / "one of its own"), str(tmp_path / "here")).replace(
                "'", ""
            )


def test_a_run_made_after_free_threads_finds_their_record_in_its_new_place(tmp_path: Path) -> None:
    controlled = replace(SPEC, engine="fiber", strategy=retrace.text(""))
    source = keep(tmp_path / "far", controlled, free=record_of(FREE))
    assert str(source) in (source / "command.txt").read_text()

    folder = Path(take_in(source, FindingStore(tmp_path / "here")).folder)

    strategy = retrace.text(str(folder / kept.FREE))
    assert Record.read(folder / kept.RECORD).header["strategy"] == strategy
    assert json.loads((folder / kept.SUMMARY).read_text())["spec"]["strategy"] == strategy
    assert str(source) not in "".join(contents(folder).values())
    assert (folder / kept.FREE).read_bytes() == (source / kept.FREE).read_bytes()


def test_taking_in_again_changes_nothing(tmp_path: Path) -> None:
    source = keep(tmp_path / "far")
    keep(tmp_path / "far", replace(SPEC, seed=78))
    store = FindingStore(tmp_path / "here")
    folder = Path(take_in(source, store).folder)
    before = contents(folder)

    for _ in range(2):
        saved = take_in(source, store)
        assert (saved.folder, saved.before) == (str(folder), True)

    assert contents(folder) == before
    assert hits(folder) == [78]
    assert take_in(folder, store).before
    assert contents(folder) == before


def test_what_is_there_stays_and_what_comes_is_a_hit(tmp_path: Path) -> None:
    folder = keep(tmp_path / "here")
    source = keep(tmp_path / "far", replace(SPEC, seed=5))
    keep(tmp_path / "far", replace(SPEC, seed=6))

    for _ in range(2):
        saved = take_in(source, FindingStore(tmp_path / "here"))

    assert saved.before
    assert (folder / "seed").read_text() == "77\n"
    assert sorted(hits(folder)) == [5, 6]


def test_what_can_be_repeated_takes_the_place_of_what_cannot(tmp_path: Path) -> None:
    folder = keep(tmp_path / "here", FREE)
    keep(tmp_path / "here", replace(FREE, seed=4))
    source = keep(tmp_path / "far")

    saved = take_in(source, FindingStore(tmp_path / "here"))

    assert (saved.before, saved.error) == (False, "")
    assert (folder / "seed").read_text() == "77\n"
    assert sorted(hits(folder)) == [3, 4]
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["s1"]
    assert take_in(keep(tmp_path / "free", FREE), FindingStore(tmp_path / "here")).before
    assert sorted(hits(folder)) == [3, 4]


def test_another_programs_finding_of_the_same_signature_is_kept_beside(tmp_path: Path) -> None:
    keep(tmp_path / "here")
    source = keep(tmp_path / "far", replace(SPEC, program="beta"))

    saved = take_in(source, FindingStore(tmp_path / "here"))

    assert Path(saved.folder).name.startswith("s1-")
    assert len(list((tmp_path / "here").iterdir())) == 2


@pytest.mark.parametrize("damage", ["", "{", '{"spec": 1}', "gone"])
def test_what_is_no_whole_finding_is_refused(tmp_path: Path, damage: str) -> None:
    source = keep(tmp_path / "far")
    if damage == "gone":
        (source / kept.SUMMARY).unlink()
    else:
        (source / kept.SUMMARY).write_text(damage)

    saved = take_in(source, FindingStore(tmp_path / "here"))

    assert "no whole finding" in saved.error
    assert not (tmp_path / "here").exists()


def test_a_finding_that_is_taken_in_is_as_old_as_it_was(tmp_path: Path) -> None:
    source = keep(tmp_path / "far")
    for path in source.iterdir():
        os.utime(path, (1e9, 1e9))

    folder = Path(take_in(source, FindingStore(tmp_path / "here")).folder)

    assert {path.stat().st_mtime for path in folder.iterdir()} == {1e9}


def test_a_link_in_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    source = keep(tmp_path / "far")
    (source / "minimal.json").symlink_to(tmp_path / "secret")

    folder = Path(take_in(source, FindingStore(tmp_path / "here")).folder)

    assert "minimal.json" not in contents(folder)


def test_a_full_disk_leaves_no_half_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = keep(tmp_path / "far")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    saved = take_in(source, FindingStore(tmp_path / "here"))

    assert "No space left on device" in saved.error
    assert list((tmp_path / "here").iterdir()) == []


def test_who_loses_a_race_counts_a_hit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = keep(tmp_path / "far", replace(SPEC, seed=5))
    rename = os.rename

    def late(old: Path, new: Path) -> None:
        monkeypatch.setattr(os, "rename", rename)
        keep(tmp_path / "here")  # another process's, at the last moment
        rename(old, new)

    monkeypatch.setattr(os, "rename", late)
    saved = take_in(source, FindingStore(tmp_path / "here"))

    assert saved.before
    assert hits(tmp_path / "here" / "s1") == [5]
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["s1"]


def test_hits_and_folders_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = keep(tmp_path / "far", replace(SPEC, seed=100))
    for seed in range(101, 120):
        keep(tmp_path / "far", replace(SPEC, seed=seed))
    folder = keep(tmp_path / "here")
    monkeypatch.setattr(taken_, "HITS_BYTES_MAX", 1500)
    take_in(source, FindingStore(tmp_path / "here"))
    assert 1 < len(hits(folder)) < 15

    another = keep(tmp_path / "far", replace(SPEC, program="beta"))
    monkeypatch.setattr(store_, "FOLDERS_MAX", 1)
    saved = take_in(another, FindingStore(tmp_path / "here"))
    assert "1 findings are kept already" in saved.error


def test_a_command_with_spaces_in_its_path_is_moved_too(tmp_path: Path) -> None:
    source = keep(tmp_path / "far away")

    folder = Path(take_in(source, FindingStore(tmp_path / "right here")).folder)

    assert (folder / "command.txt").read_text().splitlines()[0] == f"mmrace replay '{folder / kept.RECORD}'"
