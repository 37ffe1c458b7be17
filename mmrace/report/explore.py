"""An exploration as text: a line while it runs, and its last word.

Invariant: everything comes from the `Exploration`; the verdict line is always the last line, and says what it covers.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from mmrace.report.finding import SCENARIO, commands_of, known_as, known_text, program_text, summary_text
from mmrace.report.minimal import found_lines
from mmrace.report.numbers import count, duration, many, rate, runs
from mmrace.report.single import followed_lines
from mmrace.report.terminal import (
    HITS_SHOWN_MAX,
    TROUBLES_SHOWN_MAX,
    WRONG_CALL,
    Lines,
    conclude,
    interrupted,
    known_lines,
    once,
    say,
    say_lost,
    without_text,
)
from mmrace.runtime.errors import UsageError
from mmrace.search.catalogue import CanaryLike
from mmrace.search.explore.promotion import LOOK
from mmrace.search.explore.result import SMALLER, Covered, Exploration
from mmrace.search.totals import Hit, is_wrong_call

MORE = 10
"""So many times the schedules that did not find a planted bug are worth a try."""
ENDLESS_SECONDS = 30.0
"""A walk that has not ended by then seldom does: most small trees take a second, and each op more multiplies them."""


BEGINS = "{} at work: the program is made, and its first schedules are run; none has ended yet"


def _schedules(number: int) -> str:
    return many(number, "schedule")


def _distinct(result: Exploration) -> str:
    return many(result.classes.distinct, "class", "classes")


def line(result: Exploration) -> str:
    """Write progress on one line."""
    runs = result.tally.runs
    if not runs:
        return f"{duration(result.seconds)}: {BEGINS.format(_processes(result.ask.jobs))}"
    parts = [f"{_schedules(runs)}, {rate(runs, result.seconds)}/s", _distinct(result)]
    if result.covered is None:
        parts.append(f"unseen: the next schedule is new with a chance of {result.classes.unseen_mass():.2f}")
    elif result.covered.blocked:
        parts.append(f"{count(result.covered.blocked)} abandoned")
    unknown = result.tally.unjudged
    if unknown:
        parts.append(f"{count(unknown)} could not be judged")
    parts.append(many(len(result.hits), "finding"))
    return f"{duration(result.seconds)}: " + "; ".join(parts)


class WalkLines(Lines[Exploration]):
    """Progress as lines; of a walk that was to reach the end of its tree, and has not for long, it is told once."""

    endless_told = False

    def progress(self, result: Exploration) -> None:
        """Print a line if the last one is old enough."""
        super().progress(result)
        if result.ask.exhaustive and result.seconds >= ENDLESS_SECONDS and not (self.endless_told or self.quiet):
            self.endless_told = True
            say(self.console, endless(result))


def endless(result: Exploration) -> str:
    """Say that a tree is large, and what to do."""
    walked = f"{_distinct(result)} in {duration(result.seconds)}, and no end in sight"
    return f"{walked}: trees grow fast with what tasks do, and a walk that is cut proves nothing; try: {SMALLER}"


def show(result: Exploration, console: Console, canary: CanaryLike | None = None, *, quiet: bool = False) -> None:
    """Print the whole report.

    Args: canary: what was planted, if that is one.  quiet: findings and the verdict only.
    """
    if not quiet:
        _coverage(result, console)
        for text in known_lines(result.known, result.tally):
            say(console, text)
    _findings(result, console)
    say_lost(console, result.losses, result.given_up)
    for text in once(trouble.text for trouble in result.troubles)[:TROUBLES_SHOWN_MAX]:
        say(console, f"trouble: {text}")
    if result.ask.variant and not result.hits:
        say(console, _not_found(result, canary))
    conclude(console, result.verdict, f" {_because(result)}")


def _not_found(result: Exploration, canary: CanaryLike | None) -> str:
    """Say that a planted bug was not found, which the verdict on these schedules is not about, and what to give."""
    ask = result.ask
    text = f"variant {ask.variant} was planted and not found in {_schedules(result.tally.runs)}: that does not clear it"
    hint = f"a longer --for, or --schedules {count(MORE * max(result.tally.runs, 100)).replace(',', '')}"
    try:
        if canary is not None:
            words = [f"--param {key}={value}" for key, value in sorted(canary.params_under(ask.engine).items())]
            where = " ".join(["mmrace explore", canary.scenario, "--variant", canary.name, "--until-found", *words])
            cap = canary.cap_under(ask.engine)
            hint += f"; or, where it is found but for one chance in a million: {where} --schedules {cap}"
    except UsageError:  # nobody measured that
        pass
    return f"{text}; try: {hint}"


def _coverage(result: Exploration, console: Console) -> None:
    ask, tally = result.ask, result.tally
    say(console, program_text(ask.maker, ask.program, ask.params, ask.variant, ask.era))
    how = f"strategy {ask.strategy}, engine {ask.engine}, seed {ask.seed}, {_processes(ask.jobs)}"
    done = f"{_schedules(tally.runs)}, {count(tally.ops)} ops in {duration(result.seconds)}"
    say(console, f"{how}: {done}, {rate(tally.runs, result.seconds)} schedules/s")
    happened = ", ".join(f"{key} {count(n)}" for key, n in sorted(tally.counters.items()) if n)
    if happened or ask.maker == SCENARIO:
        say(console, f"what happened: {happened or 'nothing that is counted'}")
    for text in followed_lines(result.followed, ask.strategy):
        say(console, text)
    if result.promoted is not None:
        say(console, f"plain accesses that are switch points: {_promoted(result, result.promoted)}")
    if result.covered is not None:
        _tree(result, result.covered, console)
    else:
        _classes(result, console)


def _promoted(result: Exploration, fields: Sequence[str]) -> str:
    """Name the switch points, and say since when those are that had to be looked for."""
    if result.since:
        groups = [f"{', '.join(found)} (from schedule {count(index)} on)" for index, found in result.since.items()]
        text = "; ".join(groups)
    else:
        text = ", ".join(fields) or "none is known to race"
    return f"{text}; all accesses in {_schedules(result.looks)} that looked for races" if result.looks else text


def _processes(jobs: int) -> str:
    return many(jobs, "process", "processes")


def _tree(result: Exploration, covered: Covered, console: Console) -> None:
    """Say how far a walk got."""
    text = "walked to its end" if covered.exhausted else "not walked to its end"
    if covered.bound is not None and not covered.exhausted:
        text += f"; every schedule up to bound {covered.bound}"
    classes = f"{_distinct(result)}, {runs(covered.blocked)} without use"
    say(console, f"tree {text}: {classes}")


def _classes(result: Exploration, console: Console) -> None:
    """Say what a sample met, and what may be left."""
    classes = result.classes
    growth = ", ".join(f"{count(distinct)} after {count(runs)}" for runs, distinct in classes.growth[-6:])
    say(console, f"classes of interleavings: {count(classes.distinct)} distinct ({growth})")
    unseen = f"unseen: the next schedule shows a new class with a chance of about {classes.unseen_mass():.3f}"
    say(console, f"{unseen}; at least some {many(round(classes.total_estimate()), 'class', 'classes')} in all")
    if len(result.by_strategy) > 1:
        parts = [
            f"{name} {count(new)} of {count(runs)}" + (" (looks)" if name == LOOK and runs == result.looks else "")
            for name, (runs, new) in sorted(result.by_strategy.items())
        ]
        say(console, f"first to meet a class, of its schedules: {', '.join(parts)}")


def _findings(result: Exploration, console: Console) -> None:
    for signature, hit in list(result.hits.items())[:HITS_SHOWN_MAX]:
        broken = result.replayed.get(signature, (1, 1))[0] == 0
        commands = [hit.command] if broken else commands_of(hit)
        say(console, summary_text(hit.spec, "FAIL", [hit.finding], commands).rstrip())
        for text in found_lines(result.minimal.get(signature), hit.saved.folder):
            say(console, text)
        times = f"seen in {count(hit.times)} of {_schedules(result.tally.runs)}"
        say(console, f"{known_text(hit.saved)}; {times}{_proof(result, signature, hit)}")
        if hit.saved.error:
            say(console, f"NOT SAVED: {hit.saved.error}")
    left = len(result.hits) - HITS_SHOWN_MAX
    if left > 0:
        say(console, f"and {many(left, 'more finding')}")


def _proof(result: Exploration, signature: str, hit: Hit) -> str:
    text = ""
    if signature in result.replayed:
        again, tried = result.replayed[signature]
        text += f"; replayed {again} of {tried}"
        if again < tried and hit.saved.before:
            text += f" (kept by an earlier session: remove {hit.saved.folder} for a new record)"
    if signature in result.realised:
        met = result.realised[signature]
        text += f"; realised, see {met}" if met else "; predicted only: no search made it happen"
    return text


def _because(result: Exploration) -> str:
    until = result.ask.until
    missed = f"; not found: {until}" if until and until not in {*result.hits, *result.known} else ""
    missed += f"; planted and not found: {result.ask.variant}" if result.ask.variant and not result.hits else ""
    known = "".join(f"; {known_as(row)}" for row in sorted(result.tally.known))
    return _covers(result) + known + missed + without_text(result.ask.without)


def _covers(result: Exploration) -> str:
    if result.hits:
        found = many(len(result.hits), "distinct finding")
        if is_wrong_call(result.troubles):
            found = f"{WRONG_CALL}; {found} before that was known"
        return f"{found}; {interrupted(result.interrupted)}" if result.interrupted else found
    why = result.unknown_because()
    if result.interrupted:
        return interrupted(result.interrupted) + (f"; {why}" if why else "")
    if result.troubles:
        return f"{runs(len(result.troubles))} could not be made"
    if why:
        return why
    if result.exhaustive:
        return f"exhaustive: all {_distinct(result)} of interleavings"
    if result.covered is not None and result.covered.bound is not None:
        return f"every schedule up to bound {result.covered.bound}, not exhaustive"
    return f"over {_schedules(result.tally.runs)}, {_distinct(result)}; not exhaustive"
