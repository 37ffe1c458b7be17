"""What the accessors of single flag bits share: their names.

The kernel generates them by macros (PAGEFLAG, BUFFER_FNS); `page_flags` and `buffer_head` do it with closures.
Invariant: each accessor is called, in a report, what the kernel code calls it.
Source: include/linux/page-flags.h, buffer_head.h, v3.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType

# What the closures are called where they are written.
CLOSURES = ("test", "set_", "clear", "test_set", "test_clear")


def name_accessors(namespace: Mapping[str, object]) -> None:
    """Give each generated accessor in a module's namespace the name that it is bound to: sites show it."""
    for name, value in namespace.items():
        if isinstance(value, FunctionType) and value.__code__.co_name in CLOSURES:
            value.__name__ = value.__qualname__ = name
            value.__code__ = value.__code__.replace(co_name=name, co_qualname=name)
