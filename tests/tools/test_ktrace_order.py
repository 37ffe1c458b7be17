"""The order of steps in a log: by hand, one move each; real excerpts are read in `tests/claims/test_order.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.ktrace import read_lines
from tools.ktrace_order import main, orders, where_unmapped

MOVE = """\
m_src_try: src=0x40 dst=0x80 mode=0 pass=0
m_src_locked: src=0x40
m_src_wb_clear: src=0x40
m_dst_locked: src=0x40 dst=0x80
m_unmap: src=0x40 mapcount=1
m_move: dst=0x80 src=0x40
m_bh_refs: src=0x40 dst=0x80 refs=3 want=3
m_bh_lock_ok: bh=0x1
m_bh_lock_ok: bh=0x2
m_replace: dst=0x80 src=0x40
m_bh_moved: bh=0x1 folio=0x80
m_copy: dst=0x80 src=0x40
m_flags: dst=0x80 src=0x40
m_bh_unlock: bh=0x1
m_move_ret: ret=0 src=0x40 dst=0x80
f_unlock: folio=0x80
f_unlock: folio=0x40
""".splitlines()
ORDER = (
    "lock old", "writeback looked at", "lock new", "count tested", "lock buffers", "replace", "ring moved", "copy",
    "flags", "unlock buffers", "unlock new", "unlock old",
)  # fmt: skip


def lines(events: list[str]) -> list[str]:
    """Write events as ftrace does."""
    return [f"  compact-1  [000] .....  {i}.000000: {event}" for i, event in enumerate(events)]


def test_a_move_gives_its_steps_once_each_without_the_unmap() -> None:
    events = read_lines(lines(MOVE)).events
    assert orders(events) == ({ORDER: 1}, 0)
    assert where_unmapped(events) == (1, 0)


def test_an_unmap_before_the_lock_of_the_target_is_told() -> None:
    swapped = [*MOVE[:3], MOVE[4], MOVE[3], *MOVE[5:]]
    assert where_unmapped(read_lines(lines(swapped)).events) == (0, 1)


def test_a_refused_page_a_page_without_buffers_and_a_cut_one_give_no_order() -> None:
    refused = [event.replace("ret=0", "ret=-11") for event in MOVE]
    bare = [event for event in MOVE if "m_bh" not in event]
    assert orders(read_lines(lines(refused)).events) == ({}, 0)
    assert orders(read_lines(lines(bare)).events) == ({}, 0)
    assert orders(read_lines(lines(MOVE[:-1])).events) == ({}, 1)
    assert orders(read_lines(lines(MOVE[3:])).events) == ({}, 0)


def test_the_command_prints_each_order_with_its_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.txt"
    log.write_text("\n".join(lines(MOVE * 2)))
    assert main([str(log)]) == 0
    assert f"2: {', '.join(ORDER)}" in capsys.readouterr().out
    assert main([]) == 2
