"""The failures oracle: what a transfer that failed leaves behind, and who takes it."""

from __future__ import annotations

import pytest

from mmrace.oracles.protocol import failures
from mmrace.runtime.kinds import Kind
from mmrace.runtime.param import Value
from tests.oracles.hand import Hand
from tests.oracles.protocol.planted import findings, rules
from tests.oracles.verdicts import caught, passed, unknown

STATE = {"bh:1": "b_state", "page:0": "flags", "page:1": "flags", "mapping:5": "flags"}
BLOCK, LOG_BLOCK = 3, 40
FAILED = -5


def _set(hand: Hand, task: str, owner: str, bit: str) -> Hand:
    return hand.op(task, Kind.SET, f"{owner}.{STATE[owner]}", False, sub=bit)


def _clear(hand: Hand, task: str, owner: str, bit: str, kind: Kind = Kind.CLEAR) -> Hand:
    return hand.op(task, kind, f"{owner}.{STATE[owner]}", True, sub=bit)


def _cached(*states: tuple[str, str]) -> Hand:
    """An uptodate buffer of page:0 of inode 5, with some more bits set."""
    hand = Hand("user", "io", "other").note("main", "layout", ("5", 0, 8), ("log", LOG_BLOCK, 8))
    hand.write("main", "page:0.mapping", "mapping:5").write("main", "bh:1.b_page", "page:0")
    for owner, bit in (("bh:1", "BH_Uptodate"), *states):
        _set(hand, "main", owner, bit)
    return hand


def _begins(hand: Hand, direction: str, owner: str = "bh:1", block: int = BLOCK) -> Hand:
    """The user locks a buffer or a page, and hands the lock to an I/O."""
    bit = "BH_Lock" if owner == "bh:1" else "PG_locked"
    hand.lock("user", owner, bit, STATE[owner])
    hand.note("user", "hand-over", hand.lane(owner, STATE[owner], bit), owner)
    hand.note("user", "io-begin", direction, block)
    return hand.op("user", Kind.SPAWN, "cpu:0.tasks", hand.ids["io"])


def _ends(hand: Hand, direction: str, error: int, block: int = BLOCK) -> Hand:
    return hand.note("io", "io-end", direction, block, error)


def _unlocks(hand: Hand, owner: str = "bh:1") -> Hand:
    return hand.unlock("io", owner, "BH_Lock" if owner == "bh:1" else "PG_locked", STATE[owner])


def _failed_write(*remembered: tuple[str, str], forgets: bool = True, block: int = BLOCK, part: bool = False) -> Hand:
    hand = _cached(*[("bh:1", "BH_Async_Write")] * part)
    hand = _ends(_begins(hand, "write", block=block), "write", FAILED, block)
    for owner, bit in remembered:
        _set(hand, "io", owner, bit)
    if forgets:
        _clear(hand, "io", "bh:1", "BH_Uptodate")
    return _unlocks(hand)


EIO = ("bh:1", "BH_Write_EIO")
OF_PAGE, OF_FILE = ("page:0", "PG_error"), ("mapping:5", "AS_EIO")


def test_failures_oracle_passes_on_a_failed_write_that_everybody_remembers() -> None:
    passed(failures.judge(_failed_write(EIO).record()))
    passed(failures.judge(_failed_write(EIO, OF_PAGE, OF_FILE, part=True).record()))
    passed(failures.judge(_failed_write(block=LOG_BLOCK).record()))


def test_failures_oracle_catches_each_memory_that_a_failed_write_does_not_leave() -> None:
    caught(failures.judge(_failed_write().record()), "failure forgotten")
    caught(failures.judge(_failed_write(EIO, forgets=False).record()), "failure forgotten")
    caught(failures.judge(_failed_write(EIO, OF_FILE, part=True).record()), "failure forgotten")
    caught(failures.judge(_failed_write(EIO, OF_PAGE, part=True).record()), "failure forgotten")


