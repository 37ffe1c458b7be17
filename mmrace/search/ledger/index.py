"""The index of a ledger: what questions are asked of; made from the segments alone, and made anew if it is lost.

Invariant: it says what the whole lines of the segments say, nothing else.
Not here: how they get in (`intake.py`), and where it is kept (`database.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict, Unpack

import msgspec

from mmrace.search.ledger.batches import batches
from mmrace.search.ledger.entry import Batch, Beat, Begun, Ended, Met, Resumed, Sequence, Trial
from mmrace.search.ledger.life import Life, lives, mets
from mmrace.search.ledger.own import own
from mmrace.search.ledger.ranges import Covered
from mmrace.search.ledger.segment import Damage, is_written, segments_in, torn
from mmrace.search.ledger.sums import Sums
from mmrace.search.ledger.tables import WHOLE, decode_sums

if TYPE_CHECKING:
    from mmrace.search.ledger.database import Database

LEDGER = "ledger"
"""The folder of the segments, in a store."""


class Where(TypedDict, total=False):
    """Which runs are asked for.

    since, until: unix seconds, as finely as `cells.py` says.  campaign: its id.  revision: of mmrace, or that and the
    user's files (`Sequence.made_of`).  The others as `Sequence` has them.
    """

    since: float
    until: float
    campaign: str
    revision: str
    program: str
    engine: str
    era: str
    variant: str
    role: str
    trial: str


class Campaign(NamedTuple):
    """A campaign.

    begun: None if that was never written, or is damaged.  resumed: where it went on, in order.  ended: None if it did
    not end by itself since.  running: as far as can be told.
    """

    campaign: str
    begun: Begun | None
    resumed: list[Resumed]
    ended: Ended | None
    running: bool

    def lasted(self, last: float) -> float:
        """Return for how many seconds; what lies between two of its processes does not count.

        Args: last: its last sign of life, in unix seconds; an end that does not say how long it was is none more.
        """
        if self.ended is not None and self.ended.seconds:
            return self.ended.seconds
        if self.resumed:
            before, since = self.resumed[-1].seconds, self.resumed[-1].when
        else:
            before, since = 0.0, self.begun.when if self.begun is not None else last
        return before + max(0.0, last - since)


class Index:
    """What a ledger says; `Index.open` and `Index.read_only` make one."""

    def __init__(self, database: Database) -> None:
        self.folder, self._database = database.folder, database
        self._rows = database.rows

    @classmethod
    def open(cls, folder: Path) -> Index:
        """Return the index of a store, kept in a file there if that can be.  Raises UsageError, OSError."""
        return cls._fresh(folder, on_disk=True)

    @classmethod
    def read_only(cls, folder: Path) -> Index:
        """Return an index in memory, which touches nothing in the store.  Raises UsageError, OSError."""
        return cls._fresh(folder, on_disk=False)

    @classmethod
    def of_segments(cls, folder: Path) -> Index:
        """Return an index in memory, made of the segments alone, for a network file system.  Raises the same."""
        return cls._fresh(folder, on_disk=False, copies=False)

    @classmethod
    def _fresh(cls, folder: Path, *, on_disk: bool, copies: bool = True) -> Index:
        from mmrace.search.ledger.database import Database  # noqa: PLC0415  # SQLite, which most commands need not

        index = cls(Database(folder / LEDGER, on_disk=on_disk, copies=copies))
        try:
            index.refresh()
        except BaseException:
            index.close()
            raise
        return index

    @property
    def on_disk(self) -> bool:
        """Whether it is kept in a file."""
        return self._database.on_disk

    def close(self) -> None:
        """Let go of it."""
        self._database.close()

    def refresh(self) -> bool:
        """Take in what was written since, by whomever; whether there was anything.  Raises UsageError, OSError."""
        return self._database.refresh()

    # -- questions --------------------------------------------------------------------------------------------------

    def covered(self, sequence: Sequence) -> Covered:
        """Return the turns of a sequence that were run."""
        found = Covered()
        for first, stop in self._rows(
            "SELECT first, stop FROM batch WHERE sequence = (SELECT id FROM sequence WHERE key = ?) ORDER BY first",
            (sequence.key,),
        ):
            found.add(first, stop)
        return found

    def own(self, campaign: str) -> dict[str, tuple[Covered, Sums]]:
        """Return what a campaign made itself, also what others had made before: by key of the sequence.

        Raises OSError, ValueError if a segment changes meanwhile.
        """
        return own(self._rows, self.folder, campaign)

    def campaigns(self) -> list[Campaign]:
        """Return the campaigns, the oldest first."""
        events: dict[str, list[tuple[Begun | Resumed | Ended, str]]] = {}
        for name, segment, entry in self._rows(
            "SELECT c.name, e.segment, e.entry FROM campaign c LEFT JOIN event e ON e.campaign = c.id "
            "ORDER BY c.name, e.at"
        ):
            told = events.setdefault(name, [])
            if entry is not None:
                told.append((msgspec.json.decode(entry, type=Begun | Resumed | Ended), segment))
        found = []
        for name, told in events.items():
            begun = [entry for entry, _ in told if isinstance(entry, Begun)]
            resumed = [entry for entry, _ in told if isinstance(entry, Resumed)]
            held = [segment for segment in dict.fromkeys(segment for _, segment in told) if self._is_running(segment)]
            over = {segment for entry, segment in told if isinstance(entry, Ended)}
            ended = _end_of(told) if over.issuperset(held) else None
            running = ended is None and bool(held)
            found.append(Campaign(name, begun[0] if begun else None, resumed, ended, running))
        return sorted(found, key=lambda row: (row.begun.when if row.begun else 0.0, row.campaign))

    def last(self, campaign: str) -> float:
        """Return the unix time of the last that was heard of a campaign; 0 if nothing was."""
        rows = self._rows("SELECT last FROM campaign WHERE name = ?", (campaign,))
        return float(rows[0][0]) if rows else 0.0

    def _is_running(self, segment: str) -> bool:
        try:
            return is_written(self.folder / segment)
        except OSError:
            return False

    def sequences(self) -> list[Sequence]:
        """Return the sequences of which there are runs, as far as it is known what they are."""
        rows = self._rows("SELECT entry FROM sequence WHERE entry IS NOT NULL ORDER BY id")
        return [msgspec.json.decode(entry, type=Sequence) for (entry,) in rows]

    def revisions(self) -> list[str]:
        """Return what was run (`Sequence.made_of`), the oldest first."""
        return [
            made
            for (made,) in self._rows(
                "SELECT s.made FROM part p JOIN sequence s ON s.id = p.sequence WHERE p.since >= 0 AND s.made NOT NULL "
                "GROUP BY s.made ORDER BY min(p.since), s.made"
            )
        ]

    def sums(self, **where: Unpack[Where]) -> Sums:
        """Return what came of all runs that are asked for."""
        total = Sums()
        for _, _, blob in self._parts(where):
            total.add(decode_sums(blob))
        return total

    def each(self, **where: Unpack[Where]) -> list[tuple[Sequence, Sums]]:
        """Return what came of the runs that are asked for, of each sequence."""
        found: dict[int, Sums] = {}
        for sequence, _, blob in self._parts(where):
            found.setdefault(sequence, Sums()).add(decode_sums(blob))
        entries: dict[int, bytes] = dict(self._rows("SELECT id, entry FROM sequence WHERE entry NOT NULL"))
        return [
            (msgspec.json.decode(entries[number], type=Sequence), sums)
            for number, sums in sorted(found.items())
            if number in entries
        ]

    def series(self, bucket_seconds: float, **where: Unpack[Where]) -> list[tuple[float, Sums]]:
        """Return what came of the runs of each span of time that has any, and when it begins, in order."""
        found: dict[float, Sums] = {}
        for _, since, blob in self._parts(where, cells=True):
            bucket = since // bucket_seconds * bucket_seconds
            found.setdefault(bucket, Sums()).add(decode_sums(blob))
        return sorted(found.items())

    def _parts(self, where: Where, cells: bool = False) -> list[tuple[int, float, bytes]]:
        """Return (sequence, time, sums) of what is asked for: as a whole if that will do, else by cells."""
        tests, values = list[str](), list[object]()
        for name, value in where.items():
            if name == "since":
                tests.append("p.since >= ?")
            elif name == "until":
                tests.append("p.since < ?")
            elif name == "campaign":
                tests.append("c.name = ?")
            elif name == "revision":
                tests.append("? IN (s.revision, s.made)")
            else:
                tests.append(f"s.{name} = ?")
            values.append(value)
        whole = not cells and not {"since", "until"} & set(where)
        tests.append("p.since = ?" if whole else "p.since > ?")
        values.append(WHOLE)
        return self._rows(
            "SELECT p.sequence, p.since, p.sums FROM part p JOIN sequence s ON s.id = p.sequence "
            f"JOIN campaign c ON c.id = p.campaign WHERE {' AND '.join(tests)} ORDER BY p.sequence, c.name, p.since",
            tuple(values),
            sums=2,
        )

    def lives(self) -> list[Life]:
        """Return each finding's life, the latest seen first."""
        return lives(self._rows)

    def places(self) -> Iterator[tuple[str, int, int]]:
        """Yield where each batch that counts is, by sequence and turn: segment, where its line begins and ends."""
        for (sequence,) in self._rows("SELECT id FROM sequence ORDER BY id"):
            yield from self._rows(
                "SELECT s.name, b.place, b.till FROM batch b JOIN segment s ON s.id = b.segment WHERE b.sequence = ? "
                "ORDER BY b.first",
                (sequence,),
            )

    def repeated(self) -> list[tuple[str, int, int]]:
        """Return where each batch is that does not count, since another one has its runs."""
        return self._rows(
            "SELECT s.name, r.place, r.till FROM repeated r JOIN segment s ON s.id = r.segment ORDER BY s.name, r.place"
        )

    def mets(self, campaign: str | None = None) -> list[Met]:
        """Return every finding in the words of its first time; whether it is known, as of the last one.

        Args: campaign: whose words; None: of all.
        """
        return mets(self._rows, campaign)

    def trials(self) -> list[Trial]:
        """Return what came of looking for planted bugs, the oldest first."""
        rows = self._rows("SELECT entry FROM trial ORDER BY at, canary")
        return [msgspec.json.decode(entry, type=Trial) for (entry,) in rows]

    def beats(self, campaign: str) -> list[Beat]:
        """Return how a campaign went, in order."""
        rows = self._rows(
            "SELECT entry FROM beat WHERE campaign = (SELECT id FROM campaign WHERE name = ?) ORDER BY at", (campaign,)
        )
        return [msgspec.json.decode(entry, type=Beat) for (entry,) in rows]

    def batches(self) -> Iterator[tuple[Sequence | None, Batch]]:
        """Yield the batches that count, each with its sequence.  Raises OSError, ValueError if a file changes."""
        return batches(self._rows, self.folder)

    @property
    def damage(self) -> list[Damage]:
        """What could not be read."""
        found = [Damage(*row) for row in self._rows("SELECT segment, place, what FROM damage")]
        for path in segments_in(self.folder):
            try:
                tail = torn(path)
            except OSError as error:
                tail = Damage(path.name, 0, f"cannot be read: {error.strerror}")
            if tail is not None:
                found.append(tail)
        return sorted(found)


def _end_of(told: list[tuple[Begun | Resumed | Ended, str]]) -> Ended | None:
    """Return a campaign's last end, if it did not go on after it; clocks may go back between two processes."""
    ends = [(entry, segment) for entry, segment in told if isinstance(entry, Ended)]
    if not ends:
        return None
    end = max(ends, key=lambda row: (row[0].seconds, row[0].when))[0]
    over = {segment for _, segment in ends}
    for entry, segment in told:
        if isinstance(entry, Resumed):
            from_there = segment not in over and entry.seconds >= end.seconds > 0
            if entry.when > end.when or from_there:
                return None
    return end
