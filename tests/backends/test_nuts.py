"""NUTS against importance sampling from the prior, its diagnostics against NumPyro's, and recovery."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import national_by_hand as by_hand
import numpy as np
import pytest
import worlds
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

from simbench.backends import national, nuts
from simbench.backends.contender import configured
from simbench.blocks import in_float64
from simbench.errors import BadInput
from simbench.world.truth import draw

PRIORS = national.Priors(**{option.name: option.default for option in national.OPTIONS})
KEY = np.array([5, 6], dtype=np.uint32)
WEEKS, NOISE = 52, 0.04
TRUE = national.Parameters(
    roas=np.array([2.5, 1.2]), retention=np.array([0.6, 0.3]), half_at=np.array([0.9, 1.2]),
    slope=np.array([1.3, 1.0]), noise=np.float64(NOISE), plain=np.array([0.0, 0.5, 1.0, -0.5, 0.3, 0.0]),
)  # fmt: skip


@pytest.fixture(scope="module")
def brief(tmp_path_factory):
    """A year of two channels whose KPI follows the model itself."""
    path = worlds.written(tmp_path_factory.mktemp("nuts"), worlds.plain(weeks=WEEKS))
    return simulated(draw(path, 1, truth=False).briefs[0], NOISE)


def simulated(brief, noise):
    errors = noise * np.random.default_rng(11).standard_normal(WEEKS)
    return by_hand.with_kpi(brief, brief.context.kpi_scale * (by_hand.mean(brief, PRIORS, TRUE) + errors))


def weighted_prior(brief, draws=20_000):
    """Draws of the prior and their weights given the KPI: a posterior without any chain."""
    rng, weeks = np.random.default_rng(3), WEEKS + by_hand.LAGS - 1
    mean, sd = brief.context.prior_roas_mean, brief.context.prior_roas_sd
    sigma = np.sqrt(np.log(1 + (sd / mean) ** 2))
    log_roas = np.log(mean) - sigma**2 / 2 + sigma * rng.standard_normal((draws, 2))
    retention = rng.beta(PRIORS.retention_a, PRIORS.retention_b, (draws, 2))
    log_half = np.log(PRIORS.half_at_median) + PRIORS.half_at_sigma * rng.standard_normal((draws, 2))
    log_slope = np.log(PRIORS.slope_median) + PRIORS.slope_sigma * rng.standard_normal((draws, 2))
    noise = PRIORS.noise_sd * np.abs(rng.standard_normal(draws))
    effect = np.zeros((draws, WEEKS))
    for c in range(2):
        x = brief.panel.lever[:, 0, c]
        x, whole = x / x[x > 0].mean(), brief.panel.spend[:, 0, c].sum() / brief.context.unit_value
        weight = retention[:, c, None] ** np.arange(by_hand.LAGS)
        weight /= weight.sum(axis=1, keepdims=True)
        v = np.stack([np.convolve(x, w)[:weeks] for w in weight])
        with np.errstate(divide="ignore"):
            curve = 1 / (1 + np.exp(np.exp(log_slope[:, c, None]) * (log_half[:, c, None] - np.log(v))))
        scale = np.exp(log_roas[:, c]) * whole / brief.context.kpi_scale / curve.sum(axis=1)
        effect += scale[:, None] * curve[:, :WEEKS]
    plain = by_hand.plain_columns(brief, PRIORS)
    rest = brief.panel.kpi[:, 0] / brief.context.kpi_scale - 1 - (effect - effect.mean(axis=1, keepdims=True))
    log_weight = np.empty(draws)
    for rows in np.array_split(np.arange(draws), 20):  # each draw has its own covariance
        covariance = noise[rows, None, None] ** 2 * np.eye(WEEKS) + plain @ plain.T
        solved = np.linalg.solve(covariance, rest[rows][..., None])[..., 0]
        log_weight[rows] = -0.5 * (np.linalg.slogdet(covariance)[1] + (rest[rows] * solved).sum(axis=1))
    weight = np.exp(log_weight - log_weight.max())
    points = np.column_stack([log_roas, np.log(retention / (1 - retention)), log_half, log_slope, np.log(noise)])
    return points, weight / weight.sum()


def test_the_posterior_is_that_of_importance_sampling(brief):
    sampler = nuts.Sampler(chains=4, warmup=250, samples=1000, target_accept=0.8)
    brief = simulated(brief, 0.15)  # a posterior near enough to the prior for its draws to stand for it

    def fit(key, brief):
        data = national.data_of(brief, PRIORS)
        linear = national.linear_of(data)

        def log_density(z):
            return national.log_prior(z, PRIORS) + national.log_likelihood(
                national.placed(z, data, PRIORS), data, linear
            )

        z, steps, diverging = nuts.sample(jax.random.wrap_key_data(key), log_density, 9, sampler)
        return jax.vmap(jax.vmap(lambda z: national.placed(z, data, PRIORS)))(z), steps, diverging

    found, steps, diverging = in_float64(jax.jit(fit), KEY, brief)
    assert diverging.mean() < 0.01 and steps.min() >= 1
    chains = np.concatenate(
        [
            np.log(found.roas),
            np.log(found.retention / (1 - found.retention)),
            np.log(found.half_at),
            np.log(found.slope),
            np.log(found.noise)[..., None],
        ],
        axis=-1,
    )
    points, weight = weighted_prior(brief)
    worth = 1 / (weight**2).sum()
    assert worth > 200, worth
    mean = weight @ points
    sd = np.sqrt(weight @ (points - mean) ** 2)
    ess = np.array([effective_sample_size(chains[..., j]) for j in range(chains.shape[-1])])
    error = sd * np.sqrt(1 / worth + 1 / ess)
    np.testing.assert_array_less(np.abs(chains.mean(axis=(0, 1)) - mean), 4 * error)
    np.testing.assert_allclose(chains.std(axis=(0, 1)), sd, rtol=4 * np.sqrt(1 / worth + 1 / ess.min()))


def test_answers_spread_as_wide_as_the_posterior(brief):
    brief = simulated(brief, 0.15)
    (reply,) = configured(nuts.NUMPYRO_NUTS, {}).answer([brief], [KEY])
    points, weight = weighted_prior(brief)
    log_told = np.log(reply.contribution[:, 0] * brief.context.unit_value / brief.panel.spend.sum(axis=(0, 1)))
    mean = weight @ points[:, :2]
    sd = np.sqrt(weight @ (points[:, :2] - mean) ** 2)
    np.testing.assert_allclose(log_told.std(axis=0), sd, rtol=0.2)
    np.testing.assert_array_less(np.abs(log_told.mean(axis=0) - mean), 0.3 * sd)


def test_it_recovers_a_world_of_its_own_family(brief):
    (reply,) = configured(nuts.NUMPYRO_NUTS, {}).answer([brief], [KEY])
    true = TRUE.roas * brief.panel.spend.sum(axis=(0, 1)) / brief.context.unit_value
    low, high = np.quantile(reply.contribution[:, 0], [0.01, 0.99], axis=0)
    assert ((low < true) & (true < high)).all()
    # the KPI told it something: narrower than the prior, whose sd is as large as its mean
    prior_sd = brief.context.prior_roas_sd * brief.panel.spend.sum(axis=(0, 1)) / brief.context.unit_value
    assert (reply.contribution[:, 0].std(axis=0) < prior_sd).all()
    noise = reply.forecast.std(axis=0).mean() / brief.context.kpi_scale
    assert NOISE * 0.8 < noise < NOISE * 3
    told = reply.diagnostics
    assert 1.0 <= told.rhat_max < 1.1 and told.ess_min > 100 and told.divergences < 50
    assert told.converged == float(told.rhat_max <= 1.01) and told.status == 1 - told.converged


def test_diagnostics_are_those_of_numpyro():
    rng, chains = np.random.default_rng(0), np.zeros((3, 201, 4))
    for t in range(1, 201):
        chains[:, t] = chains[:, t - 1] * [0.0, 0.5, 0.9, -0.4] + rng.standard_normal((3, 4))
    chains[1, :, 3] += 1.0  # one chain elsewhere
    rhat, ess = in_float64(nuts.diagnose, jnp.asarray(chains))
    half = np.concatenate([chains[:, :100], chains[:, -100:]])
    for j in range(4):
        assert rhat[j] == pytest.approx(split_gelman_rubin(chains[..., j]), rel=1e-6)
        assert ess[j] == pytest.approx(effective_sample_size(half[..., j]), rel=1e-5)


def test_draws_are_spread_evenly_over_chains():
    points = jnp.arange(1000).reshape(4, 250, 1)
    chosen = np.asarray(nuts.evenly(points, 256))[:, 0]
    assert len(set(chosen)) == 256 and (np.bincount(chosen // 250) == 64).all()
    np.testing.assert_array_equal(nuts.evenly(points[:, :10], 256)[:, 0], points[:, :10, 0].reshape(-1))


def test_options_out_of_range_are_refused():
    with pytest.raises(BadInput, match="at least 20"):
        configured(nuts.NUMPYRO_NUTS, {"warmup": 3})
