"""Compare DPOR with enumeration on every sentence of the grammar of tiny programs, and print a table.

    python -m tests.strategies.whole_grammar [GRAMMAR...]

A row for each grammar: programs; those that can stand still, or that a violation can end; those with more schedules
than the enumeration went through; its schedules; outcomes and classes; what DPOR executed, how much of that was
abandoned, how much was a class again; sentences of which it saw something else.  Exit code: 1 if there is any of these.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from itertools import islice

from mmrace.search.pool.cores import cores
from tests.strategies.dpor_grammar import Counts, compared
from tests.strategies.dpor_grammars import GRAMMARS

SCHEDULES_MAX = 1500
PARTS = 24  # of a grammar, so that no process is left with much at the end
SHOWN = 20  # sentences
COLUMNS = [each.name for each in fields(Counts) if each.name != "wrong"]

Job = tuple[str, int]


def counted(job: Job) -> Counts:
    """Compare one part of a grammar's sentences."""
    name, part = job
    grammar = GRAMMARS[name]
    total = Counts()
    for sentence in islice(grammar.sentences(*grammar.whole), part, None, PARTS):
        total += compared(sentence, SCHEDULES_MAX)
    return total


def row(name: str, counts: Counts) -> str:
    """Return a row of the table."""
    return f"{name:30}" + "".join(f"{getattr(counts, key):>12,}" for key in COLUMNS) + f"{len(counts.wrong):>8}"


def table(names: Iterable[str]) -> Counts:
    """Print a row for each grammar as soon as it is done, and the sum; return the sum."""
    print(f"{'grammar':30}" + "".join(f"{key:>12}" for key in COLUMNS) + f"{'wrong':>8}", flush=True)
    total = Counts()
    with ProcessPoolExecutor(len(cores())) as pool:
        running = {name: [pool.submit(counted, (name, part)) for part in range(PARTS)] for name in names}
        for name, parts in running.items():
            of_grammar = Counts()
            for part in parts:
                of_grammar += part.result()
            print(row(name, of_grammar), flush=True)
            total += of_grammar
    print(row("all", total))
    return total


if __name__ == "__main__":
    wrong = table(sys.argv[1:] or GRAMMARS).wrong
    for sentence in wrong[:SHOWN]:
        print(f"WRONG {sentence}")
    sys.exit(bool(wrong))
