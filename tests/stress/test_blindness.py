"""A kernel function that does nothing is found, or listed with a reason; and the test of blindness would see if not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mmrace import history
from mmrace.history.variant import applied
from mmrace.installed import run_one
from mmrace.kernel.mm import filemap
from stress import blindness, replaced
from stress.blindness import HANG, LISTED_MAX, Job, Traced, complaints, hunt, jobs, line, places, summary
from stress.hunted import SAME, Hunted
from stress.replaced import OBJECT, Returns, Wait

OBJECTS = (object(), object())
UNLOCK = "mm.filemap:unlock_page"
SCHEDULES = 12
FDATAWAIT = Wait("mm.filemap:filemap_fdatawait", "wait_on_page_writeback", 1)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no variant outlive its test."""
    monkeypatch.setattr(history, "_registered", {})


def number_of(scenario: str) -> int:
    return next(number for number, place in enumerate(places()) if place.scenario == scenario)


def job(name: str, place: str, wait: Wait | None = None, scenario: str = "migrate-vs-writeback", **others: Any) -> Job:
    settings = {"value": None, "same": False, "known": frozenset[str](), "seed": 1, "seeds": 2, "schedules": SCHEDULES}
    return Job(name, place, wait, where=(number_of(scenario),), **{**settings, **others})


def hunted(name: str, *found: tuple[int, str, str] | None, same: bool = False, reached: int = 9) -> Hunted:
    return Hunted(name, same, found, SCHEDULES, reached, 0.5)


# -- variants -------------------------------------------------------------------------------------------------------


def test_functions_of_the_model_are_known_by_their_places() -> None:
    known = replaced.functions()
    assert known[UNLOCK] is filemap.unlock_page
    assert {"fs.buffer_head:buffer_dirty", "jbd.commit:journal_commit_transaction"} <= known.keys()


def test_a_wait_is_named_by_function_and_call() -> None:
    assert FDATAWAIT in replaced.waits(FDATAWAIT.place)
    assert FDATAWAIT.name == "mm.filemap:filemap_fdatawait/wait_on_page_writeback"


def test_a_function_that_only_waits_has_no_wait_of_its_own() -> None:
    assert replaced.waits("fs.buffer:wait_on_buffer") == ()


@pytest.mark.parametrize(
    ("returned", "success"),
    [
        ([(None, 1)], None),
        ([(0, 1), (-11, 1), (-11, 1)], 0),
        ([(-11, 1)], -11),
        ([(False, 0), (False, 0), (True, 3)], True),  # it did more
        ([(False, 0), (False, 0), (True, 0)], False),
        ([([], 0), ([], 0)], []),
        ([(OBJECTS[0], 9), (OBJECTS[1], 9), (None, 0)], None),  # a lookup that finds nothing
    ],
)
def test_the_success_value_is_what_was_returned_most_and_of_yes_and_no_what_did_more(
    returned: list[tuple[Any, int]], success: Any
) -> None:
    returns = Returns()
    for value, changes in returned:
        returns.add(value, changes)
    assert returns.values[returns.success] == success


@pytest.mark.parametrize(
    ("returned", "same"),
    [
        ([(False, 0, True)], True),
        ([(False, 1, True)], False),
        ([(False, 0, True), (True, 0, True)], False),
        ([(None, 0, True)], True),  # it clears a bit that is never set
        ([(None, 0, False)], False),  # it frees something
    ],
)
def test_what_changes_nothing_and_says_one_thing_is_its_own_replacement(
    returned: list[tuple[Any, int, bool]], same: bool
) -> None:
    returns = Returns()
    for value, changes, ops in returned:
        returns.add(value, changes, ops)
    assert returns.same is same


def test_what_always_returns_an_object_is_not_replaced() -> None:
    traced, returns = Traced(), Returns()
    for value in OBJECTS:
        returns.add(value, 0)
    assert returns.success == OBJECT
    traced.merge(0, {UNLOCK: returns}, ())
    assert jobs(traced, blindness.parsed([])) == ([], [UNLOCK])


@pytest.mark.slow
def test_a_function_is_replaced_while_actors_play_and_only_there() -> None:
    variant, reached = replaced.nothing(UNLOCK, None, "nothing")
    with applied(variant):
        assert filemap.unlock_page is not replaced.functions()[UNLOCK]
    history.register(variant, "a test")
    result = run_one(blindness.spec(places()[number_of("migrate-vs-writeback")], "nothing", 1, 0))
    # Set-up unlocks each page that it fills: had that been left out, the pages would be locked for ever from there on.
    assert result.verdict == "FAIL" and result.record is not None and len(result.record.tasks) > 1
    assert reached[0] > 0


