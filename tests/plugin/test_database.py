"""What failed is kept, tried first, and dropped when it passes often; two processes at once lose nothing."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from mmrace.plugin.database import KEPT_MAX, PASSES_MAX, Database
from mmrace.runs.minimal import Minimal
from mmrace.runs.schedule import KeptSchedule
from mmrace.runs.spec import RunSpec
from mmrace.strategies.guided import Preemption
from tests.plugin.sessions import file, schedules, session
from tests.runs.minimal_files import folder

TEST = """
@pytest.mark.mmrace(exhaustive=True, without=["data-race"])
def test_deposits():
    play({})
"""


def schedule(visit: int = 1) -> KeptSchedule:
    turns = (Preemption("main.0", "deposit:balance", visit, "main.1"),)
    return KeptSchedule(RunSpec("x.py:main"), "0" * 12, "data-race", "race", "a race", turns, ())


def test_what_failed_is_tried_first_and_says_so(pytester: pytest.Pytester) -> None:
    file(pytester, TEST.format("deposit"))
    session(pytester).assert_outcomes(failed=1)
    (kept,) = schedules(pytester)
    done = session(pytester)
    done.assert_outcomes(failed=1)
    where = kept.relative_to(pytester.path)
    says = f"found by schedule {where}, kept because it failed, followed 1 of 1 turning points"
    assert says in done.outlines
    assert f"replay: pytest test_it.py::test_deposits --mmrace-replay={where}" in done.outlines


@pytest.mark.slow
def test_a_kept_schedule_alone_is_replayed_by_the_line_that_is_printed(pytester: pytest.Pytester) -> None:
    file(pytester, TEST.format("deposit"))
    line = next(line for line in session(pytester).outlines if line.startswith("replay: pytest "))
    words = line.split()[2:]
    done = session(pytester, *words)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["AssertionError: assert 1 == 2"])
    file(pytester, TEST.format("locked"))
    session(pytester, *words).assert_outcomes(passed=1)


@pytest.mark.slow
def test_mended_it_passes_and_is_dropped_after_some_times(pytester: pytest.Pytester) -> None:
    file(pytester, TEST.format("deposit"))
    session(pytester)
    file(pytester, TEST.format("locked"))
    for number in range(1, PASSES_MAX + 1):
        done = session(pytester)
        done.assert_outcomes(passed=1)
        done.stdout.fnmatch_lines(
            [
                "test_it.py::test_deposits: kept schedule *: PASS, followed 1 of 1 turning points"
                + "; dropped" * (number == PASSES_MAX)
            ]
        )
    assert list(pytester.path.glob(".mmrace/schedules/*/*")) == []
    assert "kept schedule" not in session(pytester).stdout.str()


def test_a_failure_begins_the_count_anew(tmp_path: Path) -> None:
    database = Database(tmp_path, "test")
    kept = database.keep(schedule())
    assert isinstance(kept, Path)
    for _ in range(PASSES_MAX - 1):
        assert not database.passed(kept)
    database.failed(kept)
    assert not database.passed(kept)
    database.keep(schedule())
    assert [database.passed(kept) for _ in range(PASSES_MAX)] == [*[False] * (PASSES_MAX - 1), True]


def test_each_test_has_its_own_and_equal_ones_are_one_file(tmp_path: Path) -> None:
    one, other = Database(tmp_path, "one"), Database(tmp_path, "other")
    assert one.keep(schedule()) == one.keep(schedule()) != other.keep(schedule())
    one.keep(schedule(2))
    assert (len([*one.kept()]), len([*other.kept()])) == (2, 1)


def test_there_is_a_bound_which_is_told(tmp_path: Path) -> None:
    database = Database(tmp_path, "test")
    for visit in range(1, KEPT_MAX + 1):
        assert isinstance(database.keep(schedule(visit)), Path)
    assert "are kept already" in str(database.keep(schedule(KEPT_MAX + 1)))


def test_what_cannot_be_read_is_dropped(tmp_path: Path) -> None:
    database = Database(tmp_path, "test")
    kept = database.keep(schedule())
    assert isinstance(kept, Path)
    for text in ("", "{", "[]", '{"schema": "other"}', json.dumps({"schema": "mmrace-schedule/1", "spec": 1})):
        bad = kept.with_name("bad.json")
        bad.write_text(text, encoding="utf-8")
        assert [*database.kept()] == [kept]
        assert not bad.exists()


def test_where_nothing_can_be_written_the_test_fails_for_its_bug_and_says_why_it_is_not_kept(
    pytester: pytest.Pytester,
) -> None:
    file(pytester, TEST.format("deposit"))
    (pytester.path / ".mmrace").write_text("a file", encoding="utf-8")
    done = session(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        ["AssertionError: assert 1 == 2", "NOT KEPT: *", "replay: pytest test_it.py::test_deposits"]
    )


@pytest.mark.slow
def test_without_the_database_nothing_is_read_or_written(pytester: pytest.Pytester) -> None:
    file(pytester, TEST.format("deposit"))
    for _ in range(2):
        done = session(pytester, "--mmrace-no-db")
        done.assert_outcomes(failed=1)
        done.stdout.fnmatch_lines(["found by schedule 2", "replay: pytest test_it.py::test_deposits --mmrace-no-db"])
    assert not (pytester.path / ".mmrace").exists()


def test_a_schedule_of_nothing_that_is_left_fails_as_unknown_if_it_alone_is_played(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    turn = Preemption("a", "nowhere:x", 1, "b")
    other = KeptSchedule(RunSpec("test_it:<test_deposits>", maker="function"), "0" * 12, "o", "r", "t", (turn,), ())
    other.write(tmp_path / "other.json")
    file(pytester, TEST.format("locked"))
    done = session(pytester, f"--mmrace-replay={tmp_path / 'other.json'}")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["UNKNOWN: the run followed none of 1 turning points; *followed 0 of 1 turning points"])


@pytest.mark.parametrize("kind", ["kept", "minimal", "record", "folder"])
def test_a_file_of_another_program_is_refused_by_name(pytester: pytest.Pytester, tmp_path: Path, kind: str) -> None:
    made = folder(tmp_path / "other")
    schedule = KeptSchedule.of_minimal(Minimal.read(made / "minimal.json"))
    schedule.write(tmp_path / "kept.json")
    names = {"kept": tmp_path / "kept.json", "minimal": made / "minimal.json", "record": made / "record.jsonl"}
    path = names.get(kind, made)
    file(pytester, TEST.format("locked"))
    done = session(pytester, f"--mmrace-replay={path}")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            f"mmrace: --mmrace-replay={path}: expected a schedule or a record of the program that this test explores, "
            "the function test_it:<test_deposits>, got 'one of another program, the function *lost_update*:main'*"
        ]
    )


def test_of_several_programs_of_a_test_the_one_that_the_file_is_of_is_replayed(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    body = "def one():\n    play(locked)\ndef two():\n    play({})\ndef test_both(explore):\n"
    body += "    for program in (one, two):\n        explore(program, exhaustive=True, without=['data-race'])\n"
    file(pytester, body.format("deposit"))
    session(pytester).assert_outcomes(failed=1)
    (path,) = schedules(pytester)
    done = session(pytester, f"--mmrace-replay={path}")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["exception: AssertionError", "found by schedule *"])
    text = path.read_text(encoding="utf-8").replace(":two", ":three")
    (tmp_path / "other.json").write_text(text, encoding="utf-8")
    file(pytester, body.format("locked"))
    done = session(pytester, "--mmrace-no-db", f"--mmrace-replay={tmp_path / 'other.json'}")
    done.assert_outcomes(passed=1, errors=1)
    done.stdout.fnmatch_lines(["mmrace: --mmrace-replay=*got 'one of another program, the function *:three'*"])


def keep_some(root: Path, begin: int) -> None:
    """Keep schedules, one of them the same in each process."""
    database = Database(root, "test")
    for visit in (1, begin, begin + 1):
        database.keep(schedule(visit))
        for path in database.kept():
            database.passed(path)
            database.failed(path)


@pytest.mark.slow
def test_processes_that_keep_at_once_leave_whole_files(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=keep_some, args=(tmp_path, begin)) for begin in (2, 4, 6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len([*Database(tmp_path, "test").kept()]) == 7
    assert [path for path in tmp_path.rglob("*") if path.name.endswith(".part")] == []
