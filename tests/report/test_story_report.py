"""A story as text: columns and bars, narrow consoles, ASCII, what is known beside the record."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.console import Console

from mmrace.report.around import around_of, orderings_of
from mmrace.report.columns_of_tasks import FINE, PLAIN, glyphs_for, lines_of
from mmrace.report.story import Around, show_story, show_telling
from mmrace.runs.proof import interval
from mmrace.story.facts import Ordering, Row, State, Story, Table, Telling
from mmrace.story.tell import tell
from tests.report.test_proof_report import no_return, point, proof
from tests.runs import minimal_files
from tests.story.programs import LOCKS, story

HOLDS = {"one": (0,)}
ROWS = (
    Row(1, "one", "lock box.lock", "play", "taken here", held=HOLDS, takes=0, leaves="preempted"),
    Row(2, "other", "trylock box.lock: busy", "meddle", named=True, held=HOLDS),
    Row(3, "other", "unlock box.lock", "meddle", held={}, drops=0),
    Row(None, "one", "unlock box.lock: never came"),
)
TABLE = Table(("one", "other"), ROWS, 40)
WIDE = """\
 step  one                                         other
         play
    1  ┌   lock box.lock
       │   (taken here)
       │ ~ preempted
       │                                           meddle
  * 2  │                                             trylock box.lock: busy
    3  ┘                                             unlock box.lock
    ?      unlock box.lock: never came
