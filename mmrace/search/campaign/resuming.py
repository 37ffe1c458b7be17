"""What the ledger says of a campaign that was interrupted: what it was asked, and where it stood.

Invariant: it goes on only as what it was: of the same revision, the same files, the same request; whatever says
otherwise is a UsageError that says what to do.  Not here: what its result is by now (`restoring.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mmrace.runs.revision import revision
from mmrace.runtime.decoding import converted
from mmrace.runtime.errors import UsageError
from mmrace.search.campaign.request import Request
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.campaign.standing import Standing, free_part
from mmrace.search.catalogue import Catalogue
from mmrace.search.ledger.entry import Begun
from mmrace.search.ledger.index import Campaign
from mmrace.search.ledger.ledger import Ledger

ANOTHER = "mmrace stress without --resume: it begins a new campaign, and what was kept stays"
OPTIONS = {
    "scenarios": "the scenarios", "runs": "--runs", "seconds": "--for", "seed": "--seed", "noise": "--noise",
    "engine": "--engine", "strategy": "--strategy", "convert": "--convert", "canaries": "--no-canaries",
    "keep_canaries": "--keep-canaries", "variant": "--variant", "era": "--era", "without": "--without",
    "workload": "--workload", "params": "--param", "load": "--load",
}  # fmt: skip
"""What says which runs a campaign makes, and how long: by the field of the request, as one writes it."""


def plain(result: CampaignResult, known: Catalogue, standing: Standing) -> dict[str, Any]:
    """Return a request as a ledger keeps it, with what the same mmrace need not work out again."""
    request = result.request
    return {
        **asdict(request),
        "marks": list(result.marks_known),
        "unplanted": list(result.unplanted),
        "digests": {name: digest for name in request.scenarios if (digest := known.scenarios[name].digest)},
        "first": standing.first,
        "before": standing.before,
        "trials": {trial.canary.name: trial.first for trial in result.trials},
    }


def last_interrupted(ledger: Ledger, shard: tuple[int, int] | None) -> tuple[Campaign, Begun]:
    """Return the newest campaign that was interrupted, of this shard.  Raises UsageError if there is none."""
    told, others = list[str](), list[str]()
    for row in reversed(ledger.index().campaigns()):
        begun = row.begun
        if begun is None or "scenarios" not in begun.request:
            continue
        of = _shard_of(begun)
        if of != shard:
            others.append(f"campaigns of {_shard(of)} only")
        elif row.running:
            told.append(f"campaign {row.campaign}, which is running")
        elif row.ended is not None and not row.ended.early:
            told.append(f"campaign {row.campaign}, which ended in {row.ended.verdict}")
        else:
            return row, begun
    raise UsageError(
        expected=f"a campaign{'' if shard is None else f' of {_shard(shard)}'} that was interrupted",
        got=[*told, *others, "no campaign at all"][0],
        where=str(ledger.folder),
        try_="mmrace stress without --resume: it takes the runs that the store has not",
    )


def _shard_of(begun: Begun) -> tuple[int, int] | None:
    match begun.request.get("shard"):
        case [int(i), int(n)]:
            return i, n
    return None


def _number(told: object) -> int:
    return told if isinstance(told, int) else 0


def _shard(shard: tuple[int, int] | None) -> str:
    return f"shard {shard[0]}/{shard[1]}" if shard else "no shard"


def request_of(begun: Begun, where: str) -> Request:
    """Return what a campaign was asked.  Raises UsageError if it is of another mmrace, or cannot be understood."""
    if begun.revision != revision():
        raise UsageError(
            expected=f"mmrace as it was when campaign {begun.campaign} began, {begun.revision}",
            got=revision(),
            where=where,
            try_=f"that revision, or {ANOTHER}",
        )
    return converted(begun.request, Request, what="the request of a campaign", where=where, try_=ANOTHER)


def check_files(request: Request, begun: Begun, known: Catalogue, load: tuple[Any, ...], where: str) -> None:
    """Raise UsageError if a file that the campaign is made of has changed.  Args: load: files as they are now."""
    digests = begun.request.get("digests", {})
    changed = [name for name in request.scenarios if known.scenarios[name].digest != digests.get(name, "")]
    changed += [old.path for old, new in zip(request.load, load, strict=True) if old != new]
    if changed:
        raise UsageError(
            expected=f"files as they were when campaign {begun.campaign} began",
            got=f"changed: {', '.join(changed)}",
            where=where,
            try_=f"the files as they were, or {ANOTHER}",
        )


def check_given(given: Mapping[str, object], request: Request, begun: Begun) -> None:
    """Raise UsageError if the call asks for something else than the campaign did.

    Args: given: fields of a request that the call names, with their values.
    """
    for name, value in given.items():
        asked = getattr(request, name)
        if value != asked:
            raise UsageError(
                expected=f"{OPTIONS[name]} as campaign {begun.campaign} has it, {_told(asked)}, or not at all",
                got=_told(value),
                where="--resume",
                try_=f"--resume alone, or {ANOTHER}",
            )


def _told(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join("=".join(map(str, part)) if isinstance(part, tuple) else str(part) for part in value) or "none"
    return "none" if value is None else str(value)


def standing_of(ledger: Ledger, row: Campaign, begun: Begun) -> Standing:
    """Return where an interrupted campaign stood."""
    index, told = ledger.index(), begun.request
    made = index.own(row.campaign)
    first, shard = _number(told.get("first")), _shard_of(begun)
    return Standing(
        campaign=row.campaign,
        first=first if shard is not None or told.get("anew") else free_part(ledger, first),
        seconds=row.lasted(index.last(row.campaign)),
        sums={key: sums for key, (_, sums) in made.items()},
        own={key: covered for key, (covered, _) in made.items()},
        before=_number(told.get("before")),
        firsts=told.get("trials", {}),
        trials={trial.canary: trial for trial in index.trials() if trial.campaign == row.campaign},
        mets={met.whose: met for met in index.mets(row.campaign)},
        begun=begun.when,
        losses=Counter(row.ended.losses if row.ended is not None else {}),
    )
