"""The no-U-turn sampler of NumPyro: the referee."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from numpyro.infer.hmc import hmc
from numpyro.infer.hmc_util import euclidean_kinetic_energy

from simbench.backends.bayes.engine import Draws, Engine
from simbench.backends.bayes.mode import LogDensity

Array = Any


class Sampler(NamedTuple):
    """How long and how carefully to sample."""

    chains: int
    warmup: int
    samples: int
    target_accept: float


def sample(
    key: Array, log_density: LogDensity, size: int, sampler: Sampler, dtype: Any = None
) -> tuple[Array, Array, Array]:
    """Chains of NUTS from random starts, one after the other.

    Returns
    -------
    points [chains, samples, size], leapfrog steps and divergences [chains, samples]
    """

    def chain(key: Array) -> tuple[Array, Array, Array]:
        start_key, chain_key = jax.random.split(key)
        init, step = hmc(lambda z: -log_density(z), kinetic_fn=euclidean_kinetic_energy, algo="NUTS")
        start = jax.random.uniform(start_key, (size,), dtype or float, minval=-1.0, maxval=1.0)
        state = init(start, sampler.warmup, step_size=0.1, target_accept_prob=sampler.target_accept, rng_key=chain_key)

        def kept(state: Any, _: None) -> tuple[Any, tuple[Array, Array, Array]]:
            state = step(state)
            return state, (state.z, state.num_steps, state.diverging)

        # nothing of the steps that adapt is kept, so that long chains take no more memory than they hand back
        state = jax.lax.fori_loop(0, sampler.warmup, lambda _, state: step(state), state)
        return jax.lax.scan(kept, state, None, length=sampler.samples)[1]

    # side by side the chains would wait for the longest trajectory at every step
    return jax.lax.map(chain, jax.random.split(key, sampler.chains))


def nuts(sampler: Sampler) -> Engine:
    """The engine."""

    def begin(log_density: LogDensity, size: int, key: Array, dtype: Any) -> tuple[Array, Array]:
        return jax.random.key_data(key), jnp.zeros(size, dtype)

    def advance(log_density: LogDensity, state: tuple[Array, Array]) -> tuple[Any, Draws]:
        key, like = state
        points, _, diverged = sample(jax.random.wrap_key_data(key), log_density, like.shape[0], sampler, like.dtype)
        unknown = jnp.full((), jnp.nan, like.dtype)
        return state, Draws(points, diverged.sum() * 1.0, unknown, unknown)

    return Engine("nuts", begin, advance, sampler, together=False)
