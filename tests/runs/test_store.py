"""The store of findings: complete folders, one per signature, nothing lost when the disk is full."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mmrace.oracles.general.judgement import Finding
from mmrace.report.finding import summary_text
from mmrace.runs import kept
from mmrace.runs import store as store_
from mmrace.runs.conversion import FOLLOWED, NEITHER, Conversion
from mmrace.runs.spec import LoadedFile, RunResult, RunSpec
from mmrace.runs.store import FindingStore, Saved, harness_finding
from mmrace.runtime import files, record_file
from mmrace.runtime.record import Record
from mmrace.strategies import retrace
from mmrace.version import __version__
from tests.search.campaign.stand_ins import record_of

SPEC = RunSpec("alpha", (("pages", 2),), "", "gate", "random", "off", 77)


def failed(*signatures: str, spec: RunSpec = SPEC) -> RunResult:
    found = [Finding("content", "rule", f"title {name}", {"got": 1}, name) for name in signatures]
    return RunResult(spec, "FAIL", found, ops=5, record=record_of(spec))


def saved_of(store: FindingStore, *signatures: str, spec: RunSpec = SPEC) -> Saved:
    """Save a failed run; return what became of its last finding."""
    return store.save(failed(*signatures, spec=spec))[signatures[-1]]


def test_folder_has_all_that_repeats_the_run(tmp_path: Path) -> None:
    saved = saved_of(FindingStore(tmp_path, summary_text), "s1")
    folder = tmp_path / "s1"
    assert (saved.folder, saved.before, saved.error) == (str(folder), False, "")
    assert sorted(path.name for path in folder.iterdir()) == [
        "command.txt",
        "record.jsonl",
        "seed",
        "summary.json",
        "summary.txt",
    ]
    assert (folder / "seed").read_text() == "77\n"
    replay, run = (folder / "command.txt").read_text().splitlines()
    assert replay == f"mmrace replay {folder / 'record.jsonl'}"
    assert run == SPEC.command()
    facts = json.loads((folder / "summary.json").read_text())
    assert (facts["schema"], facts["spec"]["seed"], facts["findings"][0]["signature"]) == ("mmrace-finding/1", 77, "s1")
    assert "title s1 [s1]" in (folder / "summary.txt").read_text()
    assert Record.read(folder / "record.jsonl").header["seed"] == 77


def test_a_record_that_nobody_could_read_again_is_not_kept_and_the_finding_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUG once: it was written, and refused by every command that reads one."""
    monkeypatch.setattr(record_file, "BYTES_MAX", 50)
    saved = saved_of(FindingStore(tmp_path, summary_text), "s1")
    folder = tmp_path / "s1"
    assert (saved.folder, saved.error) == (str(folder), "")
    assert sorted(path.name for path in folder.iterdir()) == ["command.txt", "seed", "summary.json", "summary.txt"]
    assert (folder / "command.txt").read_text() == f"{SPEC.command()}\n"
    assert "no record: a record of more than" in (folder / "summary.txt").read_text()
    assert "would not be read again" in json.loads((folder / "summary.json").read_text())["unrecorded"]


MINE = RunSpec("mine.py:main", engine="gate", maker="function", digest="0123", seed=1)


def test_what_a_program_left_before_its_file_changed_gives_way(tmp_path: Path) -> None:
    FindingStore(tmp_path).save(failed("s1", spec=MINE))
    saved = saved_of(FindingStore(tmp_path), "s1", spec=replace(MINE, digest="4567"))
    assert (saved.before, saved.since) == (False, "")
    assert json.loads((tmp_path / "s1" / "summary.json").read_text())["spec"]["digest"] == "4567"
    assert [path.name for path in tmp_path.iterdir()] == ["s1"]


@pytest.mark.parametrize("spec", [MINE, SPEC])
def test_what_the_same_program_left_stays(tmp_path: Path, spec: RunSpec) -> None:
    FindingStore(tmp_path).save(failed("s1", spec=spec))
    assert saved_of(FindingStore(tmp_path), "s1", spec=replace(spec, seed=99)).before
    assert (tmp_path / "s1" / "seed").read_text() == f"{spec.seed}\n"


