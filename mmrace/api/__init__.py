"""The front door from Python, a file each: `mmrace.explore`, `mmrace.replay`, `mmrace.minimise`."""

from __future__ import annotations

from loguru import logger

from mmrace.api.exploring import Explored, Interrupted, explore
from mmrace.api.minimising import minimise
from mmrace.api.replaying import Replayed, replay
from mmrace.runs.minimal import Minimal

__all__ = ["Explored", "Interrupted", "Minimal", "Replayed", "explore", "minimise", "replay"]

logger.disable("mmrace")  # a library says nothing unless it is asked: logger.enable("mmrace")
