"""A campaign as JUnit XML, as the common CI systems read it: one testcase per scenario and per canary.

    <testsuites><testsuite><properties/><testcase>(<skipped/> | <error/> | <failure/>)?<system-out/>?</testcase>...

A scenario fails by what was found in it, a canary by being missed or by a twin that failed; what leaves the verdict
UNKNOWN is an error; a planted bug that there was no time for is skipped.  Invariant: a testcase has one of these at
most, as the stricter readers want it, so its text has all findings; each finding is in the text of a failure; all is
legal XML 1.0, with what a reader cannot see spelled out.  No testcase has an error or a failure if the verdict is PASS.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.etree import ElementTree

from mmrace.report.finding import commands_of, known_as
from mmrace.report.numbers import count, runs
from mmrace.report.terminal import finding_line, known_lines
from mmrace.runtime.visible import one_line, visible
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.campaign.trial import CanaryTrial
from mmrace.search.totals import Hit, Hits, Tally
from mmrace.version import __version__

NAME = "mmrace stress"
SCENARIOS, CANARIES, OTHERS = "mmrace.scenarios", "mmrace.canaries", "mmrace.campaign"
"""Classes of testcases, as CI systems group them."""
_NO_CHARACTER = re.compile("[\ufffe\uffff]")
"""What XML 1.0 has not, and `visible` leaves."""


@dataclass(slots=True)
class Case:
    """A testcase.  `kind`: "", "skipped", "error" or "failure", which has a `type`, a `message`, and `lines`."""

    group: str
    name: str
    seconds: float | None = None
    kind: str = ""
    type: str = ""
    message: str = ""
    lines: list[str] = field(default_factory=list)
    out: list[str] = field(default_factory=list)


def text(result: CampaignResult) -> Iterator[str]:
    """Write a campaign as JUnit XML."""
    yield "<?xml version='1.0' encoding='utf-8'?>\n"
    yield ElementTree.tostring(_suites(result, cases(result)), encoding="unicode")
    yield "\n"


def cases(result: CampaignResult) -> list[Case]:
    """Return the testcases of a campaign: scenarios, canaries, and what belongs to neither."""
    hits: dict[str, list[Hit]] = {}
    for hit in result.hits.values():
        hits.setdefault(hit.spec.program, []).append(hit)
    made = [_scenario(result, name, hits.pop(name, [])) for name in result.request.scenarios]
    made += [_canary(trial, result) for trial in result.trials]
    made += [Case(CANARIES, name, kind="skipped", message="not planted, for want of time") for name in result.unplanted]
    made += [_failed(Case(OTHERS, name), others) for name, others in hits.items()]
    return made + _troubles(result)


def _scenario(result: CampaignResult, name: str, hits: list[Hit]) -> Case:
    tally = result.scenarios.get(name, Tally())
    case = Case(SCENARIOS, name, tally.seconds)
    case.out = [f"{runs(tally.runs)}, {count(tally.ops)} ops", *known_lines(_of(result.known, name), tally)]
    if hits:
        return _failed(case, hits)
    reasons = [reason for reason in result.unknown_because() if reason.startswith(f"{name}: ")]
    return _unknown(case, [reason.removeprefix(f"{name}: ") for reason in reasons])


def _of(hits: Hits, program: str) -> Hits:
    """Return the findings of a program."""
    chosen = Hits()
    chosen.update({signature: hit for signature, hit in hits.items() if hit.spec.program == program})
    return chosen


def _canary(trial: CanaryTrial, result: CampaignResult) -> Case:
    case = Case(CANARIES, trial.canary.name)
    twins = f"twin passed {trial.twin_runs - trial.twin_failed} of {runs(trial.twin_runs)}"
    if trial.missed:
        case.kind, case.type = "failure", "MISSED"
        case.message = f"missed: {runs(trial.tried)}, no finding of oracle {trial.canary.oracle}"
        case.lines = [case.message, *(f"{oracle}: {runs(n)}" for oracle, n in sorted(trial.others.items()))]
    elif trial.twin_failed:
        case.kind, case.type, case.message = "failure", "FAIL", f"the program without the planted bug fails: {twins}"
        case.lines = _finding_lines(hit for hit in result.hits.values() if hit.role == "twin")
    elif not trial.concluded:
        found = "not found yet" if trial.found_after is None else f"found, {twins}"
        return _unknown(case, [f"{trial.tried} of {runs(trial.cap_runs)} made, {found}"])
    else:
        case.out = [f"found by {trial.canary.oracle} after {runs(trial.found_after or 0)}, cap {trial.cap_runs}", twins]
    return case


def _failed(case: Case, hits: list[Hit]) -> Case:
    case.kind, case.type = "failure", f"{hits[0].finding.oracle}: {hits[0].finding.rule}"
    more = f" (and {len(hits) - 1} more)" if len(hits) > 1 else ""
    case.message = f"{hits[0].finding.title} [{hits[0].finding.signature}]{more}"
    case.lines = _finding_lines(hits)
    return case


def _finding_lines(hits: Iterable[Hit]) -> list[str]:
    lines = []
    for hit in hits:
        lines += [finding_line(hit), f"  oracle {hit.finding.oracle}: {hit.finding.rule}; seen in {runs(hit.times)}"]
        if hit.saved.folder:
            lines.append(f"  saved in {hit.saved.folder}")
        if hit.saved.error:
            lines.append(f"  could not be saved: {hit.saved.error}")
        lines += [f"  repeat: {command}" for command in commands_of(hit)]
    return lines


def _unknown(case: Case, reasons: list[str]) -> Case:
    if reasons:
        case.kind, case.type, case.message, case.lines = "error", "UNKNOWN", reasons[0], reasons
    return case


def _troubles(result: CampaignResult) -> list[Case]:
    """Return a testcase for what kept runs from being made, and for whoever ended it, if there is any."""
    lines = [f"no worker survived it: {spec.command()}" for spec in result.given_up]
    for trouble in result.troubles:
        lines += [f"exit code {trouble.exit_code}: {trouble.text}", f"  repeat: {trouble.spec.command()}"]
    made = []
    if lines:
        made.append(Case(OTHERS, "runs", kind="error", type="TROUBLE", message=lines[0].split("\n")[0], lines=lines))
    if result.interrupted:
        message = f"ended by signal {result.interrupted}; this is what was known by then"
        made.append(Case(OTHERS, "interrupted", kind="error", type="UNKNOWN", message=message, lines=[message]))
    if result.hits.dropped:
        message = f"{count(result.hits.dropped)} more findings, not kept"
        made.append(Case(OTHERS, "dropped", kind="failure", type="FAIL", message=message, lines=[message]))
    return made


# -- XML ------------------------------------------------------------------------------------------------------------


def _suites(result: CampaignResult, made: list[Case]) -> ElementTree.Element:
    counts = {"tests": str(len(made)), **_counts(made), "time": f"{result.seconds:.3f}"}
    skipped = {"skipped": str(sum(case.kind == "skipped" for case in made))}
    root = ElementTree.Element("testsuites", {"name": NAME, **counts})
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    named = {"name": NAME, "timestamp": stamp, "hostname": _attribute(socket.gethostname())}
    suite = ElementTree.SubElement(root, "testsuite", {**named, **counts, **skipped})
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in _properties(result).items():
        ElementTree.SubElement(properties, "property", {"name": key, "value": _attribute(value)})
    for case in made:
        _add(suite, case)
    return root


def _counts(made: list[Case]) -> dict[str, str]:
    kinds = {"failures": "failure", "errors": "error"}
    return {name: str(sum(case.kind == kind for case in made)) for name, kind in kinds.items()}


def _properties(result: CampaignResult) -> dict[str, str]:
    total = result.total()
    return {
        "mmrace": __version__,
        "verdict": result.verdict,
        "exit code": str(result.exit_code),
        "seed": str(result.request.seed),
        "runs": str(total.runs),
        "ops": str(total.ops),
        "known": ", ".join(known_as(row) for row in sorted(total.known)),
        "marks never reached": ", ".join(result.marks_missed()),
    }


def _add(suite: ElementTree.Element, case: Case) -> None:
    time = {} if case.seconds is None else {"time": f"{case.seconds:.3f}"}
    element = ElementTree.SubElement(
        suite, "testcase", {"classname": case.group, "name": _attribute(case.name), **time}
    )
    if case.kind:
        type_ = {"type": _attribute(case.type)} if case.type else {}
        end = ElementTree.SubElement(element, case.kind, {"message": _attribute(case.message), **type_})
        if case.lines:
            end.text = _text(case.lines)
    if case.out:
        ElementTree.SubElement(element, "system-out").text = _text(case.out)


def _attribute(value: str) -> str:
    return _legal(one_line(value))


def _text(lines: Iterable[str]) -> str:
    return _legal(visible("\n".join(lines)))


def _legal(value: str) -> str:
    return _NO_CHARACTER.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
