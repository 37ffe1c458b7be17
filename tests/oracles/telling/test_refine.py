"""What the protocol adds to the telling of a race: per lock of the field, which side held it."""

from __future__ import annotations

import pytest

from mmrace.oracles.telling import refine
from mmrace.runtime.record import Record
from mmrace.story.facts import Side, Telling
from mmrace.story.scene import Scene

FINDING = {"facts": {"object": "jh:main:1.b_transaction"}}
LIST, STATE = "journal.j_list_lock", "bh:main:1.BH_State"
SCENE = Scene(Record({}, [], table={}, tasks=[]))


@pytest.mark.parametrize(
    ("writer", "committer", "said"),
    [
        ((), (LIST,), "neither writer nor committer held BH_State; only committer held j_list_lock, writer did not."),
        ((STATE,), (LIST,), "only writer held BH_State, committer did not; only committer held j_list_lock"),
        ((STATE, LIST), (STATE,), "both held BH_State; only writer held j_list_lock, committer did not."),
    ],
)
def test_a_race_says_of_each_lock_of_its_field_who_held_it(
    writer: tuple[str, ...], committer: tuple[str, ...], said: str
) -> None:
    sides = (Side("writer", "writes", 3, "", writer), Side("committer", "reads", 5, "", committer))
    told = refine.race(SCENE, FINDING, Telling("They race.", habit="74 of 90 hold j_list_lock.", sides=sides))
    assert f"b_transaction belongs under BH_State and j_list_lock: {said}" in told.cause
    assert not told.habit, "what most others hold is a guess, and the protocol knows"
