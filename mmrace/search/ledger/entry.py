"""What a line of the ledger can say.

Invariant: an entry says all that it means by itself, together with the `Sequence` that its batch names: segments can be
read in any order.  What is empty is not written; a field that is added later has a default, so that old lines mean what
they meant.  Not here: how a line is written (`segment.py`).
"""

from __future__ import annotations

import hashlib
import time
from functools import cached_property
from typing import Annotated, Any, TypeAlias

import msgspec

from mmrace.runs.spec import Params
from mmrace.runtime.errors import EXIT_USAGE
from mmrace.search.ledger.ranges import is_piece
from mmrace.search.ledger.sums import Sums, decode_hook, encode_hook
from mmrace.search.pool.messages import Role
from mmrace.search.totals import Whose

KEY_BYTES = 8
When: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
"""Unix seconds, up to a year that a date can still be made of."""


class Header(msgspec.Struct, omit_defaults=True, tag_field="is", tag="segment"):
    """The first line of a segment: of which format it is, and who wrote it.  pruned: made of others."""

    schema: str
    host: str = ""
    pid: int = 0
    when: When = 0.0
    pruned: bool = False


class Sequence(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    dict=True,
    tag_field="is",
    tag="sequence",
    forbid_unknown_fields=True,  # the key would be another one without them
):
    """An endless row of runs: run `turn` of it is a function of (sequence, turn) alone.

    Args: revision: of mmrace.  digest, files: of the program's own file, and of loaded ones.  params: the given ones.
    engine, noise, strategy: as the runs are drawn, such as "portfolio".  role, trial: whether they count, or are of a
    planted bug or its twin, and whose.
    """

    revision: str
    program: str
    seed: int
    engine: str
    role: Role = "main"
    trial: str = ""
    maker: str = "scenario"
    digest: str = ""
    files: tuple[str, ...] = ()
    params: Params = ()
    era: str = ""
    variant: str = ""
    strategy: str = ""
    noise: str = ""
    promote: str = ""
    workload: str = ""
    without: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """The name by which batches mean it: a hash of all that it is."""
        return hashlib.blake2b(msgspec.json.encode(self), digest_size=KEY_BYTES).hexdigest()

    @property
    def kind(self) -> str:
        """What its runs have in common with those of other revisions and seeds: they can show the same."""
        parts = (
            self.engine,
            self.strategy,
            self.noise,
            self.promote,
            self.workload,
            self.params,
            self.without,
            self.trial,
        )
        return msgspec.json.encode(parts).decode()

    @property
    def made_of(self) -> str:
        """The revision of all that runs: of mmrace, and of the user's files if there are any."""
        own = [self.digest, *self.files]
        if not any(own):
            return self.revision
        return f"{self.revision} {hashlib.blake2b(' '.join(own).encode(), digest_size=4).hexdigest()}"


class Batch(msgspec.Struct, omit_defaults=True, tag_field="is", tag="batch"):
    """Runs `first` up to `stop` of a sequence (a piece, `ranges.py`), all made or given up, and what came of them.

    Args: sequence: its key.  when: unix seconds at its end.  campaign: in which.
    """

    sequence: str
    first: int
    stop: int
    when: When
    campaign: str
    sums: Sums

    def __post_init__(self) -> None:
        if not is_piece(self.first, self.stop):
            raise ValueError(f"[{self.first}, {self.stop}) is no piece: a power of two long, at a multiple of that")
        self.sums.check()


class Begun(msgspec.Struct, omit_defaults=True, tag_field="is", tag="begun"):
    """A campaign began.  Args: request: what was asked, for the eye and for those who ask again."""

    campaign: str
    when: When
    host: str = ""
    pid: int = 0
    revision: str = ""
    version: str = ""
    command: str = ""
    request: dict[str, Any] = {}


class Resumed(msgspec.Struct, omit_defaults=True, tag_field="is", tag="resumed"):
    """A campaign goes on, in another process.  Args: seconds: how long it had lasted."""

    campaign: str
    when: When
    host: str = ""
    pid: int = 0
    seconds: float = 0.0


class Beat(msgspec.Struct, omit_defaults=True, tag_field="is", tag="beat"):
    """How it goes.

    Args: workers: name -> [resident bytes, stray threads, open files, living blocks]; older ones have fewer.
    free_disk: bytes.
    """

    campaign: str
    when: When
    workers: dict[str, list[int]] = {}
    free_disk: int = 0


class Met(msgspec.Struct, omit_defaults=True, tag_field="is", tag="met"):
    """A finding in words, once per segment.  Args: known: where it is expected.  folder: its name under findings/."""

    signature: str
    oracle: str = ""
    rule: str = ""
    title: str = ""
    known: str = ""
    program: str = ""
    variant: str = ""
    era: str = ""
    folder: str = ""
    command: str = ""
    campaign: str = ""
    when: When = 0.0
    role: Role = "main"

    @property
    def whose(self) -> Whose:
        """What it is, and of which program."""
        return self.signature, self.program, self.variant, self.era


class Trial(msgspec.Struct, omit_defaults=True, tag_field="is", tag="trial"):
    """What came of looking for a planted bug.  Args: found_after: runs; None if it was not found."""

    campaign: str
    when: When
    canary: str
    sequence: str = ""
    found_after: int | None = None
    tried: int = 0
    cap: int = 0
    twin_runs: int = 0
    twin_failed: int = 0
    oracle: str = ""


class Ended(msgspec.Struct, omit_defaults=True, tag_field="is", tag="ended"):
    """A campaign ended by itself.

    Args: interrupted: the signal that ended it.  unkept_runs: not in the ledger.  losses: how workers were lost, and
    how many so.  troubles: why runs could not be made.
    """

    campaign: str
    when: When
    verdict: str = ""
    exit_code: int = 0
    interrupted: int = 0
    seconds: float = 0.0
    unkept_runs: int = 0
    losses: dict[str, int] = {}
    troubles: list[str] = []

    @property
    def early(self) -> bool:
        """Whether it has runs left: somebody stopped it, or runs could not be made, as without workers."""
        return bool(self.interrupted or (self.troubles and self.exit_code != EXIT_USAGE))


Entry: TypeAlias = Sequence | Batch | Begun | Resumed | Beat | Met | Trial | Ended

encode = msgspec.json.Encoder(enc_hook=encode_hook).encode
"""Return an entry as JSON."""
decode = msgspec.json.Decoder(Header | Entry, dec_hook=decode_hook).decode
"""Return an entry from JSON.  Raises one of `runtime.decoding.ERRORS`."""


def now() -> float:
    """Return the unix time in seconds, to the millisecond."""
    return round(time.time(), 3)
