"""The mail of December 2011, sentence by sentence: where each is put to the test, and what every era said of it.

`SENTENCES` has the sentences in own words, in the order of the mail, each with the parts of claims that judge it; what
was found of a part comes from `results.json`, beside this file, which `mmrace claims --era all --json` writes.
Invariant: nothing is said of a part that a run did not say; what the results do not have is told as not asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from mmrace.claims.judges import part_named
from mmrace.claims.programs import SETTINGS, TESTS
from mmrace.claims.result import NOT_TESTED

RESULTS = Path(__file__).with_name("results.json")
TEXT = Path(__file__).with_name("MAIL.md")

Told = Mapping[str, Any]
"""What one era says of one part, as `Across.plain` has it."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the mail.  Args: says: in own words.  parts: of claims, by name.  note: beside what was found."""

    says: str
    parts: tuple[str, ...] = ()
    note: str = ""


SENTENCES: tuple[Sentence, ...] = (
    Sentence("Async compaction is used when huge pages are allocated, so as not to block for long.", ("C20", "C20b")),
    Sentence(
        "There are stalls. It is debated to switch the compaction off that may wait; fewer allocations would succeed.",
        ("C20r",),
        "How many succeed is no question of yes or no: a run counts THP_FAULT_ALLOC and THP_FAULT_FALLBACK.",
    ),
    Sentence(
        "Many dirty pages are skipped by a test that gives -EBUSY: dirty, not sync, an op that is not migrate_page.",
        ("C16", "C16b"),
    ),
    Sentence(
        "That skips every user of buffer_migrate_page, though some pages could be moved without blocking.",
        ("C15", "C15+", "C15b"),
    ),
    Sentence("The patch tells ->migratepage whether its caller is sync; before, it could not know.", ("C12", "C18r")),
    Sentence("The callback has to fail gracefully where it would block.", ("C18", "C12+", "C17", "C17n")),
    Sentence("In async the buffers are locked, by trylock, before the mapping moves.", ("C11", "C11b")),
    Sentence(
        "For later the mapping could not be moved back while somebody held the count up, and one would have to wait.",
        ("C11r",),
        "A planted bug that does it all the same: `async-locks-after-thaw`.",
    ),
    Sentence("Later, sync became a mode of three.", ("C13", "C13b", "C19")),
    Sentence("Morton: the commit locks buffers and works on them while their page is not locked.", ("C0", "C4c")),
    Sentence(
        "Whitebox testing? A black box only, with ext3; nothing unusual was seen.",
        (),
        "No run can refute what somebody did. The other rows are the whitebox test.",
    ),
    Sentence(
        "A migration isolates the page from the LRU, locks it and unmaps it; locks the target, and moves.", ("C1",)
    ),
    Sentence("A page under writeback: bail out, or wait.", ("C13", "C19", "C12+")),
    Sentence(
        "tree_lock, look-up, count test, buffers if async, replacement, unlock, buffers if not async, copy, unlocks.",
        ("C1", "C1+", "C1m"),
    ),
    Sentence("The data are copied with the page lock and the buffer locks held.", ("C2",)),
    Sentence(
        "There is no other reference to the page then, for example since it is unmapped.", ("C3", "C3n", "C3+", "C3u")
    ),
    Sentence("The journal commit takes at least the buffer lock.", ("C4", "C4b", "C4c", "C4+")),
    Sentence("So the buffer lock keeps the commit from starting while data are copied.", ("C5", "C5r")),
    Sentence("block_write_full_page and its friends take the buffer lock.", ("C6", "C6p", "C6s", "C6b", "C6+")),
    Sentence("Others are kept from looking the page up by tree_lock while the slot is replaced.", ("C7", "C7+")),
    Sentence("try_to_free_buffers is kept out: page lock or private_lock suffices.", ("C8", "C8x")),
    Sentence("private_lock could be taken in addition; no case is known that needs it.", ("C9",)),
    Sentence("The op is for file systems that guarantee that nobody else is at the page.", ("C14", "C14m")),
)
"""In the order of the mail."""


