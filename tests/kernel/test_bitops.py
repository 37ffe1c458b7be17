"""Generated accessors of flag bits: each is called what the kernel calls it."""

from __future__ import annotations

from mmrace.kernel.fs import buffer_head
from mmrace.kernel.mm import page_flags


def test_accessors_carry_the_names_of_the_kernel() -> None:
    assert page_flags.SetPageUptodate.__code__.co_name == "SetPageUptodate"
    assert page_flags.TestClearPageDirty.__code__ is not page_flags.TestClearPageReclaim.__code__
    assert buffer_head.test_clear_buffer_dirty.__name__ == "test_clear_buffer_dirty"
