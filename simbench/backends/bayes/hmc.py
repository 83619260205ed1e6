"""Hamiltonian Monte Carlo of fixed length, in the metric of the mode, for many worlds side by side.

All chains of all worlds take the same number of leapfrog steps, so that nobody waits for anybody, as
in NUTS under vmap. The metric is the curvature at the mode; only the step size is adapted.

Trajectories of one length are half a turn in most directions: draws lie opposite each other, means look known far
better than long tails are, and a tail that is seldom entered does not show. So every second trajectory is longer.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from simbench.backends.bayes import mode
from simbench.backends.bayes.engine import Draws, Engine
from simbench.backends.bayes.mode import LogDensity, Normal, Place, at
from simbench.backends.bayes.random import normals, uniforms
from simbench.backends.traced import known

Array = Any
#: Error of the energy above which a trajectory counts as divergent (Stan).
DIVERGENT = 1000.0
#: What the curvature at the mode weighs, in draws, against the width that chains have seen.
PRIOR_DRAWS = 10.0


class Tuning(NamedTuple):
    """How long and how carefully to sample."""

    chains: int
    warmup: int
    samples: int  #: a round
    rounds: int  #: at most
    leapfrogs: int  #: of a trajectory, and of every one in the warm-up
    longer: int  #: of every second trajectory
    accept: float  #: acceptance that steps are adapted to; short warm-ups stay up to .2 above, on the careful side
    ess: float  #: effective draws of every return that are enough


@known
class State(NamedTuple):
    """Where the chains of one world are."""

    normal: Normal
    chains: Place  #: [K, ...] in whitened points w: z = mode + spread w
    step: Array  #: [n] of each direction of w
    key: Array  #: its data


class Chance(NamedTuple):
    """The random numbers of trajectories; all are drawn at once, before the first."""

    momentum: Array  #: [..., n] standard normal
    jitter: Array  #: [...] factor of the step, so that no period is hit
    threshold: Array  #: [...] acceptance below which the trajectory is thrown away


def chance(key: Array, shape: tuple[int, ...], size: int, dtype: Any) -> Chance:
    """Random numbers of trajectories [...]."""
    momentum_key, uniform_key = jax.random.split(key)
    jitter, threshold = uniforms(uniform_key, (2, *shape), dtype)
    return Chance(normals(momentum_key, (*shape, size), dtype), 0.7 + 0.6 * jitter, threshold)


def moved(
    log_density: LogDensity, leapfrogs: Array | int, start: Place, step: Array, drawn: Chance
) -> tuple[Place, Array, Array]:
    """One trajectory of one chain: where it ends, its acceptance, whether it diverged.

    References
    ----------
    Neal 2011, MCMC using Hamiltonian dynamics.
    """
    p, step = drawn.momentum, step * drawn.jitter

    def leap(_: Array, carry: tuple[Place, Array]) -> tuple[Place, Array]:
        here, p = carry
        p = p + 0.5 * step * here.slope
        here = at(log_density, here.z + step * p)
        return here, p + 0.5 * step * here.slope

    end, p_end = jax.lax.fori_loop(0, leapfrogs, leap, (start, p))
    change = (end.value - 0.5 * p_end @ p_end) - (start.value - 0.5 * p @ p)
    change = jnp.where(jnp.isfinite(change), change, -jnp.inf)
    accept = jnp.exp(jnp.minimum(change, 0.0))
    taken = drawn.threshold < accept
    return jax.tree.map(lambda x, y: jnp.where(taken, x, y), end, start), accept, change < -DIVERGENT


def begin(tuning: Tuning, log_density: LogDensity, size: int, key: Array, dtype: Any) -> State:
    """Chains that start where the climbs ended, their steps adapted: first to one width, then to that of each axis.

    A climb that found another mode starts there, and R-hat will tell; one that got lost starts at the mode.

    References
    ----------
    Hoffman and Gelman 2014: dual averaging, with their constants.
    """
    mode_key, warm_key, key = jax.random.split(key, 3)
    normal, ends = mode.found(log_density, size, mode_key, dtype)
    ends = jax.tree.map(lambda x: x[jnp.arange(tuning.chains) % x.shape[0]], ends)
    sound = jnp.isfinite(ends.value)
    ends = jax.tree.map(lambda x, y: jnp.where(sound.reshape(-1, *(1,) * y.ndim), x, y), ends, normal.mode)
    chains = Place((ends.z - normal.mode.z) @ normal.factor, ends.value, ends.slope @ normal.spread)
    move = jax.vmap(partial(moved, white(log_density, normal), tuning.leapfrogs), (0, None, 0))
    first, zero = jnp.asarray(1.2 * size**-0.25, dtype), jnp.zeros((), dtype)
    half = tuning.warmup // 2
    steps = jnp.arange(1, half + 1).astype(dtype)

    def adapted(carry: tuple[Place, Array], drawn: Chance) -> tuple[tuple[Place, Array], Array]:
        chains, width = carry

        def warm(carry: tuple[Any, ...], now: tuple[Array, Chance]) -> tuple[tuple[Any, ...], Array]:
            chains, step, error, average = carry
            i, drawn = now
            chains, accept, _ = move(chains, step * width, drawn)
            error = (1.0 - 1.0 / (i + 10.0)) * error + (tuning.accept - accept.mean()) / (i + 10.0)
            log_step = jnp.log(10.0 * first) - jnp.sqrt(i) / 0.05 * error
            share = i**-0.75
            average = share * log_step + (1.0 - share) * average
            return (chains, jnp.exp(log_step), error, average), chains.z

        (chains, _, _, average), path = jax.lax.scan(warm, (chains, first, zero, zero), (steps, drawn))
        settled = path[half // 3 :]
        count = settled.shape[0] * tuning.chains
        # shrunk towards the width at the mode, as Stan does
        seen = jnp.sqrt((count * settled.var(axis=(0, 1)) + PRIOR_DRAWS) / (count + PRIOR_DRAWS))
        return (chains, seen), jnp.exp(average) * width

    drawn = chance(warm_key, (2, half, tuning.chains), size, dtype)
    (chains, _), step = jax.lax.scan(adapted, (chains, jnp.ones(size, dtype)), drawn)
    return State(normal, chains, step[-1], jax.random.key_data(key))


def white(log_density: LogDensity, normal: Normal) -> LogDensity:
    """The density in coordinates in which the approximation is standard normal."""
    return lambda w: log_density(normal.mode.z + normal.spread @ w)


def advance(tuning: Tuning, log_density: LogDensity, state: State) -> tuple[State, Draws]:
    """One more round of every chain."""
    normal = state.normal
    move = jax.vmap(partial(moved, white(log_density, normal)), (None, 0, None, 0))

    def kept(chains: Place, now: tuple[Array, Chance]) -> tuple[Place, tuple[Array, Array]]:
        length, drawn = now
        chains, _, diverged = move(length, chains, state.step, drawn)
        return chains, (chains.z, diverged)

    count, size = state.chains.z.shape
    now, key = jax.random.split(jax.random.wrap_key_data(state.key))
    drawn = chance(now, (tuning.samples, count), size, state.step.dtype)
    lengths = jnp.where(jnp.arange(tuning.samples) % 2 == 0, tuning.leapfrogs, tuning.longer)
    chains, (path, diverged) = jax.lax.scan(kept, state.chains, (lengths, drawn))
    points = normal.mode.z + jnp.swapaxes(path, 0, 1) @ normal.spread.T
    unknown = jnp.full((), jnp.nan, points.dtype)
    state = state._replace(chains=chains, key=jax.random.key_data(key))
    return state, Draws(points, diverged.sum() * 1.0, unknown, unknown)


def hmc(tuning: Tuning) -> Engine:
    """The engine."""
    return Engine(
        "hmc",
        lambda density, size, key, dtype: begin(tuning, density, size, key, dtype),
        lambda density, state: advance(tuning, density, state),
        tuning,
        rounds=tuning.rounds,
        ess=tuning.ess,
    )