@pytest.mark.parametrize("engine", ["gate", "free"])
def test_what_is_expected_gives_way_to_what_is_not_and_never_the_other_way_round(tmp_path: Path, engine: str) -> None:
    """BUG once: a campaign failed by a finding of which a known run was kept, and had nothing to show for it."""
    expected = failed("s1")
    expected.findings[0] = replace(expected.findings[0], known="R29")
    store, free = FindingStore(tmp_path), replace(SPEC, engine=engine, seed=5)
    assert not store.save(expected)["s1"].before
    assert store.unrepeatable(failed("s1", spec=free)) == ({"s1": False} if engine == "free" else {})
    assert not saved_of(store, "s1", spec=free).before
    assert (tmp_path / "s1" / "seed").read_text() == "5\n"
    assert store.save(expected)["s1"].before
    assert (tmp_path / "s1" / "seed").read_text() == "5\n"
    assert [path.name for path in tmp_path.iterdir()] == ["s1"]


def is_of(folder: Path, spec: RunSpec) -> bool:
    """Say whether a folder and its commands are a run's."""
    replay, run = (folder / "command.txt").read_text().splitlines()
    header = Record.read(folder / "record.jsonl").header
    return (replay, run, header["seed"]) == (f"mmrace replay {folder}/record.jsonl", spec.command(), spec.seed)


BETA = replace(SPEC, program="beta", seed=5)
BESIDE = kept.owner_of(BETA).beside("s1")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (SPEC, BETA),
        (SPEC, replace(SPEC, variant="lost-put", seed=5)),
        (replace(SPEC, engine="free"), BETA),
        (MINE, replace(MINE, program="mine.py:other", seed=5)),
        (MINE, replace(MINE, program="other.py:main", digest="4567", seed=5)),
    ],
)
def test_each_program_and_variant_keeps_its_own_of_one_signature(
    tmp_path: Path, first: RunSpec, second: RunSpec
) -> None:
    """BUG once: the second replaced the first's, or its commands replayed the first's record."""
    store = FindingStore(tmp_path)
    saves = [saved_of(store, "s1", spec=spec) for spec in (first, second, first, second)]
    folders = [tmp_path / "s1", tmp_path / kept.owner_of(second).beside("s1")]
    assert [(saved.folder, saved.before) for saved in saves] == [
        (str(folder), before) for before in (False, True) for folder in folders
    ]
    assert saves[1].since == "" and is_of(folders[1], second)
    if first.engine != "free":
        assert is_of(folders[0], first)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(folder.name for folder in folders)


def test_two_programs_that_are_first_at_once_are_both_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.rename

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", real)
        FindingStore(tmp_path).save(failed("s1", spec=SPEC))  # another worker's, at the last moment
        real(source, target)

    monkeypatch.setattr(os, "rename", late)
    saved = saved_of(FindingStore(tmp_path), "s1", spec=BETA)
    assert (saved.folder, saved.before) == (str(tmp_path / BESIDE), False)
    assert is_of(tmp_path / "s1", SPEC) and is_of(tmp_path / BESIDE, BETA)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s1", BESIDE]


