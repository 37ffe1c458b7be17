"""The alarm of pytest-timeout, heard in the middle of a run.

Its handler raises wherever the process is: in a task of a run, most of the time, whose exception would be a finding of
that task, and the exploration would go on.  Here it is raised as an interrupt, which ends the run and the exploration;
what the handler raised comes out at the end of the block.  Not here: its method `thread`, which ends the process.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from mmrace.api.exploring import Interrupted


class Rang(KeyboardInterrupt):
    """The alarm went off."""


@contextmanager
def heard() -> Iterator[None]:
    """For the length of the block, let the alarm end what runs.  Raises what its handler raises."""
    before = signal.getsignal(signal.SIGALRM)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    rang: list[BaseException] = []

    def ring(number: int, frame: FrameType | None) -> None:
        try:
            before(number, frame)
        except BaseException as error:
            rang.append(error)
            raise Rang from None

    signal.signal(signal.SIGALRM, ring)
    try:
        yield
    except KeyboardInterrupt as error:
        if rang:
            _raise(rang[0], error)
        raise
    finally:
        if signal.getsignal(signal.SIGALRM) is ring:
            signal.signal(signal.SIGALRM, before)


def _raise(rang: BaseException, interrupt: KeyboardInterrupt) -> NoReturn:
    """Raise what the handler did, and say how far the exploration was."""
    message = getattr(rang, "msg", None)
    if isinstance(interrupt, Interrupted) and isinstance(message, str):
        so_far = interrupt.so_far
        rang.msg = f"{message}; mmrace had judged {so_far.schedules} schedules until then: {so_far.verdict}"  # type: ignore[attr-defined]
    raise rang from None
