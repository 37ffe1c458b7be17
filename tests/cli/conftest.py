"""What tests of commands share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger


@pytest.fixture
def logged() -> Iterator[list[dict[str, Any]]]:
    """What mmrace logs, from INFO on: the facts of each message, and what it said."""
    records: list[dict[str, Any]] = []
    logger.enable("mmrace")
    sink = logger.add(
        lambda message: records.append({**message.record["extra"], "said": message.record["message"]}), level="INFO"
    )
    yield records
    logger.remove(sink)
    logger.disable("mmrace")
