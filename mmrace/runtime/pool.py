"""Worker threads, kept between runs.

A run needs a thread for each of its tasks, a device completion included; starting one costs more than most runs' ops.
Invariant: a worker is either idle in the pool or runs one job; a job's exceptions are the job's own business (engines
catch all), and a worker that is asked to stop has ended.  One that is left behind (`leftover.py`) ends with its job.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from mmrace.runtime import leftover, threads

Job = Callable[[], Any]
"""What a worker does.  It returns a lock that the worker is to release when it is idle again, or None."""

_idle: list[Worker] = []
_all: list[Worker] = []
_mutex = threading.Lock()


class Worker(threading.Thread):
    """One kept thread.  While it has nothing to do it is parked on the locked lock `wake`."""

    def __init__(self, number: int) -> None:
        super().__init__(name=f"mmrace-{number}", daemon=True)
        self.wake = threading.Lock()
        self.wake.acquire()
        self.job: Job | None = None
        self.left = False

    def run(self) -> None:
        """Do jobs until told to stop."""
        while True:
            self.wake.acquire()
            job, self.job = self.job, None
            if job is None:
                return
            then = job()
            del job
            if self.left:
                leftover.back()
                _all.remove(self)
                if then is not None:
                    then.release()
                return
            _idle.append(self)  # before `then` is released: that may begin the next run, which finds it here
            if then is not None:
                then.release()
                del then


def _take() -> Worker:
    """Return an idle worker, or a new one.  Raises MachineError."""
    try:
        return _idle.pop()
    except IndexError:
        with _mutex:
            worker = Worker(len(_all))
            threads.start(worker)
            _all.append(worker)
        return worker


def start(job: Job) -> Any:
    """Give `job` to a worker; return the locked lock whose release makes the worker begin.

    The job may park on that lock as well: it belongs to the worker.  Raises MachineError if there is no worker.
    """
    worker = _take()
    worker.job = job
    return worker.wake


def ident_of(wake: Any) -> int | None:
    """Return the ident of the worker that has this lock."""
    return next((worker.ident for worker in list(_all) if worker.wake is wake), None)


def leave(ident: int) -> None:
    """Leave a busy worker behind: it does no further job."""
    for worker in _all:
        if worker.ident == ident:
            worker.left = True
            leftover.leave(ident)


def pool_size() -> int:
    """Return how many kept threads there are, busy or idle."""
    return len(_all)


def native_ids() -> set[int]:
    """Return the operating system's ids of the kept threads."""
    return {worker.native_id for worker in list(_all) if worker.native_id is not None}


def drain() -> int:
    """Stop every idle worker; return how many threads of the pool are still alive (busy ones)."""
    while _idle:
        worker = _idle.pop()
        worker.job = None
        worker.wake.release()
        worker.join()
        with _mutex:
            _all.remove(worker)
    return len(_all)
