"""What a search has kept is made smaller in its folder; what cannot be is told, and stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace.runs.kept import RECORD
from mmrace.runs.minimal import MINIMAL, Minimal
from mmrace.runs.store import Saved
from mmrace.search.minimise import findings
from mmrace.search.minimise.findings import Found, minimise_kept
from tests.search.minimise.failing import failing, torn


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return [tmp_path / name for name in ("one", "other", "last")]


def test_each_kept_record_gets_its_minimal_file(folders: list[Path]) -> None:
    record, makers, signature = failing(torn, "exception", turns=3)
    folders[0].mkdir()
    record.write(folders[0] / RECORD)
    found = Found(Saved(str(folders[0])), {"hits": 2, "of": 9}, {"schedules": 9})
    minimal = minimise_kept({signature: found}, makers, 60.0)[signature]
    assert isinstance(minimal, Minimal)
    assert (minimal.rarity, minimal.health) == (found.rarity, found.health)
    assert Minimal.read(folders[0] / MINIMAL).shrunk == minimal.shrunk


def test_one_that_is_damaged_is_told_and_the_next_one_is_made(folders: list[Path]) -> None:
    record, makers, signature = failing(torn, "exception", turns=3)
    for folder in folders[:2]:
        folder.mkdir()
    (folders[0] / RECORD).write_text("no record\n")
    record.write(folders[1] / RECORD)
    kept = {
        "damaged": Found(Saved(str(folders[0]))),
        signature: Found(Saved(str(folders[1]))),
        "gone": Found(Saved(str(folders[2]))),
    }
    made = minimise_kept({**kept, "unsaved": Found(Saved(error="disk full"))}, makers, 60.0)
    assert set(made) == {"damaged", signature, "gone"}
    assert made["gone"] == "no record of it was kept"
    assert "this looks like no record at all" in str(made["damaged"])
    assert isinstance(made[signature], Minimal)


def test_what_an_earlier_session_made_smaller_is_read(folders: list[Path]) -> None:
    record, makers, signature = failing(torn, "exception", turns=3)
    folders[0].mkdir()
    record.write(folders[0] / RECORD)
    first = minimise_kept({signature: Found(Saved(str(folders[0])))}, makers, 60.0)[signature]
    again = minimise_kept({signature: Found(Saved(str(folders[0]), before=True))}, makers, 60.0)[signature]
    assert isinstance(first, Minimal) and isinstance(again, Minimal)
    assert again.shrunk == first.shrunk  # its seconds too


def test_a_bug_of_mmrace_is_told_beside_the_finding(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    record, makers, signature = failing(torn, "exception", turns=3)
    folders[0].mkdir()
    record.write(folders[0] / RECORD)

    def broken(*given: object) -> Minimal:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(findings, "minimise", broken)
    made = minimise_kept({signature: Found(Saved(str(folders[0])))}, makers, 60.0)
    assert "mmrace bug" in str(made[signature])
    assert "planted" in str(made[signature])


def test_when_the_time_for_all_is_up_the_rest_is_left(folders: list[Path]) -> None:
    record, makers, signature = failing(torn, "exception", turns=3)
    for folder in folders:
        folder.mkdir()
        record.write(folder / RECORD)
    ticks = iter(range(100_000))
    kept = {
        signature: Found(Saved(str(folders[0]))),
        "a": Found(Saved(str(folders[1]))),
        "b": Found(Saved(str(folders[2]))),
    }
    told: list[str] = []
    made = minimise_kept(kept, makers, 1.0, clock=lambda: float(next(ticks)), tell=told.append)
    assert set(made) == set(kept)
    late = f"the 3 s for all findings were used up by those before it; try: mmrace minimise {folders[2]}"
    assert made["b"] == late
    assert told[0] == f"minimising finding 1 of 3, {signature}, for at most 1 s"
    assert not any(line.split(", ")[1] == "b" for line in told)


def test_a_finding_of_free_threads_alone_is_told_as_one_without_a_schedule(folders: list[Path]) -> None:
    record, makers, signature = failing(torn, "exception")
    record.header["engine"] = "free"
    folders[0].mkdir()
    record.write(folders[0] / RECORD)
    made = minimise_kept({signature: Found(Saved(str(folders[0])))}, makers, 60.0)
    assert str(made[signature]).startswith(
        "it was seen under free threads only, which have no schedule; mmrace minimise"
    )
