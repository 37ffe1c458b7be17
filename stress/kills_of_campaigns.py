"""Kill a campaign's workers, or all of it, or stop and let go its processes, at many moments: nothing is lost or twice.

    python -m stress.kills_of_campaigns [--moments N] [--runs N] [--jobs N] [--seed N] [worker|client|stop ...]

A campaign with a planted bug is made undisturbed, and then again and again, disturbed at drawn moments:

- `worker`: one of its workers gets SIGKILL;
- `client`: `mmrace stress` itself does, after a drawn time, or at a drawn step of what writes the ledger; the campaign
  goes on with `--resume`;
- `stop`: the client, a worker or all of them get SIGSTOP, and SIGCONT some time later.

Each must come to what the undisturbed one came to: the same turns of the same sequences, the same sums over them, the
same findings, each with its folder.  Told are findings lost, runs counted twice, processes left behind, and how long it
took until `--resume` had begun, or until runs were made again.  Exit code 0 if nothing is wrong, else 1.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from stress.disturbing import KINDS, Campaign, Moment, Told, drawn
from stress.kept_campaign import Came, came, differences

SMALL = ("buffers=1", "idle=0", "migrations=1", "rounds=1", "words=2")
PROGRAM = (
    "async-vs-commit",
    "--variant",
    "double-put",
    "--engine",
    "fiber",
    "--no-canaries",
    *map("--param={}".format, SMALL),
)
MOMENTS, RUNS, JOBS = 100, 800, 2
SHOWN_LINES = 20


class Kills:
    """All moments of one kind.

    Args: made: makes a campaign.  calm, code: what that comes to undisturbed, and its exit code.
    """

    def __init__(self, kind: str, made: Callable[[str, Told], Campaign], calm: Came, code: int) -> None:
        self.kind, self.made, self.calm, self.code = kind, made, calm, code
        self.told = Told()
        self.wrong: list[str] = []
        self.campaigns = self.lost = self.twice = 0

    @classmethod
    def against(cls, kind: str, made: Callable[[str, Told], Campaign], undisturbed: Campaign) -> Kills:
        """Let a campaign be, and compare with that."""
        code = undisturbed.disturbed(kind, [])
        return cls(kind, made, came(undisturbed.store), code)

    def run(self, moments: Sequence[Moment]) -> None:
        """Disturb campaigns until all moments have come."""
        left = list(moments)
        while left:
            self.campaigns += 1
            if self.campaigns > len(moments):
                self.wrong.append(f"{len(left)} moments did not come: campaigns end before; more --runs")
                return
            campaign = self.made(f"{self.kind}-{self.campaigns}", self.told)
            code = campaign.disturbed(self.kind, left)
            found = came(campaign.store)
            self.lost += len(found.lost)
            self.twice += found.twice
            wrong = differences(self.calm, found)
            if code != self.code:
                wrong.append(f"exit code {code}, undisturbed {self.code}: {campaign.said()}")
            self.wrong += [f"campaign {self.campaigns}: {text}" for text in wrong]
        if self.told.orphans:
            self.wrong.append(f"{self.told.orphans} processes were left behind")

    def lines(self) -> list[str]:
        """Return what came of it, for the eye."""
        told = self.told
        lines = [
            f"{self.kind}: {told.moments} moments, {self.campaigns} campaigns of {self.calm.runs} runs with "
            f"{len(self.calm.folders)} findings: findings lost {self.lost}, runs counted twice {self.twice}, "
            f"left behind {told.orphans}"
        ]
        for what, seconds in (("begun", told.begun), ("resumed", told.resumed), ("runs made again", told.again)):
            if seconds:
                times = f"after {median(seconds):.2f} s, {max(seconds):.2f} s at the latest"
                lines.append(f"    {len(seconds)} times {what}, {times}")
        lines.append(f"    nobody was left {told.gone:.2f} s after a client's end, at the latest")
        return lines + [f"    WRONG {text}" for text in self.wrong[:SHOWN_LINES]]


def main(words: Sequence[str] | None = None, program: Sequence[str] = PROGRAM) -> int:
    """Kill and compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--moments", type=int, default=MOMENTS, help="how many of each kind")
    parser.add_argument("--runs", type=int, default=RUNS, help="of each campaign")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(words)
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"expected {', '.join(KINDS)}; got {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends this script ends what it started
    asked = (*program, "--runs", str(options.runs), "--seed", str(options.seed))
    wrong = False
    with tempfile.TemporaryDirectory(prefix="mmrace-kills-") as place:

        def made(name: str, told: Told) -> Campaign:
            return Campaign(asked, ("--jobs", str(options.jobs), "--minimise", "off"), Path(place, name), told)

        undisturbed = made("calm", Told())
        code = undisturbed.disturbed(KINDS[0], [])
        calm = came(undisturbed.store)
        print(f"undisturbed: {calm.runs} runs, {len(calm.folders)} findings, exit code {code}", flush=True)
        if not calm.folders or calm.runs != options.runs:
            print(f"expected {options.runs} runs with findings; it said: {undisturbed.said()}")
            return 1
        for kind in options.kinds or KINDS:
            kills = Kills(kind, made, calm, code)
            try:
                kills.run(drawn(kind, options.moments, options.seed))
            finally:
                print("\n".join(kills.lines()), flush=True)
            wrong = wrong or bool(kills.wrong)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
