"""A failed run as text: what was found, and how to have it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmrace.oracles.general.judgement import Finding
from mmrace.runs import kept
from mmrace.runs.spec import RunSpec
from mmrace.runs.store import Saved
from mmrace.search.totals import Hit

SCENARIO = "scenario"
"""The maker of the kernel model's programs: the only ones that have variants, and counters of what happened."""
CORRECT = "(correct, era 3.3)"


def variant_text(maker: str, variant: str) -> str:
    """Name the variant of a program; "" for a program that has none."""
    return variant or (CORRECT if maker == SCENARIO else "")


def program_text(maker: str, name: str, given: Iterable[tuple[str, object]], variant: str) -> str:
    """Say on one line what is run.  Args: given: parameters, as far as somebody gave them."""
    params = " ".join(f"{key}={value}" for key, value in given) or "(defaults)"
    what = variant_text(maker, variant)
    return f"{maker} {name}, parameters {params}" + (f", variant {what}" if what else "")


def again_text(spec: RunSpec, times: int = 0, runs: int = 0) -> str:
    """Say what the command that repeats a run does under `free`, where no run comes twice; "" under control.

    Args: times, runs: how often the finding was seen, in how many runs of the program; 0 runs: nobody counted.
    """
    if spec.engine != "free":
        return ""
    rate = (
        f"hit rate about {times / runs:.2g} ({times} of {runs} runs of {spec.program})" if runs else "hit rate unknown"
    )
    return f"that is another run, since engine free never runs twice alike: {rate}"


def commands_of(hit: Hit) -> list[str]:
    """Return the commands that have a finding again: the replay of the record that its folder has, and the run."""
    saved, engine = hit.saved, hit.spec.engine
    record = Path(saved.folder, kept.RECORD)
    if saved.before:
        old = kept.read(record.parent)
        engine = old.engine if old is not None else "free"
    replays = saved.folder and record.exists() and engine != "free"
    return [*([shlex.join(["mmrace", "replay", str(record)])] if replays else []), hit.command]


def known_as(row: str) -> str:
    """Say that a finding is expected.  Args: row: where it is written down."""
    return f"known in 3.3: {row}"


def known_text(saved: Saved) -> str:
    """Say whether a finding is known or new."""
    return f"known since {saved.since}" if saved.since else "new"


def summary_text(
    spec: RunSpec, verdict: str, findings: Sequence[Finding], commands: Sequence[str], again: str = ""
) -> str:
    """Return the facts of a failed run, one a line.

    Args: commands: to paste.  again: what the last of them does, if more is known than `again_text` says of any.
    """
    lines = [f"verdict: {verdict}", f"{spec.maker}: {spec.program}"]
    variant = variant_text(spec.maker, spec.variant)
    if variant:
        lines.append(f"variant: {variant}")
    how = f"noise {spec.noise}" if spec.engine == "free" else f"strategy {spec.strategy}"
    lines += [f"engine: {spec.engine}, {how}", f"seed: {spec.seed}"]
    for finding in findings:
        lines += ["", f"{finding.title} [{finding.signature}]"]
        lines += [f"  {known_as(finding.known)}"] if finding.known else []
        lines += [f"  oracle: {finding.oracle}", f"  rule: {finding.rule}"]
        lines += [f"  {key}: {json.dumps(value, default=str)}" for key, value in finding.facts.items()]
    lines += ["", *(f"repeat: {command}" for command in commands), *filter(None, [again or again_text(spec)])]
    return "\n".join(lines) + "\n"