def test_failures_oracle_excuses_a_memory_that_somebody_took_meanwhile() -> None:
    hand = _ends(_begins(_cached(("bh:1", "BH_Async_Write")), "write"), "write", FAILED)
    for owner, bit in (OF_FILE, EIO, OF_PAGE):
        _set(hand, "io", owner, bit)
    _clear(_clear(hand, "other", *OF_FILE, Kind.TEST_AND_CLEAR), "other", *OF_PAGE, Kind.TEST_AND_CLEAR)
    passed(failures.judge(_unlocks(_clear(hand, "io", "bh:1", "BH_Uptodate")).record()))


def test_failures_oracle_catches_a_write_that_goes_well_and_keeps_the_error_of_one_before() -> None:
    caught(failures.judge(_unlocks(_ends(_begins(_cached(EIO), "write"), "write", 0)).record()), "failure outlived")
    cleared = _clear(_cached(EIO), "user", *EIO)
    passed(failures.judge(_unlocks(_ends(_begins(cleared, "write"), "write", 0)).record()))


def test_failures_oracle_follows_the_read_of_a_whole_page() -> None:
    def reads(hand: Hand, error: int) -> Hand:
        return _ends(_begins(hand, "read", "page:0"), "read", error)

    passed(failures.judge(_unlocks(reads(_cached(), 0), "page:0").record()))
    passed(failures.judge(_unlocks(_set(reads(_cached(), FAILED), "io", *OF_PAGE), "page:0").record()))
    caught(failures.judge(_unlocks(reads(_cached(), FAILED), "page:0").record()), "failure forgotten")
    uptodate = _set(reads(_cached(("page:0", "PG_uptodate")), FAILED), "io", *OF_PAGE)
    caught(failures.judge(_unlocks(uptodate, "page:0").record()), "failure forgotten")
    caught(failures.judge(_unlocks(reads(_cached(OF_PAGE), 0), "page:0").record()), "failure outlived")


def _commits(*, marks: bool, block: int = BLOCK) -> Hand:
    """A commit that could not write a block of data, or its copy in the log, ends."""
    hand = _begins(_cached().note("user", "commit-begin", "journal:0", 1), "write", block=block)
    _clear(_set(_ends(hand, "write", FAILED, block), "io", *EIO), "io", "bh:1", "BH_Uptodate")
    _unlocks(hand)
    if marks:
        _set(hand, "user", *OF_FILE)
    return hand


def test_failures_oracle_wants_a_commit_to_tell_the_file_what_it_could_not_write() -> None:
    passed(failures.judge(_commits(marks=True).note("user", "commit-end", "journal:0", 1).record()))
    caught(failures.judge(_commits(marks=False).note("user", "commit-end", "journal:0", 1).record()),
           "failure forgotten")  # fmt: skip
    copy = _commits(marks=False, block=LOG_BLOCK).note("user", "commit-end", "journal:0", 1)
    passed(failures.judge(copy.record()))
    again = _set(_commits(marks=False), "other", "bh:1", "BH_Uptodate")
    passed(failures.judge(again.note("user", "commit-end", "journal:0", 1).record()))


@pytest.mark.parametrize(
    ("of", "when", "excused"),
    [
        ("transaction:2", "before", True),
        ("transaction:2", "meanwhile", True),
        ("transaction:2", "at once", True),
        ("transaction:2", "after", False),  # it is not uptodate any more, and a write is told so
        ("transaction:1", "meanwhile", False),  # refiled
        (None, "meanwhile", False),  # let go
    ],
)
def test_failures_oracle_lets_the_next_transaction_take_a_buffer_that_a_commit_writes(
    of: str | None, when: str, excused: bool
) -> None:
    """R16: the commit asks no more for what was taken from it before its write failed."""
    hand = _cached().write("main", "jh:1.b_bh", "bh:1").note("user", "commit-begin", "journal:0", 1)

    def at(place: str) -> None:
        if place == when:
            hand.op("other", Kind.ACQUIRE, "journal:0.j_list_lock")
            hand.write("other", "jh:1.b_transaction", of, "transaction:1")
        elif (place, when) == (
            "meanwhile",
            "at once",
        ):  # it saw the buffer uptodate, which it is no more when it takes it
            hand.op("other", Kind.ACQUIRE, "journal:0.j_list_lock")
        elif (place, when) == ("after", "at once"):
            hand.write("other", "jh:1.b_transaction", of, "transaction:1")

    at("before")
    _begins(hand, "write")
    at("meanwhile")
    _clear(_set(_ends(hand, "write", FAILED), "io", *EIO), "io", "bh:1", "BH_Uptodate")
    at("after")
    judgement = failures.judge(_unlocks(hand).note("user", "commit-end", "journal:0", 1).record())
    assert [finding.rule for finding in judgement.findings] == ["failure forgotten"] * (not excused)


