"""Signals at random moments: which ones, who is looked for afterwards, and that a moment of each signal goes well."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stress.interrupting import COMMANDS, MARK, PHASES, SIGNALS, main, moments
from stress.watched import having


def test_moments_are_drawn_by_seed_and_come_to_every_command_in_every_phase() -> None:
    made = moments(1, 20)
    assert made == moments(1, 20) != moments(2, 20)
    assert [sum(moment.number == number for moment in made) for number in SIGNALS] == [20, 20, 20]
    met = {(moment.words[:-1], moment.phase) for moment in made}
    assert met == {(words, phase) for words in COMMANDS for phase in PHASES}


def test_a_process_is_found_by_its_mark_until_it_has_ended() -> None:
    environment = {**os.environ, MARK: "a test of it"}
    waiting = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(waiting, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # its environment can be read some time after its start only
        assert having(f"{MARK}=a test of it") == [process.pid]
    assert having(f"{MARK}=a test of it") == []


@pytest.mark.slow
def test_one_moment_of_each_signal_goes_well(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    assert main(["--moments", "1"]) == 0
    assert "1 of 1" in capsys.readouterr().out
