"""The marker: what is explored, what fails, what is said; and what is refused."""

from __future__ import annotations

import pytest

from tests.plugin.sessions import file, session

BODY = """
@pytest.mark.mmrace({})
def test_deposits():
    play({})
"""


def test_the_body_of_a_test_is_explored_and_its_bug_fails_it(pytester: pytest.Pytester) -> None:
    file(pytester, BODY.format("exhaustive=True, without=['data-race']", "deposit"))
    done = session(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "AssertionError: assert 1 == 2",
            " +  where 1 = account.balance (main, in play, test_it.py:*) [[]*]",
            "exception: AssertionError",
            "main raised AssertionError: assert 1 == 2 *",
            "expected  assert account.balance == times does not raise",
            " step *main.*main*",
            "*account.balance*",
            "The orders that matter",
            "found by schedule 2",
            "minimised: 1 -> 1 turning points, *",
            "  after main.0 did deposit:balance#2: main.1",
            "replay: pytest test_it.py::test_deposits --mmrace-replay=.mmrace/schedules/*.json",
            "FAILED test_it.py::test_deposits - *AssertionError: assert*",
        ]
    )
    assert "mmrace/api" not in done.stdout.str()  # no traceback through mmrace


def test_what_the_body_asserts_comes_before_a_data_race_which_is_told_too(pytester: pytest.Pytester) -> None:
    file(pytester, BODY.format("exhaustive=True", "deposit"))  # one run has both
    done = session(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "AssertionError: assert 1 == 2",
            "exception: AssertionError",
            "and 2 more findings:",
            "  account.balance: main.* in no order [[]*]",
            "  account.balance: main.* in no order [[]*]",
            "replay: pytest test_it.py::test_deposits --mmrace-replay=.mmrace/schedules/*.json",
        ]
    )


def test_the_mended_twin_passes_and_says_what_it_covered_if_asked(pytester: pytest.Pytester) -> None:
    file(pytester, BODY.format("exhaustive=True", "locked"))
    done = session(pytester, "-v", quiet=False)
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["test_it.py::test_deposits: PASS exhaustive, all 2 classes"])
    assert "all 2 classes" not in session(pytester).stdout.str()


def test_a_test_that_interleaves_nothing_fails_as_unknown(pytester: pytest.Pytester) -> None:
    file(pytester, BODY.format("schedules=3", "locked, times=1"))
    done = session(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["UNKNOWN: no interleaving was exercised*", "run it again: pytest test_it.py::test_dep*"])


def test_a_walk_that_is_cut_fails_as_unknown(pytester: pytest.Pytester) -> None:
    file(pytester, BODY.format("exhaustive=True, schedules=1", "locked"))
    done = session(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["UNKNOWN: the tree was not walked to its end*"])


@pytest.mark.slow
def test_a_scenario_is_explored_before_the_body_and_its_variant_is_caught(pytester: pytest.Pytester) -> None:
    file(
        pytester,
        """
SMALL = {"buffers": 1, "idle": 0, "migrations": 1, "rounds": 1, "words": 1}

@pytest.mark.mmrace(scenario="async-vs-commit", schedules=3, params=SMALL)
def test_correct():
    print("the body came, too")

@pytest.mark.mmrace(scenario="async-vs-commit", schedules=20, params=SMALL, variant="double-put", era="3.4")
def test_bug():
    print("the body must not come")
""",
    )
    done = session(pytester, "-s")
    done.assert_outcomes(passed=1, failed=1)
    assert "the body came, too" in done.stdout.str() and "must not come" not in done.stdout.str()


FIXTURES = """
@pytest.fixture
def times():
    return 3

@pytest.mark.parametrize("add", [deposit, locked])
class TestDeposits:
    @pytest.mark.mmrace(schedules=9, params={"more": 1})
    def test_all(self, add, times, more=0):
        assert more == 1
        play(add, times + more)
"""


def test_fixtures_and_parameters_reach_the_body_of_a_method(pytester: pytest.Pytester) -> None:
    file(pytester, FIXTURES)
    session(pytester).assert_outcomes(passed=1, failed=1)


