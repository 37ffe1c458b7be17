"""For how long somebody has shown no progress: a run, its tasks, a worker; as seen by who looks now and then.

Time counts only while somebody looks: between two looks at most `STEP_SECONDS_MAX` of it.  So neither a clock that
jumps nor a process that was stopped and let go makes anybody silent.  Invariant: what moves is never silent, however
long it takes.
"""

from __future__ import annotations

STEP_SECONDS_MAX = 1.0  # some times what lies between two polls of the loop that looks


class Silence:
    """One silence.  Args: now: when the looking begins.  `seconds`: how long it has lasted."""

    def __init__(self, now: float) -> None:
        self.seconds = 0.0
        self._looked = now
        self._shown: object = None

    def look(self, now: float, shown: object) -> float:
        """Return how long it has lasted.  Args: shown: equal to that of the last look if nothing has moved since."""
        if shown != self._shown:
            self._shown, self.seconds = shown, 0.0
        else:
            self.seconds += min(max(0.0, now - self._looked), STEP_SECONDS_MAX)
        self._looked = now
        return self.seconds

    def forgive(self) -> None:
        """Begin again: it could not have moved."""
        self.seconds = 0.0
