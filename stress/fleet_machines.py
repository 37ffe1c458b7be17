"""The machines of `stress/fleet.py`: a scheduler and workers as their own command lines start them, and who is who.

Whoever ends is started again, as a service manager would.  Every process carries a mark in its environment, so that
none is missed, whoever its parent is by then.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

DASK = str(Path(sys.executable).with_name("dask"))
MARK = "MMRACE_STRESS_FLEET"
UNPROFILED = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
"""Else each process of Dask keeps a profile of each of its last thousand seconds, which looks like a leak."""
LEAVE_SECONDS = 30.0
"""For what was begun to be gone by itself: who is just starting sees only then that it has no parent, which took nine
seconds where eight others wanted each processor; and who made runs waits ten for more of them."""


def children(pid: int) -> list[int]:
    """Return the processes that a process has started with `multiprocessing`."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid and b"spawn_main" in (path / "cmdline").read_bytes():
                    found.append(int(path.name))
    return found


def ended(pid: int) -> bool:
    """Say whether a process is gone, or waits to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Machines:
    """A scheduler and some workers.  Use as a context manager.  Args: prefixes: of the command lines, to put each into
    a network of its own.
    """

    def __init__(
        self, workers: int = 2, *, host: str = "127.0.0.1", scheduler: Sequence[str] = (), worker: Sequence[str] = ()
    ) -> None:
        self.mark = uuid.uuid4().hex
        self.environment = {**os.environ, **UNPROFILED, MARK: self.mark, "PYTHONPATH": os.getcwd()}
        self.address = f"tcp://{host}:{free_port()}"
        quiet = ("--no-dashboard", "--dashboard-address", ":0")
        port = self.address.rpartition(":")[2]
        self._lines = {"scheduler": [*scheduler, DASK, "scheduler", "--host", host, "--port", port, *quiet]}
        for number in range(workers):
            self._lines[f"worker {number}"] = [
                *worker, DASK, "worker", self.address, "--nthreads", "1", "--death-timeout", "20", *quiet
            ]  # fmt: skip
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.restarts = 0

    def __enter__(self) -> Machines:
        self.keep()
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()

    def keep(self) -> None:
        """Start whoever does not run."""
        for name, line in self._lines.items():
            process = self.running.get(name)
            if process is None or process.poll() is not None:
                self.restarts += process is not None
                self.running[name] = self.start(line)

    def start(self, line: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a process with the mark."""
        return subprocess.Popen(
            line,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def pids(self, kind: str) -> list[int]:
        """Return the processes of a kind: scheduler, nanny, worker, or child, which makes the runs."""
        nannies = [process.pid for name, process in self.running.items() if name != "scheduler"]
        if kind == "scheduler":
            return [self.running["scheduler"].pid]
        if kind == "nanny":
            return nannies
        workers = [pid for nanny in nannies for pid in children(nanny)]
        return workers if kind == "worker" else [pid for worker in workers for pid in children(worker)]

    def killed_left(self) -> int:
        """Kill what is left when all has ended, and had time to go; return how many that were."""
        until = time.monotonic() + LEAVE_SECONDS
        while (marked := self._marked()) and time.monotonic() < until:
            time.sleep(0.2)
        for pid in marked:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        return len(marked)

    def _marked(self) -> set[int]:
        found = set()
        wanted = f"{MARK}={self.mark}".encode()
        for path in Path("/proc").iterdir():
            if path.name.isdigit() and int(path.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if wanted in (path / "environ").read_bytes().split(b"\0") and not ended(int(path.name)):
                        found.add(int(path.name))
        return found
