"""The conservation oracle: frames, the LRU, journal heads and checkpoints at rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd import transaction
from mmrace.kernel.jbd.jbd import Handle
from mmrace.kernel.mm import swap
from mmrace.kernel.mm.mm_types import Page
from mmrace.oracles.general.judgement import Judgement
from mmrace.oracles.protocol import conservation
from stress import planted
from tests.oracles.hand import Hand, at_rest, buffer, free_page, page, rest
from tests.oracles.protocol.planted import findings, rules
from tests.oracles.verdicts import caught, passed, unknown

CACHED = page("page:0", flags=["PG_uptodate", "PG_lru"])
JOURNALED = buffer("bh:1", state=["BH_Uptodate", "BH_JBD", "BH_Dirty"], jh="jh:1")


def head(**over: object) -> dict[str, object]:
    """A journal head that waits for its checkpoint."""
    row: dict[str, object] = {
        "name": "jh:1", "bh": "bh:1", "count": 1, "list": "BJ_None", "transaction": None, "next": None,
        "checkpoint": "transaction:1",
    }  # fmt: skip
    return row | over


def _journal(**lists: list[str]) -> list[dict[str, object]]:
    found = {"transaction:1": {"t_checkpoint_list": [], "t_sync_datalist": [], **lists}}
    return [{"name": "journal", "running": None, "committing": None, "lists": found}]


def _rest(pages: list[dict[str, object]] | None = None, **over: object) -> dict[str, object]:
    """A cached page, a free one, and one metadata buffer that waits for its checkpoint."""
    facts: dict[str, object] = {
        "lru": ["page:0"], "free_list": ["page:1"], "heads": [head()],
        "journals": _journal(t_checkpoint_list=["jh:1"]), "buffers": [JOURNALED],
    }  # fmt: skip
    return rest(pages or [CACHED, free_page("page:1")], None) | facts | over


def _judge(snap: dict[str, object]) -> Judgement:
    return conservation.judge(at_rest(Hand(), snap).record())


def _caught(snap: dict[str, object], rule: str) -> None:
    """Both snapshots are the same here, so there are two findings."""
    hand = Hand()
    hand.final = {"quiescent": snap, "synced": _rest()}
    caught(conservation.judge(hand.record()), rule)


@pytest.mark.parametrize(("requests", "now", "fits"), [(2, 2, True), (2, 3, False), (None, 128, True), (2, -1, False)])
def test_conservation_oracle_knows_how_many_requests_fit_into_the_queue_of_a_disk(
    requests: int | None, now: int, fits: bool
) -> None:
    hand = at_rest(Hand("flusher"), _rest()).write("flusher", "queue:disk.rq_count", now, now - 1)
    hand.params = {} if requests is None else {"requests": requests}
    judged = conservation.judge(hand.record())
    if fits:
        passed(judged)
    else:
        caught(judged, "requests miscounted")


def test_conservation_oracle_passes_on_a_machine_at_rest() -> None:
    passed(_judge(_rest()))


def test_conservation_oracle_catches_frames_that_are_lost_or_in_two_places() -> None:
    _caught(_rest(free_list=[]), "frame lost")
    _caught(_rest([CACHED, page("page:1", flags=[], count=0, mapping=None, index=None)], free_list=[]), "frame lost")
    _caught(_rest(free_list=["page:1", "page:1"]), "frame freed twice")
    _caught(_rest(free_list=["page:1", "page:0"]), "used frame on the free list")
    _caught(_rest([CACHED, free_page("page:1") | {"count": 1}]), "counted free frame")


def test_conservation_oracle_catches_a_frame_lost_that_was_never_used() -> None:
    unused = free_page("page:1") | {"generation": 0}
    passed(_judge(_rest([CACHED, unused])))
    _caught(_rest([CACHED, unused], free_list=[]), "frame lost")


def test_conservation_oracle_catches_an_lru_that_is_not_what_its_pages_say() -> None:
    _caught(_rest(lru=[]), "PG_lru is not the list")
    _caught(_rest([page("page:0"), free_page("page:1")]), "PG_lru is not the list")
    _caught(_rest(lru=["page:0", "page:0"]), "page twice on the LRU")
    _caught(_rest([page("page:0"), free_page("page:1")], lru=[]), "page off the LRU")


def test_conservation_oracle_passes_on_a_cached_page_in_a_pagevec() -> None:
    passed(_judge(_rest([page("page:0"), free_page("page:1")], lru=[], pagevecs={"percpu:0.lru_add": ["page:0"]})))


def test_conservation_oracle_catches_a_buffer_that_stays_new() -> None:
    _caught(_rest(buffers=[JOURNALED, buffer("bh:2", state=["BH_Mapped", "BH_New"])]), "buffer stays new")


def test_conservation_oracle_catches_a_journal_head_whose_count_is_not_its_owners() -> None:
    _caught(_rest(heads=[head(count=2)]), "b_jcount is not owners")


def test_conservation_oracle_catches_a_journal_head_on_another_list_than_it_names() -> None:
    rule = "journal head on a list it does not name"
    _caught(_rest(journals=_journal()), rule)
    _caught(_rest(journals=_journal(t_checkpoint_list=["jh:1"], t_sync_datalist=["jh:1"])), rule)
    filed = head(list="BJ_SyncData", transaction="transaction:1", checkpoint=None)
    passed(_judge(_rest(heads=[filed], journals=_journal(t_sync_datalist=["jh:1"]))))
    _caught(_rest(heads=[filed], journals=_journal(t_locked_list=["jh:1"])), rule)


def test_conservation_oracle_catches_a_buffer_and_a_journal_head_that_disagree() -> None:
    rule = "buffer and journal head disagree"
    _caught(_rest(buffers=[JOURNALED | {"state": ["BH_Dirty"]}]), rule)
    _caught(_rest(heads=[head(bh="bh:2")]), rule)


def test_conservation_oracle_catches_a_journal_head_that_was_never_freed() -> None:
    lost = head(name="jh:2", bh=None, count=0, checkpoint=None)
    _caught(_rest(heads=[head(), lost]), "journal head lost")


def test_conservation_oracle_catches_copies_of_data_that_are_lost_or_owned_twice() -> None:
    passed(_judge(_rest(heads=[head(frozen="frozen:1", committed="frozen:2")], copies=["frozen:1", "frozen:2"])))
    _caught(_rest(copies=["frozen:1"]), "copy of data lost")
    _caught(_rest(heads=[head(committed="frozen:1")], copies=[]), "copy of data freed too early")
    twice = [head(frozen="frozen:1", committed="frozen:1")]
    _caught(_rest(heads=twice, copies=["frozen:1"]), "copy of data with two owners")


def test_conservation_oracle_catches_dirty_metadata_that_no_transaction_has() -> None:
    slots = [{"index": 0, "page": "page:0", "tags": []}]
    of_device = [{"name": "mapping:disk", "ino": "disk", "slots": slots, "nrpages": 1}]
    device = {"mappings": of_device, "pages": [CACHED | {"mapping": "mapping:disk"}, free_page("page:1")]}
    passed(_judge(_rest(**device)))
    lost = buffer("bh:1", state=["BH_Uptodate", "BH_Dirty"])
    rule = "dirty metadata that no transaction has"
    _caught(_rest(buffers=[lost], heads=[], journals=_journal(), **device), rule)


def test_conservation_oracle_catches_a_wrong_number_of_cached_pages() -> None:
    _caught(_rest(counters={"NR_FILE_PAGES": 2}), "accounting")


def test_conservation_oracle_does_not_know_of_a_run_that_did_not_finish() -> None:
    hand = Hand()
    hand.end = {"how": "deadlock", "detail": {}}
    assert "deadlock" in unknown(conservation.judge(hand.record()))


# -- planted bugs ----------------------------------------------------------------------------------------------------


FRAMES = planted.of_model(conservation.NAME)


def _puts_nothing_back(page_: Page) -> None:
    """BUGGY: putback_lru_page drops its reference and does nothing else."""
    swap.put_page(page_, "isolation")


def _keeps_the_head(handle: Handle, bh: BufferHead) -> int:
    """BUGGY: write access leaves its count on the journal head."""
    return transaction.do_get_write_access(handle, journal_.journal_add_journal_head(bh), False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "bind", "rule"),
    [
        (FRAMES.twin.program, FRAMES.bind, FRAMES.rule),
        ("migrate-vs-reclaim", {"mm.vmscan:putback_lru_page": _puts_nothing_back}, "page off the LRU"),
        ("async-vs-commit", {"jbd.transaction:journal_get_write_access": _keeps_the_head}, "b_jcount is not owners"),
        (
            "async-vs-commit",
            {"jbd.checkpoint:__journal_insert_checkpoint": lambda jh, transaction_: None},
            "dirty metadata that no transaction has",
        ),
        ("async-vs-commit", {"jbd.journal:journal_free_journal_head": lambda jh: None}, "journal head lost"),
        ("async-vs-commit", {"jbd.jbd:jbd_free": lambda data: None}, "copy of data lost"),
        ("truncate-vs-commit", {"fs.buffer_head:clear_buffer_new": lambda bh: None}, "buffer stays new"),
    ],
    ids=[
        "frames are lost",
        "putback does nothing",
        "a journal head is kept",
        "no checkpoint",
        "heads stay",
        "copies stay",
        "buffers stay new",
    ],
)
def test_conservation_oracle_alone_catches_what_is_planted(
    scenario: str, bind: Mapping[str, Callable[..., object]], rule: str
) -> None:
    params = {"metadata": 1} if scenario == "async-vs-commit" else {}
    assert not findings(scenario, {}, params)
    found = rules(findings(scenario, bind, params))
    assert set(found) == {(conservation.NAME, rule)}
