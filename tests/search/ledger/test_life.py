"""The life of a finding: new, known, unseen since a revision that would have shown it, came back."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace.runs.proof import interval
from mmrace.search.ledger.entry import Met
from mmrace.search.ledger.index import Index
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.life import Life
from mmrace.search.ledger.prune import prune
from mmrace.search.ledger.sums import Sums
from mmrace.search.pool.messages import Role
from tests.search.ledger.made import WHEN, batch, sequence, sums

DAY = 86400.0
ROOM = 20  # bits: turns of a night


class Nights:
    """Campaigns of a store, a day each."""

    def __init__(self, store: Path) -> None:
        self.store, self.number = store, 0

    def night(
        self,
        revision: str,
        runs: int,
        hits: int = 0,
        *,
        known: str = "",
        role: Role = "main",
        more: dict[str, object] | None = None,
    ) -> None:
        """Add a campaign of so many runs (a power of two), of which so many have the finding.  Args: more: its kind."""
        of = sequence(revision=revision, **{"role": role, **(more or {})})  # type: ignore[arg-type]
        when = WHEN + self.number * DAY
        first = self.number << ROOM
        with Ledger.open(self.store) as ledger:
            campaign = ledger.begin(when=when)
            what = sums(runs, hits={"bad": hits} if hits else None, failed=hits)
            ledger.add(batch(of, first, first + runs, when=when + 60, campaign=campaign, what=what), of)
            if hits:
                words = Met("bad", "refcount", "put", "title", known, "writers", role=role)
                words.when, words.campaign = when + 60, campaign
                ledger.met(words)
        self.number += 1

    def life(self) -> Life:
        (life,) = Index.read_only(self.store).lives()
        return life


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    return Nights(tmp_path)


def test_a_finding_of_the_newest_campaign_is_new(nights: Nights) -> None:
    nights.night("r1", 1024)
    nights.night("r1", 1024, hits=8)
    life = nights.life()

    assert (life.state, life.first_revision, life.last_revision) == ("new", "r1", "r1")
    assert (life.hits, life.runs, life.rate) == (8, 2048, 8 / 2048)
    assert (life.low, life.high) == interval(8, 2048)
    assert life.first_when == life.last_when == WHEN + DAY + 60
    assert life.met.title == "title"


def test_a_finding_that_an_earlier_campaign_had_is_known(nights: Nights) -> None:
    nights.night("r1", 1024, hits=8)
    nights.night("r1", 1024, hits=1)
    life = nights.life()

    assert (life.state, life.hits, life.runs) == ("known", 9, 2048)
    assert life.last_when - life.first_when == DAY


def test_a_finding_that_is_written_down_is_known_from_the_first_time(nights: Nights) -> None:
    nights.night("r1", 1024, hits=8, known="scenario expects")

    assert nights.life().state == "known"


def test_a_finding_is_unseen_once_a_later_revision_would_have_shown_it(nights: Nights) -> None:
    nights.night("r1", 1024, hits=8)
    nights.night("r2", 512)
    assert (nights.life().state, nights.life().unseen_runs) == ("known", 512)

    nights.night("r3", 1024)
    life = nights.life()

    assert (life.state, life.unseen_since, life.unseen_runs) == ("unseen", "r2", 1536)
    assert interval(0, 1536)[1] < interval(8, 1024)[0] < interval(0, 512)[1]
    assert (life.last_revision, life.hits, life.runs) == ("r1", 8, 1024)


def test_a_rare_finding_is_not_called_unseen_for_want_of_runs(nights: Nights) -> None:
    nights.night("r1", 1024, hits=1)
    nights.night("r2", 8192)

    assert nights.life().state == "known"


def test_runs_of_its_own_revision_do_not_make_a_finding_unseen(nights: Nights) -> None:
    nights.night("r1", 1024, hits=8)
    nights.night("r1", 65536)
    life = nights.life()

    assert (life.state, life.runs, life.unseen_runs) == ("known", 66560, 0)


def test_a_finding_that_was_unseen_and_is_met_again_came_back(nights: Nights) -> None:
    nights.night("r1", 1024, hits=8)
    nights.night("r2", 4096)
    nights.night("r3", 1024, hits=2)
    assert nights.life().state == "came-back"

    nights.night("r4", 65536)

    assert (nights.life().state, nights.life().unseen_since) == ("unseen", "r4")


def test_a_finding_that_was_quiet_for_too_few_runs_did_not_come_back(nights: Nights) -> None:
    nights.night("r1", 1024, hits=8)
    nights.night("r2", 256)
    nights.night("r3", 1024, hits=2)
    life = nights.life()

    assert (life.state, life.hits, life.runs) == ("known", 10, 2304)


@pytest.mark.parametrize(
    "more", [{"engine": "free"}, {"without": ("refcount",)}, {"workload": "w"}, {"params": (("a", 1),)}]
)
def test_runs_that_could_not_have_shown_a_finding_do_not_make_it_unseen(
    nights: Nights, more: dict[str, object]
) -> None:
    nights.night("r1", 64, hits=20)
    nights.night("r2", 1024, more=more)
    life = nights.life()
    assert (life.state, life.unseen_runs, life.runs, life.rate) == ("known", 0, 64, 20 / 64)

    nights.night("r3", 1024)

    assert (nights.life().state, nights.life().unseen_since) == ("unseen", "r3")


def test_a_run_that_takes_several_workers_with_it_has_a_rate_of_one(tmp_path: Path) -> None:
    of = sequence()
    what = Sums(1, 10, 0.1, given_up=1, hits={"bad": 5})
    with Ledger.open(tmp_path) as ledger:
        ledger.add(batch(of, 0, 2, what=what), of)
    (life,) = Index.read_only(tmp_path).lives()

    assert (life.hits, life.runs, life.rate, life.high) == (5, 2, 1.0, 1.0)


def test_a_finding_is_known_as_its_newest_words_say(nights: Nights) -> None:
    nights.night("r1", 1024, hits=8, known="expected")
    assert nights.life().met.known == "expected"
    nights.night("r2", 1024, hits=8)
    life = nights.life()

    assert (life.met.known, life.met.when) == ("", WHEN + 60)
    first, second = (row.campaign for row in Index.read_only(nights.store).campaigns())
    index = Index.read_only(nights.store)
    assert [met.known for name in (first, second) for met in index.mets(name)] == ["expected", ""]
    assert index.mets(second)[0].when == WHEN + DAY + 60
    prune(nights.store, keep=9)
    assert Index.read_only(nights.store).mets(second) == index.mets(second)
    assert nights.life().met == life.met == Index.read_only(nights.store).mets()[0]


def test_what_caught_a_planted_bug_has_no_life(nights: Nights) -> None:
    nights.night("r1", 1024, hits=8, role="canary")

    assert Index.read_only(nights.store).lives() == []


def test_a_finding_whose_words_are_lost_is_told_all_the_same(nights: Nights, tmp_path: Path) -> None:
    of = sequence()
    with Ledger.open(tmp_path) as ledger:
        ledger.add(batch(of, 0, 8, what=sums(8, hits={"bad": 2})), of)
    life = nights.life()

    assert (life.signature, life.met.program, life.met.title, life.hits) == ("bad", "writers", "", 2)


def test_programs_with_the_same_finding_have_a_life_each(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        campaign = ledger.begin(when=WHEN)
        for program, hits in (("writers", 1), ("readers", 4)):
            of = sequence(program)
            what = sums(8, hits={"bad": hits})
            ledger.add(batch(of, 0, 8, campaign=campaign, what=what), of)
            ledger.met(Met("bad", program=program, when=WHEN, campaign=campaign))
    lives = Index.read_only(tmp_path).lives()

    assert sorted((life.met.program, life.hits, life.runs) for life in lives) == [("readers", 4, 8), ("writers", 1, 8)]
