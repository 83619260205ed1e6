"""The national model against a second writing of it, and its prior against closed forms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import national_by_hand as by_hand
import numpy as np
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from simbench.backends import national
from simbench.backends.contender import configured
from simbench.backends.prior_only import PRIOR_ONLY
from simbench.blocks import in_float32, in_float64
from simbench.briefs import timeline
from simbench.estimands import mean_of
from simbench.world.truth import draw

PRIORS = national.Priors(**{option.name: option.default for option in national.OPTIONS})
KEY = np.array([5, 6], dtype=np.uint32)
PRICE = '[[controls]]\nname = "price"\nmean = 10.0\nsd = 0.5\nrho = 0.8\neffect = -60.0\n'


@pytest.fixture(scope="module")
def brief(tmp_path_factory):
    """Sixty weeks, a flighted and an always-on channel, a control."""
    path = worlds.written(tmp_path_factory.mktemp("national"), worlds.plain(extra=PRICE))
    return draw(path, 1, truth=False).briefs[0]


@pytest.fixture(scope="module")
def drawn(brief):
    """Twenty draws of the prior."""
    return in_float64(jax.jit(lambda key, b: prior(key, b, 20)), KEY, brief)


def prior(key, brief, draws):
    data = national.data_of(brief, PRIORS)
    return national.prior_draws(jax.random.wrap_key_data(key), data, PRIORS, draws)


def draw_of(drawn, i):
    return jax.tree.map(lambda x: x[i], drawn)


@jax.jit
def factual(parameters, brief):
    """Mean KPI [N, G] of the levers as they were."""
    lever, _ = timeline(brief.panel, brief.questions.future)
    effects = national.effects(parameters, national.data_of(brief, PRIORS), brief.context.kpi_scale)
    return mean_of(effects, lever)(jnp.ones_like(lever), jnp.zeros_like(lever))[0]


@jax.jit
def likelihood(parameters, brief):
    data = national.data_of(brief, PRIORS)
    return national.log_likelihood(parameters, data, national.linear_of(data))


def test_the_mean_is_that_of_plain_loops(brief, drawn):
    weeks = len(brief.panel.kpi)
    for i in range(5):
        parameters = draw_of(drawn, i)
        told = in_float64(factual, parameters, brief)[:weeks, 0] / brief.context.kpi_scale
        np.testing.assert_allclose(told, by_hand.mean(brief, PRIORS, parameters), rtol=1e-9)


def test_the_likelihood_is_that_of_the_whole_covariance(brief, drawn):
    told, expected = [], []
    for i in range(5):
        parameters = draw_of(drawn, i)
        columns = by_hand.media(brief, *parameters[:4])
        told.append(float(in_float64(likelihood, parameters, brief)))
        expected.append(by_hand.log_likelihood(brief, PRIORS, columns, parameters.noise))
    np.testing.assert_allclose(told, expected, rtol=1e-8)


def test_the_plain_coefficients_are_drawn_from_their_conditional(brief, drawn):
    parameters = draw_of(drawn, 3)._replace(noise=np.float64(0.05))

    def many(key, parameters, brief):
        data = national.data_of(brief, PRIORS)
        linear = national.linear_of(data)
        keys = jax.random.split(jax.random.wrap_key_data(key), 20_000)
        return jax.vmap(lambda k: national.plain_draw(k, parameters, data, linear).plain)(keys)

    draws = in_float64(jax.jit(many), KEY, parameters, brief)
    plain, effect = by_hand.plain_columns(brief, PRIORS), by_hand.media(brief, *parameters[:4]).sum(axis=1)
    rest = brief.panel.kpi[:, 0] / brief.context.kpi_scale - 1 - (effect - effect.mean())
    precision = np.eye(plain.shape[1]) + plain.T @ plain / 0.05**2
    centre, covariance = np.linalg.solve(precision, plain.T @ rest / 0.05**2), np.linalg.inv(precision)
    spread = np.sqrt(np.diag(covariance))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - centre), 5 * spread / np.sqrt(20_000))
    np.testing.assert_allclose(
        np.cov(draws.T) / np.outer(spread, spread), covariance / np.outer(spread, spread), atol=0.04
    )


def test_a_control_that_never_moves_changes_nothing(brief, drawn):
    def with_constant(x):
        return np.concatenate([x, np.full((*x.shape[:-1], 1), 0.1)], axis=-1)

    panel, future = brief.panel, brief.questions.future
    more = brief._replace(
        panel=panel._replace(controls=with_constant(panel.controls)),
        questions=brief.questions._replace(future=future._replace(controls=with_constant(future.controls))),
    )
    parameters = draw_of(drawn, 1)
    expected = float(in_float64(likelihood, parameters, brief))
    assert float(in_float64(likelihood, parameters, more)) == pytest.approx(expected, rel=1e-10)


def test_the_order_of_channels_does_not_matter(brief, drawn):
    parameters = draw_of(drawn, 1)
    turned = parameters._replace(**{f: getattr(parameters, f)[::-1] for f in ("roas", "retention", "half_at", "slope")})
    panel = brief.panel._replace(lever=brief.panel.lever[..., ::-1], spend=brief.panel.spend[..., ::-1])
    other = in_float64(likelihood, turned, brief._replace(panel=panel))
    assert float(other) == pytest.approx(float(in_float64(likelihood, parameters, brief)), rel=1e-12)


def test_geos_add_up_to_the_nation_where_spend_is_split_alike(brief, drawn):
    people, shares = np.array([3.0, 1.0]), np.array([[0.8, 0.3], [0.2, 0.7]])

    def split(x):
        return x * shares

    panel, future = brief.panel, brief.questions.future
    apart = brief._replace(
        panel=panel._replace(
            lever=split(panel.lever), spend=split(panel.spend), kpi=panel.kpi * [0.6, 0.4], population=people,
            controls=np.repeat(panel.controls, 2, axis=1),
        ),
        questions=brief.questions._replace(
            future=future._replace(
                lever=split(future.lever), spend=split(future.spend), controls=np.repeat(future.controls, 2, axis=1)
            )
        ),
    )  # fmt: skip
    parameters = draw_of(drawn, 2)
    one, two = in_float64(factual, parameters, brief), in_float64(factual, parameters, apart)
    np.testing.assert_allclose(two.sum(axis=1), one[:, 0], rtol=1e-10)


@given(st.lists(st.floats(-12, 12), min_size=9, max_size=9))
@settings(max_examples=40)
def test_density_and_slope_are_finite_wherever_a_chain_may_go(brief, point):
    idle = brief.panel.lever * np.array([1.0, 0.0])  # one channel flighted, the other never used
    quiet = brief._replace(panel=brief.panel._replace(lever=idle, spend=idle))
    for call in (in_float64, in_float32):
        value, slope = call(DENSITY, np.array(point), quiet)
        assert np.isfinite(value) and np.isfinite(slope).all()


@jax.jit
@jax.value_and_grad
def DENSITY(z, brief):
    data = national.data_of(brief, PRIORS)
    parameters = national.placed(z, data, PRIORS)
    return national.log_prior(z, PRIORS) + national.log_likelihood(parameters, data, national.linear_of(data))


# --- the prior as a contender


def test_contributions_of_the_prior_are_its_returns(brief):
    """Lognormal with the mean and sd the analyst expects; 256 draws, within four standard errors."""
    (reply,) = configured(PRIOR_ONLY, {}).answer([brief], [KEY])
    roas = reply.contribution[:, 0] * brief.context.unit_value / brief.panel.spend.sum(axis=(0, 1))
    mean, sd = brief.context.prior_roas_mean, brief.context.prior_roas_sd
    sigma = np.sqrt(np.log(1 + (sd / mean) ** 2))
    log = np.log(roas)
    np.testing.assert_array_less(np.abs(log.mean(axis=0) - (np.log(mean) - sigma**2 / 2)), 4 * sigma / 16)
    np.testing.assert_array_less(np.abs(log.std(axis=0, ddof=1) / sigma - 1), 4 / np.sqrt(2 * 255))


def test_the_prior_looks_at_no_kpi_but_its_scale(brief):
    backend = configured(PRIOR_ONLY, {})
    other = by_hand.with_kpi(brief, brief.panel.kpi[::-1, 0] ** 2)
    one, two = backend.answer([brief, other], [KEY, KEY])
    np.testing.assert_array_equal(one.contribution, two.contribution)
    np.testing.assert_array_equal(one.forecast, two.forecast)


def test_other_priors_than_the_means_are_closed_forms(brief):
    draws = in_float64(jax.jit(lambda key, b: prior(key, b, 20_000)), KEY, brief)
    a, b = PRIORS.retention_a, PRIORS.retention_b
    assert draws.retention.mean() == pytest.approx(a / (a + b), abs=0.005)
    assert draws.retention.std() == pytest.approx(np.sqrt(a * b / (a + b) ** 2 / (a + b + 1)), rel=0.02)
    assert np.median(draws.half_at) == pytest.approx(PRIORS.half_at_median, rel=0.02)
    assert np.log(draws.slope).std() == pytest.approx(PRIORS.slope_sigma, rel=0.02)
    assert draws.noise.mean() == pytest.approx(PRIORS.noise_sd * np.sqrt(2 / np.pi), rel=0.03)


def test_the_density_of_the_prior_is_that_of_its_draws(brief):
    """Points of the prior, seen through the density: the mean of each slope of the log density is 0."""
    drawn = in_float64(jax.jit(lambda key, b: prior(key, b, 20_000)), KEY, brief)
    data = in_float64(jax.jit(lambda b: national.data_of(b, PRIORS)), brief)
    z = np.concatenate(
        [
            (np.log(drawn.roas) - data.log_roas[0]) / data.log_roas[1],
            np.log(drawn.retention / (1 - drawn.retention)),
            np.log(drawn.half_at / PRIORS.half_at_median) / PRIORS.half_at_sigma,
            np.log(drawn.slope / PRIORS.slope_median) / PRIORS.slope_sigma,
            np.log(drawn.noise / PRIORS.noise_sd)[:, None],
        ],
        axis=1,
    )
    slopes = in_float64(jax.jit(jax.vmap(jax.grad(lambda z: national.log_prior(z, PRIORS)))), z)
    np.testing.assert_array_less(np.abs(slopes.mean(axis=0)), 5 * slopes.std(axis=0) / np.sqrt(20_000))
    # and z . slope has mean -(number of parameters): the scale is right too
    product = (z * slopes).mean(axis=0)
    np.testing.assert_allclose(product, -1.0, atol=5 * (z * slopes).std(axis=0).max() / np.sqrt(20_000))
