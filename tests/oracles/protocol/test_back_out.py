"""The back-out oracle: what a refused migration leaves on the old page."""

from __future__ import annotations

import pytest

from mmrace.oracles.protocol import back_out, pte
from mmrace.runtime.kinds import Kind
from stress import planted
from tests.oracles.hand import Hand
from tests.oracles.protocol.planted import findings, rules
from tests.oracles.verdicts import caught, passed, unknown

COUNT = "page:0._count"
FLAGS = "page:0.flags"


def _begun(mapping: str = "mapping:5") -> Hand:
    hand = Hand("migrator", "reader").write("reader", "page:0.mapping", mapping)
    hand.write("reader", "bh:1.b_page", "page:0").note("migrator", "migrate-begin", "page:0", "MIGRATE_ASYNC")
    return hand.lock("migrator", "page:0")


def _ended(hand: Hand, rc: str = "-EAGAIN") -> Hand:
    hand.unlock("migrator", "page:0")
    return hand.note("migrator", "migrate-end", "page:0", "page:1", "MIGRATE_ASYNC", rc, "buffer-lock")


def _backs_out(hand: Hand) -> Hand:
    """Take all that an asynchronous attempt takes, and give it back."""
    hand.freeze("migrator", COUNT, 3).lock("migrator", "bh:1", "BH_Lock", "b_state")
    hand.get("migrator", "bh:1.b_count", "migrate", 1).put("migrator", "bh:1.b_count", "migrate", 0)
    return hand.unlock("migrator", "bh:1", "BH_Lock", "b_state").unfreeze("migrator", COUNT, 3)


def test_back_out_oracle_passes_on_an_attempt_that_gives_back_what_it_took() -> None:
    passed(back_out.judge(_ended(_backs_out(_begun())).record()))


def test_back_out_oracle_catches_what_is_left_over() -> None:
    left = {
        "bh:1.b_count 'migrate' +1": _begun().get("migrator", "bh:1.b_count", "migrate", 1),
        "bh:1.BH_Lock +1": _begun().lock("migrator", "bh:1", "BH_Lock", "b_state"),
        "page:0.PG_uptodate -1": _begun().op("migrator", Kind.CLEAR, FLAGS, True, sub="PG_uptodate"),
        "page:0 frozen +1": _begun().freeze("migrator", COUNT, 3),
        "bh:1.b_page is page:1, was page:0": _begun().write("migrator", "bh:1.b_page", "page:1", "page:0"),
        "page:0.[0] written": _begun().op("migrator", Kind.WRITE, "page:0.words", 1, 2, sub="[0]"),
    }
    for what, hand in left.items():
        finding = caught(back_out.judge(_ended(hand).record()), "refused page changed")
        assert finding.facts["left"] == [what]


def test_back_out_oracle_passes_on_what_others_do_meanwhile() -> None:
    hand = _begun().get("reader", COUNT, "lookup", 4).op("reader", Kind.SET, FLAGS, False, sub="PG_error")
    hand.op("migrator", Kind.WRITE, "page:1.words", 1, 2, sub="[0]")
    passed(back_out.judge(_ended(_backs_out(hand)).record()))


def test_back_out_oracle_lets_the_dirt_of_an_unmapped_pte_take_the_mark_of_reclaim() -> None:
    def unmaps(word: int) -> Hand:
        hand = _begun().op("migrator", Kind.WRITE, "mm.ptes", word, 0, sub="[0]")
        return _ended(hand.op("migrator", Kind.CLEAR, FLAGS, True, sub="PG_reclaim"))

    passed(back_out.judge(unmaps(pte.PRESENT | pte.DIRTY).record()))
    caught(back_out.judge(unmaps(pte.PRESENT).record()), "refused page changed")


def test_back_out_oracle_passes_on_what_the_unmap_may_change() -> None:
    hand = _begun().op("migrator", Kind.SET, FLAGS, False, sub="PG_dirty").put("migrator", COUNT, "pte", 2)
    passed(back_out.judge(_ended(hand).record()))


def test_back_out_oracle_does_not_know_of_moves_and_of_pages_without_migratepage() -> None:
    moved = _begun().write("migrator", "page:0.mapping", None, "mapping:5")
    unknown(back_out.judge(_ended(moved, "0").record()))
    written = _begun("mapping:disk").op("migrator", Kind.CLEAR, FLAGS, True, sub="PG_dirty")
    unknown(back_out.judge(_ended(written).record()))
    unknown(back_out.judge(Hand().record()))
    stripped = _ended(_begun().write("migrator", "page:0.private", None, "bh:1")).record()
    stripped.header["params"] = {"data": "journal"}
    unknown(back_out.judge(stripped))


def test_back_out_oracle_takes_no_anonymous_page_for_that_of_the_file_with_its_number() -> None:
    hand = _ended(_begun("anon_vma:5").op("migrator", Kind.CLEAR, FLAGS, True, sub="PG_uptodate"))
    hand.params = {"data": "journal"}  # a file's page would have no ->migratepage
    caught(back_out.judge(hand.record()), "refused page changed")


@pytest.mark.slow
def test_back_out_oracle_alone_catches_a_planted_mark_on_a_refused_page() -> None:
    row = planted.of_model(back_out.NAME)
    assert not findings(row.twin.program, {}, row.params)
    assert set(rules(findings(row.twin.program, row.bind, row.params))) == {(back_out.NAME, row.rule)}


def test_back_out_oracle_asks_nothing_of_a_page_that_was_truncated_meanwhile() -> None:
    hand = (
        _begun()
        .write("reader", "page:0.mapping", None, "mapping:5")
        .op("migrator", Kind.CLEAR, FLAGS, True, sub="PG_private")
    )
    assert not back_out.judge(_ended(hand).record()).findings
    hand = _begun().write("migrator", "page:0.mapping", None, "mapping:5")
    caught(back_out.judge(_ended(hand).record()), "refused page changed")
