"""The life of an object: every event that concerns it, who held it, its references, its lives; live and from a file."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

import pytest

from mmrace import runtime as rt
from mmrace.runtime.errors import UsageError
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import RoundRobin
from mmrace.runtime.tables import Tables
from mmrace.runtime.wording import event_text
from mmrace.story.trail import Deed, Trail, trail_of

TABLES = Tables(allocates=("made",), frees=("gone",))


class Flag(IntEnum):
    BUSY = 0
    DIRTY = 1


class Box(rt.Struct):
    x: rt.Field[int] = rt.shared(0)
    refs = rt.refcount()
    lock = rt.mutex()
    flags = rt.flag_word(Flag, waitable=(Flag.BUSY,))


class Shelf(rt.Struct):
    box: rt.Field[Box | None] = rt.shared(None)


def life(box: Box, shelf: Shelf) -> None:
    """One life of a box that is kept on a shelf."""
    rt.note("made", box)
    box.refs.get("new")
    rt.mutex_lock(box.lock)
    shelf.box = box
    box.x = box.x + 1
    box.x = 5
    rt.mutex_unlock(box.lock)
    box.refs.get("shelf")
    box.refs.put("new")
    shelf.box = None
    box.refs.put("shelf")
    rt.note("gone", box)


def looks(box: Box) -> None:
    for _ in range(3):
        _ = box.x


def program() -> None:
    shelf = Shelf("shelf")
    box = Box("box")
    life(box, shelf)
    life(box, shelf)
    rt.spawn(looks, Box("other"), name="looker")
    rt.join_others()


def recorded(main: Callable[[], None] = program) -> Record:
    engine = FiberEngine(RoundRobin(), sites=True, tables=TABLES)
    engine.run(main)
    assert engine.error is None, engine.error
    return Record.of_run(engine, {}, {})


@pytest.fixture(params=["live", "file"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Record:
    made = recorded()
    if request.param == "live":
        return made
    made.write(tmp_path / "record.jsonl")
    return Record.read(tmp_path / "record.jsonl")


def texts(record: Record, trail: Trail) -> list[str]:
    return [event_text(record.events[deed.step], record) for deed in trail.deeds]


def deed(record: Record, trail: Trail, text: str) -> Deed:
    return next(deed for deed in trail.deeds if text in event_text(record.events[deed.step], record))


def test_a_life_has_every_event_that_concerns_the_object_and_no_other(record: Record) -> None:
    trail = trail_of(record, "box")
    told = texts(record, trail)
    assert told[0].endswith("-- made box") and told[-1].endswith("-- gone box")
    wanted = [
        step
        for step, event in enumerate(record.events)
        if event[1] == NOTE or "box" in event_text(event, record).replace("shelf.box", "")
    ]
    assert [deed.step for deed in trail.deeds] == wanted
    assert not any("other" in text or "looker" in text for text in told)


def test_each_allocation_begins_a_life_and_each_free_ends_one(record: Record) -> None:
    lives = trail_of(record, "box").lives
    assert len(lives) == 2
    for one in lives:
        assert (one.begun, one.ended) == (one.deeds[0].step, one.deeds[-1].step)


def test_a_pointer_to_the_object_is_part_of_its_life_and_none_of_its_own_ops(record: Record) -> None:
    trail = trail_of(record, "box")
    assert not deed(record, trail, "write shelf.box = box").own
    assert not deed(record, trail, "write shelf.box = None (was box)").own
    assert deed(record, trail, "write box.x = 1 (was 0)").own


def test_who_holds_it_is_known_at_every_event(record: Record) -> None:
    trail = trail_of(record, "box")
    assert deed(record, trail, "acquire box.lock").held == {"lock": "main"}
    assert deed(record, trail, "write shelf.box = box").held == {"lock": "main"}
    assert deed(record, trail, "release box.lock").held == {}


def test_counts_have_their_owners(record: Record) -> None:
    trail = trail_of(record, "box")
    assert deed(record, trail, "get box.refs shelf").owners == (("new", "main"), ("shelf", "main"))
    assert deed(record, trail, "put box.refs new").owners == (("shelf", "main"),)
    assert deed(record, trail, "-- gone").owners == ()
    assert deed(record, trail, "write box.x").owners is None


def test_what_comes_again_at_once_is_one_event_that_says_how_often(record: Record) -> None:
    trail = trail_of(record, "other")
    assert [(text, deed.times) for text, deed in zip(texts(record, trail), trail.deeds, strict=True)] == [
        ("looker: read other.x ➜ 0", 3)
    ]


def test_the_trail_of_a_field_has_its_own_ops_and_where_its_object_begins_and_ends(record: Record) -> None:
    told = {text.split(" ")[2] for text in texts(record, trail_of(record, "box.x"))}
    assert told == {"box.x", "made", "gone"}
    counted = trail_of(record, "box.refs")
    assert deed(record, counted, "put box.refs new").owners == (("shelf", "main"),)
    assert [one.begun is not None for one in counted.lives] == [True, True]


def test_the_trail_of_a_task_begins_with_its_birth(record: Record) -> None:
    told = texts(record, trail_of(record, "looker"))
    assert told[0] == "main: spawn main ➜ looker" and told[1] == "looker: begin looker"
    assert told[-1] == "looker: exit looker"


def test_an_unknown_name_is_answered_with_close_ones(record: Record) -> None:
    with pytest.raises(UsageError, match=r"OBJECT: .*did you mean shelf"):
        trail_of(record, "shlf")
    with pytest.raises(UsageError, match=r"did you mean .*box\.refs"):
        trail_of(record, "box.ref")


def test_objects_that_follow_each_other_under_one_name_have_a_life_each() -> None:
    def main() -> None:
        for _ in range(2):
            box = Box("box")
            box.x = 1
            box.x = box.x + 1

    trail = trail_of(recorded(main), "box")
    assert [len(one.deeds) for one in trail.lives] == [3, 3]


def test_a_lock_bit_is_held_by_whoever_set_it() -> None:
    def main() -> None:
        box = Box("box")
        rt.bit_lock(box.flags, Flag.BUSY)
        rt.set_bit(box.flags, Flag.DIRTY)
        rt.bit_unlock(box.flags, Flag.BUSY)
        box.x = 1

    record = recorded(main)
    trail = trail_of(record, "box")
    assert deed(record, trail, "set box.flags.DIRTY").held == {"BUSY": "main"}
    assert deed(record, trail, "write box.x").held == {}