# -- the hunt -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_lock_that_is_never_released_is_found() -> None:
    found = hunt(job(UNLOCK, UNLOCK))
    assert set(found.judges) <= {"liveness", "bug-on"} and len(found.hits) == 2 and found.reached


@pytest.mark.slow
def test_an_fsync_that_does_not_wait_is_found_by_durability() -> None:
    """One schedule in fifteen shows it: that none of both hunts does has a chance of one in a million."""
    found = hunt(job(FDATAWAIT.place, FDATAWAIT.place, value=0, schedules=10 * SCHEDULES))
    assert "durability" in found.judges


@pytest.mark.slow
def test_a_hunt_is_a_function_of_the_seed() -> None:
    first, again = (hunt(job(FDATAWAIT.name, FDATAWAIT.place, FDATAWAIT)) for _ in range(2))
    assert first.found == again.found and first.reached == again.reached


@pytest.mark.slow
def test_nothing_is_found_in_what_does_as_before() -> None:
    """A read-only function that always says the same, replaced by that."""
    name = "fs.buffer_head:buffer_delay"
    found = hunt(job(name, name, value=False, same=True, seeds=1, schedules=3))
    assert found.hits == [] and found.reached and found.state({}) == SAME


@pytest.mark.slow
def test_traced_runs_say_what_a_function_returns_and_where_it_runs() -> None:
    traced = Traced()
    traced.merge(*blindness.trace(number_of("migrate-vs-writeback")))
    assert traced.known == set()
    assert traced.returns[UNLOCK].values[traced.returns[UNLOCK].success] is None
    assert traced.returns[UNLOCK].work.total()
    assert "mm.filemap:filemap_fdatawait" in traced.where
    assert "mm.vmscan:shrink_inactive_list" not in traced.where


# -- what is told ---------------------------------------------------------------------------------------------------


def test_what_is_blind_without_a_reason_is_wrong_and_so_is_what_is_found_with_one() -> None:
    blind, seen = hunted("a:blind", None, None), hunted("a:seen", (3, "liveness", "cycle"), None)
    assert complaints([blind, seen], {}, whole=True) == [
        "blind: expected a finding or a reason in blindness.json, got neither for a:blind"
    ]
    assert complaints([blind, seen], {"a:blind": "a hint"}, whole=False) == []
    assert complaints([seen], {"a:seen": "a hint"}, whole=False) == [
        "found: a:seen is listed as rightly not found, and liveness found it"
    ]


def test_a_list_that_is_too_long_or_names_what_is_gone_is_wrong() -> None:
    done = [hunted(f"a:{i}", None) for i in range(20)]
    reasons = {one.name: "a hint" for one in done}
    assert f"too many: 20 of 20 are listed, at most {LISTED_MAX:.0%} may be" in complaints(done, reasons, whole=True)
    assert complaints(done[:0], {"a:b": "a hint"}, whole=True)[0] == "gone: a:b is listed and was not hunted"
    assert complaints(done[:0], {"a:b": "a hint"}, whole=False) == []


def test_lines_tell_who_found_it_and_how_often_or_why_nobody_did() -> None:
    seen = hunted("a:seen", (2, "liveness", ""), (4, "liveness", ""), (6, HANG, ""))
    assert line(seen, {}).split() == ["a:seen", "3", "of", "3", "4", "liveness,", "hang"]
    assert line(hunted("a:blind", None, reached=0), {}).split() == ["a:blind", "BLIND", "NOT", "REACHED"]
    assert line(hunted("a:hint", None), {"a:hint": "a hint"}).split() == ["a:hint", "listed", "a", "hint"]
    assert summary([seen, hunted("a:blind", None)], {}, 3).startswith("2 hunted: 1 found, median 4 schedules (liveness")
    assert summary([replace(seen, earlier=True)], {}, 3).endswith(
        "; 1 were found before the judges got their last rules"
    )


@pytest.mark.slow
def test_the_list_names_functions_and_waits_of_the_model_each_with_a_reason() -> None:
    known = {*replaced.functions(), *(wait.name for place in replaced.functions() for wait in replaced.waits(place))}
    listed = blindness.listed_in(blindness.LIST)
    assert listed.keys() <= known
    assert all(len(reason.split()) > 3 for reason in listed.values())
