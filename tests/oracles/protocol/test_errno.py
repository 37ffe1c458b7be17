"""The errno oracle: what read, write and fsync return against what failed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import Journal
from mmrace.oracles.protocol import errno
from stress import planted
from tests.oracles.hand import Hand
from tests.oracles.protocol.planted import findings, rules
from tests.oracles.verdicts import caught, passed, unknown


def _run(failed: int = 0) -> Hand:
    hand = Hand("reader", "writer", "fsync", "io").note("io", "io-end", "read", 44, 0)
    for _ in range(failed):
        hand.note("io", "io-end", "write", 44, -5)
    return hand


def test_errno_oracle_passes_on_calls_that_succeed_and_on_errors_that_follow_failures() -> None:
    passed(errno.judge(_run().note("fsync", "fsync-end", 1, 0).note("reader", "read-end", 1, 0, (0, 0)).record()))
    hand = _run(failed=1).note("fsync", "fsync-end", 1, -5).note("reader", "read-failed", 1, 0, -5)
    passed(errno.judge(hand.note("writer", "write-failed", 1, 0, 1).record()))


def test_errno_oracle_catches_an_error_before_anything_failed() -> None:
    for note in (("fsync-end", 1, -5), ("read-failed", 1, 0, -5), ("write-failed", 1, 0, -5)):
        caught(errno.judge(_run().note("fsync", *note).note("io", "io-end", "write", 44, -5).record()),
               "error out of nothing")  # fmt: skip


def test_errno_oracle_catches_an_error_that_is_told_again_and_again() -> None:
    hand = _run(failed=1)
    for _ in range(errno.TOLD_MAX + 1):
        hand.note("fsync", "fsync-end", 1, -5)
    caught(errno.judge(hand.record()), "error told too often")


def test_errno_oracle_wants_memory_to_be_out_for_enomem() -> None:
    hand = _run().note("writer", "write-failed", 1, 0, -12)
    caught(errno.judge(hand.record()), "error out of nothing")
    hand.marks[errno.NO_PAGE] = 1
    passed(errno.judge(hand.record()))


def test_errno_oracle_catches_an_errno_that_no_user_is_to_see() -> None:
    caught(errno.judge(_run().note("fsync", "fsync-end", 1, -11).record()), "errno of another call")


def _aborted() -> Hand:
    return _run(failed=1).note("fsync", "journal-abort", -5)


def test_errno_oracle_passes_on_what_an_aborted_journal_refuses_again_and_again() -> None:
    hand = _aborted()
    for _ in range(errno.TOLD_MAX + 1):
        hand.note("fsync", "fsync-begin", 1).note("fsync", "fsync-end", 1, -5)
        hand.note("writer", "write-begin", 1, 0, 7).note("writer", "write-failed", 1, 0, -30)
        hand.note("writer", "truncate-end", 1, 0, -30)
    passed(errno.judge(hand.record()))


def test_errno_oracle_catches_a_refusal_without_an_abort() -> None:
    for kind, *facts in (("fsync-end", 1, -30), ("write-failed", 1, 0, -30), ("truncate-end", 1, 0, -30)):
        hand = _run(failed=1).note("writer", str(kind), *facts).note("fsync", "journal-abort", -5)
        caught(errno.judge(hand.record()), "refused without an abort")
    caught(errno.judge(_aborted().note("reader", "read-failed", 1, 0, -30).record()), "errno of another call")


def test_errno_oracle_catches_an_abort_for_nothing() -> None:
    hand = _run().note("fsync", "journal-abort", -5).note("fsync", "fsync-end", 1, 0)
    caught(errno.judge(hand.record()), "failure out of nothing")


@pytest.mark.parametrize(
    ("begin", "end"),
    [(("write-begin", 1, 0, 7), ("write-end", 1, 0, 7)), (("fsync-begin", 1), ("fsync-end", 1, 0))],
    ids=["write", "fsync"],
)
def test_errno_oracle_catches_success_of_a_call_that_began_in_an_aborted_journal(
    begin: tuple[str, ...], end: tuple[str, ...]
) -> None:
    caught(errno.judge(_aborted().note("fsync", *begin).note("fsync", *end).record()), "success in an aborted journal")
    hand = _run(failed=1).note("fsync", *begin).note("writer", "journal-abort", -5)
    passed(errno.judge(hand.note("fsync", *end).record()))


@pytest.mark.parametrize("mark", errno.FAILURES)
def test_errno_oracle_catches_an_error_that_the_kernel_keeps_to_itself_where_no_transfer_failed(mark: str) -> None:
    hand = _run().note("fsync", "fsync-end", 1, 0)
    hand.marks[mark] = 1
    caught(errno.judge(hand.record()), "failure out of nothing")
    hand = _run(failed=1).note("fsync", "fsync-end", 1, 0)
    hand.marks[mark] = 1
    passed(errno.judge(hand.record()))


def test_errno_oracle_does_not_know_of_a_run_without_calls() -> None:
    unknown(errno.judge(_run().record()))


@pytest.mark.slow
def test_errno_oracle_alone_catches_a_planted_error_out_of_nothing() -> None:
    row = planted.of_model(errno.NAME)
    assert not findings(row.twin.program, {}, row.params)
    assert set(rules(findings(row.twin.program, row.bind, row.params))) == {(errno.NAME, row.rule)}


_wait = journal_.log_wait_commit


def _never_aborted(journal: Journal) -> bool:
    """BUGGY: nobody is told that the journal was given up."""
    return False


def _waits_for_nothing_but_the_end(journal: Journal, tid: int) -> int:
    """BUGGY: who waits for a commit is not told that it failed."""
    _wait(journal, tid)
    return 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "bug"),
    [
        ("jbd.journal:is_journal_aborted", _never_aborted),
        ("jbd.journal:log_wait_commit", _waits_for_nothing_but_the_end),
    ],
)
def test_errno_oracle_catches_an_aborted_journal_that_refuses_nothing(place: str, bug: Callable[..., object]) -> None:
    found = rules(findings("journal-aborts", {place: bug}))
    assert found["errno", "success in an aborted journal"], found
    assert not findings("journal-aborts", {})


# -- the log ---------------------------------------------------------------------------------------------------------


def _commit(failing: int, errno_: int, flags: int | None = None) -> Hand:
    """A commit during which the write of a block fails.  Args: flags: of the journal; None: it has none yet."""
    hand = Hand("committer", "io").note("committer", "layout", ("log", 4, 40), (1, 44, 2))
    hand.note("committer", "commit-begin", "journal:1", 1).note("io", "io-end", "write", failing, -5)
    if errno_:
        hand.write("committer", "journal:1.j_errno", errno_, 0)
    if flags is not None:
        hand.write("committer", "journal:1.j_flags", flags, 0)
    return hand.note("committer", "commit-end", "journal:1", 1)


def test_errno_oracle_catches_a_commit_that_forgets_that_its_log_could_not_be_written() -> None:
    assert caught(errno.judge(_commit(5, 0).record()), "error of the log forgotten").facts["block"] == 5
    caught(errno.judge(_commit(5, -5, flags=0).record()), "error of the log forgotten")  # fsync asks for the flag


def test_errno_oracle_passes_on_a_commit_that_remembers_it_and_asks_nothing_for_data() -> None:
    passed(errno.judge(_commit(5, -5).record()))
    passed(errno.judge(_commit(5, -5, flags=2).record()))
    unknown(errno.judge(_commit(44, 0).record()))


@pytest.mark.slow
def test_errno_oracle_catches_a_journal_that_is_not_aborted() -> None:
    bind = {"jbd.journal:journal_abort": lambda journal, errno_: None}  # BUGGY
    forgotten = errno.NAME, "error of the log forgotten"
    assert forgotten not in rules(findings("migrate-vs-write-error", {}))
    assert rules(findings("migrate-vs-write-error", bind))[forgotten]
