"""For how long somebody has shown no progress: a run, its tasks, a worker; as seen by who looks now and then.

Time counts only while somebody looks: between two looks at most `STEP_SECONDS_MAX` of it.  So neither a clock that
jumps nor a process that was stopped and let go makes anybody silent.  And behind the first `SHORT_SECONDS` it counts
only as far as who is looked at had it (`allotted.py`): a slow machine is no silence.  Invariant: what moves is never
silent, however long it takes.
"""

from __future__ import annotations

from mmrace.runtime.allotted import Allotted

STEP_SECONDS_MAX = 1.0  # some times what lies between two polls of the loop that looks
SHORT_SECONDS = 1.0  # far below every limit; what moves more often costs whoever looks nothing but the comparison


class Silence:
    """One silence.  Args: now: when the looking begins.  pid: of whom; None: of this process.

    Attributes: seconds: how long it has lasted.
    """

    allotted = Allotted

    def __init__(self, now: float, pid: int | None = None) -> None:
        self.seconds = 0.0
        self._pid = pid
        self._looked = now
        self._shown: object = None
        self._passed = 0.0
        self._since: tuple[float, Allotted] | None = None  # from when on it is known how much of the time was had

    def look(self, now: float, shown: object) -> float:
        """Return how long it has lasted.  Args: shown: equal to that of the last look if nothing has moved since."""
        if shown != self._shown:
            self._shown = shown
            self.forgive()
        else:
            self._passed += min(max(0.0, now - self._looked), STEP_SECONDS_MAX)
            self.seconds = self._had()
        self._looked = now
        return self.seconds

    def forgive(self) -> None:
        """Begin again: it could not have moved."""
        self.seconds = self._passed = 0.0
        self._since = None

    def _had(self) -> float:
        if self._since is None:
            if self._passed >= SHORT_SECONDS:
                self._since = self._passed, self.allotted(self._pid)
            return self._passed
        before, allotted = self._since
        return before + allotted.of(self._passed - before)
