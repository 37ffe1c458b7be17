"""The command line: parsing and calling only.

Invariant: every way out has the exit code of `runtime/errors.py`; loguru gets its sinks here, never at import.
Not here: what a campaign does (`search/`), what its result looks like (`report/`).
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import click
from loguru import logger
from rich.console import Console

from mmrace import __version__, installed
from mmrace.claims import driver as claims_
from mmrace.report import campaign as campaign_report
from mmrace.report import claims as claims_report
from mmrace.report import events, lists, progress, single
from mmrace.report import explore as explore_report
from mmrace.report.finding import summary_text
from mmrace.runs import functions, loading, named, strategy_of
from mmrace.runs.follow import with_sites
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import (
    EXIT_FAIL,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_PASS,
    EXIT_UNKNOWN,
    EXIT_USAGE,
    MmraceError,
    UsageError,
)
from mmrace.runtime.record import Record
from mmrace.scenarios.workload import Workload
from mmrace.search.campaign.driver import Campaign
from mmrace.search.campaign.request import Request, checked
from mmrace.search.catalogue import Catalogue, FunctionEntry
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.driver import Explorer
from mmrace.search.options import Options
from mmrace.search.pool.cores import cores
from mmrace.strategies.registry import is_systematic

EXIT_OF = {"PASS": EXIT_PASS, "FAIL": EXIT_FAIL, "UNKNOWN": EXIT_UNKNOWN}
FOLDER = ".mmrace"
SECONDS_OF = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
EXPLORE_SECONDS = 10.0
PLAIN_WIDTH = 120  # where there is no terminal to ask

Command: TypeAlias = Callable[..., Any]

_engine = click.Choice(["free", "gate", "fiber"])
_controlled = click.Choice(["gate", "fiber"])


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Return seconds for 90, 60s, 10m or 2h."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", value)
    if match is None or float(match[1]) <= 0:
        raise UsageError(expected="a duration", got=value, where="--for", try_="60s, 10m or 2h")
    return float(match[1]) * SECONDS_OF[match[2]]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
@click.option("--verbose", is_flag=True, help="Log progress to stderr, not only warnings.")
def cli(verbose: bool) -> None:
    """Race the page-migration protocol of Linux v3.3 against itself, and judge what happens."""
    logger.remove()
    logger.enable("mmrace")
    logger.add(_stderr, level="INFO" if verbose else "ERROR", format="{level.name}: {message}")


def _stderr(message: str) -> None:
    sys.stderr.write(message)  # looked up each time: a live display puts itself in between


def _console() -> Console:
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width)


def _load(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Load the files before anything names what they register."""
    loading.load(value)
    return value


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds these options, in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


_loads = click.option(
    "--load",
    multiple=True,
    metavar="FILE",
    callback=_load,
    is_eager=True,
    help="A Python file that registers strategies; loaded first, here and in each worker.",
)
_program = _options(
    click.option("--variant", default="", help="A planted bug instead of the correct protocol."),
    click.option("--workload", help="A recorded workload: a file, or a name."),
    click.option("--param", "params", multiple=True, metavar="KEY=VALUE", help="A parameter of the program."),
    _loads,
)
_seed = click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Run i depends on this and i only."
)
_many = _options(
    click.option("--for", "seconds", metavar="TIME", callback=_duration, help="How long: 60s, 10m, 2h."),
    click.option("--jobs", type=click.IntRange(1), help="Worker processes; as many as cores by default."),
    click.option("--quiet", is_flag=True, help="Findings and the verdict only."),
    click.option("--dir", "folder", default=FOLDER, show_default=True, help="Where findings go."),
)


def _known(names: Collection[str], options: Mapping[str, Any]) -> Catalogue:
    """Return the catalogue of this installation, with the functions among `names`.

    Raises UsageError, also for options that no function has.
    """
    known = installed.catalogue()
    entries = {}
    for name in names:
        named.refuse_file(name)
    for name in filter(named.is_function, names):
        spec = RunSpec(name, maker=functions.KIND, variant=options["variant"], workload=options["workload"])
        program = functions.FunctionMaker().program(spec)
        entries[name] = FunctionEntry(name, named.declared(name, program.function), program.digest)
    return replace(known, scenarios={**known.scenarios, **entries})