def test_who_loses_its_name_to_another_program_while_it_gives_way_is_kept_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FindingStore(tmp_path).save(failed("s1", spec=replace(BETA, engine="free", seed=3)))
    real = os.rename

    def late(source: Path, target: Path) -> None:
        real(source, target)
        monkeypatch.setattr(os, "rename", real)
        FindingStore(tmp_path).save(failed("s1", spec=SPEC))  # while nobody has the name

    monkeypatch.setattr(os, "rename", late)
    saved = saved_of(FindingStore(tmp_path), "s1", spec=BETA)
    assert (saved.folder, saved.before, bool(saved.since)) == (str(tmp_path / BESIDE), False, True)
    assert is_of(tmp_path / "s1", SPEC) and is_of(tmp_path / BESIDE, BETA)
    hits = (tmp_path / BESIDE / "hits.jsonl").read_text().splitlines()
    assert [json.loads(line)["seed"] for line in hits] == [3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s1", BESIDE]


def test_another_programs_folder_that_is_moved_away_by_mistake_is_kept_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FindingStore(tmp_path).save(failed("s1", spec=FREE))
    real = os.rename

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", real)
        shutil.rmtree(source)  # another worker lets it give way, and a third takes the name
        FindingStore(tmp_path).save(failed("s1", spec=BETA))
        real(source, target)

    monkeypatch.setattr(os, "rename", late)
    assert saved_of(FindingStore(tmp_path), "s1", spec=SPEC).folder == str(tmp_path / "s1")
    assert is_of(tmp_path / "s1", SPEC)
    assert Record.read(tmp_path / BESIDE / "record.jsonl").header["seed"] == BETA.seed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s1", BESIDE]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"spec": null}'])
def test_a_folder_that_cannot_be_understood_stays(tmp_path: Path, damage: str) -> None:
    FindingStore(tmp_path).save(failed("s1", spec=MINE))
    (tmp_path / "s1" / "summary.json").write_text(damage)
    assert saved_of(FindingStore(tmp_path), "s1", spec=replace(MINE, digest="4567")).before


def test_free_run_offers_no_strict_replay(tmp_path: Path) -> None:
    FindingStore(tmp_path).save(failed("s1", spec=RunSpec("alpha", seed=3)))
    assert "replay" not in (tmp_path / "s1" / "command.txt").read_text()


def test_every_finding_of_a_run_has_its_own_folder_whatever_is_known_of_the_others(tmp_path: Path) -> None:
    store = FindingStore(tmp_path, summary_text)
    store.save(failed("s1"))
    saves = store.save(failed("s1", "s2", "s3"))
    assert {name: (saved.folder, saved.before) for name, saved in saves.items()} == {
        "s1": (str(tmp_path / "s1"), True),
        "s2": (str(tmp_path / "s2"), False),
        "s3": (str(tmp_path / "s3"), False),
    }
    for name in ("s2", "s3"):
        folder = tmp_path / name
        assert str(folder / "record.jsonl") in (folder / "command.txt").read_text()
        assert json.loads((folder / "summary.json").read_text())["findings"][0]["signature"] == name
        assert (folder / "record.jsonl").is_file()
    assert all(saved.before for saved in store.save(failed("s1", "s2", "s3")).values())


def test_a_run_without_a_finding_is_kept_too(tmp_path: Path) -> None:
    [(name, saved)] = FindingStore(tmp_path).save(failed()).items()
    assert saved.folder == str(tmp_path / name) and (tmp_path / name / "record.jsonl").is_file()


FREE = replace(SPEC, engine="free", seed=3)


def test_a_controlled_record_takes_the_place_of_a_free_one_which_stays_as_a_hit(tmp_path: Path) -> None:
    store = FindingStore(tmp_path)
    store.save(failed("s1", spec=FREE))
    store.save(failed("s1", spec=replace(FREE, seed=4)))
    since = json.loads((tmp_path / "s1" / "summary.json").read_text())["since"]
    saved = saved_of(store, "s1")
    assert (saved.before, saved.since, saved.error) == (False, since, "")
    assert (tmp_path / "s1" / "command.txt").read_text().startswith("mmrace replay ")
    assert Record.read(tmp_path / "s1" / "record.jsonl").header["engine"] == "gate"
    facts = json.loads((tmp_path / "s1" / "summary.json").read_text())
    assert (facts["since"], facts["spec"]["seed"]) == (since, 77)
    hits = [json.loads(line) for line in (tmp_path / "s1" / "hits.jsonl").read_text().splitlines()]
    assert [hit["seed"] for hit in hits] == [4, 3] and hits[1]["command"] == FREE.command()
    assert [path.name for path in tmp_path.iterdir()] == ["s1"]


def test_a_hit_that_comes_while_a_folder_gives_way_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FindingStore(tmp_path)
    store.save(failed("s1", spec=FREE))
    real = os.rename

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", real)
        FindingStore(tmp_path).save(failed("s1", spec=replace(FREE, seed=4)))  # another worker's, at the last moment
        real(source, target)

    monkeypatch.setattr(os, "rename", late)
    assert not saved_of(store, "s1").before
    lines = (tmp_path / "s1" / "hits.jsonl").read_text().splitlines()
    assert [json.loads(line)["seed"] for line in lines] == [4, 3]


def test_a_folder_that_comes_while_a_better_one_is_made_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUG once: what was not there when the worker looked was thrown away, its hits too."""
    real = os.fsync

    def late(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", real)
        for seed in (3, 4):
            FindingStore(tmp_path).save(failed("s1", spec=replace(FREE, seed=seed)))  # another worker's, in between
        real(descriptor)

    monkeypatch.setattr(os, "fsync", late)
    assert not saved_of(FindingStore(tmp_path), "s1").before
    lines = (tmp_path / "s1" / "hits.jsonl").read_text().splitlines()
    assert [json.loads(line)["seed"] for line in lines] == [4, 3]


def test_a_folder_that_goes_while_a_hit_is_counted_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUG once: between the two names of a folder that gives way, a hit was an error."""
    FindingStore(tmp_path).save(failed("s1"))
    real = files.append_line

    def gone(path: Path, line: str) -> None:
        monkeypatch.setattr(files, "append_line", real)
        raise FileNotFoundError(errno.ENOENT, "on its way", str(path))

    monkeypatch.setattr(files, "append_line", gone)
    saved = saved_of(FindingStore(tmp_path), "s1")
    assert (saved.before, saved.error) == (True, "")
    assert len((tmp_path / "s1" / "hits.jsonl").read_text().splitlines()) == 1


def test_a_finding_stays_if_a_better_one_cannot_take_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FindingStore(tmp_path).save(failed("s1", spec=FREE))
    real = os.rename

    def full(source: Path, target: Path) -> None:
        if source.name.endswith(".part"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    monkeypatch.setattr(os, "rename", full)
    assert "No space left" in saved_of(FindingStore(tmp_path), "s1").error
    assert (tmp_path / "s1" / "seed").read_text() == f"{FREE.seed}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["s1"]


def test_a_free_record_never_takes_the_place_of_a_controlled_one(tmp_path: Path) -> None:
    store = FindingStore(tmp_path)
    store.save(failed("s1"))
    assert saved_of(store, "s1", spec=FREE).before
    assert "mmrace replay" in (tmp_path / "s1" / "command.txt").read_text()


def test_a_finding_says_when_it_was_kept_and_by_which_mmrace(tmp_path: Path) -> None:
    FindingStore(tmp_path).save(failed("s1"))
    facts = json.loads((tmp_path / "s1" / "summary.json").read_text())
    assert facts["mmrace"] == __version__ and facts["date"] == facts["since"]
    assert datetime.fromisoformat(facts["date"]).tzinfo is UTC


@pytest.mark.parametrize(("spec", "stays"), [(SPEC, False), (FREE, True)], ids=["controlled", "free"])
def test_what_another_mmrace_kept_gives_way_to_a_record_that_can_be_replayed(
    tmp_path: Path, spec: RunSpec, stays: bool
) -> None:
    FindingStore(tmp_path).save(failed("s1"))
    path = tmp_path / "s1" / "summary.json"
    facts = json.loads(path.read_text())
    del facts["mmrace"], facts["date"], facts["since"]
    path.write_text(json.dumps(facts))
    saved = saved_of(FindingStore(tmp_path), "s1", spec=spec)
    assert (saved.before, saved.since) == (stays, kept.UNDATED)


def test_what_another_model_made_gives_way_to_a_record_that_can_be_replayed(tmp_path: Path) -> None:
    before, now = failed("s1"), failed("s1")
    assert before.record is not None and now.record is not None
    before.record.header["model"], now.record.header["model"] = "0123", "4567"
    store = FindingStore(tmp_path)
    assert [store.save(result)["s1"].before for result in (before, before, now, now)] == [False, True, False, True]


def test_a_finding_of_files_of_ones_own_gives_way_when_they_changed(tmp_path: Path) -> None:
    specs = [replace(SPEC, load=(LoadedFile("judge.py", digest),)) for digest in ("0123", "0123", "4567")]
    saves = [saved_of(FindingStore(tmp_path), "s1", spec=spec) for spec in specs]
    assert [saved.before for saved in saves] == [False, True, False]


def test_commands_are_words_of_a_shell(tmp_path: Path) -> None:
    folder = tmp_path / "a folder; of mine"
    FindingStore(folder).save(failed("s1"))
    replay = (folder / "s1" / "command.txt").read_text().splitlines()[0]
    assert shlex.split(replay) == ["mmrace", "replay", str(folder / "s1" / "record.jsonl")]


def test_a_run_that_loses_the_race_for_one_signature_is_saved_under_its_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.rename

    def late(source: str | Path, target: str | Path) -> None:
        if Path(target).name == "s1" and not Path(target).exists():
            real(source, target)  # another worker's, as far as this one can tell
            raise FileExistsError(errno.EEXIST, "there already", str(target))
        real(source, target)

    monkeypatch.setattr(os, "rename", late)
    saves = FindingStore(tmp_path).save(failed("s1", "s2"))
    assert saves["s1"].before and (saves["s2"].folder, saves["s2"].before) == (str(tmp_path / "s2"), False)
    assert str(tmp_path / "s2") in (tmp_path / "s2" / "command.txt").read_text()


def test_further_hits_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_, "HITS_BYTES_MAX", 300)
    store = FindingStore(tmp_path)
    for _ in range(50):
        store.save(failed("s1"))
    lines = (tmp_path / "s1" / "hits.jsonl").read_text().splitlines()
    assert 1 < len(lines) < 10
    assert json.loads(lines[0])["seed"] == 77


def test_number_of_folders_is_bounded_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_, "FOLDERS_MAX", 2)
    store = FindingStore(tmp_path)
    assert [saved_of(store, name).error for name in ("a", "b")] == ["", ""]
    assert "2 findings are kept already" in saved_of(store, "c").error


