"""The group of commands, and the way out.

Invariant: every way out has the exit code of `runtime/errors.py`; loguru gets its sinks here, never at import.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import NoReturn

import click
from loguru import logger

from mmrace import __version__
from mmrace.cli import terminal
from mmrace.cli.claims import claims
from mmrace.cli.explore import explore
from mmrace.cli.lists import list_
from mmrace.cli.records import replay, show
from mmrace.cli.run import run
from mmrace.cli.stress import stress
from mmrace.runtime.errors import EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_PASS, EXIT_USAGE, MmraceError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
@click.option("--verbose", is_flag=True, help="Log progress to stderr, not only warnings.")
def cli(verbose: bool) -> None:
    """Race the page-migration protocol of Linux v3.3 against itself, and judge what happens."""
    logger.remove()
    logger.enable("mmrace")
    logger.add(terminal.log, level="INFO" if verbose else "ERROR", format="{level.name}: {message}")


for _command in (stress, explore, claims, run, replay, show, list_):
    cli.add_command(_command)


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
