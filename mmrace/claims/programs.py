"""The programs that put the claims to the test: which, with which parameters, and for which claims.

Invariant: schedule i of a program is a function of (seed, program, i), whichever claims are asked for.  Not here: what
the schedules said (`result.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmrace.claims.judges import Claim, Part
from mmrace.runs.spec import Params, RunSpec, derive
from mmrace.strategies import portfolio

ENGINE = "fiber"
WALK = "dpor"
"""The strategy of a walk."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A program with bounded parameters, and how many of its schedules the default takes; 0: walk it to its end."""

    name: str
    scenario: str
    params: Params
    schedules: int

    @property
    def command(self) -> str:
        """Return how the program is named to `mmrace explore`."""
        how = "" if self.schedules else " --exhaustive"
        return f"{self.scenario}{how}" + "".join(f" --param {key}={value}" for key, value in self.params)


def _setting(name: str, scenario: str, schedules: int, **params: int | str) -> Setting:
    return Setting(name, scenario, tuple(sorted(params.items())), schedules)


def _small(name: str, scenario: str, **params: int | str) -> Setting:
    one: dict[str, int | str] = {
        "rounds": 1, "migrations": 1, "batch": 1, "passes": 1, "buffers": 1, "words": 1, "idle": 0, "irq": "idle",
    }  # fmt: skip
    return _setting(name, scenario, 0, **{**one, **params})


_PAIR: dict[str, int | str] = {"idle": 10, "rounds": 1, "migrations": 2, "dirtied": 2, "without": "reader,writer"}
_WRITTEN: dict[str, int | str] = {"idle": 40, "rounds": 2, "migrations": 3, "dirtied": 2, "without": "fsync"}
_CLEANED: dict[str, int | str] = {
    "idle": 0, "rounds": 4, "migrations": 20, "batch": 2, "passes": 1, "words": 1, "pages": 2, "buffers": 1,
    "dirtied": 2, "without": "reader,reclaimer,writer",
}  # fmt: skip
"""A page that the flusher has cleaned while a commit waited for the lock of its buffer: one schedule in two hundred."""
_COPIED: dict[str, int | str] = {
    "idle": 40, "rounds": 6, "migrations": 8, "passes": 6, "direct": 0, "without": "reader",
}  # fmt: skip
_FAULTS: dict[str, int | str] = {
    "faults": 4, "held": 2, "pinned": 1, "dirtied": 4, "passes": 5, "without": "compactor,fsync",
}  # fmt: skip
"""Before 3.3 a failed compaction defers the one that may wait: one schedule of 3.1 in twelve has any, none of 3.2."""
_COPYING: dict[str, int | str] = {"faults": 8, "free": 20, "kept": 2}
"""A copy to a stick where few frames are free: allocations that got their page from reclaim set the count of deferrals
off beat, and then one that fails to compact goes on to a compaction that may wait, in every era in half of the
schedules.  Pages of the stick have no op that moves them dirty."""

SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        _setting("async", "async-vs-commit", 300, idle=20, rounds=3, dirtied=2),
        _setting("sync", "sync-vs-commit", 300, idle=20, rounds=3, dirtied=2),
        _setting("async-commit", "async-vs-commit", 400, **_PAIR),
        _setting("sync-commit", "sync-vs-commit", 300, **_PAIR),
        _setting("metadata", "sync-vs-commit", 150, idle=20, rounds=2, migrations=3, metadata=1, device=1),
        _setting("lookups", "sync-vs-commit", 500, idle=0, rounds=6, migrations=3, without="writer,committer"),
        _setting("writeback", "migrate-vs-writeback", 300, **_WRITTEN),
        _setting("writeback-light", "migrate-vs-writeback", 200, **_WRITTEN, mode="MIGRATE_SYNC_LIGHT"),
        _setting("vfat", "migrate-vs-vfat", 150, **_COPIED),
        _setting("vfat-light", "migrate-vs-vfat", 100, **_COPIED, mode="MIGRATE_SYNC_LIGHT"),
        _setting("reclaim", "migrate-vs-reclaim", 300, idle=10, pages=3, rounds=4, migrations=6, pagevec=1),
        _setting("async-written", "four", 1200, **_CLEANED),
        _setting(
            "mapped", "migrate-vs-fault", 100, idle=10, rounds=3, migrations=4, passes=6, mode="MIGRATE_SYNC_LIGHT"
        ),
        _setting("huge-pages", "compaction-vs-writeback", 300, **_FAULTS),
        _setting("huge-pages-copying", "huge-pages-vs-copy", 100, **_COPYING),
        _small("async-reader", "async-vs-commit", without="writer,committer"),
        _small("sync-reader", "sync-vs-commit", without="writer,committer"),
        _small("async-dirty", "async-vs-commit", without="writer,committer", dirtied=1),
    )
}
"""Parameters so that the actors meet; the last three are what DPOR can walk to its end in seconds."""

