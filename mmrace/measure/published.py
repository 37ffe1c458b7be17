"""What was published of the series, for the same question: shares beside the model's own.

Kernels of December 2011 stand for eras: vanilla 3.2-rc3 for 3.2; patches 1 to 7 of version 5 of the series, of which
the trylock patch is one, for 3.2+trylock; 1 to 8 for 3.2+sync-light; 1 to 10, the nearest to what was merged, for 3.3.
Means of five runs, whose standard deviations are often as large.  Invariant: only shares are compared, and times by
their ratio to vanilla's: nothing here is a time of this machine, or of any other.
Source: the cover letter of version 5 of the series, 1 December 2011.
"""

from __future__ import annotations

from dataclasses import dataclass

BASE = "3.2"
ERAS = ("3.2", "3.2+trylock", "3.2+sync-light", "3.3")


@dataclass(frozen=True)
class Published:
    """One test of the cover letter: seconds that the mapping process took, and successes in per cent, by era."""

    elapsed_s: tuple[float, ...]
    success: tuple[float, ...]
    refused: tuple[float, ...] = ()

    def ratio(self, era: str) -> float | None:
        """Return the elapsed time over vanilla's in per cent; None for an era that was not measured."""
        return 100 * self.elapsed_s[ERAS.index(era)] / self.elapsed_s[0] if era in ERAS else None

    def success_of(self, era: str) -> float | None:
        """Return the share of huge pages that were had, in per cent."""
        return self.success[ERAS.index(era)] if era in ERAS else None

    def refused_of(self, era: str) -> float | None:
        """Return the share of pages that compaction could not move, in per cent, where it was published."""
        return self.refused[ERAS.index(era)] if era in ERAS and self.refused else None


PUBLISHED = {
    "raw device to VFAT": Published((1627.12, 2187.36, 51.04, 74.48), (2.9, 4.5, 14.2, 16.1), (11.6, 7.3, 5.0, 7.4)),
    "raw device to ext4-like": Published((62.4, 98.7, 101.1, 94.6), (24.3, 25.0, 15.2, 27.1)),
    "file to file, VFAT": Published((1013.9, 2009.6, 96.5, 76.8), (4.3, 8.7, 7.2, 11.0)),
    "file to file, ext4-like": Published((65.7, 105.8, 110.3, 122.5), (9.1, 29.3, 25.8, 32.9)),
}
"""By the rows of the table."""
