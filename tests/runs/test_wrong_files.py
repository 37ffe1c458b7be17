"""What is wrong with a user's file is told with its line, what came, and a hint that fits that error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from mmrace.installed import MAKERS, catalogue
from mmrace.runs.spec import LoadedFile, RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.search.campaign.request import Request, complete
from mmrace.search.explore.ask import check_judges
from mmrace.strategies import registry
from tests.runs.program_files import additions_forgotten, imports_restored, write
from tests.runs.test_registrations import BUG, CAST, JUDGE, STRATEGY


@pytest.fixture(autouse=True)
def _afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget afterwards what a test registers."""
    additions_forgotten(monkeypatch)
    monkeypatch.chdir(tmp_path)
    with imports_restored(tmp_path):
        yield


def load(text: str) -> None:
    """Write a file and load it."""
    write(Path("mine.py"), text)
    MAKERS.load([LoadedFile("mine.py")])


ACTOR = f"{CAST}\nfrom mmrace.actors.actor import Actor\ndef act(stage):\n    pass\nSCENARIO = Scenario('mine', 'x', "
CANARY = f"{BUG}\nfrom mmrace.history.canary import Canary\nCANARY = Canary("
DRAWS = "lambda options: Unprofiled(Oldest)"

HINTS: Mapping[str, tuple[str, str, str, str]] = {
    # what is wrong: (text, where, what came, what to try)
    "raises": ("\n1 / 0\n", "line 2", "ZeroDivisionError", "`python wrong.py` shows the whole traceback"),
    "raises in a helper": (
        "import wrong_helper\n",
        "line 1 (wrong_helper.py, line 2)",
        "KeyError",
        "`python wrong.py` shows",
    ),
    "exits": ("exit(1)\n", "line 1", "SystemExit", "no sys.exit() at the top level: what a script alone should do"),
    "ends the process": (
        "import os\nos._exit(0)\n",
        "line 2",
        "ProcessEnded: os._exit(0) ends",
        "no sys.exit() at the",
    ),
    "interrupts": ("raise KeyboardInterrupt\n", "line 1", "KeyboardInterrupt", "`python wrong.py` shows"),
    "raises what has no text": (
        "class E(Exception):\n    def __str__(self):\n        raise ValueError\nraise E\n",
        "line 4",
        "E: (its text cannot be made: ValueError)",
        "`python wrong.py` shows",
    ),
    "asks": ("raise EOFError\n", "line 1", "EOFError", "each worker process executes the file"),
    "misses a file": ("open('nosuch')\n", "line 1", "FileNotFoundError", "Path(__file__).parent"),
    "no Python": ("x = 1\ndef f(:\n", "line 2", "SyntaxError", "mend this line: def f(:"),
    "no text": ("\0", "wrong.py", "null bytes", "a text file of Python"),
    "no UTF-8": ("x = '\udce9'\n", "line 1", "utf-8", "save the file as UTF-8"),
    "misses a module": ("import nosuch_module\n", "line 1", "No module named", "nosuch_module.py beside wrong.py, or"),
    "misses a helper": ("import wrong_helpr\n", "line 1", "No module named", "did you mean wrong_helper?"),
    "misses a module of mmrace": ("import mmrace.actors.migratr\n", "line 1", "No module", "did you mean migrator?"),
    "misses a package of mmrace": ("import mmrace.actrs.migrator\n", "line 1", "No module", "did you mean actors?"),
    "misses a name": ("from mmrace.actors.actor import Actr\n", "line 1", "cannot import name", "did you mean Actor?"),
    "a scenario by another name": (CAST.replace("SCENARIO", "scenario"), "line 5", "is called scenario", "SCENARIO as"),
    "no scenarios": ("SCENARIOS = ()\n", "line 1", "SCENARIOS = ()", "at least one in it: Scenario(name, title, cast)"),
    "a judge without a name": (JUDGE.replace("NAME =", "NAM ="), "line 7", "without NAME", 'NAME = "my-judge" beside'),
    "a name without a judge": (JUDGE.replace("def judge", "def jugde"), "line 5", "NAME without", "the name of jugde"),
    "a program": ("def main():\n    pass\n", "wrong.py", "adds nothing", "mmrace explore wrong.py:main, if main is a"),
    "another kind": (f"{CAST}\nSTRATEGY = SCENARIO\n", "line 7", "'a Scenario'", "SCENARIO as the name of it"),
    "a class": (CAST.replace('Scenario("mine"', 'Scenario\nX = ("mine"'), "line 5", "the class", "an object, not the"),
    "too little": (CAST.replace('"two meet", ', ""), "line 5", "missing 1 required", "Scenario(name, title, cast)"),
    "a scenario without a title": (CAST.replace('"two meet"', "3"), "line 5", "title", 'such as "my own scenario"'),
    "modules for actors": (CAST.replace(".ACTOR", ""), "line 5", "the module", "the actor in it: reader.ACTOR"),
    "a cast that is no tuple": (CAST.replace(", migrator.ACTOR", ""), "line 5", "of type Actor", "a comma behind a si"),
    "nobody": (
        CAST.replace("reader.ACTOR, migrator.ACTOR", ""),
        "line 5",
        "at least one actor, got ()",
        "cast=(reader",
    ),
    "an actor twice": (
        CAST.replace("migrator.ACTOR", "reader.ACTOR"),
        "line 5",
        "not taken, got 'reader'",
        "another na",
    ),
    "an actor without the stage": (
        ACTOR.replace("(stage)", "()") + "(Actor('a', act),))",
        "line 10",
        "act()",
        "def act",
    ),
    "an actor that does nothing": (
        f"{ACTOR}(Actor('a', 3),))",
        "line 10",
        "play(stage), got 3",
        "def play(stage): ...",
    ),
    "an override of nothing": (
        CAST.replace("R))", "R), {'zzz': 1})"),
        "line 5",
        "in overrides: a parameter",
        "list pa",
    ),
    "a refused override": (
        CAST.replace("R))", "R), {'pages': 'x'})"),
        "line 5",
        "in overrides, pages: a n",
        "list params",
    ),
    "a misspelt override": (CAST.replace("R))", "R), {'pags': 1})"), "line 5", "got 'pags'", "did you mean pages?"),
    "no variant of a canary": (
        f"{CANARY}'no-thaw', 'four', 'content')\n",
        "line 11",
        "got 'no-thaw'",
        "Variant(name, ",
    ),
    "a canary nowhere": (f"{CANARY}VARIANT, 'fuor', 'content')\n", "line 11", "got 'fuor'", "did you mean four?"),
    "a canary that nobody sees": (f"{CANARY}VARIANT, 'four', 'contnt')\n", "line 11", "got 'contnt'", "mean content"),
    "a canary without a title": (
        CANARY.replace('"the thaw raises"', '""').replace("VARIANT =", "V =") + "V, 'four', 'content')\n",
        "line 11",
        "a title of the variant",
        'such as "my own variant"',
    ),
    "a variant of no place": (
        BUG.replace("mm.filemap:", "filemap."),
        "line 8",
        "got 'filemap.page_",
        "filemap:page_unf",
    ),
    "a variant that changes nothing": (
        BUG.replace(', {"mm', ', {}) or ({"mm'),
        "line 8",
        "binds something",
        "of your own",
    ),
    "a variant that is no function": (
        BUG.replace("refs}", "refs.__doc__}"),
        "line 8",
        "in place of mm.f",
        "of your own",
    ),
    "a strategy by class": (
        STRATEGY.replace(f'Registered("oldest", "the oldest task first", {DRAWS})', "Oldest"),
        "line 11",
        "the class Oldest",
        "STRATEGY = Registered(name, title, make)",
    ),
    "a strategy of no kind": (
        STRATEGY.replace(f"{DRAWS})\nreg", f"{DRAWS}, kind='walker')\nreg"),
        "line 11",
        "got 'walker'",
        "did you mean walk",
    ),
    "a strategy that makes nothing": (
        STRATEGY.replace(f"{DRAWS})\nreg", "3)\nreg"),
        "line 11",
        "got 3",
        "def make(opt",
    ),
    "a strategy that cannot be typed": (STRATEGY.replace('"oldest"', '"old:est"'), "line 11", "'old:est'", "old-est"),
    "a judge of nothing": (
        JUDGE.replace("judge(record)", "judge()"),
        "line 7",
        "judge(): too many",
        "def judge(record)",
    ),
}


