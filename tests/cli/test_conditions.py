"""Where something is missing, a command says so, with an exit code that means it, and keeps what it found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conditions import CONDITIONS, Condition


@pytest.mark.slow
@pytest.mark.parametrize(
    "condition", CONDITIONS, ids=[f"{condition.name}: {' '.join(condition.words[:2])}" for condition in CONDITIONS]
)
def test_what_is_missing_is_told(condition: Condition, tmp_path: Path) -> None:
    assert condition.breaches(condition.run(tmp_path), tmp_path) == []
