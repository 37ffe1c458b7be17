"""Judges of private memory: for each rule a planted bug that they see, and a correct run.

What is drawn has fixed seeds.  A bug that each run with a move shows is looked for in a few; the correct run is each of
the same runs without it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from mmrace import runtime as rt
from mmrace.history.canaries import pte_dirt_lost
from mmrace.kernel.mm import migrate, page_flags, rmap, swap
from mmrace.kernel.mm.mm_types import CountedMm, Page, PrivateVma
from mmrace.kernel.mm.mmzone import LruList, Zone
from mmrace.oracles.protocol import ptes
from mmrace.runtime.kinds import Kind
from mmrace.runtime.param import Value
from tests.oracles.hand import Hand, at_rest, page, rest
from tests.oracles.protocol.planted import findings
from tests.oracles.verdicts import caught, passed

SHORT: dict[str, Value] = {"idle": 0, "touched": 2, "heap": 2, "stores": 2, "migrations": 3, "passes": 2}
SEEDS = 8
Bind = dict[str, Callable[..., object]]

_set_anon_rmap, _statistic, _move_to_new_page = rmap.__page_set_anon_rmap, swap._statistic, migrate.move_to_new_page


def _one_place_off(page_: Page, vma: PrivateVma, address: int) -> None:
    """BUGGY: a page takes itself for its neighbour."""
    _set_anon_rmap(page_, vma, address)
    page_.index = address + 1


def _never_lets_go(vma: PrivateVma) -> None:
    """BUGGY: a mapping leaves its anon_vma, and keeps its reference."""
    anon_vma = vma.anon_vma
    if anon_vma is not None:
        rmap.anon_vma_lock(anon_vma)
        anon_vma.head = tuple(other for other in anon_vma.head if other is not vma)
        rmap.anon_vma_unlock(anon_vma)


def _takes_all_for_files(page_: Page) -> None:
    """BUGGY: page_remove_rmap counts any page out of those of files."""
    page_._mapcount -= 1
    page_.zone.account("NR_FILE_MAPPED", -1)


def _forgets_what_it_is(newpage: Page, page_: Page, remap_swapcache: bool, mode: migrate.MigrateMode) -> int:
    """BUGGY: the target of a move is not marked as backed by swap."""
    rc = _move_to_new_page(newpage, page_, remap_swapcache, mode)
    rt.clear_bit(newpage.flags, page_flags.PG_swapbacked)
    return rc


def _copies_nothing(to: Page, from_: Page) -> None:
    """BUGGY: the data stay behind."""


def _clears_nothing(page_: Page) -> None:
    """BUGGY: a program gets what others had in its page."""


def _counts_as_files(lru: LruList) -> str:
    """BUGGY: the lists of anonymous pages are counted with those of files."""
    return _statistic(lru).removesuffix("_ANON")


def _finds_nothing(page_: Page) -> None:
    """BUGGY: no anonymous page leads to its anon_vma."""


def _stays(mm_: CountedMm) -> None:
    """BUGGY: nobody takes an address space apart."""


def _never_too_many(zone: Zone) -> bool:
    """BUGGY: compaction takes as many pages as it likes."""
    return False


@cache
def _correct(scenario: str, params: tuple[tuple[str, Value], ...]) -> bool:
    return not findings(scenario, {}, dict(params), SEEDS)


BUGS: dict[str, tuple[str, str, Bind, dict[str, Value]]] = {
    "dirt": (
        "ptes", "dirt of a pte lost", {"mm.rmap:try_to_unmap_one": pte_dirt_lost.try_to_unmap_one}, {},
    ),
    "place": (
        "ptes", "pte of a page of another place", {"mm.rmap:__page_set_anon_rmap": _one_place_off}, {},
    ),
    "anon_vma": (
        "ptes", "anon_vma is not its mappings", {"mm.rmap:unlink_anon_vmas": _never_lets_go}, {},
    ),
    "got": ("ptes", "mapped page not unmapped", {"mm.rmap:page_get_anon_vma": _finds_nothing}, {}),
    "locked": ("ptes", "mapped page not unmapped", {"mm.rmap:page_lock_anon_vma": _finds_nothing}, {}),
    "exit": ("ptes", "mapping of an ended program", {"mm.mmap:exit_mmap": _stays}, {"exits": 1}),
    "mapped": ("ptes", "accounting", {"mm.rmap:page_remove_rmap": _takes_all_for_files}, {}),
    "kind": (
        "conservation", "anonymous page among files", {"mm.migrate:move_to_new_page": _forgets_what_it_is},
        {"without": "unmapper"},
    ),
    "cleared": ("content", "garbage", {"mm.highmem:clear_user_highpage": _clears_nothing}, {"stores": 0}),
    "memory": (
        "content", "garbage after sync", {"mm.highmem:copy_highpage": _copies_nothing},
        {"stores": 2, "migrations": 8, "without": "unmapper"},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS)
def test_a_judge_catches_a_bug_in_private_memory_and_is_silent_without_it(bug: str) -> None:
    judge, rule, bind, params = BUGS[bug]
    params = {**SHORT, **params}
    found = {(finding.oracle, finding.rule) for finding in findings("anon-vs-migration", bind, params, SEEDS)}
    assert (judge, rule) in found
    assert _correct("anon-vs-migration", tuple(sorted(params.items())))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("judge", "rule", "bind"),
    [
        ("allocator", "miscounted", {"mm.swap:_statistic": _counts_as_files}),
        ("compaction", "too many isolated", {"mm.compaction:too_many_isolated": _never_too_many}),
    ],
)
def test_judges_of_a_compaction_count_anonymous_pages(judge: str, rule: str, bind: Bind) -> None:
    params: dict[str, Value] = {"idle": 0, "compacts": "direct-sync", "heap": 4, "touched": 4, "rounds": 2}
    found = {(finding.oracle, finding.rule) for finding in findings("anon-vs-compaction", bind, params, SEEDS)}
    assert (judge, rule) in found
    assert _correct("anon-vs-compaction", tuple(sorted(params.items())))


# -- by hand --------------------------------------------------------------------------------------------------------

PTE = 1 << 12 | 1 << 0 | 1 << 1 | 1 << 5 | 1 << 6
PRIVATE = {"name": "vma:main:0", "anon_vma": "anon_vma:main:0", "start": 0, "end": 1}
ANON_VMA = {"name": "anon_vma:main:0", "count": 1, "vmas": ["vma:main:0"]}


def _made(maker: str, mapper: str) -> Hand:
    """Have a task make page:1 an anonymous page, and a task map it."""
    hand = Hand("heap", "other").note("main", "map-private", "vma:main:0", 0, 1)
    hand.write(maker, "page:1.mapping", "anon_vma:main:0")
    hand.op(mapper, Kind.WRITE, "mm.ptes", 0, PTE, sub="[0]")
    row = page("page:1", mapcount=1, mapping="anon_vma:main:0", flags=["PG_uptodate", "PG_swapbacked"])
    pte = {"address": 0, "page": "page:1", "bits": ["present", "write", "dirty"]}
    return at_rest(hand, rest([row], [], ptes=[pte], private=[PRIVATE], anon_vmas=[ANON_VMA]))


def test_who_made_an_anonymous_page_maps_it_without_its_lock_and_nobody_else_does() -> None:
    passed(ptes.judge(_made("heap", "heap").record()))
    caught(ptes.judge(_made("heap", "other").record()), "pte of an unlocked page")


def test_the_dirt_of_an_anonymous_page_goes_with_a_munmap_and_not_with_a_move() -> None:
    def judged(entry: int) -> object:
        hand = _made("heap", "heap").lock("other", "page:1")
        hand.op("other", Kind.WRITE, "mm.ptes", PTE, 0, sub="[0]")
        if entry:
            hand.op("other", Kind.WRITE, "mm.ptes", 0, entry, sub="[0]")
            hand.op("other", Kind.WRITE, "mm.ptes", entry, PTE, sub="[0]")
        else:
            hand.put("other", "page:1._count", "pte", 0)
        return {finding.rule for finding in ptes.judge(hand.unlock("other", "page:1").record()).findings}

    assert judged(0) == set()
    assert judged(1 << 12 | 31 << 1) == {"dirt of a pte lost"}
