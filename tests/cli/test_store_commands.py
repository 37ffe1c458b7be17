"""Commands that ask a store: what they print, and what they say where there is nothing to ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mmrace.cli import status
from mmrace.oracles.general.judgement import Finding
from mmrace.runs.spec import RunSpec
from mmrace.runs.store import FindingStore
from mmrace.search.ledger.database import FILE
from mmrace.search.ledger.index import Index
from mmrace.search.ledger.ledger import Ledger
from tests import in_process
from tests.report.stores import GONE, SEEN, ended, night, nights

ASKING = (("status",), ("history",), ("history", "--findings"), ("history", "--canaries"), ("history", "--marks"))


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: in_process.run(monkeypatch, *words)


NO_STORES = [
    ("nowhere", "nothing"),
    ("file", "no folder"),
    ("", "nothing"),
    ("a" * 300, "nothing"),
    ("a\0b", "nothing"),
]


@pytest.mark.parametrize(("folder", "got"), NO_STORES, ids=["missing", "file", "empty", "long", "zero byte"])
@pytest.mark.parametrize("words", ASKING[:2], ids=" ".join)
def test_what_is_no_store_is_a_wrong_call(
    words: tuple[str, ...], folder: str, got: str, command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    assert command(*words, "--store", folder) == 2
    assert f"expected a store, which `mmrace stress` makes, got {got!r}" in capsys.readouterr().err


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_a_store_that_was_never_used_is_no_error(
    words: tuple[str, ...], command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".mmrace").mkdir()
    assert command(*words) == 0
    assert "yet" in (out := capsys.readouterr().out) or "marks reached: 0" in out
    assert os.listdir(".mmrace") == []


def test_status_and_history_tell_of_a_store(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    nights(Path("nights"), last=ended(3))
    assert command("status", "--store", "nights") == 0
    assert "go on: mmrace stress --resume --store nights" in capsys.readouterr().out
    assert command("history", "--store", "nights", "--last", "1") == 0
    assert "and 3 campaigns before these" in capsys.readouterr().out
    assert command("history", "--store", "nights", "--finding", GONE) == 0
    assert "not seen since revision 1.0+bbbb, in 8,192 runs" in capsys.readouterr().out
    assert command("history", "--store", "nights", "--findings", "--marks") == 0
    out = capsys.readouterr().out
    assert "came back" in out and "never hit: never" in out and "not hit by the newest revision" in out


def test_json_goes_to_stdout_or_into_a_file(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    nights(Path(".mmrace"))
    assert command("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "mmrace-status/1"
    assert command("history", "--json", "out.json", "--last", "2") == 0
    made = json.loads(Path("out.json").read_text())
    assert (made["schema"], len(made["campaigns"]), len(made["findings"])) == ("mmrace-history/1", 2, 5)
    assert made["marks"]["never_reached"] == ["never"]
    assert command("history", "--json", "nowhere/out.json") == 2
    assert "--json nowhere/out.json: expected a JSON file that can be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        (("status", "--watch", "--json"), "expected --watch or --json, got 'both'"),
        (("history", "--finding", "aaaaaaaaaaab"), "did you mean aaaaaaaaaaaa?"),
        (("history", "--last", "0"), "0 is not in the range"),
    ],
)
def test_a_wrong_call_says_what_to_try(
    words: tuple[str, ...], needle: str, command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    nights(Path(".mmrace"))
    assert command(*words) == 2
    assert needle in capsys.readouterr().err


def test_watching_tells_again_what_has_changed_until_somebody_stops_it(
    command: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger.open(Path(".mmrace"))
    night(ledger, 0, end=ended(0))
    ledger.flush()
    turns = 0

    def pause() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            night(ledger, 1, end=None)
            ledger.flush()
        if turns == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(status, "pause", pause)
    assert command("status", "--watch") == 130
    ledger.close()
    out = capsys.readouterr().out
    assert out.count(".mmrace: ") == 2 and "1 campaign running, 2 in all" in out


def test_a_store_of_this_host_has_its_index_in_its_file_and_another_one_is_not_touched(
    command: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nights(Path(".mmrace"))
    assert command("history", "--finding", SEEN) == 0
    assert not Path(".mmrace/ledger", FILE).exists(), "nobody has made one"
    with Ledger.open(Path(".mmrace")) as ledger:
        ledger.index()
    before = Path(".mmrace/ledger", FILE).stat()
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    assert command("history", "--finding", SEEN) == 0
    assert Path(".mmrace/ledger", FILE).stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.slow
def test_the_help_of_everything_imports_no_database() -> None:
    """A command that asks nothing of a store does not wait for SQLite, XML or Parquet."""
    code = (
        "import sys; from mmrace.cli import group; "
        "print(sorted({'sqlite3', 'xml.etree.ElementTree', 'pyarrow', 'jinja2', 'distributed'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_a_ledger_is_exported(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    nights(Path(".mmrace"))
    assert command("export-ledger", "--parquet", "out.parquet") == 0
    assert capsys.readouterr().out == "out.parquet: 12 batches, 32,800 runs\n"
    assert command("export-ledger", "--parquet", "nowhere/out.parquet") == 2
    assert "expected a Parquet file that can be written" in capsys.readouterr().err
    assert command("export-ledger") == 2


@pytest.mark.slow
def test_a_store_that_is_pruned_while_it_is_exported_is_told(
    command: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nights(Path(".mmrace"))
    made = Index.batches

    def pruned(index: Index) -> Any:
        for path in Path(".mmrace/ledger").glob("*.jsonl"):
            path.unlink()
        return made(index)

    monkeypatch.setattr(Index, "batches", pruned)
    assert command("export-ledger", "--parquet", "out.parquet") == 2
    assert "expected a ledger that nobody prunes meanwhile" in capsys.readouterr().err
    assert os.listdir() == [".mmrace"]


def test_without_pyarrow_nothing_is_read_first(
    command: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert command("export-ledger", "--parquet", "out.parquet", "--store", "nowhere") == 2
    assert "pip install 'mmrace[parquet]'" in capsys.readouterr().err


def test_stores_are_merged_into_one_however_often(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        with Ledger.open(Path(f"node-{number}")) as ledger:
            night(ledger, number, end=ended(number))
    FindingStore(Path("node-1/findings")).save_finding(RunSpec("writers"), Finding("o", "r", "t", {}, SEEN))
    assert command("merge", "node-0", "node-1", "--store", "all") == 0
    assert capsys.readouterr().out == "all: taken in 2 segments of the ledger, 1 finding\n"
    assert command("merge", "node-1", "node-0", "--store", "all") == 0
    assert capsys.readouterr().out == "all: taken in 0 segments of the ledger, 0 findings\n"
    assert command("status", "--store", "all") == 0
    assert "no campaign runs, 2 in all" in capsys.readouterr().out
    assert Path("all/findings", SEEN).is_dir()


def test_a_segment_that_differs_is_told_and_the_rest_is_merged(
    command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    nights(Path("one"))
    (segment,) = Path("one/ledger").glob("*.jsonl")
    Path("all/ledger").mkdir(parents=True)
    Path("all/ledger", segment.name).write_text("something else\n")
    assert command("merge", "one", "--store", "all") == 2, "whoever throws the other store away would lose runs"
    captured = capsys.readouterr()
    assert "not taken" in captured.err and "was one of them changed by hand?" in captured.err
    assert captured.out == "all: taken in 0 segments of the ledger, 0 findings\n"


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        (("merge", "--store", "all"), "Missing argument"),
        (("merge", "nowhere", "--store", "all"), "nowhere: expected a store"),
        (("merge", "empty", "--store", "all"), "empty: expected a store, a folder with ledger/ or findings/ in it"),
        (("merge", "one", "--store", "./one"), "expected stores beside that of --store"),
        (("merge", "one", "--store", "/proc/here"), "--store: No such file or directory"),
        (("prune", "--store", "one"), "Missing option"),
        (("prune", "--keep", "-1", "--store", "one"), "-1 is not in the range"),
        (("prune", "--keep", "1", "--store", "nowhere"), "--store nowhere: expected a store"),
        (("prune", "--keep", "1", "--store", "empty"), "expected a store"),
    ],
)
def test_what_cannot_be_merged_or_pruned_is_a_wrong_call_and_changes_nothing(
    words: tuple[str, ...], needle: str, command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    nights(Path("one"))
    Path("empty").mkdir()
    before = sorted(Path().rglob("*"))
    assert command(*words) == 2
    assert needle in capsys.readouterr().err
    assert sorted(path for path in Path().rglob("*") if "index.sqlite" not in path.name) == before


def test_a_store_is_pruned_and_counts_what_it_did(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        with Ledger.open(Path(".mmrace")) as ledger:
            night(ledger, number, end=ended(number))
    store = FindingStore(Path(".mmrace/findings"))
    for signature in (SEEN, GONE):
        store.save_finding(RunSpec("writers"), Finding("o", "r", "t", {}, signature))
    assert command("history", "--json", "before.json") == 0
    assert command("prune", "--keep", "1") == 0
    out = capsys.readouterr().out
    assert ".mmrace: 1 finding removed, 1 kept; 3 segments of the ledger, now 1; " in out and out.endswith("freed\n")
    assert command("history", "--json", "after.json") == 0
    before, after = (json.loads(Path(name).read_text()) for name in ("before.json", "after.json"))
    for name in ("runs", "findings", "canaries", "verdicts", "seconds"):
        assert [row[name] for row in after["campaigns"]] == [row[name] for row in before["campaigns"]]
    assert after["findings"] == before["findings"] and after["marks"] == before["marks"]
