"""A failed run as text: what was found, and how to have it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmrace.oracles.general.judgement import Finding
from mmrace.oracles.general.liveness import sentence
from mmrace.runs import kept
from mmrace.runs.kept import Kept
from mmrace.runs.spec import RunSpec
from mmrace.runs.store import Saved
from mmrace.runtime.visible import one_line
from mmrace.search.totals import Hit, RunKind

SCENARIO = "scenario"
"""The maker of the kernel model's programs: the only ones that have variants, and counters of what happened."""
OWN_ERA = "3.3"
"""Of the model itself: a spec that names no era means it."""
CORRECT = "correct, era"
NUMBERS = ("_id", "_lane", "_lanes")
"""How keys of facts end whose values mean something in their record only: it has names for them."""


def variant_text(maker: str, variant: str, era: str = "") -> str:
    """Name the variant of a program, and its era; "" for a program that has neither."""
    if not variant:
        return f"({CORRECT} {era or OWN_ERA})" if maker == SCENARIO else ""
    return variant if era in ("", OWN_ERA) else f"{variant}, era {era}"


def variant_of(header: Mapping[str, Any]) -> tuple[str, str]:
    """Return the variant and the era that the header of a record names."""
    return header.get("variant", ""), header.get("era", "")


def program_text(maker: str, name: str, given: Iterable[tuple[str, object]], variant: str, era: str = "") -> str:
    """Say on one line what is run.  Args: given: parameters, as far as somebody gave them."""
    params = " ".join(f"{key}={value}" for key, value in given) or "(defaults)"
    what = variant_text(maker, variant, era)
    return f"{maker} {name}, parameters {params}" + (f", variant {what}" if what else "")


def again_text(spec: RunSpec | RunKind, times: int = 0, runs: int = 0) -> str:
    """Say what the command that repeats a run does under `free`, where no run comes twice; "" under control.

    Args: times, runs: how often the finding was seen, in how many runs of this kind; 0 runs: nobody counted.
    """
    if spec.engine != "free":
        return ""
    like = f"{spec.program} under free with noise {spec.noise}"
    rate = f"hit rate about {times / runs:.2g} ({times} of {runs} runs of {like})" if runs else "hit rate unknown"
    return f"that is another run, since engine free never runs twice alike: {rate}"


def commands_of(hit: Hit) -> list[str]:
    """Return the commands that have a finding again: the replay of the record that its folder has, and the run."""
    there = in_folder(hit)
    if there is None:
        return [hit.command]
    record = Path(hit.saved.folder, kept.RECORD)
    replays = there.recorded and there.engine != "free"
    return [*([shlex.join(["mmrace", "replay", str(record)])] if replays else []), there.command]


def in_folder(hit: Hit) -> Kept | None:
    """Return what the folder of a finding has by now, which need not be what it had first; None if nothing of it."""
    there = kept.read(Path(hit.saved.folder)) if hit.saved.folder else None
    return there if there is not None and there.owner == kept.owner_of(hit.spec) else None


def known_as(row: str) -> str:
    """Say that a finding is expected.  Args: row: where it is written down."""
    return f"known in 3.3: {row}"


def known_text(saved: Saved) -> str:
    """Say whether a finding is known or new."""
    return f"known since {saved.since}" if saved.since else "new"


def waits_lines(facts: Mapping[str, Any]) -> list[str]:
    """Say who waits for what, a line a task, where it stands and what it holds; empty for a finding of another kind."""
    rows = facts.get("tasks")
    rows = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list | tuple) else []
    return [_waits(row) for row in rows if "waits_for" in row]


def _waits(row: Mapping[str, Any]) -> str:
    text = sentence(row)
    if row.get("about_to") and row.get("waits_for") != "its CPU":
        text += f"; it is about to {row['about_to']}"
    if row.get("at"):
        text += f"; it is at {row['at']}"
    if row.get("holds"):
        text += f"; it holds {', '.join(map(str, row['holds']))}"
    return text


def fact_lines(key: str, value: object) -> list[str]:
    """Say a fact of a finding: of several rows, each on a line of its own, in words; anything else as JSON."""
    rows = value if isinstance(value, list | tuple) else ()
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        return [f"{key}: {json.dumps(value, default=str)}"]
    return [f"{key}:", *(f"  {_row_text(row)}" for row in rows)]


def _row_text(row: Mapping[str, Any]) -> str:
    """Write a row as "task main.1, op READ, no locks", but for what is not known, and `NUMBERS`."""
    return one_line(", ".join(_named(key, value) for key, value in row.items() if _tells(key, value)))


def _tells(key: str, value: object) -> bool:
    return value is not None and not key.endswith(NUMBERS)


def _named(key: str, value: object) -> str:
    name = key.replace("_", " ")
    if isinstance(value, list | tuple):
        return f"{name} {', '.join(map(str, value))}" if value else f"no {name}"
    return f"{name} {value}"


def summary_text(
    spec: RunSpec, verdict: str, findings: Sequence[Finding], commands: Sequence[str], again: str = ""
) -> str:
    """Return the facts of a failed run, one a line.

    Args: commands: to paste.  again: what the last of them does, if more is known than `again_text` says of any.
    """
    lines = [f"verdict: {verdict}", f"{spec.maker}: {spec.program}"]
    variant = variant_text(spec.maker, spec.variant, spec.era)
    if variant:
        lines.append(f"variant: {variant}")
    how = f"noise {spec.noise}" if spec.engine == "free" else f"strategy {spec.strategy}"
    lines += [f"engine: {spec.engine}, {how}", f"seed: {spec.seed}"]
    for finding in findings:
        lines += ["", f"{finding.title} [{finding.signature}]"]
        lines += [f"  {known_as(finding.known)}"] if finding.known else []
        lines += [f"  oracle: {finding.oracle}", f"  rule: {finding.rule}"]
        waits = waits_lines(finding.facts)
        for key, value in finding.facts.items():
            if key == "tasks" and waits:
                lines += [f"  {text}" for text in waits]
            elif key == "step" and waits:
                lines.append("  step: the end of the run")
            else:
                lines += [f"  {text}" for text in fact_lines(key, value)]
    lines += ["", *(f"repeat: {command}" for command in commands), *filter(None, [again or again_text(spec)])]
    return "\n".join(lines) + "\n"
