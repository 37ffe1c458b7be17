"""What a program is known to do wrong: findings that are expected of it, since what it models does the same.

A judge knows nothing of this.  Whoever makes the verdict of a run marks the findings that fit (`Finding.known`), and
they fail no run.  Invariant: a finding fits by its oracle, its rule, and by who met whom at what, never by its text or
by names of instances, so that the same fault fits in every run, whatever is edited elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mmrace.oracles.general.judgement import Fact, Finding, Judgement, Verdict, kind_of
from mmrace.runtime.record import Record


@dataclass(frozen=True)
class Shows:
    """One face of a fault: how one judge sees it.

    Args: oracle, rule: of the finding.  tasks: who takes part in it, by kind.  object: what it is about: the field or
    the bit, the last part of its name.  at: a function that one of the finding's sites must be in; where a record has
    no sites, as under `free`, nobody can tell.
    """

    oracle: str
    rule: str
    tasks: tuple[str, ...] = ()
    object: str = ""
    at: str = ""

    def fits(self, finding: Finding) -> bool:
        """Say whether a finding is this face."""
        if (finding.oracle, finding.rule) != (self.oracle, self.rule):
            return False
        sides = [finding.facts, *_sides(finding)]
        tasks = {kind_of(str(side["task"])) for side in sides if side.get("task")}
        about = str(finding.facts.get("object", "")).rpartition(".")[2]
        sites = [str(side[key]) for side in sides for key in ("at", "site") if side.get(key)]
        return (
            tasks.issuperset(self.tasks)
            and self.object in ("", about)
            and (not self.at or not sites or any(self.at in _functions(site) for site in sites))
        )


def _sides(finding: Finding) -> list[Mapping[str, Fact]]:
    sides = finding.facts.get("sides")
    return [side for side in sides if isinstance(side, Mapping)] if isinstance(sides, Sequence) else []


def _functions(site: str) -> list[str]:
    """Return the functions of a site, "outer > inner:name"."""
    return [part.strip().partition(":")[0] for part in site.split(">")]


@dataclass(frozen=True)
class Expected:
    """A fault that a program is known to have.

    Args: row: where it is written down ("R14").  title: what it is.  shows: its faces, any of which is it.  actors,
    needs: who has to play, and which parameters must have which value, for it to be possible at all.  unless: which
    parameters must not have which value.  rare: so seldom that runs without it say nothing.
    """

    row: str
    title: str
    shows: tuple[Shows, ...]
    actors: tuple[str, ...] = ()
    needs: Mapping[str, object] = field(default_factory=dict)
    unless: Mapping[str, object] = field(default_factory=dict)
    rare: bool = False

    def possible(self, playing: Iterable[str], values: Mapping[str, object]) -> bool:
        """Say whether a run can have it.  Args: playing: names of the actors."""
        needed = all(values.get(key) == it for key, it in self.needs.items())
        spared = any(values.get(key) == it for key, it in self.unless.items())
        return needed and not spared and {*playing}.issuperset(self.actors)


def mark(record: Record, judgements: Sequence[Judgement], expects: Sequence[Expected]) -> list[Judgement]:
    """Return the judgements with known findings marked; a judge that found nothing else passes.

    A run in which a known fault showed proves nothing from there on: what breaks later follows from it, and is known
    with it.  Under `free`, where a finding's place is that of its note, all that breaks in such a run does.
    """
    findings = [finding for judgement in judgements for finding in judgement.findings]
    known = [(_step(finding, -1), row) for finding in findings if (row := _row_of(finding, expects))]
    if not known:
        return list(judgements)
    first, row = min(known)
    if record.header.get("engine") == "free":
        first = -1
    return [
        _marked(judgement, [_row_of(f, expects) or row * (_step(f, first + 1) > first) for f in judgement.findings])
        for judgement in judgements
    ]


def _step(finding: Finding, unplaced: int) -> int:
    step = finding.facts.get("step")
    return step if isinstance(step, int) else unplaced


def _marked(judgement: Judgement, rows: Sequence[str]) -> Judgement:
    if not any(rows):
        return judgement
    findings = [replace(finding, known=row) for finding, row in zip(judgement.findings, rows, strict=True)]
    return replace(judgement, findings=findings, verdict=judgement.verdict if not all(rows) else Verdict.PASS)


def _row_of(finding: Finding, expects: Iterable[Expected]) -> str:
    """Return where a finding is written down; "" for one that nobody expects."""
    return next((known.row for known in expects if any(face.fits(finding) for face in known.shows)), "")
