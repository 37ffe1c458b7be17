"""Actor streamer alone: it reads from begin to end, ahead of itself, and then anew."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.actors import streamer
from mmrace.actors.stage import Stage
from mmrace.kernel.mm import filemap, truncate
from tests.runtime.engines import random_walk
from tests.scenarios.staged import Played, play, unwritten

PAGES = 4


def drop(stage: Stage) -> None:
    """Empty the page cache of the file."""
    truncate.truncate_inode_pages(stage.mapping, 0)


def stream(stage: Stage) -> None:
    """Read the file, whose pages are cold, as often as the parameters say."""
    drop(stage)
    streamer.streamer(stage)


def reads(played: Played) -> list[int]:
    """Return how many words each read moved to memory, in order of their submission."""
    return [block for direction, block, *_ in played.notes("io-begin") if direction == "read"]


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_shows_the_whole_file_and_takes_fewer_ios_than_pages(seed: int) -> None:
    played = play(stream, strategy=random_walk(seed), pages=PAGES, bare=100, streamed=PAGES, window=4)
    assert played.notes("read-end") == [(1, block, unwritten(played.stage, block)) for block in range(2 * PAGES)]
    assert len(reads(played)) == 2  # two pages, then the window that the second of them asks for
    assert played.notes("round") == [("streamer", i) for i in range(PAGES)]


def test_a_stream_without_a_window_has_an_io_for_each_page() -> None:
    assert len(reads(play(stream, pages=PAGES, bare=100, streamed=PAGES, window=0))) == PAGES


def test_behind_the_end_it_begins_again_and_finds_the_pages_cached() -> None:
    played = play(stream, pages=PAGES, bare=100, streamed=2 * PAGES, window=4)
    assert len(reads(played)) == 2
    assert [block for _, block, _ in played.notes("read-end")] == 2 * list(range(2 * PAGES))


@pytest.mark.parametrize("raw", [0, 6])
def test_a_stream_of_the_device_reads_what_no_file_has_or_all_of_it(raw: int) -> None:
    def body(stage: Stage) -> tuple[int, int]:
        streamer.streamer(stage)
        rt.join_others()
        return streamer.raw_pages(stage)

    played = play(body, pages=2, streams="device", raw=raw, streamed=4)
    first, pages = played.value
    device = played.stage.raw_device or played.stage.device
    assert pages == (raw or device.nr_blocks // 2)
    cached = [slot.index for slot in device.bd_inode.i_mapping.page_tree.slots if rt.peek(slot, "page") is not None]
    assert set(range(first, first + 4)) <= set(cached)
    assert not played.notes("read-end")
    if raw:
        assert device.where(2 * first)[0] == "raw"


def test_a_stream_that_gets_no_page_says_so_and_goes_on() -> None:
    def body(stage: Stage) -> None:
        drop(stage)
        while filemap.page_cache_alloc(stage.mapping) is not None:
            pass
        streamer.streamer(stage)

    played = play(body, pages=PAGES, bare=100, streamed=2)
    assert len(played.notes("read-failed")) == 2
    assert len(played.notes("round")) == 2


def test_a_slow_disk_is_built_as_the_parameters_say() -> None:
    played = play(lambda stage: None, ticks=70, requests=3)
    queue = played.stage.device.request_queue
    assert queue is not None and (queue.nr_requests, played.stage.device.ticks) == (3, 70)
    assert play(lambda stage: None).stage.device.request_queue is None
