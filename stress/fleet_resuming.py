"""Campaigns with a fleet whose client is killed, and goes on with `--resume`: for `stress/fleet.py`.

Each start has its runs made by others than the one before: the workers of a scheduler, a cluster of its own, processes.
What it comes to must not depend on that, and is compared as `stress/kills_of_campaigns.py` does it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from stress.disturbing import KILLED_CLIENT, LOOK_SECONDS, Campaign, Told, drawn
from stress.fleet_machines import LEAVE_SECONDS, Machines
from stress.kills_of_campaigns import PROGRAM, Kills

NEAR = ("--jobs", "2")
EACH = ("--minimise", "off")


class FarCampaign(Campaign):
    """A campaign whose runs are made by others with each start.  Args: pools: options that say by whom, in turn."""

    def __init__(
        self, asked: Sequence[str], pools: Sequence[Sequence[str]], folder: Path, told: Told, each: Sequence[str] = EACH
    ) -> None:
        super().__init__(asked, each, folder, told)
        self.pools = pools

    def each_now(self) -> Sequence[str]:
        """Return what it is told with the start that is to come."""
        return *self.pools[self.starts % len(self.pools)], *self.each


def killed_clients(moments: int, runs: int, seed: int) -> Kills:
    """Kill the clients of campaigns, and let them go on; return what came of it."""
    asked = (*PROGRAM, "--runs", str(runs), "--seed", str(seed))
    with Machines() as machines, tempfile.TemporaryDirectory(prefix="mmrace-fleet-") as place:
        pools = (("--dask", machines.address), ("--dask", "local:2"), ("--dask", machines.address), NEAR)

        def made(name: str, told: Told) -> Campaign:
            return FarCampaign(asked, pools, Path(place, name), told)

        undisturbed = FarCampaign(asked, (NEAR,), Path(place, "calm"), Told())
        kills = Kills.against(KILLED_CLIENT, made, undisturbed)
        if not kills.calm.folders or kills.calm.runs != runs:
            kills.wrong.append(f"expected {runs} runs with findings, undisturbed; it said: {undisturbed.said()}")
            return kills
        kills.run(drawn(KILLED_CLIENT, moments, seed))
        until = time.monotonic() + LEAVE_SECONDS
        while (left := machines.pids("child")) and time.monotonic() < until:  # those of clients that are no more
            time.sleep(LOOK_SECONDS)
    workers = machines.killed_left()
    if left or workers:
        kills.told.orphans += len(left) + workers
        kills.wrong.append(
            f"of the fleet {len(left)} processes that make runs were left behind, {workers} when it ended"
        )
    return kills
