"""The highest point of a log density, and the normal approximation around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from simbench.backends.bayes.linear import cholesky, solve_upper

Array = Any
LogDensity = Callable[[Array], Array]

STARTS = 4
CLIMB = 150  #: steps of Adam from each start
RATE = 0.1
POLISH = 10  #: steps of Newton's method, damped as by Levenberg and Marquardt
#: What is added to the diagonal of a curvature until it is positive definite.
LADDER = (0.0, 1e-4, 1e-2, 1e-1, 1.0, 10.0, 1e3)


class Normal(NamedTuple):
    """A normal distribution: ``mode + spread w``, w standard normal."""

    mode: Array  #: [n]
    value: Array  #: log density at the mode
    factor: Array  #: [n, n] lower factor of the precision
    spread: Array  #: [n, n]


def climb(log_density: LogDensity, starts: Array) -> tuple[Array, Array]:
    """Points [K, n] that Adam reaches from starts [K, n], the rate falling to 0, and their values."""
    slope = jax.vmap(jax.grad(log_density))

    def step(carry: tuple[Array, Array, Array], i: Array) -> tuple[tuple[Array, Array, Array], None]:
        z, first, second = carry
        g = jnp.nan_to_num(slope(z))
        first, second = 0.9 * first + 0.1 * g, 0.99 * second + 0.01 * g**2
        rate = RATE * 0.5 * (1.0 + jnp.cos(jnp.pi * i / CLIMB))
        ahead = (first / (1.0 - 0.9 ** (i + 1))) / (jnp.sqrt(second / (1.0 - 0.99 ** (i + 1))) + 1e-8)
        return (z + rate * ahead, first, second), None

    nothing = jnp.zeros_like(starts)
    (points, _, _), _ = jax.lax.scan(step, (starts, nothing, nothing), jnp.arange(CLIMB) * 1.0)
    return points, jax.vmap(log_density)(points)


def curvature(log_density: LogDensity, z: Array) -> Array:
    """Minus the matrix of second derivatives [n, n]."""
    raw = -jax.jacfwd(jax.grad(log_density))(z)
    return 0.5 * (raw + raw.T)


def polish(log_density: LogDensity, z: Array) -> Array:
    """The point that damped Newton steps from z reach; a step that does not climb is not taken."""

    def step(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
        z, value, damping = carry
        slope, matrix = jax.grad(log_density)(z), curvature(log_density, z)
        bends = cholesky(matrix + damping * jnp.eye(len(z), dtype=z.dtype))
        upper = _inverse_upper(bends)
        ahead = z + upper @ (upper.T @ slope)
        there = log_density(ahead)
        better = there > value  # False for NaN
        z, value = jnp.where(better, ahead, z), jnp.where(better, there, value)
        return (z, value, jnp.where(better, 0.1 * damping, 10.0 * damping + 1e-2)), None

    (z, _, _), _ = jax.lax.scan(step, (z, log_density(z), jnp.asarray(1e-3, z.dtype)), None, length=POLISH)
    return z


def around(log_density: LogDensity, z: Array) -> Normal:
    """The normal distribution whose curvature is that of the density at z."""
    matrix, unit = curvature(log_density, z), jnp.eye(len(z), dtype=z.dtype)
    factors = cholesky(matrix + jnp.array(LADDER, z.dtype)[:, None, None] * unit)
    fine = jnp.isfinite(factors).all(axis=(1, 2))
    factor = jnp.where(fine.any(), factors[jnp.argmax(fine)], unit)
    return Normal(z, log_density(z), factor, _inverse_upper(factor))


def _inverse_upper(factor: Array) -> Array:
    return solve_upper(factor, jnp.eye(factor.shape[-1], dtype=factor.dtype))


def found(log_density: LogDensity, size: int, key: Array, dtype: Any) -> tuple[Normal, Array]:
    """The normal approximation at the best of several climbs, and where all of them ended [K, n]."""
    starts = jax.random.uniform(key, (STARTS, size), dtype, -1.0, 1.0)
    points, values = climb(log_density, starts)
    best = points[jnp.argmax(jnp.where(jnp.isfinite(values), values, -jnp.inf))]
    return around(log_density, polish(log_density, best)), points
