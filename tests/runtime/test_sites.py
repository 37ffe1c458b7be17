"""Sites: names of places in the model that survive edits elsewhere, and never a line number."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

from mmrace import runtime as rt
from mmrace.runtime import sites
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.kinds import Kind
from mmrace.runtime.strategy import RoundRobin
from tests.runtime.contended import contended
from tests.runtime.engines import Outcome, Setup, box, free, gate, walk

SOURCE = '''
"""A model."""
from mmrace import runtime as rt


def page_freeze_refs(page, n):
    return page.count.freeze(n)


def migrate_page_move_mapping(page):
    page.count.get("slot")
    page.count.get("isolation")
    page.x += 1
    page.y = page.x
    if page_freeze_refs(page, 2):
        page.count.unfreeze(2)
    for _ in rt.until_changed():
        if page.count.get_unless_zero("lookup"):
            break
        rt.schedule()


def lock_and_look(page):
    rt.bit_lock(
        page.flags,
        0,
    )
    found = [page.words.read(i) for i in range(2)]
    rt.spin_lock(page.spin); rt.spin_unlock(page.spin)
    rt.bit_unlock(page.flags, 0)
    return found


def play(page):
    migrate_page_move_mapping(page)
    lock_and_look(page)
'''
NAMES = [
    "migrate_page_move_mapping:get",
    "migrate_page_move_mapping:get#2",
    "migrate_page_move_mapping:x",
    "migrate_page_move_mapping:x",
    "migrate_page_move_mapping:x#2",
    "migrate_page_move_mapping:y",
    "migrate_page_move_mapping > page_freeze_refs:freeze",
    "migrate_page_move_mapping:unfreeze",
    "migrate_page_move_mapping:get_unless_zero",
    "lock_and_look:bit_lock",
    "lock_and_look:read",
    "lock_and_look:read",
    "lock_and_look:spin_lock",
    "lock_and_look:spin_unlock",
    "lock_and_look:bit_unlock",
    "lock_and_look:bit_unlock",
]
_numbers = count()


def load(folder: Path, source: str) -> ModuleType:
    """Import a source text as a module of its own."""
    name = f"model_{next(_numbers)}"
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def names_of(model: ModuleType) -> list[str]:
    """Return the sites of the ops of one run of a model, but for what `play` itself is called by."""

    def main() -> None:
        rt.join(rt.spawn(model.play, box(), name="actor", cpu=1))

    outcome = gate(main, sites=True)
    actor = next(task["id"] for task in outcome.record.tasks if task["name"] == "actor")
    events = zip(outcome.record.events, outcome.record.sites, strict=True)
    return [_without_play(site) for event, site in events if event[0] == actor and site is not None]


def _without_play(site: str) -> str:
    return site.removeprefix("play > ")


EDITS: dict[str, Callable[[str], str]] = {
    "blank lines everywhere": lambda source: re.sub(r"\n(?!\n)", "\n\n", source),
    "comments on top": lambda source: "# a\n" * 40 + source,
    "another function before": lambda source: source.replace(
        "def lock_and_look", "def other(page):\n    page.x = 1\n    return page.x\n\n\ndef lock_and_look"
    ),
    "another function behind": lambda source: source + "\n\ndef last(page):\n    page.x = 1\n",
    "docstrings": lambda source: source.replace("(page):\n", '(page):\n    """Do it."""\n'),
}


def test_a_site_is_function_name_and_ordinal(tmp_path: Path) -> None:
    assert names_of(load(tmp_path, SOURCE)) == NAMES


@pytest.mark.parametrize("edit", EDITS)
def test_names_do_not_depend_on_where_the_lines_are(tmp_path: Path, edit: str) -> None:
    edited = EDITS[edit](SOURCE)
    assert edited != SOURCE
    assert names_of(load(tmp_path, edited)) == names_of(load(tmp_path, SOURCE))


def test_a_site_says_that_its_own_function_changed(tmp_path: Path) -> None:
    edited = SOURCE.replace('    page.count.get("slot")\n', '    page.count.get("slot")\n    page.count.get("pte")\n')
    assert "migrate_page_move_mapping:get#3" in names_of(load(tmp_path, edited))


COMPREHENSIONS = """
def look(page, i):
    return page.words.read(i)


def look_at_all(page):
    page.words.read(0)
    found = [[page.words.read(i) for i in range(1)] + [look(page, 0)] for _ in range(1)]
    return found, {
        i: look(page, i)
        for i in range(2)
        if page.words.read(i) == 0
    }


