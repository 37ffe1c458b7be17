"""A campaign as a process that is killed, or stopped and let go, at drawn moments, and then goes on.

A moment is drawn by its seed; what the campaign does just then is not.  Every process of it has a mark in its
environment, by which whoever is left behind is found.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stress.kept_campaign import batches_over, ended_as
from stress.watched import WORKER, having, look

ROOT = Path(__file__).resolve().parent.parent
MARK = "MMRACE_DISTURBED"
KILLED_WORKER, KILLED_CLIENT, STOPPED = KINDS = ("worker", "client", "stop")
LIMIT_SECONDS = 600.0  # for one start of a campaign
ORPHAN_SECONDS = 30.0
"""So long may somebody be left after the client's end: a worker that is just starting sees only then that it has no
parent, and takes seconds for that on a machine under load."""
LOOK_SECONDS = 0.05
SETTLED_SECONDS = 0.5  # so long may it take until what was sent before a moment has been taken
LEDGER_STEPS = 400, 8000
"""Events in the ledger's code, imports among them, until a campaign begins; and in some ten seconds of it."""

STEPPING = """
import os, runpy, signal, sys
at, steps = int(sys.argv[1]), 0
def profile(frame, event, argument):
    global steps
    if "/search/ledger/" in frame.f_code.co_filename:
        steps += 1
        if steps == at:
            os.kill(os.getpid(), signal.SIGKILL)
sys.argv[:2] = ["mmrace"]
sys.setprofile(profile)
runpy.run_module("mmrace", run_name="__main__")
"""
"""Runs mmrace, and kills it at a step of what reads and writes the ledger: a call, or a return, of Python or C."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happens, and to whom.

    Attributes: seconds: after runs of it came into the ledger.  early: after the start, or the moment before.
    step: of the ledger's code, instead of the seconds; 0: none.  whom: a number to choose by.  pause: until SIGCONT.
    """

    seconds: float
    early: bool
    step: int
    whom: int
    pause: float


def drawn(kind: str, count: int, seed: int) -> list[Moment]:
    """Draw moments.  Never two early ones in turn: nobody survives a worker killed before its first run every time."""
    draw = random.Random(f"{kind} {seed}")
    longest = {KILLED_WORKER: 0.6, KILLED_CLIENT: 3.0, STOPPED: 0.5}[kind]
    begun, all_ = LEDGER_STEPS
    return [
        Moment(
            draw.uniform(0.0, longest),
            i % 4 == 0,
            draw.randint(*((1, begun) if i % 8 == 1 else (begun, all_))) if kind == KILLED_CLIENT and i % 2 else 0,
            draw.randrange(1 << 16),
            draw.choice((0.02, 0.2, 1.0)),
        )
        for i in range(count)
    ]


@dataclass(slots=True)
class Told:
    """What was seen beside what the stores say.

    Attributes: begun: seconds from a start until a campaign begins.  resumed: until one goes on.  again: from a moment
    until a batch of one that went on was over.  gone: until nobody is left behind, at most.
    """

    moments: int = 0
    orphans: int = 0
    gone: float = 0.0
    begun: list[float] = field(default_factory=list)
    resumed: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)


