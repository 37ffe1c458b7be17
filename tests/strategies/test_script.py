"""Scripts: they do what they say, say what they could not do, and refuse what is none with what to try."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.runtime.kinds import Kind
from mmrace.strategies import registry
from mmrace.strategies.script import Script, parse_script
from tests.runtime.engines import Box, Outcome, Program, box, fiber


def follow(main: Program, text: str, **options: bool) -> tuple[Outcome, Script]:
    """Run a program along a script."""
    script = Script(text)
    return fiber(main, script, **{"sites": True, **options}), script


def bump(shared: Box) -> None:
    shared.x += 1


def lost_update() -> None:
    """BUGGY: two tasks add 1 to the same word, not atomically."""
    shared = box()
    rt.spawn(bump, shared, name="one", cpu=1)
    rt.spawn(bump, shared, name="two", cpu=2)
    rt.join_others()
    rt.note("sum", shared.x)


def turns(outcome: Outcome, *kinds: Kind) -> list[tuple[str, Kind]]:
    """Return who did which op, main left out."""
    return [(task, kind) for task, kind, *_ in outcome.ops(*kinds) if task != "main"]


LOST = (
    "one until bump:x*2; two until end; rest fair",
    "one for 2; two until blocked",
    "two for 1; one for 2; rest two one main",
)


@pytest.mark.parametrize("text", LOST)
def test_a_script_reproduces_a_lost_update_every_time(text: str) -> None:
    for _ in range(3):
        outcome, script = follow(lost_update, text)
        assert outcome.notes("sum") == [(1,)]
        assert script.unreached == []
        assert turns(outcome, Kind.READ, Kind.WRITE) == [
            ("one", Kind.READ), ("two", Kind.READ), ("two", Kind.WRITE), ("one", Kind.WRITE)
        ]  # fmt: skip


@pytest.mark.parametrize("text", ["one until end", "two until end; one until end", "one until bump:x; two until end"])
def test_another_script_reproduces_that_nothing_is_lost(text: str) -> None:
    assert follow(lost_update, text)[0].notes("sum") == [(2,)]


def stepper() -> None:
    """Two tasks that do nothing but count their steps."""
    shared = box()

    def step() -> None:
        for _ in range(3):
            _ = shared.x
            shared.y = 1

    rt.spawn(step, name="a", cpu=1)
    rt.spawn(step, name="b", cpu=2)


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("a until step:x", 1),  # its begin
        ("a until step:y", 2),
        ("a until step:x*2", 3),
        ("a until step:x*2; a until step:x", 3),  # it stands there
        ("a until step:x*2; a until step:x*2", 5),
        ("a until step:y; a for 2", 4),
        ("a until stepper:x; b until end", 8),  # never there: to its end
        ("a until <lambda> > step:y; b until end", 8),  # another caller
        ("a until end", 8),
        ("a until blocked", 8),
    ],
)
def test_a_clause_ends_where_it_says(text: str, done: int) -> None:
    outcome, _ = follow(stepper, f"{text}; b until end")
    others = [task for task, *_ in outcome.ops() if task != "main"]
    assert others.index("b") == done


def test_a_site_with_its_caller_is_met_from_that_caller_only() -> None:
    shared: list[Box] = []

    def touch() -> None:
        _ = shared[0].x

    def early() -> None:
        touch()

    def late() -> None:
        touch()

    def main() -> None:
        shared[:] = [box()]

        def both() -> None:
            early()
            late()

        rt.spawn(both, name="a", cpu=1)
        rt.spawn(rt.schedule, name="b", cpu=2)

    for text, done in (("touch:x", 1), ("early > touch:x", 1), ("late > touch:x", 2)):
        outcome, script = follow(main, f"a until {text}; b until end")
        assert script.unreached == []
        assert [task for task, *_ in outcome.ops() if task != "main"].index("b") == done


def test_the_rest_goes_in_fair_turns_or_in_the_order_given() -> None:
    begun = "a for 1; b for 1"
    for text in (begun, f"{begun}; rest fair"):
        assert [task for task, _ in turns(follow(stepper, text)[0])] == ["a", "b"] * 8
    for text in ("rest b a", "rest b, a", "rest b,a;"):
        ordered = [task for task, _ in turns(follow(stepper, f"{begun}; {text}")[0])]
        assert ordered == ["a", "b"] + ["b"] * 7 + ["a"] * 7


def test_a_task_that_is_not_yet_spawned_is_waited_for() -> None:
    def main() -> None:
        rt.spawn(rt.schedule, name="early", cpu=1)
        rt.schedule()
        rt.spawn(rt.schedule, name="late", cpu=2)

    outcome, script = follow(main, "late until end; early until end")
    assert [task for task, _ in turns(outcome)] == ["late"] * 3 + ["early"] * 3
    assert script.unreached == []


def test_a_site_may_be_that_of_an_op_that_has_to_wait() -> None:
    def main() -> None:
        shared = box()

        def hold() -> None:
            rt.mutex_lock(shared.mutex)
            rt.mutex_unlock(shared.mutex)

        for name, cpu in (("a", 1), ("b", 2)):
            rt.spawn(hold, name=name, cpu=cpu)

    for goal in ("hold:mutex_lock", "blocked"):
        outcome, script = follow(main, f"a until hold:mutex_unlock; b until {goal}; a until end; b until end")
        assert script.unreached == []
        begun = [("a", Kind.BEGIN), ("a", Kind.ACQUIRE), ("b", Kind.BEGIN), ("a", Kind.RELEASE)]
        assert turns(outcome)[:4] == begun


def test_where_the_order_is_fixed_the_script_is_not_asked() -> None:
    def main() -> None:
        with rt.fixed_order():
            shared = box()
            rt.spawn(bump, shared, name="setup", cpu=1)
            rt.join_others()
        rt.spawn(bump, shared, name="a", cpu=1)

    outcome, script = follow(main, "setup for 9; a until bump:x")
    assert outcome.how == "finished"
    assert script.unreached == [
        "script clause 1, 'setup for 9', was never reached: setup ended; try: until end",
    ]


def blocked() -> None:
    """One task needs what the other holds."""
    shared = box()

    def hold() -> None:
        rt.mutex_lock(shared.mutex)
        rt.mutex_unlock(shared.mutex)
        shared.x = 1

    for name, cpu in (("a", 1), ("b", 2)):
        rt.spawn(hold, name=name, cpu=cpu)


@pytest.mark.parametrize(
    ("text", "number", "why", "try_"),
    [
        ("a for 2; b until hold:x; a until end", 2, "b has to wait at ", "a clause before it for the task that b"),
        ("a for 2; b until hold:x*3; a until end", 2, "(at its site 0 of 3 times)", "a clause before it"),
        ("a for 2; b until end; a until end", 2, "b has to wait at ", "a clause before it"),
        ("a for 2; b for 5; a until end", 2, "b has to wait at ", "a clause before it"),
        ("a until hold:y", 1, "a ended (at its site 0 of 1 times)", "a site as `mmrace show` prints it"),
        ("a for 99; b for 1", 1, "a ended", "until end"),
        ("aa until end", 1, "no such task was spawned, but main, a, b", "a"),
        ("zzz until end", 1, "no such task was spawned, but main, a, b", "one of these"),
        ("main until end; a until end; b for 99", 3, "the run ended first", "a look at how the run ended"),
    ],
)
def test_a_clause_that_was_not_met_is_named_with_the_reason_and_what_to_try(
    text: str, number: int, why: str, try_: str
) -> None:
    outcome, script = follow(blocked, text)
    assert outcome.how == "finished"
    [line] = script.unreached
    clause = text.split(";")[number - 1].strip()
    assert line.startswith(f"script clause {number}, {clause!r}, was never reached: ")
    assert why in line
    assert try_ in line.partition("; try: ")[2]


def test_an_unmet_clause_has_one_hint() -> None:
    outcome, script = follow(blocked, "aa until end")
    assert outcome.how == "finished"
    with pytest.raises(rt.UsageError) as caught:
        script.finish()
    assert str(caught.value).count("try: ") == 1 and 'try: a"' in str(caught.value)


def test_a_deadlock_that_was_scripted_is_a_deadlock() -> None:
    def main() -> None:
        shared, other = box(0), box(1)

        def both(first: Box, second: Box) -> None:
            rt.mutex_lock(first.mutex)
            rt.mutex_lock(second.mutex)

        rt.spawn(both, shared, other, name="a", cpu=1)
        rt.spawn(both, other, shared, name="b", cpu=2)

    outcome, script = follow(main, "a until both:mutex_lock#2; b until blocked; a until blocked; main until blocked")
    assert outcome.how == "deadlock"
    assert script.unreached == []


@pytest.mark.parametrize(
    ("text", "where", "expected", "try_"),
    [
        ("", "script", "a script", "writer until"),
        (" ; ", "script", "a script", "writer until"),
        ("a", "script clause 1", "one of: TASK until SITE", "writer until"),
        ("a until", "script clause 1", "one of: TASK until SITE", "a until"),
        ("a for 1; a untill end", "script clause 2", "one of: TASK until SITE", "a until end"),
        ("a for x", "script clause 1", "a number, 1 or more", "a for 3"),
        ("a for 0", "script clause 1", "a number, 1 or more", "a for 3"),
        ("a until f:x*", "script clause 1", "a number, 1 or more", "a until f:x*2"),
        ("a until f:x*0", "script clause 1", "a number, 1 or more", "a until f:x*2"),
        ("a until migrate.py:120", "script clause 1", "a site: function:name", "a until update:bit_lock"),
        ("a until f:120", "script clause 1", "a site: function:name", "a until update:bit_lock"),
        ("a until blocked now", "script clause 1", "a site: function:name", "a until update:bit_lock"),
        ("rest fair; a for 1", "script clause 1", "rest as the last clause", "move it to the end"),
        ("a for 1; rest", "script clause 2", "rest fair, or rest and tasks", "rest fair"),
        ("a for 1;; b for 1", "script clause 2", "one of: TASK until SITE", "writer until"),
    ],
)
def test_a_text_that_is_no_script_is_refused_with_what_to_try(text: str, where: str, expected: str, try_: str) -> None:
    with pytest.raises(rt.UsageError) as caught:
        Script(text)
    error = caught.value
    assert error.where == where
    assert expected in error.expected
    assert try_ in error.try_


def test_an_engine_keeps_sites_for_a_script_unasked() -> None:
    outcome, script = follow(lost_update, LOST[0], sites=False)
    assert outcome.notes("sum") == [(1,)]
    assert script.unreached == []
    assert any(outcome.record.sites)


def test_a_script_that_was_not_reached_is_a_usage_error_after_the_run() -> None:
    for text in LOST:
        follow(lost_update, text)[1].finish()
    _, script = follow(lost_update, "zzz until end")
    with pytest.raises(rt.UsageError, match=r"script clause 1, 'zzz until end', was never reached"):
        script.finish()


def test_a_script_is_known_by_name_and_needs_no_stream() -> None:

    def never() -> float:
        raise AssertionError("drawn")

    script = registry.sampler("script:text=one for 2; two until end; rest two one").strategy(never, None)
    assert fiber(lost_update, script, sites=True).notes("sum") == [(1,)]
    with pytest.raises(rt.UsageError, match="script"):
        registry.sampler("script")


def test_the_parts_of_a_script() -> None:
    clauses, rest = parse_script("a until f > g:x#2*3; b until blocked; rest c, d")
    assert [(c.task, c.what, c.site, c.count) for c in clauses] == [
        ("a", "site", "f > g:x#2", 3),
        ("b", "blocked", "", 1),
    ]
    assert rest == ["c", "d"]
