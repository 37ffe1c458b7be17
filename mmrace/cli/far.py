"""The options `--dask` and `--dask-tls`: who makes runs, if not processes of this machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple

import click

from mmrace.cli.options import options
from mmrace.runtime.errors import UsageError
from mmrace.search.pool.contract import Pool
from mmrace.search.pool.drive import Pace
from mmrace.search.pool.fleet import BATCH_SECONDS, LOCAL, Fleet, check_installed
from mmrace.search.pool.making import Making, PoolFactory

JOBS_MAX = 64
FORMS = f"{LOCAL}2, for two workers of this machine; or tcp://HOST:8786, as `dask scheduler` says it"


class Far(NamedTuple):
    """What a campaign or an exploration is told of it; nothing, if that was not asked for.

    `jobs`: how many workers there will be, as far as is known before.
    """

    pool: PoolFactory | None = None
    pace: Pace | None = None
    jobs: int | None = None


def _fleet(ctx: click.Context, param: click.Parameter, value: str | None) -> Fleet | None:
    """Return the fleet that is meant."""
    if value is None:
        return None
    number = value.removeprefix(LOCAL)
    if value.startswith(LOCAL) and number.isascii() and number.isdigit() and 1 <= int(number) <= JOBS_MAX:
        return Fleet(local=int(number))
    host, _, port = value.removeprefix("tcp://").removeprefix("tls://").rpartition(":")
    if value.startswith(LOCAL) or not host or not port.isdigit():
        raise UsageError(
            expected=f"a scheduler, or 1 to {JOBS_MAX} workers here", got=value, where="--dask", try_=FORMS
        )
    return Fleet(value)


def _tls(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, str, str] | None:
    """Return the three files of --dask-tls."""
    if value is None:
        return None
    files = value.split(",")
    if len(files) != 3 or not all(files):
        raise UsageError(
            expected="three files: of the authority, the certificate, the key",
            got=value,
            where="--dask-tls",
            try_="--dask-tls CA.pem,CERT.pem,KEY.pem",
        )
    return files[0], files[1], files[2]


far = options(
    click.option(
        "--dask",
        metavar="ADDRESS",
        callback=_fleet,
        help="Have the runs made by the workers of this Dask scheduler, or by local:N workers; they need this mmrace "
        "and the same files. Dask trusts its network: whoever reaches the scheduler can run any code there, and here.",
    ),
    click.option("--dask-tls", metavar="CA,CERT,KEY", callback=_tls, help="Files that secure the connection to it."),
)


def of(fleet: Fleet | None, tls: tuple[str, str, str] | None, jobs: int | None) -> Far:
    """Return who makes the runs.  Args: jobs: as --jobs has them.  Raises UsageError."""
    if fleet is None:
        if tls is not None:
            raise UsageError(expected="--dask beside it", got=",".join(tls), where="--dask-tls", try_=f"--dask {FORMS}")
        return Far(jobs=jobs)
    if jobs is not None:
        raise UsageError(
            expected="no --jobs with --dask: as many as there are workers", got=jobs, where="--jobs", try_="no --jobs"
        )
    if fleet.local and tls is not None:
        raise UsageError(
            expected=f"an address with --dask-tls; {LOCAL}N listens on this machine only",
            got=fleet.name,
            where="--dask",
            try_="no --dask-tls",
        )
    check_installed()
    return Far(partial(_pool, Fleet(fleet.address, fleet.local, tls)), Pace(BATCH_SECONDS), fleet.local or None)


def _pool(fleet: Fleet, making: Making) -> AbstractContextManager[Pool]:
    from mmrace.search.pool.far import FarPool  # noqa: PLC0415  (what it needs is imported only when it is asked for)

    return FarPool(fleet, making)
