"""Draws: their centre, their intervals and their distance to what came."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules
from hypothesis import given, settings
from hypothesis import strategies as st

from simbench.score import draws as d

counts, seeds = st.integers(2, 12), st.integers(0, 9999)


def of(values):
    return d.draws_of(np.asarray(values, dtype=float)[None])


@given(counts, seeds)
def test_fair_crps_is_its_double_sum(count, seed):
    rng = np.random.default_rng(seed)
    values, observed = rng.standard_normal((3, count)), rng.standard_normal(3)
    found = d.fair_crps(np.sort(values, axis=-1), observed)
    for row in range(3):
        pairs = sum(abs(a - b) for a in values[row] for b in values[row]) / (2 * count * (count - 1))
        assert found[row] == pytest.approx(np.mean([abs(a - observed[row]) for a in values[row]]) - pairs, abs=1e-12)
    np.testing.assert_allclose(found, scoringrules.crps_ensemble(observed, values, estimator="fair"), atol=1e-12)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(1, 9))
def test_crps_of_a_point_mass_is_its_distance(x, y, count):
    np.testing.assert_allclose(d.fair_crps(np.full((1, count), x), np.array([y])), [abs(x - y)], atol=1e-9)


def test_crps_does_not_depend_on_the_number_of_draws():
    rng = np.random.default_rng(0)
    exact = (np.sqrt(2) - 1) / np.sqrt(np.pi)
    for count in (2, 50):
        draws = np.sort(rng.standard_normal((40000 // count * 5, count)), axis=-1)
        assert d.fair_crps(draws, np.zeros(len(draws))).mean() == pytest.approx(exact, abs=0.012)


@settings(deadline=None)
@given(counts, seeds)
def test_energy_score_is_that_of_the_reference_library(count, seed):
    rng = np.random.default_rng(seed)
    draws, observed = rng.standard_normal((2, count, 3)), rng.standard_normal((2, 3))
    expected = scoringrules.es_ensemble(observed, draws, estimator="fair")
    np.testing.assert_allclose(d.energy_score(draws, observed), expected, atol=1e-12)


def test_energy_score_of_one_quantity_is_its_crps_and_few_draws_are_enough():
    rng = np.random.default_rng(1)
    draws, observed = rng.standard_normal((500, 64, 1)), rng.standard_normal((500, 1))
    crps = d.fair_crps(np.sort(draws[..., 0], axis=1), observed[:, 0])
    np.testing.assert_allclose(d.energy_score(draws, observed), crps, atol=1e-12)
    many = rng.standard_normal((1000, 500, 2))
    target = rng.standard_normal((1000, 2))
    whole = scoringrules.es_ensemble(target[:50], many[:50], estimator="fair")
    np.testing.assert_allclose(d.energy_score(many[:50], target[:50]), whole, atol=0.4)
    assert d.energy_score(many, target).mean() == pytest.approx(np.sqrt(np.pi) / 2, abs=0.04)  # E|x - z| / 2


@given(st.integers(2, 40), st.floats(0.01, 0.99), seeds)
def test_quantiles_of_draws_are_weibull(count, p, seed):
    values = np.random.default_rng(seed).standard_normal((count, 2))
    expected = np.quantile(values, p, axis=0, method="weibull")
    np.testing.assert_allclose(d.quantile(of(values), p)[0], expected, atol=1e-12)
    np.testing.assert_allclose(d.median(of(values))[0], np.median(values, axis=0), atol=1e-12)


@given(st.floats(0.03, 0.97), seeds)
def test_quantiles_of_quantiles_are_linear_between_levels(p, seed):
    rng = np.random.default_rng(seed)
    levels = np.sort(rng.uniform(0.02, 0.98, (2, 7)), axis=1)
    values = np.sort(rng.standard_normal((2, 7, 3)), axis=1)
    found = d.quantile(d.draws_of(values, levels), p)
    for r in range(2):
        for c in range(3):
            assert found[r, c] == pytest.approx(np.interp(p, levels[r], values[r, :, c]), abs=1e-4)


@given(st.integers(2, 9), seeds)
def test_medians_are_over_the_draws_that_are_numbers(count, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((count, 3))
    values[rng.random((count, 3)) < 0.3] = np.nan
    values[:, 0] = np.nan
    found = d.median(of(values))[0]
    assert np.isnan(found[0])
    for c in (1, 2):
        own = values[~np.isnan(values[:, c]), c]
        assert np.isnan(found[c]) if not len(own) else found[c] == pytest.approx(np.median(own))


def test_intervals_of_exact_draws_hold_what_they_promise():
    """Weibull quantiles of 39 draws hold a further draw in exactly 90% of cases."""
    rng = np.random.default_rng(1)
    draws, truth = d.draws_of(rng.standard_normal((40000, 39))), rng.standard_normal(40000)
    for level in (0.5, 0.8, 0.9):
        low, high = d.interval(draws, level)
        assert ((truth >= low) & (truth <= high)).mean() == pytest.approx(level, abs=0.008)


@given(st.floats(0.1, 100), st.floats(-50, 50), seeds)
def test_scores_scale_with_units_and_do_not_move_with_the_origin(scale, shift, seed):
    rng = np.random.default_rng(seed)
    draws, observed = np.sort(rng.standard_normal((4, 39)), axis=1), rng.standard_normal(4)
    moved, target = scale * draws + shift, scale * observed + shift
    np.testing.assert_allclose(d.fair_crps(moved, target), scale * d.fair_crps(draws, observed), atol=1e-9 * scale)
    before, after = (
        d.interval_score(*d.interval(d.Draws(x, None), 0.9), z, 0.9) for x, z in ((draws, observed), (moved, target))
    )
    np.testing.assert_allclose(after, scale * before, rtol=1e-7, atol=1e-7)


def test_levels_need_enough_draws_or_quantiles():
    def status(count, level):
        return int(d.enough(of(np.arange(float(count))), level)[0])

    assert [status(n, 0.9) for n in (1, 18, 19)] == [3, 4, 0]
    assert [status(n, 0.99) for n in (198, 199)] == [4, 0]
    levels = np.array([[0.05, 0.5, 0.95]], dtype=np.float32)
    asked = d.draws_of(np.arange(3.0)[None], levels)
    assert int(d.enough(asked, 0.9)[0]) == 0 and int(d.enough(asked, 0.99)[0]) == 4
