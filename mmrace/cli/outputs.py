"""What a campaign leaves for other programs: `--junit`, `--json`, `--log`, `--on-finding`.

Invariant: a file that cannot be written is refused before the campaign begins; a file is written whole or not at all,
also after Ctrl-C; one that could not be in the end is told on stderr, and the exit code is a wrong call's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from mmrace.cli import options as shared
from mmrace.cli import terminal
from mmrace.cli.beside import Heartbeat, Several
from mmrace.cli.logfile import RETENTIONS, ROTATIONS, log_to
from mmrace.cli.on_finding import AT_ONCE, LIMIT_SECONDS, OnFinding
from mmrace.runs import stops
from mmrace.runtime import files
from mmrace.runtime.errors import EXIT_SIGNALLED, EXIT_USAGE, UsageError
from mmrace.search.campaign.driver import Observer
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.ledger.cells import began
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.life import State
from mmrace.search.totals import Whose

HELP = f"""
\b
For other programs:
  --junit FILE  JUnit XML: a testcase for each scenario and each canary.  What
      leaves the verdict UNKNOWN is an error, a canary not planted is skipped.
  --json FILE   the whole result, as the report has it (mmrace-campaign/1).
      Both are written at the end, whole, also after Ctrl-C.
  --log FILE    JSON lines as they come, with a heartbeat every minute.
      --log-rotation: {ROTATIONS}
      --log-retention: {RETENTIONS}; of FILE.*
  --on-finding CMD   `sh -c CMD`, beside the campaign, for each finding that
      is new to the store or came back, not for planted bugs.  $1 is its
      folder, and there are MMRACE_SIGNATURE, _STATE (new, came-back), _TITLE,
      _ORACLE, _RULE, _PROGRAM, _VARIANT, _ERA, _ENGINE, _SEED, _STORE,
      _COMMAND (has it again), _FOLDER ("": it could not be saved).  At most
      {AT_ONCE} at once, each for {LIMIT_SECONDS:g} s at most; how it ended, and its last words,
      are in the log.  With --resume it is run again for what the campaign had
      found before it was interrupted.
"""

path = click.Path(dir_okay=False)
options = shared.options(
    click.option("--junit", type=path, help="Write the result as JUnit XML."),
    click.option("--json", "json", type=path, help="Write the result as JSON."),
    click.option("--on-finding", metavar="CMD", help="Run this for each new finding; see below."),
    click.option("--log", "log", type=path, help="Log as JSON lines to this file."),
    click.option("--log-rotation", metavar="WHEN", help=f"Begin a new log file: {ROTATIONS}."),
    click.option("--log-retention", metavar="HOW", help=f"Keep so many log files, or so long: {RETENTIONS}."),
)


@dataclass(slots=True)
class Outputs:
    """What was asked for.  `failed`: a file could not be written in the end."""

    junit: str | None = None
    json: str | None = None
    on_finding: str | None = None
    log: str | None = None
    log_rotation: str | None = None
    log_retention: str | None = None
    failed: bool = False
    _command: OnFinding | None = field(default=None, init=False)

    @classmethod
    def taken(cls, options: dict[str, Any]) -> Outputs:
        """Take them out of a command's options, see that all can be written, and begin the log.  Raises UsageError."""
        made = cls(**{name: options.pop(name) for name in OPTIONS})
        made._check()
        return made

    def observer(self, shown: Observer, store: Path, ledger: Ledger | None = None, resumed: str = "") -> Observer:
        """Return who is told what happens: who shows it, and whoever else was asked for.

        Args: ledger: says what was found before; None: the folders of findings alone do.  resumed: the campaign that
        goes on, if one does.
        """
        if self.on_finding is not None:
            self._command = OnFinding(
                self.on_finding, store, _before(ledger, resumed), since=began(resumed) if resumed else None
            )
        return Several([shown, Heartbeat(), *([self._command] if self._command is not None else [])])

    def going_on(self) -> AbstractContextManager[None]:
        """Return a block in which what runs beside the campaign goes on though no run is made."""
        return self._command.going_on() if self._command is not None else nullcontext()

    def write(self, result: CampaignResult) -> None:
        """Write the files."""
        for name, option, path in self._files():
            try:
                with shared.writing(name, option, path):
                    files.write_whole(path, _text(option, result))
            except UsageError as error:
                self.failed = True
                terminal.complain(f"mmrace: {error}")

    def close(self, result: CampaignResult) -> int:
        """Wait for what runs beside the campaign; return the exit code."""
        if self._command is not None:
            try:
                with stops.interruptible():
                    self._command.close(at_once=bool(result.interrupted))
            except KeyboardInterrupt as error:
                return EXIT_SIGNALLED + stops.number_of(error)
        return EXIT_USAGE if self.failed and result.exit_code < EXIT_SIGNALLED else result.exit_code

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, *_: object) -> None:
        """End what still runs beside a campaign that did not come to its end."""
        if self._command is not None:
            self._command.end()

    def _files(self) -> Iterator[tuple[str, str, str]]:
        if self.junit is not None:
            yield "JUnit", "--junit", self.junit
        if self.json is not None:
            yield "JSON", "--json", self.json

    def _check(self) -> None:
        if self.on_finding is not None and not self.on_finding.strip():
            raise UsageError(
                expected="a command", got=self.on_finding, where="--on-finding", try_="--on-finding ./tell"
            )
        for option, value, needs, had in (
            ("--log-rotation", self.log_rotation, "--log FILE", self.log),
            ("--log-retention", self.log_retention, "--log-rotation WHEN", self.log_rotation),
        ):
            if value is not None and had is None:
                raise UsageError(expected=needs, got="none", where=option, try_=f"{needs} {option} {value!r}")
        self._check_apart()
        for name, option, path in self._files():
            with shared.writing(name, option, path):
                files.try_writing(path)
        if self.log is not None:
            with shared.writing("log", "--log", self.log):
                log_to(self.log, self.log_rotation, self.log_retention)

    def _check_apart(self) -> None:
        """Raise UsageError if two of them are one file: the later one would be all that is left."""
        names = {**{option: path for _, option, path in self._files()}, **({"--log": self.log} if self.log else {})}
        there: dict[str, str] = {}
        for option, path in names.items():
            real = os.path.realpath(path)
            if real in there and not _is_stream(real):
                raise UsageError(
                    expected="files of their own", got=path, where=f"{there[real]} and {option}", try_="two names"
                )
            there[real] = option


OPTIONS = ("junit", "json", "on_finding", "log", "log_rotation", "log_retention")


def _before(ledger: Ledger | None, resumed: str) -> dict[Whose, State]:
    """Return the findings that a ledger knows from other campaigns than the one that goes on."""
    if ledger is None:
        return {}
    index = ledger.index()
    own = {met.whose for met in index.mets(resumed)} if resumed else set()
    found: dict[Whose, State] = {}
    for life in index.lives():
        key = life.met.whose
        back = key in own and life.state == "came-back"  # perhaps in this very campaign
        if not resumed or life.met.campaign != resumed:
            found[key] = "unseen" if back else life.state
    return found


def _is_stream(path: str) -> bool:
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _text(option: str, result: CampaignResult) -> Iterator[str]:
    """Return what goes into a file."""
    if option == "--junit":
        from mmrace.report import junit  # noqa: PLC0415  # it needs an XML library

        return junit.text(result)
    from mmrace.report import campaign_data  # noqa: PLC0415

    return campaign_data.text(result)
