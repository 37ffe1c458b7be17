"""The stories of ten kinds of failures against golden files; `MMRACE_GOLDEN=write` writes them anew, to be read."""

from __future__ import annotations

import os
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mmrace import installed
from mmrace.report.around import around_of
from mmrace.report.story import show_story
from mmrace.runtime.record import Record
from mmrace.story.tell import PLAINLY, tell
from tests.story.cases import CASES, TEN, failed, story

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden"
WIDTH = 100
WIDTHS = (60, 80, 160)
NONSENSE: tuple[object, ...] = (None, "nonsense", -5, 10**9, [], {}, ["page:0"], [{"task": "nobody"}], True)
"""What a fact may be in a record that somebody edited."""
SAID = {
    "deadlock": r"committer \(kjournald\) waits for (bh:\S+), .*which migrator has held since step \d+.*"
    r"migrator waits for (bh:\S+).*which committer has held.*neither can go on\. .*its batch of data "
    r"buffers: locked, but not",
    "lost-copy": r"the disk\) read block \d+ of inode 1 from (page:\d+) at step \d+, after committer .*submitted it.*"
    r"migrator had unlocked (bh:\S+) at step \d+.*and copied the data only at step \d+",
    "refcount": r"migrator .* stores \d+ as the count of page:\d+, going by the 3 that it had seen at step \d+; in "
    r"between reader .* took 'lookup', and the store wipes that reference out",
    "data-race": r"\(step \d+, in [\w >]+\) and .*\(step \d+, in [\w >]+\), and nothing orders the two",
    "lost-wakeup": r"sleeps until (bh:\S+)\.BH_Lock is clear .*brought that at step \d+.*nobody wakes",
    "sleep-in-atomic": r"committer \(kjournald\) comes to where it may sleep.*spinlock journal\.j_list_lock held since",
    "predicted-inversion": r"another order of the same steps is a deadlock: writer asks for page:\d+\.PG_locked .* "
    r"while it holds handle on transaction:\d+",
    "durability": r"fsync of inode 1 by fsync returned 0 at step \d+, but block \d+ of inode 1, which writer had "
    r"written .*was not on the disk: the transfer that \S+ had submitted at step \d+ was",
    "crash": r"wrote block \d+ of inodes home .*before its transaction was committed",
    "leak": r"migrator \(step \d+, in buffer_migrate_page\) takes the reference 'private' of page:\d+, and nobody ever",
    "stranger": r"migrator unlocks (bh:\S+)\.BH_Lock \(step \d+, in buffer_migrate_lock_buffers\), which committer "
    r".*has held since step \d+, in _submit_data_pass, after migrator's own try at step \d+ had failed",
    "stranger-commit": r"committer \(kjournald\) unlocks bh:\S+\.BH_Lock \(step \d+, in _settle_clean_buffer\), which "
    r"\S+ has held since",
    "slot": r"migrator put page:\d+ into slot:1:0 at step \d+.*and only then tried bh:\S+\.BH_Lock, which \S+",
    "double-put": r"migrator \(step \d+, in \w+\) drops the reference 'private' of page:\d+, which it had "
    r"dropped already",
    "lost-get": r"migrator .* drops the reference 'migrate' of bh:\S+, which nobody had taken",
    "passed-by": r"page:\d+ is dirty since \S+ dirtied it \(step \d+.*yet writeback went through the file \d+ times",
    "under-writeback": r"writer came to page:\d+ at step \d+, in \w+, and did not wait for its writeback, which \S+",
    "untagged": r"\S+ dirtied page:\d+ \(PG_dirty, step \d+.*and set no PAGECACHE_TAG_DIRTY in its slot",
    "lost-frame": r"\S+ freed page:\d+ at step \d+.*, and nobody put it on the free list",
    "not-taken-back": r"migrator gave up the move of page:\d+ \(\S+\), and did not take back .*\.PG_error = set",
    "never-copied": r"reader read block \d+ of inode 1 from page:\d+ at step \d+, while page:\d+ still held the "
    r"garbage of a fresh frame: .*nobody ever copied",
    "raised": r"reader raised AttributeError.*read slot:1:\d+\.page twice: page:\d+ at step \d+, and nothing at step "
    r"\d+; in between truncater had changed it",
}
"""Case -> what its sentence of cause has to say; facts are numbers, so that it holds whatever the seed."""


def shown(name: str, width: int = WIDTH) -> str:
    record, _ = failed(name)
    console = Console(file=StringIO(), width=width, color_system=None)
    show_story(story(name), around_of(record, None, "record.jsonl"), console)
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def failed_facts(name: str) -> dict[str, object]:
    record, signature = failed(name)
    return next(one["facts"] for one in record.verdict["findings"] if one["signature"] == signature)


@pytest.mark.parametrize("name", TEN)
def test_a_story_is_told_as_its_golden_file_has_it(name: str) -> None:
    path, got = GOLDEN / f"{name}.txt", shown(name)
    if os.environ.get("MMRACE_GOLDEN") == "write":
        path.write_text(got, encoding="utf-8")
    assert got == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_the_cause_names_what_the_bug_does(name: str) -> None:
    assert re.search(SAID[name], story(name).telling.cause), story(name).telling.cause


@pytest.mark.parametrize("name", CASES)
def test_a_story_has_a_screen_of_rows_in_order_and_those_of_the_finding(name: str) -> None:
    told = story(name)
    steps = [row.step for row in told.table.rows if row.step is not None]
    assert steps == sorted(steps) and 1 <= len(steps) <= 25
    of_the_end = "when" in failed_facts(name)  # which has no event of its own
    assert any(row.named for row in told.table.rows) or of_the_end
    assert any(row.step is None for row in told.table.rows) or name == "raised", "a ghost row"


@pytest.mark.parametrize("name", CASES)
def test_no_line_but_the_title_and_the_command_is_wider_than_the_console(name: str) -> None:
    for width in WIDTHS:
        lines = shown(name, width).splitlines()[1:]
        wide = [line for line in lines if len(line) > width and "repeat:" not in line]
        assert not [line for line in wide if max(map(len, line.split())) < width // 2], wide


def test_a_story_from_a_file_is_the_one_from_memory(tmp_path: Path) -> None:
    for name in TEN:
        record, signature = failed(name)
        record.write(tmp_path / "record.jsonl")
        read = Record.read(tmp_path / "record.jsonl")
        assert tell(read, signature, installed.book_of(read)) == story(name), name


@pytest.mark.parametrize("name", CASES)
def test_facts_that_somebody_edited_are_told_plainly_and_never_raise(name: str) -> None:
    """A record is read as it stands; what a teller cannot use it does without."""
    record, signature = failed(name)
    kept = record.verdict
    finding = next(one for one in kept["findings"] if one["signature"] == signature)
    try:
        for key in finding["facts"]:
            for value in NONSENSE:
                facts = {**finding["facts"], key: value}
                record.verdict = {**kept, "findings": [{**finding, "facts": facts}]}
                assert tell(record, signature, installed.book_of(record)).signature == signature
    finally:
        record.verdict = kept


@pytest.mark.parametrize("name", CASES)
def test_no_teller_gives_up_on_a_record_as_it_was_written(name: str) -> None:
    assert PLAINLY not in story(name).telling.cause
