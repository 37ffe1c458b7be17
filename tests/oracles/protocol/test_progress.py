"""The progress oracle: dirty pages and the rounds of a flusher."""

from __future__ import annotations

import pytest

from mmrace.oracles.protocol import progress
from mmrace.runtime.kinds import Kind
from stress import planted
from tests.oracles.hand import Hand
from tests.oracles.protocol.planted import findings, rules
from tests.oracles.verdicts import caught, passed, unknown

FLAGS = "page:0.flags"


def _dirty() -> Hand:
    """A dirty page in slot 0 of mapping:5, with one buffer."""
    hand = Hand("writeback", "writer").write("writer", "page:0.mapping", "mapping:5").write("writer", "page:0.index", 0)
    return hand.write("writer", "bh:1.b_page", "page:0").op("writer", Kind.TEST_AND_SET, FLAGS, False, sub="PG_dirty")


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
    assert not progress.judge(_in_vain(_dirty().note("writer", progress.ABORT, -5)).record()).findings


def test_progress_oracle_passes_on_one_round_in_vain() -> None:
    passed(progress.judge(_in_vain(_dirty(), progress.ROUNDS_MAX - 1).record()))


def test_progress_oracle_passes_on_a_page_that_somebody_is_at() -> None:
    locked = _dirty().lock("writer", "bh:1", "BH_Lock", "b_state")
    passed(progress.judge(_in_vain(locked).record()))
    touched = _dirty()
    for _ in range(progress.ROUNDS_MAX):
        touched = _ends(_begins(touched).op("writer", Kind.READ, "bh:1.b_blocknr"))
    passed(progress.judge(touched.record()))


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
