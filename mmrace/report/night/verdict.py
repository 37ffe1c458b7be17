"""What a night amounts to: PASS, FAIL or UNKNOWN, and why.

Invariant: PASS is said only of runs that were made and judged, by campaigns that came to their end; what nobody checked
makes UNKNOWN, and what weakens a PASS is said beside it.  The rules are those of one campaign (`search/campaign/`).
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator

from mmrace.report.night.facts import Campaign, Canary, Estimate, Finding, Night, Program, Verdict
from mmrace.report.numbers import chance, count, duration, many, runs
from mmrace.runtime.errors import EXIT_FAIL, EXIT_PASS, EXIT_UNKNOWN

STATES = {
    "new": "new",
    "came-back": "came back",
    "known": "known of before",
    "unseen": "not seen since",
}
"""State of a finding's life -> how it is said."""
RESUME = "--resume"
NAMED_MAX = 5


def verdict_of(night: Night) -> Verdict:
    """Return the verdict of a night."""
    failures, doubts = [*_failures(night)], [*_doubts(night)]
    word = "FAIL" if failures else "UNKNOWN" if doubts else "PASS"
    return Verdict(word, _sentence(night, word), tuple(failures + doubts), tuple(_rests(night)))


def exit_code(verdict: Verdict) -> int:
    """Return the exit code of a night: that of its verdict."""
    return {"PASS": EXIT_PASS, "FAIL": EXIT_FAIL}.get(verdict.word, EXIT_UNKNOWN)


def program_text(of: Finding | Program) -> str:
    """Name a program, with its variant and era."""
    name = of.program if isinstance(of, Finding) else of.name
    return "/".join(filter(None, (name, of.variant, of.era)))


def state_text(finding: Finding) -> str:
    """Say what a finding's life is at.  A fault that is written down is expected, whenever it was first seen."""
    return "expected" if finding.known else STATES.get(finding.state, finding.state)


def _sentence(night: Night, word: str) -> str:
    total = night.total
    if not night.campaigns:
        return "Nothing was checked: there is no campaign in this night."
    if not total.runs:
        again = any(campaign.verdict in ("PASS", "FAIL") for campaign in night.campaigns)
        why = "; what its campaigns did again was counted when it was done first" if again else ""
        return f"Nothing was checked: no new run of a program that should pass was counted in this night{why}."
    names = {program.name for program in night.programs}
    over = f"{runs(total.runs)} of {many(len(names), 'program')}"
    if night.since is not None and night.until is not None:
        over += f", in {duration(night.until - night.since)}"
    if word == "FAIL":
        return f"{', '.join(_what_failed(night))}; over {over}."
    if word == "UNKNOWN":
        return f"No finding so far, and no verdict; over {over}."
    return f"No finding in {over}."


def _what_failed(night: Night) -> Iterator[str]:
    states = Counter(state_text(finding) for finding in night.findings if finding.fails)
    if states:
        each = ", ".join(f"{count(times)} {state}" for state, times in states.most_common())
        yield f"{many(states.total(), 'finding')} ({each})"
    missed = sum(canary.missed and not canary.found for canary in night.canaries)
    if missed:
        yield f"{many(missed, 'canary', 'canaries')} missed"
    if not states and not missed:
        yield "A campaign failed"


def _failures(night: Night) -> Iterator[str]:
    failing = [finding for finding in night.findings if finding.fails]
    for finding in failing[:NAMED_MAX]:
        yield f"{state_text(finding)}: {finding.title} [{finding.signature}] in {program_text(finding)}"
    if len(failing) > NAMED_MAX:
        yield f"and {many(len(failing) - NAMED_MAX, 'more finding')}"
    missed = [canary for canary in night.canaries if canary.missed and not canary.found]
    for canary in missed:
        tried = max(trial.tried for trial in canary.tonight)
        yield f"canary {canary.name} was missed: no finding of oracle {canary.oracle} in {runs(tried)}, its cap"
    if not failing and not missed:
        for campaign in night.campaigns:
            if campaign.verdict == "FAIL":
                yield f"campaign {campaign.name} ended in FAIL, by something that the ledger does not name"


