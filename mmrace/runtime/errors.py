"""What can go wrong, each kind with its exit code.

Invariant: the text of an error is built here, from typed fields (expected, got, where, what to try), so that two
places word the same mistake alike.  Not here: the explanation of a failure; `report/` writes that from a record.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from mmrace.runtime.said import is_from_outside, shown

EXIT_PASS = 0
EXIT_FAIL = 1
EXIT_USAGE = 2
EXIT_NONDETERMINISM = 3
EXIT_INTERNAL = 4
EXIT_UNKNOWN = 5
EXIT_INTERRUPTED = 130
EXIT_SIGNALLED = 128
"""Added to the number of the signal that ended it: 130 after Ctrl-C, 143 after SIGTERM, 141 if nobody reads stdout."""
EXIT_OF = {"PASS": EXIT_PASS, "FAIL": EXIT_FAIL, "UNKNOWN": EXIT_UNKNOWN}
"""Exit code of each verdict."""

OWN_FILE = "--load FILE.py (in Python load=) brings your own"
"""What helps, too, who names a scenario, a planted bug, a judge or a strategy that is not known."""

CLOSE_MAX = 3  # names that are proposed for an unknown one
CLOSE_LIKENESS = 0.5  # from 0 to 1: a shorter name has a wrong letter or two in it and is still proposed
SHOWN_MAX = 2000  # characters of a value in a message: a terminal full
DIFFERENCES_SHOWN = 8  # between a record and its replay
LISTED_MAX = 12  # names that still fit into a message


def _shortened(text: str) -> str:
    """Return a text that a person can read: a value from a file can be as long as that."""
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}... ({len(text):,} characters)"


class MmraceError(Exception):
    """Base of everything that mmrace raises on purpose.  Pickles: a worker's reaches who asked."""

    exit_code = EXIT_INTERNAL

    def __reduce__(self) -> tuple[object, ...]:
        """Build a copy from the text, not from the typed fields again; a field that is no plain value is a text."""
        fields = {name: value if isinstance(value, _PLAIN) else shown(value) for name, value in vars(self).items()}
        return _copied, (type(self), self.args, fields)


_PLAIN = (str, int, float, bool, type(None), tuple, list, dict)


def _copied(cls: type[MmraceError], args: tuple[object, ...], fields: dict[str, object]) -> MmraceError:
    error = cls.__new__(cls)
    error.args = args
    vars(error).update(fields)
    return error


class UsageError(MmraceError):
    """The caller is wrong: says what was expected, what came, where, and what to try."""

    exit_code = EXIT_USAGE

    def __init__(self, *, expected: str, got: object, where: str = "", try_: str = "") -> None:
        self.expected, self.got, self.where, self.try_ = expected, got, where, try_
        text = f"expected {expected}, got {_shortened(shown(got))}"
        if where:
            text = f"{_shortened(where)}: {text}"
        if try_:
            text += f"; try: {try_}"
        super().__init__(text)


