"""One direct reclaim, as far as what it looked at shows it: whether it did what a reclaim is for.

It looks at both lists; asks which one is longer, if there are active pages, and ages those then; isolates inactive
pages, if there are any.  It may do none of that if there is room to compact, which one for a large order asks first.
If it asks, sees more free than both watermarks and a compaction need, and compaction is put off or would not be
skipped, it leaves the lists alone.
An allocation of an order that is not hard to come by does not fail while its reclaim frees pages.
Invariant: only what its own task read counts, in its order.  Not checked: how much it scans or frees, and whether one
for a large order goes over the zone again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mmrace.oracles.protocol.eras import Rules
from mmrace.oracles.protocol.suitable import CONTINUE, PARTIAL, Look, suitable

INACTIVE, ACTIVE, ISOLATED, FREE = "nr_inactive", "nr_active", "nr_isolated", "nr_free_pages"
READ_BY_RECLAIM = (INACTIVE, ACTIVE, ISOLATED, FREE)
GFP_NORETRY = 0x1000
"""Bit of a mask: the allocation may fail at once."""

Wrong = tuple[str, str]  # rule, text


@dataclass(slots=True)
class Reclaim:
    """A direct reclaim for an allocation.

    `costly`: orders above it are hard to come by.  `begun`: it counted itself; `over`: so did what comes after it;
    `stolen`: pages that it freed; `looks`: its looks at the lists, the first four; `isolates`: it looked how many pages
    are isolated; `aged`: it went to the active list after the fourth; `free`: the most free pages that it saw; `asked`:
    before it looked at a list; `room`: what it looked at then; `put_off`: it was told then that compaction is.
    """

    order: int
    mask: int
    costly: int
    begun: bool = False
    over: bool = False
    stolen: int = 0
    looks: list[tuple[str, int]] = field(default_factory=list)
    isolates: bool = False
    more: bool = False
    aged: bool = False
    free: int = -1
    asked: bool = False
    room: list[Look] = field(default_factory=list)
    put_off: bool = False

    def read(self, name: str, value: int) -> None:
        """Take a look at a number."""
        if not self.begun or self.over:
            return
        if name == FREE:
            self.free = max(self.free, value)
            self.asked = self.asked or not self.looks
        elif name == ISOLATED:
            self.isolates = True
        elif len(self.looks) < 4:
            self.looks.append((name, value))
        else:
            self.more = True

    def looks_for_room(self, order: int, number: int) -> None:
        """Take a look at free pages (-1) or at free blocks of an order."""
        if self.begun and not self.over and not self.looks:
            self.room.append(Look(order, number))

    def is_told(self, put_off: bool) -> None:
        """Take what it was told when it asked whether compaction is put off."""
        if self.begun and not self.over and not self.looks:
            self.put_off = put_off

    def went_to_active_list(self) -> None:
        """Take a look at the active list itself."""
        self.aged = self.aged or (len(self.looks) == 4 and not self.more)

    def wrong(self, rules: Rules, low: int, high: int, max_order: int) -> Wrong | None:
        """Return what it left out.  Args: low, high: the watermarks; max_order: of the largest blocks."""
        asks = rules.asks and self.order > self.costly
        room = asks and (not rules.keeps or self.free > high + (2 << self.order))
        names = tuple(name for name, _ in self.looks)
        if not self.begun:
            return "reclaim left out", "was to reclaim, and did not begin to"
        if not (room and not names) and names[:2] != (INACTIVE, ACTIVE):
            return "reclaim left out", "reclaims, and does not look at both lists"
        if asks and not self.asked:
            return "no room asked for", "reclaims, and did not ask whether there is room to compact"
        if names and asks and rules.keeps and self._has_room(low, high, max_order):
            return "reclaims though there is room", f"reclaims for blocks of order {self.order}, with room to compact"
        return self._wrong_with_lists(names) if names else None

    def _has_room(self, low: int, high: int, max_order: int) -> bool:
        """Say whether it saw before it looked at a list, at its first look, that compaction should do the rest."""
        kept = high + low + (2 << self.order)
        if not self.room or self.room[0].order != -1 or self.room[0].number <= kept:
            return False
        said, looks = suitable(self.room[1:], self.order, low, max_order)
        return self.put_off if len(self.room) == 1 else said in (CONTINUE, PARTIAL) and looks == len(self.room) - 1

    def _wrong_with_lists(self, names: tuple[str, ...]) -> Wrong | None:
        (_, inactive), (_, active) = self.looks[:2]
        if active:
            if names[2:] != (ACTIVE, INACTIVE):
                return "active list left alone", f"saw {active} active pages, and did not ask which list is longer"
            if self.looks[2][1] > self.looks[3][1] and not self.aged:
                return "active list left alone", "saw that the active list is the longer one, and did not age it"
        if inactive and not self.isolates:
            return "inactive list left alone", f"saw {inactive} inactive pages, and isolated none"
        return None

    def wrong_if_in_vain(self) -> Wrong | None:
        """Return what is wrong with it if the allocation failed after it."""
        if self.stolen and self.order <= self.costly and not self.mask & GFP_NORETRY:
            return "gives up too soon", f"got no block of order {self.order}, though its reclaim freed {self.stolen}"
        return None
