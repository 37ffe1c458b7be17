"""mmrace: a whitebox concurrency testbed for the page-migration protocol of Linux v3.3.

mmrace runs actors on a kernel model under a scheduler, and oracles judge the record.  Every folder is one noun of that
sentence, and imports run downwards only.  `explore`, `replay` and `minimise` are the front door for a program of one's
own (`api/`); they are imported when they are first asked for, so that `import mmrace.runtime` imports the runtime and
nothing else.
"""

from __future__ import annotations

from mmrace.version import __version__ as __version__

TYPE_CHECKING = False  # as `typing` has it, whose import takes longer than all else before Ctrl-C is taken

if TYPE_CHECKING:
    from mmrace.api import Explored, Minimal, Replayed, explore, minimise, replay

__all__ = ["Explored", "Minimal", "Replayed", "explore", "minimise", "replay"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from mmrace import api  # noqa: PLC0415

        return getattr(api, name)
    raise AttributeError(f"module 'mmrace' has no attribute {name!r}")
