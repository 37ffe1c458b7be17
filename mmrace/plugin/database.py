"""The schedules that failed, by the test that they are of: kept when they fail, tried first, dropped when they pass.

    <rootdir>/.mmrace/schedules/<hash of the test>/<hash of the schedule>.json     as `runs/schedule.py` has it
                                                  /<hash of the schedule>.passes   a line for each time that it passed

Invariant: a file under its final name is complete, and says by its name what is in it, so that processes which keep the
same schedule at once write the same file.  Whoever cannot write says so, and fails nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from mmrace.runs.schedule import KeptSchedule
from mmrace.runtime import files
from mmrace.runtime.errors import UsageError

FOLDER = Path(".mmrace", "schedules")
PASSES_MAX = 10
"""Passes after which a schedule is dropped: a bug that its own schedule does not meet ten times over is mended, or the
program has become another one."""
KEPT_MAX = 20  # schedules of one test: a test that fails in more ways needs no further examples
KEY_HEX = 16


class Database:
    """The schedules of one test.  Args: root: the rootdir of pytest.  test: names it, on every machine alike."""

    def __init__(self, root: Path, test: str) -> None:
        self.folder = root / FOLDER / hashlib.sha256(test.encode()).hexdigest()[:KEY_HEX]

    def keep(self, schedule: KeptSchedule) -> Path | str:
        """Keep a schedule that failed; return its file, or why it could not be kept."""
        path = self.folder / f"{schedule.key}.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                if sum(1 for _ in self.folder.glob("*.json")) >= KEPT_MAX:
                    return f"{KEPT_MAX} schedules of this test are kept already in {self.folder}; remove some"
                schedule.write(path)
        except OSError as error:
            return f"{type(error).__name__}: {error}"
        self._forget(path.with_suffix(".passes"))
        return path

    def kept(self) -> Iterator[Path]:
        """Yield the files of the schedules, the newest first; what cannot be read is dropped."""
        try:
            found = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        except OSError:  # another process has just dropped one
            found = sorted(self.folder.glob("*.json"))
        for path in found:
            try:
                KeptSchedule.read(path)
            except UsageError:
                self._forget(path)
            else:
                yield path

    def passed(self, path: Path) -> bool:
        """Count that a schedule passed; say whether it was dropped for that."""
        counts = path.with_suffix(".passes")
        with contextlib.suppress(OSError):
            files.append_line(counts, "passed")
            if counts.stat().st_size < PASSES_MAX * len("passed\n"):
                return False
            self._forget(path)
            self._forget(counts)
            return True
        return False

    def failed(self, path: Path) -> None:
        """Begin to count anew."""
        self._forget(path.with_suffix(".passes"))

    @staticmethod
    def _forget(path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink()
