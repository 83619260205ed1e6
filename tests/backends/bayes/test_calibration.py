"""Simulation-based calibration of hmc on worlds of its own prior: the cut of benchmarks/evidence/calibration.py.

One small panel, 64 worlds of the national model; and faults planted on either side, to show that they are seen.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds

from benchmarks.evidence import calibration, common
from simbench.backends.bayes import density, fit
from simbench.blocks import in_float64
from simbench.world.truth import draw

NAME, WORLDS = "national", 64


@cache
def stages():
    engine, precision = common.default_engine(NAME, "hmc", rounds=2)
    return fit.programs(common.model_of(NAME), engine), engine, precision


@cache
def panel():
    """A year of two channels, as the model sees it."""
    with TemporaryDirectory() as folder:
        brief = draw(worlds.written(Path(folder), worlds.plain(weeks=52)), 1, truth=False).briefs
    return jax.tree.map(lambda x: x[0], in_float64(stages()[0].data, common.stacked(list(brief))))


def changed_volume(z, data):
    """Truths to which a density of returns belongs that forgets the change of volume from returns to their logs."""
    parts = density.split(common.model_of(NAME), z, data)
    _, sd = density.prior_of(common.model_of(NAME).parameters[0], data).numbers
    return jnp.concatenate([parts.pop("effect") + sd, *parts.values()])


PLANTS = {
    "": lambda z, data: z,
    "the density lacks its prior": lambda z, data: 2.0 * z,  # truths lie twice as wide as the density has them
    "the density lacks a Jacobian": changed_volume,
}


@cache
def fitted(plant):
    """Fits of worlds, their data and true values."""
    programs, engine, precision = stages()
    every, truth = calibration.worlds(common.model_of(NAME), panel(), WORLDS, 7, PLANTS[plant])
    keys = common.keys_of(WORLDS, 8)
    return fit.fitted(programs, engine, keys, every, common.LANES, precision), every, truth


def smallest(plant, spoil=lambda points: points):
    """The smallest p of all quantities, times their number."""
    made, every, truth = fitted(plant)
    ranks = calibration.ranked(common.model_of(NAME), calibration.thinned(made, spoil), every, truth)
    return ranks.shape[1] * min(calibration.p_value(ranks[:, q]) for q in range(ranks.shape[1]))


def test_ranks_of_true_values_are_uniform():
    assert smallest("") > calibration.FAMILY


def test_draws_of_half_the_spread_are_told():
    def halved(points):
        return points.mean(axis=0) + 0.5 * (points - points.mean(axis=0))

    assert smallest("", halved) < calibration.FAMILY


@pytest.mark.parametrize("plant", [name for name in PLANTS if name])
def test_a_wrong_density_is_told(plant):
    assert smallest(plant) < calibration.FAMILY


def test_p_values_of_uniform_ranks_are_uniform():
    """Over 500 sets of 64 ranks; a share of 5% is known within 2 points."""
    rng = np.random.default_rng(9)
    p = np.array([calibration.p_value(rng.integers(0, calibration.KEPT + 1, 64)) for _ in range(500)])
    for level in (0.05, 0.2, 0.5):
        assert abs((p <= level).mean() - level) < 4 * np.sqrt(level * (1 - level) / 500)


# --- what is ranked


def by_loops(lever, weights, half_at, slope, share):
    """Sum of the curve over all weeks in which a share of the levers [M] acts."""
    total = 0.0
    for week in range(len(lever) + len(weights) - 1):
        late = sum(w * lever[week - lag] for lag, w in enumerate(weights) if 0 <= week - lag < len(lever))
        ratio = share * late / half_at
        total += ratio**slope / (1.0 + ratio**slope)
    return total


def test_returns_are_those_of_plain_loops():
    """ROAS, marginal ROAS by a small step, points of the curve; the model's effect is the return itself."""
    model, data = common.model_of(NAME), panel()
    z = np.linspace(-0.7, 0.6, density.dimension(model, data))
    parameters = in_float64(density.placed, model, z, data)
    found = in_float64(common.quantities, model, parameters, np.zeros((1, 0)), data).reshape(5, -1)
    lever = np.where(data.seen > 0, data.lagged[0, :, 0], 0.0)[:, : int(data.seen.sum())]
    for c in range(lever.shape[0]):
        weights = parameters["retention"][c] ** np.arange(model.lags)
        weights /= weights.sum()
        curve = partial(by_loops, lever[c], weights, parameters["half_at"][c], parameters["slope"][c])
        roas = data.scale[0] * parameters["effect"][c] * data.worth[0, c] / (data.scale * data.worth[:, c]).sum()
        expected = [roas * curve(share) / curve(1.0) for share in (1.0, *common.MULTIPLIERS)]
        np.testing.assert_allclose(found[[0, 2, 3, 4], c], expected, rtol=1e-6)
        step = (curve(1.0 + 1e-4) - curve(1.0 - 1e-4)) / 2e-4
        np.testing.assert_allclose(found[1, c], roas * step / curve(1.0), rtol=1e-5)
