"""`--on-finding CMD`: a command of the user's own for each new finding of a campaign, run beside it.

`sh -c CMD` gets the facts in environment variables, and the folder of the finding as $1.  Invariant: whatever the
command does, the campaign goes on: nothing waits for it while runs are made, at most `AT_ONCE` are under way, each for
at most `LIMIT_SECONDS`; what it writes is read and forgotten but for the last words, and its end is logged.
Not run for what is known: what its program expects, what an earlier campaign of the store has found, planted bugs; but
run for what came back, after the store had taken it for gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from loguru import logger

from mmrace.runs.kept import UNDATED
from mmrace.runtime.visible import one_line
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.campaign.trial import CanaryTrial
from mmrace.search.ledger.life import State
from mmrace.search.totals import Hit, Whose

AT_ONCE = 2
"""Commands under way at the same time: they share the machine with the workers."""
LIMIT_SECONDS = 60.0
"""Mail and tickets take seconds; what hangs longer is ended, with all that it began."""
KILL_SECONDS = 1.0  # for a killed command to be gone
LEAVE_SECONDS = 5.0  # for those that are under way when somebody asked to stop
WORDS_MAX = 500  # characters of what a command wrote last
READ_BYTES = 1 << 16  # at once: what a pipe holds
LENGTH_MAX = 4096  # of a variable: a program's own title may be long, and an environment has a limit
POLL_SECONDS = 0.05
NAME = "mmrace-on-finding"
PREFIX = "MMRACE_"

Clock: TypeAlias = Callable[[], float]
NOTHING: Mapping[Whose, State] = MappingProxyType({})


class Command:
    """One command under way."""

    def __init__(self, words: str, hit: Hit, variables: Mapping[str, str], now: float) -> None:
        self.signature, self.began = hit.finding.signature, now
        self._last = b""
        arguments = [variables["MMRACE_FOLDER"]] if variables["MMRACE_FOLDER"] else []
        self.process = subprocess.Popen(
            ["sh", "-c", words, NAME, *arguments],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)

    def ended(self, now: float) -> bool:
        """Read what it wrote, end it if its time is up, and say whether it has ended."""
        self._read()
        code = self.process.poll()
        if code is None and now - self.began < LIMIT_SECONDS:
            return False
        self.end("" if code is not None else f"ended after {LIMIT_SECONDS:g} s, its limit")
        return True

    def end(self, why: str) -> None:
        """Take note of its end.  Args: why: it is ended now; "": it has ended by itself."""
        if why:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self._read()
        try:
            code = self.process.wait(0 if not why else KILL_SECONDS)
        except subprocess.TimeoutExpired:  # it hangs in the kernel
            code = -signal.SIGKILL
        assert self.process.stdout is not None
        self.process.stdout.close()
        words = self._last.decode(errors="replace").strip()[-WORDS_MAX:]
        how = why or (f"exit code {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}")
        told = logger.bind(event="on-finding", signature=self.signature, exit_code=code, words=words)
        told.log("INFO" if not code else "ERROR", "--on-finding for {}: {}{}", self.signature, how, _last_line(words))

    def _read(self) -> None:
        """Take what the pipe holds, and no more: it may write for ever."""
        assert self.process.stdout is not None
        with contextlib.suppress(BlockingIOError):
            self._last = (self._last + os.read(self.process.stdout.fileno(), READ_BYTES))[-4 * WORDS_MAX :]


class OnFinding:
    """Runs a command for each new finding: an `Observer` of a campaign.

    Args: words: the command, as a shell reads it.  store: of the campaign.  before: findings that its ledger knows, by
    owner, and in which state.  clock: monotonic seconds.  since: when a campaign began that goes on now, in unix
    seconds: it is run for what that had found too, since nobody knows whether it was; rather twice than never.
    """

    def __init__(
        self,
        words: str,
        store: Path,
        before: Mapping[Whose, State] = NOTHING,
        clock: Clock = time.monotonic,
        since: float | None = None,
    ) -> None:
        self.words, self.store, self.before, self.clock = words, store, before, clock
        began = datetime.now(UTC) if since is None else datetime.fromtimestamp(since, UTC)
        self.since = began.isoformat(timespec="seconds")
        self._goes_on = since is not None
        self._told: set[Whose] = set()
        self._waiting: deque[tuple[Hit, State]] = deque()
        self._under_way: list[Command] = []

    def found(self, hit: Hit) -> None:
        """Have the command run for a finding, if that is new."""
        state = self._state(hit)
        if state != "known" and hit.whose not in self._told:
            self._told.add(hit.whose)
            self._waiting.append((hit, state))
            self.go_on()

    def canary(self, trial: CanaryTrial) -> None:
        """Do nothing: it was planted."""

    def progress(self, result: CampaignResult) -> None:
        """Begin what waits, and see what has ended."""
        if self._goes_on:
            self._goes_on = False
            for hit in result.hits.values():
                self.found(hit)
        self.go_on()

    def go_on(self) -> None:
        """Begin what waits, and see what has ended; called some times a second."""
        now = self.clock()
        self._under_way = [command for command in self._under_way if not command.ended(now)]
        while self._waiting and len(self._under_way) < AT_ONCE:
            self._begin(*self._waiting.popleft(), now)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Begin what waits, and see what has ended, while this thread does something long that never asks."""
        over = threading.Event()

        def turn() -> None:
            while not over.wait(POLL_SECONDS):
                self.go_on()

        thread = threading.Thread(target=turn, name=NAME, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def close(self, *, at_once: bool = False) -> None:
        """Wait for what is left, at most the limit of one; then end it.  Args: at_once: somebody asked to stop."""
        stop = self.clock() + (LEAVE_SECONDS if at_once else LIMIT_SECONDS)
        try:
            self.go_on()
            while self._under_way and self.clock() < stop:
                time.sleep(POLL_SECONDS)
                self.go_on()
        finally:  # Ctrl-C too
            self.end()

    def end(self) -> None:
        """End what is left."""
        for command in self._under_way:
            command.end("ended, for the campaign has ended")
        self._under_way = []
        if self._waiting:
            logger.bind(event="on-finding").error("--on-finding was not run for {} findings", len(self._waiting))
            self._waiting.clear()

    def _state(self, hit: Hit) -> State:
        """Return whether a finding is new, known before this campaign began, or came back."""
        before = self.before.get(hit.whose)
        if hit.known:
            return "known"
        if before is not None:
            return "came-back" if before == "unseen" else "known"
        since = hit.saved.since  # another worker of this campaign may have been first
        return "known" if since and (since == UNDATED or since < self.since) else "new"

    def _begin(self, hit: Hit, state: State, now: float) -> None:
        try:
            self._under_way.append(Command(self.words, hit, variables(hit, state, self.store), now))
        except OSError as error:
            logger.bind(event="on-finding", signature=hit.finding.signature).error(
                "--on-finding for {} could not be started: {}", hit.finding.signature, error
            )


def variables(hit: Hit, state: State, store: Path) -> dict[str, str]:
    """Return the facts of a finding as environment variables.  MMRACE_FOLDER is "" for one that could not be saved."""
    finding, spec = hit.finding, hit.spec
    facts = {
        "SIGNATURE": finding.signature,
        "STATE": state,
        "ORACLE": finding.oracle,
        "RULE": finding.rule,
        "TITLE": one_line(finding.title),
        "FOLDER": os.path.abspath(hit.saved.folder) if hit.saved.folder else "",
        "STORE": os.path.abspath(store),
        "PROGRAM": spec.program,
        "VARIANT": spec.variant,
        "ERA": spec.era,
        "ENGINE": spec.engine,
        "SEED": str(spec.seed),
        "COMMAND": hit.command,
    }
    return {PREFIX + name: _of_environment(text) for name, text in facts.items()}


def _of_environment(text: str) -> str:
    """Return a text that an environment takes: without zero bytes, not endless, of letters that have bytes."""
    try:
        raw = os.fsencode(text)
    except UnicodeEncodeError:
        raw = text.encode("utf-8", "backslashreplace")
    return os.fsdecode(raw.replace(b"\0", rb"\0")[:LENGTH_MAX])


def _last_line(words: str) -> str:
    return f": {words.splitlines()[-1]}" if words else ""