class Campaign:
    """One campaign.

    Args: asked: what `mmrace stress` is asked.  each: what it is told with each start, those with --resume too.
    folder: for all that is its own.  told: is added to.
    """

    def __init__(self, asked: Sequence[str], each: Sequence[str], folder: Path, told: Told) -> None:
        self.asked, self.each, self.folder, self.told = asked, each, folder, told
        self.store = folder / "store"
        self.mark = secrets.token_hex(8)
        self.starts = 0
        self._resumed = False
        self._at = 0.0  # when it was started
        self._struck: list[float] = []  # when it was disturbed
        folder.mkdir(parents=True)

    def disturbed(self, kind: str, moments: list[Moment]) -> int:
        """Make the campaign, to its end; moments that have come are taken from the list.  Return the exit code."""
        if kind == KILLED_CLIENT:
            return self._killed(moments)
        process = self._start()
        act = self._kill_worker if kind == KILLED_WORKER else self._stop
        try:
            while moments and self._wait(process, moments[0]):
                if act(process, moments[0]):
                    self._struck.append(time.time())
                    self.told.moments += 1
                    del moments[0]
            return process.wait(LIMIT_SECONDS)
        finally:
            self._end(process)
            self.told.again += self._again()

    def each_now(self) -> Sequence[str]:
        """Return what it is told with the start that is to come."""
        return self.each

    def said(self) -> str:
        """Return the last lines of what it printed last."""
        texts = [(self.folder / f"{self.starts}.{name}").read_text(errors="replace") for name in ("err", "out")]
        return " / ".join("".join(texts).strip().splitlines()[-3:])

    # -- kill all of it, and go on ----------------------------------------------------------------------------------

    def _killed(self, moments: list[Moment]) -> int:
        while moments:
            moment = moments[0]
            process = self._start(moment.step)
            try:
                if moment.step:
                    process.wait(LIMIT_SECONDS)
                else:
                    self._wait(process, moment)
                ended = process.poll()
            finally:
                self._end(process)
            if ended is not None and ended != -signal.SIGKILL:
                return ended
            self.told.moments += 1
            del moments[0]
            if (code := self._ended_already()) is not None:
                return code
        process = self._start()
        try:
            return process.wait(LIMIT_SECONDS)
        finally:
            self._end(process)

    def _ended_already(self) -> int | None:
        """Return the exit code that it has told the ledger of, if the kill came after that."""
        return next((code for code in ended_as(self.store) if code is not None), None)

    # -- disturb one that goes on -----------------------------------------------------------------------------------

    def _wait(self, process: subprocess.Popen[bytes], moment: Moment) -> bool:
        """Wait for a moment; whether the campaign still runs then."""
        since = max([self._at, *(when + SETTLED_SECONDS for when in self._struck[-1:])])
        while not moment.early and process.poll() is None and max(batches_over(self.store), default=0.0) < since:
            time.sleep(LOOK_SECONDS)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment.seconds)
        return process.poll() is None

    def _again(self) -> list[float]:
        """Return how long it took after each moment until a batch was over again."""
        over = batches_over(self.store)
        places = ((when, bisect_right(over, when)) for when in self._struck)
        return [over[place] - when for when, place in places if place < len(over)]

    def _workers(self, process: subprocess.Popen[bytes]) -> list[int]:
        seen = [look(pid, process.pid) for pid in having(f"{MARK}={self.mark}")]
        return [one.pid for one in seen if one is not None and one.role == WORKER]

    def _kill_worker(self, process: subprocess.Popen[bytes], moment: Moment) -> bool:
        workers = self._workers(process)
        if not workers:
            time.sleep(LOOK_SECONDS)
            return False
        os.kill(workers[moment.whom % len(workers)], signal.SIGKILL)
        return True

    def _stop(self, process: subprocess.Popen[bytes], moment: Moment) -> bool:
        workers = self._workers(process)
        choices = [[process.pid], [process.pid, *workers], *([pid] for pid in workers)]
        pids = choices[moment.whom % len(choices)]
        for number, seconds in ((signal.SIGSTOP, moment.pause), (signal.SIGCONT, 0.0)):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(seconds)
        return True

    # -- processes --------------------------------------------------------------------------------------------------

    def _start(self, step: int = 0) -> subprocess.Popen[bytes]:
        """Start it, or let it go on."""
        each = self.each_now()
        self.starts += 1
        asked = ("--resume",) if ended_as(self.store) else self.asked  # killed before it began, it is begun again
        stepping = ("-c", STEPPING, str(step)) if step else ("-m", "mmrace")
        self._resumed = asked is not self.asked
        log = self.folder / f"{self.starts}.log"
        command = ("stress", *asked, *each, "--store", str(self.store), "--log", str(log))
        self._at = time.time()
        with (
            (self.folder / f"{self.starts}.out").open("wb") as out,
            (self.folder / f"{self.starts}.err").open("wb") as err,
        ):
            return subprocess.Popen(
                [sys.executable, *stepping, *command],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill it if it still runs, and look for who is left."""
        process.kill()
        process.wait()
        seconds = self.told.resumed if self._resumed else self.told.begun
        seconds += [when - self._at for when in self._begun()]
        began = time.monotonic()
        while (left := having(f"{MARK}={self.mark}")) and time.monotonic() - began < ORPHAN_SECONDS:
            time.sleep(LOOK_SECONDS)
        self.told.gone = max(self.told.gone, time.monotonic() - began)
        self.told.orphans += len(left)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _begun(self) -> Iterator[float]:
        """Yield when it began, or went on, if it came so far."""
        log = self.folder / f"{self.starts}.log"
        for line in log.read_text(errors="replace").splitlines() if log.exists() else ():
            with contextlib.suppress(ValueError, KeyError):  # a line that was cut
                record = json.loads(line)["record"]
                if record["extra"].get("event") == "begin":
                    yield record["time"]["timestamp"]
