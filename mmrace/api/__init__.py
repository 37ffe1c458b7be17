"""The front door from Python, a file each: `mmrace.explore`, `mmrace.replay`."""

from __future__ import annotations

from loguru import logger

from mmrace.api.explore import Explored, Interrupted, explore
from mmrace.api.replay import Replayed, replay

__all__ = ["Explored", "Interrupted", "Replayed", "explore", "replay"]

logger.disable("mmrace")  # a library says nothing unless it is asked: logger.enable("mmrace")
