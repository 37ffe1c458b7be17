"""Put the claims of exclusion to the test: explore programs that can refute them, keep a witness of what decides one.

Each claim has its programs (`programs.py`).  A program is sampled (`sampling.py`), or, if it is small enough, walked to
its end (`walking.py`).  What is found depends on the options alone, whatever `--jobs` says, unless `--for` cuts it by
time.  Invariant: what is counted was seen in a record by a check; a run that did not finish is not counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mmrace.claims.judges import Claim
from mmrace.claims.programs import SETTINGS, TESTS
from mmrace.claims.result import ClaimsResult
from mmrace.claims.sampling import Sampling
from mmrace.claims.walking import Walking
from mmrace.claims.witnesses import keep_witnesses
from mmrace.runs import stops
from mmrace.runs.store import FindingStore
from mmrace.search.options import Options

SAMPLING_SHARE = 0.6  # of `--for`; the rest is for the walks, of which the small ones end


class ClaimsRun:
    """One call of the command.

    Args: options: `runs` is the number of schedules of each program instead of its own, `seconds` are for the whole
    call.  era: in which state of the code.  tell: called after each few runs.
    """

    def __init__(
        self,
        claims: Sequence[Claim],
        folder: Path,
        options: Options,
        *,
        era: str = "",
        tell: Callable[[ClaimsResult], None] = lambda result: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.options = folder, options
        self._tell, self.clock = tell, clock
        self.result = ClaimsResult(tuple(claims), options.seed, era=era)
        self._began = clock()

    def run(self) -> ClaimsResult:
        """Sample, walk, keep the witnesses; Ctrl-C ends what is going on, and goes on with what is known by then."""
        used = {name for claim in self.result.claims for name in TESTS[claim.name]}
        settings = [setting for name, setting in SETTINGS.items() if name in used]
        sampling = Sampling(
            self.result, [s for s in settings if s.schedules], self.options, lambda: self.late(SAMPLING_SHARE)
        )
        walking = Walking(self.result, self.options, self.late)
        try:
            sampling.run(FindingStore(self.folder / "findings"))
            walking.walk_all([s for s in settings if not s.schedules], SAMPLING_SHARE)
        except KeyboardInterrupt as error:
            self.result.interrupted = stops.number_of(error)
        try:
            with stops.interruptible():
                keep_witnesses(self.result, walking.deciding, self.folder / "claims", self.now)
        except KeyboardInterrupt as error:
            self.result.interrupted = stops.number_of(error)
        self.result.seconds = self.clock() - self._began
        return self.result

    def now(self) -> float:
        """Return how long the call has lasted, and tell."""
        self.result.seconds = self.clock() - self._began
        self._tell(self.result)
        return self.result.seconds

    def late(self, share: float) -> bool:
        """Say whether a share of the time is up."""
        seconds = self.now()
        return self.options.seconds is not None and seconds >= share * self.options.seconds
