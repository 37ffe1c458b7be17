"""A long campaign, watched from outside: does it grow, leave anybody behind, cry wolf?

    python -m stress.soak --for 2h [--load N] [--cpus 0,1] [--nice N] [--lid TIME] [--jobs N] [-- OPTION...]
    make soak FOR=2h        (24 hours without FOR)

Starts `mmrace stress --for TIME` with a store of its own and looks at it every few seconds through /proc: memory,
threads and open files of the campaign and of each worker; ledger and findings on disk; runs.  --load: beside so many
busy loops.  --cpus: only on these processors.  --nice: so nice.  --lid: once, all its processes are stopped for so long
and let go, as by a laptop's lid.  What comes after `--` goes to `mmrace stress`.

Samples go to `samples.jsonl` in the folder --keep, each as it is taken; page, picture and numbers to --out with .txt,
.svg and .json.  Exit code: 0 if nothing is wrong; 1 if something grows over its bound, somebody is left behind, a
finding is not known, or a run was taken for one that hangs; 130 after Ctrl-C if nothing is wrong so far.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mmrace.cli.options import DURATION, SECONDS_OF
from mmrace.runtime import files
from stress import soak_picture, soak_report
from stress.soak_report import Sample, Soaked
from stress.watched import having, look, size

ROOT = Path(__file__).resolve().parent.parent
KEEP = ROOT / ".mmrace" / "soak"
OUT = ROOT / "stress" / "results" / "soak"
MARK = "MMRACE_SOAKED"
EVERY_SECONDS = 5.0
BEHIND_SECONDS = 120.0  # after its time: the report, and minimising what was found
ORPHAN_SECONDS = 5.0
LID_AT = 0.4  # of the time
RUNS = re.compile(r"\bruns ([\d,]+)|([\d,]+) runs\b")
BUSY = "while True: pass"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is soaked, and beside what."""

    seconds: float
    jobs: int
    every: float = EVERY_SECONDS
    load: int = 0
    cpus: tuple[int, ...] = ()
    nice: int = 0
    lid: float = 0.0
    more: tuple[str, ...] = ()

    def command(self, store: Path, log: Path) -> list[str]:
        """Return the command of the campaign."""
        time_ = ("--for", f"{self.seconds:g}s", "--jobs", str(self.jobs))
        return [sys.executable, "-m", "mmrace", "stress", *time_, "--store", str(store), "--log", str(log), *self.more]


