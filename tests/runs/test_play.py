"""One run: the same spec gives the same record, a wrong spec a UsageError, and a failure is a result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmrace import history, scenarios
from mmrace.history.canary import Canary
from mmrace.history.variant import Variant
from mmrace.installed import replay_record, run_one
from mmrace.kernel.mm import migrate
from mmrace.oracles.general.bench import judge_all
from mmrace.oracles.protocol import PROTOCOL
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime.errors import EXIT_NONDETERMINISM, MadeOtherwise, NondeterminismError, UsageError
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import SCHEMA, Record
from mmrace.scenarios.scenario import Scenario
from mmrace.scenarios.workload import packaged
from tests.scenarios.staged import gate_spec

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "data" / "async-vs-commit.jsonl"
SHORT = {"pages": 1, "buffers": 1, "words": 1, "rounds": 1, "migrations": 1, "passes": 3}
GOLDEN_SPEC = replace(gate_spec("async-vs-commit", 606, **{**SHORT, "passes": 6}), strategy="pos")
"""Of the short runs one in which a migration finds the page and then a buffer locked, backs out, and then moves a dirty
page, while the commit waits for a handle and for a buffer."""
VERSION_1, VERSION_2 = GOLDEN.with_name("record-v1.jsonl"), GOLDEN.with_name("record-v2.jsonl")
"""Records that were written under schemas 1 and 2, as they were; nobody writes such files any more."""

ANEW = (
    f"if the change is meant: MMRACE_GOLDEN=write python -m pytest {Path(__file__).relative_to(ROOT)} -k event_by_event"
)

FAILING = gate_spec("async-vs-commit", 3, "double-put", **SHORT)
STEPS_CUT = 4_000  # ops: far less than the run that is to be cut, and its last quarter shows progress
ENDLESS = 1_000  # rounds: no run gets through, however late the watchdog of `free` looks
COMMITTER_IN_COMMIT = "jbd.commit:journal_commit_transaction"


def kept(spec: RunSpec) -> tuple[RunResult, Record]:
    result = run_one(spec, keep_record=True)
    assert result.record is not None
    return result, result.record


def written(record: Record) -> list[str]:
    """Return the lines of a record; its header, whose order of keys means nothing, without the host and the model."""
    header, *rest = record.lines()
    kept = {key: value for key, value in json.loads(header).items() if key not in ("host", "model")}
    return [json.dumps(kept, sort_keys=True), *rest]


def spelled(spec: RunSpec) -> RunSpec:
    """Return a spec with every parameter in it."""
    return replace(spec, params=tuple(sorted(scenarios.get(spec.program).merged(dict(spec.params)).items())))


def refused(spec: RunSpec) -> UsageError:
    with pytest.raises(UsageError) as caught:
        run_one(spec)
    return caught.value


# -- the same spec, the same record ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["async-vs-commit", "migrate-vs-writeback", "four"])
@pytest.mark.parametrize("strategy", ["random", "round-robin"])
def test_the_same_seed_gives_the_same_record(scenario: str, strategy: str) -> None:
    spec = replace(gate_spec(scenario, 4, pages=2, idle=20), strategy=strategy)
    assert written(kept(spec)[1]) == written(kept(spec)[1])


def test_another_seed_gives_another_record() -> None:
    one, two = (list(kept(gate_spec("four", seed))[1].plain()) for seed in (1, 2))
    assert one != two


@pytest.mark.slow
def test_hash_order_does_not_reach_the_record() -> None:
    code = (
        "from mmrace.installed import run_one\n"
        "from tests.scenarios.staged import gate_spec\n"
        "for scenario in ('four', 'sync-vs-commit'):\n"
        "    print(*run_one(gate_spec(scenario, 6, pages=2, idle=20), keep_record=True).record.lines(), sep='\\n')\n"
    )
    shown = []
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        shown.append([line for line in done.stdout.splitlines() if '"host"' not in line])
    assert len(shown[0]) > 1000
    assert shown[0] == shown[1]


# -- the golden record -------------------------------------------------------------------------------------------


def test_the_golden_run_gives_the_golden_record_event_by_event() -> None:
    result, record = kept(GOLDEN_SPEC)
    if os.environ.get("MMRACE_GOLDEN") == "write":
        del record.header["model"]  # it outlives the models that it is still a run of
        record.write(GOLDEN)
    assert result.counters["migrations.refused.buffer-lock"] == 1 and result.counters["migrations.moved"] == 1
    golden = Record.read(GOLDEN)
    got = [json.loads(json.dumps(event)) for event in record.plain()]
    for step, (want, event) in enumerate(zip(golden.plain(), got, strict=False)):
        assert want == event, f"event {step}: {ANEW}"
    assert len(golden.events) == len(got), ANEW
    assert written(golden)[1:] == written(record)[1:], ANEW
    assert GOLDEN.stat().st_size < 300_000  # bytes that a repository bears


def test_the_golden_record_is_replayed_strictly_and_judged_alike() -> None:
    golden = Record.read(GOLDEN)
    result = replay_record(str(GOLDEN))
    assert result.record is not None
    assert list(result.record.plain()) == list(golden.plain())
    assert result.record.masks == golden.masks
    verdict = result.record.verdict
    verdict["checked"] = {name: verdict["checked"][name] for name in golden.verdict["checked"]}  # judges are added
    assert verdict == golden.verdict
    assert result.verdict == "PASS"


# -- records of older schemas -------------------------------------------------------------------------------------


def test_a_record_that_lists_the_parameters_of_other_scenarios_is_replayed(tmp_path: Path) -> None:
    """Every scenario once had every parameter; here `wbuf` has its default, and `idle` no actor reads."""
    for spec, strange in (
        (gate_spec("migrate-vs-reclaim", 4, **{**SHORT, "pages": 2}), {"wbuf": 4, "burst": 1}),
        (replace(gate_spec("recorded", 4, pages=12, buffers=4), workload=packaged()[0]), {"idle": 17}),
    ):
        record = kept(spec)[1]
        record.header["params"] = {**strange, **record.header["params"]}
        del record.header["given"]
        record.write(tmp_path / "older.jsonl")
        result = replay_record(str(tmp_path / "older.jsonl"))
        assert result.record is not None and list(result.record.plain()) == list(record.plain())


OLDER = pytest.mark.parametrize(("path", "schema"), [(VERSION_1, "mmrace-record/1"), (VERSION_2, "mmrace-record/2")])


@OLDER
def test_a_record_of_an_older_version_is_read_and_judged_as_it_was(path: Path, schema: str) -> None:
    record = Record.read(path)
    assert record.schema == schema
    assert len(record.events) == len(path.read_text(encoding="utf-8").splitlines()) - 2
    judgements = {judgement.oracle: judgement for judgement in judge_all(record, PROTOCOL)}
    for oracle in record.verdict["checked"]:
        assert judgements[oracle].verdict == "PASS" and judgements[oracle].checked, oracle
    assert judgements["lock-order"].verdict == "PASS"  # a judge that is younger than the record


@OLDER
def test_a_record_of_an_older_version_is_written_again_as_one(path: Path, schema: str, tmp_path: Path) -> None:
    Record.read(path).write(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == path.read_bytes()


def test_a_strict_replay_of_version_1_is_refused_and_says_what_to_do() -> None:
    with pytest.raises(UsageError) as caught:
        replay_record(str(VERSION_1))
    text = str(caught.value)
    assert "an older mmrace wrote (mmrace-record/1)" in text and SCHEMA in text
    assert "mmrace run async-vs-commit --engine gate --seed 93 --strategy random" in text


def test_a_strict_replay_of_a_run_of_an_older_model_says_so_and_offers_a_guided_one_if_that_can_work(
    tmp_path: Path,
) -> None:
    """A guided replay needs sites, which the old record has not, and one of a failed run has."""
    with pytest.raises(MadeOtherwise, match="made by another model") as caught:
        replay_record(str(VERSION_2))
    assert "`mmrace show RECORD` still reads it" in str(caught.value) and "guided" not in str(caught.value)
    record = run_one(FAILING).record
    assert record is not None
    record.header["model"] = "0123"
    last = next(i for i in reversed(range(len(record.events))) if record.events[i][1] != NOTE)
    record.events[last] = (*record.events[last][:3], "another outcome")
    path = tmp_path / "other.jsonl"
    record.write(path)
    with pytest.raises(MadeOtherwise, match="made by another model") as caught:
        replay_record(str(path))
    assert "--strategy guided:record=RECORD" in str(caught.value)
    assert run_one(replace(FAILING, strategy=f"guided:record={path}")).verdict == "FAIL"


# -- failing runs ------------------------------------------------------------------------------------------------


def test_a_failing_run_is_replayed_from_its_file_with_the_same_findings(tmp_path: Path) -> None:
    result = run_one(FAILING)
    assert result.verdict == "FAIL" and result.record is not None
    result.record.write(tmp_path / "run.jsonl")
    again = replay_record(str(tmp_path / "run.jsonl"))
    assert [f.signature for f in again.findings] == [f.signature for f in result.findings] != []
    assert spelled(again.spec) == spelled(result.spec)
    assert again.record is not None and written(again.record) == written(result.record)


def test_the_record_of_a_failing_run_has_sites_and_is_the_one_that_failed() -> None:
    result = run_one(FAILING)
    assert result.record is not None
    assert any(result.record.sites)
    saved = result.record.verdict["findings"]
    assert [finding["signature"] for finding in saved] == [finding.signature for finding in result.findings]


def test_a_passing_run_keeps_its_record_only_if_asked() -> None:
    assert run_one(GOLDEN_SPEC).record is None
    assert kept(GOLDEN_SPEC)[1].events


def test_a_run_that_is_cut_at_its_bound_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scenario, "steps", lambda *_: STEPS_CUT)
    monkeypatch.setattr("mmrace.runtime.watchdog.WATCH_SECONDS", 0.001)
    monkeypatch.setattr("mmrace.runtime.watchdog.UNFAIR_OPS_MAX", 0)
    for engine in ("gate", "free"):
        result = run_one(replace(gate_spec("four", 1, rounds=ENDLESS, migrations=10 * ENDLESS), engine=engine))
        assert result.verdict == "UNKNOWN", engine
        assert result.unknown and not result.findings
        assert result.record is not None
        assert (result.record.end["how"], result.record.end["detail"]["kind"]) == ("bound", "cut")


def _buggy(*_: object) -> None:
    """BUGGY: a mistake of Python, not of the protocol."""
    raise KeyError("a planted mistake")


@pytest.mark.parametrize("engine", ["gate", "free"])
@pytest.mark.parametrize("place", [COMMITTER_IN_COMMIT, "fs.buffer:unlock_buffer", "fs.buffer:end_buffer_write_sync"])
def test_an_exception_in_a_planted_bug_is_a_crash_and_a_finding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, engine: str
) -> None:
    canary = Canary(Variant("stumble", "BUGGY", {place: _buggy}), "async-vs-commit", "content")
    monkeypatch.setattr(history, "CANARIES", (canary,))
    result = run_one(replace(gate_spec("async-vs-commit", 93, "stumble", **SHORT), engine=engine))
    assert (result.verdict, [(f.oracle, f.rule) for f in result.findings]) == ("FAIL", [("exception", "KeyError")])
    assert result.record is not None and result.record.end["how"] == "crash"
    assert "KeyError: 'a planted mistake'" in result.record.end["detail"]["error"]
    if engine == "gate":
        result.record.write(tmp_path / "crash.jsonl")
        again = replay_record(str(tmp_path / "crash.jsonl")).record
        assert again is not None and again.end == result.record.end


@pytest.mark.parametrize("engine", ["gate", "free"])
def test_an_exception_in_the_correct_model_is_raised(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    spec = replace(GOLDEN_SPEC, engine=engine)
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "migrate_pages", _buggy)
        with pytest.raises(KeyError, match="a planted mistake"):
            run_one(spec)
    assert run_one(spec).verdict == "PASS"


# -- wrong calls -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "where_to_go"),
    [
        (RunSpec("async-commit"), "async-vs-commit"),
        (RunSpec("four", engine="gates"), "free, gate"),
        (RunSpec("four", engine="gate", strategy="randon"), "did you mean random"),
        (RunSpec("four", variant="double-puts"), "double-put"),
        (RunSpec("four", noise="gentil"), "gentle"),
        (RunSpec("four", (("page", 1),)), "pages"),
        (RunSpec("four", (("pages", 0),)), "1..64"),
        (RunSpec("four", (("pages", "two"),)), "number"),
        (RunSpec("four", (("mode", "MIGRATE_FAST"),)), "MIGRATE_ASYNC"),
        (RunSpec("four", (("without", "reeder"),)), "reader"),
        (RunSpec("recorded", workload="no-such"), packaged()[0]),
        (RunSpec("recorded"), "a workload"),
        (RunSpec("four", workload=packaged()[0]), "no workload"),
        (RunSpec("recorded", (("pages", 1),), workload=packaged()[0]), "pages of at least"),
    ],
    ids=str,
)
def test_a_wrong_spec_is_refused_and_told_where_to_go(wrong: RunSpec, where_to_go: str) -> None:
    assert where_to_go in str(refused(wrong))


def test_a_record_of_the_free_engine_is_not_replayed(tmp_path: Path) -> None:
    kept(replace(GOLDEN_SPEC, engine="free"))[1].write(tmp_path / "free.jsonl")
    with pytest.raises(UsageError, match="`mmrace replay` of its file"):
        replay_record(str(tmp_path / "free.jsonl"))


@pytest.mark.parametrize(
    ("path", "key"),
    [(GOLDEN, key) for key in ("program", "engine", "variant", "seed", "workload", "strategy")]
    + [(VERSION_2, key) for key in ("scenario", "params")],
    ids=lambda value: value.stem if isinstance(value, Path) else value,
)
def test_a_record_without_the_spec_of_its_run_is_not_replayed(tmp_path: Path, path: Path, key: str) -> None:
    header, *rest = path.read_text(encoding="utf-8").splitlines()
    less = {name: value for name, value in json.loads(header).items() if name != key}
    (tmp_path / "less.jsonl").write_text("\n".join([json.dumps(less), *rest]), encoding="utf-8")
    with pytest.raises(UsageError, match="a header with the run's spec"):
        replay_record(str(tmp_path / "less.jsonl"))


TASK, KIND, ENABLED = 0, 1, 6  # places in an event


def other(field: int, value: Any, tasks: int) -> object:
    """Return another value of a field of an op, such as a record can have."""
    if field == TASK:
        return (value + 1) % tasks
    if field == KIND:
        return "READ" if value == "TEST" else "TEST"
    if field == ENABLED:
        return value ^ 1 << tasks - 1
    return value + 1 if type(value) is int else "edited"


def edited(tmp_path: Path, step: int, field: int) -> str:
    """Write the golden record with one field of one op changed; return the path."""
    lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    ops = [i for i, line in enumerate(lines[1:-1], 1) if json.loads(line)[1] != "NOTE"]
    event = json.loads(lines[ops[step]])
    event[field] = other(field, event[field], len(json.loads(lines[0])["tasks"]))
    lines[ops[step]] = json.dumps(event)
    path = tmp_path / "edited.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("model", ["0123", None], ids=["another", "an older one"])
def test_a_record_of_another_model_that_does_the_same_here_is_replayed_and_says_so(
    tmp_path: Path, model: str | None
) -> None:
    record = kept(FAILING)[1]
    now = record.header.pop("model")
    path = tmp_path / "record.jsonl"
    if model is not None:
        record.header["model"] = model
    record.write(path)
    (line,) = replay_record(str(path)).told
    sides = f"recorded {json.dumps(model)}, now {json.dumps(now)}"
    assert line == f"not as recorded, of another version: header model: {sides}"


def test_another_end_of_a_record_of_another_model_is_told_with_the_model(tmp_path: Path) -> None:
    record = kept(FAILING)[1]
    record.header["model"] = "0123"
    record.marks["never seen"] = 1
    record.write(tmp_path / "record.jsonl")
    with pytest.raises(NondeterminismError, match='header model: recorded "0123"') as caught:
        replay_record(str(tmp_path / "record.jsonl"))
    assert caught.value.exit_code == EXIT_NONDETERMINISM and "marks.never seen" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 333, 700, -1])
@pytest.mark.parametrize(
    "field", [TASK, KIND, 2, 3, 4, ENABLED], ids=["task", "kind", "lane", "outcome a", "outcome b", "enabled"]
)
def test_a_replay_of_an_edited_record_stops_at_that_step(tmp_path: Path, step: int, field: int) -> None:
    path = edited(tmp_path, step, field)
    ops = [number for number, event in enumerate(Record.read(path).events) if event[1] != NOTE]
    with pytest.raises(MadeOtherwise) as caught:  # the golden record does not say which model made it
        replay_record(path)
    assert caught.value.step == step % len(ops)
    assert "it was made by another model (an older one; this is " in str(caught.value)
    assert "guided" not in str(caught.value), "it has no sites"
    assert f"event {ops[step]}:" in str(caught.value)
