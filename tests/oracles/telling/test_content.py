"""A wrong word of the page cache at rest is found where the slot shows its page."""

from __future__ import annotations

import pytest

from mmrace.oracles.protocol.snapshot import snapshots
from mmrace.oracles.telling import content
from mmrace.story.scene import Scene
from tests.story.cases import failed


@pytest.mark.slow
def test_a_wrong_word_at_rest_is_told_by_the_page_that_its_slot_shows() -> None:
    record, _ = failed("never-copied")
    scene = Scene(record)
    slot, page = next(
        (slot, page)
        for snap in snapshots(record)
        for slot in snap.slots
        if (page := snap.page(slot.page)) is not None and page.words
    )
    facts = {"seen_by": "page cache", "inode": slot.ino, "block": 0, "shown": [page.words[0]], "newest": []}
    seen = content._seen(scene, facts)
    assert seen is not None and seen[1:] == (scene.end, page.words[0])
    assert scene.record.lane_name(seen[0]).endswith("words[0]")
    assert content._seen(scene, {**facts, "inode": "none"}) is None
