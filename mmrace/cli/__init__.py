"""The command line: one file a command, and what they share."""

from mmrace.cli.group import cli, main

__all__ = ["cli", "main"]
