"""What the metadata blocks of each transaction held when it closed: what recovery has to show once it is committed.

A transaction closes when no handle is open on it and none can join; until the next one takes a block up, the buffer's
page holds what belongs to the closed one.  Invariant: pages are followed through b_page and b_data of each buffer, and
word by word; a word that nobody wrote since the page was allocated is unknown (None), and nothing is asked of it.
Not checked: that a change went into the page that its buffer has.
"""

from __future__ import annotations

from mmrace.oracles.protocol.filed import Filed, Transaction
from mmrace.runtime.kinds import SHIFT
from mmrace.runtime.record import Record

Words = tuple[object, ...]


def number(value: object) -> object:
    """Return a word as it was in the run: a file has numbers without bound, such as log headers, as text."""
    return int(value, 16) if isinstance(value, str) and value.startswith("0x") else value


class Closed:
    """The transactions of a record that have closed: tid -> home block -> words.  Args: size: words of a block."""

    def __init__(self, record: Record, size: int) -> None:
        self.record = record
        self.size = size
        self.filed = Filed(record)
        self.contents: dict[int, dict[int, Words]] = {}
        self.words = record.word_lanes("Page", "words")
        self.pages: dict[str, dict[int, object]] = {}

    def write(self, op: int, new: object, step: int) -> None:
        """Take a write to any lane."""
        lane = op >> SHIFT
        if lane in self.words:
            page, i = self.words[lane]
            self.pages.setdefault(page, {})[i] = number(new)
        elif lane in self.filed.lanes:
            transaction = self.filed.write(lane, new, step)
            if transaction is not None:
                self.closed(transaction)

    def allocated(self, page: object) -> None:
        """A page is another one from here on."""
        self.pages.pop(str(self.record.name(page)), None)

    def closed(self, transaction: Transaction) -> None:
        """Keep what the blocks hold that are filed on a transaction as metadata."""
        found = self.contents[transaction.tid] = {}
        values = self.filed.values
        for home, bh in self.filed.metadata_now(transaction):
            offset = values.get(("b_data", bh), 0)
            if isinstance(offset, int):
                words = self.pages.get(str(values.get(("b_page", bh))), {})
                found[home] = tuple(words.get(offset + i) for i in range(self.size))
