"""What the metadata blocks of each transaction held when it closed: what recovery has to show once it is committed.

A transaction closes when no handle is open on it and none can join; until the next one takes a block up, the buffer's
page holds what belongs to the closed one.  Invariant: pages are followed through b_page and b_data of each buffer, and
word by word; a word that nobody wrote since the page was allocated is unknown (None), and nothing is asked of it.
Not checked: that a change went into the page that its buffer has.
"""

from __future__ import annotations

from mmrace.oracles.protocol.filed import CLOSED, METADATA, member
from mmrace.runtime.kinds import SHIFT
from mmrace.runtime.record import Record

FIELDS = (
    ("JournalHead", "b_bh"), ("JournalHead", "b_jlist"), ("JournalHead", "b_transaction"), ("BufferHead", "b_blocknr"),
    ("BufferHead", "b_page"), ("BufferHead", "b_data"), ("Transaction", "t_state"),
)  # fmt: skip
Words = tuple[object, ...]


def number(value: object) -> object:
    """Return a word as it was in the run: a file has numbers without bound, such as log headers, as text."""
    return int(value, 16) if isinstance(value, str) and value.startswith("0x") else value


class Closed:
    """The transactions of a record that have closed: tid -> home block -> words.  Args: size: words of a block."""

    def __init__(self, record: Record, size: int) -> None:
        self.record = record
        self.size = size
        self.contents: dict[int, dict[int, Words]] = {}
        self.fields = {lane: (key, name) for cls, key in FIELDS for lane, name in record.lanes(cls, key).items()}
        self.words = record.word_lanes("Page", "words")
        self.values: dict[tuple[str, str], object] = {}
        self.pages: dict[str, dict[int, object]] = {}

    def write(self, op: int, new: object) -> None:
        """Take a write to any lane."""
        lane = op >> SHIFT
        if lane in self.words:
            page, i = self.words[lane]
            self.pages.setdefault(page, {})[i] = number(new)
        elif lane in self.fields:
            key, owner = self.fields[lane]
            value = self.values[key, owner] = self.record.name(new)
            if key == "t_state" and member(value) == CLOSED:
                self.closed(owner)

    def allocated(self, page: object) -> None:
        """A page is another one from here on."""
        self.pages.pop(str(self.record.name(page)), None)

    def closed(self, transaction: str) -> None:
        """Keep what the blocks hold that are filed on a transaction as metadata."""
        values = self.values
        found = self.contents[int(transaction.partition(":")[2])] = {}
        for (key, jh), owner in values.items():
            if key != "b_transaction" or owner != transaction or member(values.get(("b_jlist", jh))) not in METADATA:
                continue
            bh = str(values.get(("b_bh", jh)))
            home, offset = values.get(("b_blocknr", bh)), values.get(("b_data", bh), 0)
            if isinstance(home, int) and isinstance(offset, int):
                words = self.pages.get(str(values.get(("b_page", bh))), {})
                found[home] = tuple(words.get(offset + i) for i in range(self.size))
