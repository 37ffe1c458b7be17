"""How many runs an order may have, so that its reply stays small.

What travels of a run that passed is some hundred bytes, and how many depends on its program.  Invariant: as soon as one
reply of a kind came, the next one is expected to be within the bound, unless a single run is larger.
"""

from __future__ import annotations

from mmrace.runs.spec import RunSpec

REPLY_BYTES_MAX = 10_000  # compressed; a finding's record comes on top of it
MARGIN = 0.8  # runs of a kind differ
FIRST_RUNS = 8  # before anybody knows how large they are; one is a kilobyte at most
KINDS_MAX = 1000  # programs and engines that are told apart


class ReplySize:
    """What runs of each kind take in a reply.  `largest`: reply that came, in bytes."""

    def __init__(self) -> None:
        self._each: dict[tuple[str, str, str], float] = {}
        self.largest = 0

    def took(self, spec: RunSpec, runs: int, size: int) -> None:
        """Take in the size of a reply: the larger one counts at once, a smaller one in the long run."""
        key = self._kind(spec)
        old = self._each.get(key, 0.0)
        if len(self._each) < KINDS_MAX or key in self._each:
            self._each[key] = max(size / runs, 0.9 * old)
        self.largest = max(self.largest, size)

    def runs(self, spec: RunSpec) -> int:
        """Return how many runs an order may have."""
        each = self._each.get(self._kind(spec))
        return FIRST_RUNS if each is None else max(1, int(MARGIN * REPLY_BYTES_MAX / each))

    @staticmethod
    def _kind(spec: RunSpec) -> tuple[str, str, str]:
        return spec.program, spec.engine, spec.variant
