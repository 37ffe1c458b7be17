"""Feedback: what a run showed, whose draws are mutated how, and that it pays."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from mmrace import runtime as rt
from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import NOTE, SHIFT, Kind
from mmrace.strategies import feedback
from mmrace.strategies.feedback import CHILDREN, MUTATIONS, Corpus, Parent, Shown, fingerprint, grow, stream
from tests.strategies.programs import Program, R, W, cells, order_of, play, run, sampler

# -- fingerprints ---------------------------------------------------------------------------------------------------

Event = tuple[object, ...]


def event(task: int, lane: int, kind: Kind = Kind.READ) -> Event:
    """Make an event of a run."""
    return (task, lane << SHIFT | kind, None, None)


def test_a_lane_of_one_task_shows_nothing() -> None:
    assert fingerprint([event(0, 1), event(0, 1), event(1, 2)]) == frozenset()


def test_repeated_handoffs_show_nothing_more() -> None:
    once = [event(0, 1), event(1, 1), event(0, 1)]
    assert fingerprint(once) == fingerprint([*once, *once, *once[1:]])


def test_the_direction_of_a_handoff_matters() -> None:
    there, back = [event(0, 1), event(1, 1)], [event(1, 1), event(0, 1)]
    shown = {fingerprint(events) for events in (there, back, [*there, *back])}
    assert len(shown) == 3 and all(map(len, shown))


def test_lanes_are_told_apart_and_do_not_disturb_each_other() -> None:
    both = [event(0, 1), event(0, 2), event(1, 2), event(1, 1)]
    one, other = fingerprint([both[0], both[3]]), fingerprint(both[1:3])
    assert one != other
    assert fingerprint(both) == one | other


def test_notes_are_no_accesses() -> None:
    events: list[Event] = [event(0, 1), (2, NOTE, "note", ()), event(1, 1)]
    assert fingerprint(events) == fingerprint([events[0], events[2]])


def test_names_make_fingerprints_independent_of_ids() -> None:
    one = fingerprint([event(1, 1), event(2, 1)], ["main", "a", "b"])
    other = fingerprint([event(2, 1), event(1, 1)], ["main", "b", "a"])
    assert one == other
    assert fingerprint([event(1, 7), event(2, 7)], ["main", "a", "b"], lambda lane: "1") == one


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    # Python's own hash of a text is not; a corpus is kept and handed to workers
    assert fingerprint([event(0, 1), event(1, 1)]) == {"3e824ddcb4ac94d5"}


# -- streams --------------------------------------------------------------------------------------------------------

DRAWS = tuple(random.Random("parent").random() for _ in range(200))
ONE = Corpus((Parent(DRAWS, frozenset({"a"})),), frozenset({"a"}), 0)
TAIL = 50


def draws_of(seed: object, index: int, corpus: Corpus, n: int = len(DRAWS) + TAIL) -> list[float]:
    """Return the first draws of a stream."""
    tape = stream(seed, index, corpus)
    values = [tape() for _ in range(n)]
    assert values == tape.drawn
    return values


def test_a_stream_is_a_function_of_seed_index_and_corpus() -> None:
    for corpus in (Corpus(), ONE):
        assert draws_of(1, 2, corpus) == draws_of(1, 2, corpus)
        assert draws_of(1, 2, corpus) != draws_of(1, 3, corpus) != draws_of(2, 3, corpus)


def test_an_empty_corpus_gives_fresh_draws() -> None:
    values = [value for index in range(20) for value in draws_of(1, index, Corpus())]
    assert len(set(values)) == len(values)
    assert all(0 <= value < 1 for value in values)


def test_a_child_differs_from_its_parent_in_few_draws_and_goes_on_with_fresh_ones() -> None:
    tails = set()
    for index in range(100):
        values = draws_of(1, index, ONE)
        changed = [i for i, draw in enumerate(DRAWS) if values[i] != draw]
        assert 1 <= len(changed) <= MUTATIONS
        tails.add(tuple(values[len(DRAWS) :]))
    assert len(tails) == 100


def test_a_child_plays_its_parent_up_to_the_first_changed_draw() -> None:
    made, plan = sampler("random"), ((W(),) * 20, (R(),) * 20)
    first = stream(1, 0, Corpus())
    parent = order_of(run(play(plan), made.strategy(first, None)))
    corpus = grow(Corpus(), [Shown(tuple(first.drawn), frozenset({"new"}))])
    lengths = []
    for index in range(1, 1 + CHILDREN):
        tape = stream(1, index, corpus)
        child = order_of(run(play(plan), made.strategy(tape, None)))
        same = next(i for i, (a, b) in enumerate(zip(tape.drawn, first.drawn, strict=False)) if a != b)
        assert child[:same] == parent[:same]  # a random walk of two tasks draws once for each op
        lengths.append(same)
    assert max(lengths) >= 10


def test_mutations_fall_anywhere() -> None:
    places: Counter[int] = Counter()
    for index in range(400):
        values = draws_of(1, index, ONE, len(DRAWS))
        places.update(10 * i // len(DRAWS) for i, draw in enumerate(DRAWS) if values[i] != draw)
    assert set(places) == set(range(10))
    assert max(places.values()) < 2 * min(places.values())


# -- growing --------------------------------------------------------------------------------------------------------


def result(*coverage: str) -> Shown:
    """Make what a run showed; the draws differ with it."""
    return Shown(tuple(map(float, map(len, coverage))), frozenset(coverage))


def test_a_run_is_kept_if_it_showed_something_new() -> None:
    first = grow(Corpus(), [result("a"), result("a"), result("a", "bb"), result()])
    assert [parent.new for parent in first.parents] == [{"a"}, {"bb"}]
    assert first.seen == {"a", "bb"} and first.start == 4
    second = grow(first, [result("bb"), result("ccc", "a")])
    assert [parent.new for parent in second.parents] == [{"a"}, {"bb"}, {"ccc"}]
    assert second.start == 6


def test_each_parent_has_its_children_in_a_row_and_who_had_fewest_comes_next() -> None:
    corpus = grow(Corpus(), [result("a"), result("bb"), result("ccc")])
    turns = [corpus.parent_of(corpus.start + i) for i in range(4 * CHILDREN)]
    assert turns == [*[2] * CHILDREN, *[1] * CHILDREN, *[0] * CHILDREN, *[2] * CHILDREN]
    after = grow(corpus, [result() for _ in range(CHILDREN)])
    assert [parent.children for parent in after.parents] == [0, 0, CHILDREN]
    assert after.parent_of(after.start) == 1


def test_a_corpus_is_bounded_and_forgets_no_coverage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "PARENTS_MAX", 5)
    corpus = Corpus()
    for generation in range(4):
        corpus = grow(corpus, [result(f"{generation}/{i}") for i in range(4)])
    assert len(corpus.parents) == 5 and len(corpus.seen) == 16
    assert {"3/0", "3/1", "3/2", "3/3"} <= {name for parent in corpus.parents for name in parent.new}


def test_a_corpus_survives_json_with_its_digest() -> None:
    corpus = grow(ONE, [Shown(DRAWS[:7], frozenset({"x", "y"})), result("a")])
    again = Corpus.from_json(json.loads(json.dumps(corpus.to_json())))
    assert again == corpus and again.digest == corpus.digest
    assert draws_of(1, 5, again) == draws_of(1, 5, corpus)


def test_the_digest_tells_corpora_apart() -> None:
    made = [Corpus(), ONE, grow(ONE, []), grow(ONE, [result()]), grow(ONE, [result("b")])]
    assert len({corpus.digest for corpus in made}) == 4  # nothing grown is nothing changed
    assert all(len(corpus.digest) == 64 for corpus in made)


def test_what_is_no_corpus_is_refused() -> None:
    with pytest.raises(UsageError, match="corpus"):
        Corpus.from_json({"parents": [{"draws": ["x"]}]})


# -- searching ------------------------------------------------------------------------------------------------------

GENERATION = 64
CHAIN = 5
SEEDS = range(6)
RUNS_MAX = 1500


def chain(n: int, hit: list[int]) -> Program:
    """t0 passes stage i only if t1 writes between its write and its read of cell i: each opens the next.

    A random walk passes a stage with chance 1/8 (1/4 for the last): by chance alone all five take about 16,000 runs.
    """

    def main() -> None:
        words = cells().words

        def first() -> None:
            for i in range(n):
                words.write(i, 1)
                if words.read(i) != 2:
                    return
            hit.append(1)

        def second() -> None:
            for i in range(n):
                words.write(i, 2)

        rt.spawn(first, name="t0")
        rt.spawn(second, name="t1")

    return main


def generation(text: str, seed: int, corpus: Corpus, indices: list[int], hit: list[int]) -> dict[int, Shown]:
    """Make some schedules of a generation, in the order given, as one worker would."""
    made, main = sampler(text), chain(CHAIN, hit)
    results = {}
    for index in indices:
        tape = stream(seed, index, corpus)
        engine = run(main, made.strategy(tape, None))
        names = [task.name for task in engine.tasks]
        results[index] = Shown(tuple(tape.drawn), fingerprint(engine.events, names))
    return results


def runs_needed(text: str, seed: int, learning: bool) -> int:
    """Return the runs until the chain was passed, to whole generations; RUNS_MAX if it never was."""
    corpus, hit = Corpus(), list[int]()
    while corpus.start < RUNS_MAX and not hit:
        indices = list(range(corpus.start, corpus.start + GENERATION))
        results = generation(text, seed, corpus, indices, hit)
        grown = grow(corpus, results.values())
        corpus = grown if learning else Corpus(start=grown.start)
    return min(corpus.start, RUNS_MAX)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["random", "pos"])
def test_feedback_passes_a_chain_of_rare_orders_sooner_than_its_bare_sampler(text: str) -> None:
    learned = [runs_needed(text, seed, True) for seed in SEEDS]
    bare = [runs_needed(text, seed, False) for seed in SEEDS]
    assert max(learned) < RUNS_MAX
    assert 2 * sum(learned) < sum(bare)


def test_the_number_of_workers_changes_nothing() -> None:
    """Three generations: by one worker, and by three that finish in any order."""

    def corpora(workers: int) -> list[str]:
        corpus, digests = Corpus(), []
        for _ in range(3):
            indices = list(range(corpus.start, corpus.start + GENERATION))
            results: dict[int, Shown] = {}
            for worker in reversed(range(workers)):
                results |= generation("pos", 1, corpus, indices[worker::workers], [])
            corpus = grow(corpus, [results[index] for index in indices])
            digests.append(corpus.digest)
        return digests

    assert corpora(1) == corpora(3)
