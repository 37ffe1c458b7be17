"""Digests of a few records, to compare across versions of Python: ops, notes, sites, tasks, lanes, and how it ended.

    python -m tests.runs.golden        (writes them anew, after the model or the random walk changed: on Python 3.11)

Not in them: the header, which is the spec's, and the verdict, which follows from what is.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mmrace.installed import MAKERS, run_one
from mmrace.runs.follow import with_sites
from mmrace.runs.spec import RunSpec

FILE = Path(__file__).parent / "data" / "digests.json"
EXPRESSIONS = Path(__file__).parents[1] / "programs" / "every_expression.py"
SHORT = (("idle", 10),)
SPECS = {
    "expressions": RunSpec(f"{EXPRESSIONS}:main", maker="function", engine="fiber", seed=3),
    "async": RunSpec("async-vs-commit", SHORT, engine="fiber", seed=1),
    "sync": RunSpec("sync-vs-commit", SHORT, engine="fiber", seed=2),
    "writeback": RunSpec("migrate-vs-writeback", SHORT, engine="fiber", seed=3),
    "reclaim": RunSpec("migrate-vs-reclaim", SHORT, engine="fiber", seed=4),
    "double-put": RunSpec("async-vs-commit", SHORT, "double-put", engine="fiber", seed=5),
}


def digest(spec: RunSpec) -> str:
    """Return the digest of the record of a run."""
    record = with_sites(run_one(spec, keep_record=True), MAKERS)
    header, *events, tail = map(json.loads, record.lines())
    parts = header["tasks"], header["lanes"], events, tail["end"], tail["final"], tail["marks"]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def main() -> None:
    """Write the file."""
    FILE.write_text(json.dumps({name: digest(spec) for name, spec in SPECS.items()}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
