"""How well draws stand for a posterior: R-hat and effective size of chains, k-hat of importance weights."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

Array = Any
#: R-hat up to which a fit calls itself converged (Vehtari and others 2021).
RHAT = 1.01
#: k-hat up to which importance sampling is to be trusted (Vehtari and others 2024).
KHAT = 0.7


def chains_agree(x: Array) -> tuple[Array, Array]:
    """Split R-hat and effective sample size [Q] of chains [M, S, Q].

    Sums of autocorrelations are cut by Geyer's initial monotone sequence. A quantity that never moves has
    R-hat 1 and no more than one effective draw.

    References
    ----------
    Stan Reference Manual, section on effective sample size; Geyer 1992.
    """
    half = x.shape[1] // 2
    x = jnp.concatenate([x[:, :half], x[:, -half:]])
    centred = x - x.mean(axis=1, keepdims=True)
    power = jnp.abs(jnp.fft.rfft(centred, n=2 * half, axis=1)) ** 2
    autocovariance = jnp.fft.irfft(power, n=2 * half, axis=1)[:, :half].mean(axis=0) / half
    within = x.var(axis=1, ddof=1).mean(axis=0)
    total = within * (half - 1) / half + x.mean(axis=1).var(axis=0, ddof=1)
    still = (x == x[:1, :1]).all(axis=(0, 1))  # exactly: the variance of a constant may be a rounding error
    safe = jnp.where(still, 1.0, total)
    correlation = (1.0 - (within - autocovariance) / safe).at[0].set(1.0)
    pairs = correlation[: half - half % 2].reshape(half // 2, 2, -1).sum(axis=1)
    falling = jax.lax.cummin(jnp.maximum(pairs[1:], 0.0), axis=0)
    time = -1.0 + 2.0 * (pairs[0] + falling.sum(axis=0))
    # antithetic chains know more than independent draws; Stan's cap keeps chance from promising too much
    time = jnp.maximum(time, 1.0 / jnp.log10(jnp.maximum(x.shape[0] * half, 10.0)))
    rhat = jnp.sqrt(safe / within)  # infinite where chains are stuck apart
    return jnp.where(still, 1.0, rhat), jnp.where(still, 1.0, x.shape[0] * half / time)


def pareto(excess: Array) -> tuple[Array, Array]:
    """Shape k and scale of a generalised Pareto distribution fitted to sorted excesses [n] > 0.

    References
    ----------
    Zhang and Stephens 2009; the weak prior on k is that of Vehtari and others 2024.
    """
    n = excess.shape[0]
    many = 30 + int(n**0.5)
    quarter = excess[int(n / 4 + 0.5) - 1]
    theta = 1.0 / excess[-1] + (1.0 - jnp.sqrt(many / (jnp.arange(1, many + 1) - 0.5))) / (3.0 * quarter)
    shape = jnp.log1p(-theta[:, None] * excess).mean(axis=1)
    profile = n * (jnp.log(-theta / shape) - shape - 1.0)
    theta = (jax.nn.softmax(profile) * theta).sum()
    shape = jnp.log1p(-theta * excess).mean()
    return (shape * n + 0.5 * 10.0) / (n + 10.0), -shape / theta


def smoothed(log_weights: Array) -> tuple[Array, Array]:
    """Pareto-smoothed log weights [n], normalised, and their k-hat.

    The largest weights are replaced by the expected order statistics of the fitted tail.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry 2024, Pareto smoothed importance sampling.
    """
    n = log_weights.shape[0]
    tail = min(n // 5, int(3 * n**0.5))
    order = jnp.argsort(log_weights)
    ordered = log_weights[order] - log_weights[order[-1]]
    cut = ordered[n - tail - 1]
    excess = jnp.maximum(jnp.exp(ordered[n - tail :]) - jnp.exp(cut), jnp.finfo(ordered.dtype).tiny)
    shape, scale = pareto(excess)
    share = (jnp.arange(tail) + 0.5) / tail
    quantile = scale * jnp.expm1(-shape * jnp.log1p(-share)) / shape
    fitted = jnp.minimum(jnp.log(jnp.exp(cut) + quantile), 0.0)
    usable = jnp.isfinite(shape) & jnp.isfinite(fitted).all()
    ordered = jnp.concatenate([ordered[: n - tail], jnp.where(usable, fitted, ordered[n - tail :])])
    weights = jnp.zeros_like(ordered).at[order].set(ordered)
    return weights - jax.nn.logsumexp(weights), jnp.where(jnp.isfinite(shape), shape, jnp.inf)
