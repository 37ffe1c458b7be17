"""Epochs: sets of them say of every two tasks what vector clocks say."""

from __future__ import annotations

import random

import pytest

from mmrace.oracles.general.epochs import Epochs

TASKS = 5


def test_what_ended_is_over_for_who_hears_of_it_and_what_comes_next_is_not() -> None:
    epochs = Epochs(2)
    first = epochs.own[0]
    epochs.over[1] |= epochs.ends(0)
    assert epochs.over[1] >> first & 1
    assert not epochs.over[1] >> epochs.own[0] & 1
    assert not epochs.over[0] >> epochs.own[1] & 1


def test_what_a_task_did_so_far_takes_its_present_epoch_along() -> None:
    epochs = Epochs(2)
    epochs.ends(0)
    epochs.over[1] |= epochs.so_far(0)
    assert epochs.over[1] >> epochs.own[0] & 1


@pytest.mark.parametrize("seed", range(20))
def test_epochs_agree_with_vector_clocks(seed: int) -> None:
    draw = random.Random(seed)
    epochs = Epochs(TASKS)
    clocks = [[int(i == task) for i in range(TASKS)] for task in range(TASKS)]  # own entry: the time that goes on
    seen = [(task, epochs.own[task], 1) for task in range(TASKS)]  # task, its epoch, its time
    told = [(epochs.so_far(0), list(clocks[0]))]
    for _ in range(200):
        task = draw.randrange(TASKS)
        if draw.random() < 0.5:
            told.append((epochs.ends(task), list(clocks[task])))
            clocks[task][task] += 1
            seen.append((task, epochs.own[task], clocks[task][task]))
        else:
            over, clock = draw.choice(told)
            epochs.over[task] |= over
            mine = clocks[task][task]
            clocks[task] = [max(pair) for pair in zip(clocks[task], clock, strict=True)]
            clocks[task][task] = mine
    for task, epoch, time in seen:
        for other in range(TASKS):
            if other != task:
                assert bool(epochs.over[other] >> epoch & 1) == (time <= clocks[other][task])
