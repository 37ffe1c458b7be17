"""A link without a fleet: what is sent is kept, and a test says what comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmrace.runs.spec import RunResult
from mmrace.runs.store import FindingStore
from mmrace.search.pool.far import FarPool
from mmrace.search.pool.far_link import Replied, Told, Up, Workers
from mmrace.search.pool.far_parcel import FarOutcome, Loss, Reply, packed, unpacked
from mmrace.search.pool.far_worker import Campaign
from mmrace.search.pool.fleet import Fleet
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Batch
from tests.search.pool.stand_ins import HEALTH


class ScriptedLink:
    """Two workers of one thread are there.  `orders`: (number, batch) of each that was sent; `refused`: workers."""

    def __init__(self, place: Fleet, campaign: Campaign, tell: Callable[[Told], None], **more: object) -> None:
        self.campaign, self.tell = campaign, tell
        self.orders: list[tuple[int, Batch]] = []
        self.dropped: list[int] = []
        self.refused: list[str] = []
        self.stops = self.closes = 0

    def start(self) -> None:
        self.tell(Up())
        self.tell(Workers(2, {}))

    def send(self, serial: int, order: bytes) -> None:
        self.orders.append((serial, unpacked(order)))

    def drop(self, serial: int) -> None:
        self.dropped.append(serial)

    def refuse(self, address: str, why: str) -> None:
        self.refused.append(address)

    def stop(self) -> None:
        self.stops += 1

    def close(self) -> None:
        self.closes += 1

    # -- what a test says -------------------------------------------------------------------------------------------

    @property
    def last(self) -> tuple[int, Batch]:
        """The order that was sent last."""
        return self.orders[-1]

    def replies(self, order: tuple[int, Batch], count: int | None = None, **more: Any) -> None:
        """A worker has made the first so many runs of an order, or all."""
        serial, batch = order
        made = [(i, FarOutcome(RunResult(job.spec, "PASS"))) for i, job in enumerate(batch.jobs[:count])]
        self.tell(Replied(serial, packed(Reply("w", "tcp://w:1", made, HEALTH, **more))))

    def dies(self, order: tuple[int, Batch], position: int, **more: bool) -> None:
        """The process below a worker died at a run."""
        said = {"in_vain": False, "outside": False, **more}
        self.replies(order, position, loss=Loss(position, "worker died", "was ended by SIGKILL", **said))


def passes(spec: Any, keep_record: bool) -> RunResult:
    return RunResult(spec, "PASS")


def far_pool(folder: Path, **more: Any) -> tuple[FarPool, ScriptedLink]:
    """Return a pool with a scripted link, that has begun."""
    links: list[ScriptedLink] = []

    def link(*arguments: Any, **named: Any) -> Any:
        links.append(ScriptedLink(*arguments, **named))
        return links[-1]

    made = FarPool(Fleet("tcp://far:8786"), Making(passes, FindingStore(folder)), link=link, **more)
    made.__enter__()
    return made, links[-1]
