"""R-hat and effective size against NumPyro, Pareto smoothing against a second writing of the paper."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from scipy import stats

from simbench.backends.bayes.diagnose import KHAT, chains_agree, pareto, smoothed
from simbench.blocks import in_float32, in_float64

AGREE, SMOOTHED, PARETO = jax.jit(chains_agree), jax.jit(smoothed), jax.jit(pareto)


# --- chains


def autoregressive(chains, samples, rho, seed=0):
    """Chains [M, S, Q] of AR(1) series of variance 1."""
    rng, rho = np.random.default_rng(seed), np.asarray(rho)
    x = np.empty((chains, samples, len(rho)))
    x[:, 0] = rng.standard_normal((chains, len(rho)))
    for t in range(1, samples):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * rng.standard_normal((chains, len(rho)))
    return x


@pytest.mark.parametrize("samples", [200, 201, 202, 203, 7])
def test_chains_agree_as_numpyro_says(samples):
    """NumPyro leaves the splitting to its caller, and Stan's cap of N log10(N) effective draws out."""
    x = autoregressive(3, samples, [0.0, 0.5, 0.95, -0.4, -0.9])
    x[1, :, 1] += 0.5
    rhat, ess = in_float64(AGREE, x)
    half = samples // 2
    split = np.concatenate([x[:, :half], x[:, -half:]])
    count = 6 * half
    for j in range(x.shape[-1]):
        assert rhat[j] == pytest.approx(split_gelman_rubin(x[..., j]), rel=1e-12)
        time = count / effective_sample_size(split[..., j])  # may be below 0 for antithetic chains
        assert ess[j] == pytest.approx(count / max(time, 1 / np.log10(max(count, 10))), rel=1e-9)


def test_effective_draws_are_those_of_theory():
    """An AR(1) of coefficient r is worth (1 - r)/(1 + r) draws each; ten times, within four standard errors."""
    rho = np.array([0.0, 0.5, 0.9])
    worth = np.array([in_float64(AGREE, autoregressive(4, 1000, rho, seed))[1] for seed in range(10)]) / 4000
    error = worth.std(axis=0, ddof=1) / np.sqrt(10)
    np.testing.assert_array_less(abs(worth.mean(axis=0) - (1 - rho) / (1 + rho)), 4 * error)


def test_one_chain_elsewhere_shows():
    """Two of eight half-chains are d away from the others: their means vary by 12 d^2 / (8 x 7)."""
    x = autoregressive(4, 1000, [0.0, 0.0])
    x[2, :, 1] += 3.0
    rhat, ess = in_float64(AGREE, x)
    assert rhat[0] < 1.01 and ess[0] > 3000
    assert rhat[1] == pytest.approx(np.sqrt(1 + 9 * 12 / 56), rel=0.05) and ess[1] < 20


def test_chains_that_drift_together_show():
    """From -2 to 2: halves lie 2 apart, their means vary by 8/7, and each half by 1 + 2^2/12."""
    x = autoregressive(4, 1000, [0.0]) + np.linspace(-2, 2, 1000)[:, None]
    rhat, _ = in_float64(AGREE, x)
    assert rhat[0] == pytest.approx(np.sqrt(1 + (8 / 7) / (4 / 3)), rel=0.02)


def test_stuck_chains():
    """A constant is no quarrel but worth one draw; chains stuck at several places will never agree."""
    at = np.array([0.0, 0.25, 0.1, 1 / 3])
    rhat, ess = in_float64(AGREE, np.broadcast_to(at, (4, 100, 4)))
    np.testing.assert_array_equal([rhat, ess], np.ones((2, 4)))
    rhat, ess = in_float64(AGREE, np.arange(4.0)[:, None, None] * np.broadcast_to(at[1:], (4, 100, 3)))
    assert (rhat > 1e6).all() and (ess < 10).all()


def test_a_chain_that_is_not_finite_is_not_called_converged():
    x = autoregressive(4, 100, [0.0, 0.0])
    x[0, 7, 0] = np.nan
    rhat, ess = in_float64(AGREE, x)
    assert not rhat[0] <= 1.01 and not ess[0] >= 1 and np.isfinite(rhat[1])


def test_units_do_not_matter():
    x = autoregressive(4, 200, [0.5])
    one, two = in_float64(AGREE, x), in_float64(AGREE, 2.0**40 * x)
    np.testing.assert_array_equal(one, two)


# --- weights


def psis(log_weights):
    """Vehtari and others 2024, step by step: normalised log weights and k-hat."""
    n = len(log_weights)
    size = int(min(n / 5, 3 * np.sqrt(n)))
    order = sorted(range(n), key=lambda i: log_weights[i])
    out = log_weights - max(log_weights)
    cut = np.exp(out[order[n - size - 1]])
    tail = np.exp(out[order[n - size :]]) - cut
    shape, scale = zhang_stephens(tail)
    for rank, i in enumerate(order[n - size :], 1):  # expected order statistics of the fitted tail, no larger than 1
        quantile = stats.genpareto(shape, scale=scale).ppf((rank - 0.5) / size)
        out[i] = min(np.log(cut + quantile), 0.0)
    return out - np.log(np.exp(out).sum()), shape


