"""Uncertainty that is too narrow is seen, over many worlds; honest uncertainty is inside the band."""

from __future__ import annotations

import numpy as np
import pytest
from score.cases import answered, by_name, case, true

from simbench.score.calibration import CALIBRATION
from simbench.score.forecast import HOLDOUT
from simbench.score.statistics import coverage_interval

WORLDS, DRAWS = 400, 199


def posterior(factor: float):
    """Worlds with a normal prior and a normal observation of each channel, and exact posterior draws, sd x factor."""
    rng = np.random.default_rng(11)
    made = case(rng, cells=WORLDS, draws=DRAWS, weeks=12, held=2)
    channels = made.truth.paid.shape[-1]
    truth = 5000 + 1000 * rng.standard_normal((WORLDS, 1, channels))
    seen = truth + 800 * rng.standard_normal(truth.shape)
    weight = 1000**2 / (1000**2 + 800**2)
    centre, sd = 5000 + weight * (seen - 5000), 800 * np.sqrt(weight)
    draws = centre[:, None] + factor * sd * rng.standard_normal((WORLDS, DRAWS, 1, channels))
    both = np.repeat(truth, 2, axis=1), np.repeat(draws, 2, axis=2)
    return by_name(CALIBRATION.columns(answered(true(made, contribution=both[0]), contribution=both[1])))


def test_exact_posteriors_cover_and_narrow_ones_do_not():
    """A posterior sd of 70% is outside the 99% band of coverage at every level; the exact one is inside."""
    exact, narrow = posterior(1.0), posterior(0.7)
    for level in (0.5, 0.8, 0.9):
        name = f"contribution/all/coverage {level:.0%}"
        inside, outside = (coverage_interval(found[name].value, 0.99) for found in (exact, narrow))
        assert inside.low <= level <= inside.high
        assert outside.high < level


@pytest.mark.parametrize("factor", [0.7, 1.5])
def test_a_wrong_spread_costs_interval_score_and_crps(factor):
    exact, wrong = posterior(1.0), posterior(factor)
    for metric in ("interval score 90%", "crps", "energy", "weighted interval score"):
        name = f"contribution/all/{metric}"
        assert (wrong[name].value - exact[name].value).mean() > 0, metric


def test_ranks_of_the_truth_are_uniform_only_if_exact():
    exact, narrow = (found["contribution/channel:0/pit"].value for found in (posterior(1.0), posterior(0.7)))
    grid = np.linspace(0, 1, 21)

    def distance(pit):
        return np.abs(np.searchsorted(np.sort(pit), grid) / WORLDS - grid).max()

    critical = 1.63 / np.sqrt(WORLDS)  # Kolmogorov, 1%
    assert distance(exact) < critical < distance(narrow)


@pytest.mark.parametrize(("noise", "honest"), [(True, True), (False, False)], ids=["noise", "no noise"])
def test_a_forecast_without_noise_is_seen_by_its_coverage(noise, honest):
    """Draws of the mean alone leave out what no model can know: coverage collapses."""
    rng = np.random.default_rng(5)
    made = case(rng, cells=60, draws=DRAWS, weeks=12, held=26)
    mean = 1000 + 100 * rng.standard_normal((60, 1, 26, 1))
    doubt = 5 * rng.standard_normal((60, DRAWS, 1, 1))
    came = mean[:, 0] + 40 * rng.standard_normal((60, 26, 1))
    draws = mean + doubt + (40 * rng.standard_normal((60, DRAWS, 26, 1)) if noise else 0)
    found = by_name(
        HOLDOUT.columns(answered(made._replace(truth=made.truth._replace(kpi_future=came)), forecast=draws))
    )
    for level in (0.5, 0.8, 0.9):
        told = coverage_interval(found[f"forecast/all/coverage {level:.0%}"].value, 0.999)
        assert (told.low <= level <= told.high) == honest


def test_intervals_over_worlds_hold_under_dependent_channels():
    """Channels of a world that all hit or all miss: the interval is that of worlds, not of channels."""
    rng = np.random.default_rng(6)
    held = []
    for _ in range(300):
        worlds = np.repeat((rng.random(30) < 0.5)[:, None], 5, axis=1)  # five channels, one fate
        told = coverage_interval(worlds.mean(axis=1))
        held.append(told.low <= 0.5 <= told.high)
        # taken for 150 independent channels the interval would be sqrt(5) narrower
        assert told.high - told.low > 0.75 * 2 * 2.045 * worlds[:, 0].std(ddof=1) / np.sqrt(30)
    assert np.mean(held) > 0.9
