"""The store of findings: one folder per signature and program, with all that repeats and explains the run.

    <folder>/<signature>/record.jsonl   the record (absent if there is none: a worker died)
                         free.jsonl     of a run that was made after one of free threads, the record of that
                         seed           the run's seed
                         command.txt    commands to paste: the strict replay (of a controlled run), and the run itself
                         summary.json   facts: findings, spec, date, version;  summary.txt the same for the eye
                         hits.jsonl     further runs with this signature, up to a bound

The first program (variant and era) with a signature has the folder of that name; each further one has its own beside
it, `<signature>-<hash of whose it is>`.

Invariant: a folder under its final name is complete and on disk: it is written under another name, synced, renamed; and
it is of its own signature, whatever else its run broke.  No program's evidence gives way to another's.  What cannot be
repeated gives way to what can (`kept.py`), and is a hit from then on.  Whoever cannot write gets the reason and the
summary back; nothing is lost silently.  Not here: prose about a failure.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from mmrace.oracles.general.judgement import Finding
from mmrace.runs import kept
from mmrace.runs.conversion import Conversion
from mmrace.runs.kept import Kept, Owner, owner_of
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime import files
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.runtime.visible import visible
from mmrace.strategies import retrace
from mmrace.version import __version__

SCHEMA = "mmrace-finding/1"
HITS_BYTES_MAX = 256 * 1024  # some thousand hits: enough for a rate, bounded for a soak
ATTEMPTS_MAX = 20  # a folder is replaced once or twice in its life
FOLDERS_MAX = 200  # a model that breaks in more ways than that needs no further examples
CONTROLLED = "fiber"  # for which of them a folder is looked at makes no difference
NOTHING: Mapping[str, RunResult] = MappingProxyType({})
HARNESS = "harness"
"""The oracle that speaks when no other can: a worker died, hung, or left threads behind."""

Text: TypeAlias = Callable[[RunSpec, str, Sequence[Finding], Sequence[str]], str]
"""(spec, verdict, findings, commands to paste) -> a failed run for the eye."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a finding.

    Attributes: folder: of its signature.  before: what the folder keeps is an earlier run.  since: the date from which
    on it is known, "" for a new one.  error: why it could not be written.  conversion: of one of free threads, if that
    was tried to be had again under control.
    """

    folder: str = ""
    before: bool = False
    since: str = ""
    error: str = ""
    conversion: Conversion | None = None


Saves: TypeAlias = dict[str, Saved]
"""By signature."""


def harness_finding(rule: str, title: str, spec: RunSpec | None, **facts: int | str) -> Finding:
    """Make a finding about a run that nobody could judge."""
    where = "" if spec is None else "/".join((spec.program, spec.variant, spec.engine, *filter(None, [spec.era])))
    digest = hashlib.sha256(f"{HARNESS}\n{rule}\n{where}".encode()).hexdigest()[:12]
    return Finding(HARNESS, rule, title, {**facts, "times": 1}, digest)


def unexplained(spec: RunSpec) -> Finding:
    """Return the finding of a run that failed without one."""
    return harness_finding("crash", "a run failed without a finding", spec)


def summary(
    spec: RunSpec, verdict: str, findings: Sequence[Finding], ops: int = 0, switches: int = 0, *, date: str = ""
) -> dict[str, object]:
    """Return the facts of a failed run as JSON data."""
    return {
        "schema": SCHEMA,
        "mmrace": __version__,
        "date": date,
        "verdict": verdict,
        "findings": [asdict(finding) for finding in findings],
        "spec": asdict(spec),
        "command": spec.command(findings[0].signature if findings else ""),
        "ops": ops,
        "switches": switches,
    }


class FindingStore:
    """The findings under one folder.  Safe for several processes at once: the rename decides who was first.

    Args: text: makes summary.txt; None: there is none.  Pickles, if `text` does.
    """

    def __init__(self, folder: Path, text: Text | None = None) -> None:
        self.folder, self.text = folder, text

    def save(self, result: RunResult, made: Mapping[str, RunResult] = NOTHING) -> Saves:
        """Keep a failed run under each of its findings; where one is kept already, count a hit.  Raises nothing.

        Args: made: by signature, a run to keep for it instead, whose first finding that is.
        """
        findings = result.findings or [unexplained(result.spec)]
        saves = {
            finding.signature: self._save(result, finding) for finding in findings if finding.signature not in made
        }
        for signature, other in made.items():
            finding = next(finding for finding in other.findings if finding.signature == signature)
            saves[signature] = replace(self._save(other, finding), conversion=other.conversion)
        return saves

    def unrepeatable(self, result: RunResult) -> dict[str, bool]:
        """Return the findings of a free run that are new, or of which only free threads are kept, by signature.

        The value says whether a run under control was looked for in vain.  Left out is what could not even be tried.
        """
        if result.spec.engine != "free" or result.record is None:
            return {}
        controlled = replace(result.spec, engine=CONTROLLED)
        found = {}
        for finding in result.findings:
            final = self.own(finding.signature, owner_of(result.spec))
            old = kept.read(final) if final.exists() else None
            if old is None or kept.gives_way(old, result.spec, result.record, finding.known):
                if old is not None or not final.exists():
                    found[finding.signature] = False
            elif not old.broke and kept.gives_way(old, controlled, result.record, finding.known):
                found[finding.signature] = old.tried
        return found

    def save_finding(self, spec: RunSpec, finding: Finding) -> Saved:
        """Keep a finding that has no record.  Raises nothing."""
        return self._save(RunResult(spec, "FAIL", [finding]), finding)

    def place(self, name: str) -> Path:
        """Return the folder of a signature."""
        return self.folder / (re.sub(r"[^\w.-]", "_", name).lstrip(".") or "unnamed")

    def own(self, signature: str, owner: Owner) -> Path:
        """Return the folder of a signature for a program: the plain one, unless another program was first there."""
        plain, beside = self.place(signature), self.place(owner.beside(signature))
        if beside.exists():
            return beside
        there = kept.read(plain) if plain.exists() else None
        return beside if there is not None and there.owner != owner else plain

    def is_full(self) -> bool:
        """Say whether it has room for no further finding.  Raises OSError without a folder."""
        there_are = sum(not path.name.startswith(".") for path in self.folder.iterdir())  # not what a kill has left
        return there_are >= FOLDERS_MAX

    @property
    def full(self) -> str:
        """What to say then."""
        return f"{FOLDERS_MAX} findings are kept already in {self.folder}; remove some"

    def _save(self, result: RunResult, finding: Finding) -> Saved:
        failure: OSError
        for _ in range(ATTEMPTS_MAX):
            try:
                return self._keep(self.own(finding.signature, owner_of(result.spec)), result, finding)
            except FileNotFoundError as error:  # another worker is just replacing the folder
                failure = error
            except OSError as error:
                failure = error
                break
        return Saved(error=f"{type(failure).__name__}: {failure}")

    def _keep(self, final: Path, result: RunResult, finding: Finding) -> Saved:
        """Keep a run, or count a hit.  Raises OSError: FileNotFoundError if the folder went away meanwhile."""
        there, old = self._there(final, result, finding)
        if there:
            self._hit(final, result.spec, finding)
            return Saved(str(final), before=True, since=old.since if old else kept.UNDATED)
        self.folder.mkdir(parents=True, exist_ok=True)
        if not final.exists() and self.is_full():
            return Saved(error=self.full)
        if self._make(final, result, finding, old):
            return Saved(str(final), since=old.since if old else "")
        self._of_us(kept.read(final), final, result.spec)
        self._hit(final, result.spec, finding)
        return Saved(str(final), before=True, since=_now())

    @staticmethod
    def _of_us(old: Kept | None, final: Path, spec: RunSpec) -> None:
        """Raise FileNotFoundError if a folder is meanwhile another program's: this one's is elsewhere."""
        if old is not None and old.owner != owner_of(spec):
            raise FileNotFoundError(errno.ENOENT, "another program was first", str(final))

    def _there(self, final: Path, result: RunResult, finding: Finding) -> tuple[bool, Kept | None]:
        """Say whether a folder stays as it is; and return what it keeps, if that is of the same files.

        Raises FileNotFoundError if it is another program's.
        """
        if not final.exists():
            return False, None
        old = kept.read(final)
        if old is None:
            return True, None
        self._of_us(old, final, result.spec)
        stays = not kept.gives_way(old, result.spec, result.record, finding.known)
        return stays, None if kept.of_other_files(old, result.spec) else old

    def _make(self, final: Path, result: RunResult, finding: Finding, old: Kept | None) -> bool:
        """Make one finding's folder; False if another worker was first.  Args: old: what it goes on with."""
        temporary = self.folder / files.temporary_name()
        replaced = self.folder / f"{temporary.name}.old"
        try:
            self._write(temporary, final, result, finding, old)
            if final.exists() and not self._there(final, result, finding)[0]:
                with contextlib.suppress(FileNotFoundError):  # another worker was first
                    os.rename(final, replaced)
            if not take_name(temporary, final, replaced):
                return False
        finally:
            gone = kept.read(replaced) if replaced.exists() else None  # perhaps another worker's, not `old`
            if gone is not None:
                self._give_way(replaced, final, gone, result.spec, finding.signature)
            for folder in (temporary, replaced):
                if folder.exists():
                    shutil.rmtree(folder, ignore_errors=True)
        return True

    def _give_way(self, replaced: Path, final: Path, gone: Kept, spec: RunSpec, signature: str) -> None:
        """Hand on what a folder that gave way has; whoever lost its name to another program has its own beside it."""
        there = kept.read(final)
        if there is None or there.owner == gone.owner:
            if not kept.of_other_files(gone, spec):
                _hand_on(replaced, final, gone)
            return
        beside = self.place(gone.owner.beside(signature))
        try:
            os.rename(replaced, beside)
        except OSError:  # there already
            _hand_on(replaced, beside, gone)

    def _write(self, folder: Path, final: Path, result: RunResult, finding: Finding, old: Kept | None) -> None:
        folder.mkdir()
        if result.free is not None:
            result = self._beside(folder, final, result, result.free)
        spec = result.spec
        commands = [spec.command(finding.signature)]
        unrecorded = "" if result.record is None else _unwritten(result.record, folder / kept.RECORD)
        if result.record is not None and not unrecorded and spec.engine != "free":
            commands.insert(0, shlex.join(["mmrace", "replay", str(final / kept.RECORD)]))
        others = [other for other in result.findings if other.signature != finding.signature]
        findings, date = [finding, *others], _now()
        facts = summary(spec, result.verdict, findings, result.ops, result.switches, date=date)
        facts["since"] = old.since if old else date
        if unrecorded:
            facts["unrecorded"] = unrecorded
        facts["model"] = kept.model_of(result.record)
        told = [] if result.conversion is None else result.conversion.lines()
        if result.conversion is not None:
            facts["conversion"] = asdict(result.conversion)
        texts = {
            "seed": f"{spec.seed}\n",
            "command.txt": "".join(f"{command}\n" for command in commands),
            kept.SUMMARY: json.dumps(facts, indent=1, default=str) + "\n",
        }
        if self.text is not None:
            text = self.text(spec, result.verdict, findings, commands)
            told += [f"no record: {unrecorded}"] if unrecorded else []
            texts[kept.TEXT] = visible(text + ("\n" + "".join(f"{line}\n" for line in told) if told else ""))
        for name, text in texts.items():
            files.write_whole(folder / name, [text])
        files.sync_folder(folder)

    @staticmethod
    def _beside(folder: Path, final: Path, result: RunResult, free: Record) -> RunResult:
        """Write the record of the free run that a run was made after; return that run, whose strategy names it now.

        One that is too large to be read again is not written; then a replay does not ask the strategy.
        """
        _unwritten(free, folder / kept.FREE)
        return placed(result, final / kept.FREE)

    @staticmethod
    def _hit(folder: Path, spec: RunSpec, finding: Finding) -> None:
        """Count a further hit: one line, written at once so that several workers' lines do not mix."""
        path = folder / kept.HITS
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_size > HITS_BYTES_MAX:
                return
        files.append_line(path, hit_line(spec.seed, spec.command(finding.signature)))


