"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import errno
import math
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import click
from click.core import ParameterSource

from mmrace import installed
from mmrace.runs import functions, named, stops
from mmrace.runs.spec import LoadedFile, RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.search.campaign.request import CONVERT_SECONDS
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.catalogue import Catalogue, FunctionEntry
from mmrace.search.explore.result import Exploration
from mmrace.search.minimise.findings import SECONDS, Found, minimise_kept
from mmrace.search.pool.contract import ConvertFunction

FOLDER = ".mmrace"
OFF = "off"
SECONDS_OF = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?){unit})?" for unit in SECONDS_OF))
NUMBER = re.compile(r"\d+(?:\.\d+)?")

OF_PROGRAM = ("variant", "era", "workload")
"""Options that say which program is meant, beside its parameters; none of them is a function's."""

HELPS = {
    errno.EPIPE: "a reader that reads to the end, or a file",
    errno.ENOSPC: "a file where there is room",
    errno.ELOOP: "the file itself instead of a link",
    errno.ENAMETOOLONG: "a shorter name",
}
"""What to do about a file that cannot be written, by its error number."""

Command: TypeAlias = Callable[..., Any]

engine = click.Choice(["free", "gate", "fiber"])
controlled = click.Choice(["gate", "fiber"])


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Return seconds for 90, 60s, 10m, 8h30m or 1d."""
    if value is None:
        return None
    match = DURATION.fullmatch(value if not NUMBER.fullmatch(value) else f"{value}s")
    parts = match.groupdict(default="0") if match else {}
    seconds = sum(float(number) * SECONDS_OF[unit] for unit, number in parts.items())
    if not 0 < seconds < math.inf:
        raise UsageError(
            expected="a duration",
            got=value,
            where=param.opts[0],
            try_="60s, 10m, 8h30m or 1d",
        )
    return seconds


def searched(ctx: click.Context, param: click.Parameter, value: str) -> float | None:
    """Return seconds, None for "off"."""
    if value == OFF:
        return None
    try:
        return duration(ctx, param, value)
    except UsageError as error:
        got, try_ = error.got, f"10s, 2m, or {OFF}"
        raise UsageError(expected=f"a duration, or {OFF}", got=got, where="--convert", try_=try_) from error


def converter(seconds: float | None) -> ConvertFunction | None:
    """Return who makes findings of free threads again under control.  Args: seconds: of search; None: nobody does."""
    return None if seconds is None else partial(installed.convert, seconds=seconds)


def _minimise(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Return seconds, 0 for "off"."""
    return 0.0 if value == OFF else duration(ctx, param, value) or 0.0


def folder(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Try to write where findings will go, before any is made: into the folder, or into what it will be made in."""
    findings = Path(value, "findings").absolute()
    try:
        there = next(place for place in (findings, *findings.parents) if place.exists())
        with tempfile.TemporaryDirectory(dir=there) as trial:
            Path(trial, "trial").write_bytes(b"x")
    except OSError as error:
        raise UsageError(
            expected="a folder that can be written",
            got=value,
            where=f"--store: {error.strerror}",
            try_="--store FOLDER",
        ) from error
    return value


def load(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[LoadedFile, ...]:
    """Load the files before anything names what they add."""
    return installed.MAKERS.load(map(LoadedFile, value))


def options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds these options, in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


loads = click.option(
    "--load",
    multiple=True,
    metavar="FILE",
    callback=load,
    is_eager=True,
    help="A Python file with a scenario, a planted bug, a judge or a strategy; loaded first, in each process.",
)
program = options(
    click.option("--variant", default="", help="A planted bug instead of the correct protocol."),
    click.option("--era", default="", help="The kernel model as it was in another era; see `mmrace list eras`."),
    click.option("--without", multiple=True, metavar="JUDGE", help="Switch a judge off."),
    click.option("--workload", help="A recorded workload: a file, or a name."),
    click.option("--param", "params", multiple=True, metavar="KEY=VALUE", help="A parameter of the program."),
    loads,
)
convert = click.option(
    "--convert",
    metavar="TIME",
    default=f"{CONVERT_SECONDS:g}s",
    show_default=True,
    callback=searched,
    help="Make each new finding of free threads again under control: follow its record, then search so long; or off.",
)
seed = click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Run i depends on this and i only."
)
many = options(
    click.option("--for", "seconds", metavar="TIME", callback=duration, help="How long: 60s, 10m, 8h30m, 1d."),
    click.option("--jobs", type=click.IntRange(1), help="Worker processes; as many as cores by default."),
    click.option("--quiet", is_flag=True, help="Findings and the verdict only."),
    click.option(
        "--store",
        "folder",
        metavar="DIR",
        default=FOLDER,
        callback=folder,
        show_default=True,
        help="The folder that keeps what is found, and of campaigns what was run.",
    ),
)

minimising = click.option(
    "--minimise",
    "minimise",
    metavar="TIME",
    callback=_minimise,
    default=f"{SECONDS:g}s",
    show_default=True,
    help="How long each finding may be made smaller afterwards, all three times that; off: not at all.",
)


@contextmanager
def writing(what: str, option: str, path: str) -> Iterator[None]:
    """Say of a file that cannot be written which one, why, and what helps.  Raises UsageError in place of OSError."""
    try:
        yield
    except OSError as error:
        other = error.filename if error.filename != path else None  # the folder that it was to be in
        got = f"{error.strerror}: {other}" if error.strerror and other else error.strerror or str(error)
        where, try_ = (
            f"{option} {path or repr(path)}",
            HELPS.get(error.errno or 0, f"{option} FILE, in your own folder"),
        )
        raise UsageError(expected=f"a {what} file that can be written", got=got, where=where, try_=try_) from error


def is_given(name: str) -> bool:
    """Say whether the call itself names an option or argument."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def refuse_under_free(engine: str | None) -> None:
    """Raise UsageError if the call names who chooses, and an engine under which nobody does."""
    context = click.get_current_context()
    for name in ("strategy", "promote"):
        if engine == "free" and is_given(name):
            raise UsageError(
                expected=f"no --{name} under --engine free, where nobody chooses who goes next",
                got=context.params[name],
                where=f"--{name}",
                try_="--engine fiber, or --engine gate",
            )


def known(names: Collection[str], options: Mapping[str, Any]) -> Catalogue:
    """Return the catalogue of this installation, with the functions among `names`.

    Raises UsageError, also for options that no function has.
    """
    known = installed.catalogue()
    entries = {}
    for name in names:
        named.refuse_file(name)
    for name in filter(named.is_function, names):
        spec = RunSpec(name, maker=functions.KIND, **{key: options[key] for key in OF_PROGRAM})
        program = functions.FunctionMaker().program(spec)
        entries[name] = FunctionEntry(name, named.declared(name, program.function), program.digest)
    return replace(known, scenarios={**known.scenarios, **entries})


def minimise_found(
    result: CampaignResult | Exploration, seconds: float, tell: Callable[[str], None] = lambda text: None
) -> None:
    """Make what was found smaller, unless the search was told to end.

    Args: seconds: for each; 0: not at all.  tell: is told what is being done, in a line.
    """
    if not seconds or result.interrupted:
        return
    try:
        with stops.interruptible():
            health = result.health()
            kept = {name: Found(hit.saved, result.rarity(name), health) for name, hit in result.hits.items()}
            result.minimal = minimise_kept(kept, installed.MAKERS, seconds, tell=tell)
    except KeyboardInterrupt as error:
        result.interrupted = stops.number_of(error)
