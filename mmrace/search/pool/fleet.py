"""Where far workers are, and the connection to them as Dask has it; a cluster of this machine, if that is asked for.

Dask is imported here and in `far_link.py`, and only when a fleet is used.  Dask trusts its network: whoever reaches the
scheduler can have any code executed by workers and by the client.  Not here: what workers do.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmrace.runtime.errors import EXIT_UNKNOWN, MmraceError, UsageError

if TYPE_CHECKING:
    from distributed import Client, LocalCluster
    from distributed.security import Security

LOCAL = "local:"
INSTALL = 'pip install "mmrace[dask]"'
HERE = "127.0.0.1"
CONNECT_SECONDS = 10.0
SILENT = logging.CRITICAL + 1
BATCH_SECONDS = 0.5
"""How long a batch should last: what it costs to send through two processes more is lost in that."""
DEPTH = 3
"""Batches that are out per thread of a worker: one is made, one waits there, one is on its way."""
DEATHS_MAX = 3
"""Workers that a batch may take with it before it is looked at run by run; a cluster of its own counts so, another as
its `distributed.scheduler.allowed-failures` says, which is one more by default."""

LOCAL_CONFIG: dict[str, Any] = {
    "distributed.scheduler.worker-ttl": "120s",
    "distributed.worker.profile.enabled": False,  # a hundred looks a second at a thread that waits
    "distributed.admin.low-level-log-length": 1000,  # what it keeps of the past is memory that grows for hours
    "distributed.admin.log-length": 1000,
    "distributed.admin.tick.interval": "1s",  # else each process wakes up fifty times a second
    "distributed.admin.tick.limit": "1m",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.event-loop": "asyncio",
}


class FleetGone(MmraceError):
    """There is no scheduler any more, or no worker; what was found is kept, the rest can be made again."""

    exit_code = EXIT_UNKNOWN


@dataclass(frozen=True, slots=True)
class Fleet:
    """Far workers: those of a scheduler, or so many on this machine.

    `tls`: files of the authority, the certificate and the key; None: what Dask's own configuration says.
    """

    address: str = ""
    local: int = 0
    tls: tuple[str, str, str] | None = None

    @property
    def name(self) -> str:
        """How it was asked for."""
        return self.address or f"{LOCAL}{self.local}"


def check_installed() -> None:
    """Raise UsageError if Dask is not there."""
    try:
        import distributed  # noqa: F401, PLC0415
    except ImportError as error:
        raise UsageError(expected="Dask", got=str(error), where="--dask", try_=INSTALL) from error


def quiet() -> None:
    """Have Dask say nothing by itself: what matters is told in our words, where a person looks for it."""
    import distributed  # noqa: F401, PLC0415  (which sets levels)

    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(SILENT)


def security(fleet: Fleet) -> Security | None:
    """Return what a connection is to be secured with.  Raises UsageError."""
    from distributed.security import Security  # noqa: PLC0415

    if fleet.tls is None:
        return None
    for file in fleet.tls:
        if not os.path.isfile(file):
            raise UsageError(
                expected="a file that exists", got=file, where="--dask-tls", try_="--dask-tls CA.pem,CERT.pem,KEY.pem"
            )
    authority, certificate, key = fleet.tls
    return Security(tls_ca_file=authority, tls_client_cert=certificate, tls_client_key=key, require_encryption=True)


async def connected(address: str, secured: Security | None) -> Client:
    """Connect to a scheduler.  Raises OSError if there is none."""
    made: Any = _client_class()(
        address, asynchronous=True, security=secured, timeout=CONNECT_SECONDS, set_as_default=False, name="mmrace"
    )
    try:
        client: Client = await made
    except BaseException:
        with contextlib.suppress(Exception):  # else it does so when nobody waits for it any more
            await made.close(timeout=1.0)
        raise
    return client


def _client_class() -> type[Client]:
    """Return a client whose orders leave nothing behind: of each, a scheduler keeps which kind of call it was.

    What it calls is Dask's own affair: where that is called otherwise one day, this does nothing.
    """
    from distributed import Client  # noqa: PLC0415

    class Forgetful(Client):  # type: ignore[misc]
        def _graph_to_futures(self, *args: Any, **kwargs: Any) -> Any:
            if "collections" in kwargs.get("span_metadata", ()):
                kwargs["span_metadata"] = {**kwargs["span_metadata"], "collections": []}
            return super()._graph_to_futures(*args, **kwargs)

    return Forgetful


async def started(count: int) -> LocalCluster:
    """Start a scheduler in this process, and so many workers of one thread each."""
    import dask  # noqa: PLC0415
    from distributed import LocalCluster  # noqa: PLC0415

    with dask.config.set(LOCAL_CONFIG):
        made: Any = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            asynchronous=True,
            host=HERE,
            dashboard_address=f"{HERE}:0",  # some port: a fixed one may be taken
            worker_dashboard_address=f"{HERE}:0",
            memory_limit=0,
            silence_logs=SILENT,
            scheduler_kwargs={"allowed_failures": DEATHS_MAX - 1},
        )
        cluster: LocalCluster = await made
    return cluster


def end(cluster: LocalCluster) -> None:
    """End the workers of a cluster that does not close in time, which is over with that."""
    from distributed.core import Status  # noqa: PLC0415

    cluster.status = Status.closed  # else it complains when it is collected
    for nanny in cluster.workers.values():
        pid = getattr(getattr(nanny, "process", None), "pid", None)
        if pid is not None:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def signals_blocked(numbers: tuple[signal.Signals, ...]) -> Iterator[None]:
    """Have this thread, and what it starts, not met by these signals: what the whole group gets is for its parent."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
