"""What reports are printed on: text is text, whatever it holds."""

from __future__ import annotations

from collections import Counter
from io import StringIO

import pytest
from rich.highlighter import ReprHighlighter
from rich.markup import escape

from mmrace.oracles.general.judgement import Finding
from mmrace.report.terminal import KNOWN_SHOWN, Screen, conclude, known_lines, once, say, table
from mmrace.runs.spec import RunSpec
from mmrace.search.totals import Hit, Hits, Tally

HOSTILE = "\x1b[2J\x1b]0;title\x07 \x9b31m \u202etxt [bold]loud[/bold] [/] :bomb: \rPASS"
SHOWN = "\\x1b[2J\\x1b]0;title\\x07 \\x9b31m \\u202etxt [bold]loud[/bold] [/] :bomb: \\rPASS"


def screen(*, terminal: bool = False) -> tuple[Screen, StringIO]:
    out = StringIO()
    return Screen(file=out, width=200, emoji=False, force_terminal=terminal), out


def test_a_line_shows_what_a_terminal_would_obey() -> None:
    console, out = screen()
    say(console, HOSTILE)
    assert out.getvalue() == SHOWN + "\n"


def test_a_cell_shows_it_too_and_columns_stay_where_they_are() -> None:
    console, out = screen()
    made = table("t", "first", "second")
    made.add_row(escape("[x]\x1b[31m"), "after")
    made.add_row("plain", "after")
    console.print(made)
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    assert lines[-2].index("after") == lines[-3].index("after")
    assert "[x]" in lines[-3]


def test_the_verdict_shows_it_too() -> None:
    console, out = screen()
    conclude(console, "PASS", f" {HOSTILE}")
    assert out.getvalue() == f"PASS {SHOWN}\n"


def test_a_terminal_gets_styles_of_ours_and_none_of_others() -> None:
    console, out = screen(terminal=True)
    conclude(console, "FAIL", " \x1b[32mPASS")
    text = out.getvalue()
    assert "\x1b[1;31m" in text
    assert "\x1b[32m" not in text
    assert "\\x1b[32mPASS" in text


@pytest.mark.parametrize("text", ["➜ été 中文", "a\nb", 'assert x == "y"'])
def test_text_for_people_is_printed_as_it_is(text: str) -> None:
    console, out = screen()
    say(console, text)
    assert out.getvalue() == text + "\n"


def test_no_pattern_looks_for_what_to_highlight(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's patterns take minutes on a name of some ten thousand letters."""
    monkeypatch.setattr(ReprHighlighter, "highlight", None)
    console, out = screen(terminal=True)
    made = table("t", "first")
    made.add_row("../" * 20_000)
    console.print(made)
    console.print("../" * 20_000)
    assert "../" in out.getvalue()


LONG = "a word " * 20
PASTED = f"repeat: mmrace run alpha {'--param pages=1 ' * 10}"


def test_a_terminal_gets_long_lines_broken_between_words_and_commands_whole() -> None:
    out = StringIO()
    console = Screen(file=out, width=80, emoji=False, force_terminal=True, color_system=None)
    say(console, f"{LONG}\n{PASTED}")
    conclude(console, "PASS", f" {LONG}")
    lines = out.getvalue().splitlines()
    assert max(len(line) for line in lines if line != PASTED) <= 80 and PASTED in lines
    assert {word for line in lines if line != PASTED for word in line.split()} == {"a", "word", "PASS"}


def test_a_file_or_pipe_gets_each_line_whole() -> None:
    out = StringIO()
    console = Screen(file=out, width=80, emoji=False)
    say(console, LONG)
    conclude(console, "PASS", f" {LONG}")
    assert len(out.getvalue().splitlines()) == 2


def test_the_same_text_is_told_once_with_how_often_it_came() -> None:
    assert once(["b", "a", "b"]) == ["b (2 times)", "a"]


def test_of_a_known_fault_the_first_faces_are_told_and_how_many_more_there_are() -> None:
    hits, tally = Hits(), Tally(known=Counter({"R14": 40}), expected=Counter({"R14": 90}))
    for number in range(KNOWN_SHOWN + 2):
        finding = Finding("data-race", "race", f"face {number}", {}, f"s{number}", known="R14")
        hits.add(Hit(finding, RunSpec("alpha", seed=number), "main", number))
    first, *faces, rest = known_lines(hits, tally)
    assert first.startswith("known in 3.3: R14") and "seen in 40 of 90 runs; it fails nothing" in first
    assert [line for line in faces if "face" in line] == [f"  data-race: face {n} [s{n}]" for n in range(KNOWN_SHOWN)]
    assert [line for line in faces if "repeat:" in line] == [f"    repeat: {hit.command}" for hit in hits.values()][:3]
    assert rest == "  and 2 more findings of it"
