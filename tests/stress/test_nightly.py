"""A night: parts one after the other, each under its limit; what passed is not done again when the night goes on."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stress import nightly
from stress.nightly import NIGHT_MINUTES, PARTS, ROOT, Night, Part, chosen, digest, main

FOR_EVER = "import signal, sys; print('begun', flush=True); signal.pause()"


def part(name: str, text: str, minutes: float = 1.0) -> Part:
    return Part(name, minutes, (("-c", text),))


def counting(folder: Path, name: str, then: str = "") -> Part:
    """Return a part that leaves a line each time it is done."""
    return part(name, f"open({str(folder / name)!r}, 'a').write('done\\n'); {then}")


def times(folder: Path, name: str) -> int:
    path = folder / name
    return len(path.read_text().splitlines()) if path.exists() else 0


def night(folder: Path, *parts: Part, tree: str = "tree", fresh: bool = False) -> tuple[int, str]:
    """Do a night; return its exit code and what it told."""
    out = io.StringIO()
    return Night(parts, folder / "night", tree, out).run(fresh=fresh), out.getvalue()


def rows(told: str) -> list[list[str]]:
    """Return the summary's rows without their seconds."""
    lines = told[told.index("\npart ") :].splitlines()[2:]
    return [[word for word in line.split() if not word.replace(".", "").isdigit()] for line in lines]


def test_parts_are_done_in_turn_and_summed_up(tmp_path: Path) -> None:
    code, told = night(tmp_path, counting(tmp_path, "a"), counting(tmp_path, "b"))
    assert code == 0
    assert rows(told) == [["a", "PASS"], ["b", "PASS"]]
    assert times(tmp_path, "a") == times(tmp_path, "b") == 1


def test_a_part_that_fails_is_told_with_its_last_lines_and_the_rest_is_done(tmp_path: Path) -> None:
    code, told = night(tmp_path, part("bad", "print('why it failed'); raise SystemExit(3)"), counting(tmp_path, "b"))
    assert code == 1
    assert rows(told) == [["bad", "FAIL"], ["b", "PASS"]]
    assert "    why it failed" in told
    assert "bad: FAIL, exit code 3" in told
    assert (tmp_path / "night" / "bad.log").read_text().endswith("why it failed\n")


def test_a_part_ends_at_its_first_command_that_fails(tmp_path: Path) -> None:
    second = counting(tmp_path, "second")
    code, _ = night(tmp_path, Part("both", 1.0, (("-c", "raise SystemExit(1)"), *second.commands)))
    assert code == 1
    assert times(tmp_path, "second") == 0


def test_a_part_over_its_time_is_ended_and_its_children_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    children: list[int] = []
    os.mkfifo(pipe)

    class Impatient(subprocess.Popen[bytes]):
        """The time of a part is up as soon as its child has told its process id."""

        def wait(self, timeout: float | None = None) -> int:
            if not children:
                children.append(int(pipe.read_text()))
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            return super().wait(timeout)

    child = f"import os, signal; open({str(pipe)!r}, 'w').write(str(os.getpid())); signal.pause()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", Impatient)
        code, told = night(tmp_path, part("long", parent), counting(tmp_path, "b"))
    assert code == 1
    assert rows(told) == [["long", "TIMEOUT"], ["b", "PASS"]]
    while _runs(children[0]):  # it was killed, which may take a moment
        os.sched_yield()


