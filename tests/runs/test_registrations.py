"""Files of a user's own: what they add can be used, once, by name, in this process and others, and again later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mmrace import history
from mmrace.installed import MAKERS, catalogue, replay, run_one
from mmrace.runs import registrations
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.program import Makers
from mmrace.runs.spec import LoadedFile, RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.scenarios import casts
from mmrace.strategies import registry
from tests.runs.program_files import GOOD, additions_forgotten, imports_restored, write
from tests.search.explore.explorations import SMALL

STRATEGY = """
from mmrace.strategies import registry
from mmrace.strategies.contract import Drawing, Registered, Unprofiled


class Oldest(Drawing):
    def pick(self, enabled, running, step):
        return min(enabled, key=lambda task: task.id)


STRATEGY = Registered("oldest", "the oldest task first", lambda options: Unprofiled(Oldest))
registry.register(Registered("oldest-again", "the same", lambda options: Unprofiled(Oldest), {"unused": 0}))
"""

CAST = """
from mmrace.actors import migrator, reader
from mmrace.scenarios.scenario import Scenario

SCENARIO = Scenario("mine", "two meet", (reader.ACTOR, migrator.ACTOR))
"""

BUG = """
from mmrace.history.variant import Variant
from mmrace.kernel.mm import filemap

def page_unfreeze_refs(page, count, dropped=None):
    raise ValueError("BUGGY")

VARIANT = Variant("no-thaw", "the thaw raises", {"mm.filemap:page_unfreeze_refs": page_unfreeze_refs})
"""

JUDGE = '''
"""Nobody: no task may be called `forbidden`.  Not checked: anything else."""
from mmrace.oracles.general.judgement import Evidence

NAME = "nobody"

def judge(record):
    evidence = Evidence(NAME)
    for task in record.tasks:
        if task["name"] == "migrator":
            evidence.add("nobody", "somebody came", (task["name"],), task=task["name"])
    return evidence.judgement(len(record.tasks))
'''


@pytest.fixture(autouse=True)
def _afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget afterwards what a test registers."""
    additions_forgotten(monkeypatch)
    monkeypatch.chdir(tmp_path)
    with imports_restored(tmp_path):
        yield


def load(name: str, text: str) -> LoadedFile:
    """Write a file and load it."""
    write(Path(name), text)
    [file] = MAKERS.load([LoadedFile(name)])
    return file


def refused(name: str, text: str) -> UsageError:
    write(Path(name), text)
    with pytest.raises(UsageError) as caught:
        MAKERS.load([LoadedFile(name)])
    return caught.value


