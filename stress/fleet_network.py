"""Two networks on one machine, and the link between them, which can be dropped: for `stress/fleet.py`.

The scheduler stays in this one, the workers are in another.  Needs `ip`, and the right to make name spaces.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time

from stress.fleet_machines import Machines

HERE, THERE = "10.203.17.1", "10.203.17.2"  # of a private range, and of no network that is likely to be there


def _ip(*words: str) -> str:
    """Call `ip`; return what it complains about."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def why_not() -> str:
    """Say why there can be no second network; "" if there can."""
    if shutil.which("ip") is None:
        return "no command `ip`"
    name = f"mmrace-try-{os.getpid()}"
    why = _ip("netns", "add", name) or _ip("link", "add", "mmr-try0", "type", "veth", "peer", "name", "mmr-try1")
    _ip("link", "del", "mmr-try0")
    _ip("netns", "del", name)
    return why


class Network:
    """The second network, and the link to it."""

    def __init__(self) -> None:
        self.name, self.near, self.far = (
            f"mmrace-{os.getpid()}",
            f"mmr{os.getpid() % 10**6}a",
            f"mmr{os.getpid() % 10**6}b",
        )
        for words in (
            ("netns", "add", self.name),
            ("link", "add", self.near, "type", "veth", "peer", "name", self.far),
            ("link", "set", self.far, "netns", self.name),
            ("addr", "add", f"{HERE}/24", "dev", self.near),
            ("link", "set", self.near, "up"),
            ("-n", self.name, "addr", "add", f"{THERE}/24", "dev", self.far),
            ("-n", self.name, "link", "set", self.far, "up"),
            ("-n", self.name, "link", "set", "lo", "up"),
        ):
            if why := _ip(*words):
                self.remove()
                raise OSError(f"ip {' '.join(words)}: {why}")

    def machines(self) -> Machines:
        """Return a scheduler here and workers there."""
        return Machines(host=HERE, worker=("ip", "netns", "exec", self.name))

    def drop(self, seconds: float) -> bool:
        """Drop the link for a while."""
        _ip("link", "set", self.near, "down")
        time.sleep(seconds)
        _ip("link", "set", self.near, "up")
        return True

    def remove(self) -> None:
        """Take it all away."""
        _ip("netns", "del", self.name)
        _ip("link", "del", self.near)
