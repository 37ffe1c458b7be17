"""What stands in the folder of a finding that was kept, and whether a new run has something better to put there.

A folder is of one program, variant and era, its owner; what it keeps never gives way to another's.  It is of use as
long as its record repeats its finding: one of engine `free` never does, one of another mmrace or model may not, and one
of a user's files that changed since cannot.  A controlled run that was made after a free one is as good as any other,
and keeps the record of that beside its own; both give way together.  What is expected of its program gives way to the
same finding where nobody expects it, and never the other way round: it is that one which fails a campaign.
Invariant: what cannot be understood is left as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Required, TypedDict

from mmrace.runs.spec import RunSpec
from mmrace.runtime import files
from mmrace.runtime.decoding import decode
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.version import __version__

SUMMARY = "summary.json"
RECORD = "record.jsonl"
FREE = "free.jsonl"  # of the free run after which a controlled one was made, whose record is beside it
TEXT = "summary.txt"  # for the eye
HITS = "hits.jsonl"
UNDATED = "an unknown date"  # of what an older mmrace kept, or is damaged


SUMMARY_BYTES_MAX = 16 * files.MIB  # of many findings with long facts
OWNER_HEX = 6  # of some programs that share a signature: 24 bits


class Owner(NamedTuple):
    """Whose findings a folder keeps; the name of a function has its file's in it."""

    maker: str
    program: str
    variant: str
    era: str = ""

    def beside(self, signature: str) -> str:
        """Name the folder of a signature whose own name another owner has."""
        said = "\n".join(self if self.era else self[:3])
        return f"{signature}-{hashlib.sha256(said.encode()).hexdigest()[:OWNER_HEX]}"


def owner_of(spec: RunSpec) -> Owner:
    """Return whose findings a run's are."""
    return Owner(spec.maker, spec.program, spec.variant, spec.era)


class _Spec(TypedDict, total=False):
    program: Required[str]
    digest: Required[str]
    engine: Required[str]
    seed: Required[int]
    noise: str
    maker: str
    variant: str
    era: str
    load: list[tuple[str, str]]


class _Finding(TypedDict, total=False):
    signature: Required[str]
    oracle: str
    rule: str
    title: str
    known: str


class _Summary(TypedDict, total=False):
    """What is asked of the summary of a kept finding; an older one has no date and no version."""

    spec: Required[_Spec]
    findings: list[_Finding]
    command: Required[str]
    since: str
    mmrace: str
    model: str
    conversion: dict[str, object]


class Words(NamedTuple):
    """What a finding says for the eye, as far as its summary tells."""

    oracle: str = ""
    rule: str = ""
    title: str = ""
    known: str = ""


UNTOLD = Words()


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept finding.

    Attributes: signature: "" if the summary has none. since: the date of its first run. version, model: of the mmrace
    that kept it. files: digests of the user's files that its program came from. engine, noise, seed, command: of its
    run. recorded: it has a record. tried, broke: its run is one of free threads, and was not found again under control;
    or could not even be tried.
    """

    signature: str
    owner: Owner
    since: str
    version: str
    model: str
    engine: str
    noise: str
    files: tuple[str, ...]
    seed: int
    command: str
    recorded: bool
    tried: bool = False
    broke: bool = False
    words: Words = UNTOLD


def _files(digest: str, load: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the digests of what a run had of a user's own; empty if it had nothing."""
    digests = [loaded for _, loaded in load]
    return (digest, *digests) if digest or digests else ()


def _words(finding: _Finding) -> Words:
    oracle, rule = finding.get("oracle", ""), finding.get("rule", "")
    return Words(oracle, rule, finding.get("title", ""), finding.get("known", ""))


def read(folder: Path) -> Kept | None:
    """Return what a folder keeps; None if that is damaged, or another process is just replacing it."""
    path = folder / SUMMARY
    try:
        content = files.read_whole(path, SUMMARY_BYTES_MAX, what="summary", try_="remove the folder")
        facts = decode(content, _Summary, what="a summary", where=str(path), try_="remove the folder")
    except UsageError:
        return None
    spec = facts["spec"]
    findings = facts.get("findings", ())
    return Kept(
        signature=findings[0]["signature"] if findings else "",
        owner=Owner(spec.get("maker", "scenario"), spec["program"], spec.get("variant", ""), spec.get("era", "")),
        since=facts.get("since", UNDATED),
        version=facts.get("mmrace", ""),
        model=facts.get("model", ""),
        engine=spec["engine"],
        noise=spec.get("noise", ""),
        files=_files(spec["digest"], spec.get("load", ())),
        seed=spec["seed"],
        command=facts["command"],
        recorded=(folder / RECORD).is_file(),
        tried=spec["engine"] == "free" and "conversion" in facts,
        broke=bool(facts.get("conversion", {}).get("broke")),
        words=_words(findings[0]) if findings else UNTOLD,
    )


def of_other_files(kept: Kept, spec: RunSpec) -> bool:
    """Say whether a folder of the run's owner is of a user's files, and not of these as they are now."""
    files_now = _files(spec.digest, spec.load)
    return bool(files_now) and kept.files != files_now


def model_of(record: Record | None) -> str:
    """Return the digest of the model that made a record; "" if there is none."""
    return "" if record is None else str(record.header.get("model", ""))


def gives_way(kept: Kept, spec: RunSpec, record: Record | None, known: str) -> bool:
    """Say whether a new run replaces what is kept.

    Args: record: of the new run, if it has one.  known: where its finding is expected of its program; "": nowhere.
    """
    if kept.owner != owner_of(spec):
        return False
    if of_other_files(kept, spec):
        return True
    if bool(kept.words.known) != bool(known):
        return not known
    older = kept.version != __version__ or (record is not None and kept.model != model_of(record))
    if spec.engine == "free":
        return kept.engine == "free" and older
    return record is not None and (kept.engine == "free" or older or not kept.recorded)