@cli.command()
@click.argument("scenarios", nargs=-1)
@click.option("--runs", type=click.IntRange(1), help="How many runs, instead of how long.")
@_seed
@click.option("--noise", help="One noise profile instead of all in turn.")
@click.option("--engine", type=_engine, help="One engine instead of a mix.")
@click.option("--strategy", default="portfolio", show_default=True, help="Who goes next under gate and fiber.")
@click.option("--log", "log_file", type=click.Path(dir_okay=False), help="Log as JSON lines to this file.")
@click.option("--no-canaries", is_flag=True, help="Do not look for the planted bugs first.")
@click.option("--keep-canaries", is_flag=True, help="Keep the record that caught each planted bug.")
@_program
@_many
def stress(
    scenarios: tuple[str, ...],
    params: tuple[str, ...],
    jobs: int | None,
    log_file: str | None,
    no_canaries: bool,
    quiet: bool,
    folder: str,
    **options: Any,
) -> None:
    """Run a campaign over SCENARIOS; without any, the default campaign over all of them.

    A function on mmrace.runtime is a scenario too: FILE.py:main.
    """
    if log_file is not None:
        _log_to(log_file)
    strategy_of.check(options["strategy"])
    known = _known(scenarios, options)
    only_functions = bool(scenarios) and all(map(named.is_function, scenarios))
    canaries = not no_canaries and not only_functions  # they are planted in the kernel model
    request = checked(known, Request(scenarios, jobs=jobs or 0, canaries=canaries, **options), params)
    if request.workload is not None:
        Workload.load(request.workload)
    console = _console()
    with progress.observer(console, quiet=quiet) as observer:
        campaign = Campaign(request, known, installed.run_one, Path(folder), observer, text=summary_text)
        result = campaign.run()
    campaign_report.show(result, console, quiet=quiet)
    sys.exit(result.exit_code)


def _log_to(path: str) -> None:
    try:
        logger.add(path, level="INFO", serialize=True)
    except OSError as error:
        raise UsageError(expected="a log file that can be written", got=str(error), where="--log") from error


@cli.command()
@click.argument("program")
@_seed
@click.option("--noise", default="off", show_default=True, help="Noise profile, under free.")
@click.option("--engine", type=_engine, default="free", show_default=True)
@click.option("--strategy", default="random", show_default=True, help="Who goes next under gate and fiber.")
@click.option("--promote", default="all", show_default=True, help="Plain fields to switch at: all, racing, a list.")
@click.option("--record", "record_file", type=click.Path(dir_okay=False), help="Write the record to this file.")
@_program
def run(program: str, params: tuple[str, ...], record_file: str | None, **options: Any) -> None:
    """Do one run of PROGRAM, a scenario or FILE.py:main, and print its verdict."""
    strategy_of.check(options["strategy"])
    known = _known([program], options)
    request = checked(known, Request((program,), runs=1, jobs=1, **options), params)
    entry = known.scenarios[program]
    spec = RunSpec(program, **{**options, "params": request.params}, maker=entry.maker, digest=entry.digest)
    _pin(spec.engine)
    result = installed.run_one(spec, record_file is not None)
    if record_file is not None and result.record is not None:
        try:
            with_sites(result, installed.MAKERS).write(record_file)
        except OSError as error:
            raise UsageError(expected="a record file that can be written", got=str(error), where="--record") from error
    single.show_run(result, _console(), record=record_file or "")
    sys.exit(EXIT_OF[result.verdict])


def _pin(engine: str) -> None:
    """Keep a controlled run on one core: its threads hand over, and never run at once."""
    if engine != "free" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores()[:1])


