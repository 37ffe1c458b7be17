"""The progress oracle: dirty pages and the rounds of a flusher."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from mmrace import runtime as rt
from mmrace.kernel.mm import filemap, mm, swap
from mmrace.kernel.mm.mm_types import Page
from mmrace.oracles.protocol import names, progress
from mmrace.runtime.kinds import Kind
from mmrace.runtime.param import Value
from stress import planted
from tests.oracles.hand import Hand, page, rest
from tests.oracles.protocol.planted import findings, rules
from tests.oracles.verdicts import caught, passed, unknown

FLAGS = "page:0.flags"


def _just_dirty() -> Hand:
    """A page in slot 0 of mapping:5, with one buffer: the writer has set its dirty bit, and nothing else yet."""
    hand = Hand("writeback", "writer").write("writer", "page:0.mapping", "mapping:5").write("writer", "page:0.index", 0)
    return hand.write("writer", "bh:1.b_page", "page:0").op("writer", Kind.TEST_AND_SET, FLAGS, False, sub="PG_dirty")


def _dirty(ops: int = progress.MARKING_OPS) -> Hand:
    """A dirty page, whose writer has gone on since."""
    hand = _just_dirty()
    for _ in range(ops):
        hand = hand.op("writer", Kind.READ, "bh:2.b_blocknr")
    return hand


def _begins(hand: Hand, first: int = 0) -> Hand:
    return hand.note("writeback", "flush-begin", 5, first, 3)


def _ends(hand: Hand) -> Hand:
    return hand.note("writeback", "flush-end", 5)


def _in_vain(hand: Hand, rounds: int = progress.ROUNDS_MAX) -> Hand:
    for _ in range(rounds):
        hand = _ends(_begins(hand))
    return hand


def _writes(hand: Hand) -> Hand:
    hand.op("writeback", Kind.TEST_AND_CLEAR, FLAGS, True, sub="PG_dirty")
    return hand.op("writeback", Kind.TEST_AND_SET, FLAGS, False, sub="PG_writeback")


def test_progress_oracle_passes_on_a_round_that_writes_the_page() -> None:
    passed(progress.judge(_ends(_writes(_begins(_dirty()))).record()))


def test_progress_oracle_catches_a_page_that_is_not_written_in_round_after_round() -> None:
    caught(progress.judge(_in_vain(_dirty()).record()), "dirty page forgotten")


def test_progress_oracle_catches_a_page_that_is_dirtied_again_instead_of_written() -> None:
    hand = _dirty()
    for _ in range(progress.ROUNDS_MAX):
        hand = _begins(hand).op("writeback", Kind.TEST_AND_CLEAR, FLAGS, True, sub="PG_dirty")
        hand = _ends(hand.op("writeback", Kind.TEST_AND_SET, FLAGS, False, sub="PG_dirty"))
    caught(progress.judge(hand.record()), "dirty page forgotten")


def test_progress_oracle_asks_nothing_after_an_abort_of_the_journal() -> None:
    assert not progress.judge(_in_vain(_dirty().note("writer", names.ABORT, -5)).record()).findings


def test_progress_oracle_passes_on_one_round_in_vain() -> None:
    passed(progress.judge(_in_vain(_dirty(), progress.ROUNDS_MAX - 1).record()))


def test_progress_oracle_passes_on_a_page_that_somebody_is_at() -> None:
    locked = _in_vain(_dirty().lock("writer", "bh:1", "BH_Lock", "b_state"))
    passed(progress.judge(locked.unlock("writer", "bh:1", "BH_Lock", "b_state").record()))
    touched = _dirty()
    for _ in range(progress.ROUNDS_MAX):
        touched = _ends(_begins(touched).op("writer", Kind.READ, "bh:1.b_blocknr"))
    passed(progress.judge(touched.record()))


def test_progress_oracle_takes_a_leaked_lock_for_no_excuse_and_names_its_holder() -> None:
    """BUGGY: the writer never unlocks the buffer."""
    leaked = _in_vain(_dirty().lock("writer", "bh:1", "BH_Lock", "b_state"))
    finding = caught(progress.judge(leaked.record()), "dirty page forgotten")
    assert finding.title.endswith("for it is held: BH_Lock by writer since event 20")


def _synced(lru: list[str], pagevecs: dict[str, list[str]]) -> Hand:
    hand = Hand("reader").get("reader", "page:0._count", "pagevec", 2)
    quiescent = rest([page("page:0")], pagevecs={"cpu0.lru_add": ["page:0"]})
    hand.final = {"quiescent": quiescent, "synced": rest([page("page:0")], lru=lru, pagevecs=pagevecs)}
    return hand


def test_progress_oracle_catches_a_page_in_a_pagevec_that_was_drained_and_names_who_put_it_there() -> None:
    finding = caught(progress.judge(_synced([], {"cpu0.lru_add": ["page:0"]}).record()), "pagevec never drained")
    assert finding.facts["held"] == [{"what": "pagevec", "task": "reader", "step": 0, "site": None}]


def test_progress_oracle_passes_on_drained_pagevecs() -> None:
    passed(progress.judge(_synced(["page:0"], {}).record()))


def test_progress_oracle_passes_on_a_page_whose_slot_and_inode_are_not_marked_yet() -> None:
    passed(progress.judge(_in_vain(_just_dirty()).record()))
    passed(progress.judge(_in_vain(_dirty(progress.MARKING_OPS - 1)).record()))


def test_progress_oracle_catches_a_page_whose_writer_has_ended() -> None:
    hand = _just_dirty().exit("writer")
    caught(progress.judge(_in_vain(hand).record()), "dirty page forgotten")


def test_progress_oracle_passes_on_a_page_beyond_the_range() -> None:
    hand = _dirty()
    for _ in range(progress.ROUNDS_MAX):
        hand = _ends(_begins(hand, first=1))
    passed(progress.judge(hand.record()))


def test_progress_oracle_does_not_know_of_a_run_without_rounds_or_dirt() -> None:
    unknown(progress.judge(_dirty().record()))
    unknown(progress.judge(_in_vain(Hand("writeback")).record()))


@pytest.mark.slow
def test_progress_oracle_alone_catches_planted_background_writeback_that_writes_nothing() -> None:
    row = planted.of_model(progress.NAME)
    assert not findings(row.twin.program, {}, row.params)
    assert set(rules(findings(row.twin.program, row.bind, row.params))) == {(progress.NAME, row.rule)}


# -- who holds an idle page: planted leaks ---------------------------------------------------------------------------


_accessed = swap.mark_page_accessed


def _once() -> bool:
    """Say whether this task comes here for the first time."""
    mine = vars(rt.current())
    first = "leaked" not in mine
    mine["leaked"] = True
    return first


def _keeps_a_reference(page: Page) -> None:
    """BUGGY: a reader keeps a reference of a name that nobody declared."""
    if _once():
        mm.get_page(page, "mystery")
    _accessed(page)


def _keeps_the_lock(page: Page) -> None:
    """BUGGY: a reader keeps the page lock."""
    if _once() and not filemap.trylock_page(page):
        del vars(rt.current())["leaked"]
    _accessed(page)


IDLE: dict[str, Value] = {"idle": 20, "migrations": 14}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("leak", "what", "where"),
    [
        (_keeps_a_reference, "mystery", "_keeps_a_reference > get_page:get"),
        (_keeps_the_lock, "PG_locked", "trylock_page"),
    ],
)
def test_who_holds_an_idle_page_that_cannot_be_moved_is_named(
    leak: Callable[[Page], None], what: str, where: str
) -> None:
    """Seen in 15 and in 11 of 20 runs, the first in the first or second."""
    found = findings("migrate-vs-reclaim", {"mm.swap:mark_page_accessed": leak}, IDLE)
    refused = [finding for finding in found if finding.rule == "idle page refused"]
    assert len(refused) >= 5
    for finding in refused:
        [held] = cast("list[dict[str, object]]", finding.facts["held"])
        assert (held["what"], held["task"]) == (what, "reader")
        assert where in str(held["site"])


@pytest.mark.slow
def test_progress_oracle_alone_catches_planted_pagevecs_that_are_never_drained() -> None:
    bind: dict[str, Callable[..., object]] = {"mm.swap:lru_add_drain": lambda machine: None}
    params: dict[str, Value] = {**IDLE, "pagevec": 14}
    assert not findings("migrate-vs-reclaim", {}, params)
    found = findings("migrate-vs-reclaim", bind, params)
    assert set(rules(found)) == {(progress.NAME, "pagevec never drained")}
    assert "__lru_cache_add" in found[0].title


# -- checkpoint lists ------------------------------------------------------------------------------------------------


def _committed(bits: tuple[str, ...] = (), during: tuple[str, ...] = (), let_go: bool = False) -> Hand:
    """A commit that meets bh:1, which waits for its checkpoint.

    Args: bits: of the buffer, set before; during: set and cleared while the commit is under way.
    """
    hand = Hand("committer", "writer").write("writer", "jh:1.b_bh", "bh:1")
    hand.write("writer", "jh:1.b_cp_transaction", "transaction:1")
    for bit in bits:
        hand.lock("writer", "bh:1", bit, "b_state")
    hand.note("committer", "commit-begin", "journal:1", 2)
    for bit in during:
        hand.lock("writer", "bh:1", bit, "b_state").unlock("writer", "bh:1", bit, "b_state")
    if let_go:
        hand.write("committer", "jh:1.b_cp_transaction", None, "transaction:1")
    return hand.write("committer", "transaction:2.t_state", "T_FLUSH", "T_LOCKED")


def test_progress_oracle_catches_a_written_buffer_that_a_commit_leaves_on_its_checkpoint_list() -> None:
    finding = caught(progress.judge(_committed().record()), "written buffer kept")
    assert finding.facts["objects"] == ["jh:1", "bh:1"]


def test_progress_oracle_passes_on_a_commit_that_lets_it_go() -> None:
    hand = _committed(let_go=True).write("writer", "jh:1.b_cp_transaction", "transaction:2")
    assert not progress.judge(hand.record()).findings


@pytest.mark.parametrize("bit", ["BH_Dirty", "BH_JBDDirty", "BH_Lock", "BH_State", "BH_Write_EIO"])
def test_progress_oracle_excuses_a_buffer_that_is_dirty_lost_or_in_somebodys_hands(bit: str) -> None:
    assert not progress.judge(_committed((bit,)).record()).findings
    assert not progress.judge(_committed(during=(bit,)).record()).findings


@pytest.mark.slow
def test_progress_oracle_alone_catches_a_commit_that_cleans_no_checkpoint_list() -> None:
    params: dict[str, Value] = {"data": "journal", "pages": 2}
    assert not findings("fsync-commits", {}, params)
    bind = {"jbd.checkpoint:__journal_clean_checkpoint_list": lambda journal: 0}  # BUGGY
    found = rules(findings("fsync-commits", bind, params))
    assert set(found) == {(progress.NAME, "written buffer kept")}