def load() -> dict[str, Any]:
    """Return the results that come with mmrace."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def scenarios_of(sentence: Sentence) -> list[str]:
    """Return the scenarios whose programs put a sentence to the test."""
    used = {SETTINGS[name].scenario for claim, names in TESTS.items() for name in names if claim in _claims(sentence)}
    return sorted(used)


def _claims(sentence: Sentence) -> set[str]:
    return {name.rstrip("+bcnrpsmux") for name in sentence.parts}


def answer(sentence: Sentence, results: Told) -> str:
    """Say whether a sentence was put to the test: "yes", "partly", "not yet", or "no" if nothing can."""
    if not sentence.parts:
        return "no"
    tested = [any(told["tested"] for told in _told(results, name).values()) for name in sentence.parts]
    return "yes" if all(tested) else "partly" if any(tested) else "not yet"


def _told(results: Told, part: str) -> dict[str, Told]:
    """Return what each era says of a part."""
    return {era: parts[part] for era, parts in results["eras"].items() if part in parts}


def evidence(part: str, results: Told) -> str:
    """Write what the eras say of a part: those that say the same together, with what it rests on."""
    told = _told(results, part)
    if not told:
        return f"**{part}** not asked yet"
    exists = part_named(part).exists
    texts = []
    for verdict, group in groupby(told.items(), key=lambda item: _verdict(item[0], item[1], part)):
        eras = list(group)
        names = eras[0][0] if len(eras) == 1 else f"{eras[0][0]} to {eras[-1][0]}"
        rests = (
            "" if verdict.startswith(("cannot", NOT_TESTED)) else f" ({_rests_on([one for _, one in eras], exists)})"
        )
        texts.append(f"{names}: {verdict}{rests}")
    return f"**{part}** {'; '.join(texts)}"


def _verdict(era: str, told: Told, part: str) -> str:
    """Return the verdict, or why there can be none in this era."""
    expected = part_named(part).expects(era)
    if told["verdict"] == NOT_TESTED and expected.what == "nothing":
        return f"cannot be asked, {expected.why}"
    return str(told["verdict"])


def _rests_on(eras: Sequence[Told], exists: bool) -> str:
    """Write what a verdict that some eras share rests on: in each of them at least so much."""
    least = min(eras, key=lambda told: (told["times"], told["tested"]))
    several = len(eras) > 1
    if least["times"]:
        texts = [f"{'in each at least ' * several}{least['times']:,} of {_many(least['tested'], 'instance')}"]
    else:
        none = "none of " if exists else ""
        texts = [f"{'in each ' * several}{none}{'at least ' * several}{_many(least['tested'], 'instance')}"]
    if least["schedules"]:
        texts.append(_many(least["schedules"], "schedule"))
    texts += [f"all {classes:,} classes of {program}" for program, classes in least["walked"].items()]
    if "witness" in least:
        witness = least["witness"]
        texts.append(f"witness: schedule {witness['schedule']} of {witness['program']}")
    return ", ".join(texts)


def _many(number: int, one: str) -> str:
    """Write a number of things."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"


def rows(results: Told) -> list[tuple[str, str, str, str]]:
    """Return the table: sentence, whether it was tested, scenarios, evidence."""
    return [
        (
            sentence.says, answer(sentence, results), ", ".join(scenarios_of(sentence)),
            " ".join([*(f"{evidence(part, results)}." for part in sentence.parts), sentence.note]).strip(),
        )
        for sentence in SENTENCES
    ]  # fmt: skip


def written(results: Told) -> str:
    """Write MAIL.md."""
    lines = [HEAD, "| the mail says | tested | scenarios | what the eras say |", "|---|---|---|---|"]
    lines += [f"| {says} | {tested} | {names} | {found} |" for says, tested, names, found in rows(results)]
    lines += ["", "The programs, by the names that they have above:", "", "| program | command |", "|---|---|"]
    lines += [f"| {name} | `mmrace explore {command}` |" for name, command in results["programs"].items()]
    return "\n".join(lines) + "\n"


HEAD = """\
# The mail, sentence by sentence

What Mel Gorman wrote to Andrew Morton on 19 December 2011, in own words; the parts (C16, C16b, ...) are told in
[CLAIMS.md](CLAIMS.md). Every era was asked with the same programs, parameters and seeds; how many schedules of them
were played stands at each row, and need not be the same in each era. This text is written by `mmrace claims --mail`,
which runs nothing, from `mmrace/claims/results.json`; `mmrace claims --era all --json mmrace/claims/results.json` makes
that anew, with all schedules. A test compares both with the claims, programs and eras that there are.
"""
