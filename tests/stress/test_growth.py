"""Growth by Theil and Sen: of a line its slope, of noise none, and no step or peak makes one."""

from __future__ import annotations

import random
from statistics import median

import pytest

from stress.growth import BINS_MAX, HOUR_SECONDS, binned, slope

LEAK = 10.0  # per hour


def row(leak: float, noise: float, count: int = 2000, seed: int = 1) -> list[tuple[float, float]]:
    draw = random.Random(seed)
    return [(5.0 * i, 50.0 + leak * 5.0 * i / HOUR_SECONDS + draw.gauss(0.0, noise)) for i in range(count)]


@pytest.mark.parametrize("leak", [-LEAK, 0.0, LEAK])
def test_the_slope_of_a_line_is_found_whatever_lies_around_it(leak: float) -> None:
    found = slope(row(leak, noise=2.0))
    assert found is not None
    assert found.low < leak < found.high  # one seed: the same each time
    assert found.per_hour == pytest.approx(leak, abs=0.5)
    assert (found.low > 1.0, found.high < -1.0) == (leak > 0, leak < 0)


def test_peaks_and_one_step_at_the_begin_are_no_growth() -> None:
    samples = [(when, value + 500.0 * (i % 100 == 0) - 30.0 * (i < 100)) for i, (when, value) in enumerate(row(0, 0.1))]
    found = slope(samples)
    assert found is not None
    assert abs(found.per_hour) < 0.1


def test_of_fewer_than_three_samples_there_is_no_slope() -> None:
    assert slope([(0.0, 1.0), (5.0, 2.0)]) is None
    assert slope([(0.0, 1.0)] * 3) is None


def test_bins_are_medians_in_order_and_a_gap_has_none() -> None:
    samples = [(float(i), float(i % 7)) for i in range(1000) if not 300 < i < 600]
    points = binned(samples)
    assert len(points) < BINS_MAX and [when for when, _ in points] == sorted(when for when, _ in points)
    assert points[0][1] == median(value for when, value in samples if when < 999 / BINS_MAX)
    assert binned(samples[:10]) == samples[:10]
