"""Choice of the densest part of a log: which pages, which window of time.

Purpose: of all actions, take a contiguous window of time and about a dozen pages whose actions *meet* most:
two actions of different kinds on the same page (a commit counts for every page it touches) that overlap or
are at most 2 ms apart.

Score: the meetings of each pair of kinds, each pair counted up to a cap so that no pair fills the score; a
meeting with a migration counts most (they are rare on file pages, and the point), one with a reclaim more
than the rest, and a migration counts a
little by itself when something else is done to its page inside the window.

Invariant kept: all actions of the chosen pages and all commits that begin inside the window are taken, none
else, and the same actions always give the same choice (ties go to the shorter, then the earlier window, and
to the lower inode and index).

Not checked: that the choice is the best one; windows are tried on a grid and pages are picked greedily.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass

from tools.ktrace_stories import Action, Key

NEAR_US = 2_000
WINDOWS_US = (20_000, 50_000, 100_000, 200_000, 400_000)
PAIR_CAP = 12
"""Meetings of one pair of kinds that count for the score."""
MIGRATION_WEIGHT = 6
RECLAIM_WEIGHT = 2
LONE_MIGRATION = ("migrate", "migrate")

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two actions of different kinds on one page, close in time."""

    page: Key
    pair: Pair
    first_us: int
    second_us: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen: the pages in order and the actions, sorted; score is (capped, all) meetings."""

    pages: tuple[Key, ...]
    actions: tuple[Action, ...]
    meetings: Counter[Pair]
    score: tuple[int, int]
    begin_us: int
    window_us: int


def meetings_of(actions: list[Action], *, inferred: bool = True) -> list[Meeting]:
    """All meetings, sorted by the begin of their later action."""
    by_page: dict[Key, list[Action]] = {}
    for action in actions:
        for key in action.keys(inferred=inferred):
            by_page.setdefault(key, []).append(action)
    found: list[Meeting] = []
    for key, line in by_page.items():
        open_ones: list[Action] = []
        for action in line:  # sorted by begin
            open_ones = [a for a in open_ones if a.end_us + NEAR_US >= action.begin_us]
            for other in open_ones:
                if other.do != action.do:
                    low, high = sorted((other.do, action.do))
                    found.append(Meeting(key, (low, high), other.begin_us, action.begin_us))
            open_ones.append(action)
    found.sort(key=lambda m: (m.second_us, m.first_us, m.page, m.pair))
    return found


def choose(actions: list[Action], *, pages: int, limit: int, inferred: bool = True) -> Choice | None:
    """The best window and pages; None when nothing meets.  `actions` is sorted by begin."""
    meetings = meetings_of(actions, inferred=inferred)
    best: Choice | None = None
    for window in WINDOWS_US:
        for begin in _begins(meetings, window):
            found = _in_window(actions, meetings, begin, window, pages, limit, inferred)
            if found is not None and (best is None or found.score > best.score):
                best = found
    return best


def _begins(meetings: list[Meeting], window: int) -> list[int]:
    """Window begins worth trying: one per quarter window, at the first action of a meeting."""
    step = window // 4
    first: dict[int, int] = {}
    for meeting in meetings:
        cell = meeting.first_us // step
        first[cell] = min(first.get(cell, meeting.first_us), meeting.first_us)
    return [first[cell] for cell in sorted(first)]


def _in_window(
    actions: list[Action], meetings: list[Meeting], begin: int, window: int, pages: int, limit: int, inferred: bool
) -> Choice | None:
    """Pick pages greedily for the window that starts at `begin`."""
    low = bisect_left(meetings, begin, key=_second)
    high = bisect_left(meetings, begin + window, key=_second)
    inside = actions[bisect_left(actions, begin, key=_begin) : bisect_left(actions, begin + window, key=_begin)]
    cost, per_page = _lone_migrations(inside)
    for meeting in meetings[low:high]:
        if meeting.first_us >= begin:
            per_page.setdefault(meeting.page, Counter())[meeting.pair] += 1
    room = limit - sum(action.do == "commit" for action in inside)
    chosen, total = _pick(per_page, cost, pages, room)
    met = Counter({pair: count for pair, count in total.items() if pair != LONE_MIGRATION})
    if not met:
        return None
    wanted = set(chosen)
    kept = tuple(a for a in inside if a.do == "commit" or not wanted.isdisjoint(a.keys(inferred=inferred)))
    score = (sum(_worth(pair, count) for pair, count in total.items()), met.total())
    return Choice(tuple(sorted(chosen)), kept, met, score, begin, window)


def _lone_migrations(inside: list[Action]) -> tuple[Counter[Key], dict[Key, Counter[Pair]]]:
    """Actions per page, and the migrations of pages to which something else is done as well."""
    kinds: dict[Key, Counter[str]] = {}
    for action in inside:
        if action.do != "commit":
            kinds.setdefault(action.keys()[0], Counter())[action.do] += 1
    cost = Counter({key: count.total() for key, count in kinds.items()})
    return cost, {
        key: Counter({LONE_MIGRATION: count["migrate"]})
        for key, count in kinds.items()
        if 0 < count["migrate"] < count.total()
    }


def _worth(pair: Pair, count: int) -> int:
    """Score of `count` meetings of one pair of kinds."""
    if pair == LONE_MIGRATION:
        weight = 1
    elif "migrate" in pair:
        weight = MIGRATION_WEIGHT
    else:
        weight = RECLAIM_WEIGHT if "reclaim" in pair else 1
    return weight * min(PAIR_CAP, count)


def _pick(
    per_page: dict[Key, Counter[Pair]], cost: Counter[Key], pages: int, room: int
) -> tuple[list[Key], Counter[Pair]]:
    """Up to `pages` pages whose actions fit into `room`, each time the one that adds most."""
    chosen: list[Key] = []
    total: Counter[Pair] = Counter()
    left = dict(per_page)
    while left and len(chosen) < pages:

        def worth(key: Key) -> tuple[int, int, int, int]:
            gain = sum(_worth(p, total[p] + n) - _worth(p, total[p]) for p, n in left[key].items())
            return gain, left[key].total(), -key[0], -key[1]

        best = max(left, key=worth)
        added = left.pop(best)
        if cost[best] <= room:
            room -= cost[best]
            chosen.append(best)
            total.update(added)
    return chosen, total


def _begin(action: Action) -> int:
    return action.begin_us


def _second(meeting: Meeting) -> int:
    return meeting.second_us