def _runs(pid: int) -> bool:
    """Say whether a process runs; one that ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_passed_is_kept_and_what_failed_is_done_again(tmp_path: Path) -> None:
    failing = counting(tmp_path, "b", f"raise SystemExit(not __import__('os').path.exists({str(tmp_path / 'ok')!r}))")
    parts = (counting(tmp_path, "a"), failing)
    assert night(tmp_path, *parts)[0] == 1
    (tmp_path / "ok").touch()
    code, told = night(tmp_path, *parts)
    assert code == 0
    assert rows(told) == [["a", "PASS", "earlier"], ["b", "PASS"]]
    assert (times(tmp_path, "a"), times(tmp_path, "b")) == (1, 2)


def test_a_night_that_passed_whole_is_followed_by_a_new_one(tmp_path: Path) -> None:
    for _ in range(2):
        assert night(tmp_path, counting(tmp_path, "a"))[0] == 0
    assert times(tmp_path, "a") == 2


@pytest.mark.parametrize(("tree", "fresh"), [("tree", True), ("other", False)], ids=["fresh", "changed sources"])
def test_verdicts_are_not_kept(tmp_path: Path, tree: str, fresh: bool) -> None:
    parts = (counting(tmp_path, "a"), part("bad", "raise SystemExit(1)"))
    night(tmp_path, *parts)
    night(tmp_path, *parts, tree=tree, fresh=fresh)
    assert times(tmp_path, "a") == 2


def test_a_part_asked_for_alone_is_done_again_and_the_others_stay_done(tmp_path: Path) -> None:
    one, other, bad = counting(tmp_path, "a"), counting(tmp_path, "b"), part("bad", "raise SystemExit(1)")
    night(tmp_path, one, other, bad)
    night(tmp_path, one)
    night(tmp_path, one, other, bad)
    assert (times(tmp_path, "a"), times(tmp_path, "b")) == (2, 1)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tree": "tree"}', '{"tree": "tree", "parts": {"a": 1}}'])
def test_a_state_that_cannot_be_read_is_told_and_dropped(tmp_path: Path, text: str) -> None:
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "state.json").write_text(text)
    code, told = night(tmp_path, counting(tmp_path, "a"))
    assert code == 0
    assert "state.json cannot be read" in told


def test_ctrl_c_ends_the_part_and_the_next_night_goes_on_there(tmp_path: Path) -> None:
    parts = [counting(tmp_path, "a"), part("long", FOR_EVER)]
    text = (
        "import sys; from pathlib import Path; from stress.nightly import Part, main\n"
        f"sys.exit(main([], {parts!r}, Path({str(tmp_path / 'night')!r})))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", text], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("long: at most"):
        pass
    os.kill(process.pid, signal.SIGTERM)
    _, told = process.communicate()
    assert process.returncode == 130
    assert "goes on from here" in told
    state = json.loads((tmp_path / "night" / "state.json").read_text())
    assert list(state["parts"]) == ["a"]
    assert main([], [parts[0], part("long", "")], tmp_path / "night") == 0
    assert times(tmp_path, "a") == 1


def test_an_unknown_part_is_a_wrong_call_that_lists_the_parts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["walks", "wlaks"])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert "got 'wlaks'" in told
    assert all(part.name in told for part in PARTS)


def test_parts_come_in_the_order_of_the_night() -> None:
    assert [part.name for part in chosen(["walks", "slow"], PARTS)] == ["slow", "walks"]
    assert chosen([], PARTS) == list(PARTS)


def test_a_night_has_its_bound() -> None:
    assert sum(part.minutes for part in PARTS) <= NIGHT_MINUTES


def test_every_script_of_a_night_is_there() -> None:
    scripts = [command[0] for part in PARTS for command in part.commands if command[0] != "-m"]
    assert scripts
    assert all((ROOT / script).is_file() for script in scripts)


def test_a_changed_file_changes_the_tree(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    before = digest([tmp_path])
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").touch()
    assert digest([tmp_path]) == before
    (tmp_path / "a.py").write_text("x = 2\n")
    assert digest([tmp_path]) != before


def test_shown_lines_are_the_last(tmp_path: Path) -> None:
    _, told = night(tmp_path, part("bad", "print(*range(99), sep='\\n'); raise SystemExit(1)"))
    shown = [line.strip() for line in told.splitlines() if line.startswith("    ")]
    assert shown == [str(i) for i in range(99)][-nightly.SHOWN_LINES :]