def recorded(spec: RunSpec) -> Record:
    """Make a run; return its record as a file has it."""
    result = run_one(spec, keep_record=True)
    assert result.record is not None
    result.record.write("r.jsonl")
    return Record.read("r.jsonl")


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be as a process that has loaded nothing."""
    for module in (casts, history):
        monkeypatch.setattr(module, "_registered", {})
    for name in ("_added", "_digests"):
        monkeypatch.setattr(registrations, name, {})


# -- what can be added


def test_a_file_adds_its_strategy_and_whatever_else_it_registers() -> None:
    before = registry.names()
    file = load("mine.py", STRATEGY)
    assert sorted({*registry.names()} - {*before}) == ["oldest", "oldest-again"]
    assert MAKERS.load([file, LoadedFile("mine.py")]) == (file, file)  # registered again, the names would be taken


def test_a_spec_names_the_file_of_its_strategy() -> None:
    file = load("mine.py", STRATEGY)
    runs = [
        run_one(RunSpec("async-vs-commit", SMALL, engine="fiber", strategy=text, load=(file,)), keep_record=True)
        for text in ("oldest", "oldest-again:unused=1")
    ]
    first, second = (run.record for run in runs)
    assert first is not None and second is not None
    assert list(first.plain()) == list(second.plain()) and first.header["load"] == ["mine.py"]


def test_a_file_adds_a_scenario_that_is_run_listed_and_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    file = load("cast.py", CAST)
    assert catalogue().scenarios["mine"].title == "two meet"
    record = recorded(RunSpec("mine", (("idle", 0),), engine="fiber", load=(file,)))
    assert record.header["loaded"] == {"cast.py": file.digest}
    forget(monkeypatch)
    assert "mine" not in catalogue().scenarios
    assert replay(record, "r.jsonl").verdict == "PASS"


def test_a_file_can_have_several_scenarios() -> None:
    load("casts.py", f"{CAST}\nSCENARIOS = (Scenario('other', 'alone', (reader.ACTOR,)),)\n")
    assert {"mine", "other"} <= catalogue().scenarios.keys()


def test_a_file_adds_a_planted_bug_that_is_found_and_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    file = load("bug.py", BUG)
    assert catalogue().own_variants == {"no-thaw": "the thaw raises"} and "no-thaw" in catalogue().variants
    record = recorded(RunSpec("async-vs-commit", SMALL, "no-thaw", engine="fiber", seed=3, load=(file,)))
    assert record.verdict["verdict"] == "FAIL"
    forget(monkeypatch)
    again = replay(record, "r.jsonl")
    assert [finding.signature for finding in again.findings] == [f["signature"] for f in record.verdict["findings"]]


def test_the_file_of_a_canary_adds_its_variant() -> None:
    load("canary.py", f"{BUG}\nfrom mmrace.history.canary import Canary\n"
         "CANARY = Canary(VARIANT, 'async-vs-commit', 'content')\ndel VARIANT\n")  # fmt: skip
    assert "no-thaw" in catalogue().variants and "no-thaw" not in catalogue().canaries


def test_a_file_adds_a_judge_of_any_program_that_judges_a_replay_too(monkeypatch: pytest.MonkeyPatch) -> None:
    file = load("judge.py", JUDGE)
    assert ("nobody", "general", "Nobody: no task may be called `forbidden`.  Not checked: anything else.") in [
        tuple(entry) for entry in catalogue().oracles
    ]
    record = recorded(RunSpec("async-vs-commit", SMALL, engine="fiber", load=(file,)))
    assert [finding["oracle"] for finding in record.verdict["findings"]] == ["nobody"]
    forget(monkeypatch)
    assert [finding.oracle for finding in replay(record, "r.jsonl").findings] == ["nobody"]
    write(Path("good.py"), GOOD)
    [file] = MAKERS.load([LoadedFile("judge.py")])
    spec = RunSpec("good.py:main", engine="fiber", maker="function", load=(file,))
    assert run_one(spec, keep_record=True).verdict == "PASS"
    assert recorded(spec).verdict["checked"]["nobody"] == 3


def test_a_record_can_be_judged_again_by_a_judge_of_ones_own() -> None:
    record = recorded(RunSpec("async-vs-commit", SMALL, engine="fiber"))
    assert replay(record, "r.jsonl").verdict == "PASS"
    assert replay(record, "r.jsonl", (load("judge.py", JUDGE).path,)).verdict == "FAIL"


# -- files of records


def test_a_replay_does_without_a_file_that_adds_strategies_only() -> None:
    file = load("mine.py", STRATEGY)
    record = recorded(RunSpec("async-vs-commit", SMALL, engine="fiber", strategy="oldest", load=(file,)))
    Path("mine.py").unlink()
    registrations._added.clear()
    assert replay(record, "r.jsonl").verdict == "PASS"


def test_a_changed_file_is_no_file_of_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    file = load("cast.py", CAST)
    record = recorded(RunSpec("mine", (("idle", 0),), engine="fiber", load=(file,)))
    forget(monkeypatch)
    write(Path("cast.py"), f"{CAST}\n# changed\n")
    with pytest.raises(UsageError) as caught:
        replay(record, "r.jsonl")
    assert caught.value.where == "--load cast.py" and file.digest in caught.value.expected
    assert "has changed" in str(caught.value.got)


@pytest.mark.parametrize("path", ["/dev/zero", "nosuch.py", "x" * 5000 + ".py", "\0.py", ""])
def test_a_record_that_names_what_is_no_file_is_a_wrong_call(path: str) -> None:
    record = recorded(RunSpec("async-vs-commit", SMALL, engine="fiber"))
    record.header |= {"load": [path], "loaded": {path: "0123"}}
    with pytest.raises(UsageError, match=r"a Python file|of which this run was made"):
        replay(record, "r.jsonl")


def test_a_file_that_a_record_names_without_its_digest_is_not_executed() -> None:
    record = recorded(RunSpec("async-vs-commit", SMALL, engine="fiber"))
    record.header["load"] = [str(write(Path("hostile.py"), "raise SystemExit\n"))]
    assert replay(record, "r.jsonl").verdict == "PASS"


def test_a_file_is_found_beside_or_above_its_record_or_where_the_caller_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = load("cast.py", CAST)
    record = recorded(RunSpec("mine", (("idle", 0),), engine="fiber", load=(file,)))
    monkeypatch.chdir("/")
    forget(monkeypatch)
    assert replay(record, str(tmp_path / "below" / "r.jsonl")).verdict == "PASS"
    moved = write(tmp_path / "elsewhere" / "moved.py", (tmp_path / "cast.py").read_text())
    forget(monkeypatch)
    assert replay(record, "/nowhere/r.jsonl", (str(moved),)).verdict == "PASS"


# -- what is refused


WRONG: Mapping[str, tuple[str, str, str]] = {
    "raises": ("\n\n1 / 0\n", "line 3", "ZeroDivisionError"),
    "exits": ("x = 1\nraise SystemExit(3)\n", "line 2", "SystemExit: 3"),
    "recurses": ("def f():\n    f()\nf()\n", "line 2", "RecursionError"),
    "loads itself": (
        "from mmrace.installed import MAKERS\nfrom mmrace.runs.spec import LoadedFile\n"
        "MAKERS.load([LoadedFile(__file__)])\n",
        "line 3",
        "a file that does not load itself",
    ),
    "is no Python": ("def f(:\n", "line 1", "SyntaxError"),
    "adds nothing": ("x = 1\n", "--load wrong.py", "one that adds nothing"),
    "a scenario that is none": (f"{CAST}\nSCENARIO = 'mine'\n", "line 7", "SCENARIO = Scenario(name, title, cast)"),
    "a taken scenario": (CAST.replace('"mine"', '"four"'), "line 5", "scenario that is not taken, got 'four'"),
    "no name for a scenario": (CAST.replace('"mine"', '"a:b"'), "line 5", "letters, digits and -, got 'a:b'"),
    "a variation of nothing": (
        CAST.replace("ACTOR))", "ACTOR), variations=({}, {'depth': 1}))"),
        "line 5",
        "got 'depth'",
    ),
    "a taken variant": (BUG.replace("no-thaw", "lost-put"), "line 8", "not taken, got 'lost-put'"),
    "a variant of nothing": (BUG.replace("mm.filemap:p", "mm.filemap:q"), "line 8", "did you mean page_unfreeze_refs"),
    "a taken judge": (JUDGE.replace('"nobody"\n', '"liveness"\n'), "line 5", "judge that is not taken, got 'liveness'"),
    "a taken judge of the kernel model": (JUDGE.replace('"nobody"\n', '"slot"\n'), "line 5", "taken, got 'slot'"),
    "a judge that is none": (JUDGE.replace("def judge", "judge = 1\ndef other"), "line 7", "as judge(record), got 1"),
    "a taken strategy": (STRATEGY.replace('"oldest"', '"pos"'), "line 11", "not taken, got 'pos'"),
}


@pytest.mark.parametrize(("text", "where", "what"), WRONG.values(), ids=WRONG)
def test_a_file_that_cannot_be_used_is_a_wrong_call_with_its_line(text: str, where: str, what: str) -> None:
    error = refused("wrong.py", text)
    assert "wrong.py" in error.where and where in error.where and what in str(error), error


def test_a_judge_that_fails_is_its_authors_error_with_its_line() -> None:
    file = load("judge.py", JUDGE.replace('task["name"] == "migrator"', 'task["nme"]'))
    with pytest.raises(UsageError) as caught:
        run_one(RunSpec("async-vs-commit", SMALL, engine="fiber", load=(file,)))
    assert caught.value.where == "--load judge.py, line 10" and "KeyError" in str(caught.value.got)


@pytest.mark.parametrize("error", ["SystemExit(0)", "KeyboardInterrupt", "BaseException(3)", "ProcessEnded"])
def test_a_judge_that_exits_or_interrupts_is_refused_and_ends_nothing(error: str) -> None:
    """BUG once: `run` and `replay` ended with its code, 0 even, and nothing was printed."""
    raised = "__import__('os')._exit(0)" if error == "ProcessEnded" else f"raise {error}"
    file = load("judge.py", JUDGE.replace("return evidence.judgement(len(record.tasks))", raised))
    with pytest.raises(UsageError) as caught:
        run_one(RunSpec("async-vs-commit", SMALL, engine="fiber", load=(file,)))
    assert error.partition("(")[0] in str(caught.value.got) and caught.value.where.startswith("--load judge.py, line ")


def test_a_judge_that_returns_something_else_is_refused() -> None:
    file = load("judge.py", JUDGE.replace("return evidence.judgement(len(record.tasks))", "return True"))
    with pytest.raises(UsageError, match="a judge nobody that returns its Judgement"):
        run_one(RunSpec("async-vs-commit", SMALL, engine="fiber", load=(file,)))


def test_an_actor_of_ones_own_that_raises_is_a_finding_and_no_bug_of_mmrace() -> None:
    text = (
        f"{CAST}\nfrom mmrace.actors.actor import Actor\ndef bad(stage):\n    raise ValueError('mine')\n"
        "SCENARIO = Scenario('mine', 'one trips', (Actor('bad', bad), migrator.ACTOR))\n"
    )
    result = run_one(RunSpec("mine", engine="fiber", load=(load("cast.py", text),)))
    assert result.verdict == "FAIL" and "exception" in {finding.oracle for finding in result.findings}


def test_makers_that_make_functions_only_take_no_scenario() -> None:
    write(Path("cast.py"), CAST)
    with pytest.raises(UsageError, match="adds nothing"):
        Makers(FunctionMaker()).load([LoadedFile("cast.py")])
