"""What rules believe: by hand."""

from __future__ import annotations

import numpy as np
import pytest
from decide.sights import brief_of, steady

from simbench.decide.beliefs import by_claims, by_model
from simbench.records import Answers


def test_claims_count_up_to_the_last_report():
    """Channel 0 claims 30 a week of 10 spent and reports two weeks late, 1 is off in between, 2 claims nothing."""
    spend, claims = steady([10.0, 20.0, 5.0], 60), steady([30.0, 10.0, 0.0], 60)
    claims[58:, 0] = 0
    spend[20:40, 1] = claims[20:40, 1] = 0
    spend[59, 1] = claims[59, 1] = 0
    returns, weekly = by_claims(brief_of(spend, claims=claims, value=2.0, prior=1.5))
    np.testing.assert_allclose(returns, [6.0, 1.0, 1.5])
    np.testing.assert_allclose(weekly[:58, 0], 6.0)
    assert np.isnan(weekly[58:, 0]).all() and np.isnan(weekly[20:40, 1]).all() and np.isnan(weekly[:, 2]).all()
    np.testing.assert_allclose(weekly[40:59, 1], 1.0)


def test_without_claims_the_analyst_believes_what_was_told():
    returns, weekly = by_claims(brief_of(steady([10.0, 0.0]), prior=1.3))
    np.testing.assert_allclose(returns, 1.3)
    assert weekly.shape == (104, 2) and np.isnan(weekly).all()


def test_weeks_beyond_the_origin_say_nothing():
    spend, claims = steady([10.0], 60), steady([30.0], 60)
    spend[50:], claims[50:] = np.nan, 1e6
    returns, weekly = by_claims(brief_of(spend, claims=claims, hidden=10))
    np.testing.assert_allclose(returns, 6.0)
    assert len(weekly) == 60 and np.isnan(weekly[50:]).all()


def test_geos_are_summed():
    spend = np.tile([[10.0], [30.0]], (60, 1, 1))
    returns, weekly = by_claims(brief_of(spend, claims=steady([20.0], 60), value=2.0))
    np.testing.assert_allclose(returns, 1.0)
    np.testing.assert_allclose(weekly, 1.0)


def model(**changes):
    """60 weeks of channel 0 at 10, half of them at 15 and half at 5; channel 1 spends nothing."""
    spend = steady([10.0, 0.0], 60)
    spend[::2, 0], spend[1::2, 0] = 5, 15
    answers = Answers(
        contribution=np.array([[[500.0, 0.0]], [[700.0, 0.0]]]),
        curve=np.array([[[0.0, 400.0, 600.0, 800.0], [0.0, np.nan, np.nan, np.nan]]] * 2),  # at 0, .5, 1, 2
    )
    return brief_of(spend, value=2.0, prior=1.3), answers._replace(**changes)


def test_a_models_weeks_are_read_off_its_curve():
    returns, weekly = by_model(*model())
    np.testing.assert_allclose(returns, [2 * 600 / 600, 1.3])
    np.testing.assert_allclose(weekly[::2, 0], 2 * 400 / 300)  # half of the money, two thirds of the KPI
    np.testing.assert_allclose(weekly[1::2, 0], 2 * 700 / 900)
    assert np.isnan(weekly[:, 1]).all()


def test_a_flights_weeks_are_its_own_measure():
    """Off half of the time: a week on is the mean week with spend, and returns what the channel does."""
    spend = steady([10.0, 0.0], 60)
    spend[::2] = 0
    brief, (_, answers) = brief_of(spend, value=2.0), model()
    returns, weekly = by_model(brief, answers)
    np.testing.assert_allclose(weekly[1::2, 0], returns[0])
    assert np.isnan(weekly[::2, 0]).all()


def test_without_a_curve_no_week_says_anything_and_without_contributions_nothing_does():
    returns, weekly = by_model(*model(curve=None))
    np.testing.assert_allclose(returns, [2.0, 1.3])
    assert np.isnan(weekly).all()
    with pytest.raises(ValueError, match="no contribution"):
        by_model(*model(contribution=None))


def test_of_quantiles_the_median_is_believed():
    levels = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
    quantiles = np.array([1.0, 2, 3, 4, 50, 60, 70])[:, None, None] * [[[300.0, 0.0]]]
    returns, _ = by_model(*model(contribution=quantiles, curve=None, levels=levels))
    np.testing.assert_allclose(returns[0], 2 * 4 * 300 / 600)
