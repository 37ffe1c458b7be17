"""The store of findings: one folder per signature, with all that repeats and explains the run.

    <folder>/<signature>/record.jsonl   the record (absent if there is none: a worker died)
                         seed           the run's seed
                         command.txt    commands to paste: the strict replay (gate), and the run itself
                         summary.json   facts: findings, spec, counts;  summary.txt the same for the eye
                         hits.jsonl     further runs with this signature, up to a bound

Invariant: a folder under its final name is complete and on disk: it is written under another name, synced, renamed.
One that a user's program left before its files changed gives way: its record cannot be replayed any more.  Whoever
cannot write gets the reason and the summary back; nothing is lost silently.  Not here: prose about a failure.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias, TypedDict

from mmrace.oracles.general.judgement import Finding
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime import files
from mmrace.runtime.decoding import decode
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.runtime.visible import visible

SCHEMA = "mmrace-finding/1"
HITS_BYTES_MAX = 256 * 1024  # some thousand hits: enough for a rate, bounded for a soak
FOLDERS_MAX = 200  # a model that breaks in more ways than that needs no further examples
HARNESS = "harness"
"""The oracle that speaks when no other can: a worker died, hung, or left threads behind."""

SUMMARY_BYTES_MAX = 16 * files.MIB  # of many findings with long facts


class _Spec(TypedDict):
    program: str
    digest: str


class _Summary(TypedDict):
    """What is asked of the summary of a finding that was kept."""

    spec: _Spec


Text: TypeAlias = Callable[[RunSpec, str, Sequence[Finding], Sequence[str]], str]
"""(spec, verdict, findings, commands to paste) -> a failed run for the eye."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a finding: its folder, whether the folder was there before, or why it could not be written."""

    folder: str = ""
    before: bool = False
    error: str = ""


def harness_finding(rule: str, title: str, spec: RunSpec | None, **facts: int | str) -> Finding:
    """Make a finding about a run that nobody could judge."""
    where = "" if spec is None else f"{spec.program}/{spec.variant}/{spec.engine}"
    digest = hashlib.sha256(f"{HARNESS}\n{rule}\n{where}".encode()).hexdigest()[:12]
    return Finding(HARNESS, rule, title, {**facts, "times": 1}, digest)


def summary(
    spec: RunSpec, verdict: str, findings: Sequence[Finding], ops: int = 0, switches: int = 0
) -> dict[str, object]:
    """Return the facts of a failed run as JSON data."""
    return {
        "schema": SCHEMA,
        "verdict": verdict,
        "findings": [asdict(finding) for finding in findings],
        "spec": asdict(spec),
        "command": spec.command(),
        "ops": ops,
        "switches": switches,
    }


class FindingStore:
    """The findings under one folder.  Safe for several processes at once: the rename decides who was first.

    Args: text: makes summary.txt; None: there is none.  Pickles, if `text` does.
    """

    def __init__(self, folder: Path, text: Text | None = None) -> None:
        self.folder, self.text = folder, text
        self._current: set[Path] = set()  # folders that were looked at

    def save(self, result: RunResult) -> Saved:
        """Keep a failed run, or count it as a further hit if all its signatures have a folder.  Raises nothing."""
        try:
            return self._save(result.spec, result.verdict, result.findings, result.record, result.ops, result.switches)
        except OSError as error:
            return Saved(error=f"{type(error).__name__}: {error}")

    def save_finding(self, spec: RunSpec, finding: Finding) -> Saved:
        """Keep a finding that has no record.  Raises nothing."""
        try:
            return self._save(spec, "FAIL", [finding], None, 0, 0)
        except OSError as error:
            return Saved(error=f"{type(error).__name__}: {error}")

    def place(self, name: str) -> Path:
        """Return the folder of a signature."""
        return self.folder / (re.sub(r"[^\w.-]", "_", name).lstrip(".") or "unnamed")

    def _save(
        self, spec: RunSpec, verdict: str, findings: Sequence[Finding], record: Record | None, ops: int, switches: int
    ) -> Saved:
        names = [finding.signature for finding in findings] or [f"unnamed-{spec.seed}"]
        facts = summary(spec, verdict, findings, ops, switches)
        for final in map(self.place, names):
            if final.exists() and not self._outdated(final, spec):
                continue
            self.folder.mkdir(parents=True, exist_ok=True)
            if sum(1 for _ in self.folder.iterdir()) >= FOLDERS_MAX:
                return Saved(error=f"{FOLDERS_MAX} findings are kept already in {self.folder}; remove some")
            if self._make(final, spec, record, facts, findings):
                return Saved(str(final))
        self._hit(self.place(names[0]), spec)
        return Saved(str(self.place(names[0])), before=True)

    def _make(
        self, final: Path, spec: RunSpec, record: Record | None, facts: dict[str, object], findings: Sequence[Finding]
    ) -> bool:
        """Make one finding's folder; False if another worker was first."""
        temporary = self.folder / files.temporary_name()
        try:
            self._write(temporary, final, spec, record, facts, findings)
            if final.exists() and self._outdated(final, spec):
                with contextlib.suppress(FileNotFoundError):  # another worker was first
                    os.rename(final, self.folder / f"{temporary.name}.old")
            try:
                os.rename(temporary, final)
            except OSError:
                if not final.is_dir():
                    raise
                return False
            _sync_folder(self.folder)
        finally:
            for folder in (temporary, self.folder / f"{temporary.name}.old"):
                if folder.exists():
                    shutil.rmtree(folder, ignore_errors=True)
        return True

    def _outdated(self, final: Path, spec: RunSpec) -> bool:
        """Say whether a folder is of a user's program, and not of this one as it is now."""
        if not spec.digest or final in self._current:
            return False
        try:
            path = final / "summary.json"
            content = files.read_whole(path, SUMMARY_BYTES_MAX, what="summary", try_="remove the folder")
            kept = decode(content, _Summary, what="a summary", where=str(path), try_="remove the folder")["spec"]
            outdated = (kept["program"], kept["digest"]) != (spec.program, spec.digest)
        except UsageError:  # of an older mmrace, or another worker is just replacing it
            outdated = False
        if not outdated:
            self._current.add(final)
        return outdated

    def _write(
        self,
        folder: Path,
        final: Path,
        spec: RunSpec,
        record: Record | None,
        facts: dict[str, object],
        findings: Sequence[Finding],
    ) -> None:
        folder.mkdir()
        commands = [spec.command()]
        if record is not None:
            record.write(folder / "record.jsonl")
            if spec.engine != "free":
                commands.insert(0, f"mmrace replay {final / 'record.jsonl'}")
        texts = {
            "seed": f"{spec.seed}\n",
            "command.txt": "".join(f"{command}\n" for command in commands),
            "summary.json": json.dumps(facts, indent=1, default=str) + "\n",
        }
        if self.text is not None:
            texts["summary.txt"] = visible(self.text(spec, str(facts["verdict"]), findings, commands))
        for name, text in texts.items():
            files.write_whole(folder / name, [text])
        _sync_folder(folder)

    @staticmethod
    def _hit(folder: Path, spec: RunSpec) -> None:
        """Count a further hit: one line, written at once so that several workers' lines do not mix."""
        path = folder / "hits.jsonl"
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_size > HITS_BYTES_MAX:
                return
        files.append_line(path, json.dumps({"seed": spec.seed, "command": spec.command()}))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