@cli.command()
@click.argument("program")
@click.option("--strategy", metavar="NAME[:KEY=VALUE,...]", help="Default portfolio, or dpor; see `mmrace list`.")
@click.option("--schedules", "runs", type=click.IntRange(1), help="How many schedules, at most; default: 10s of them.")
@click.option("--exhaustive", is_flag=True, help="Walk the whole tree; UNKNOWN if that was cut short.")
@click.option("--until-found", is_flag=True, help="Stop at the first finding.")
@_seed
@click.option("--engine", type=_controlled, default="fiber", show_default=True, help="Greenlets, or real threads.")
@click.option("--promote", default="racing", show_default=True, help="Plain fields to switch at: all, racing, a list.")
@click.option("--without", multiple=True, metavar="JUDGE", help="Switch a judge off.")
@_program
@_many
def explore(
    program: str,
    strategy: str | None,
    exhaustive: bool,
    jobs: int | None,
    params: tuple[str, ...],
    quiet: bool,
    folder: str,
    **options: Any,
) -> None:
    """Explore the interleavings of PROGRAM, one task at a time: judge each run, count their classes.

    PROGRAM is a scenario, or FILE.py:main, a function on mmrace.runtime. Most strategies draw schedules, in worker
    processes, until the time is up. The systematic ones (dpor, preemption, delay, enumerate) walk the tree of all
    schedules in this process, and know when nothing is left.

    \b
    mmrace explore async-vs-commit --for 60s
    mmrace explore async-vs-commit --variant double-put --until-found
    mmrace explore migrate-vs-reclaim --param without=migrator --strategy preemption:bound=1
    mmrace explore migrate-vs-reclaim --param without=migrator --exhaustive
    mmrace explore my_program.py:main --exhaustive
    """
    text = strategy or ("dpor" if exhaustive else "portfolio")
    strategy_of.check(text, systematic=True)
    systematic = is_systematic(text)
    if not exhaustive and options["runs"] is None and options["seconds"] is None:
        options["seconds"] = EXPLORE_SECONDS
    known = _known([program], options)
    typed = checked(
        known, Request((program,), runs=1, variant=options["variant"], workload=options["workload"]), params
    )
    entry = known.scenarios[program]
    ask = Ask(
        program,
        maker=entry.maker,
        digest=entry.digest,
        exhaustive=exhaustive,
        strategy=text,
        jobs=jobs or (1 if systematic else len(cores())),
        **{**options, "params": typed.params},
    )
    console = _console()
    observer = explore_report.Lines(console, quiet=quiet)
    explorer = Explorer(ask, installed.MAKERS, Path(folder), observer, text=summary_text)
    if systematic:
        _pin(options["engine"])
    result = explorer.run()
    explore_report.show(result, console, quiet=quiet)
    sys.exit(result.exit_code)


@cli.command()
@click.argument("names", nargs=-1, metavar="[CLAIM]...")
@click.option("--schedules", type=click.IntRange(1), help="How many of each program, instead of its own number.")
@_seed
@_many
def claims(
    names: tuple[str, ...],
    schedules: int | None,
    seed: int,
    seconds: float | None,
    jobs: int | None,
    quiet: bool,
    folder: str,
) -> None:
    """Put the claims of exclusion, C0 to C14, to the test; print what schedules say of each."""
    chosen = claims_.select(names)
    console = _console()
    options = Options(seed=seed, runs=schedules, seconds=seconds, jobs=jobs or 0)
    trial = claims_.ClaimsRun(chosen, Path(folder), options, tell=claims_report.Lines(console, quiet=quiet))
    result = trial.run()
    claims_report.show(result, console, quiet=quiet)
    sys.exit(result.exit_code)


@cli.command()
@click.argument("record", type=click.Path(dir_okay=False))
def replay(record: str) -> None:
    """Follow RECORD strictly, op by op, and judge it again."""
    recorded = Record.read(record)
    _pin("gate")
    result = installed.replay(recorded, record)
    signatures = [finding["signature"] for finding in recorded.verdict.get("findings", [])]
    single.show_replay(result, signatures, _console())
    sys.exit(EXIT_OF[result.verdict])


@cli.command()
@click.argument("record", type=click.Path(dir_okay=False))
@click.option("--object", "objects", multiple=True, metavar="PART", help="Only events of objects so named.")
@click.option("--last", type=click.IntRange(1), default=40, show_default=True, help="So many events from the end.")
@click.option("--from", "first", type=click.IntRange(0), help="So many events from this one on instead.")
def show(record: str, objects: tuple[str, ...], last: int, first: int | None) -> None:
    """Print the events of RECORD, a column for each task."""
    events.show_events(Record.read(record), objects, last, _console(), first)


@cli.command(name="list")
@click.argument("kind", type=click.Choice(lists.KINDS), required=False)
@_loads
def list_(kind: str | None, load: tuple[str, ...]) -> None:
    """List scenarios, parameters, canaries, noise profiles, strategies or marks; without KIND, all but the marks."""
    lists.show_lists(installed.catalogue(), (kind,) if kind else lists.KINDS[:-1], _console())


def main() -> NoReturn:
    """Run the command line; turn every error into its exit code."""
    try:
        cli.main(standalone_mode=False)
        code = EXIT_PASS
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = EXIT_INTERRUPTED
    except MmraceError as error:
        click.echo(f"mmrace: {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:  # the reader went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains once more at its exit
        code = EXIT_INTERNAL
    except Exception:
        click.echo(f"mmrace bug:\n{traceback.format_exc()}", err=True)
        code = EXIT_INTERNAL
    sys.exit(code)
