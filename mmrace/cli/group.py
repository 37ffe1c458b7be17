"""The group of commands, and the way out.

Invariant: every way out has the exit code of `runtime/errors.py`; loguru gets its sinks here, never at import.
"""

from __future__ import annotations

import signal
import traceback

import click
from loguru import logger

from mmrace import __version__
from mmrace.cli import streams, terminal
from mmrace.cli.claims import claims
from mmrace.cli.compaction_table import compaction_table
from mmrace.cli.explain import explain
from mmrace.cli.explore import explore
from mmrace.cli.export_ledger import export_ledger
from mmrace.cli.history import history
from mmrace.cli.keep import keep
from mmrace.cli.lists import list_
from mmrace.cli.merge import merge
from mmrace.cli.minimise import minimise
from mmrace.cli.prove import prove
from mmrace.cli.prune import prune
from mmrace.cli.records import diff, replay, show, trail
from mmrace.cli.report_night import report_night
from mmrace.cli.run import run
from mmrace.cli.status import status
from mmrace.cli.stress import stress
from mmrace.report.terminal import interrupted
from mmrace.runs import stops
from mmrace.runtime.errors import EXIT_INTERNAL, EXIT_PASS, EXIT_SIGNALLED, EXIT_USAGE, MmraceError, UsageError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
@click.option("--verbose", is_flag=True, help="Log progress to stderr, not only warnings.")
def cli(verbose: bool) -> None:
    """Race the page-migration protocol of Linux v3.3 against itself, and judge what happens."""
    logger.remove()
    logger.enable("mmrace")
    logger.add(terminal.log, level="INFO" if verbose else "ERROR", format="{level.name}: {message}")


for _command in (
    stress,
    explore,
    claims,
    compaction_table,
    report_night,
    run,
    replay,
    minimise,
    prove,
    explain,
    keep,
    show,
    trail,
    diff,
    list_,
    status,
    history,
    merge,
    prune,
    export_ledger,
):
    cli.add_command(_command)


def run_command() -> int:
    """Run the command that the words of this process name; return the exit code."""
    try:
        with streams.guarded() as stdout:
            code = _run()
            if stops.asked() and code != EXIT_SIGNALLED + stops.asked():  # it came when all was done, or got lost
                code = _interrupted()
    except UsageError as error:
        terminal.complain(f"mmrace: {error}")
        return error.exit_code
    return EXIT_USAGE if stdout.broken and code < EXIT_SIGNALLED else code


def _run() -> int:
    """Run the command; turn every error into its exit code."""
    try:
        code: object = cli.main(prog_name="mmrace", standalone_mode=False)
    except SystemExit as ended:
        code = ended.code
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        code = _interrupted()
    except MmraceError as error:
        terminal.complain(f"mmrace: {error}")
        code = error.exit_code
    except Exception:
        terminal.complain(f"mmrace bug:\n{traceback.format_exc()}")
        code = EXIT_INTERNAL
    return code if isinstance(code, int) else EXIT_PASS


def _interrupted() -> int:
    """Say what ended the command, as far as anybody reads it; return its exit code."""
    number = stops.asked() or signal.SIGINT
    if number != signal.SIGPIPE:
        terminal.complain(interrupted(number))
    return EXIT_SIGNALLED + number
