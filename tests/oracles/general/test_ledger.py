"""The books of references: what each op and each note enters."""

from __future__ import annotations

from mmrace.oracles.general.ledger import Ledgers
from mmrace.runtime.kinds import Kind
from tests.oracles.hand import Hand

COUNT, OTHER = "page:0._count", "bh:1.b_count"


def _owners(hand: Hand) -> tuple[list[str], list[str]]:
    """Take every event of a record; return who holds what of page:0 and of bh:1."""
    page, bh = hand.lane("page:0", "_count"), hand.lane("bh:1", "b_count")
    ledgers = Ledgers(hand.record(), {page: "page:0", bh: "bh:1"})
    for event in hand.events:
        ledgers.take(event)
    return ledgers.by_lane[page].owners(), ledgers.by_lane[bh].owners()


def _hand() -> Hand:
    return Hand("one", "two").get("one", COUNT, "slot", 1).get("two", COUNT, "lookup", 2).get("one", OTHER, "jh", 1)


def test_a_get_enters_a_reference_and_a_put_strikes_it_out() -> None:
    assert _owners(_hand()) == (["lookup", "slot"], ["jh"])
    assert _owners(_hand().put("one", COUNT, "lookup", 1)) == (["slot"], ["jh"])


def test_a_get_unless_zero_counts_only_if_it_succeeds() -> None:
    hand = _hand().op("one", Kind.GET_UNLESS_ZERO, COUNT, "lookup", 0)
    assert _owners(hand)[0] == ["lookup", "slot"]
    assert _owners(hand.op("one", Kind.GET_UNLESS_ZERO, COUNT, "lookup", 3))[0] == ["lookup", "lookup", "slot"]


def test_an_unfreeze_drops_what_it_names() -> None:
    hand = _hand().freeze("one", COUNT, 2)
    assert _owners(hand)[0] == ["lookup", "slot"]
    assert _owners(hand.unfreeze("one", COUNT, 1, "slot"))[0] == ["lookup"]


def test_notes_rename_retire_and_free() -> None:
    hand = _hand().note("one", "rename", 1, "slot", "private")
    assert hand.lane("page:0", "_count") == 1
    assert _owners(hand)[0] == ["lookup", "private"]
    assert _owners(hand.note("one", "rename", 1, "nobody's", "slot"))[0] == ["lookup", "private"]
    assert _owners(hand.note("one", "retire", 1, ("private",)))[0] == ["lookup"]
    assert _owners(hand.note("one", "page-free", "page:0")) == ([], ["jh"])


def test_an_op_on_one_of_the_counts_gives_its_ledger_and_nothing_else_does() -> None:
    hand = _hand().write("one", "page:0.mapping", None).note("one", "page-free", "page:1")
    lane = hand.lane("page:0", "_count")
    ledgers = Ledgers(hand.record(), {lane: "page:0"})
    assert [ledger is not None for ledger in map(ledgers.take, hand.events)] == [True, True, False, False, False]