def test_full_disk_leaves_no_half_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    saved = saved_of(FindingStore(tmp_path / "store"), "s1")
    assert "No space left on device" in saved.error
    assert saved.folder == ""
    assert list((tmp_path / "store").iterdir()) == []


def test_loser_of_a_race_counts_a_hit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FindingStore(tmp_path)
    real = os.rename

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", real)
        FindingStore(tmp_path).save(failed("s1"))
        real(source, target)

    monkeypatch.setattr(os, "rename", late)
    assert saved_of(store, "s1").before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s1"]
    assert len((tmp_path / "s1" / "hits.jsonl").read_text().splitlines()) == 1


def test_signature_cannot_leave_the_store(tmp_path: Path) -> None:
    assert FindingStore(tmp_path).place("../../etc/x").parent == tmp_path


def test_harness_findings_of_one_kind_share_a_signature() -> None:
    first, second = (harness_finding("worker died", "t", RunSpec("alpha", seed=seed)) for seed in (1, 2))
    other = harness_finding("worker died", "t", RunSpec("beta"))
    assert first.signature == second.signature != other.signature


def test_summary_ends_in_the_command() -> None:
    text = summary_text(SPEC, "FAIL", failed("s1").findings, [SPEC.command()])
    assert text.splitlines()[-1] == f"repeat: {SPEC.command()}"


