"""Which blocks were filed on which transaction, as the writes to journal heads, buffers and transactions have it.

Invariant: data blocks stay filed though the commit lets go of their buffers: it does so because they were written.
Those that a truncation unmaps are struck out, and those that the next transaction takes from a closed one (R16): in 3.3
a writepage that maps blocks files its buffers again when it has let go of the page (`journal_dirty_data`), and takes
them even while the commit's own write of them is on its way; the commit does not wait for it then.
That is left out here, and no finding that casts expect, since none shows it often: a write of data would have to last
beyond the writes of the log, up to the submission of the commit block.  In 300 runs that were made for it (a writer, a
flusher, a committer) none did; with a disk that takes up to 60 points for each transfer, 10 of 90.
Not checked: that the lists agree with b_jlist.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mmrace.runtime.record import Record

DATA = frozenset({"BJ_SyncData", "BJ_Locked"})
METADATA = frozenset({"BJ_Metadata"})
CLOSED = "T_FLUSH"  # no handle is open on the transaction any more, and none can join
FIELDS = (
    ("JournalHead", "b_bh"), ("JournalHead", "b_jlist"), ("JournalHead", "b_transaction"), ("BufferHead", "b_blocknr"),
    ("BufferHead", "b_page"), ("BufferHead", "b_data"), ("Transaction", "t_state"),
)  # fmt: skip


@dataclass(slots=True)
class Transaction:
    """Blocks by their numbers on the device.  `floors`: what had been written when it closed, at step `closed`.

    `let_go`: metadata that was unfiled before that, as a truncation does, which may unmap the buffer long after.
    """

    name: str
    data: set[int] = field(default_factory=set)
    metadata: set[int] = field(default_factory=set)
    floors: dict[tuple[str, int], int] = field(default_factory=dict)
    closed: int = -1
    let_go: set[int] = field(default_factory=set)

    @property
    def tid(self) -> int:
        """Its number."""
        return int(self.name.partition(":")[2])


class Filed:
    """The transactions of a record, kept up to date write by write."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.lanes = {lane: (key, name) for cls, key in FIELDS for lane, name in record.lanes(cls, key).items()}
        self.mapped = record.bit_lane("BufferHead", "b_state", "BH_Mapped")
        self.transactions: dict[str, Transaction] = {}
        self.values: dict[tuple[str, str], object] = {}
        self.heads: dict[str, str] = {}  # buffer -> the journal head that it got last
        self.of_buffer: dict[str, list[tuple[Transaction, int]]] = {}
        self.holder: dict[int, str] = {}  # data block -> the journal head that it was filed through last
        self.left: dict[int, int] = {}  # data block -> step at which it left its list last
        self.stolen: set[int] = set()  # data blocks that were taken from a closed transaction

    def write(self, lane: int, new: object, step: int) -> Transaction | None:
        """Take a write to one of `lanes`; return the transaction that it closed, if one."""
        key, owner = self.lanes[lane]
        value = self.record.name(new)
        if key == "t_state":
            if member(value) != CLOSED:
                return None
            transaction = self.transaction(owner)
            transaction.closed = step
            return transaction
        if key == "b_transaction":
            self.taken_over(owner, value)
            self.unfiled(owner, value)
        if key == "b_jlist" and member(value) not in DATA and self.on_data(owner):
            blocknr = self.blocknr(owner)
            if blocknr is not None:
                self.left[blocknr] = step
        self.values[key, owner] = value
        if key in ("b_jlist", "b_transaction"):
            self.filed(owner)
        elif key == "b_bh":
            self.heads[str(value)] = owner
        elif key == "b_blocknr" and owner in self.heads:
            self.filed(self.heads[owner])  # a buffer is mapped before it says where, and may be filed in between
        return None

    def transaction(self, name: str) -> Transaction:
        """Return a transaction, made at first sight."""
        found = self.transactions.get(name)
        if found is None:
            found = self.transactions[name] = Transaction(name)
        return found

    def block_of(self, bh: object) -> int | None:
        """Return the block that a buffer is of."""
        blocknr = self.values.get(("b_blocknr", str(bh)))
        return blocknr if isinstance(blocknr, int) else None

    def blocknr(self, jh: str) -> int | None:
        """Return the block that a journal head is of."""
        return self.block_of(self.values.get(("b_bh", jh)))

    def on_data(self, jh: str) -> bool:
        """Say whether a journal head is on a list of data now."""
        return member(self.values.get(("b_jlist", jh))) in DATA

    def was_filed(self, blocknr: int, since: int) -> bool:
        """Say whether a block was on a list of data at any time from step `since` on."""
        return self.on_data(self.holder.get(blocknr, "")) or self.left.get(blocknr, -1) > since

    def metadata_now(self, transaction: Transaction) -> Iterator[tuple[int, str]]:
        """Yield (block, buffer) of each that is filed on a transaction as metadata now."""
        for (key, jh), owner in self.values.items():
            if key == "b_transaction" and owner == transaction.name:
                blocknr = self.blocknr(jh)
                if blocknr is not None and member(self.values.get(("b_jlist", jh))) in METADATA:
                    yield blocknr, str(self.values.get(("b_bh", jh)))

    def filed(self, jh: str) -> None:
        """A journal head has another list or another transaction, or says now which block it is of."""
        values = self.values
        owner, jlist = values.get(("b_transaction", jh)), member(values.get(("b_jlist", jh)))
        bh, blocknr = values.get(("b_bh", jh)), self.blocknr(jh)
        if not isinstance(owner, str) or blocknr is None:
            return
        transaction = self.transaction(owner)
        if jlist in DATA:
            transaction.data.add(blocknr)
            self.holder[blocknr] = jh
            self.of_buffer.setdefault(str(bh), []).append((transaction, blocknr))
        elif jlist in METADATA:
            transaction.metadata.add(blocknr)
            transaction.let_go.discard(blocknr)
            self.of_buffer.setdefault(str(bh), []).append((transaction, blocknr))

    def taken_over(self, jh: str, owner: object) -> None:
        """Strike a block out of a closed transaction from which another one takes its journal head."""
        old = self.transactions.get(str(self.values.get(("b_transaction", jh))))
        if old is not None and old.closed >= 0 and isinstance(owner, str) and self.transaction(owner) is not old:
            blocknr = self.blocknr(jh)
            if blocknr in old.data:
                old.data.discard(blocknr)
                self.stolen.add(blocknr)

    def unfiled(self, jh: str, owner: object) -> None:
        """Note a block of metadata that a transaction lets go of while it is open."""
        old = self.transactions.get(str(self.values.get(("b_transaction", jh))))
        blocknr = self.blocknr(jh)
        if old is not None and old.closed < 0 and not isinstance(owner, str) and blocknr in old.metadata:
            old.let_go.add(blocknr)

    def unmapped(self, bh: str) -> None:
        """A buffer means nothing any more: what was filed through it was truncated.

        A transaction that has closed has its metadata in the log all the same.
        """
        for transaction, blocknr in self.of_buffer.pop(bh, ()):
            transaction.data.discard(blocknr)
            if transaction.closed < 0:
                transaction.metadata.discard(blocknr)


def member(value: object) -> str:
    """Return an enumeration's member by its name, as a record writes it."""
    return str(getattr(value, "name", value)).rpartition(".")[2]
