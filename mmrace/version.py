"""The version of mmrace, by itself: what is run says it in its record, and the package imports what is run."""

from __future__ import annotations

__version__ = "0.1.0"