@pytest.mark.parametrize("summary", ["", "[" * 100_000, "{}", '{"spec": {"program": 7, "digest": []}}', None])
def test_a_summary_that_cannot_be_read_leaves_the_finding_where_it_is(tmp_path: Path, summary: str | None) -> None:
    FindingStore(tmp_path).save(failed("s1", spec=MINE))
    path = tmp_path / "s1" / "summary.json"
    path.unlink()
    if summary is None:
        os.mkfifo(path)
    else:
        path.write_text(summary)
    assert saved_of(FindingStore(tmp_path), "s1", spec=replace(MINE, digest="4567")).before


def test_a_hit_is_not_written_through_a_link(tmp_path: Path) -> None:
    FindingStore(tmp_path / "kept").save(failed("s1"))
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "kept" / "s1" / "hits.jsonl").symlink_to(tmp_path / "victim")
    assert saved_of(FindingStore(tmp_path / "kept"), "s1").error
    assert (tmp_path / "victim").read_text() == "precious"


def made_after(free: RunResult, signature: str, how: str = FOLLOWED) -> RunResult:
    """Return a controlled run as it is made after a free one."""
    spec = replace(free.spec, engine="fiber", noise="off", strategy=retrace.text(""))
    told = Conversion(how, 9, 10, replayed=5)
    return replace(failed(signature, "other", spec=spec), free=free.record, conversion=told)


