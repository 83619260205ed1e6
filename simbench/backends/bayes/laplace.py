"""Importance sampling around the mode: a t distribution as proposal, Pareto-smoothed weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from simbench.backends.bayes import mode
from simbench.backends.bayes.diagnose import smoothed
from simbench.backends.bayes.engine import Draws, Engine
from simbench.backends.bayes.mode import LogDensity, Normal
from simbench.backends.bayes.random import normals
from simbench.backends.traced import known

Array = Any
FREEDOM = 7.0  #: of the proposal: tails a little heavier than normal
#: Draws handed on: enough for every suite; the runner's number is taken from them.
KEPT = 1024


@known
class State(NamedTuple):
    """One world's approximation."""

    normal: Normal
    key: Array  #: its data


def begin(log_density: LogDensity, size: int, key: Array, dtype: Any) -> State:
    """The normal approximation at the best of several climbs."""
    mode_key, key = jax.random.split(key)
    return State(mode.found(log_density, size, mode_key, dtype)[0], jax.random.key_data(key))


def advance(pool: int, log_density: LogDensity, state: State) -> tuple[State, Draws]:
    """A pool of the proposal, weighted, and draws from it in proportion to weight.

    References
    ----------
    Vehtari and others 2024 (smoothing, k-hat); systematic resampling after Kitagawa 1996.
    """
    normal = state.normal
    mean, n = normal.mode.z, normal.mode.z.shape[0]
    normal_key, mixing_key, pick_key, order_key, key = jax.random.split(jax.random.wrap_key_data(state.key), 5)
    w = normals(normal_key, (pool, n), mean.dtype)
    mixing = jax.random.gamma(mixing_key, 0.5 * FREEDOM, (pool,), w.dtype) / (0.5 * FREEDOM)
    w = w / jnp.sqrt(mixing)[:, None]
    points = mean + w @ normal.spread.T
    proposal = -0.5 * (FREEDOM + n) * jnp.log1p((w**2).sum(axis=1) / FREEDOM)
    density = jax.lax.map(log_density, points, batch_size=64)
    log_weights = jnp.where(jnp.isfinite(density), density - proposal, -jnp.inf)
    usable = jnp.isfinite(log_weights.max())  # somewhere the density is finite
    log_weights = jnp.where(usable, log_weights, 0.0)
    weights, khat = smoothed(jnp.maximum(log_weights, log_weights.max() - 80.0))
    share = jnp.cumsum(jnp.exp(weights))
    at = (jnp.arange(KEPT) + jax.random.uniform(pick_key, (), w.dtype)) / KEPT
    picked = jnp.minimum(jnp.searchsorted(share, at * share[-1]), pool - 1)
    picked = jax.random.permutation(order_key, picked)
    ess = jnp.where(usable, 1.0 / jnp.exp(2.0 * weights).sum(), 0.0)
    khat = jnp.where(usable, khat, jnp.inf)
    return State(normal, jax.random.key_data(key)), Draws(points[picked][None], jnp.zeros((), w.dtype), khat, ess)


def laplace(pool: int) -> Engine:
    """The engine."""
    return Engine("laplace", begin, lambda density, state: advance(pool, density, state), pool, exact=False)
