"""What pytest calls: options, the marker `mmrace`, the fixtures `explore` and `follow`, and a part of the summary.

    @pytest.mark.mmrace(schedules=200)                      the test's own body is a program on `mmrace.runtime`
    @pytest.mark.mmrace(scenario="async-vs-commit", ...)    a scenario of the kernel model is; the body runs after it
    def test_any(explore): explore(program, ...)            so is any program
    def test_kept(follow): follow("NAME.json")              a schedule that failed once is followed, and those near it

Invariant: a session without such a test imports nothing of mmrace but this file, and pays for it with one marker line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from mmrace.plugin import KEPT, MARK, PROPERTY

if TYPE_CHECKING:
    from mmrace.plugin.session import Exploring

HELP = (
    "mmrace(scenario=, schedules=, strategy=, exhaustive=, variant=, era=, params=, seed=, engine=, load=, without=): "
    "explore the interleavings of the test's own body, a program on mmrace.runtime, or of a scenario"
)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the options; and have mmrace's own files left as they are.

    pytest rewrites the asserts of each package that has a plugin. Those of the kernel model and of the engines are no
    tests, and rewritten they are slow, and each session begins with seconds of it where pytest cannot write.
    """
    marked = getattr(getattr(pluginmanager, "rewrite_hook", None), "_must_rewrite", None)
    if isinstance(marked, set):
        marked.discard("mmrace")
    group = parser.getgroup("mmrace", "interleavings (mmrace)")
    add = group.addoption
    add("--mmrace-schedules", type=int, metavar="N", help="Schedules of each test that is not exhaustive.")
    add("--mmrace-seed", type=int, metavar="N", help="Seed of all tests; those that pytest-repeat repeats vary it.")
    add("--mmrace-engine", choices=["fiber", "gate"], help="Engine of all tests.")
    add("--mmrace-replay", metavar="FILE", help="Play only this kept schedule, or record, in each selected test.")
    add("--mmrace-no-db", action="store_true", help="Neither keep schedules that fail, nor try those that are kept.")
    add("--mmrace-report-dir", metavar="DIR", help="Where findings go, with their records: for `mmrace show DIR`.")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", HELP)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse the marker where nothing would heed it."""
    if item.get_closest_marker(MARK) is None:
        return
    owner, unittest = getattr(item, "cls", None), sys.modules.get("unittest")  # if anybody needs that, it is there
    of_case = unittest is not None and isinstance(owner, type) and issubclass(owner, unittest.TestCase)
    if not isinstance(item, pytest.Function) or of_case:
        pytest.fail(
            "mmrace: expected the marker at a test function, or a method of a plain class, got one at a "
            f"{'unittest.TestCase' if isinstance(item, pytest.Function) else type(item).__name__}, which calls its own "
            "body; try: a function",
            pytrace=False,
        )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Explore a marked test; True if its body was what was explored."""
    marker = pyfuncitem.get_closest_marker(MARK)
    if marker is None:
        return None
    return exploring(pyfuncitem).marked(marker)


@pytest.fixture
def explore(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Give a function as `mmrace.explore`, which fails the test unless all passed, and knows what failed before."""
    asked = exploring(request.node)
    yield asked.explore
    asked.check_played()


@pytest.fixture
def follow(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return a function that follows a kept schedule, beside the test's file, and fails the test unless it passes.

    What it takes beside the file: variant, era, engine, and near, the number of schedules near it that are tried.
    """
    return exploring(request.node).follow


def exploring(item: pytest.Function) -> Exploring:
    """Return what a test asks of mmrace; imports it."""
    from mmrace.plugin.session import Exploring  # noqa: PLC0415  (takes half a second)

    return Exploring(item)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was tried again, and if asked for more words, what each test covered."""
    lines = [*_lines(terminalreporter)]
    if lines:
        terminalreporter.section("mmrace")
        for line in lines:
            terminalreporter.write_line(line)


def _lines(reporter: pytest.TerminalReporter) -> Iterator[str]:
    verbose = reporter.config.get_verbosity() > 0
    for reports in reporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if (
                    name == PROPERTY
                    and getattr(report, "when", "") == "call"
                    and (verbose or str(value).startswith(KEPT))
                ):
                    yield f"{report.nodeid}: {value}"
