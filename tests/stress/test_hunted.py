"""What was hunted is kept line by line: a test of blindness that was stopped goes on, and never with what is stale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stress.hunted import Hunted, Kept

FACTS = {"runs": "a", "judges": "a", "seed": 1}


def hunted(name: str) -> Hunted:
    return Hunted(name, False, ((3, "liveness", "cycle"), None), 40, 9, 0.5)


def keep(path: Path, *names: str, facts: dict[str, object] | None = None) -> None:
    with Kept(path, facts or FACTS).keeping() as keep_one:
        for name in names:
            keep_one(hunted(name))


def test_what_was_hunted_is_there_when_the_test_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "hunted.jsonl"
    keep(path, "a:one", "a:two")
    keep(path, "a:three")
    assert Kept(path, FACTS).done == {name: hunted(name) for name in ("a:one", "a:two", "a:three")}


def test_what_was_torn_is_hunted_again(tmp_path: Path) -> None:
    path = tmp_path / "hunted.jsonl"
    keep(path, "a:one", "a:two")
    path.write_text(path.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    assert Kept(path, FACTS).done == {"a:one": hunted("a:one")}
    keep(path, "a:two")
    assert Kept(path, FACTS).done.keys() == {"a:one", "a:two"}


def test_what_was_hunted_in_other_sources_or_from_another_seed_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "hunted.jsonl"
    keep(path, "a:one")
    assert Kept(path, {**FACTS, "runs": "b"}, found_stays=True).done == {}
    assert Kept(path, {**FACTS, "judges": "b"}).done == {}
    keep(path, "a:two", facts={**FACTS, "seed": 2})
    assert Kept(path, {**FACTS, "seed": 2}).done.keys() == {"a:two"} and Kept(path, FACTS).done == {}


def test_what_other_judges_found_may_stay_and_is_marked_until_all_is_hunted_anew(tmp_path: Path) -> None:
    path, later = tmp_path / "hunted.jsonl", {**FACTS, "judges": "b"}
    with Kept(path, FACTS).keeping() as keep_one:
        keep_one(hunted("a:found"))
        keep_one(replace(hunted("a:blind"), found=(None, None)))
    stayed = {"a:found": replace(hunted("a:found"), earlier=True)}
    assert Kept(path, later, found_stays=True).done == stayed
    with Kept(path, later, found_stays=True).keeping() as keep_one:
        keep_one(hunted("a:blind"))
    assert Kept(path, later).done == stayed | {"a:blind": hunted("a:blind")}


def test_without_a_file_nothing_is_kept() -> None:
    kept = Kept(None, FACTS)
    with kept.keeping() as keep_one:
        keep_one(hunted("a:one"))
    assert kept.done == {}