def placed(result: RunResult, free: Path) -> RunResult:
    """Return a run that was made after a free one, whose strategy says where the record of that is."""
    strategy = retrace.with_record(result.spec.strategy, os.path.abspath(free))
    if result.record is not None:
        result.record.header["strategy"] = strategy
    return replace(result, spec=replace(result.spec, strategy=strategy))


def _hand_on(replaced: Path, final: Path, old: Kept) -> None:
    """Count what a folder has, which gave way, as hits of the one in its place.  Called when no more can come to it."""
    lines: list[str] = []
    with contextlib.suppress(UsageError):  # there are none
        with files.held(replaced / kept.HITS):  # whoever is about to add one has done so, or comes to `final`
            content = files.read_whole(replaced / kept.HITS, 2 * HITS_BYTES_MAX, what="file of hits", try_="")
        lines = content.decode(errors="replace").splitlines()
    with contextlib.suppress(OSError):  # a full disk: the finding itself is kept
        for line in [*lines, hit_line(old.seed, old.command)]:
            files.append_line(final / kept.HITS, line)


def _unwritten(record: Record, path: Path) -> str:
    """Write a record; return why not, if it is larger than what is read again.  Raises OSError otherwise."""
    try:
        record.write(path)
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        return str(error.strerror)
    return ""


def take_name(temporary: Path, final: Path, replaced: Path) -> bool:
    """Give a folder that is whole its name; False if another process was first.

    Args: replaced: what had the name and gives way, if that is there; it has it back if the new one cannot.  Raises
    OSError.
    """
    try:
        os.rename(temporary, final)
    except OSError:
        if final.is_dir():
            return False
        if replaced.exists():
            os.rename(replaced, final)
        raise
    files.sync_folder(final.parent)
    return True


def hit_line(seed: int, command: str) -> str:
    """Return what stands for a further run with a finding."""
    return json.dumps({"seed": seed, "command": command})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
