"""Who reads a file, and whether he did what he promised: an exit code, no traceback, nothing that steers a terminal.

Every reader is the command line, in this process, on a file of the name that is given; the finding's folder has the
store of findings.  Invariant: what is called a breach is one whatever the file holds.  Allowed are 2 (no such file), 3
(the replay left the record), and the verdict's own code where the file is valid; then the last line has its word.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import mmrace
from mmrace import cli
from mmrace.history import rates
from mmrace.oracles.general.judgement import Finding
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore
from mmrace.runtime.errors import EXIT_INTERNAL, EXIT_NONDETERMINISM, EXIT_OF, EXIT_PASS, EXIT_USAGE, UsageError
from mmrace.runtime.visible import visible
from stress.fuzz.seeds import finding, seeds

WORD_OF = {code: word for word, code in EXIT_OF.items()}
FINDING = Finding("content", "rule", "title", {}, "abc123")
OBJECT = re.compile(rb'lanes\\?":\{\\?"\d+\\?":\[\\?"[^"]*","([^"\\]+)')
RUN = ("--engine", "fiber", "--param", "idle=0", "--param", "rounds=1")


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one reading.  `breach`: which promise was broken, "" if none was."""

    reader: str
    code: int
    breach: str
    out: str


Reader = Callable[[Path], Told]


def command(name: str, *words: str, judged: bool = True, part: str = "") -> Reader:
    """Return the reader that is this command.

    "FILE" stands for the file, "VALID" for a record that nobody changed, "OBJECT" for an object that the file may have.
    Args: judged: it ends in a verdict.  part: FILE is the folder of a finding, in which the file goes by this name.
    """

    def read(path: Path) -> Told:
        words_now = [_object(path) if word == "OBJECT" else _valid(path) if word == "VALID" else word for word in words]
        file = str(finding(path.parent, part, path.read_bytes())) if part else str(path)
        code, out = call([word.replace("FILE", file) for word in words_now])
        breach = _breach(code, out)
        if not breach and code not in (EXIT_USAGE, EXIT_NONDETERMINISM):
            last = out.rstrip().rpartition("\n")[2]
            if judged and last.split(" ")[0] != WORD_OF.get(code):
                breach = f"exit code {code} under the last line {last!r}"
            elif not judged and code != EXIT_PASS:
                breach = f"exit code {code} where nothing is judged"
        return Told(name, code, breach, out)

    return read


def _valid(path: Path) -> str:
    """Return a record that nobody changed, beside a file."""
    valid = path.with_name("valid.jsonl")
    if not valid.exists():
        valid.write_bytes(seeds()["record"][0])
    return str(valid)


def _object(path: Path) -> str:
    """Return the name of an object that a file may have: the first that stands where one would be."""
    found = OBJECT.search(path.read_bytes())
    return found[1].decode(errors="replace").replace("\0", "") if found else "account"


def call(words: Sequence[str]) -> tuple[int, str]:
    """Call the command line in this process; return its exit code and all that it printed."""
    out, before = io.StringIO(), sys.argv
    sys.argv = ["mmrace", *words]
    try:
        with redirect_stdout(out), redirect_stderr(out):
            cli.main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else -1
    finally:
        sys.argv = before
    return code, out.getvalue()


def _breach(code: int, out: str) -> str:
    if visible(out) != out:
        return "what it printed steers a terminal"
    if "Traceback (most recent call last)" in out or "mmrace bug" in out:
        return "a traceback"
    return "" if code in (EXIT_USAGE, EXIT_NONDETERMINISM, *WORD_OF) else f"exit code {code}"


def function(name: str, read: Callable[[Path], None]) -> Reader:
    """Return the reader that is a function, which may raise UsageError and nothing else."""

    def told(path: Path) -> Told:
        try:
            read(path)
        except UsageError as error:
            return Told(name, EXIT_USAGE, "", str(error))
        except Exception:
            return Told(name, EXIT_INTERNAL, "a traceback", traceback.format_exc())
        return Told(name, EXIT_PASS, "", "")

    return told


def keep(path: Path) -> None:
    """Save a finding where a folder with this summary has its name already."""
    folder = path.with_name("findings")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / FINDING.signature).mkdir(parents=True)
    shutil.copyfile(path, folder / FINDING.signature / "summary.json")
    spec = RunSpec("mine.py:main", engine="gate", maker="function", digest="0123", seed=1)
    saved = FindingStore(folder).save(RunResult(spec, "FAIL", [FINDING]))[FINDING.signature]
    if not saved.folder:
        raise RuntimeError(saved.error)


def measured(path: Path) -> None:
    """Read rates of canaries."""
    rates.read(path)


def followed(path: Path) -> None:
    """Follow a kept schedule, and two near it."""
    mmrace.replay(path, near=2)


READERS: dict[str, tuple[Reader, ...]] = {
    "record": (
        command("show", "show", "FILE", "--last", "200", judged=False),
        command("explain", "explain", "FILE", judged=False),
        command("replay", "replay", "FILE"),
        command("trail", "trail", "OBJECT", "FILE", judged=False),
        command("diff", "diff", "FILE", "VALID", judged=False),
        command("diagram", "show", "FILE", "--mermaid", judged=False),
        command("explain", "explain", "FILE", judged=False),
        command("record, kept", "show", "FILE", "--last", "5", judged=False, part="record.jsonl"),
        command("guided", "run", "async-vs-commit", *RUN, "--strategy", "guided:record=FILE"),
    ),
    "minimal": (
        command("show minimal", "show", "FILE", judged=False),
        command("explain minimal", "explain", "FILE", judged=False),
        command("replay minimal", "replay", "FILE"),
        command("diff minimal", "diff", "VALID", "FILE", judged=False),
        command("draw minimal", "show", "FILE", "--mermaid", judged=False),
        command("explain minimal", "explain", "FILE", judged=False),
        command("minimal, kept", "show", "FILE", "--mermaid", judged=False, part="minimal.json"),
    ),
    "kept": (
        function("kept schedule", followed),
        command("kept schedule guides", "run", "async-vs-commit", *RUN, "--strategy", "guided:record=FILE"),
    ),
    "workload": (command("workload", "run", "recorded", "--engine", "fiber", "--workload", "FILE"),),
    "corpus": (command("corpus", "run", "async-vs-commit", *RUN, "--strategy", "feedback:corpus=FILE,index=1"),),
    "summary": (
        function("finding kept", keep),
        command("summary, kept", "show", "FILE", judged=False, part="summary.json"),
    ),
    "rates": (function("rates", measured),),
}
"""Format -> its readers."""
