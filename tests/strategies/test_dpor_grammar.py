"""Source-DPOR sees the outcomes and the classes that enumeration sees, on every sentence of a grammar of tiny programs.

`python -m tests.strategies.test_dpor_grammar [GRAMMAR...]` makes the whole table (many minutes).
"""

from __future__ import annotations

import sys
import time
from dataclasses import fields

import pytest

from tests.strategies.dpor_grammar import Counts, compared
from tests.strategies.dpor_grammars import GRAMMARS

SCHEDULES_QUICK = 300
SCHEDULES_WHOLE = 1500


def counted(name: str, lengths: tuple[int, int], schedules_max: int) -> Counts:
    """Compare all sentences of a grammar."""
    total = Counts()
    for sentence in GRAMMARS[name].sentences(*lengths):
        total += compared(sentence, schedules_max)
    return total


@pytest.mark.parametrize("name", GRAMMARS)
def test_dpor_sees_what_enumeration_sees_of_short_sentences(name: str) -> None:
    total = counted(name, GRAMMARS[name].quick, SCHEDULES_QUICK)
    assert not total.wrong
    assert total.again == 0
    assert total.large < total.programs


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", GRAMMARS)
def test_dpor_sees_what_enumeration_sees_of_every_sentence(name: str) -> None:
    total = counted(name, GRAMMARS[name].whole, SCHEDULES_WHOLE)
    assert not total.wrong
    assert total.again == 0


def table(names: list[str]) -> None:
    """Print a row for each grammar as it is done, and the sum."""
    keys = [each.name for each in fields(Counts) if each.name != "wrong"]
    print(f"{'grammar':30}" + "".join(f"{key:>12}" for key in keys) + f"{'wrong':>7}{'CPU s':>8}", flush=True)
    total = Counts()
    for name in names:
        began = time.process_time()
        counts = counted(name, GRAMMARS[name].whole, SCHEDULES_WHOLE)
        row(name, keys, counts, time.process_time() - began)
        total += counts
    row("all", keys, total, time.process_time())
    for sentence in total.wrong[:20]:
        print(sentence)


def row(name: str, keys: list[str], counts: Counts, seconds: float) -> None:
    """Print a row."""
    cells = "".join(f"{getattr(counts, key):>12,}" for key in keys)
    print(f"{name:30}{cells}{len(counts.wrong):>7}{seconds:>8.0f}", flush=True)


if __name__ == "__main__":
    table(sys.argv[1:] or list(GRAMMARS))