_COMMIT = ("async", "sync", "async-commit", "sync-commit")
_PATCH = ("async", "async-commit", "async-written", "async-dirty")
_READERS = ("async-reader", "sync-reader")
TESTS: dict[str, tuple[str, ...]] = {
    "C0": _COMMIT,
    "C1": (*_COMMIT, "writeback", "reclaim", *_READERS),
    "C2": (*_COMMIT, "writeback", "reclaim", *_READERS),
    "C3": ("sync", "lookups", "mapped", *_READERS),
    "C4": (*_COMMIT, "metadata"),
    "C5": (*_COMMIT, "metadata"),
    "C6": ("writeback", "writeback-light", "vfat", "vfat-light"),
    "C7": ("async", "lookups", "writeback", *_READERS),
    "C8": ("reclaim", "metadata"),
    "C9": ("reclaim", "metadata"),
    "C10": (),
    "C11": ("async", "async-commit", "async-written", "async-reader"),
    "C12": ("async", "async-commit", "reclaim", "async-written"),
    "C13": ("sync", "sync-commit", "metadata", "writeback-light", "vfat-light"),
    "C14": (*_COMMIT, "metadata", *_READERS),
    "C15": (*_PATCH, "huge-pages"),
    "C16": (*_PATCH, "huge-pages"),
    "C17": (*_COMMIT, "writeback", "writeback-light", "reclaim", "huge-pages", *_READERS, "async-dirty"),
    "C18": ("async", "async-commit", "async-written"),
    "C19": ("metadata", "writeback-light", "vfat-light"),
    "C20": ("huge-pages", "huge-pages-copying"),
}
"""Claim -> programs."""


def parts_for(claims: Sequence[Claim], setting: str) -> tuple[Part, ...]:
    """Return the parts of these claims that a program puts to the test."""
    return tuple(part for claim in claims if setting in TESTS[claim.name] for part in claim.parts)


def spec_of(setting: Setting, seed: int, index: int, era: str = "") -> RunSpec:
    """Return schedule `index` of a program that is sampled, or the spec that all runs of a walk share.

    Schedule `index` has the same seed in every era.
    """
    if not setting.schedules:
        return RunSpec(setting.scenario, setting.params, "", ENGINE, WALK, "off", seed, era=era)
    own = derive(seed, "claims", setting.name, index)
    return RunSpec(setting.scenario, setting.params, "", ENGINE, portfolio.member(index), "off", own, era=era)


def setting_of(spec: RunSpec) -> Setting:
    """Return the program of a run."""
    return next(s for s in SETTINGS.values() if (s.scenario, s.params) == (spec.program, spec.params))


def repeat_command(spec: RunSpec) -> str:
    """Return the command that repeats a run; for a run of a walk, which does not stand alone, the one that walks."""
    if spec.strategy != WALK:
        return spec.command()
    return f"mmrace explore {setting_of(spec).command}" + (f" --era {spec.era}" if spec.era else "")
