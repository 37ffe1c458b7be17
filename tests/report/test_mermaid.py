"""A record as a Mermaid diagram: valid whatever it names, and never too long."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mmrace.report.mermaid import diagram
from mmrace.runtime.kinds import NOTE, SHIFT, Kind
from mmrace.runtime.record import Event, Record
from mmrace.story.highlights import Highlights, highlights, of_steps
from tests import in_process
from tests.report.test_campaign_report import compare as golden
from tests.runs.minimal_files import folder, minimal

TEXT = r"(?:[^#;\n<>{}%\"\\]|#\d+;)+"
ID = r"t\d+"
LINE = re.compile(
    rf"sequenceDiagram|    (?:title {TEXT}|participant {ID} as {TEXT}|Note over {ID}(?:,{ID})?: {TEXT}"
    rf"|{ID}(?:-->>|->>){ID}: {TEXT})"
)
"""What the grammar of Mermaid's sequence diagrams has, as far as it is used here; an entity is one character."""
ENTITY = re.compile(r"#(\d+);")
HOSTILE = [
    "end", "a end b", "END", "a;b", "a#b", "a\nb", "%%x", "<script>", "a:b", "x->>y: z", "é中", "\x1b[31m", '"', "{}",
    "participant t9 as x", "style a:x #f00;", "classDef b:x #0f0;", "", " ", "\u202e", "a" * 500, "loop", "-x)", "#35;",
]  # fmt: skip


def record(name: str) -> Record:
    table = {1: ("Box", name, "x", ""), 2: ("Task", name, "", "")}
    events: list[Event] = [
        (0, 2 << SHIFT | Kind.BEGIN, None, None),
        (0, 1 << SHIFT | Kind.WRITE, name, name),
        (1, 1 << SHIFT | Kind.READ, name, None),
        (1, NOTE, name, (name,)),
    ]
    tasks = [{"id": 0, "name": name}, {"id": 1, "name": f"{name} other"}]
    return Record({}, events, table=table, tasks=tasks)


def decoded(line: str) -> str:
    return ENTITY.sub(lambda found: chr(int(found[1])), line)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_anything_but_text(name: str) -> None:
    found = highlights(record(name), [3])
    lines = diagram(record(name), found, name)
    for line in lines:
        assert LINE.fullmatch(line), line
        assert not re.search(r"\bend\b", line, re.IGNORECASE)
    assert sum(line.startswith("    participant") for line in lines) == 2


def test_a_name_is_shown_as_it_is() -> None:
    lines = diagram(record("a;b#c <end>"), highlights(record("a;b#c <end>"), [3]))
    assert any("write a;b#c <end>.x" in decoded(line) for line in lines)


def test_an_empty_diagram_is_a_diagram() -> None:
    assert diagram(Record({}, [], table={}, tasks=[]), Highlights([], frozenset(), [])) == ["sequenceDiagram"]


def test_a_minimal_file_is_drawn() -> None:
    made = minimal()
    named = [pair.second.event for pair in made.causal]
    golden("diagram.mmd", "\n".join(diagram(made.record, highlights(made.record, named, made), "a lost update")) + "\n")


def test_events_that_are_asked_for_are_drawn_and_no_more_than_forty() -> None:
    lines = diagram(record("x"), of_steps(record("x"), range(4), []))
    assert [line.split(": ")[1].split(" ")[0] for line in lines if "Note over" in line] == ["0", "1", "2", "3"]


def test_show_draws_the_folder_and_the_minimal_file_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = folder(tmp_path)
    told = []
    for words in ((str(made),), (str(made / "minimal.json"),)):
        assert in_process.run(monkeypatch, "show", "--mermaid", *words) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] and all(LINE.fullmatch(line) for line in told[0].splitlines())
    assert in_process.run(monkeypatch, "show", "--mermaid", str(made), "--kind", "write") == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if re.search(r"Note over t\d+: ", line)]
    assert len(notes) == 2 and all(" write account.balance" in note for note in notes)
