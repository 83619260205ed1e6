"""The highest point of a log density, and the normal approximation around it.

Every loop evaluates the density at one place in its body only: it is the program text, not the
arithmetic, that compilers take long over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from simbench.backends.bayes.linear import cholesky, solve_upper
from simbench.backends.traced import known

Array = Any
LogDensity = Callable[[Array], Array]

STARTS = 4
CLIMB = 150  #: steps of Adam from each start
RATE = 0.1
POLISH = 10  #: steps of Newton's method, damped as by Levenberg and Marquardt
#: What is added to the diagonal of a curvature until it is positive definite.
LADDER = (0.0, 1e-4, 1e-2, 1e-1, 1.0, 10.0, 1e3)


@known
class Place(NamedTuple):
    """A point and the log density there."""

    z: Array  #: [n]
    value: Array  #: []
    slope: Array  #: [n]


@known
class Normal(NamedTuple):
    """A normal distribution: ``mode + spread w``, w standard normal."""

    mode: Place
    factor: Array  #: [n, n] lower factor of the precision
    spread: Array  #: [n, n]


def at(log_density: LogDensity, z: Array) -> Place:
    """The density at z."""
    return Place(z, *jax.value_and_grad(log_density)(z))


def climb(log_density: LogDensity, start: Array) -> Place:
    """The highest place that Adam sees from a start [n], the rate falling to 0."""

    def step(carry: tuple[Array, ...], i: Array) -> tuple[tuple[Array, ...], None]:
        z, first, second, best = carry
        here = at(log_density, z)
        g = jnp.nan_to_num(here.slope)
        first, second = 0.9 * first + 0.1 * g, 0.99 * second + 0.01 * g**2
        rate = RATE * 0.5 * (1.0 + jnp.cos(jnp.pi * i / CLIMB))
        ahead = (first / (1.0 - 0.9 ** (i + 1))) / (jnp.sqrt(second / (1.0 - 0.99 ** (i + 1))) + 1e-8)
        return (z + rate * ahead, first, second, _kept(here.value > best.value, here, best)), None

    nothing = jnp.zeros_like(start)
    lowest = Place(start, jnp.full((), -jnp.inf, start.dtype), nothing)
    (_, _, _, best), _ = jax.lax.scan(step, (start, nothing, nothing, lowest), jnp.arange(CLIMB) * 1.0)
    return best


def polished(log_density: LogDensity, start: Array) -> Normal:
    """The normal distribution with the curvature of the highest place that damped Newton steps find from a start."""
    unit = jnp.eye(len(start), dtype=start.dtype)

    def toward(z: Array) -> tuple[Array, Place]:  # the slope, to be differentiated, and all there is to know
        here = at(log_density, z)
        return here.slope, here

    def step(carry: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
        z, best, damping = carry
        raw, here = jax.jacfwd(toward, has_aux=True)(z)
        better = here.value > best[0].value  # False for NaN
        best = _kept(better, (here, -0.5 * (raw + raw.T)), best)
        damping = jnp.where(better, 0.1 * damping, 10.0 * damping + 1e-2)
        upper = _inverse_upper(cholesky(best[1] + damping * unit))
        return (best[0].z + upper @ (upper.T @ best[0].slope), best, damping), None

    lowest = Place(start, jnp.full((), -jnp.inf, start.dtype), jnp.zeros_like(start))
    first = (start, (lowest, unit), jnp.asarray(1e-2, start.dtype))
    (_, (mode, matrix), _), _ = jax.lax.scan(step, first, None, length=POLISH)
    factors = cholesky(matrix + jnp.array(LADDER, start.dtype)[:, None, None] * unit)
    fine = jnp.isfinite(factors).all(axis=(1, 2))
    factor = jnp.where(fine.any(), factors[jnp.argmax(fine)], unit)
    return Normal(mode, factor, _inverse_upper(factor))


def _kept(which: Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda x, y: jnp.where(which, x, y), new, old)


def _inverse_upper(factor: Array) -> Array:
    return solve_upper(factor, jnp.eye(factor.shape[-1], dtype=factor.dtype))


def found(log_density: LogDensity, size: int, key: Array, dtype: Any) -> tuple[Normal, Place]:
    """The normal approximation at the best of several climbs, and where all of them ended [K, ...]."""
    starts = jax.random.uniform(key, (STARTS, size), dtype, -1.0, 1.0)
    ends = jax.vmap(lambda start: climb(log_density, start))(starts)
    return polished(log_density, ends.z[jnp.argmax(ends.value)]), ends
