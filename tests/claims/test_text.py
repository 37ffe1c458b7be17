"""CLAIMS.md against the code: it tells every claim and part, in order, and what is expected of each."""

from __future__ import annotations

import re
from pathlib import Path

import mmrace.claims
from mmrace.claims import judges
from mmrace.claims.judges import CLAIMS, Part
from mmrace.claims.programs import TESTS

FOLDER = Path(mmrace.claims.__file__).parent
TEXT = (FOLDER / "CLAIMS.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| ")]


def expected(part: Part) -> str:
    """As the table says it."""
    shown = {"holds": "shown", "false": "not shown"}
    return shown[part.expected] if part.exists else part.expected


def test_the_text_has_every_part_of_every_claim_in_order() -> None:
    told = [(row[0], row[2]) for row in ROWS if re.fullmatch(r"C\d+\S?", row[0])]
    assert told == [(part.name, expected(part)) for claim in CLAIMS.values() for part in claim.parts]


def test_the_text_has_every_claim_with_the_file_that_judges_it() -> None:
    told = {row[0].strip("*"): row[2] for row in ROWS if row[0].startswith("**C")}
    assert list(told) == list(CLAIMS) == list(TESTS)
    files = {path.stem for path in (FOLDER / "judges").glob("c[0-9]*_*.py")}
    for name, link in told.items():
        shown = re.fullmatch(r"\[`(\w+)`\]\(judges/(\w+)\.py\)", link)
        assert shown is not None and shown[1] == shown[2]
        files.remove(shown[1])
        assert getattr(judges, shown[1]).CLAIM is CLAIMS[name]
    assert not files


def test_the_text_explains_every_suffix() -> None:
    rows = TEXT.partition("| suffix |")[2].partition("\n\n")[0]
    explained = set(re.findall(r"`(.)`", rows))
    used = {part.name.removeprefix(claim.name) for claim in CLAIMS.values() for part in claim.parts}
    assert used - {""} == explained