"""


def lines(table: Table, width: int, glyphs: object = FINE) -> str:
    assert glyphs in (FINE, PLAIN)
    return "".join(f"{line}\n" for line in lines_of(table, width, FINE if glyphs is FINE else PLAIN))


def test_a_column_a_task_with_a_bar_while_its_lock_is_held() -> None:
    assert lines(TABLE, 95) == WIDE


def test_a_bar_that_began_before_the_first_row_is_closed_where_its_lock_is_let_go() -> None:
    row = Row(9, "one", "unlock box.lock", "play", drops=0, dropped="one", since=("has box.lock since step 1",))
    table = Table(("one", "other"), (row,), 40)
    assert lines(table, 95).splitlines()[1:] == [
        "         play",
        "         (has box.lock since step 1)",
        "    9  └   unlock box.lock",
    ]
    assert "(has box.lock since step 1)" in lines(table, 50), "in one column"


def test_what_a_row_is_there_for_stands_beside_it_where_there_is_room() -> None:
    first = lines(TABLE, 140).splitlines()
    assert first[0].endswith("what it is there for")
    assert first[2].endswith("taken here") and "(taken here)" not in lines(TABLE, 140)


def test_tasks_share_one_column_where_theirs_do_not_fit() -> None:
    narrow = lines(TABLE, 50)
    assert narrow.splitlines()[0].split() == ["step", "task", "what", "it", "does"]
    assert all(len(line) <= 50 for line in narrow.splitlines())
    assert "  * 2  other    trylock box.lock: busy" in narrow


def test_a_task_that_only_says_something_gives_its_column_up_first() -> None:
    table = Table(("one", "other", "main"), (*ROWS, Row(9, "main", "-- synced")), 40, frozenset({"main"}))
    assert "main" in lines(table, 120).splitlines()[0]
    assert "main" not in lines(table, 80).splitlines()[0]
    assert "    9  main: -- synced\n" in lines(table, 80)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
def test_no_line_is_wider_than_it_may_be_unless_a_word_is(width: int) -> None:
    assert all(len(line) <= max(width, 44) for line in lines(TABLE, width).splitlines())


def test_a_loop_says_how_often_and_to_which_step() -> None:
    row = Row(4, "one", "box.full ➜ 0", times=7, until=30)
    assert "box.full ➜ 0  (*7, to step 30)" in lines(Table(("one",), (row,), 40), 100)


def test_an_encoding_that_lacks_the_bars_gets_others() -> None:
    assert glyphs_for("utf-8") is FINE and glyphs_for("ascii") is PLAIN and glyphs_for("no such") is PLAIN
    assert lines(TABLE, 95, PLAIN).isascii()


def shown(told: Story, around: Around = Around(), width: int = 100) -> str:  # noqa: B008
    console = Console(file=StringIO(), width=width, color_system=None)
    show_story(told, around, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.slow
def test_a_story_on_a_terminal_of_ascii_is_ascii() -> None:
    out = BytesIO()
    console = Console(file=TextIOWrapper(out, encoding="ascii"), width=80, color_system=None)
    show_story(story(LOCKS, "main", "liveness", "cycle"), Around(), console)
    console.file.flush()
    assert b"+   lock table." in out.getvalue()


def test_the_first_line_is_the_title_with_its_signature_however_narrow() -> None:
    told = story(LOCKS, "main", "liveness", "cycle")
    assert shown(told, width=40).splitlines()[0] == f"{told.title} [{told.signature}]"


def test_what_nobody_knows_is_said_to_be_unknown() -> None:
    text = shown(story(LOCKS, "main", "liveness", "cycle"))
    assert "rarity: unknown: nobody counted the runs" in text and "health of the campaign: unknown" in text


def test_an_object_is_shown_before_a_step_that_there_is_or_at_the_end() -> None:
    states = tuple(State("box", step, (("full", "0"),)) for step in (39, 40))
    text = shown(Story("t", "s", "o", "r", "", Telling("c."), Table((), (), 40), states=states))
    assert "box just before step 39\n" in text and "box at the end, after step 39\n" in text


def test_markup_in_a_title_is_text() -> None:
    told = Story("[red]box[/red]", "abc", "o", "r", "", Telling("It [b]broke."), Table((), (), 0))
    assert "[red]box[/red] [abc]" in shown(told) and "It [b]broke." in shown(told)


def test_the_orders_that_matter_are_told_by_what_came_of_swapping_them() -> None:
    proved = Ordering(1, "a at f:x", "b at g:y", "box.full", 0, 12, proved=True)
    sampled = Ordering(2, "a at f:z", "b at g:y", "box.full", 0, 200, proved=False, others=9)
    told = Story("t", "s", "o", "r", "", Telling("c."), Table((), (), 0), orderings=(proved, sampled))
    text = shown(told)
    assert "1  a at f:x before b at g:y, at box.full: swap these two, and this finding is gone (proved)" in text
    wrapped = " ".join(text.split())
    assert "swap these two, and this finding is gone (200 of 200 runs, but 9 of 200 fail otherwise)" in wrapped


def test_an_order_whose_later_side_follows_the_finding_is_counted_and_not_told() -> None:
    minimal = minimal_files.minimal()
    (first, second, one), *_ = orderings_of(minimal)
    finding = next(f for f in minimal.record.verdict["findings"] if f["signature"] == minimal.signature)
    step = finding["facts"].get("step", len(minimal.record.events))
    late = (first, step + 1, replace(one, number=1))
    told = tell(minimal.record, minimal.signature, orderings=[late, (first, second, replace(one, number=2))])
    assert [ordering.number for ordering in told.orderings] == [1] and told.afterwards == 1
    assert not any(row.step == step + 1 and row.causal for row in told.table.rows)
    assert "1 more order in the file of what comes after the finding" in shown(told)


def test_a_minimal_file_adds_its_orderings_its_shrinking_and_its_replays() -> None:
    minimal = minimal_files.minimal()
    orderings = orderings_of(minimal)
    told = tell(minimal.record, minimal.signature, orderings=orderings)
    marks = {row.step: row.causal for row in told.table.rows if row.causal}
    first, second, _ = orderings[0]
    assert marks == {first: "1<", second: ">1"}
    text = shown(told, around_of(minimal.record, minimal, "minimal.json"))
    assert (
        "replayed 5 of 5" in text
        and "minimised: " in text
        and "The schedule, where it leaves the default one" in text
        and "repeat: mmrace replay minimal.json" in text
    )


def test_a_rate_has_its_interval_for_each_strategy_too() -> None:
    counted = replace(
        minimal_files.minimal(), rarity={"hits": 3, "of": 100, "strategies": {"surw": {"hits": 3, "of": 50}}}
    )
    rarity = around_of(counted.record, counted, "f").rarity
    assert rarity[0] == "3 of 100 schedules (95 %: 1 % to 8.5 %)" and rarity[1].startswith("surw: 3 of 50")


@pytest.mark.parametrize(("hits", "of", "low", "high"), [(0, 0, 0, 1), (0, 10, 0, 0.278), (10, 10, 0.722, 1)])
def test_the_interval_is_wilson_s(hits: int, of: int, low: float, high: float) -> None:
    assert interval(hits, of) == pytest.approx((low, high), abs=1e-3)


def test_a_failure_of_a_test_has_title_cause_and_table_and_nothing_of_the_run() -> None:
    told = story(LOCKS, "main", "liveness", "cycle")
    console = Console(file=StringIO(), width=100, color_system=None)
    show_telling(told, console)
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0].endswith(f"[{told.signature}]") and "The run" not in lines
    assert any(line.startswith("What happened") for line in lines)


def test_without_a_proof_the_command_that_makes_one_is_said_and_nothing_of_a_record_alone() -> None:
    minimal = minimal_files.minimal()
    told = tell(minimal.record, minimal.signature)
    assert "not yet proved: mmrace prove 'my file.json'" in shown(
        told, around_of(minimal.record, minimal, "my file.json")
    )
    assert "mmrace prove" not in shown(told, around_of(minimal.record, None, "record.jsonl"))


def test_a_proof_stands_beside_the_rows_and_says_where_no_run_passes_any_more() -> None:
    minimal = minimal_files.minimal()
    orderings = orderings_of(minimal)
    after = minimal.causal[0].first
    points = (replace(point(5, 100), after=after),)
    proved = replace(proof(replace(no_return(5, 2), after=after)), points=points)
    text = shown(
        tell(minimal.record, minimal.signature, orderings=orderings),
        around_of(minimal.record, replace(minimal, proof=proved), "minimal.json"),
    )
    assert f"! 100 % 1< {after.event}" in text or f"! 100 % 1< * {after.event}" in text
    assert "! the point of no return" in text and "all 2 remaining classes fail (proved)" in text
