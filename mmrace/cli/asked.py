"""What a call of `mmrace stress` asks for: a campaign of its own, or one that was interrupted, to go on with.

Invariant: whatever the call names that an interrupted campaign did otherwise is refused; so is a file that changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import click

from mmrace import installed
from mmrace.cli import options as shared
from mmrace.runs import named
from mmrace.runs.spec import LoadedFile
from mmrace.runtime.errors import UsageError
from mmrace.scenarios.workload import Workload
from mmrace.search.campaign import resuming
from mmrace.search.campaign.request import Request, complete, workers
from mmrace.search.campaign.standing import SHARDS_MAX, Standing
from mmrace.search.catalogue import Catalogue
from mmrace.search.explore.ask import check_judges
from mmrace.search.ledger.ledger import Ledger
from mmrace.strategies import registry


def _shard(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Return (i, n) for "i/n"."""
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", value)
    i, n = map(int, match.groups()) if match else (0, 0)
    if not 1 <= i <= n <= SHARDS_MAX:
        raise UsageError(
            expected=f"I/N, I from 1 to N and N at most {SHARDS_MAX}", got=value, where="--shard", try_="--shard 1/4"
        )
    return i, n


options = shared.options(
    click.option("--resume", is_flag=True, help="Go on with the store's last campaign that was interrupted."),
    click.option(
        "--shard",
        metavar="I/N",
        callback=_shard,
        help="Be the I-th of N campaigns with runs of their own, that share the planted bugs; --for and --runs are "
        "each one's own. `mmrace merge` puts their stores together.",
    ),
)


@dataclass(frozen=True, slots=True)
class Call:
    """A call.  `jobs` 0: as many as there are cores.  `options`: the others that a request has."""

    scenarios: tuple[str, ...]
    params: tuple[str, ...]
    jobs: int
    canaries: bool
    options: Mapping[str, Any]

    def request(self, scenarios: tuple[str, ...] = ()) -> tuple[Request, Catalogue]:
        """Return what it asks for, and what there is.  Args: scenarios: if it names none.  Raises UsageError."""
        scenarios, options = self.scenarios or scenarios, self.options
        shared.refuse_under_free(options["engine"])
        registry.check(options["strategy"])
        known = shared.known(scenarios, options)
        only_functions = bool(scenarios) and all(map(named.is_function, scenarios))
        canaries = self.canaries and not only_functions  # they are planted in the kernel model
        anew = shared.is_given("seed")
        asked = Request(scenarios, jobs=self.jobs, canaries=canaries, anew=anew, **options)
        request = complete(known, asked, self.params)
        check_judges(request.without, [oracle.name for oracle in known.oracles])
        if request.workload is not None:
            Workload.load(request.workload)
        return request, known

    def resumed(self, ledger: Ledger) -> tuple[Request, Catalogue, Standing]:
        """Return what an interrupted campaign was asked, what there is, and where it stood.  Raises UsageError."""
        where = f"--store {ledger.folder}"
        row, begun = resuming.last_interrupted(ledger, self.options["shard"])
        request = resuming.request_of(begun, where)
        load = installed.MAKERS.load(LoadedFile(file.path) for file in request.load)
        known = shared.known(request.scenarios, {name: getattr(request, name) for name in shared.OF_PROGRAM})
        resuming.check_files(request, begun, known, load, where)
        given = sorted(name for name in resuming.OPTIONS if shared.is_given(PARAMETERS.get(name, name)))
        if given:
            asked, _ = self.request(request.scenarios)
            resuming.check_given({name: getattr(asked, name) for name in given}, request, begun)
        return replace(request, jobs=workers(self.jobs)), known, resuming.standing_of(ledger, row, begun)


PARAMETERS = {"canaries": "no_canaries"}
"""Field of a request -> the option that says it, where that has another name."""
