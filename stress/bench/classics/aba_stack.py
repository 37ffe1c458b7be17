"""A stack of linked nodes, changed by compare-and-swap.  BUGGY: a head that went away and came back looks unchanged.

One task pops; another pops two nodes and pushes the first one back, between the first task's look and its swap.
"""

from __future__ import annotations

from typing import ClassVar

from mmrace import runtime as rt

END = 0


class Stack(rt.Struct):
    """Nodes 1 to 3 by number; `head` is (node, how often it was swapped)."""

    head: rt.Field[tuple[int, int]] = rt.shared((1, 0), benign="looked at before it is swapped")
    after = rt.words(0)
    lock = rt.spinlock()
    benign: ClassVar = {"after": "a stale look is thrown away by the swap"}


def swaps(stack: Stack, old: tuple[int, int], node: int, counted: bool) -> bool:
    """Replace the head if it is still the old one; the lock stands for the atomic instruction."""
    rt.spin_lock(stack.lock)
    now = stack.head
    same = now == old if counted else now[0] == old[0]
    if same:
        stack.head = (node, now[1] + 1)
    rt.spin_unlock(stack.lock)
    return same


def pop(stack: Stack, counted: bool) -> int:
    """Take the head off; END if there is none."""
    while True:
        old = stack.head
        if old[0] == END:
            return END
        rest = stack.after.read(old[0])
        if swaps(stack, old, rest, counted):
            return old[0]


def push(stack: Stack, node: int, counted: bool) -> None:
    """Put a node on top."""
    while True:
        old = stack.head
        stack.after.write(node, old[0])
        if swaps(stack, old, node, counted):
            return


def takes_one(stack: Stack, counted: bool, taken: list[int]) -> None:
    """Pop once."""
    taken.append(pop(stack, counted))


def takes_two(stack: Stack, counted: bool, taken: list[int]) -> None:
    """Pop twice, and give the first node back."""
    first = pop(stack, counted)
    taken.append(pop(stack, counted))
    if first != END:
        push(stack, first, counted)


def _play(counted: bool) -> None:
    stack = Stack("stack", after=4)
    with rt.fixed_order():
        for node in (1, 2):
            stack.after.write(node, node + 1)
    taken: list[int] = []
    rt.spawn(takes_one, stack, counted, taken)
    rt.spawn(takes_two, stack, counted, taken)
    rt.join_others()
    while (node := pop(stack, counted)) != END and len(taken) < 9:
        taken.append(node)
    taken = [node for node in taken if node != END]
    rt.bug_on(len(taken) != len(set(taken)), "a node is in two places")


def main() -> None:
    """BUGGY: compares the node alone."""
    _play(False)


def mended() -> None:
    """Compares the count of swaps as well."""
    _play(True)
