"""What is told of a commit block before its data, and of a crash that loses what fsync promised.

No planted bug shows these two findings; both are told of the run of another one, whose fsync does not wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mmrace.oracles.telling import promises
from mmrace.oracles.telling.content import formatted_of
from mmrace.story.facts import Telling
from mmrace.story.scene import Scene
from tests.story.cases import failed


@pytest.fixture
def scene() -> Scene:
    return Scene(failed("durability")[0])


def _told(teller: Callable[..., Telling], scene: Scene, **facts: Any) -> str:
    return teller(scene, {"title": "it is lost", "facts": facts}, Telling("Plainly.")).cause


def _of_fsync() -> dict[str, Any]:
    record, signature = failed("durability")
    facts: dict[str, Any] = next(f["facts"] for f in record.verdict["findings"] if f["signature"] == signature)
    return facts


@pytest.mark.slow
def test_a_commit_block_before_its_data_is_told_with_the_transfer_that_is_under_way(scene: Scene) -> None:
    facts = _of_fsync()
    told = _told(promises.early_commit, scene, **facts)
    assert f"{facts['task']} submitted the commit block at step {facts['step']}" in told
    assert "was still on its way" in told and "had written at step" in told
    over = _told(promises.early_commit, scene, **{**facts, "step": len(scene.events)})
    assert "is older on the disk: its last transfer" in over
    never = _told(promises.early_commit, scene, **{**facts, "step": 0})
    assert "had never been submitted" in never


@pytest.mark.slow
def test_a_crash_that_loses_what_fsync_promised_is_told_with_who_promised_it(scene: Scene) -> None:
    facts = _of_fsync()
    block = formatted_of(scene).blocknr((facts["inode"], facts["block"]))
    told = _told(promises.lost_promise, scene, step=facts["step"], block=block)
    assert f"returned from fsync of inode {facts['inode']} at step" in told
    assert "was still under way" in told and told.endswith("a crash there loses it.")
    assert _told(promises.lost_promise, scene, step=1, block=block) == "Plainly.", "nobody had promised anything"
