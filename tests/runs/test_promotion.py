"""Profiles and promotion: a function of the program, equal in every process, and written down in the record."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace.installed import MAKERS, replay_record, run_one
from mmrace.runs import profile
from mmrace.runs.follow import follow
from mmrace.runs.profile import profile_of, racing
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import NondeterminismError
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.record import Record
from tests.search.explore.explorations import SMALL

ROOT = Path(__file__).resolve().parents[2]
SPEC = RunSpec("async-vs-commit", SMALL, engine="fiber", strategy="surw", seed=4, promote="racing")

PRINTS = """
from mmrace.runs.profile import profile_of, racing
from mmrace.installed import MAKERS
from tests.runs.test_promotion import SPEC
program = MAKERS.program(SPEC)
promoted = racing(program)
print(*sorted(promoted), profile_of(program).digest, profile_of(program, promoted).digest)
"""


def kept(spec: RunSpec) -> Record:
    """Return the record of a run."""
    record = run_one(spec, keep_record=True).record
    assert record is not None
    return record


@pytest.mark.slow
def test_profiles_are_equal_in_every_process() -> None:
    program = MAKERS.program(SPEC)
    here = " ".join([*sorted(racing(program)), profile_of(program).digest, profile_of(program, racing(program)).digest])
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", PRINTS], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == here


def test_a_profile_counts_what_the_strategy_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    program = MAKERS.program(SPEC)
    whole, promoted = profile_of(program), profile_of(program, racing(program))
    assert set(whole.ops) == set(promoted.ops) >= {"writer", "committer", "migrator", "reader"}
    assert all(promoted.ops[task] < whole.ops[task] for task in ("writer", "committer", "migrator", "reader"))
    assert whole.parents.get("writer") is None  # spawned during set-up, which is not explored
    assert whole.digest != promoted.digest
    monkeypatch.setattr(profile, "_profiles", {})
    assert profile_of(program) == whole and profile_of(program) is profile_of(program)


def test_a_profile_of_another_program_is_another() -> None:
    one, other = (profile_of(MAKERS.program(replace(SPEC, params=(*SMALL, ("reads", n))))) for n in (1, 3))
    assert one.digest != other.digest


def test_racing_accesses_are_those_of_the_slot_and_of_page_data() -> None:
    assert (
        {"Slot.page", "Page.words"}
        <= racing(MAKERS.program(SPEC))
        < {"Slot.page", "Page.words", "AddressSpace.nrpages"}
    )


def test_other_accesses_are_recorded_and_no_place_to_switch() -> None:
    record = kept(SPEC)
    assert record.header["promoted"] == sorted(racing(MAKERS.program(SPEC)))
    assert record.header["profile"] == profile_of(MAKERS.program(SPEC), racing(MAKERS.program(SPEC))).digest
    first, end = record.header["explored"]
    lanes = {
        lane for name in record.header["promoted"] for cls, field in [name.split(".")]
        for lane in (*record.lanes(cls, field), *record.word_lanes(cls, field))
    }  # fmt: skip
    ops = [event for event in record.events if event[1] != NOTE]
    plain = switched = 0
    for before, event in zip(ops[first:end], ops[first + 1 : end], strict=False):
        if event[1] & KIND_MASK in (Kind.READ, Kind.WRITE) and event[1] >> SHIFT not in lanes:
            plain += 1
            switched += before[0] != event[0]
    assert plain > 20 and switched == 0


def test_a_record_follows_the_promoted_set_of_its_own_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = kept(SPEC)
    record.write(tmp_path / "racing.jsonl")
    again = replay_record(str(tmp_path / "racing.jsonl")).record
    assert again is not None and list(again.plain()) == list(record.plain()) and again.masks == record.masks
    # a program that races elsewhere today: made under another set, the old record still follows
    monkeypatch.setattr(profile, "racing", lambda program: frozenset({"Slot.page"}))
    other = kept(SPEC)
    assert other.header["promoted"] == ["Slot.page"] and list(other.plain()) != list(record.plain())
    other.write(tmp_path / "other.jsonl")
    for path, made in ((tmp_path / "racing.jsonl", record), (tmp_path / "other.jsonl", other)):
        followed = replay_record(str(path)).record
        assert followed is not None and list(followed.plain()) == list(made.plain())
        assert followed.header["promoted"] == made.header["promoted"]


def test_a_record_whose_promoted_set_was_changed_does_not_follow(tmp_path: Path) -> None:
    record = kept(replace(SPEC, promote="all", strategy="random"))
    record.header["promoted"] = []
    record.write(tmp_path / "edited.jsonl")
    with pytest.raises(NondeterminismError):
        replay_record(str(tmp_path / "edited.jsonl"))


def test_promoted_fields_change_no_site() -> None:
    """Each op's site is its own, whether or not an access before it was a switch point (BUG once: they slipped)."""
    record = kept(SPEC)
    promoted = follow(MAKERS.program(SPEC), SPEC, record)
    record.header["promoted"] = None
    asked_everywhere = follow(MAKERS.program(SPEC), SPEC, record)
    assert promoted.header["promoted"] and asked_everywhere.header["promoted"] is None
    assert promoted.events and list(promoted.plain()) == list(asked_everywhere.plain())
    assert promoted.sites == asked_everywhere.sites and any(promoted.sites)