def _doubts(night: Night) -> Iterator[str]:
    if not night.campaigns:
        yield "no campaign"
        return
    if not night.total.runs:
        yield "no new run of a program that should pass"
    for program in night.programs:
        for doubt in program.doubts:
            yield f"{program_text(program)}: {doubt}"
    for canary in night.canaries:
        yield from _undecided(canary)
    for campaign in night.campaigns:
        why = _unconcluded(campaign)
        if why and not _gone_on_with(campaign, night):
            yield f"campaign {campaign.name} {why}"
    if night.ahead:
        later = f"{many(night.ahead, 'campaign')} began later than now"
        yield f"a clock is ahead: {later}, and whether it is of this night nobody can tell"


def _unconcluded(campaign: Campaign) -> str:
    """Say why a campaign came to no verdict; "" if it did."""
    if not campaign.verdict:
        return "still runs" if campaign.running else "has no end in the ledger: it was killed"
    if campaign.interrupted:
        return f"was interrupted by signal {campaign.interrupted}"
    if campaign.early:
        return f"ended early, in {campaign.verdict} (exit code {campaign.exit_code})"
    if campaign.verdict == "UNKNOWN":
        return f"ended in UNKNOWN (exit code {campaign.exit_code})"
    return ""


def _gone_on_with(campaign: Campaign, night: Night) -> bool:
    """Say whether a later campaign of the same command came to a verdict."""
    mine = _wanted(campaign)
    return any(
        later.began > campaign.began and not _unconcluded(later) and _wanted(later) == mine for later in night.campaigns
    )


def _wanted(campaign: Campaign) -> list[str]:
    try:
        words = shlex.split(campaign.command)
    except ValueError:
        words = [campaign.command]
    return [word for word in words if word != RESUME]


def _undecided(canary: Canary) -> Iterator[str]:
    if not canary.tonight:
        return
    if not canary.found and not canary.missed:
        last = canary.tonight[-1]
        yield f"canary {canary.name}: {count(last.tried)} of {runs(last.cap)} made, not found yet"
    found = [trial for trial in canary.tonight if trial.found_after is not None]
    if found and all(trial.twin_runs < trial.tried for trial in found):
        last = found[-1]
        yield f"twin of canary {canary.name}: {count(last.twin_runs)} of {runs(last.tried)} made"


def _rests(night: Night) -> Iterator[str]:
    """Yield what the verdict rests on, strengths and gaps alike."""
    total = night.total
    if total.runs:
        yield (
            f"{runs(total.runs)} with {count(total.ops)} ops were judged against what must hold: {count(total.passed)} "
            f"passed, {count(total.failed)} failed, {count(total.unjudged)} could not be judged"
        )
    planted = [canary for canary in night.canaries if canary.tonight]
    found = sum(canary.found for canary in planted)
    if planted:
        yield f"the judges were awake: {count(found)} of {many(len(planted), 'planted bug')} found"
    elif night.campaigns:
        yield "no canary was planted in this night, so nothing shows that the judges were awake"
    unplanted = {name for campaign in night.campaigns for name in campaign.unplanted} - {one.name for one in planted}
    if unplanted:
        yield f"{many(len(unplanted), 'canary', 'canaries')} not planted, for want of time"
    if night.classes is not None and night.classes.next_new is not None:
        new = night.classes.next_new
        noted = f"of {runs(night.classes.runs)} whose class of interleavings was noted"
        yield f"{count(night.classes.met)} classes {noted}; the next would show a new one with a chance of {about(new)}"
    unkept = sum(campaign.unkept_runs for campaign in night.campaigns)
    if unkept:
        yield f"{runs(unkept)} were made and could not be written down: they are counted nowhere here"
    if night.damage:
        yield f"{many(len(night.damage), 'place')} of the ledger could not be read, and what stood there is not counted"


def about(found: Estimate) -> str:
    """Write an estimated chance; of one that was estimated as nothing, what it is at most."""
    return chance(found.value) if found.value else f"at most {chance(found.high)}"
