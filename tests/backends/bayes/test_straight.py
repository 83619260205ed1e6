"""The coordinates of engines: a change of variables, its volume worked out by differentiating every number."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds

from simbench.backends.bayes import density, straight
from simbench.backends.bayes.data import data_of
from simbench.backends.bayes.models import MODELS
from simbench.blocks import in_float32, in_float64
from simbench.world.truth import draw

POINTS = 8
BENT = MODELS["pymc-marketing-style"].make(effects="positive")
OWN = {
    "national": MODELS["national"].make(**{option.name: option.default for option in MODELS["national"].options}),
    "meridian-style": MODELS["meridian-style"].make(),
    "pymc-marketing-style, free": MODELS["pymc-marketing-style"].make(effects="free"),
}


@pytest.fixture(scope="module")
def brief(tmp_path_factory):
    """A year of three channels, the second never used; the last five weeks not seen."""
    channels = worlds.channel("tv", worlds.FLIGHTED), worlds.channel("video"), worlds.channel("radio")
    made = draw(
        worlds.written(tmp_path_factory.mktemp("straight"), worlds.scenario(*channels, weeks=52)), 1, truth=False
    )
    panel, origin = made.briefs[0].panel, 47

    def seen_only(x):
        return np.concatenate([x[:origin], np.full_like(x[origin:], np.nan)])

    used = np.array([1.0, 0.0, 1.0])
    masked = panel._replace(
        origin=np.int32(origin), mask=(np.arange(52) < origin) * 1.0, kpi=seen_only(panel.kpi),
        lever=seen_only(panel.lever * used), spend=seen_only(panel.spend * used), controls=seen_only(panel.controls),
    )  # fmt: skip
    return made.briefs[0]._replace(panel=masked)


def data_and_points(model, brief, far=0.0):
    """Data, and points t: effects that bring a fiftieth to all of the KPI, and beyond if told."""
    data = in_float64(jax.jit(lambda b: data_of(b, model)), brief)
    rng = np.random.default_rng(2)
    t = rng.uniform(-2 - far, 2 + far, (POINTS, density.dimension(model, data)))
    if straight.is_straight(model):
        return data, t
    first = density.split(model, np.arange(t.shape[1]), data)["effect"]
    t[:, first] = rng.uniform(-4 - far, far, (POINTS, len(first)))
    return data, t


@jax.jit
@jax.vmap
def bent(t, data):
    """What straight says at a point, and all of it a second time: the model's density and the change of volume."""
    z = straight.point_of(BENT, t, data)
    _, volume = jnp.linalg.slogdet(jax.jacobian(lambda t: straight.point_of(BENT, t, data))(t))
    return {
        "told": straight.log_density(BENT, t, data),
        "expected": density.log_density(BENT, z, data) + volume,
        "placed": straight.parameters_of(BENT, t, data)[0],
        "back": density.placed(BENT, z, data),
    }


def many(data):
    return jax.tree.map(lambda x: np.repeat(np.asarray(x)[None], POINTS, axis=0), data)


def test_it_is_a_change_of_variables(brief):
    data, t = data_and_points(BENT, brief)
    told = in_float64(bent, t, many(data))
    np.testing.assert_allclose(told["told"], told["expected"], rtol=1e-10)
    for name, value in told["placed"].items():
        np.testing.assert_allclose(told["back"][name], value, rtol=1e-10, err_msg=name)


def test_the_coordinate_is_the_log_of_what_a_channel_brings_a_week(brief):
    """Whatever its curve; of a channel never used it is the log of the amplitude."""
    data, t = data_and_points(BENT, brief)

    def weekly(t, data):
        parameters, _ = straight.parameters_of(BENT, t, data)
        media = density.media_of(BENT, parameters, data)
        return media.known[0] * (media.rows[0] @ data.seen) / data.seen.sum(), parameters

    brought, parameters = in_float64(jax.jit(jax.vmap(weekly, (0, None))), t, data)
    effect = density.split(BENT, t, data)["effect"]
    np.testing.assert_allclose(np.log(brought[:, [0, 2]]), effect[:, [0, 2]], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(np.log(parameters["effect"][:, 1]), effect[:, 1], rtol=1e-10)


def test_density_and_slope_are_finite_wherever_a_chain_may_go(brief):
    """In float32, from a thousandth of a percent of the KPI to fifty times as much."""
    data, t = data_and_points(BENT, brief, far=4.0)
    program = jax.jit(jax.vmap(jax.value_and_grad(lambda t, data: straight.log_density(BENT, t, data)), (0, None)))
    value, slope = in_float32(program, t, data)
    assert np.isfinite(value).all() and np.isfinite(slope).all()


@pytest.mark.parametrize("name", OWN)
def test_models_without_sampled_amplitudes_are_left_alone(name, brief):
    model = OWN[name]
    data, t = data_and_points(model, brief)

    def both(t, data):
        return (
            straight.log_density(model, t, data),
            density.log_density(model, t, data),
            straight.point_of(model, t, data),
        )

    told, expected, back = in_float64(jax.jit(jax.vmap(both, (0, None))), t, data)
    assert straight.is_straight(model)
    np.testing.assert_array_equal(told, expected)
    np.testing.assert_array_equal(back, t)
