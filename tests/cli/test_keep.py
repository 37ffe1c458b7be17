"""`mmrace keep`: the test that it writes is red with the bug and green without, wherever it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import in_process
from tests.plugin.sessions import session
from tests.runs.program_files import GOOD, RACY, write

HASTY = "def hasty(box):\n    box.x = box.x + 1\n"
MENDED = RACY.replace(
    HASTY, "def hasty(box):\n    rt.mutex_lock(box.lock)\n    box.x += 1\n    rt.mutex_unlock(box.lock)\n"
)
ALWAYS = RACY.replace("assert box.x == tasks", "assert box.x == 7")
"""BUGGY in all schedules: of free threads too."""
OUTER = """
def outer(box):
    rt.mutex_lock(box.lock)
    hasty(box)
    rt.mutex_unlock(box.lock)

def main"""
LOCKED_OUTSIDE = GOOD.replace("\ndef main", OUTER).replace("rt.spawn(add", "rt.spawn(outer")
"""Mended by a function around the racy one: its sites have another caller now."""
SCENARIO = ("async-vs-commit", "--variant", "double-put", "--param", "buffers=1", "--param", "idle=0")
SMALL = ("--param", "migrations=1", "--param", "rounds=1", "--param", "words=1")


pytestmark = pytest.mark.slow


class House:
    """A folder with a program, in which commands are run."""

    def __init__(
        self, pytester: pytest.Pytester, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.pytester, self.patch, self.capsys, self.path = pytester, patch, capsys, pytester.path
        write(self.path / "racy.py", RACY)

    def mmrace(self, *words: str) -> tuple[int, str]:
        """Run a command; return its exit code, and what it said."""
        code = in_process.run(self.patch, *words)
        said = self.capsys.readouterr()
        return code, said.out + said.err

    def found(self, rule: str = "AssertionError") -> Path:
        """Explore the program; return the folder of the finding of a rule."""
        code, said = self.mmrace("explore", "racy.py:main", "--exhaustive", "--quiet")
        assert code == 1, said
        for folder in sorted(self.path.glob(".mmrace/findings/*")):
            facts = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
            if facts["findings"][0]["rule"] == rule:
                return folder
        raise AssertionError(said)

    def tested(self, **outcomes: int) -> str:
        """Run the tests; return what they said."""
        done = session(self.pytester, "-v")
        done.assert_outcomes(**outcomes)
        return done.stdout.str()


@pytest.fixture
def house(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> House:
    return House(pytester, monkeypatch, capsys)


def test_the_test_of_a_function_is_red_until_that_is_mended(house: House) -> None:
    code, said = house.mmrace("keep", str(house.found()))
    assert code == 0
    assert said.splitlines()[0] == (
        "kept: test_racy_main_assertionerror.py, and its schedule racy_main_assertionerror.json"
    )
    assert "AssertionError: assert box.x == tasks" in house.tested(failed=1)
    write(house.path / "racy.py", MENDED)
    house.tested(passed=1)


def test_a_function_that_another_one_calls_now_is_followed_all_the_same(house: House) -> None:
    house.mmrace("keep", str(house.found()))
    write(house.path / "racy.py", LOCKED_OUTSIDE)
    house.tested(passed=1)


def test_a_program_of_which_nothing_is_left_is_unknown(house: House) -> None:
    house.mmrace("keep", str(house.found()))
    write(house.path / "racy.py", GOOD.replace("rt.spawn(add, box)", "rt.spawn(add, box, name='other')"))
    assert "UNKNOWN: the run followed none of 1 turning points" in house.tested(failed=1)


@pytest.mark.parametrize("kind", ["folder", "record", "minimal", "minimised folder", "kept"])
def test_it_takes_whatever_has_a_schedule(house: House, kind: str) -> None:
    folder = house.found()
    file = {"record": folder / "record.jsonl", "minimal": folder / "minimal.json"}.get(kind, folder)
    if "minimal" in kind or "minimised" in kind:
        assert house.mmrace("minimise", str(folder), "--runs", "40")[0] == 0
    if kind == "kept":
        house.mmrace("keep", str(folder), "--name", "first")
        file = house.path / "first.json"
    code, said = house.mmrace("keep", str(file), "--name", "second", "--budget", "1s", "--near", "3")
    assert code == 0, said
    assert 'follow("second.json", near=3)' in (house.path / "test_second.py").read_text(encoding="utf-8")
    house.tested(failed=1 + (kind == "kept"))


def test_a_folder_for_tests_is_where_it_goes_and_from_there_the_program_is_found(house: House) -> None:
    (house.path / "tests").mkdir()
    house.mmrace("keep", str(house.found()))
    house.mmrace("keep", str(house.found("race")), "--to", "deep/er")
    assert [path.name for path in (house.path / "tests").glob("*.py")] == ["test_racy_main_assertionerror.py"]
    house.tested(failed=2)
    house.patch.chdir(house.path / "deep" / "er")
    house.tested(failed=1)


def test_the_test_of_a_planted_bug_names_it_and_without_it_is_the_correct_protocol(house: House) -> None:
    house.mmrace("explore", *SCENARIO, *SMALL, "--schedules", "60", "--until-found", "--quiet")
    folder = next(house.path.glob(".mmrace/findings/*"))
    code, said = house.mmrace("keep", str(folder), "--name", "put", "--near", "5", "--budget", "3s")
    assert code == 0, said
    house.tested(failed=1)
    test = house.path / "test_put.py"
    text = test.read_text(encoding="utf-8")
    assert 'follow("put.json", variant="double-put", near=5)' in text
    test.write_text(text.replace(', variant="double-put"', ""), encoding="utf-8")
    house.tested(passed=1)


def test_what_does_not_fail_is_not_kept(house: House) -> None:
    folder = house.found()
    house.mmrace("keep", str(folder), "--name", "first")
    write(house.path / "racy.py", MENDED)
    code, said = house.mmrace("keep", "first.json", "--name", "second")
    assert code == 2 and "expected a schedule that fails now" in said and "got 'PASS'" in said
    assert [*house.path.glob("*second*")] == []


def test_no_file_is_replaced_and_a_wrong_name_is_refused(house: House) -> None:
    folder = str(house.found())
    assert house.mmrace("keep", folder, "--name", "it")[0] == 0
    code, said = house.mmrace("keep", folder, "--name", "test_it.py")
    assert code == 2 and "expected a name that is not taken, got 'test_it.py'" in said
    code, said = house.mmrace("keep", folder, "--name", "a-b")
    assert code == 2 and "try: a_b" in said


@pytest.mark.parametrize(("file", "says"), [("nosuch", "nosuch"), ("racy.py", "racy.py"), (".", "which has no")])
def test_what_has_no_schedule_is_a_wrong_call(house: House, file: str, says: str) -> None:
    code, said = house.mmrace("keep", file)
    assert code == 2 and says in said
    assert [*house.path.glob("test_*")] == []


def test_a_failure_of_free_threads_is_kept_as_it_comes_again_under_control(house: House) -> None:
    write(house.path / "racy.py", ALWAYS)
    house.mmrace("run", "racy.py:main", "--engine", "free", "--record", "free.jsonl")
    code, said = house.mmrace("keep", "free.jsonl", "--name", "free")
    assert code == 0, said
    house.tested(failed=1)


@pytest.mark.parametrize("command", ["show", "explain", "replay", "minimise"])
def test_what_needs_a_record_says_that_a_kept_schedule_has_none(house: House, command: str) -> None:
    house.mmrace("keep", str(house.found()), "--name", "it")
    code, said = house.mmrace(command, "it.json")
    assert code == 2 and "got 'a kept schedule, which has no record'" in said and "--mmrace-replay=it.json" in said


def test_a_kept_schedule_guides_a_run_of_the_command_line(house: House) -> None:
    house.mmrace("keep", str(house.found()), "--name", "it")
    code, said = house.mmrace("run", "racy.py:main", "--engine", "fiber", "--strategy", "guided:record=it.json")
    assert code == 1 and "guided followed 1 of 1 turning points" in said


def test_a_run_that_passed_has_nothing_to_keep(house: House) -> None:
    write(house.path / "racy.py", GOOD)
    for engine in ("free", "fiber"):
        house.mmrace("run", "racy.py:main", "--engine", engine, "--record", f"{engine}.jsonl")
        code, said = house.mmrace("keep", f"{engine}.jsonl")
        assert code == 2 and "expected a record with a finding" in said


def test_a_folder_that_cannot_be_is_a_wrong_call(house: House) -> None:
    write(house.path / "file", "")
    code, said = house.mmrace("keep", str(house.found()), "--to", "file")
    assert code == 2 and "a test file that can be written" in said


def test_a_file_of_a_folder_above_that_has_the_name_is_never_taken_without_a_word(house: House) -> None:
    house.mmrace("keep", str(house.found()), "--name", "it")
    inner = house.path / "inner"
    inner.mkdir()
    for name in ("racy.py", "it.json", "test_it.py"):
        (house.path / name).rename(inner / name)
    house.patch.chdir(inner)
    assert "; the program is in racy.py" in house.tested(failed=1)
    (inner / "racy.py").rename(inner / "renamed.py")
    write(house.path / "racy.py", MENDED)
    done = session(house.pytester)  # without -v
    done.assert_outcomes(passed=1)
    taken = f"the program is in {house.path / 'racy.py'}: a folder above it"
    done.stdout.fnmatch_lines([f"*test_it.py::test_it: kept schedule PASS, *; {taken}"])


def test_what_is_beside_the_test_goes_before_what_is_in_the_current_folder(house: House) -> None:
    house.mmrace("keep", str(house.found()), "--name", "it", "--to", "deep")
    write(house.path / "deep" / "racy.py", MENDED)
    done = session(house.pytester, "-v", quiet=False)
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["*test_it.py::test_it: PASS schedule deep/it.json, *the program is in deep/racy.py"])
    code, said = house.mmrace("keep", str(house.found("race")), "--name", "other", "--to", "deep")
    assert code == 0, said
    assert str(house.path / "racy.py:main") in (house.path / "deep" / "other.json").read_text(encoding="utf-8")
