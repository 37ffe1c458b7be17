"""What travels between a campaign and its far workers: orders one way, replies the other.

Far from the store a worker cannot keep what it found, so a finding travels whole: its run, and the records as their
files have them, compressed.  Everything else is small.  Invariant: what comes out is what `Making.keep` takes; a record
that is larger than what is read again stays away, and the finding comes without it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from loguru import logger

from mmrace.runs.kept import owner_of
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime import record_file
from mmrace.runtime.record import Record
from mmrace.search.pool.making import ALONE, Made, Making
from mmrace.search.pool.messages import Batch, Has, Health, Job, Outcome

LEVEL = 1  # of compression: twice as fast as the usual one, and some tenth larger
WHERE = "what a far worker sent"


@dataclass(frozen=True, slots=True)
class Parcel:
    """A run, and what the files of its records hold, compressed; None where it has none."""

    result: RunResult
    record: bytes | None
    free: bytes | None

    def whole(self) -> RunResult:
        """Return the run with its records."""
        return replace(self.result, record=_unpacked(self.record), free=_unpacked(self.free))


@dataclass(slots=True)
class FarOutcome(Outcome):
    """What came of a run that is kept elsewhere.  `run`, `again`: as of `Made`, if they are to be kept whole."""

    run: Parcel | None = None
    again: dict[str, Parcel] = field(default_factory=dict)

    def made(self) -> Made:
        """Return what is to be kept."""
        again = {signature: parcel.whole() for signature, parcel in self.again.items()}
        return Made(self.result if self.run is None else self.run.whole(), again, self.trouble)

    @property
    def small(self) -> bool:
        """Whether no record travels with it."""
        return self.run is None and not self.again


@dataclass(frozen=True, slots=True)
class FarMaking:
    """Makes runs far from the store: keeps nothing, and sends what `making` is to keep.  Pickles.

    Args: folder: of the client, in which files have their names, if this machine has it too.
    """

    making: Making
    folder: str = ""

    def make(self, job: Job, batch: Batch = ALONE, converts: Callable[[bool], None] = lambda now: None) -> FarOutcome:
        """Make one run; see `Makes`."""
        if self.folder and os.getcwd() != self.folder:
            with contextlib.suppress(OSError):
                os.chdir(self.folder)
        made = self.making.whole(job, lambda result: wanted(result, batch.has), converts)
        result = made.result
        if result is None:
            return FarOutcome(None, trouble=made.trouble)
        packed: dict[int, bytes | None] = {}
        again = {signature: _parcel(other, packed) for signature, other in made.again.items()}
        run = _parcel(result, packed) if self._travels(job, batch, made, result) else None
        return FarOutcome(replace(result, record=None), trouble=made.trouble, run=run, again=again)

    def _travels(self, job: Job, batch: Batch, made: Made, result: RunResult) -> bool:
        """Say whether a run's own record could be kept."""
        if not result.shows or result.record is None:
            return False
        if job.role == "canary":
            return self.making.keeps_canary(batch, result)
        had = batch.has.whole | (batch.has.free if result.spec.engine == "free" else frozenset())
        left = [finding.signature for finding in result.findings if finding.signature not in made.again]
        return not result.findings or any(name_of(signature, result.spec) not in had for signature in left)


def name_of(signature: str, spec: RunSpec) -> str:
    """Name a finding of a program, as `Has` does."""
    return owner_of(spec).beside(signature)


def wanted(result: RunResult, has: Has) -> dict[str, bool]:
    """Return the findings of a free run that are to be made again, as `FindingStore.unrepeatable` does."""
    if result.spec.engine != "free" or result.record is None:
        return {}
    names = {finding.signature: name_of(finding.signature, result.spec) for finding in result.findings}
    return {signature: name in has.free for signature, name in names.items() if name not in has.whole}


@dataclass(frozen=True, slots=True)
class Loss:
    """The process that made the runs died or hung, as `contract.Lost` has it.  `position`: of the run it was at."""

    position: int | None
    rule: str
    how: str
    in_vain: bool
    outside: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of an order.

    `worker`, `address`: who made it.  `outcomes`: by position, those that were made.  `refused`: why this worker makes
    none; "" if it does.
    """

    worker: str
    address: str
    outcomes: list[tuple[int, FarOutcome]] = field(default_factory=list)
    health: Health | None = None
    loss: Loss | None = None
    refused: str = ""

    @property
    def small(self) -> bool:
        """Whether no record travels in it."""
        return all(outcome.small for _, outcome in self.outcomes)


def packed(thing: object) -> bytes:
    """Return something as it travels."""
    return zlib.compress(pickle.dumps(thing, pickle.HIGHEST_PROTOCOL), LEVEL)


def unpacked(content: bytes) -> Any:
    """Return what travelled.  Whoever can reach the scheduler can have any code executed here, as with all of Dask."""
    return pickle.loads(zlib.decompress(content))


def _parcel(result: RunResult, done: dict[int, bytes | None]) -> Parcel:
    """Pack a run.  Args: done: records that were packed, by id; some runs share theirs."""
    for record in (result.record, result.free):
        if record is not None and id(record) not in done:
            done[id(record)] = _content(record, result.spec)
    return Parcel(replace(result, record=None, free=None), done.get(id(result.record)), done.get(id(result.free)))


def _content(record: Record, spec: RunSpec) -> bytes | None:
    """Return what the file of a record would hold, compressed; None if that is more than is read again."""
    compressor = zlib.compressobj(LEVEL)
    parts, size = [], 0
    for line in record.lines():
        data = f"{line}\n".encode()
        size += len(data)
        if size > record_file.BYTES_MAX:
            logger.warning("the record of a finding is too large to travel: {}", spec.command())
            return None
        parts.append(compressor.compress(data))
    return b"".join([*parts, compressor.flush()])


def _unpacked(content: bytes | None) -> Record | None:
    return None if content is None else Record.parse(zlib.decompress(content), WHERE)