@pytest.mark.parametrize(("text", "where", "what", "try_"), HINTS.values(), ids=HINTS)
def test_the_hint_fits_what_is_wrong_with_a_file(text: str, where: str, what: str, try_: str) -> None:
    """BUG once: whatever was wrong, the hint was how a file ends; some of it was found in the run only, or never."""
    write(Path("wrong_helper.py"), "x = {}\nx['y']\n")
    Path("wrong.py").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError) as caught:
        MAKERS.load([LoadedFile("wrong.py")])
    error = caught.value
    assert error.where.startswith("--load wrong.py") and where in error.where, error
    assert what in str(error) and try_ in error.try_, error


def test_a_path_that_leads_to_no_python_file_is_told_with_what_lies_there() -> None:
    write(Path("folder", "cast.py"), CAST)
    write(Path("cast.txt"), CAST)
    write(Path("bug.py"), BUG)
    tried = {}
    for path in ("folder", "cast.txt", "bgu.py", "nowhere/cast.py", "", "/dev/null"):
        with pytest.raises(UsageError, match="a Python file") as caught:
            MAKERS.load([LoadedFile(path)])
        tried[path] = caught.value.try_
    assert tried == {
        "folder": "one of its files: folder/cast.py",
        "cast.txt": "the same file under a name that ends with .py: cast.py",
        "bgu.py": "did you mean bug.py?",
        "nowhere/cast.py": "a folder that exists: nowhere does not",
        "": "the path of a file",
        "/dev/null": "the path of a regular file",
    }


def test_a_file_may_name_the_variant_of_its_canary_too() -> None:
    load(f"{CANARY}VARIANT, 'four', 'content')\n")
    assert "no-thaw" in catalogue().variants


def test_the_canary_of_a_file_may_be_seen_by_its_own_judge() -> None:
    load(f"{JUDGE}\n{CANARY}VARIANT, 'four', NAME)\n")
    assert "no-thaw" in catalogue().variants


# -- names that nothing has


@pytest.mark.parametrize(
    ("call", "close"),
    [
        (lambda: complete(catalogue(), Request(("async",))), "did you mean async-vs-commit?"),
        (lambda: MAKERS.program(RunSpec("async-vs-comit")), "did you mean async-vs-commit"),
        (lambda: complete(catalogue(), Request(variant="lost-putt")), "did you mean lost-put"),
        (lambda: MAKERS.program(RunSpec("four", variant="lost-putt")), "did you mean lost-put"),
        (lambda: registry.check("poss"), "did you mean pos"),
        (lambda: check_judges(["contnt"], ["content"]), "did you mean content"),
    ],
    ids=["scenario", "scenario of a spec", "variant", "variant of a spec", "strategy", "judge"],
)
def test_an_unknown_name_is_told_with_the_close_ones_and_how_to_bring_ones_own(
    call: Callable[[], object], close: str
) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert close in caught.value.try_ and "--load FILE.py (in Python load=) brings your own" in caught.value.try_
