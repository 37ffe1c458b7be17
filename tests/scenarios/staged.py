"""A stage that a test plays on: built as a run builds it, under a chosen engine, every parameter spelled out.

Invariant: `EXPLICIT` names every parameter, so that what a test finds by its seed depends on nobody's defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mmrace import runtime as rt
from mmrace import scenarios
from mmrace.actors.stage import Stage
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.mm import page_flags
from mmrace.kernel.mm.mm_types import Page
from mmrace.runs.spec import Params, RunSpec
from mmrace.runtime.free import FreeEngine
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.noise import Noise
from mmrace.runtime.param import Value, Values
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import RoundRobin, Strategy
from mmrace.scenarios.build import FORMATTED, build
from mmrace.scenarios.tables import KERNEL

NCPUS = 4
STEPS_MAX = 60_000  # ops; no correct program of these tests comes near
POLLS = 4_000  # turns that `until` waits before it gives up

EXPLICIT: Values = {
    "pages": 1,
    "buffers": 2,
    "words": 2,
    "mode": "MIGRATE_ASYNC",
    "rounds": 2,
    "migrations": 2,
    "passes": 3,
    "batch": 2,
    "direct": 1,
    "device": 0,
    "metadata": 0,
    "tails": 0,
    "wbuf": 4,
    "resched": 0,
    "irq": "submitter",
    "warm": 0,
    "dirtied": 0,
    "data": "ordered",
    "bare": 0,
    "holes": 0,
    "cache": 0,
    "stick": "none",
    "stick_ticks": 0,
    "copy_sync": 0,
    "chunk": 0,
    "cpus": 0,
    "errors": 0,
    "idle": 0,
    "pagevec": 1,
    "burst": 1,
    "reads": 1,
    "order": 0,
    "zone_reclaim": 0,
    "credits": 32,
    "log": 0,
    "log_errors": 0,
    "touches": 1,
    "accesses": 2,
    "stores": 1,
    "mappings": 1,
    "touched": 0,
    "zaps": 1,
    "heap": 1,
    "exits": 0,
    "unmaps": 1,
    "huge": 0,
    "frames": 0,
    "pinned": 0,
    "cluster": 32,
    "free": 0,
    "kept": 0,
    "faults": 2,
    "held": 1,
    "compacts": "compact_memory",
    "flushes": 2,
    "streamed": 4,
    "window": 4,
    "streams": "file",
    "raw": 0,
    "ticks": 0,
    "requests": 128,
    "slabs": 0,
    "slab_order": 0,
    "cold": 0,
    "raw_ticks": 0,
    "without": "",
}


def spelled_out(scenario: str, /, **changed: Value) -> Params:
    """Return every parameter of a scenario as a spec has them: EXPLICIT with changes, but what it can only be with."""
    made = scenarios.get(scenario)
    explicit = {name: EXPLICIT[name] for name in made.params}
    needed = {name: made.defaults[name] for name in ("stick", "stores") if name in made.params}
    return tuple(sorted({**explicit, **needed, **changed}.items()))


def gate_spec(scenario: str, seed: int = 0, variant: str = "", /, **changed: Value) -> RunSpec:
    """Return a run under `gate` by random walk, every parameter spelled out."""
    return RunSpec(scenario, spelled_out(scenario, **changed), variant=variant, engine="gate", seed=seed)


@dataclass(slots=True)
class Played:
    """What came of a run: engine and stage are at rest, so that tests may look without ops."""

    engine: GateEngine | FreeEngine
    stage: Stage
    value: Any

    @property
    def record(self) -> Record:
        """The run's record."""
        return Record.of_run(self.engine, {"engine": self.engine.name}, self.stage.final)

    def notes(self, kind: str) -> list[tuple[Any, ...]]:
        """Return the facts of the notes of one kind, in order, with names for objects."""
        found = [facts for _, op, name, facts in self.record.events if op == NOTE and name == kind]
        return [tuple(Record.name(fact) for fact in facts) for facts in found]


def play(
    body: Callable[[Stage], object],
    *,
    strategy: Strategy | None = None,
    noise: str | None = None,
    seed: int = 0,
    **changed: Value,
) -> Played:
    """Build a stage and run `body` on it as the main task, to the end of all that it started.

    Args: strategy: under `gate`, fair turns by default.  noise: a profile: run under `free` instead.
    """
    stage = Stage({**EXPLICIT, **changed})
    kept: list[object] = []

    def main() -> None:
        build(stage, NCPUS)
        kept.append(body(stage))
        rt.join_others()

    engine: GateEngine | FreeEngine
    if noise is None:
        engine = GateEngine(strategy or RoundRobin(), seed=seed, ncpus=NCPUS, steps_max=STEPS_MAX, tables=KERNEL)
    else:
        engine = FreeEngine(Noise(noise, seed), seed=seed, ncpus=NCPUS, steps_max=STEPS_MAX, tables=KERNEL)
    engine.run(main)
    if engine.error is not None:
        raise engine.error
    assert engine.end["how"] == "finished", engine.end
    return Played(engine, stage, kept[0])


def cached(stage: Stage, index: int = 0) -> Page:
    """Return the page that a slot of the file shows, without an op."""
    page = rt.peek(stage.mapping.page_tree.slots[index], "page")
    assert isinstance(page, Page)
    return page


def ring(stage: Stage, index: int = 0) -> list[BufferHead]:
    """Return the buffers of a cached page, without an op."""
    head = bh = rt.peek(cached(stage, index), "private")
    found: list[BufferHead] = []
    while bh is not None and (bh is not head or not found):
        found.append(bh)
        bh = rt.peek(bh, "b_this_page")
    return found


def on_disk(stage: Stage, block: int) -> list[int]:
    """Return the words of a block of the file as the disk has them, without an op."""
    return list(stage.device.block(stage.inode.i_data + block).words.values)


def unwritten(stage: Stage, *blocks: int) -> list[int]:
    """Return what blocks of the file hold before anybody writes them."""
    words = stage.machine.words_per_buffer
    return [FORMATTED * (stage.inode.i_data + block + 1) for block in blocks for _ in range(words)]


def assert_idle(stage: Stage, index: int = 0) -> None:
    """Assert that a page of the file is at rest, referred to by its slot and its buffers only."""
    page = cached(stage, index)
    flags = set(page.flags.names())
    assert {"PG_uptodate", "PG_lru", "PG_private"} <= flags, flags
    assert not flags & {"PG_locked", "PG_writeback"}, flags
    assert page._count.value == 2
    assert rt.peek(page, "mapping") is stage.mapping
    assert rt.peek(page, "index") == index
    for bh in ring(stage, index):
        assert rt.peek(bh, "b_page") is page
        assert not bh.b_state.peek(BufferState.BH_Lock)


def until(condition: Callable[[], object]) -> None:
    """Give way until a condition on ghosts holds."""
    for _ in range(POLLS):
        if condition():
            return
        rt.schedule()
    raise AssertionError("what the test waits for did not happen")


def blocks(stage: Stage) -> Iterator[int]:
    """Yield the blocks of the file."""
    yield from range(stage.pages * stage.machine.buffers_per_page)


def is_dirty(page: Page) -> bool:
    """Say whether a page is dirty, without an op."""
    return bool(page.flags.peek(page_flags.PG_dirty))
