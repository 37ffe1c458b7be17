"""The minimal file: what is written is read again, and what is damaged is refused with where and what to try."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from mmrace import installed
from mmrace.examples import lost_update
from mmrace.runs import functions
from mmrace.runs.follow import with_sites
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.minimal import (
    SCHEMA,
    Causal,
    Flips,
    Minimal,
    Op,
    Replayed,
    Schedule,
    Shrunk,
    Size,
    is_minimal,
)
from mmrace.runs.proof import Effort, NoReturn, Point, Proof, Swap, wilson
from mmrace.runs.run import run_one
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.strategies.guided import choices_of, preemptions_of

Plain: TypeAlias = dict[str, Any]

NAME = "lost_update.py:main"
DAMAGE = (b"", b"9", b"}", b'"', b"\xff", b"null", b"-1", b"[[")
SPEC = RunSpec(NAME, maker=functions.KIND, engine="fiber", strategy="random", seed=0)


@pytest.fixture(scope="module")
def minimal() -> Minimal:
    makers = installed.makers_with(FunctionMaker(here={NAME: lost_update.main}))
    result = run_one(SPEC, True, makers=makers)
    record = with_sites(result, makers)
    turns, choices = preemptions_of(record), choices_of(record)
    size = Size(len(turns), len(choices), len(record.events), len(record.tasks), {"rounds": 1, "kind": "plain"})
    last = len(record.events) - 1
    op = Op(record.task_name(record.events[last][0]), "EXIT", 1, last)
    return Minimal(
        SPEC,
        result.findings[0],
        Schedule(tuple(turns), tuple(choices)),
        (Causal(op, op, "account.balance", Flips(0, 3)),),
        Shrunk(7, 0.25, size, size, fewest=True),
        Replayed(5, 5),
        record,
        rarity={"hits": 2, "of": 10},
    )


@pytest.fixture
def plain(minimal: Minimal) -> Plain:
    made: Plain = json.loads(json.dumps(minimal.plain()))
    return made


def parse(plain: Plain) -> Minimal:
    return Minimal.parse(json.dumps(plain).encode(), "a.json")


def test_what_was_written_is_read_again(minimal: Minimal, tmp_path: Path) -> None:
    path = tmp_path / "minimal.json"
    minimal.write(path)
    again = Minimal.read(path)
    assert is_minimal(path)
    assert not is_minimal(tmp_path / "record.jsonl")
    assert json.dumps(again.plain()) == json.dumps(minimal.plain())
    assert (again.spec, again.schedule, again.shrunk) == (SPEC, minimal.schedule, minimal.shrunk)
    assert list(again.record.lines()) == list(minimal.record.lines())


def test_the_schedule_names_no_line_numbers(plain: Plain) -> None:
    steps = [*plain["schedule"]["turns"], *plain["schedule"]["choices"]]
    assert steps
    assert {frozenset(step) for step in steps} <= {
        frozenset({"task", "site", "visit", "to"}),
        frozenset({"task", "site", "visit", "value"}),
    }


def test_keys_of_a_later_mmrace_are_left_out(plain: Plain) -> None:
    assert json.dumps(parse({**plain, "later": 1}).plain()) == json.dumps(plain)


@pytest.mark.parametrize("key", ["spec", "signature", "finding", "schedule", "causal", "shrunk", "replayed", "record"])
def test_each_part_is_asked_for(plain: Plain, key: str) -> None:
    for value in (None, 7, [7], {"x": 1}):
        with pytest.raises(UsageError, match=r"a\.json"):
            parse({**plain, key: value})
    del plain[key]
    with pytest.raises(UsageError, match=r"a\.json.*mmrace minimise"):
        parse(plain)


@pytest.mark.parametrize("schema", ["mmrace-minimal/2", "mmrace-record/3", None, 3])
def test_another_schema_is_refused_by_name(plain: Plain, schema: object) -> None:
    with pytest.raises(UsageError, match=SCHEMA):
        parse({**plain, "schema": schema})


def test_parts_that_do_not_belong_together_are_refused(plain: Plain) -> None:
    other = {**plain["finding"], "signature": "0" * 12}
    with pytest.raises(UsageError, match="one signature"):
        parse({**plain, "signature": "0" * 12})
    with pytest.raises(UsageError, match="one signature"):
        parse({**plain, "finding": other})
    with pytest.raises(UsageError, match="one signature"):
        parse({**plain, "signature": "0" * 12, "finding": other})
    with pytest.raises(UsageError, match="turning points"):
        parse({**plain, "schedule": {"turns": [], "choices": []}})


@pytest.mark.parametrize(
    ("key", "value"), [("program", "other.py:main"), ("digest", "00"), ("seed", 7), ("params", [["tasks", 3]])]
)
def test_a_spec_that_is_not_the_records_is_refused(plain: Plain, key: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"{'given' if key == 'params' else key} of the record"):
        parse({**plain, "spec": {**plain["spec"], key: value}})


@pytest.mark.parametrize("event", [10**6, 0])
def test_a_causal_ordering_of_no_such_op_is_refused(plain: Plain, event: int) -> None:
    plain["causal"][0]["second"] |= {"event": event, "task": "main.1"}
    with pytest.raises(UsageError, match="causal orderings"):
        parse(plain)


def proof_of(op: Op) -> Proof:
    low, high = wilson(3, 10)
    told = NoReturn(8, op, 10, 10, 2, proved=True, proved_from=8)
    swaps = (Swap(0, 0, 3, 3, proved=True),)
    return Proof((Point(3, op, 3, 10, low, high),), told, swaps, 13, 0, "random", Effort(50, 1.5, 10, complete=True))


def test_a_proof_is_read_again_as_it_was_written(minimal: Minimal) -> None:
    proved = replace(minimal, proof=proof_of(minimal.causal[0].first))
    again = parse(json.loads(json.dumps(proved.plain())))
    assert again.proof == proved.proof


def test_a_file_of_before_there_were_proofs_has_none(plain: Plain) -> None:
    assert parse(plain).proof is None


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("no_return", {"fails": 11}, "no more failures than runs"),
        ("no_return", {"after": {"task": "main", "site": "x", "visit": 1, "event": 10**6}}, "proof of ops"),
        ("points", {"after": {"task": "nobody", "site": "x", "visit": 1, "event": 1}}, "proof of ops"),
        ("points", {"of": 2}, "no more failures than runs"),
        ("points", {"of": -1}, "minimal file"),
        ("swaps", {"causal": 1}, "swaps of 1 causal"),
        ("swaps", {"proved": "yes"}, "minimal file"),
    ],
)
def test_a_proof_of_something_else_is_refused(minimal: Minimal, part: str, change: Plain, said: str) -> None:
    made = json.loads(json.dumps(replace(minimal, proof=proof_of(minimal.causal[0].first)).plain()))
    told = made["proof"][part]
    (told if isinstance(told, dict) else told[0]).update(change)
    with pytest.raises(UsageError, match=said):
        parse(made)


def test_a_record_that_was_cut_is_refused(plain: Plain) -> None:
    with pytest.raises(UsageError, match=r"a\.json, record"):
        parse({**plain, "record": plain["record"][:-2]})
    with pytest.raises(UsageError, match=r"a\.json"):
        parse({**plain, "record": ["\ud800"]})
    with pytest.raises(UsageError, match="truncated"):
        Minimal.parse(json.dumps(plain).encode()[:-20], "a.json")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(UsageError, match="minimal file"):
            Minimal.read(path)


def test_damaged_bytes_are_read_or_refused_but_never_crash(minimal: Minimal) -> None:
    content = json.dumps(minimal.plain()).encode()
    rng = random.Random(5)
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(damaged))
            damaged[at : at + rng.choice((0, 1, 9))] = rng.choice(DAMAGE)
        try:
            Minimal.parse(bytes(damaged), "a.json")
        except UsageError:
            refused += 1
    assert refused > 100


def test_facts_that_json_does_not_know_are_written_as_text(minimal: Minimal, tmp_path: Path) -> None:
    path = tmp_path / "minimal.json"
    replace(minimal, rarity={"hits": float}).write(path)
    assert Minimal.read(path).rarity == {"hits": "<class 'float'>"}
