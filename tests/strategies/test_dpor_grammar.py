"""Source-DPOR sees the outcomes and the classes that enumeration sees, on the short sentences of a grammar.

All sentences: `whole_grammar.py`.
"""

from __future__ import annotations

import pytest

from tests.strategies.dpor_grammar import compared
from tests.strategies.dpor_grammars import GRAMMARS

SCHEDULES_MAX = 200


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAMMARS)
def test_dpor_sees_what_enumeration_sees_of_short_sentences(name: str) -> None:
    grammar = GRAMMARS[name]
    counts = [compared(sentence, SCHEDULES_MAX) for sentence in grammar.sentences(*grammar.quick)]
    assert not [each.wrong for each in counts if each.wrong]
    assert not any(each.again for each in counts)
    assert not all(each.large for each in counts)
