"""Whatever happens to stores, in whatever order: what was kept is covered, and each run counts once."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mmrace.search.ledger.database import FILE
from mmrace.search.ledger.entry import Sequence
from mmrace.search.ledger.index import LEDGER, Index
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.merging import merge
from mmrace.search.ledger.prune import prune
from mmrace.search.ledger.ranges import Covered
from mmrace.search.ledger.segment import segments_in
from tests.search.ledger.made import CAMPAIGN, WHEN, batch, sequence, sums

STEPS = 120
TURNS = 512


class Stores:
    """Two stores, campaigns that write to them, an index that stays open on each; and what they have to have."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.draw = random.Random(seed)
        self.kinds = [sequence("writers"), sequence("readers")]
        self.stores = [folder / "one", folder / "two"]
        self.kept: list[set[tuple[str, int]]] = [set(), set()]
        self.ledgers = [Ledger.open(store) for store in self.stores]
        self.indexes = [Index.open(store) for store in self.stores]

    def add(self, which: int) -> None:
        """A campaign adds batches; they are kept once they are written."""
        new = set()
        for _ in range(self.draw.randrange(1, 6)):
            of: Sequence = self.draw.choice(self.kinds)
            length = 1 << self.draw.randrange(7)
            first = self.draw.randrange(TURNS // length) * length
            what = sums(length, hits={"bad": 1} if self.draw.random() < 0.3 else None, classes=(first,) * length)
            when = WHEN + self.draw.randrange(9000)
            self.ledgers[which].add(batch(of, first, first + length, when=when, campaign=CAMPAIGN, what=what), of)
            new |= {(of.key, turn) for turn in range(first, first + length)}
        self.ledgers[which].flush()
        self.kept[which] |= new

    def end(self, which: int) -> None:
        """A campaign ends, another begins."""
        self.ledgers[which].close()
        self.ledgers[which] = Ledger.open(self.stores[which])

    def kill(self, which: int) -> None:
        """A campaign is killed while it writes a line."""
        path = self.ledgers[which]._writer.path
        self.end(which)
        if path is not None and path.exists():
            with open(path, "ab") as out:
                out.write(b'01234567 {"is":"batch","sequ')

    def ask(self, which: int) -> None:
        """An index that is open takes in what is new."""
        self.indexes[which].refresh()
        self.check(which, self.indexes[which])

    def reopen(self, which: int) -> None:
        """Another process opens the index."""
        index = Index.open(self.stores[which])
        self.check(which, index)
        self.indexes[which].close()
        self.indexes[which] = index

    def lose(self, which: int) -> None:
        """Somebody removes the index."""
        (self.stores[which] / LEDGER / FILE).unlink(missing_ok=True)

    def damage(self, which: int) -> None:
        """The index is damaged."""
        path = self.stores[which] / LEDGER / FILE
        if path.exists() and path.stat().st_size > 8192:
            self.indexes[which].close()
            with open(path, "r+b") as out:
                out.seek(self.draw.randrange(4096, path.stat().st_size - 100))
                out.write(self.draw.randbytes(100))

    def merge(self, which: int) -> None:
        """A store takes in what the other one has."""
        merge(self.stores[which], [self.stores[1 - which]])
        self.kept[which] |= self.kept[1 - which]

    def prune(self, which: int) -> None:
        """A store is made smaller."""
        prune(self.stores[which], keep=3)

    def check(self, which: int, index: Index) -> None:
        """Check that an index has what was kept, each run once."""
        covered = {of.key: index.covered(of) for of in self.kinds}
        assert {(key, turn) for key, found in covered.items() for turn in _turns(found)} == self.kept[which]
        total = index.sums()
        assert total.runs == len(self.kept[which]) == sum(counted.runs for _, counted in index.series(60))
        assert total.runs == (total.sketch.runs if total.sketch is not None else 0)
        assert total.hits.get("bad", 0) == sum(life.hits for life in index.lives())


def _turns(covered: Covered) -> list[int]:
    return [turn for first, stop in covered for turn in range(first, stop)]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_what_was_kept_is_covered_and_counts_once(seed: int, tmp_path: Path) -> None:
    made = Stores(tmp_path, seed)
    steps: list[Callable[[int], None]] = [
        made.add, made.add, made.add, made.end, made.kill, made.ask, made.reopen, made.lose, made.damage, made.merge,
        made.prune,
    ]  # fmt: skip
    for _ in range(STEPS):
        made.draw.choice(steps)(made.draw.randrange(2))
    for which, store in enumerate(made.stores):
        made.ask(which)
        made.check(which, Index.read_only(store))
        made.check(which, Index.open(store))
        assert made.ledgers[which].unkept == 0
        assert all(os.path.getsize(path) for path in segments_in(store / LEDGER))
