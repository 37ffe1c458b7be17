"""BUGGY: asynchronous migration takes the buffer locks after the slot moved, and moves it back if one is busy.

This is what the first posted trylock patch (`async_backout.py`) does wrong beside its back-out, which is right here: a
mended back-out alone would not have saved it.  The move back fails when, once the new page is public and the old count
has thawed, a lookup holds a reference that the move does not account for; the slot then shows a page without contents.
"""

from mmrace.history.canaries.async_backout import buffer_migrate_page
from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant, over

CANARY = Canary(
    variant=Variant(
        "async-locks-after-thaw",
        "async takes the buffer locks after the thaw and moves the slot back if one is busy",
        {"mm.migrate:buffer_migrate_page": over(buffer_migrate_page)},
        source="the reply of 21 November 2011 that withdrew that patch: locks come before the move",
    ),
    scenario="async-vs-commit",
    oracle="slot",
    rule="slot after a failed move",
    params={"words": 4, "buffers": 8, "rounds": 12, "burst": 2, "migrations": 24, "idle": 60},
    hunt=shortest(migrations=2, passes=3, buffers=4, dirtied=4, reads=20, without="writer"),
)
