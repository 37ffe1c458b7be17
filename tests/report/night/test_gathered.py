"""The facts of a night: from a store alone, each number what its batches add up to."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest

from mmrace import installed
from mmrace.report.night.facts import Night
from mmrace.report.night.gathered import gather
from mmrace.report.night.page import page_of
from mmrace.report.night.verdict import verdict_of
from mmrace.runtime.errors import UsageError
from mmrace.search.ledger.entry import Batch, Beat, Trial
from mmrace.search.ledger.index import Index
from mmrace.search.ledger.ledger import Ledger
from tests.report.night import stores


def facts(store: Path, *, campaign: str = "", since: float | None = None, now: float = math.inf) -> Night:
    index = Index.read_only(store)
    night = gather(index, store, installed.book_of, campaign=campaign, since=since, now=now)
    index.close()
    return night


def test_the_newest_night_is_told_and_nothing_of_the_one_before(tmp_path: Path) -> None:
    campaign = stores.write(tmp_path)
    night = facts(tmp_path)
    assert [one.name for one in night.campaigns] == [campaign]
    assert night.earlier == 1
    (before,) = night.before
    assert (before.counted.runs, before.counted.failed, before.campaign.verdict) == (16, 5, "FAIL")
    assert (before.found, before.canaries) == (1, 1)
    assert (night.total.runs, night.total.ops) == (40, 36_000)
    assert (night.twins.runs, night.planted.runs) == (4, 4)
    assert [(one.name, one.engine, one.counted.runs) for one in night.programs] == [
        ("async-vs-commit", "free", 32),
        ("drop-vs-commit", "gate", 8),
    ]
    assert (night.since, night.until) == (stores.BEGAN, stores.BEGAN + 16 * 600)


def test_lives_are_as_of_this_night(tmp_path: Path) -> None:
    stores.write(tmp_path)
    old, fresh = sorted(facts(tmp_path).findings, key=lambda one: one.signature, reverse=True)
    assert (old.state, old.tonight, old.of, old.hits) == ("known", 6, 36, 11)
    assert (fresh.state, fresh.tonight, fresh.title) == ("new", 6, "a lost copy")
    assert fresh.rate.low < fresh.rate.value < fresh.rate.high
    assert [(one.hits, one.runs) for one in old.over_time] == [(5, 16), (6, 36)], "a span of a day each"
    assert "planted" not in {one.signature for one in facts(tmp_path).findings}, "a planted bug is no finding"


def test_since_and_campaign_choose_another_night(tmp_path: Path) -> None:
    campaign = stores.write(tmp_path)
    whole = facts(tmp_path, since=0.0)
    assert len(whole.campaigns) == 2
    assert whole.total.runs == 56
    assert {one.signature: one.state for one in whole.findings} == {"old": "new", "fresh": "new"}
    assert facts(tmp_path, campaign=campaign).total.runs == 40
    with pytest.raises(UsageError, match="a campaign of this store"):
        facts(tmp_path, campaign="nobody")


def ahead(store: Path, *, good: bool) -> None:
    """Write two nights, and in the later one a campaign of a machine whose clock is a day ahead."""
    stores.write(store, good=good)
    with Ledger.open(store) as ledger:
        other = stores.Night(ledger, stores.BEGAN + stores.DAY)
        other.batches(stores.sequence("fiber"), [1, 1, 2])
        other.end()


def test_a_clock_that_is_ahead_hides_no_other_campaign_of_the_night(tmp_path: Path) -> None:
    now = stores.BEGAN + stores.HOUR
    for good, word in ((False, "FAIL"), (True, "UNKNOWN")):
        store = tmp_path / word
        ahead(store, good=good)
        assert verdict_of(facts(store)).word == "PASS", "by its own clock it was another night"
        night = facts(store, now=now)
        assert (night.total.runs, len(night.campaigns), night.earlier) == (44, 2, 1)
        verdict = verdict_of(night)
        assert verdict.word == word
        assert verdict.because[-1] == (
            "a clock is ahead: 1 campaign began later than now, and whether it is of this night nobody can tell"
        )


def test_where_all_clocks_are_ahead_it_is_the_own_one_that_is_behind(tmp_path: Path) -> None:
    ahead(tmp_path, good=True)
    assert facts(tmp_path, now=stores.BEGAN - stores.HOUR * 48) == facts(tmp_path)
    assert verdict_of(facts(tmp_path)).word == "PASS"


def test_what_else_the_store_knows_is_told(tmp_path: Path) -> None:
    stores.write(tmp_path)
    night = facts(tmp_path)
    (canary,) = night.canaries
    assert [trial.found_after for trial in (*canary.before, *canary.tonight)] == [9, 4]
    assert night.marks.missed == ("async back-out",)
    assert night.marks.reached == {"ring walked": 44}
    (refused,) = night.refused
    assert (refused.what, refused.reasons, refused.tried) == ("migrations", (("buffer-lock", 44),), 440)
    assert [(one.role, one.engine, one.turns) for one in night.ranges] == [
        ("main", "free", ((0, 32),)),
        ("main", "gate", ((0, 8),)),
        ("canary of async-backout", "free", ((0, 4),)),
        ("twin of async-backout", "free", ((0, 4),)),
    ]
    assert [(one.name, len(one.samples), one.samples[-1].stray) for one in night.workers] == [
        ("worker-1", 6, 0),
        ("worker-2", 6, 1),
    ]
    (campaign,) = night.campaigns
    assert campaign.losses == {"was killed by SIGKILL": 2}
    assert campaign.unplanted == ("rare",)
    assert night.classes is not None
    assert night.classes.exact
    assert night.classes.next_new is not None
    assert sum(moment.runs.get("free", 0) for moment in night.moments) == 32
    assert night.moments[-1].classes == night.classes, "the curve ends where the night does"


@pytest.mark.parametrize("seconds", [40, 700, 5_000, 30_000, 100_000])
def test_a_night_of_even_work_has_no_empty_stretch(seconds: int, tmp_path: Path) -> None:
    of = stores.sequence()
    with Ledger.open(tmp_path) as ledger:
        campaign = ledger.begin(when=stores.BEGAN)
        for turn in range(400):
            when = stores.BEGAN + seconds * turn / 400
            ledger.add(Batch(of.key, turn, turn + 1, when, campaign, stores.sums(1)), of)
    moments = facts(tmp_path).moments
    assert 10 < len(moments) <= 97
    assert {later.when - sooner.when for sooner, later in pairwise(moments)} == {moments[0].seconds}


def test_a_good_night_passes_and_a_bad_one_fails(tmp_path: Path) -> None:
    stores.write(tmp_path / "good", good=True)
    stores.write(tmp_path / "bad")
    assert verdict_of(facts(tmp_path / "good")).word == "PASS"
    assert verdict_of(facts(tmp_path / "bad")).word == "FAIL"


def test_the_same_store_gives_the_same_page_byte_for_byte(tmp_path: Path) -> None:
    stores.write(tmp_path)
    assert page_of(facts(tmp_path), {}) == page_of(facts(tmp_path), {})


def test_an_empty_store_is_unknown(tmp_path: Path) -> None:
    night = facts(tmp_path)
    assert verdict_of(night).word == "UNKNOWN"
    assert "Nothing was checked" in page_of(night, {})


def test_a_finding_has_its_story_from_its_folder(tmp_path: Path) -> None:
    signature = stores.with_folder(tmp_path)
    (finding,) = facts(tmp_path).findings
    assert not finding.story.missing
    assert finding.story.cause
    assert finding.story.picture is not None
    assert signature in finding.story.text
    record = tmp_path / "findings" / signature / "record.jsonl"
    assert finding.commands[0] == f"mmrace replay {record}"
    assert finding.story.cause in page_of(facts(tmp_path), {}).replace("&#39;", "'")


def test_a_folder_that_is_gone_or_damaged_costs_its_story_alone(tmp_path: Path) -> None:
    signature = stores.with_folder(tmp_path)
    folder = tmp_path / "findings" / signature
    record = folder / "record.jsonl"
    record.write_bytes(record.read_bytes()[:300])
    (finding,) = facts(tmp_path).findings
    assert finding.story.missing.startswith("there is no story: ")
    record.unlink()
    assert facts(tmp_path).findings[0].story.missing
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert "is gone, or was never written" in facts(tmp_path).findings[0].story.missing
    assert verdict_of(facts(tmp_path)).word == "FAIL"


def test_a_finding_whose_batch_was_never_written_fails_the_night(tmp_path: Path) -> None:
    campaign = stores.write(tmp_path, good=True)
    with Ledger.open(tmp_path) as ledger:
        ledger.met(stores.met("older", "kept by hand", when=stores.BEGAN + 300))
    assert verdict_of(facts(tmp_path)).word == "PASS", "a folder that no campaign made is of no night"
    with Ledger.open(tmp_path) as ledger:
        ledger.met(stores.met("lost", "a worker died", when=stores.BEGAN + 300, campaign=campaign))
    finding, older = facts(tmp_path).findings
    assert not older.came
    assert finding.noted
    verdict = verdict_of(facts(tmp_path))
    assert verdict.word == "FAIL"
    assert verdict.because == ("new: a worker died [lost] in async-vs-commit",)


def test_whether_a_finding_is_expected_is_as_the_campaigns_of_the_night_have_it(tmp_path: Path) -> None:
    names = []
    for day, known in enumerate(("R14", "", "R14")):
        with Ledger.open(tmp_path) as ledger:
            night = stores.Night(ledger, stores.BEGAN + day * stores.DAY)
            night.batches(stores.sequence(seed=day), [1, 1, 2, 4], hits={"old": 1})
            ledger.met(stores.met("old", "a stranger", known=known, when=night.when, campaign=night.campaign))
            night.end("PASS" if known else "FAIL")
            names.append(night.campaign)
    for name, word, known in zip(names, ("PASS", "FAIL", "PASS"), ("R14", "", "R14"), strict=True):
        night_of = facts(tmp_path, campaign=name)
        (finding,) = night_of.findings
        assert (finding.known, finding.tonight, verdict_of(night_of).word) == (known, 4, word)
    both = facts(tmp_path, since=0.0)
    assert [finding.fails for finding in both.findings] == [True], "it was no expected one in one of them"


def test_a_known_finding_of_a_campaign_that_was_killed_fails_the_night(tmp_path: Path) -> None:
    stores.write(tmp_path)
    began = stores.BEGAN + stores.DAY
    with Ledger.open(tmp_path) as ledger:
        killed = stores.Night(ledger, began)
        ledger.met(stores.met("old", "unlock by a stranger", when=began + 60, campaign=killed.campaign))
    with Ledger.open(tmp_path) as ledger:
        again = stores.Night(ledger, began + stores.HOUR)
        again.batches(stores.sequence(seed=2), [1, 1, 2, 4])
        again.end()
    night = facts(tmp_path)
    assert [one.name for one in night.campaigns] == [killed.campaign, again.campaign]
    assert [(one.signature, one.noted, one.state) for one in night.findings if one.came] == [("old", True, "known")]
    verdict = verdict_of(night)
    assert (verdict.word, verdict.because) == (
        "FAIL",
        ("known of before: unlock by a stranger [old] in async-vs-commit",),
    )
    assert not any(one.noted for one in facts(tmp_path, since=began + 120).findings), "it was met before that"


def test_what_no_clock_and_no_person_writes_costs_nothing_but_itself(tmp_path: Path) -> None:
    campaign = stores.write(tmp_path, good=True)
    with Ledger.open(tmp_path) as ledger:
        ledger.met(stores.met("long", "x" * 3_000_000, when=9e10, campaign=campaign))
        ledger.beat(Beat(campaign, 9e10, {"worker-1": [], "worker-3": [-1, -1, -1, 7]}))
        ledger.trial(Trial(campaign, 0.0, "nothing", found_after=0, cap=0))
    night = facts(tmp_path)
    assert verdict_of(night).word == "FAIL"
    text = page_of(night)
    assert "4821-12-26" in text
    assert len(text) < 500_000


def test_damage_of_the_ledger_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    stores.write(tmp_path, good=True)
    (newest,) = (path for path in (tmp_path / "ledger").glob("*.jsonl") if b"drop-vs-commit" in path.read_bytes())
    lines = newest.read_bytes().splitlines(keepends=True)
    spoiled = next(place for place, line in enumerate(lines) if b'"batch"' in line)
    lines[spoiled] = lines[spoiled].replace(b"batch", b"bitch")
    newest.write_bytes(b"".join(lines) + b"torn")
    night = facts(tmp_path)
    assert night.total.runs < 40
    assert len(night.damage) == 2
    assert newest.name in night.damage[0]
    assert "2 places of the ledger could not be read" in page_of(night, {})


def test_a_campaign_that_was_killed_leaves_no_pass(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        campaign = ledger.begin(command="mmrace stress", when=stores.BEGAN)
        of = stores.sequence()
        ledger.add(Batch(of.key, 0, 8, stores.BEGAN + 60, campaign, stores.sums(8)), of)
    verdict = verdict_of(facts(tmp_path))
    assert verdict.word == "UNKNOWN"
    assert verdict.because == (f"campaign {campaign} has no end in the ledger: it was killed",)
