"""Rings through handles and transactions: a standstill names its tasks, though no lock of the runtime closes them."""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd import transaction
from mmrace.kernel.mm import filemap
from tests.kernel.jbd.bench import Bench, marked, run, until


def test_a_handle_under_a_page_lock_and_a_page_lock_under_a_handle_are_a_ring() -> None:
    """BUGGY: the order is page lock, then handle."""

    def body(bench: Bench) -> None:
        bench.write(0, 10)
        page = bench.page(0)

        def inverted() -> None:
            handle = transaction.journal_start(bench.journal, 1)
            until(lambda: marked("journal_start: waited for T_LOCKED"))
            filemap.lock_page(page)
            transaction.journal_stop(handle)

        def writer() -> None:
            filemap.lock_page(page)
            until(lambda: marked("commit: waited for T_LOCKED updates"))
            transaction.journal_stop(transaction.journal_start(bench.journal, 1))

        bench.spawn(writer, name="writer", cpu=0)
        bench.spawn(inverted, name="inverted", cpu=1)
        until(lambda: len(rt.peek(bench.journal, "j_running_transaction").users) == 1)
        bench.commit()

    outcome = run(body, ends="deadlock")
    detail = outcome.detail
    assert (detail["kind"], sorted(detail["cycle"])) == ("cycle", ["inverted", "main", "writer"])
    held = {row["task"]: row["held_by"] for row in detail["tasks"]}
    assert held == {"main": "inverted", "inverted": "writer", "writer": "main"}
    assert all(row["about_to"].startswith("SLEEP ") for row in detail["tasks"])


def test_who_waits_for_a_commit_with_a_handle_open_is_in_a_ring_with_the_committer() -> None:
    """BUGGY: fsync would be called inside a handle."""

    def body(bench: Bench) -> None:
        handle = transaction.journal_start(bench.journal, 1)
        tid = transaction._handle_transaction(handle).t_tid
        bench.spawn(bench.commit, name="committer")
        until(lambda: marked("commit: waited for T_LOCKED updates"))
        journal_.log_wait_commit(bench.journal, tid)

    detail = run(body, ends="deadlock").detail
    assert (detail["kind"], sorted(detail["cycle"])) == ("cycle", ["committer", "main"])