def _fsync(hand: Hand, rc: int, *, takes: bool = False, waits: bool = False) -> Hand:
    hand.note("user", "fsync-begin", 5)
    if waits:
        hand.op("user", Kind.TEST, "page:0.flags", False, sub="PG_writeback")
    if takes:
        _clear(hand, "user", *OF_FILE, Kind.TEST_AND_CLEAR)
    return hand.note("user", "fsync-end", 5, rc)


def test_failures_oracle_wants_fsync_to_tell_what_it_takes() -> None:
    passed(failures.judge(_fsync(_cached(OF_FILE), -5, takes=True).record()))
    caught(failures.judge(_fsync(_cached(OF_FILE), 0, takes=True).record()), "failure swallowed")


def test_failures_oracle_wants_fsync_to_take_the_error_of_a_page_that_it_waited_for() -> None:
    caught(failures.judge(_fsync(_cached(OF_PAGE), -5, waits=True).record()), "failure left to the next")
    passed(failures.judge(_fsync(_cached(OF_PAGE), 0).record()))
    locked = _cached(OF_PAGE).lock("user", "page:0")
    passed(failures.judge(_fsync(locked, 0, waits=True).record()))


def test_failures_oracle_does_not_know_of_a_run_without_transfers() -> None:
    unknown(failures.judge(_cached().record()))


# -- planted bugs --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "place", "rule", "params"),
    [
        ("migrate-vs-writeback", "fs.buffer_head:set_buffer_write_io_error", "failure forgotten", {}),
        ("migrate-vs-writeback", "fs.buffer_head:clear_buffer_write_io_error", "failure outlived", {}),
        ("migrate-vs-reclaim", "mm.page_flags:ClearPageError", "failure outlived",
         {"rounds": 8, "reads": 3, "bare": 100, "migrations": 1}),
        ("migrate-vs-reclaim", "mm.page_flags:SetPageError", "failure forgotten", {"bare": 100}),
    ],
    ids=["no memory", "a memory for ever", "an error for ever", "no error"],
)  # fmt: skip
def test_failures_oracle_alone_catches_what_is_planted(
    scenario: str, place: str, rule: str, params: dict[str, Value]
) -> None:
    """BUGGY: a bit that tells of a failure is never set, or never cleared."""
    params = {"errors": 1, **params}
    assert not findings(scenario, {}, params)
    found = rules(findings(scenario, {place: lambda obj: None}, params))
    assert set(found) == {(failures.NAME, rule)}


def _page_written(error: int, *remembered: tuple[str, str]) -> Hand:
    """A page is written as a whole, by an I/O that has no lock, and its writeback ends."""
    hand = _set(_cached(), "user", "page:0", "PG_writeback")
    hand.note("user", "io-begin", "write", BLOCK, 2, "page:0").op("user", Kind.SPAWN, "cpu:0.tasks", hand.ids["io"])
    hand.note("io", "io-end", "write", BLOCK, error, 2)
    for owner, bit in remembered:
        _set(hand, "io", owner, bit)
    return _clear(hand, "io", "page:0", "PG_writeback", Kind.TEST_AND_CLEAR)


def test_failures_oracle_follows_the_write_of_a_whole_page_to_the_end_of_its_writeback() -> None:
    passed(failures.judge(_page_written(FAILED, OF_PAGE, OF_FILE).record()))
    passed(failures.judge(_page_written(0).record()))
    caught(failures.judge(_page_written(FAILED, OF_FILE).record()), "failure forgotten")
    caught(failures.judge(_page_written(FAILED, OF_PAGE).record()), "failure forgotten")
