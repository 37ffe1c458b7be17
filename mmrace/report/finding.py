"""A failed run as text: what was found, and how to have it again."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mmrace.oracles.general.judgement import Finding
from mmrace.runs.spec import RunSpec

SCENARIO = "scenario"  # as the maker of a program


def summary_text(spec: RunSpec, verdict: str, findings: Sequence[Finding], commands: Sequence[str]) -> str:
    """Return the facts of a failed run, one a line.  Args: commands: to paste."""
    lines = [f"verdict: {verdict}", f"{spec.maker}: {spec.program}"]
    if spec.maker == SCENARIO:  # nothing else has variants
        lines.append(f"variant: {spec.variant or '(correct, era 3.3)'}")
    how = f"noise {spec.noise}" if spec.engine == "free" else f"strategy {spec.strategy}"
    lines += [f"engine: {spec.engine}, {how}", f"seed: {spec.seed}"]
    for finding in findings:
        lines += ["", f"{finding.title} [{finding.signature}]"]
        lines += [f"  oracle: {finding.oracle}", f"  rule: {finding.rule}"]
        lines += [f"  {key}: {json.dumps(value, default=str)}" for key, value in finding.facts.items()]
    lines += ["", *(f"repeat: {command}" for command in commands)]
    return "\n".join(lines) + "\n"
