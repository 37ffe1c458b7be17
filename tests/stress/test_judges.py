"""Each judge has a planted bug that it sees alone; and the table of judges would tell if one had not."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace

import pytest

from mmrace import history
from mmrace.scenarios import maker
from stress import judges, planted
from stress.judges import Measured, alone, bench_of, complaints, drawn, line, measure, missing
from stress.planted import PLANTED, PREFIX


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no variant outlive its test."""
    monkeypatch.setattr(history, "_registered", {})


def measured(*found: int | None, runs: int = 40, saw: int = 40, alarms: tuple[str, ...] = ()) -> Measured:
    return Measured("content", "protocol", "a page moves without its data", found, runs, saw, alarms, 0.5)


def number_of(judge: str, bench: str) -> int:
    return next(i for i, row in enumerate(PLANTED) if (row.judge, bench_of(row)) == (judge, bench))


def test_every_judge_has_a_planted_bug() -> None:
    assert missing() == []


def test_a_judge_without_a_planted_bug_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        judges, "PLANTED", [row for row in PLANTED if (row.judge, bench_of(row)) != ("crash", "protocol")]
    )
    assert missing() == ["crash (protocol)"]
    assert complaints([], missing()) == [
        "no bug: expected a row in stress/planted.py for each judge, got none for crash (protocol)"
    ]


def test_each_bug_binds_what_the_model_has_and_its_twin_is_the_same_run_without_it() -> None:
    planted.register()
    planted.register()  # once is enough
    for row in PLANTED:
        if row.bug.variant:
            assert row.twin == replace(row.bug, variant="")
            assert row.bind == history.get(row.bug.variant).bind
        else:
            assert (row.bug.params, row.twin) == ((("planted", 1),), replace(row.bug, params=(("planted", 0),)))
    assert {row.bug.variant for row in PLANTED if row.bug.variant.startswith(PREFIX)} == history.own().keys()


def test_a_judge_is_asked_alone() -> None:
    row = PLANTED[number_of("content", "protocol")]
    result = alone(drawn(row.twin, 1, 0), "content", row.twin)
    assert set(result.spec.without) == maker.JUDGES.keys() - {"content"}
    assert result.record is not None and result.record.verdict["checked"].keys() == {"content"}


@pytest.mark.slow
@pytest.mark.parametrize("judge", ["liveness", "lock-discipline", "lock-order", "refcount"])
def test_a_general_judge_sees_its_bug_alone_and_nothing_in_its_twin(judge: str) -> None:
    one = measure((number_of(judge, "general"), 1, 2, 60))
    assert (
        one.hits == 2 and not one.alarms and one.saw == one.runs == judges.TWIN_TIMES * sum(n or 0 for n in one.found)
    )


@pytest.mark.slow
@pytest.mark.parametrize("judge", ["data-race", "dirty", "exception", "slot", "use-after-free"])
def test_a_judge_of_the_kernel_model_sees_its_bug_alone(judge: str) -> None:
    """The others' tests have theirs; with 200 schedules from each seed a miss has a chance below 1e-9 (one in ten)."""
    planted.register()
    row = planted.of_model(judge)
    assert judges.hunt(row, 1, judges.SCHEDULES) is not None


def test_what_is_missed_or_alarms_or_idles_is_told() -> None:
    assert complaints([measured(1, 3)], []) == []
    assert complaints([measured(1, None)], []) == ["missed: content (protocol) found its bug from 1 of 2 seeds"]
    assert complaints([measured(1, 3, alarms=("mmrace run x",))], []) == [
        "alarm: content (protocol) found something in the correct twin: mmrace run x"
    ]
    assert complaints([measured(1, 3, saw=35)], []) == ["idle: content (protocol) knew nothing of 5 of 40 twins"]


def test_lines_tell_how_often_and_how_soon() -> None:
    told = line(measured(1, 3, None)).split()
    assert told[:9] == ["content", "protocol", "2", "of", "3", "3", "40", "40", "0"]
    assert "> half" in line(measured(1, None, None))


def test_a_table_fails_for_what_it_complains_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Pool:
        """Measures in this process."""

        def __init__(self, jobs: int) -> None: ...
        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *_: object) -> None: ...

        imap = staticmethod(map)

    monkeypatch.setattr(multiprocessing, "get_context", lambda _: type("Context", (), {"Pool": Pool}))
    asked = ["--only", "refcount", "--seeds", "1"]
    monkeypatch.setattr(judges, "measure", lambda job: measured(1))
    assert judges.main(asked) == 0
    monkeypatch.setattr(judges, "measure", lambda job: measured(None))
    assert judges.main(asked) == 1
    assert "missed: content" in capsys.readouterr().out


def test_a_wrong_call_is_refused() -> None:
    for words in (["--seeds", "0"], ["--only", "nobody"]):
        with pytest.raises(SystemExit) as ended:
            judges.main(words)
        assert ended.value.code == 2
