"""The posterior of the national model by the no-U-turn sampler of NumPyro."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from numpyro.infer.hmc import hmc
from numpyro.infer.hmc_util import euclidean_kinetic_energy

from simbench.backends import national
from simbench.backends.base import Backend, jax_backend
from simbench.backends.contender import Contender, Option
from simbench.records import Answers, Brief, Diagnostics

Array = Any
#: R-hat up to which a fit calls itself converged (Vehtari and others 2021).
RHAT = 1.01


class Sampler(NamedTuple):
    """How long and how carefully to sample."""

    chains: int
    warmup: int
    samples: int
    target_accept: float


def sample(
    key: Array, log_density: Callable[[Array], Array], size: int, sampler: Sampler
) -> tuple[Array, Array, Array]:
    """Chains of NUTS, one after the other.

    Parameters
    ----------
    log_density : callable
        Of a point z [size]; finite everywhere near its mode.

    Returns
    -------
    points [chains, samples, size], leapfrog steps and divergences [chains, samples]
    """

    def chain(key: Array) -> tuple[Array, Array, Array]:
        start_key, chain_key = jax.random.split(key)
        init, step = hmc(lambda z: -log_density(z), kinetic_fn=euclidean_kinetic_energy, algo="NUTS")
        start = jax.random.uniform(start_key, (size,), minval=-1.0, maxval=1.0)
        state = init(start, sampler.warmup, step_size=0.1, target_accept_prob=sampler.target_accept, rng_key=chain_key)

        def kept(state: Any, _: None) -> tuple[Any, tuple[Array, Array, Array]]:
            state = step(state)
            return state, (state.z, state.num_steps, state.diverging)

        state, warm = jax.lax.scan(kept, state, None, length=sampler.warmup + sampler.samples)
        return jax.tree.map(lambda x: x[sampler.warmup :], warm)

    # side by side the chains would wait for the longest trajectory at every step
    return jax.lax.map(chain, jax.random.split(key, sampler.chains))


def diagnose(x: Array) -> tuple[Array, Array]:
    """Split R-hat and effective sample size [Q] of chains [M, S, Q].

    Sums of autocorrelations are cut by Geyer's initial monotone sequence.

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
    correlation = (1.0 - (within - autocovariance) / total).at[0].set(1.0)
    pairs = correlation[: half - half % 2].reshape(half // 2, 2, -1).sum(axis=1)
    falling = jax.lax.cummin(jnp.maximum(pairs[1:], 0.0), axis=0)
    time = -1.0 + 2.0 * (pairs[0] + falling.sum(axis=0))
    return jnp.sqrt(total / within), x.shape[0] * half / time


def evenly(points: Array, draws: int) -> Array:
    """At most so many points [D, ...] of chains [M, S, ...], spread evenly over all of them."""
    every = points.reshape(-1, *points.shape[2:])
    count = min(draws, len(every))
    return every[(2 * jnp.arange(count) + 1) * len(every) // (2 * count)]


def posterior(priors: national.Priors, sampler: Sampler, key: Array, brief: Brief) -> Answers:
    """The national model fitted to a brief; the plain coefficients are integrated out and drawn after."""
    data = national.data_of(brief, priors)
    linear = national.linear_of(data)

    def log_density(z: Array) -> Array:
        parameters = national.placed(z, data, priors)
        return national.log_prior(z, priors) + national.log_likelihood(parameters, data, linear)

    chains_key, plain_key, noise_key = jax.random.split(key, 3)
    points, _, diverging = sample(chains_key, log_density, 4 * data.worth.shape[0] + 1, sampler)
    chosen = evenly(points, brief.questions.sizes.draws)
    parameters = jax.vmap(lambda z: national.placed(z, data, priors))(chosen)
    parameters = jax.vmap(lambda k, one: national.plain_draw(k, one, data, linear))(
        jax.random.split(plain_key, len(chosen)), parameters
    )
    answers = national.answers_of(noise_key, parameters, data, brief)
    # contributions of the seen weeks are ROAS times a constant
    roas = jnp.exp(data.log_roas[0] + data.log_roas[1] * points[..., : data.worth.shape[0]])
    rhat, ess = diagnose(jnp.concatenate([points, roas], axis=-1))
    converged = jnp.where(rhat.max() <= RHAT, 1.0, 0.0)
    unknown = jnp.full((), jnp.nan)
    return answers._replace(
        diagnostics=Diagnostics(rhat.max(), ess.min(), diverging.sum() * 1.0, unknown, converged, 1.0 - converged)
    )


def _made(chains: int, warmup: int, samples: int, target_accept: float, **numbers: Any) -> Backend:
    sampler = Sampler(chains, warmup, samples, target_accept)
    author = partial(posterior, national.Priors(**numbers), sampler)
    return jax_backend(
        "numpyro-nuts", author, block=1, together=False, tags=("native", "bayesian"), handles=national.HANDLES
    )


NUMPYRO_NUTS = Contender(
    "numpyro-nuts",
    "the national Bayesian model, its posterior by the no-U-turn sampler",
    _made,
    options=(
        Option("chains", 4, "independent chains", "chains", low=1, high=64),
        Option("warmup", 250, "steps of each chain that adapt and are thrown away", "steps", low=20),
        Option("samples", 250, "steps of each chain that are kept", "steps", low=4),
        Option("target_accept", 0.8, "acceptance that the step size is adapted to", source="Stan", low=0.5, high=0.999),
        *national.OPTIONS,
    ),
    source="docs/models.md; NumPyro (Phan and others 2019)",
    answers="everything but contributions by geo",
)
