"""What is told of what runs on a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmrace.report.campaign_data import legal
from mmrace.report.store.marks import expected_in
from mmrace.report.store.status import Status, data, lines
from mmrace.search.ledger.entry import Beat, Begun, Ended
from mmrace.search.ledger.index import Index
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.watching import Watcher
from tests.report.stores import DAY, FIRST, HOST, PID, ended, named, night, nights
from tests.report.test_campaign_report import compare

NOW = FIRST + 3 * DAY + 860


def status(folder: Path, *, alive: bool = True, host: str = HOST, now: float = NOW) -> Status:
    index = Index.read_only(folder)
    told = Status.of("nights", Watcher(index, now, host=host, alive=lambda pid: alive))
    index.close()
    return told


def test_what_runs_and_what_was_interrupted_is_as_recorded(tmp_path: Path) -> None:
    compare("store_status.txt", "".join(f"{line}\n" for line in lines(status(nights(tmp_path)))))


def test_a_campaign_whose_process_is_gone_is_interrupted_with_the_command_that_goes_on(tmp_path: Path) -> None:
    told = list(lines(status(nights(tmp_path), alive=False)))
    assert told[0] == "nights: no campaign runs, 4 in all, 4 findings"
    assert sum("interrupted" in line for line in told) == 2
    assert told[-2:] == ["  last sign of life 1 min 00 s ago", "  go on: mmrace stress --resume --store nights"]


@pytest.mark.parametrize(
    ("shard", "more"), [([1, 4], " --shard 1/4"), (None, ""), (5, ""), ([1], ""), (["a", "b"], ""), ([True, 2], "")]
)
def test_the_command_that_goes_on_names_the_shard(shard: object, more: str, tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger._writer.add(Begun(named(0), FIRST, HOST, PID, "r", "1", "mmrace stress", {"shard": shard}))
    told = list(lines(status(tmp_path, alive=False)))
    assert told[-1] == f"  go on: mmrace stress --resume --store nights{more}"


def test_each_shard_that_was_interrupted_is_named_with_its_command_and_of_a_shard_the_newest(tmp_path: Path) -> None:
    shards = [[1, 4], [1, 4], [2, 4], [3, 4], [4, 4], None]
    with Ledger.open(tmp_path) as ledger:
        for number, shard in enumerate(shards):
            begun = Begun(named(number), FIRST + number, HOST, PID, "r", "1", "mmrace stress", {"shard": shard})
            ledger._writer.add(begun)
    found = status(tmp_path, alive=False)
    commands = [f"mmrace stress --resume --store nights --shard {number}/4" for number in range(1, 5)]
    commands.append("mmrace stress --resume --store nights")
    assert [line for line in lines(found) if "go on" in line] == [f"  go on: {command}" for command in commands]
    told = data(found)
    assert told["go_on"] == {named(number): command for number, command in enumerate(commands, 1)}
    assert told["resumable"] == named(5)


def test_one_whose_pool_ended_it_is_told_with_the_reason_and_how_it_goes_on(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        end = Ended(named(0), FIRST + 9, "UNKNOWN", 5, troubles=["no worker is left"])
        night(ledger, 0, end=end)
    told = list(lines(status(tmp_path)))
    assert told[2].startswith(f"UNKNOWN, ended early  {named(0)}") and "  no worker is left" in told
    assert told[-1] == "  go on: mmrace stress --resume --store nights"


def test_of_another_host_nobody_says_that_it_was_interrupted(tmp_path: Path) -> None:
    told = "\n".join(lines(status(nights(tmp_path), alive=False, host="laptop", now=NOW + DAY)))
    assert "silent" in told and "can be seen on its host alone" in told


def test_where_nothing_runs_the_last_campaign_is_told(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        night(ledger, 0, end=ended(0, "PASS"))
    told = list(lines(status(tmp_path)))
    assert told[2].startswith(f"PASS  {named(0)} on tower, process 4711, since 2023-11-14 22:13:20 UTC")


def test_a_store_without_a_campaign_and_one_that_is_damaged_say_so(tmp_path: Path) -> None:
    assert list(lines(status(tmp_path))) == ["nights: no campaign yet"]
    nights(tmp_path)
    (segment,) = (tmp_path / "ledger").glob("*.jsonl")
    segment.write_bytes(segment.read_bytes().replace(b"no-freeze", b"no-freezz", 1)[:-3])
    *_, last = lines(status(tmp_path))
    assert last.startswith("not read, the rest is told: ") and last.count(segment.name) == 2


def test_a_ledger_that_somebody_else_has_written_breaks_nothing(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        night(ledger, 0, end=None)
        request = {"seconds": "long", "runs": [1], "marks": 7}
        ledger._writer.add(Begun(named(1), 9e10, "host", -5, "r", "1", "mmrace", request))
        ledger._writer.add(Beat(named(1), 9e10, {"w": []}, -1))
    told = status(tmp_path, alive=False)
    assert "since 4821-12-26" in "\n".join(lines(told))
    assert expected_in([request]) == frozenset()
    json.dumps(legal(data(told)), allow_nan=False)


def test_as_data_it_is_legal_and_has_what_a_script_asks_for(tmp_path: Path) -> None:
    made = json.loads(json.dumps(legal(data(status(nights(tmp_path)))), allow_nan=False))
    assert (made["schema"], made["running"], made["resumable"]) == ("mmrace-status/1", [named(3)], named(1))
    first, last = made["campaigns"]
    assert (first["state"], first["runs"], first["findings"]["c" * 12], last["interrupted"]) == (
        "running",
        8192,
        399,
        15,
    )
