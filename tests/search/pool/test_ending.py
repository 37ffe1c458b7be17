"""What crashes ends of itself; what gets another signal was ended by somebody."""

from __future__ import annotations

import os
import signal

import pytest

from mmrace.search.pool import ending


@pytest.mark.parametrize(
    ("code", "words", "outside"),
    [
        (-signal.SIGKILL, "was ended by SIGKILL", True),
        (-signal.SIGTERM, "was ended by SIGTERM", True),
        (-signal.SIGSEGV, "was ended by SIGSEGV", False),
        (-signal.SIGABRT, "was ended by SIGABRT", False),
        (-10_000, "ended with exit code -10000", True),
        (3, "ended with exit code 3", False),
        (None, "ended with exit code None", False),
    ],
)
def test_an_end_says_by_what_and_whether_from_outside(code: int | None, words: str, outside: bool) -> None:
    assert (ending.told(code), ending.from_outside(code)) == (words, outside)


def test_who_runs_is_not_stopped_and_who_is_gone_is_neither() -> None:
    assert not ending.is_stopped(os.getpid())
    assert not ending.is_stopped(None)
