"""Where each planted bug was found: seeds of the portfolio under `fiber`, with the canary's own parameters for a hunt.

``python -m tests.history.hunted [--write] [NAME]...`` searches again and prints the seeds, least ops first; with
--write it puts them into this file, those of a new bug into a line of their own.  Needed for a new bug, and after a
change of the model, of the cast, of a canary or of a strategy that moves schedules.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

from mmrace.history.canaries import canaries
from mmrace.installed import run_one
from mmrace.runs.spec import RunSpec

SEARCHED = 240  # seeds that a search tries: the rarest of them is found in some percent
KEPT = 3  # of those that found it

HUNTED: dict[str, tuple[int, ...]] = {
    "double-put": (57, 98, 108),
    "lost-get": (144, 133, 121),
    "lost-put": (9, 32, 231),
    "forgotten-wake": (35, 47, 56),
    "unlock-by-stranger": (142, 217, 31),
    "copy-after-unlock": (238, 228, 69),
    "async-backout": (158, 130, 62),
    "async-locks-after-thaw": (144, 66, 10),
    "no-freeze": (138, 202, 65),
    "commit-no-flush": (172, 198, 104),
    "async-in-any-pageblock": (41, 49, 81),
    "buddies-apart": (103, 23, 237),
    "entry-wait-without-reference": (126, 21, 13),
    "fallback-moves-dirty": (34, 3, 6),
    "free-frames-kept": (0, 1, 7),
    "free-scanner-crosses": (77, 219, 208),
    "half-lost": (22, 27, 68),
    "isolated-by-two": (48, 157, 171),
    "isolates-without-limit": (21, 30, 199),
    "migration-entry-left": (81, 55, 85),
    "mkclean-dropped": (153, 152, 175),
    "move-without-waiting": (24, 31, 88),
    "mpage-unlocks-early": (8, 35, 47),
    "no-pf-memalloc-rule": (151, 201, 51),
    "pte-dirt-lost": (1, 4, 7),
    "readahead-any-block": (77, 132, 203),
    "reclaims-without-limit": (117, 52, 238),
    "split-counts-one": (22, 116, 130),
    "target-leaked": (1, 10, 11),
    "wp-without-page-lock": (52, 48, 136),
    "writeout-without-relock": (24, 31, 88),
    "zap-dirt-lost": (1, 3, 7),
    "anon-vma-without-mutex": (37, 119, 160),
    "anon-vma-without-reference": (106, 57, 108),
    "anon-ptes-by-mapcount": (174, 155, 187),
}


def spec_of(name: str, seed: int, engine: str = "fiber") -> RunSpec:
    """Return the run of a planted bug; its seed chooses the member of the portfolio too."""
    canary = canaries()[name]
    params = tuple(sorted(canary.params_under(engine).items()))
    return RunSpec(canary.scenario, params, variant=name, engine=engine, strategy="portfolio", seed=seed)


def twin_of(spec: RunSpec) -> RunSpec:
    """Return the same run of the correct protocol."""
    return replace(spec, variant="")


def search(name: str) -> list[tuple[int, int]]:
    """Return (ops, seed) of the runs in which the canary's own oracle caught it, least ops first."""
    found = []
    for seed in range(SEARCHED):
        result = run_one(spec_of(name, seed))
        if canaries()[name].caught_in(result.findings):
            found.append((result.ops, seed))
    return sorted(found)


def written(source: str, name: str, seeds: tuple[int, ...]) -> str:
    """Return the source of this file with other seeds of a planted bug; a new one's come last."""
    line = f'    "{name}": {seeds},\n'
    other, known = re.subn(rf'^    "{name}": \(.*\),\n', line, source, flags=re.MULTILINE)
    return other if known else re.sub(r"^(HUNTED: .*?)^}$", rf"\g<1>{line}}}", source, flags=re.MULTILINE | re.DOTALL)


def main(words: list[str]) -> None:
    """Search and print, and perhaps write."""
    write = "--write" in words
    for name in [word for word in words if word != "--write"] or HUNTED:
        hits = search(name)
        seeds = tuple(seed for _, seed in hits[:KEPT])
        print(f"{name}: {len(hits)} of {SEARCHED}, seeds {seeds}, ops {[ops for ops, _ in hits[:KEPT]]}", flush=True)
        if write:
            path = Path(__file__)
            path.write_text(written(path.read_text(encoding="utf-8"), name, seeds), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
