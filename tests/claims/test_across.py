"""The claims over the eras: which are asked, what changes from one to the next, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace.claims.across import Across, select_eras
from mmrace.claims.driver import ClaimsRun
from mmrace.claims.judges import CLAIMS, Claim, Expect, Instances, Part, select
from mmrace.claims.programs import SETTINGS, TESTS, repeat_command, spec_of
from mmrace.claims.result import ClaimsResult, PartCounts
from mmrace.history.eras import ERAS
from mmrace.runtime.errors import EXIT_FAIL, EXIT_INTERRUPTED, EXIT_PASS, EXIT_UNKNOWN, UsageError
from mmrace.search.options import Options

OLD, MIDDLE, NEW = "3.1", "3.2", "3.3"


def part(name: str, exists: bool = False, by_era: dict[str, Expect] | None = None) -> Part:
    return Part(name, "says", "checks", lambda record: Instances(), exists, by_era=by_era or {})


def result(era: str, part: Part, tested: int, times: int) -> ClaimsResult:
    made = ClaimsResult((Claim("X", (part,)),), seed=1, era=era)
    made.evidence[part.name] = {"sync": PartCounts(10, tested, times, 0 if times else -1)}
    return made


def across(made: Part, *counts: tuple[int, int]) -> Across:
    return Across({era: result(era, made, *each) for era, each in zip((OLD, MIDDLE, NEW), counts, strict=False)})


def test_eras_come_in_the_order_of_time_and_all_is_every_one() -> None:
    assert select_eras([]) == ()
    assert select_eras([NEW, OLD]) == (OLD, NEW)
    assert select_eras(["all"]) == tuple(ERAS)
    with pytest.raises(UsageError, match=r"3\.2\+trylock"):
        select_eras(["2.6"])


def test_what_is_expected_of_an_era_names_eras_that_there_are_and_has_a_reason() -> None:
    for claim in CLAIMS.values():
        for each in claim.parts:
            assert each.by_era.keys() <= ERAS.keys() - {"3.3"}
            for era, expect in each.by_era.items():
                assert expect.why and expect.what != each.expected, (each.name, era)


def test_a_change_is_between_an_era_and_the_last_one_before_it_that_was_asked() -> None:
    made = across(part("X"), (5, 0), (0, 0), (5, 2))
    assert [(change.before, change.after) for change in made.changes] == [(OLD, NEW)]
    assert across(part("X"), (5, 0), (0, 0), (5, 0)).changes == []


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (across(part("X"), (5, 0), (5, 0)), EXIT_PASS),
        (across(part("X"), (5, 1), (5, 0)), EXIT_FAIL),
        (across(part("X"), (5, 0), (0, 0)), EXIT_UNKNOWN),
        (across(part("X", by_era={OLD: Expect("false", "why")}), (5, 1), (5, 0)), EXIT_PASS),
        (across(part("X", by_era={OLD: Expect("nothing", "why")}), (0, 0), (5, 0)), EXIT_PASS),
        (across(part("X", by_era={OLD: Expect("nothing", "why")}), (5, 0), (5, 0)), EXIT_FAIL),
        (across(part("X", True, by_era={OLD: Expect("false", "why")}), (5, 0), (5, 1)), EXIT_PASS),
        (across(part("X", True, by_era={OLD: Expect("false", "why")}), (5, 1), (5, 1)), EXIT_FAIL),
        (across(part("X", True), (5, 0), (5, 1)), EXIT_UNKNOWN),
    ],
)
def test_the_exit_code_goes_by_what_each_eras_source_says(made: Across, code: int) -> None:
    assert made.exit_code == code


def test_ctrl_c_goes_before_all_else() -> None:
    made = across(part("X"), (5, 1), (5, 0))
    made.results[MIDDLE].interrupted = 2
    assert made.exit_code == EXIT_INTERRUPTED


def test_a_schedule_has_the_same_seed_in_every_era_and_its_command_names_the_era() -> None:
    own, old = spec_of(SETTINGS["async"], 1, 3), spec_of(SETTINGS["async"], 1, 3, OLD)
    assert (own.seed, own.era, old.seed, old.era) == (old.seed, "", own.seed, OLD)
    assert "--era 3.1" in repeat_command(old)
    walked = spec_of(SETTINGS["async-dirty"], 1, 0, OLD)
    assert repeat_command(walked).endswith("--era 3.1") and repeat_command(spec_of(SETTINGS["async-dirty"], 1, 0))


@pytest.mark.slow
def test_the_patch_changes_what_async_does_with_dirty_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TESTS, "C15", ("async-commit",))
    made = Across({
        era: ClaimsRun(select(["C15"]), tmp_path / era, Options(runs=10, jobs=1), era=era).run()
        for era in ("3.1", "3.2+trylock", "3.3")
    })  # fmt: skip
    moves, since, waits = made.parts
    assert list(made.verdicts(moves).values()) == ["held", "false as worded", "false as worded"]
    assert list(made.verdicts(since).values()) == ["not shown", "true", "true"]
    assert {change.part.name: (change.before, change.after) for change in made.changes} == {
        "C15": ("3.1", "3.2+trylock"), "C15+": ("3.1", "3.2+trylock"),
    }  # fmt: skip
    assert made.results["3.1"].expected(waits) == "nothing" and made.exit_code == EXIT_PASS
    plain = made.plain()
    assert plain["eras"]["3.3"]["C15"]["witness"]["program"] == "async-commit"  # type: ignore[index,call-overload]
    assert plain["eras"]["3.1"]["C15"]["tested"] > 0  # type: ignore[index,call-overload,operator]
