"""Hamiltonian Monte Carlo of fixed length, in the metric of the mode, for many worlds side by side.

All chains of all worlds take the same number of leapfrog steps, so that nobody waits for anybody, as
in NUTS under vmap. The metric is the curvature at the mode; only the step size is adapted.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from simbench.backends.bayes import mode
from simbench.backends.bayes.engine import Draws, Engine
from simbench.backends.bayes.mode import LogDensity, Normal

Array = Any
#: Error of the energy above which a trajectory counts as divergent (Stan).
DIVERGENT = 1000.0


class Tuning(NamedTuple):
    """How long and how carefully to sample."""

    chains: int
    warmup: int
    samples: int  #: a round
    rounds: int  #: at most
    leapfrogs: int
    accept: float  #: acceptance that the step size is adapted to
    ess: float  #: effective draws of every return that are enough


class State(NamedTuple):
    """Where the chains of one world are."""

    normal: Normal
    w: Array  #: [K, n] whitened: z = mode + spread w
    step: Array  #: []
    key: Array  #: its data


def moved(log_density: LogDensity, leapfrogs: int, w: Array, step: Array, key: Array) -> tuple[Array, Array, Array]:
    """One trajectory of one chain from w [n]: where it ends, its acceptance, whether it diverged.

    References
    ----------
    Neal 2011, MCMC using Hamiltonian dynamics; the step is jittered so that no period is hit.
    """
    slope = jax.value_and_grad(log_density)
    p_key, u_key, jitter_key = jax.random.split(key, 3)
    p = jax.random.normal(p_key, w.shape, w.dtype)
    step = step * jax.random.uniform(jitter_key, (), w.dtype, 0.7, 1.3)
    value, g = slope(w)
    before = value - 0.5 * p @ p

    def leap(carry: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], None]:
        x, p, _, g = carry
        p = p + 0.5 * step * g
        x = x + step * p
        there, g = slope(x)
        return (x, p + 0.5 * step * g, there, g), None

    (x, p, there, _), _ = jax.lax.scan(leap, (w, p, value, g), None, length=leapfrogs)
    change = there - 0.5 * p @ p - before
    change = jnp.where(jnp.isfinite(change), change, -jnp.inf)
    accept = jnp.exp(jnp.minimum(change, 0.0))
    taken = jax.random.uniform(u_key, (), w.dtype) < accept
    return jnp.where(taken, x, w), accept, change < -DIVERGENT


def begin(tuning: Tuning, log_density: LogDensity, size: int, key: Array, dtype: Any) -> State:
    """Chains spread around the ends of several climbs, their step size adapted.

    References
    ----------
    Hoffman and Gelman 2014: dual averaging, with their constants.
    """
    mode_key, start_key, warm_key, key = jax.random.split(key, 4)
    normal, ends = mode.found(log_density, size, mode_key, dtype)
    ends = ends[jnp.arange(tuning.chains) % ends.shape[0]]
    # a climb that got lost starts at the mode; one that found another mode starts there, and R-hat will tell
    ends = jnp.where(jnp.isfinite(jax.vmap(log_density)(ends))[:, None], ends, normal.mode)
    w = (ends - normal.mode) @ normal.factor + jax.random.normal(start_key, ends.shape, dtype)
    whitened = white(log_density, normal)
    first = jnp.asarray(1.2 * size**-0.25, dtype)

    def warm(carry: tuple[Array, ...], i: Array) -> tuple[tuple[Array, ...], None]:
        w, step, error, average, key = carry
        key, now = jax.random.split(key)
        w, accept, _ = jax.vmap(lambda w, k: moved(whitened, tuning.leapfrogs, w, step, k))(
            w, jax.random.split(now, tuning.chains)
        )
        error = (1.0 - 1.0 / (i + 10.0)) * error + (tuning.accept - accept.mean()) / (i + 10.0)
        log_step = jnp.log(10.0 * first) - jnp.sqrt(i) / 0.05 * error
        share = i**-0.75
        average = share * log_step + (1.0 - share) * average
        return (w, jnp.exp(log_step), error, average, key), None

    zero = jnp.zeros((), dtype)
    carry, _ = jax.lax.scan(
        warm, (w, first, zero, zero, warm_key), jnp.arange(1, tuning.warmup + 1).astype(dtype)
    )
    return State(normal, carry[0], jnp.exp(carry[3]), jax.random.key_data(key))


def white(log_density: LogDensity, normal: Normal) -> LogDensity:
    """The density in coordinates in which the approximation is standard normal."""
    return lambda w: log_density(normal.mode + normal.spread @ w)


def advance(tuning: Tuning, log_density: LogDensity, state: State) -> tuple[State, Draws]:
    """One more round of every chain."""
    whitened = white(log_density, state.normal)

    def kept(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        w, key = carry
        key, now = jax.random.split(key)
        w, _, diverged = jax.vmap(lambda w, k: moved(whitened, tuning.leapfrogs, w, state.step, k))(
            w, jax.random.split(now, tuning.chains)
        )
        return (w, key), (w, diverged)

    (w, key), (path, diverged) = jax.lax.scan(kept, (state.w, jax.random.wrap_key_data(state.key)), None, length=tuning.samples)
    points = state.normal.mode + jnp.swapaxes(path, 0, 1) @ state.normal.spread.T
    unknown = jnp.full((), jnp.nan, w.dtype)
    return state._replace(w=w, key=jax.random.key_data(key)), Draws(points, diverged.sum() * 1.0, unknown, unknown)


def hmc(tuning: Tuning) -> Engine:
    """The engine."""
    return Engine(
        "hmc",
        lambda density, size, key, dtype: begin(tuning, density, size, key, dtype),
        lambda density, state: advance(tuning, density, state),
        rounds=tuning.rounds,
        ess=tuning.ess,
    )
