"""How segments get into the tables of the index.

Invariant: of nested batches of a sequence the largest counts, of equal ones the earliest, in whatever order they come.
All that a line changes is changed in one transaction with the place up to which its segment was read, so that no line
is taken in twice, whoever is killed.  Not here: questions (`index.py`).
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import msgspec
from loguru import logger

from mmrace.search.ledger.cells import cell_of
from mmrace.search.ledger.entry import Batch, Beat, Begun, Ended, Entry, Header, Met, Resumed, Sequence, Trial
from mmrace.search.ledger.segment import Damage, check_schema, read_at, read_from, segments_in
from mmrace.search.ledger.sketch import SIZE
from mmrace.search.ledger.sums import Sums
from mmrace.search.ledger.tables import WHOLE, are_whole, decode_sums, encode_sums

CELL_SIZE = 256
"""Classes in the sketch of a cell, which only curves over time are made of."""
LINES_A_TRANSACTION = 20_000


class Intake:
    """Takes lines into the tables, inside transactions of its own.  Raises sqlite3.Error, OSError."""

    def __init__(self, db: sqlite3.Connection, folder: Path) -> None:
        self.db, self.folder = db, folder
        self._sequences: dict[str, int] = {}
        self._campaigns: dict[str, int] = {}
        self._lasts: dict[int, float] = {}
        self._tops: dict[int, int] = {}  # sequence -> behind its last turn
        self._sums: dict[tuple[int, int, float], Sums] = {}
        self._new: dict[tuple[int, int, float], Sums] = {}  # not in these yet
        self._rows: list[tuple[int, int, int, int, float, int, int, int]] = []
        self._hits: list[tuple[int, int, str, int, int, float]] = []

    def check(self) -> dict[str, int]:
        """Return how many bytes each segment has.  Raises Vanished if one is shorter than what was taken in of it."""
        sizes = {}
        for path in segments_in(self.folder):
            with contextlib.suppress(FileNotFoundError):  # it was pruned just now
                sizes[path.name] = path.stat().st_size
        for name, place in self.db.execute("SELECT name, place FROM segment"):
            if sizes.get(name, -1) < place:
                raise Vanished(name)
        return sizes

    def refresh(self) -> bool:
        """Take in what segments have that the tables have not; whether there was anything.

        What cannot be read is left out, and told by `torn`.  Raises Vanished, and UsageError for a segment of a newer
        mmrace.
        """
        sizes = self.check()
        known = dict(self.db.execute("SELECT name, place FROM segment"))
        new = False
        for name, size in sizes.items():
            if size <= known.get(name, 0):
                continue
            try:
                if name not in known:
                    check_schema(self.folder / name)
                while lines := self._some(name):
                    new = True
                    if lines < LINES_A_TRANSACTION:
                        break
            except Vanished:
                raise
            except FileNotFoundError as error:
                raise Vanished(name) from error
            except OSError as error:
                logger.bind(event="segment-unread", segment=name).warning("segment {} cannot be read: {}", name, error)
        return new

    def _some(self, name: str) -> int:
        """Take in some lines of a segment, in one transaction; return how many."""
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute("INSERT OR IGNORE INTO segment (name, place) VALUES (?, 0)", (name,))
            number, place = db.execute("SELECT id, place FROM segment WHERE name = ?", (name,)).fetchone()
            lines = 0
            for line in read_from(self.folder / name, place):
                if isinstance(line, Damage):
                    db.execute("INSERT OR REPLACE INTO damage VALUES (?, ?, ?)", line[:3])
                    place = line.stop
                else:
                    self._take(line.entry, name, number, line.place, line.stop)
                    place = line.stop
                lines += 1
                if lines >= LINES_A_TRANSACTION:
                    break
            self._flush()
            db.execute("UPDATE segment SET place = ? WHERE id = ?", (place, number))
            db.execute("COMMIT")
        except BaseException:
            self._forget()
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self._forget()
        return lines

    def _forget(self) -> None:
        """Drop what is kept for the length of a transaction: another process may write the next one."""
        ids = (self._sequences, self._campaigns, self._lasts, self._tops)
        for kept in (*ids, self._sums, self._new, self._rows, self._hits):
            kept.clear()

    def _flush_rows(self) -> None:
        self.db.executemany("INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._rows)
        self.db.executemany("INSERT INTO hit VALUES (?, ?, ?, ?, ?, ?)", self._hits)
        self._rows.clear()
        self._hits.clear()

    def _flush(self) -> None:
        self._flush_rows()
        self._fold()
        rows, gone = [], []
        for (sequence, campaign, since), sums in self._sums.items():
            if not sums.runs and not sums.given_up:
                gone.append((sequence, campaign, since))
                continue
            if sums.sketch is not None:
                sums.sketch = sums.sketch.cut(SIZE if since == WHOLE else CELL_SIZE)
            rows.append((sequence, campaign, since, sums.runs + sums.given_up, encode_sums(sums)))
        self.db.executemany("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?)", rows)
        lasts = [(last, campaign) for campaign, last in self._lasts.items()]
        self.db.executemany("UPDATE campaign SET last = max(last, ?) WHERE id = ?", lasts)
        self.db.executemany("DELETE FROM part WHERE sequence = ? AND campaign = ? AND since = ?", gone)

    # -- a line -----------------------------------------------------------------------------------------------------

    def _take(self, entry: Header | Entry, segment: str, number: int, place: int, stop: int) -> None:
        if isinstance(entry, Batch):
            self._batch(entry, number, place, stop)
        elif isinstance(entry, Sequence):
            self._sequence_entry(entry)
        elif isinstance(entry, Met):
            self._met(entry)
        elif not isinstance(entry, Header):
            self._told(entry, segment)

    def _told(self, entry: Trial | Beat | Begun | Resumed | Ended, segment: str) -> None:
        """Take in what a campaign says of itself."""
        campaign = self._campaign(entry.campaign)
        row = (campaign, entry.when, msgspec.json.encode(entry))
        if isinstance(entry, Trial):
            self.db.execute(
                "INSERT INTO trial VALUES (?1, ?4, ?2, ?3) ON CONFLICT DO UPDATE SET at = excluded.at, "
                "entry = excluded.entry WHERE (excluded.at, excluded.entry) > (at, entry)",
                (*row, entry.canary),
            )
        elif isinstance(entry, Beat):
            self.db.execute("INSERT OR REPLACE INTO beat VALUES (?, ?, ?)", row)
        else:
            self.db.execute("INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?)", (*row, segment))
        self._lasts[campaign] = max(self._lasts.get(campaign, 0.0), entry.when)

    def _sequence(self, key: str) -> int:
        return self._id(self._sequences, "sequence", "key", key)

    def _campaign(self, name: str) -> int:
        return self._id(self._campaigns, "campaign", "name", name)

    def _id(self, cache: dict[str, int], table: str, column: str, name: str) -> int:
        number = cache.get(name)
        if number is None:
            self.db.execute(f"INSERT OR IGNORE INTO {table} ({column}) VALUES (?)", (name,))
            row = self.db.execute(f"SELECT id FROM {table} WHERE {column} = ?", (name,)).fetchone()
            number = cache[name] = int(row[0])
        return number

    def _sequence_entry(self, entry: Sequence) -> None:
        row = (
            entry.made_of, entry.revision, entry.program, entry.engine, entry.era, entry.variant, entry.role,
            entry.trial, entry.kind, msgspec.json.encode(entry), self._sequence(entry.key),
        )  # fmt: skip
        self.db.execute(
            "UPDATE sequence SET made = ?, revision = ?, program = ?, engine = ?, era = ?, variant = ?, role = ?, "
            "trial = ?, kind = ?, entry = ? WHERE id = ?", row
        )  # fmt: skip

    def _met(self, entry: Met) -> None:
        """Keep for each campaign the words of the first time, and of the last one whether it is expected."""
        row = (
            *entry.whose, entry.campaign, entry.when,
            msgspec.json.encode(entry), entry.when, entry.known,
        )  # fmt: skip
        self.db.execute(
            "INSERT INTO met VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "entry = CASE WHEN (excluded.at, excluded.entry) < (at, entry) THEN excluded.entry ELSE entry END, "
            "at = min(at, excluded.at), "
            "known = CASE WHEN (excluded.last, excluded.known) > (last, known) THEN excluded.known ELSE known END, "
            "last = max(last, excluded.last)", row
        )  # fmt: skip

    def _batch(self, batch: Batch, number: int, place: int, stop: int) -> None:
        sequence, campaign = self._sequence(batch.sequence), self._campaign(batch.campaign)
        self._lasts[campaign] = max(self._lasts.get(campaign, 0.0), batch.when)
        top = self._tops.get(sequence)
        if top is None:
            row = self.db.execute(
                "SELECT stop FROM batch WHERE sequence = ? ORDER BY first DESC LIMIT 1", (sequence,)
            ).fetchone()
            top = row[0] if row else 0
        if batch.first < top and not self._supersedes(batch, sequence):
            self._repeated((campaign, sequence, batch.first, batch.stop, number, place, stop))
            return
        self._tops[sequence] = max(top, batch.stop)
        self._rows.append((sequence, batch.first, batch.stop, campaign, batch.when, number, place, stop))
        for signature, times in batch.sums.hits.items():
            self._hits.append((sequence, batch.first, signature, times, campaign, batch.when))
        cell = sequence, campaign, cell_of(batch.campaign, batch.when)
        new = self._new.get(cell)
        if new is None:
            new = self._new[cell] = Sums()
        new.add(batch.sums)

    def _fold(self) -> None:
        """Add what is new in cells to what there was, and to the sums as a whole."""
        for (sequence, campaign, cell), new in self._new.items():
            self._part(sequence, campaign, WHOLE).add(new)
            self._part(sequence, campaign, cell).add(new)
        self._new.clear()

    def _part(self, sequence: int, campaign: int, since: float) -> Sums:
        key = (sequence, campaign, since)
        sums = self._sums.get(key)
        if sums is None:
            row = self.db.execute(
                "SELECT sums FROM part WHERE sequence = ? AND campaign = ? AND since = ?", key
            ).fetchone()
            if row and not are_whole(row[0]):
                raise sqlite3.DatabaseError("sums with a wrong check sum")
            sums = self._sums[key] = decode_sums(row[0]) if row else Sums()
        return sums

    def _supersedes(self, batch: Batch, sequence: int) -> bool:
        """Say whether a batch counts beside those that are there; those that it contains go."""
        self._flush_rows()
        before = self.db.execute(
            "SELECT first, stop, at, campaign FROM batch WHERE sequence = ? AND first <= ? ORDER BY first DESC LIMIT 1",
            (sequence, batch.first),
        ).fetchone()
        if before is not None and before[1] >= batch.stop:
            if (before[0], before[1]) != (batch.first, batch.stop):
                return False
            name = self.db.execute("SELECT name FROM campaign WHERE id = ?", (before[3],)).fetchone()[0]
            if (before[2], name) <= (batch.when, batch.campaign):
                return False
        inner = self.db.execute(
            "SELECT b.first, b.stop, b.place, b.till, b.campaign, b.segment, s.name FROM batch b "
            "JOIN segment s ON s.id = b.segment WHERE b.sequence = ? AND b.first >= ? AND b.first < ?",
            (sequence, batch.first, batch.stop),
        ).fetchall()
        self._fold()
        for first, stop, place, till, campaign, number, name in inner:
            old = self._again(name, place, till)
            self._repeated((campaign, sequence, first, stop, number, place, till))
            for since in (WHOLE, cell_of(old.campaign, old.when)):
                self._part(sequence, campaign, since).remove(old.sums)
            for table in ("batch", "hit"):
                self.db.execute(f"DELETE FROM {table} WHERE sequence = ? AND first = ?", (sequence, first))
        return True

    def _repeated(self, row: tuple[int, ...]) -> None:
        """Remember a batch that does not count: its campaign made it all the same."""
        self.db.execute("INSERT OR IGNORE INTO repeated VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def _again(self, name: str, place: int, till: int) -> Batch:
        """Read a batch again that was taken in.  Raises Vanished if its line has changed since."""
        try:
            with open(self.folder / name, "rb") as file:
                entry = read_at(file, place, till)
        except (OSError, ValueError) as error:
            raise Vanished(name, changed=True) from error
        if not isinstance(entry, Batch):
            raise Vanished(name, changed=True)
        return entry


class Vanished(OSError):
    """A segment is gone, shorter than what was taken in of it, or `changed`: the tables are to be made anew."""

    def __init__(self, name: str, *, changed: bool = False) -> None:
        super().__init__(f"{name} is no longer what it was")
        self.changed = changed