def play(page):
    look_at_all(page)
"""


def test_an_op_in_a_comprehension_stands_in_the_function_around_it(tmp_path: Path) -> None:
    """Up to 3.11 a comprehension has a frame of its own, afterwards it has none: the names are the same."""
    inner, outer, condition = "look_at_all:read#2", "look_at_all > look:read", "look_at_all:read#3"
    assert names_of(load(tmp_path, COMPREHENSIONS)) == [
        "look_at_all:read", inner, outer, condition, outer, condition, outer,
    ]  # fmt: skip


FALLING = """
def fall(page):
    raise_ = [0][1:]
    return [[{0: raise_[i] for i in range(1)} for _ in range(1)] for _ in range(1)]


def fall_in_lambda(page):
    return [(lambda: [][0])() for _ in range(1)]


def fall_in_class(page):
    class Inner:
        found = [[][0] for _ in (1,)]
"""


@pytest.mark.parametrize(
    ("function", "named"),
    [
        ("fall", "fall"),
        ("fall_in_lambda", "fall_in_lambda.<locals>.<lambda>"),
        ("fall_in_class", "fall_in_class.<locals>.Inner"),
    ],
)
def test_a_crash_in_a_comprehension_is_one_of_the_function_around_it(function: str, named: str, tmp_path: Path) -> None:
    model = load(tmp_path, FALLING)
    engine = GateEngine(RoundRobin())
    engine.run(lambda: vars(model)[function](box()))
    assert (engine.end["how"], engine.end["detail"]["function"]) == ("crash", named)


def test_comprehensions_that_read_alike_stand_in_their_own_functions(tmp_path: Path) -> None:
    """Code objects of the same text at the same line are equal, whatever file and function they are of."""
    source = "def {0}(page):\n    return [page.words.read(i) for i in range(2)]\n\n\ndef play(page):\n    {0}(page)\n"
    models = [load(tmp_path, source.format(name)) for name in ("look", "peek")]
    for _ in range(2):
        assert [names_of(model) for model in models] == [["look:read"] * 2, ["peek:read"] * 2]


def test_no_site_is_inside_the_runtime_or_outside_the_model(run: Setup) -> None:
    outcome = run(contended, sites=True)
    named = [site for site in outcome.record.sites if site is not None]
    assert len(named) > 500
    functions = {site.split(":")[0].split(" > ")[-1] for site in named}
    assert functions == {
        "contended", "mixer", "freezer", "looker", "device", "<lambda>", "asleep",
    }  # fmt: skip


def test_begin_and_exit_stand_nowhere_and_every_other_op_somewhere(run: Setup) -> None:
    record = run(contended, sites=True).record
    for event, site in zip(record.events, record.sites, strict=True):
        nowhere = event[1] == rt.NOTE or event[1] & 63 in (Kind.BEGIN, Kind.EXIT)
        assert (site is None) == nowhere


def test_sites_are_not_kept_unless_asked_for_under_control(controlled: Setup) -> None:
    assert not controlled(contended).record.sites


def test_a_violation_says_where_it_was(run: Setup) -> None:
    def main() -> None:
        """BUGGY: releases what it does not hold."""
        rt.spin_unlock(box().spin)

    outcome: Outcome = run(main, sites=True)
    assert outcome.detail["at"] == "main:spin_unlock"


def test_every_turn_of_a_retry_has_the_site_of_its_loop(tmp_path: Path) -> None:
    def main() -> None:
        shared = box()

        def spin() -> None:
            for _ in rt.until_changed():
                if shared.x:
                    return
                shared.mark += 1

        rt.spawn(spin, name="spin", cpu=1)
        while not shared.mark:
            rt.schedule()
        shared.x = 1

    for outcome in (walk(main, 1, sites=True), free(main)):
        pairs = zip(outcome.record.events, outcome.record.sites, strict=True)
        turns = {site for event, site in pairs if event[1] >= 0 and event[1] & 63 == Kind.RETRY}
        assert turns == {"spin:until_changed"}


def test_a_model_without_its_source_still_has_functions(tmp_path: Path) -> None:
    model = load(tmp_path, "# lines that no other test has\n" * 777 + SOURCE)
    Path(str(model.__file__)).unlink()
    assert set(names_of(model)) >= {"migrate_page_move_mapping", "lock_and_look"}


def test_no_place_has_no_name() -> None:
    assert sites.site_name(None) is None
