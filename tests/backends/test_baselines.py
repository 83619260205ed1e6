"""The simple contenders, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import worlds

from simbench.backends.baselines import LAGS, carried
from simbench.backends.registry import backend_named
from simbench.blocks import in_float64
from simbench.world.truth import draw

KEY = [np.array([3, 4], dtype=np.uint32)]


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    """A world inside the class of least squares: straight lines, known season, little noise."""
    carry = 'kind = "geometric", retention = 0.4, length = 13'
    channels = (
        worlds.channel(name, rule, saturation='kind = "none"', carry_over=carry)
        for name, rule in (("tv", worlds.FLIGHTED), ("video", worlds.ALWAYS_ON))
    )
    text = worlds.scenario(*channels, weeks=130, extra='[[questions.problems]]\nname = "fixed"')
    text = text.replace("share = 0.05", "share = 0.002").replace("per_year = 0.05", "per_year = 0.0")
    return draw(
        worlds.written(tmp_path_factory.mktemp("linear"), text.replace("pre_history = 12", "pre_history = 0")), 4
    )


def test_least_squares_recovers_a_linear_world(linear):
    replies = backend_named("ols").answer(linear.briefs, KEY * 4)
    for reply, truth in zip(replies, linear.truths, strict=True):
        median, true = np.median(reply.contribution, axis=0), truth.answers.contribution
        np.testing.assert_allclose(median, true, rtol=0.05)
        np.testing.assert_allclose(np.nanmedian(reply.marginal, axis=0), truth.answers.marginal, rtol=0.05)
        # a plan's worth is a small difference of two large sums: its scale is what media bring in ten weeks
        brought = 0.6 * 2.0 * true[0].sum() * 10 / 130
        np.testing.assert_allclose(np.median(reply.plan_value, axis=0), truth.answers.plan_value, atol=0.05 * brought)
        np.testing.assert_allclose(np.median(reply.forecast, axis=0), truth.answers.forecast, rtol=0.02)


def test_the_coefficients_are_those_of_numpy(linear):
    brief = linear.briefs[0]
    reply = backend_named("ols").answer([brief], KEY)[0]
    n, kpi = np.arange(130), brief.panel.kpi[:, 0]
    angle = 2 * np.pi * n[:, None] * np.arange(1, 3) / (365.25 / 7)
    spend = in_float64(lambda: carried(0.4, brief.panel.lever[:, 0].T)).T
    design = np.column_stack([np.ones(130), n, np.cos(angle), np.sin(angle), spend])
    beta, residual, *_ = np.linalg.lstsq(design, kpi, rcond=None)
    by_hand = beta[-2:] * brief.panel.lever.sum(axis=(0, 1))
    # the carry-over that falls after the last week counts in the tail: mass 1 in all
    spread = reply.contribution[:, 0].std(axis=0)
    np.testing.assert_array_less(
        np.abs(reply.contribution[:, 0].mean(axis=0) - by_hand), 5 * spread / np.sqrt(256) + 1e-9
    )
    sigma = np.sqrt(residual[0] / (130 - design.shape[1]))
    covariance = sigma**2 * np.linalg.inv(design.T @ design)
    expected = np.sqrt(np.diag(covariance)[-2:]) * brief.panel.lever.sum(axis=(0, 1))
    np.testing.assert_allclose(spread, expected, rtol=0.2)


def test_the_forecast_carries_its_own_noise(linear):
    brief, truth = linear.briefs[0], linear.truths[0]
    reply = backend_named("ols").answer([brief], KEY)[0]
    residual = linear.secret.path.kpi[0] - linear.secret.path.mean[0]
    spread = reply.forecast.std(axis=0).mean()
    assert 0.7 * residual.std() < spread < 2.0 * residual.std()
    assert truth.kpi_future.shape == reply.forecast.shape[1:]


def test_carry_over_is_normalised_and_remembers_nothing():
    pulse = np.zeros((20, 1, 1))
    pulse[2] = 5.0
    out = in_float64(lambda: carried(0.5, pulse[:, 0].T))[0]
    assert out.sum() == pytest.approx(5.0) and not out[:2].any() and not out[2 + LAGS :].any()
    assert out[3] / out[2] == pytest.approx(0.5)


def test_credit_by_spend_gives_every_channel_one_return(linear):
    brief = linear.briefs[0]
    reply = backend_named("spend-share").answer([brief], KEY)[0]
    spend = brief.panel.spend.sum(axis=(0, 1))
    returns = brief.context.unit_value * reply.contribution[0, 0] / spend
    weighted = (brief.context.prior_roas_mean * brief.context.spend_scale).sum() / brief.context.spend_scale.sum()
    np.testing.assert_allclose(returns, weighted, rtol=1e-12)
    assert reply.contribution.shape[0] == 1  # a point estimate says so
    np.testing.assert_array_equal(reply.allocation[0], brief.questions.problems[0].status_quo)
