"""Means, ratios, differences, ranks: by hand, against other libraries, and whether intervals hold."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from simbench import ids
from simbench.score import statistics as s


def generator(name="test"):
    return ids.generator(ids.stream_bytes(ids.OPEN_MASTER, "statistics", 1, name))


def test_few_worlds_have_t_intervals():
    told = s.mean_interval([1.0, 2.0, 3.0, np.nan])
    assert (told.value, told.n) == (2.0, 3)
    assert told.high - 2 == pytest.approx(4.302652729749 / np.sqrt(3))
    assert np.isnan(s.mean_interval([1.0]).low) and s.mean_interval([1.0]).value == 1 and s.mean_interval([]).n == 0


@pytest.mark.parametrize("n", [4, 12, 20, 60])
@pytest.mark.parametrize("kind", ["normal", "skewed"])
def test_intervals_of_means_hold(n, kind):
    rng = np.random.default_rng(n)
    held = []
    for _ in range(500):
        x = rng.standard_normal(n) if kind == "normal" else rng.exponential(1.0, n) - 1
        told = s.mean_interval(x)
        held.append(told.low <= 0 <= told.high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03 if kind == "normal" else 0.09)


def test_a_bootstrap_of_a_mean_is_as_wide_as_its_t_interval():
    x = np.random.default_rng(0).standard_normal(40)
    told = s.mean_interval(x, generator=generator())
    half = scipy.stats.t.ppf(0.975, 39) * x.std(ddof=1) / np.sqrt(40)
    assert told.high - told.low == pytest.approx(2 * half, rel=0.06)


def test_the_same_numbers_every_time():
    x = np.random.default_rng(0).standard_normal(30)
    assert s.mean_interval(x) == s.mean_interval(x)
    assert s.mean_interval(x) != s.mean_interval(x, generator=generator("other"))


def test_many_series_are_each_one_of_them():
    x = np.random.default_rng(0).standard_normal((3, 12))
    x[1, 4:] = np.nan
    x[2] = np.nan
    value, low, _, n = s.mean_intervals(x)
    assert list(n) == [12, 4, 0] and np.isnan(value[2])
    for i in (0, 1):
        assert (value[i], low[i]) == pytest.approx(s.mean_interval(x[i])[:2])


def test_resamples_add_up_and_are_joint():
    counts = s.resample(7, generator(), 500)
    np.testing.assert_array_equal(counts.sum(axis=1), 7)
    values = np.random.default_rng(0).standard_normal((2, 3, 7))
    values[1] = values[0] + 1
    values[0, 0, 2] = np.nan
    means = s.weighted_means(values, counts)
    assert means.shape == (500, 2, 3)
    # the same worlds for both: their difference does not vary where both have all worlds
    np.testing.assert_allclose(means[:, 1, 1:] - means[:, 0, 1:], 1)
    b = 17
    expected = np.repeat(values[0, 0], counts[b].astype(int))
    assert means[b, 0, 0] == pytest.approx(np.nanmean(expected))


def test_ratios_are_ratios_of_sums_and_leave_out_worlds_without_gain():
    told = s.ratio_interval([0.1, 0.3, 5.0], [0.2, 0.4, 0.001])
    assert told.value == pytest.approx(0.4 / 0.6) and told.n == 2


@pytest.mark.parametrize("n", [10, 30])
def test_intervals_of_ratios_hold(n):
    rng = np.random.default_rng(2)
    held = []
    for _ in range(400):
        gain = rng.lognormal(0, 0.5, n)
        told = s.ratio_interval(gain * rng.uniform(0, 1, n), gain)
        held.append(told.low <= 0.5 <= told.high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.035)


def test_pairs_see_what_two_intervals_do_not():
    rng = np.random.default_rng(3)
    world = 10 * rng.standard_normal(15)
    a, b = world + 1 + 0.1 * rng.standard_normal(15), world
    told = s.paired(a, np.where(np.arange(15) < 12, b, np.nan))
    assert told.n == 12 and told.low > 0.8 and told.high < 1.2
    assert s.mean_interval(a).low < s.mean_interval(b).value


def test_the_smallest_difference_of_a_pair_is_by_hand():
    told = s.paired([1.0, 2.0, 4.0], [0.0, 0.0, 0.0])
    error = np.std([1, 2, 4], ddof=1) / np.sqrt(3)
    assert told.smallest == pytest.approx((4.302652729749 + scipy.stats.t.ppf(0.8, 2)) * error)


def test_the_smallest_difference_is_seen_in_four_of_five_runs():
    rng = np.random.default_rng(4)
    smallest = s.smallest_differences(rng.standard_normal((2000, 16))).mean()
    seen = []
    for _ in range(1500):
        told = s.mean_interval(smallest + rng.standard_normal(16))
        seen.append(told.low > 0)
    assert np.mean(seen) == pytest.approx(0.8, abs=0.03)


def test_proportions_are_exact():
    expected = scipy.stats.binomtest(7, 20).proportion_ci(0.95, "exact")
    told = s.proportion_interval(7, 20)
    assert (told.low, told.high) == pytest.approx((expected.low, expected.high))
    assert s.coverage_interval([1.0] * 8).low == pytest.approx(0.025 ** (1 / 8))
    assert s.coverage_interval([0.0] * 8).high == pytest.approx(1 - 0.025 ** (1 / 8))
    some = s.coverage_interval([1.0, 1.0, 0.8])
    assert some.high == 1.0 and some.low < 0.8


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_ranks_share_ties(values):
    np.testing.assert_allclose(s.ranks(np.array(values, float)), scipy.stats.rankdata(values))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=9))
def test_tau_is_tau_b(pairs):
    x, y = np.array(pairs, float).T
    found, expected = float(s.kendall(x, y)), scipy.stats.kendalltau(x, y).statistic
    assert (np.isnan(found) and np.isnan(expected)) or found == pytest.approx(expected)


def test_rank_intervals_of_a_clear_and_an_open_race():
    rng = np.random.default_rng(5)
    counts = s.resample(40, generator(), 800)
    noise = rng.standard_normal(40)
    values = np.stack([noise, noise + 0.01, rng.standard_normal(40) + 5, rng.standard_normal(40) + 5])
    low, high = s.rank_interval(s.weighted_means(values, counts))
    np.testing.assert_array_equal(low[:2], [1, 2])  # a hundredth behind in every world: never in doubt
    np.testing.assert_array_equal(high[:2], [1, 2])
    assert list(low[2:]) == [3, 3] and list(high[2:]) == [4, 4]


@given(st.integers(1, 12), st.integers(0, 999))
def test_weighted_medians_are_medians_of_what_was_drawn(n, seed):
    rng = np.random.default_rng(seed)
    values, counts = rng.standard_normal(n), rng.integers(0, 3, (4, n)).astype(float)
    for b, found in enumerate(s.weighted_median(values, counts)):
        drawn = np.sort(np.repeat(values, counts[b].astype(int)))
        assert np.isnan(found) if not len(drawn) else found == drawn[(len(drawn) - 1) // 2]