@pytest.mark.slow
def test_what_a_body_skips_is_skipped_and_what_it_expects_to_fail_does(pytester: pytest.Pytester) -> None:
    file(
        pytester,
        """
@pytest.mark.mmrace
def test_skips():
    pytest.skip("not here")

@pytest.mark.mmrace
def test_fails():
    pytest.xfail("known")

@pytest.mark.xfail(strict=True)
@pytest.mark.mmrace
def test_marked():
    play(deposit)

@pytest.mark.mmrace
def test_wrong():
    pytest.fail("really")
""",
    )
    done = session(pytester, "-rs")
    done.assert_outcomes(skipped=1, xfailed=2, failed=1)
    done.stdout.fnmatch_lines(["Failed: really*", "SKIPPED * not here"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("schedule=3", "*expected an argument out of *got 'schedule'*"),
        ("'async-vs-commit'", "*expected arguments by name, got 'async-vs-commit'*"),
        ("params={'n': 3}", "explore(params=): expected a parameter of *got 'n'"),
        ("schedules=0", "*explore(schedules=): expected a whole number, 1 or more, got 0*"),
        ("scenario='async-vs-comit'", "*did you mean async-vs-commit*"),
        ("strategy='nosuch'", "*a strategy*got 'nosuch'*"),
        ("variant='double-put'", "*expected no --variant: a function has none*"),
        ("era='3.1'", "*expected no --era: a function has none*"),
        ("scenario='async-vs-commit', era='3.0'", "*expected an era out of 3.1*got '3.0'*"),
        ("kept='no.json'", "*expected an argument out of *got 'kept'*"),
    ],
)
def test_a_wrong_call_fails_its_test_in_one_line(pytester: pytest.Pytester, arguments: str, says: str) -> None:
    file(pytester, BODY.format(arguments, "locked"))
    done = session(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines([f"mmrace: {says}"])
    assert "Traceback" not in done.stdout.str()


def test_a_wrong_value_of_a_parameter_is_told_as_it_is_given_from_python(pytester: pytest.Pytester) -> None:
    file(pytester, "@pytest.mark.mmrace(params={'n': 'x'})\ndef test_it(n=2):\n    play(locked, n)\n")
    done = session(pytester)
    done.assert_outcomes(failed=1)
    told = [line for line in done.outlines if line.startswith("mmrace: ")]
    assert told == ["mmrace: explore(params=): expected n: a whole number, got 'x'; try: params={\"n\": 2}"]


def test_the_marker_is_refused_where_nobody_would_heed_it(pytester: pytest.Pytester) -> None:
    file(
        pytester,
        """
import unittest

class Case(unittest.TestCase):
    @pytest.mark.mmrace
    def test_it(self):
        pass
""",
    )
    done = session(pytester)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["mmrace: expected the marker at a test function*unittest.TestCase*"])


def test_an_async_body_is_refused(pytester: pytest.Pytester) -> None:
    file(pytester, "@pytest.mark.mmrace\nasync def test_it():\n    play(locked)\n")
    done = session(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["mmrace: *expected a plain function*got 'an async function'*"])


EXPLORE = """
def test_two(explore):
    found = explore(lambda: play(locked), exhaustive=True)
    assert (found.verdict, found.classes) == ("PASS", 2)
    explore(lambda: play({}), schedules=20)
"""


@pytest.mark.slow
def test_the_fixture_explores_any_program_and_fails_its_test(pytester: pytest.Pytester) -> None:
    file(pytester, EXPLORE.format("locked"))
    session(pytester).assert_outcomes(passed=1)
    file(pytester, EXPLORE.format("deposit"))
    done = session(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["AssertionError: assert 1 == 2", "  account.balance: main.* in no order*"])


@pytest.mark.slow
def test_options_say_how_much_by_which_seed_and_engine(pytester: pytest.Pytester) -> None:
    file(pytester, BODY.format("schedules=7, seed=3", "locked"))
    words = ["-v", "--mmrace-schedules", "5", "--mmrace-seed", "4", "--mmrace-engine", "gate"]
    done = session(pytester, *words, quiet=False)
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["*: PASS over 5 schedules"])
    file(pytester, BODY.format("schedules=7, seed=3", "locked, times=1"))
    done = session(pytester, *words)
    again = "run it again: pytest test_it.py::test_deposits --mmrace-seed=4 --mmrace-schedules=5 --mmrace-engine=gate"
    assert again in done.outlines


@pytest.mark.slow
def test_a_report_has_the_record_and_the_text(pytester: pytest.Pytester) -> None:
    file(pytester, BODY.format("exhaustive=True", "deposit"))
    done = session(pytester, "--mmrace-report-dir", "reports")
    done.stdout.fnmatch_lines(["its record: mmrace show reports/test_it.py_test_deposits-*"])
    found = sorted(path.name for path in pytester.path.glob("reports/*/*"))
    assert found == ["failure.txt", "record.jsonl"]
