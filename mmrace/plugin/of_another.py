"""Whether a file for ``--mmrace-replay`` is of the program that a test explores.

Its schedule is a list of names, and those of another program lead nowhere, or by chance somewhere.  Invariant: nothing
of a file is played that says it is of another program.  One that was moved to another folder is the same: what counts
is the name of the module, and that of the function in it.
"""

from __future__ import annotations

from pathlib import Path

from mmrace.api.program import resolved
from mmrace.api.replaying import named_in, schedule_in
from mmrace.plugin.asked import Program
from mmrace.runs import functions
from mmrace.runtime.errors import UsageError


def refuse(file: str, program: Program) -> None:
    """Raise UsageError if a file is of another program than the one that a test explores."""
    target = resolved("replay", program)
    _compare(file, target.kind, target.name)


def refuse_beside(file: str, kept: Path) -> None:
    """Raise UsageError if a file is of another program than the kept schedule that a test follows."""
    spec, _, _ = named_in(str(kept))
    _compare(file, spec.maker, spec.program)


def _compare(file: str, kind: str, name: str) -> None:
    spec, _, _ = named_in(schedule_in(file))
    same = functions.same_program(spec.program, name) if kind == functions.KIND else spec.program == name
    if spec.maker == kind and same:
        return
    raise UsageError(
        expected=f"a schedule or a record of the program that this test explores, the {kind} {name}",
        got=f"one of another program, the {spec.maker} {spec.program}",
        where=f"--mmrace-replay={file}",
        try_="the test that it was found by, alone; or without pytest: mmrace replay, of a record",
    )
