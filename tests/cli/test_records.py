"""`mmrace show` and `mmrace replay`: a record by its file or by the folder of its finding, and which events."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.runs.program_files import RACY, mmrace, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a record of a wrong program."""
    made = tmp_path_factory.mktemp("records")
    write(made / "racy.py", RACY)
    assert mmrace("explore", "racy.py:main", "--schedules", "5", "--jobs", "1", cwd=made).returncode == 1
    return made


def done(folder: Path, *words: str) -> tuple[int, str]:
    ended = mmrace(*words, cwd=folder)
    return ended.returncode, ended.stdout + ended.stderr


def finding(folder: Path) -> Path:
    return sorted((folder / ".mmrace" / "findings").iterdir())[0]


@pytest.mark.slow
def test_the_folder_of_a_finding_stands_for_its_record(folder: Path) -> None:
    place = finding(folder)
    code, text = done(folder, "show", str(place))
    assert (code, text) == done(folder, "show", str(place / "record.jsonl"))
    assert code == 0 and text.startswith("function racy.py:main") and f"FINDING {place.name}" in text
    code, text = done(folder, "replay", str(place))
    assert code == 1 and "the same findings as recorded" in text


@pytest.mark.slow
def test_of_a_record_with_several_findings_the_one_whose_folder_it_is_comes_first(folder: Path) -> None:
    """BUG once: each folder showed and starred the events of the same one."""
    places = [place for place in (folder / ".mmrace" / "findings").iterdir() if place.is_dir()]
    assert len(places) > 1
    for place in places:
        text = done(folder, "show", str(place))[1]
        assert re.findall(r"^FINDING (\w+)", text, re.M)[0] == place.name
        step = re.search(r"at event (\d+)", text)
        assert step is None or re.search(rf"^ *\* {step[1]} ", text, re.M), text


@pytest.mark.slow
def test_a_folder_without_a_record_is_a_wrong_call(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(finding(folder), tmp_path / "kept")
    (tmp_path / "kept" / "record.jsonl").unlink()
    (tmp_path / "kept" / "minimal.json").unlink()
    for command in ("show", "replay"):
        code, text = done(folder, command, str(tmp_path / "kept"))
        assert code == 2 and "which has no record.jsonl" in text and "summary.txt" in text


@pytest.mark.slow
def test_events_are_chosen_by_task_kind_object_and_place(folder: Path) -> None:
    words = ("show", str(finding(folder)), "--task", "main.*", "--kind", "read", "--object", "box", "--around", "9")
    code, text = done(folder, *words, "--last", "1")
    assert code == 0 and "read box.x" in text and "1 of" in text.splitlines()[-1], text
    code, text = done(folder, "show", str(finding(folder)), "--task", "mian.0")
    assert code == 2 and "did you mean main.0" in text, text


@pytest.mark.slow
def test_a_folder_that_has_findings_below_it_names_some(folder: Path, tmp_path: Path) -> None:
    code, text = done(folder, "show", ".")
    assert code == 2 and f"one of the findings below it: .mmrace/findings/{finding(folder).name}" in text, text
    code, text = done(tmp_path, "replay", ".")
    assert code == 2 and text.rstrip().endswith("try: a record's own file"), text


@pytest.mark.slow
def test_what_never_was_a_record_is_not_to_be_copied_again(folder: Path) -> None:
    code, text = done(folder, "show", "racy.py")
    assert code == 2 and "this looks like no record at all" in text and "again" not in text, text
    code, text = done(folder, "run", "racy.py:main", "--record", "")
    assert code == 2 and "--record '': expected a record file" in text and "ops" not in text, text
