"""How this process feels: memory, threads that no run owns, open files, living objects."""

from __future__ import annotations

import os
import resource
import sys
import threading

from mmrace import runtime
from mmrace.runs import foreign
from mmrace.search.pool import heart
from mmrace.search.pool.messages import Health


def health() -> Health:
    """Measure this process.  Threads that the runtime, the watch and the heart keep between runs are not stray."""
    kept = 1 + runtime.pool_size() + foreign.threads() + heart.beating()
    return Health(rss_bytes(), max(0, threading.active_count() - kept), open_files(), sys.getallocatedblocks())


def rss_bytes() -> int:
    """Return the resident memory of this process; where /proc is missing, its peak."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def open_files() -> int:
    """Return how many files this process has open, without the one that it looks with; 0 where /proc is missing."""
    try:
        return len(os.listdir("/proc/self/fd")) - 1
    except OSError:
        return 0
