"""The stick: which disk it is, what its file has at first, and that a run without one is what it was."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mmrace import runtime as rt
from mmrace.actors import copier, reader, streamer
from mmrace.actors.stage import Stage
from mmrace.installed import run_one
from mmrace.kernel.fs.fs import FileRaState
from mmrace.runs.spec import RunSpec
from mmrace.scenarios import stick
from mmrace.scenarios.build import FORMATTED
from tests.scenarios.staged import play


def test_a_run_without_a_stick_has_one_disk_and_one_file() -> None:
    stage = play(lambda stage: None).stage
    assert stage.files == (stage.inode,) and stage.devices == (stage.device,)
    assert stage.source is stage.inode and stage.source_device is stage.device


def test_a_file_is_copied_to_fat_on_the_second_disk() -> None:
    stage = play(lambda stage: copier.copy_page(stage, 0), stick="vfat").stage
    assert stage.stick is stage.second and stage.source is stage.inode and stage.source_device is stage.device
    assert rt.peek(stage.stick, "i_size") == 4


def test_a_file_is_copied_from_the_second_disk_to_ext3() -> None:
    def body(stage: Stage) -> None:
        assert stage.second is not None
        first = FORMATTED * (stage.device.end + 1)
        assert reader.read_block(stage, 0, stage.source) == [first, first]
        assert copier.copy_page(stage, 0)
        assert reader.read_block(stage, 1) == [1, 1]

    played = play(body, stick="ext3")
    stage = played.stage
    assert stage.stick is stage.inode and stage.source is stage.second and stage.source_device is stage.second_device
    assert [facts[:2] for facts in played.notes("write-begin")] == [(1, 0), (1, 1)]


@pytest.mark.parametrize(("kind", "slow"), [("none", []), ("vfat", [0, 7]), ("ext3", [7, 0])])
def test_ticks_of_the_stick_are_those_of_its_disk(kind: str, slow: list[int]) -> None:
    stage = play(lambda stage: None, stick=kind, stick_ticks=7, ticks=0).stage
    assert [disk.ticks for disk in stage.devices] == (slow or [0])


@pytest.mark.parametrize("kind", ["none", "vfat", "ext3"])
def test_what_a_streamer_reads_of_the_device_is_on_a_disk_of_its_own(kind: str) -> None:
    def body(stage: Stage) -> None:
        first, pages = streamer.raw_pages(stage)
        assert pages == 4
        assert all(streamer.read_raw_page(stage, first + i, FileRaState(2)) for i in range(pages))

    stage = play(body, stick=kind, raw=4).stage
    assert [region.key for region in stage.devices[-1].regions] == ["raw"]
    numbers = [range(disk.first, disk.end) for disk in stage.devices]
    assert all(one.stop <= other.start for one, other in pairwise(numbers))


@pytest.mark.parametrize("scenario", ["migrate-vs-vfat", "copy-vs-commit", "copy-vs-reclaim"])
def test_casts_with_a_stick_pass_on_both_kinds_of_stick(scenario: str) -> None:
    for kind in stick.STICK.choices[1:]:
        for seed in range(2):
            spec = RunSpec(scenario, (("stick", kind),), engine="fiber", strategy="portfolio", seed=seed)
            result = run_one(spec)
            assert (result.verdict, result.findings) == ("PASS", []), result.spec.command()
