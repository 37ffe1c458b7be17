"""Options that several commands share: durations, and the folder of findings."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from mmrace.cli.explore import explore
from mmrace.cli.options import duration, folder
from mmrace.runtime.errors import UsageError

CONTEXT, PARAM = click.Context(explore), explore.params[0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90), ("60s", 60), ("10m", 600), ("2h", 7200), ("8h30m", 30600), ("1d", 86400), ("1d12h", 129600),
        ("1d2h3m4.5s", 93784.5), ("0.5h", 1800),
    ],
)  # fmt: skip
def test_durations_are_sums_of_days_hours_minutes_and_seconds(text: str, seconds: float) -> None:
    assert duration(CONTEXT, PARAM, text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "0", "0h0m", "-5s", "30m8h", "1h30", "5w", "1e9", "9" * 400, "1h1h", "٣s "]
)
def test_what_is_no_duration_is_refused_with_what_to_try(text: str) -> None:
    with pytest.raises(UsageError, match="8h30m"):
        duration(CONTEXT, PARAM, text)


@pytest.mark.parametrize("place", ["new/and/deep", "there", "."])
def test_a_folder_that_can_be_written_is_taken_and_nothing_is_left_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    assert folder(CONTEXT, PARAM, place) == place
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.parametrize("place", ["file", "file/below", "there/findings/x", "/proc/nowhere", "a" * 300])
def test_a_folder_that_cannot_be_made_or_written_is_a_wrong_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    Path("file").touch()
    Path("there/findings").touch()
    with pytest.raises(UsageError, match="expected a folder that can be written"):
        folder(CONTEXT, PARAM, place)