class Soak:
    """One soak.  Args: folder: of its store, its log, its samples and what it prints."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.store, self.log = folder / "store", folder / "log.jsonl"
        self.mark = f"{MARK}={secrets.token_hex(8)}"
        self.samples: list[Sample] = []
        self.interrupted = False
        self._asked = False

    def run(self) -> Soaked:
        """Start, watch and end it; return what was seen."""
        self.folder.mkdir(parents=True)
        with (
            files.create(self.folder / "samples.jsonl") as samples,
            files.create(self.folder / "out.txt") as out,
            files.create(self.folder / "err.txt") as err,
            _busy(self.plan.load),
        ):
            name, _, value = self.mark.partition("=")
            process = subprocess.Popen(
                self.plan.command(self.store, self.log),
                env={**os.environ, "PYTHONPATH": str(ROOT), name: value},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            self._settle(process.pid)
            begun, began = time.time(), time.monotonic()
            try:
                for sample in self._watched(process, began):
                    self.samples.append(sample)
                    print(json.dumps(asdict(sample)), file=samples, flush=True)
                code = process.wait()
                left = self._left()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return self._soaked(code, left, begun, time.monotonic() - began)

    def _settle(self, pid: int) -> None:
        """Give it its place on the machine, before it has started anybody."""
        os.setpriority(os.PRIO_PROCESS, pid, self.plan.nice)
        if self.plan.cpus:
            os.sched_setaffinity(pid, self.plan.cpus)

    def _watched(self, process: subprocess.Popen[bytes], began: float) -> Iterator[Sample]:
        """Yield samples until the campaign has ended.  Ctrl-C is handed on to it, once; again, and it is killed."""
        end = began + self.plan.seconds + self.plan.lid + BEHIND_SECONDS + self.plan.seconds / 4
        lid = began + LID_AT * self.plan.seconds if self.plan.lid else float("inf")
        while process.poll() is None:
            try:
                now = time.monotonic()
                yield self._sample(process.pid, now - began)
                if now >= lid:
                    lid = float("inf")
                    self._close_lid(process.pid)
                if now >= end:
                    os.killpg(process.pid, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(self.plan.every)
            except KeyboardInterrupt:
                self.interrupted = True
                os.killpg(process.pid, signal.SIGKILL if self._asked else signal.SIGINT)
                self._asked = True

    def _close_lid(self, group: int) -> None:
        os.killpg(group, signal.SIGSTOP)
        try:
            time.sleep(self.plan.lid)
        finally:
            os.killpg(group, signal.SIGCONT)

    def _sample(self, campaign: int, seconds: float) -> Sample:
        seen = [one for pid in having(self.mark) if (one := look(pid, campaign)) is not None]
        findings = self.store / "findings"
        folders = len(os.listdir(findings)) if findings.is_dir() else 0
        return Sample(seconds, seen, self._runs(), size(self.store / "ledger"), size(findings), folders)

    def _runs(self) -> int:
        """Return the runs that it last told of."""
        tail = (self.folder / "out.txt").read_text(errors="replace")[-20_000:]
        told = RUNS.findall(tail)
        return int("".join(told[-1]).replace(",", "")) if told else 0

    def _left(self) -> int:
        """Return how many processes are left behind, and end them."""
        until = time.monotonic() + ORPHAN_SECONDS
        while (left := having(self.mark)) and time.monotonic() < until:
            time.sleep(0.05)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(left)

    def _soaked(self, code: int, left: int, begun: float, seconds: float) -> Soaked:
        out, err = ((self.folder / name).read_text(errors="replace") for name in ("out.txt", "err.txt"))
        return Soaked(
            plan=asdict(self.plan),
            samples=self.samples,
            events=_events(self.log),
            sums=soak_report.sums_of(self.store),
            code=code,
            left=left,
            seconds=seconds,
            interrupted=self.interrupted,
            verdict=(out.strip().splitlines() or [""])[-1],
            complaints=[line for line in err.splitlines() if line.strip()],
            revision=revision(),
            lives=soak_report.lives_of(self.store, begun),
        )


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Keep processors busy for the length of the block."""
    loops = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _events(log: Path) -> list[dict[str, object]]:
    """Return what was logged of workers, findings and troubles."""
    kept = []
    for path in sorted(log.parent.glob(f"{log.stem}*{log.suffix}")):  # rotated ones too
        for line in path.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError, KeyError):  # a line that was cut
                record = json.loads(line)["record"]
                extra = {key: value for key, value in record["extra"].items() if key != "folder"}  # this machine's own
                if extra.get("event") in soak_report.TOLD_EVENTS:
                    kept.append({**extra, "text": record["message"]})
    return kept


def revision() -> str:
    """Return which tree this is."""
    asked = ["git", "describe", "--always", "--dirty"]
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "not in git"


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, and write what was seen; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for", dest="seconds", default="24h", help="how long: 10m, 2h, 1d")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--every", type=float, default=EVERY_SECONDS, help="seconds between two samples")
    parser.add_argument("--load", type=int, default=0, help="busy loops beside it")
    parser.add_argument("--cpus", default="", help="processors, as 0 or 0,1")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--lid", default="", help="for how long everything is stopped once")
    parser.add_argument("--keep", type=Path, default=KEEP, help="a folder for store, log and samples; made anew")
    parser.add_argument("--out", type=Path, default=OUT, help="page, picture and numbers, without the ending")
    parser.add_argument("more", nargs="*", help="for mmrace stress")
    options = parser.parse_args(arguments)
    plan = Plan(
        _seconds(options.seconds),
        options.jobs,
        options.every,
        options.load,
        tuple(int(cpu) for cpu in options.cpus.split(",") if cpu),
        options.nice,
        _seconds(options.lid) if options.lid else 0.0,
        tuple(options.more),
    )
    folder = options.keep / time.strftime("%Y%m%d-%H%M%S")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        soaked = Soak(plan, folder).run()
    finally:
        signal.signal(signal.SIGTERM, before)
    write(soaked, options.out)
    print(soak_report.page(soaked))
    return 1 if soaked.wrong() else 128 + signal.SIGINT if soaked.interrupted else 0


def write(soaked: Soaked, out: Path) -> None:
    """Write page, numbers and picture."""
    out.parent.mkdir(parents=True, exist_ok=True)
    files.write_whole(out.with_suffix(".txt"), [soak_report.page(soaked)])
    files.write_whole(out.with_suffix(".json"), [json.dumps(soak_report.numbers(soaked)), "\n"])
    soak_picture.draw(soaked, out.with_suffix(".svg"))


def _seconds(text: str) -> float:
    """Return the seconds of 90, 60s, 10m or 8h30m."""
    match = DURATION.fullmatch(text)
    if match is None:
        return float(text)
    return sum(float(number) * SECONDS_OF[unit] for unit, number in match.groupdict(default="0").items())


if __name__ == "__main__":
    sys.exit(main())
