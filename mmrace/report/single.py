"""The result of one run, and of one replay, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from mmrace.oracles.general.judgement import Fact
from mmrace.report.finding import SCENARIO, summary_text
from mmrace.report.numbers import count
from mmrace.report.terminal import conclude, say, without_text
from mmrace.runs.spec import RunResult
from mmrace.runtime.breaking import Stop
from mmrace.runtime.errors import DIFFERENCES_SHOWN
from mmrace.runtime.strategy import Followed
from mmrace.runtime.visible import one_line


def show_run(result: RunResult, console: Console, *, record: str = "", remark: str = "") -> None:
    """Print what a run did, what was found, a remark, and its verdict on the last line."""
    done = ", ".join(f"{key} {count(n)}" for key, n in sorted(result.counters.items()) if n)
    if not done and result.spec.maker == SCENARIO:
        done = "nothing counted"
    say(console, f"{count(result.ops)} ops" + (f"; {done}" if done else ""))
    if result.findings:
        text = summary_text(result.spec, result.verdict, result.findings, [result.spec.command()])
        say(console, text.rstrip("\n"))
    for line in followed_lines(result.followed, result.spec.strategy):
        say(console, line)
    for oracle, reason in sorted(result.unknown.items()):
        say(console, f"unknown to {oracle}: {reason}")
    if record:
        say(console, f"record: {record}")
    if remark:
        say(console, remark)
    conclude(console, result.verdict, without_text(result.spec.without))


def followed_lines(followed: Followed | None, strategy: str) -> list[str]:
    """Say how much of the schedule that its strategy was given a run was."""
    if followed is None:
        return []
    name = strategy.partition(":")[0]
    return [f"{name} followed {count(followed.done)} of {count(followed.of)} {followed.what}", *followed.left]


def stop_lines(stop: Stop) -> list[str]:
    """Say where a run was stopped, and what everybody else is about to do."""
    lines = [
        f"stopped before event {stop.event} [{one_line(str(stop.place))}]: {one_line(stop.task)} is about to {stop.op}"
    ]
    for other in stop.others:
        how = "could go on: it is" if other.enabled else "has to wait: it is"
        lines.append(f"  {one_line(other.task)} {how} about to {other.op}")
    return lines


def claim_lines(claim: Mapping[str, Fact] | None) -> list[str]:
    """Say what a witness says of its claim, judged again."""
    if claim is None:
        return []
    steps = claim["steps"]
    assert isinstance(steps, list)
    at = f" (steps {', '.join(map(str, steps))})" if steps else ""
    title = f": {claim['title']}{at}" if claim["title"] else ""
    return [f"claim {claim['part']}, judged again on this run: {claim['verdict']}{title}"]


def tell_executed(header: Mapping[str, Any], console: Console) -> None:
    """Print which file of a user's a replay is about to execute, if any, before that happens."""
    program, digest = header.get("program"), header.get("digest")
    if program and digest:
        say(console, f"program {program} (digest {digest})")


def show_replay(result: RunResult, recorded: Sequence[str], console: Console) -> None:
    """Print whether a replay found what its record has.  `recorded`: the signatures in the record."""
    found = [finding.signature for finding in result.findings]
    if sorted(found) == sorted(recorded):
        remark = "the same findings as recorded" if found else "no finding, as recorded"
        if result.rejudged:
            remark = f"judged otherwise: {'; '.join(result.rejudged[:DIFFERENCES_SHOWN])}"
    else:
        was, now = (", ".join(names) or "nothing" for names in (recorded, found))
        remark = f"judged otherwise: recorded {was}, now {now}; the oracles have changed"
    told = [*claim_lines(result.claim), *result.told]
    ops = "every op follows the record, whose strategy and seed are not checked"
    if not result.unchecked:
        ops = "every op as recorded"
    show_run(result, console, remark="\n".join([*told, f"replay: {ops}; {remark}"]))


def show_guided(result: RunResult, signature: str, why: str, console: Console) -> None:
    """Print what came of a minimal file's schedule where no strict replay can be.  Args: why: it cannot."""
    found = [finding.signature for finding in result.findings]
    kept = "the same finding" if signature in found else f"without the finding {signature}"
    show_run(result, console, remark=f"replay: guided by its schedule, for {why}; {kept}")
