"""A proof as text: a share for each point, beside its step; the point of no return; each ordering swapped.

Invariant: "proved" is said only of what the file says was walked to its end; of the rest, how many of how many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mmrace.report import numbers
from mmrace.runs.minimal import Minimal
from mmrace.runs.proof import NoReturn, Op, Point, Proof, Swap

NOT_PROVED = "not yet proved: mmrace prove"
OF_FAILING = "of them still have this finding"

UNFINISHED = {
    True: "the budget ran out",
    False: "some trees were not walked to their end: too large for their share of the budget, or runs were cut",
    None: "the budget ran out, or a tree was too large to be walked to its end",
}
LIFE = {"BEGIN": "begins", "EXIT": "ends"}
"""Ops of a task's own life, which stand at no site."""


def proof_lines(minimal: Minimal) -> list[str]:
    """Return all that is proved of a minimal schedule; nothing if there is no proof."""
    proof = minimal.proof
    if proof is None:
        return []
    lines = ["no continuations drawn from points: nothing of the budget was left for that"]
    if proof.points:
        lines = [f"continuations drawn by {proof.strategy} from each point, and how many {OF_FAILING} (95 %):"]
    lines += [f"  {share_text(point):>28}  {_after(point, proof)}" for point in proof.points]
    lines += no_return_lines(proof)
    lines += [swap_line(minimal, swap) for swap in proof.swaps]
    effort = proof.budget
    ended = "" if effort.complete else f"; {UNFINISHED[effort.spent]}"
    lines.append(f"proof: {numbers.runs(effort.runs)} in {effort.seconds:.1f} s{ended}")
    return lines


def shares(proof: Proof) -> Mapping[int, str]:
    """Return what stands beside the rows of a table: of the event of a step, how many fail from there on."""
    return {point.after.event: f"{percent(point)} %" for point in proof.points if point.after is not None}


def percent(point: Point) -> str:
    """Write the share of a point in whole per cent; one that is not all or nothing is not written so."""
    if not point.of or point.fails in (0, point.of):
        return "100" if point.of and point.fails else "0" if point.of else "-"
    return str(min(max(round(100 * point.fails / point.of), 1), 99))


def share_text(point: Point) -> str:
    """Say how many of a point's continuations fail, and the interval of that share."""
    return f"{point.fails} of {point.of} ({100 * point.low:.0f}-{100 * point.high:.0f} %)"


def no_return_lines(proof: Proof) -> Iterator[str]:
    """Say from where on the failure is certain, and how that is known."""
    told = proof.no_return
    if told is None:
        yield "point of no return: not found within the budget"
        return
    yield f"point of no return: {_place(told, proof)}: {_certainty(told, proof)}"
    if not told.proved and told.proved_from is not None and told.proved_from <= proof.steps:
        yield f"  proved from op {told.proved_from} of {proof.steps} on: every class from there fails"


def _place(told: NoReturn, proof: Proof) -> str:
    if told.step > proof.steps:
        return "the failure itself"
    if told.step <= proof.first or told.after is None:
        return "the beginning"
    return f"step {told.after.event}, {_deed(told.after)}"


def _certainty(told: NoReturn, proof: Proof) -> str:
    if not told.proved:
        return f"all {told.of} continuations drawn from here fail (not proved)"
    if told.step > proof.steps:
        return "before it, another task could have prevented it (proved)"
    if told.classes == 1:
        return "whatever follows, it fails (proved)"
    left = "classes of schedules" if told.step <= proof.first else "remaining classes"
    return f"all {told.classes} {left} fail (proved)"


def swap_line(minimal: Minimal, swap: Swap) -> str:
    """Say what comes of a causal ordering the other way round."""
    causal = minimal.causal[swap.causal]
    return f"swap {_op(causal.first)} and {_op(causal.second)}: {swapped_text(swap)}"


def swapped_text(swap: Swap) -> str:
    """Say whether the finding is gone then, how that is known, and whether something else comes instead."""
    but = otherwise(swap.others, swap.of - swap.fails)
    if swap.proved:
        classes = "the one class" if swap.of == 1 else f"{swap.of} classes"
        return f"this finding is gone (proved over {classes}){but}"
    gone = f"{swap.of - swap.fails} of {swap.of}{' classes' if swap.classes is not None else ''}"
    return (f"this finding is gone ({gone})" if not swap.fails else f"this finding is gone in {gone}") + but


def otherwise(others: int, of: int) -> str:
    """Say how many of the runs without the finding fail otherwise; "" if none does."""
    if not others:
        return ""
    which = "it fails" if others == of == 1 else "all of them fail" if others == of else f"{others} of {of} fail"
    return f", but {which} otherwise"


def _after(point: Point, proof: Proof) -> str:
    if point.after is None or point.step <= proof.first:
        return "at the beginning"
    return f"after step {point.after.event}, {_deed(point.after)}"


def _deed(op: Op) -> str:
    return f"{op.task} {LIFE[op.site]}" if op.site in LIFE else _op(op)


def _op(op: Op) -> str:
    return f"{op.task} {op.site}{'' if op.visit == 1 else f' ({op.visit}.)'}"
