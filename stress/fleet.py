"""Kill and stop what a fleet consists of, at random moments: an exploration must come to what it comes to undisturbed.

    python -m stress.fleet [--moments N] [--runs N] [--seed N] [KIND...]

A program with a bug is explored in this machine's own processes first, then by two Dask workers (`dask
scheduler`, `dask worker`), while one of these is killed or stopped at drawn moments and started again: `worker`,
`nanny`, `scheduler`, `child` (the process that makes the runs) are killed; `stop` stops any of them, or the client, for
a while; `link` drops the network between scheduler and workers, which are in name spaces of their own (where these are
refused, it is left out and that is said).  Compared are all schedules (class and verdict of each, and that each came
once) and the findings with how often each was seen.  `client` kills a campaign's client, which goes on with `--resume`
(`fleet_resuming.py`): its store must come to what it comes to undisturbed.

Prints a line a kind: moments; runs lost, runs counted twice, findings lost, false alarms (all of these 0); the longest
silence after a moment, in seconds; processes left behind (0).  Exit code 0 if all is as it must be, else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from stress.fleet_client import NEAR
from stress.fleet_machines import Machines
from stress.fleet_network import Network, why_not
from stress.fleet_resuming import killed_clients

CLIENT = "client"
KINDS = ("worker", "nanny", "scheduler", "child", "stop", CLIENT, "link")
MOMENTS, RUNS, CAMPAIGN_RUNS = 100, 4000, 800
PAUSE_SECONDS = (0.3, 3.0)  # between what came again after a moment, and the next moment
STOPPED_SECONDS = (0.1, 3.0)
LINK_SECONDS = (0.5, 6.0)
SILENT_SECONDS_MAX = 180.0  # after which it is said that nothing comes any more
LOOK_SECONDS = 0.05


@dataclass(slots=True)
class Came:
    """What an exploration came to.  `times`: when each outcome came."""

    seen: dict[int, tuple[str, str]] = field(default_factory=dict)
    twice: int = 0
    hits: dict[str, int] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    whole: bool = False

    @classmethod
    def read(cls, notes: Path) -> Came:
        """Read the notes of a client."""
        came = cls()
        for line in notes.read_text(encoding="utf-8").splitlines():
            words = line.split(" ", 1)
            if words[0] == "end":
                said = json.loads(words[1])
                came.hits, came.troubles, came.whole = said["hits"], said["troubles"], True
                continue
            when, index, digest, verdict = line.split(" ")
            came.twice += int(index) in came.seen
            came.seen[int(index)] = digest, verdict
            came.times.append(float(when))
        return came


@dataclass(slots=True)
class Sums:
    """What came of a kind of moments."""

    moments: int = 0
    runs_lost: int = 0
    runs_twice: int = 0
    findings_lost: int = 0
    alarms: int = 0
    silence: list[float] = field(default_factory=list)
    left: int = 0
    explorations: int = 0

    @property
    def wrong(self) -> int:
        """How much is not as it must be."""
        return self.runs_lost + self.runs_twice + self.findings_lost + self.alarms + self.left

    def compare(self, came: Came, expected: Came, moments: Sequence[float]) -> None:
        """Take in an exploration.  Args: expected: what it comes to undisturbed."""
        self.explorations += 1
        self.runs_lost += sum(came.seen.get(index) != run for index, run in expected.seen.items())
        self.runs_twice += came.twice
        self.findings_lost += sum(came.hits.get(name, 0) < times for name, times in expected.hits.items())
        self.alarms += len(came.hits.keys() - expected.hits.keys()) + len(came.troubles)
        for trouble in came.troubles:
            print(trouble, file=sys.stderr)
        for moment, end in pairwise((*moments, float("inf"))):
            times = [moment, *(when for when in came.times if moment < when <= end)]
            self.silence.append(max((b - a for a, b in pairwise(times)), default=0.0))

    def line(self, kind: str) -> str:
        """Return the sums for the eye."""
        silence = sorted(self.silence) or [0.0]
        return (
            f"{kind:10} moments {self.moments:4}  runs lost {self.runs_lost}  counted twice {self.runs_twice}  "
            f"findings lost {self.findings_lost}  false alarms {self.alarms}  left behind {self.left}  silence "
            f"{silence[len(silence) // 2]:.1f} s median, {silence[-1]:.1f} s longest  (of {self.explorations})"
        )


class Client:
    """The client as a process.  Args: machines: whose mark it has."""

    def __init__(self, machines: Machines, where: str, folder: Path, runs: int) -> None:
        self.notes = folder / "notes"
        line = [sys.executable, "-m", "stress.fleet_client", where, str(folder), str(runs), str(self.notes)]
        self.process = machines.start(line)

    def taken(self) -> int:
        """Return how many bytes it has noted."""
        return self.notes.stat().st_size if self.notes.exists() else 0

    @property
    def runs(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None


def strike(kind: str, machines: Machines, client: int, draw: random.Random) -> bool:
    """Kill or stop one of a kind; return whether there was one."""
    stops = kind == "stop"
    whose = draw.choice(("worker", "nanny", "scheduler", "child", CLIENT)) if stops else kind
    pids = [client] if whose == CLIENT else machines.pids(whose)
    if not pids:
        return False
    pid = draw.choice(pids)
    try:
        os.kill(pid, signal.SIGSTOP if stops else signal.SIGKILL)
        if stops:
            time.sleep(draw.uniform(*STOPPED_SECONDS))
            os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return False
    return True


def disturbed(kinds: Sequence[str], machines: Machines, network: Network | None, moments: int, runs: int,
              draw: random.Random, folder: Path) -> tuple[Came, list[float]]:  # fmt: skip
    """Explore, and disturb it up to so many times, by kinds in turn; return what came, and when it was disturbed."""
    client = Client(machines, machines.address, folder, runs)
    struck: list[float] = []
    seen, due, since = 0, time.monotonic() + draw.uniform(*PAUSE_SECONDS), time.monotonic()
    while client.runs:
        machines.keep()
        taken, now = client.taken(), time.monotonic()
        if taken > seen:
            if since > due:  # the first that came after a moment
                due = now + draw.uniform(*PAUSE_SECONDS)
            seen, since = taken, now
            if now >= due and len(struck) < moments:
                if network is not None:
                    hit = network.drop(draw.uniform(*LINK_SECONDS))
                else:
                    hit = strike(kinds[len(struck) % len(kinds)], machines, client.process.pid, draw)
                if hit:
                    struck.append(now)
                    due = time.monotonic() + draw.uniform(*PAUSE_SECONDS)
        elif now - since > SILENT_SECONDS_MAX:
            client.process.kill()
        time.sleep(LOOK_SECONDS)
    return Came.read(client.notes) if client.notes.exists() else Came(), struck


def of_kind(kind: str, expected: Came, moments: int, runs: int, seed: int) -> Sums:
    """Disturb explorations until there were so many moments."""
    sums, draw = Sums(), random.Random(f"{kind} {seed}")
    network = Network() if kind == "link" else None
    try:
        machines = Machines() if network is None else network.machines()
        with machines:
            while sums.moments < moments:
                folder = tempfile.mkdtemp()
                came, struck = disturbed((kind,), machines, network, moments - sums.moments, runs, draw, Path(folder))
                shutil.rmtree(folder, ignore_errors=True)
                sums.compare(came, expected, struck)
                sums.moments += len(struck)
                print(sums.line(kind), file=sys.stderr, flush=True)
        sums.left += machines.killed_left()
    finally:
        if network is not None:
            network.remove()
    return sums


def undisturbed(runs: int) -> Came:
    """Explore without a fleet."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "notes")
        line = [sys.executable, "-m", "stress.fleet_client", NEAR, folder, str(runs), str(notes)]
        subprocess.run(line, check=False, stderr=subprocess.DEVNULL)
        return Came.read(notes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Disturb and compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", default=list(KINDS))
    parser.add_argument("--moments", type=int, default=MOMENTS, help="of each kind")
    parser.add_argument("--runs", type=int, default=RUNS, help="schedules of an exploration")
    parser.add_argument(
        "--campaign", type=int, default=CAMPAIGN_RUNS, help="runs of a campaign, whose client is killed"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that all machines are ended
    expected = undisturbed(options.runs)
    verdicts = Counter(verdict for _, verdict in expected.seen.values())
    print(f"undisturbed: {len(expected.seen)} runs, {dict(verdicts)}, findings {expected.hits}", flush=True)
    wrong = len(expected.seen) != options.runs or not expected.hits
    for kind in options.kinds:
        if kind == "link" and (why := why_not()):
            print(f"{kind:10} left out: {why}", flush=True)
            continue
        if kind == CLIENT:
            kills = killed_clients(options.moments, options.campaign, options.seed)
            print("\n".join(kills.lines()), flush=True)
            wrong |= bool(kills.wrong)
            continue
        sums = of_kind(kind, expected, options.moments, options.runs, options.seed)
        print(sums.line(kind), flush=True)
        wrong |= bool(sums.wrong)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
