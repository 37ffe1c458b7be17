"""`--load FILE`: what a user's file adds reaches every command, worker processes and later replays included."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.program_files import RACY, mmrace, write
from tests.runs.test_registrations import BUG, CAST, JUDGE, STRATEGY

SMALL = "--param idle=0 --param rounds=1 --param migrations=2"
FREE = "--engine free --runs 4 --jobs 2 --no-canaries"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a cast, a planted bug and a judge."""
    for name, text in (("cast.py", CAST), ("bug.py", BUG), ("judge.py", JUDGE)):
        write(tmp_path / name, text)
    return tmp_path


def done(command: str, folder: Path) -> tuple[int, str]:
    ended = mmrace(*command.split(), cwd=folder)
    return ended.returncode, ended.stdout + ended.stderr


REACHED = {
    "list, a scenario": ("list scenarios --load cast.py", 0, "mine"),
    "list, a planted bug": ("list canaries --load bug.py", 0, "not looked for"),
    "list, a judge": ("list oracles --load judge.py", 0, "nobody"),
    "run": (f"run mine --load cast.py --engine gate {SMALL}", 0, "PASS"),
    "sampling workers": (f"explore mine --load cast.py --schedules 6 --jobs 2 {SMALL}", 0, "PASS over 6 schedules"),
    "a walk": (f"explore mine --load cast.py --strategy dpor --schedules 5 {SMALL}", 0, "PASS"),
    "a campaign": (f"stress mine --load cast.py {FREE}", 0, "PASS  4 runs"),
    "a campaign, a planted bug": (f"stress mine --load cast.py --load bug.py --variant no-thaw {FREE}", 1, "BUGGY"),
    "a campaign, a judge": (f"stress four --load judge.py {FREE}", 1, "oracle nobody: nobody"),
    "a judge switched off": (
        f"explore four --load judge.py --without nobody --schedules 4 --jobs 1 {SMALL}",
        0,
        "judges switched off: nobody",
    ),
    "a name that is taken": (
        "explore four --load cast.py --load cast.py --load again.py",
        2,
        "again.py, line 5: expected the name of a scenario that is not taken",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("command", "code", "words"), REACHED.values(), ids=REACHED)
def test_what_a_file_adds_reaches(folder: Path, command: str, code: int, words: str) -> None:
    write(folder / "again.py", f"{CAST}\n# another file, the same name\n")
    ended, text = done(command, folder)
    assert (ended, words in text) == (code, True), text


@pytest.mark.slow
def test_a_finding_in_a_worker_is_replayed_with_its_files_and_shown_without_them(folder: Path) -> None:
    files = "--load cast.py --load bug.py --load judge.py"
    code, text = done(f"explore mine {files} --variant no-thaw --schedules 4 --jobs 2 {SMALL}", folder)
    assert code == 1 and "oracle: nobody" in text and "oracle: exception" in text
    assert text.count("replayed 5 of 5") == 2
    replays = [line.removeprefix("repeat: mmrace ") for line in text.splitlines() if "repeat: mmrace replay" in line]
    assert replays
    for command in replays:
        code, text = done(command, folder)
        assert code == 1 and "the same findings as recorded" in text, text
    for name in ("cast.py", "bug.py", "judge.py"):
        (folder / name).unlink()
    code, text = done(replays[0], folder)
    assert code == 2 and "--load: expected cast.py, of which this run was made, got 'no such file" in text, text
    assert f"looked for from {folder}" in text and "--load FILE, which says where cast.py is now" in text, text
    code, text = done(replays[0].replace("replay", "show"), folder)
    assert code == 0 and "migrator" in text, text


@pytest.mark.slow
def test_files_that_are_elsewhere_now_are_given_to_a_replay(folder: Path, tmp_path: Path) -> None:
    """BUG once: a strategy's file was wanted where it had been, and there was no way to give that of a function."""
    write(folder / "racy.py", RACY)
    write(folder / "strategy.py", STRATEGY)
    options = "--engine gate --load strategy.py --strategy oldest"
    done(f"run mine --load cast.py {options} {SMALL} --record cast.jsonl", folder)
    done(f"run racy.py:main {options} --record racy.jsonl", folder)
    (folder / "cast.py").rename(folder / "new-cast.py")
    for name in ("strategy.py", "racy.py"):
        write(folder / "moved" / name, (folder / name).read_text())
        (folder / name).unlink()
    code, text = done("replay racy.jsonl", folder)
    assert code == 2 and "program racy.py:main: expected racy.py, of which" in text and "--load FILE" in text, text
    code, text = done("replay racy.jsonl --load moved/racy.py", folder)
    assert code == 1 and "not checked: strategy and seed, for want of --load strategy.py" in text, text
    code, text = done("replay racy.jsonl --load moved/racy.py --load moved/strategy.py", folder)
    assert code == 1 and "not checked" not in text and "the same findings as recorded" in text, text
    code, text = done("replay cast.jsonl --load new-cast.py --load moved/strategy.py", folder)
    assert code == 0 and "not checked" not in text and "no finding, as recorded" in text, text
    write(folder / "moved" / "racy.py", RACY + "# changed\n")
    code, text = done("replay racy.jsonl --load moved/racy.py", folder)
    assert code == 2 and "expected moved/racy.py as it was when this run was made" in text, text


UNKNOWN = {
    "a variant": "run four --variant no-thaw",
    "a scenario": "run mine",
    "a strategy": "run four --engine gate --strategy mine",
    "a variant, in a campaign": "stress four --variant no-thaw",
    "a judge": "explore four --without nobody",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_name_may_want_a_file(tmp_path: Path, command: str) -> None:
    code, text = done(command, tmp_path)
    assert code == 2 and "--load FILE.py" in text and "brings your own" in text, text