def zhang_stephens(x):
    """Posterior mean of theta = -k/scale under their prior from the data; k drawn a little to one half."""
    n, quartile = len(x), x[int(len(x) / 4 + 0.5) - 1]
    m = 30 + int(np.sqrt(n))
    theta = [1 / x[-1] + (1 - np.sqrt(m / (j - 0.5))) / (3 * quartile) for j in range(1, m + 1)]

    def shape_of(t):
        return np.mean(np.log(1 - t * x))

    profile = np.array([n * (np.log(-t / shape_of(t)) - shape_of(t) - 1) for t in theta])
    weight = np.exp(profile - profile.max())
    mean = np.dot(weight, theta) / weight.sum()
    return (n * shape_of(mean) + 10 * 0.5) / (n + 10), -shape_of(mean) / mean


@pytest.mark.parametrize("n", [100, 900, 2500])
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_smoothing_is_that_of_the_paper(n, spread):
    log_weights = spread * np.random.default_rng(n).standard_normal(n) - 300.0
    told, khat = in_float64(SMOOTHED, log_weights)
    expected, shape = psis(log_weights)
    assert khat == pytest.approx(shape, rel=1e-9)
    np.testing.assert_allclose(told, expected, rtol=1e-9)


@pytest.mark.parametrize("k", [0.3, 0.7, 1.0])
def test_a_known_tail_is_found(k):
    """Excesses of a generalised Pareto are one of the same k over every threshold; error (1 + k)/sqrt(tail) a fit."""
    n, fits = 10_000, 40
    size = int(3 * np.sqrt(n))
    weights = stats.genpareto(k).rvs((fits, n), random_state=np.random.default_rng(8))
    khat = np.array([in_float64(SMOOTHED, np.log(own))[1] for own in weights])
    drawn = (size * k + 5) / (size + 10)  # towards one half
    error = (1 + k) / np.sqrt(size)
    assert abs(khat.mean() - drawn) < 4 * error / np.sqrt(fits)
    assert khat.std() == pytest.approx(error, rel=4 / np.sqrt(2 * fits))


def test_a_fitted_tail_has_the_scale_of_its_data():
    x = np.sort(stats.genpareto(0.4, scale=3.0).rvs(4000, random_state=np.random.default_rng(1)))
    shape, scale = in_float64(PARETO, x)
    # asymptotic standard errors (1 + k)/sqrt(n) and scale sqrt(2 (1 + k)/n)
    assert abs(shape - 0.4) < 4 * 1.4 / np.sqrt(4000)
    assert abs(scale / 3.0 - 1) < 4 * np.sqrt(2 * 1.4 / 4000)


@pytest.mark.parametrize("call", [in_float64, in_float32])
def test_equal_weights_stay_equal(call):
    told, khat = call(SMOOTHED, np.full(1000, -1234.5))
    np.testing.assert_allclose(told, -np.log(1000), rtol=1e-5)
    assert khat < KHAT


@pytest.mark.parametrize("call", [in_float64, in_float32])
@pytest.mark.parametrize("lead", [20.0, 60.0, 300.0])
def test_one_giant_weight_is_not_trusted(call, lead):
    log_weights = 0.1 * np.random.default_rng(0).standard_normal(1000)
    log_weights[17] += lead
    told, khat = call(SMOOTHED, log_weights)
    assert khat > KHAT and np.isfinite(told).all()
    assert told.argmax() == 17


def test_smoothing_keeps_order_and_what_lies_below_the_tail():
    log_weights = 2.0 * np.random.default_rng(4).standard_normal(1000)
    told, khat = in_float64(SMOOTHED, log_weights)
    assert np.exp(told).sum() == pytest.approx(1, abs=1e-12)
    order = np.argsort(log_weights)
    assert (np.diff(told[order]) >= 0).all()
    below = order[: 1000 - int(3 * np.sqrt(1000))]
    np.testing.assert_allclose(np.diff(told[below]), np.diff(log_weights[below]), atol=1e-12)
    turned, again = in_float64(SMOOTHED, log_weights[::-1] + 500.0)
    np.testing.assert_allclose(turned[::-1], told, atol=1e-10)
    assert again == pytest.approx(khat, abs=1e-10)


def test_float32_is_close():
    log_weights = np.random.default_rng(5).standard_normal(2500)
    (one, k_one), (two, k_two) = in_float64(SMOOTHED, log_weights), in_float32(SMOOTHED, log_weights)
    np.testing.assert_allclose(two, one, atol=2e-4)
    assert k_two == pytest.approx(k_one, abs=2e-3)
