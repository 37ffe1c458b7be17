"""What is known of a finding beside its record: what was run, how to repeat it, how rare it is, how sound the search.

It comes from the header of the record, from the minimal file, and from the folder of the finding, as far as they have
it.  Invariant: what is not there is not said.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmrace.report.finding import program_text, variant_of
from mmrace.report.minimal import few, schedule_lines, scheduled, shrunk_line
from mmrace.report.numbers import count, many, runs
from mmrace.report.proof import NOT_PROVED, proof_lines, shares
from mmrace.report.story import NO_RETURN, Around
from mmrace.runs import kept
from mmrace.runs.minimal import Minimal, Op
from mmrace.runs.proof import interval
from mmrace.runtime import files
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.runtime.selection import last_explored
from mmrace.story.facts import Ordering

HITS_BYTES_MAX = 2 * files.MIB  # more than the store writes
NEWLINE = b"\n"


def around_of(record: Record, minimal: Minimal | None, file: str, folder: Path | None = None) -> Around:
    """Return what is known beside a record.  Args: file: as it was named.  folder: of the finding, if it has one."""
    return Around(
        run=list(_run(record)),
        repeat=[*_repeat(minimal, file)],
        told=[*_told(record, minimal)],
        schedule=few(schedule_lines(minimal)) if minimal else [],
        proof=_proof(minimal, file),
        shares=_shares(minimal),
        rarity=[*_rarity(minimal.rarity if minimal else None)] or [*_seen(folder)],
        health=[*_plain(minimal.health if minimal else None)],
    )


def orderings_of(minimal: Minimal | None) -> list[tuple[int, int, Ordering]]:
    """Return the causal orderings of a minimal file, each with its two events."""
    if minimal is None:
        return []
    return [
        (
            one.first.event,
            one.second.event,
            Ordering(
                number,
                _op(one.first),
                _op(one.second),
                one.object,
                one.flips.fails,
                one.flips.of,
                one.flips.proved,
                one.flips.others,
            ),
        )
        for number, one in enumerate(minimal.causal, 1)
    ]


def _op(op: Op) -> str:
    return f"{op.task} at {op.site} (step {op.event})"


def _run(record: Record) -> Iterator[str]:
    header = record.header
    name = header.get("program", header.get("scenario", "a program"))
    given = header.get("given", header.get("params")) or {}
    yield program_text(header.get("maker", "scenario"), name, sorted(given.items()), *variant_of(header))
    engine = header.get("engine", "unknown")
    chooser = f"noise {header.get('noise')}" if engine == "free" else f"strategy {header.get('strategy')}"
    how = record.end.get("how", "unknown")
    kind = record.end.get("detail", {}).get("kind")
    yield f"engine {engine}, {chooser}, seed {header.get('seed')}; ended as {how}" + (f": {kind}" if kind else "")
    explored = header.get("explored")
    last = last_explored(record)
    if explored and last is not None and how == "finished":
        yield f"what follows step {last} is the program's end, in fixed order"


def _repeat(minimal: Minimal | None, file: str) -> Iterator[str]:
    yield shlex.join(["mmrace", "replay", file])
    if minimal is not None:
        yield scheduled(minimal, file)


def _shares(minimal: Minimal | None) -> dict[int, str]:
    """Return what stands beside the rows: how many runs still fail from there on, and where no run passes any more."""
    if minimal is None or minimal.proof is None:
        return {}
    found, told = dict(shares(minimal.proof)), minimal.proof.no_return
    if told is not None and told.after is not None and told.after.event in found:
        found[told.after.event] = f"{NO_RETURN} {found[told.after.event]}"
    return found


def _proof(minimal: Minimal | None, file: str) -> list[str]:
    """Return what is proved, else what would prove it; nothing of a schedule that was not made small."""
    if minimal is None:
        return []
    return proof_lines(minimal) or [f"{NOT_PROVED} {shlex.quote(file)}"]


def _told(record: Record, minimal: Minimal | None) -> Iterator[str]:
    if record.header.get("engine") == "free":
        yield "free threads never run twice alike: the replay follows their order under control, as far as that goes"
    if minimal is None:
        return
    yield f"replayed {count(minimal.replayed.same)} of {count(minimal.replayed.of)}"
    yield shrunk_line(minimal.shrunk)


def _rarity(rarity: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield in how many runs it was seen, with the interval of the chance; per strategy, too."""
    if not rarity:
        return
    yield _rate(rarity)
    for strategy, rate in sorted((rarity.get("strategies") or {}).items()):
        yield f"{strategy}: {_rate(rate)}"


def _seen(folder: Path | None) -> Iterator[str]:
    """Yield in how many runs the finding of a folder was seen, if the folder tells."""
    if folder is None:
        return
    with suppress(UsageError):
        hits = files.read_whole(folder / kept.HITS, HITS_BYTES_MAX, what="hits", try_="nothing: they are only counted")
        yield f"seen in {runs(1 + hits.count(NEWLINE))}; of how many, nobody counted"


def _rate(rate: Any) -> str:
    hits, of = (rate["hits"], rate["of"]) if isinstance(rate, Mapping) else (rate[0], rate[1])
    low, high = interval(hits, of)
    return f"{count(hits)} of {many(of, 'schedule')} (95 %: {100 * low:.2g} % to {100 * high:.2g} %)"


def _plain(facts: Mapping[str, Any] | None) -> Iterator[str]:
    for key, value in (facts or {}).items():
        yield f"{str(key).replace('_', ' ')} {value}"