def test_a_run_made_after_a_free_one_is_kept_with_the_record_of_that(tmp_path: Path) -> None:
    free = failed("s1", "s2", spec=FREE)
    saves = FindingStore(tmp_path, summary_text).save(free, {"s1": made_after(free, "s1")})
    told = saves["s1"].conversion
    assert told is not None and told.how == FOLLOWED and saves["s2"].conversion is None
    folder = tmp_path / "s1"
    names = ["command.txt", "free.jsonl", "record.jsonl", "seed", "summary.json", "summary.txt"]
    assert sorted(path.name for path in folder.iterdir()) == names
    record = Record.read(folder / "record.jsonl")
    assert (record.header["engine"], Record.read(folder / "free.jsonl").header["engine"]) == ("fiber", "free")
    text = retrace.text(str(folder / "free.jsonl"))
    replay, again = (folder / "command.txt").read_text().splitlines()
    assert replay == f"mmrace replay {folder / 'record.jsonl'}" and f"--strategy {text}" in again
    facts = json.loads((folder / "summary.json").read_text())
    assert (facts["spec"]["strategy"], facts["conversion"]["how"]) == (text, FOLLOWED)
    assert "under control: followed; 9 of 10 recorded ops" in (folder / "summary.txt").read_text()
    assert not (tmp_path / "s2" / "free.jsonl").exists()


def test_a_run_made_after_a_free_one_stays_as_any_controlled_one_does(tmp_path: Path) -> None:
    free, store = failed("s1", spec=FREE), FindingStore(tmp_path)
    store.save(free, {"s1": made_after(free, "s1")})
    assert store.unrepeatable(free) == {}
    for later in (replace(FREE, seed=4), SPEC):
        assert saved_of(store, "s1", spec=later).before
    assert len((tmp_path / "s1" / "hits.jsonl").read_text().splitlines()) == 2
    assert (tmp_path / "s1" / "free.jsonl").exists()


def test_a_controlled_run_of_its_own_is_kept_and_nothing_is_made_after_a_free_one(tmp_path: Path) -> None:
    store = FindingStore(tmp_path)
    store.save(failed("s1"))
    assert store.unrepeatable(failed("s1", "s2", spec=FREE)) == {"s2": False}
    assert store.unrepeatable(failed("s3")) == {}, "it is a controlled run"


def test_what_could_not_be_made_is_told_and_gives_way_to_what_can(tmp_path: Path) -> None:
    free, store = failed("s1", spec=FREE), FindingStore(tmp_path, summary_text)
    store.save(free, {"s1": replace(free, conversion=Conversion(NEITHER, 3, 10, runs=7))})
    assert "under control: not found again; 3 of 10" in (tmp_path / "s1" / "summary.txt").read_text()
    assert "replay" not in (tmp_path / "s1" / "command.txt").read_text()
    again = failed("s1", spec=replace(FREE, seed=4))
    assert store.unrepeatable(again) == {"s1": True}
    saved = store.save(again, {"s1": made_after(again, "s1")})["s1"]
    assert not saved.before and Record.read(tmp_path / "s1" / "free.jsonl").header["seed"] == 4
    [hit] = map(json.loads, (tmp_path / "s1" / "hits.jsonl").read_text().splitlines())
    assert hit["seed"] == FREE.seed


def test_what_could_not_even_be_tried_is_not_tried_with_each_further_run(tmp_path: Path) -> None:
    free, store = failed("s1", spec=FREE), FindingStore(tmp_path)
    store.save(free, {"s1": replace(free, conversion=Conversion(NEITHER, 0, 0, broke="it blocks"))})
    assert store.unrepeatable(failed("s1", spec=replace(FREE, seed=4))) == {}


def test_what_an_older_mmrace_tried_in_vain_is_new_to_this_one(tmp_path: Path) -> None:
    free, store = failed("s1", spec=FREE), FindingStore(tmp_path)
    store.save(free, {"s1": replace(free, conversion=Conversion(NEITHER, 3, 10))})
    path = tmp_path / "s1" / "summary.json"
    path.write_text(path.read_text().replace(f'"mmrace": "{__version__}"', '"mmrace": "0.0.1"'))
    assert store.unrepeatable(free) == {"s1": False}
