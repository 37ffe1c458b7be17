"""What a scenario knows of an actor: its name, what its task runs, and the parameters that it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mmrace.actors.stage import Stage
from mmrace.runtime.param import AnyParam


@dataclass(frozen=True)
class Actor:
    """One actor.

    Args: name: of its task.  play: what the task calls with the stage.  params: all that it reads.  asks: it asks for
    commits and may wait for them, so kjournald runs beside it.  commits, migrates: it commits transactions, moves
    pages: what must not meet while transfers fail.  logs: it changes metadata, whatever the parameters say.  copies: it
    works on the file of the second disk.  maps: it works through mappings of the file, or on them.  private: on
    memory that is private to a program.
    """

    name: str
    play: Callable[[Stage], object]
    params: tuple[AnyParam, ...] = ()
    asks: bool = False
    commits: bool = False
    migrates: bool = False
    logs: bool = False
    copies: bool = False
    maps: bool = False
    private: bool = False
