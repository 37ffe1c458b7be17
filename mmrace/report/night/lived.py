"""The findings of a store as a page of one night tells them: what each is tonight, and its story from its folder.

Invariant: a finding is new if the night was the first to have it, whatever came after; it is expected only if all
campaigns of the night that met it say so; a folder is read only for the findings whose stories are told.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from mmrace.report.night.chosen import Choice
from mmrace.report.night.facts import Estimate, Finding, Span, StoryOf
from mmrace.report.night.stories import BookOf, story_of
from mmrace.report.store.findings import OverTime
from mmrace.runs import kept
from mmrace.runs.minimal import MINIMAL
from mmrace.search.ledger.entry import Met
from mmrace.search.ledger.index import Index
from mmrace.search.ledger.life import Life

FINDINGS = "findings"
"""The folder of findings, in a store."""
FINDINGS_MAX = 200
STORIES_MAX = 24  # a page is to stay small; `mmrace explain` tells the others
STORIES_CHARS_MAX = 1_000_000  # of all stories together, with their pictures
LINE_CHARS = 110  # of a line of a picture, as SVG
TITLE_CHARS_MAX = 400
ORDER = ("new", "came-back", "known", "unseen")

Owner: TypeAlias = tuple[str, str, str]
"""Program, variant and era: whose runs and findings are counted together."""
Hits: TypeAlias = dict[tuple[Owner, str], Counter[float]]
"""Owner and signature -> when it was seen in the night, in how many runs."""
Words: TypeAlias = Mapping[tuple[Owner, str], list[Met]]
"""Owner and signature -> the words that campaigns of the night have for it."""
OfOwner: TypeAlias = Mapping[Owner, tuple[int, Counter[str]]]
"""Owner -> its runs of the night, and in how many of them each finding was seen."""


def findings(
    index: Index, words: Words, tonight: OfOwner, hits: Hits, since: float, store: Path, book_of: BookOf
) -> tuple[Finding, ...]:
    """Return the findings: those first by which the night fails, new ones before others."""
    found = [(_finding(life, words, tonight, hits, since, store), life) for life in index.lives()]
    found.sort(key=lambda pair: _order(pair[0]))
    told: list[Finding] = []
    size, times = 0, OverTime(index)
    for place, (one, life) in enumerate(found[:FINDINGS_MAX]):
        over_time: tuple[Span, ...] = ()
        if place < STORIES_MAX and size < STORIES_CHARS_MAX:
            story, over_time = _story(one, book_of), _over_time(times, life)
        else:
            story = StoryOf(missing=f"its story is told by `mmrace explain {shlex.quote(one.folder)}`")
        size += len(story.text) + (LINE_CHARS * len(story.picture.lines) if story.picture is not None else 0)
        told.append(replace(one, commands=_commands(one), story=story, over_time=over_time))
    return tuple(told)


def words_of(index: Index, choice: Choice) -> Words:
    """Return what the campaigns of a night say of the findings that they met."""
    found: dict[tuple[Owner, str], list[Met]] = {}
    for one in choice.campaigns:
        for met in index.mets(one.campaign):
            found.setdefault(((met.program, met.variant, met.era), met.signature), []).append(met)
    return found


def _order(one: Finding) -> tuple[object, ...]:
    return not one.fails, bool(one.known), ORDER.index(one.state), -one.tonight, one.signature, one.program


def _over_time(times: OverTime, life: Life) -> tuple[Span, ...]:
    return tuple(
        Span(one.when, one.hits, one.runs, Estimate(one.rate, *one.interval)) for one in times.points(life) if one.runs
    )


def _finding(life: Life, words: Words, tonight: OfOwner, hits: Hits, since: float, store: Path) -> Finding:
    met = life.met
    owner = met.program, met.variant, met.era
    runs, seen = tonight.get(owner, (0, Counter()))
    own = words.get((owner, life.signature), [])
    known = _known(own) if own else met.known
    state = life.state
    if state in ("new", "known") and not known:
        state = "new" if life.first_when >= since else "known"
    moments = dict(hits.get((owner, life.signature), {}))
    for when in (life.first_when, life.last_when):
        if not any(abs(when - other) < 1.0 for other in moments) and (when < since or not moments):
            moments[when] = 1
    return Finding(
        signature=life.signature,
        title=_cut(met.title) or "(a finding of which the ledger has lost the words)",
        oracle=met.oracle,
        rule=met.rule,
        program=met.program,
        variant=met.variant,
        era=met.era,
        state=state,
        known=known,
        tonight=seen[life.signature],
        of=runs,
        hits=life.hits,
        runs=life.runs,
        rate=Estimate(life.rate, life.low, life.high),
        first_when=life.first_when,
        first_revision=life.first_revision,
        last_when=life.last_when,
        last_revision=life.last_revision,
        unseen_since=life.unseen_since,
        unseen_runs=life.unseen_runs,
        noted=not seen[life.signature] and any(one.when >= since for one in own),
        seen=tuple(sorted(moments.items())),
        commands=(met.command,) if met.command else (),
        folder=str(store / FINDINGS / (Path(met.folder).name or life.signature)),
    )


def _known(own: list[Met]) -> str:
    """Return where a finding is written down as expected; "" if a campaign did not expect it."""
    return max(own, key=lambda met: met.when).known if all(met.known for met in own) else ""


def _cut(text: str) -> str:
    return text if len(text) <= TITLE_CHARS_MAX else f"{text[:TITLE_CHARS_MAX]}…"


def _commands(one: Finding) -> tuple[str, ...]:
    """Return what has a finding again: the replay of what its folder has, then the run."""
    folder = Path(one.folder)
    there = kept.read(folder)
    if there is None or there.signature != one.signature:
        return one.commands
    files = [name for name in (MINIMAL, kept.RECORD) if (folder / name).is_file()]
    replays = [shlex.join(["mmrace", "replay", str(folder / files[0])])] if files else []
    return (*replays, *(one.commands or (there.command,)))


def _story(one: Finding, book_of: BookOf) -> StoryOf:
    if not Path(one.folder).is_dir():
        return StoryOf(missing=f"there is no story: its folder {one.folder} is gone, or was never written")
    return story_of(Path(one.folder), one.signature, book_of)