def unknown(kind: str, name: str, known: Iterable[str], *, where: str = "", try_: str = "") -> UsageError:
    """Return the error for a name that is not known: it proposes the close ones, and lists all if they are few.

    Args: kind: what it should be the name of: "a scenario".  try_: what else helps, such as a command that lists all.
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, CLOSE_MAX, CLOSE_LIKENESS)
    close = close or [other for other in names if name and other.startswith(name)][:CLOSE_MAX]
    hints = [f"did you mean {' or '.join(close)}?"] if close else []
    return UsageError(
        expected=f"{kind} out of {', '.join(names)}" if 0 < len(names) <= LISTED_MAX else f"the name of {kind}",
        got=name,
        where=where,
        try_=" ".join([*hints, *([try_] if try_ else [])]),
    )


class Violation(MmraceError):
    """An oracle, or the runtime on its behalf, caught the model breaking a rule: a result, not an accident.

    Args: oracle: name of the judge that owns the rule.  rule: the rule in a few stable words.  facts: what was seen;
    values are logged, so they obey the same limits as field values.
    """

    exit_code = EXIT_FAIL

    def __init__(self, oracle: str, rule: str, **facts: object) -> None:
        self.oracle, self.rule, self.facts = oracle, rule, facts
        told = ", ".join(f"{key}={shown(value)}" for key, value in facts.items())
        super().__init__(f"{oracle}: {rule}" + (f" ({told})" if told else ""))


UNSCHEDULED = (
    "what decided that is not in the schedule: a random number, a clock, an id, the order of a set, or what an earlier "
    "run left in the program (a global of one of its modules)?"
)


class NondeterminismError(MmraceError):
    """A run that was made again went otherwise: where, and what stood on both sides.

    Args: step: counts ops.  event: of the record that was followed, as `mmrace show` counts; None: there is no record,
    a walk repeated the beginning of its last run.
    """

    exit_code = EXIT_NONDETERMINISM

    def __init__(self, step: int, expected: str, got: str, *, event: int | None = None) -> None:
        self.step, self.expected, self.got, self.event = step, expected, got, event
        expected, got = _shortened(expected), _shortened(got)
        if event is None:
            text = (
                f"the run diverged at step {step} when it was repeated: it had {expected}, and now {got}; {UNSCHEDULED}"
            )
        else:
            text = (
                f"replay diverged at event {event}: the record has {expected}; this run has {got}; `mmrace show RECORD "
                f"--around {event}` shows the record there; was it changed by hand, or made by other code? or "
                f"{UNSCHEDULED}"
            )
        super().__init__(text)

    def beside(self) -> str:
        """Return what stood on both sides, for a run of which no record is kept."""
        sides = f"it had {_shortened(self.expected)}, and then {_shortened(self.got)}"
        return f"{sides}; {UNSCHEDULED}"


class MadeOtherwise(NondeterminismError):
    """A record of another model went otherwise under this one: what the model does has changed since.

    Args: model, now: digests of the source.  error: where it left the record.  guides: whether the record has what
    strategy `guided` follows.
    """

    def __init__(self, model: str, now: str, error: NondeterminismError, *, guides: bool) -> None:
        self.step, self.expected, self.got, self.event = error.step, error.expected, error.got, error.event
        expected, got = _shortened(error.expected), _shortened(error.got)
        text = (
            f"replay diverged at event {error.event}: the record has {expected}; this run has {got}; it was made by "
            f"another model ({model}; this is {now}): `mmrace show RECORD` still reads it"
        )
        if guides:
            text += ", and --strategy guided:record=RECORD follows it as far as it goes"
        Exception.__init__(self, text)


class NotAsRecorded(NondeterminismError):
    """A replay did every op as recorded, and what the record says beside them is not so.

    Args: differences: a line each.
    """

    def __init__(self, differences: Iterable[str]) -> None:
        self.differences = tuple(differences)
        self.step, self.expected, self.got, self.event = -1, "", "", None
        lines = [f"  {line}" for line in self.differences[:DIFFERENCES_SHOWN]]
        if len(self.differences) > DIFFERENCES_SHOWN:
            lines.append(f"  and {len(self.differences) - DIFFERENCES_SHOWN} more")
        head = "the replay did every op as recorded, but the record was changed, or its program was:"
        Exception.__init__(self, "\n".join([head, *lines]))


class MachineError(MmraceError):
    """The machine gave out: it has no thread, or process, for a run.  Nothing can be said of the program.

    Args: what: there is none of.  cause: as the system puts it.
    """

    exit_code = EXIT_UNKNOWN

    def __init__(self, what: str, cause: str) -> None:
        self.what, self.cause = what, cause
        super().__init__(
            f"UNKNOWN: the machine has no {what} left: {cause}; try: fewer --jobs, fewer tasks, or a higher limit "
            "(ulimit -u, the pids of the container)"
        )


class InternalError(MmraceError):
    """A bug of mmrace itself."""

    exit_code = EXIT_INTERNAL

    def __init__(self, text: str) -> None:
        super().__init__(f"mmrace bug: {text}")


class Abort(BaseException):
    """Thrown into a task to unwind it when its run is over.  Model code must let it pass."""


def is_failure(error: BaseException) -> bool:
    """Say whether code of a user's own fails by `error`, rather than being interrupted, or unwound by mmrace.

    A sys.exit() in it must not end mmrace, least of all with 0, nor may what it raises pass for Ctrl-C.
    """
    return not isinstance(error, Abort) and not is_from_outside(error)


def of_unwinding(error: BaseException) -> bool:
    """Say whether `error` was raised while its task unwound: by a `finally` of the model, after the run was over."""
    cause = error.__context__
    while cause is not None and not isinstance(cause, Abort):
        cause = cause.__context__
    return cause is not None
