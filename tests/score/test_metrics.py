"""Scores against brute force and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simbench.score.metrics import calibration, enough_draws, fair_crps, interval
from simbench.score.statistics import mean_interval, ratio_interval


@given(st.integers(2, 12), st.integers(0, 99))
def test_fair_crps_is_its_double_sum(count, seed):
    rng = np.random.default_rng(seed)
    draws, observed = rng.standard_normal((count, 3)), rng.standard_normal(3)
    pairs = np.abs(draws[:, None] - draws[None]).sum(axis=(0, 1)) / (2 * count * (count - 1))
    np.testing.assert_allclose(fair_crps(draws, observed), np.abs(draws - observed).mean(axis=0) - pairs, atol=1e-12)


def test_fair_crps_of_a_point_is_its_distance():
    np.testing.assert_array_equal(fair_crps(np.array([[1.0, 2.0]]), np.array([0.0, 5.0])), [1.0, 3.0])
    np.testing.assert_allclose(fair_crps(np.full((7, 1), 2.0), np.array([5.0])), [3.0])


def test_fair_crps_does_not_depend_on_the_number_of_draws():
    rng = np.random.default_rng(0)
    few, many = (
        np.mean([fair_crps(rng.standard_normal((n, 1)), np.zeros(1)) for _ in range(20000 // n)]) for n in (2, 50)
    )
    exact = (np.sqrt(2) - 1) / np.sqrt(np.pi)
    assert few == pytest.approx(exact, abs=0.02) and many == pytest.approx(exact, abs=0.02)


def test_intervals_hold_what_they_promise():
    """Weibull quantiles of 39 draws hold a further draw in exactly 90% of cases."""
    rng = np.random.default_rng(1)
    draws, truth = rng.standard_normal((39, 40000)), rng.standard_normal(40000)
    low, high = interval(draws, 0.9)
    assert ((truth >= low) & (truth <= high)).mean() == pytest.approx(0.9, abs=0.006)


def test_levels_need_enough_draws():
    assert enough_draws(19, 0.9) and not enough_draws(18, 0.9)
    assert enough_draws(199, 0.99) and not enough_draws(198, 0.99)
    assert calibration(np.zeros((1, 2)), np.zeros(2))[0].status == "no uncertainty"
    assert calibration(np.zeros((18, 2)), np.zeros(2))[0].status == "not enough draws"


def test_interval_score_by_hand():
    draws = np.tile(np.linspace(0, 10, 199)[:, None], (1, 2))
    rows = {row.metric: row.value for row in calibration(draws, np.array([5.0, 12.0]))}
    low, high = interval(draws, 0.9)
    assert rows["coverage 90%"] == 0.5
    assert rows["interval score 90%"] == pytest.approx((2 * (high - low)[0] + 20 * (12 - high[1])) / 17)


def test_means_come_with_t_intervals():
    estimate = mean_interval([1.0, 2.0, 3.0, np.nan])
    assert (estimate.value, estimate.n) == (2.0, 3)
    assert estimate.high - 2 == pytest.approx(4.302652729749 / np.sqrt(3))
    assert np.isnan(mean_interval([1.0]).low) and mean_interval([]).n == 0


def test_ratios_are_ratios_of_sums_and_leave_out_problems_without_gain():
    estimate = ratio_interval([0.1, 0.3, 5.0], [0.2, 0.4, 0.001])
    assert estimate.value == pytest.approx(0.4 / 0.6) and estimate.n == 2


def test_ratio_intervals_cover():
    rng = np.random.default_rng(2)
    hits = []
    for _ in range(1500):
        gain = rng.lognormal(0, 0.5, 25)
        estimate = ratio_interval(gain * rng.uniform(0, 1, 25), gain)
        hits.append(estimate.low <= 0.5 <= estimate.high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.025)
