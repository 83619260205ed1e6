"""Products over weeks whose gradients are written out: the same numbers, in a form that compilers turn into fast code.

What JAX derives by itself sums over weeks one number after the other; here these sums are products with vectors.
Weeks are the last axis. Each gradient is made of plain operations, so that it can be differentiated in turn.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

Array = Any


def _carried(weights: Array, lagged: Array) -> Array:
    # written as a product of matrices a channel: as one of vectors it would take twice the time
    every = jnp.broadcast_to(weights[:, None], (*lagged.shape[:2], 1, weights.shape[1]))
    return jax.lax.dot_general(every, lagged, (((3,), (2,)), ((0, 1), (0, 1))))[:, :, 0]


def _carried_back(lagged: Array, slope: Array) -> tuple[Array, Array]:
    # what differs between chains comes second: their number is the width of the product
    by_weight = jax.lax.dot_general(lagged, slope, (((3,), (2,)), ((0, 1), (0, 1))))
    return by_weight.sum(axis=0), jnp.zeros_like(lagged)


@jax.custom_vjp
def carried(weights: Array, lagged: Array) -> Array:
    """Carry-over [G, C, S]: weights [C, L] times the lever of each lag, `lagged` [G, C, L, S]; the lever is fixed."""
    return _carried(weights, lagged)


carried.defvjp(lambda weights, lagged: (_carried(weights, lagged), lagged), _carried_back)


def _over_weeks(x: Array, weeks: int) -> Array:
    return jnp.broadcast_to(x[..., None], (*x.shape, weeks))


def _over_weeks_back(weeks: int, _: None, slope: Array) -> tuple[Array]:
    return (slope @ jnp.ones(weeks, slope.dtype),)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def over_weeks(x: Array, weeks: int) -> Array:
    """Numbers [...] in every week [..., S]."""
    return _over_weeks(x, weeks)


over_weeks.defvjp(lambda x, weeks: (_over_weeks(x, weeks), None), _over_weeks_back)


def _summed(amount: Array, rows: Array) -> Array:
    return (amount[:, None] @ rows)[:, 0]


def _summed_back(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    amount, rows = kept
    return (rows @ slope[..., None])[..., 0], amount[..., None] * slope[:, None]


@jax.custom_vjp
def summed(amount: Array, rows: Array) -> Array:
    """Sum [G, S] over channels of amounts [G, C] times rows [G, C, S]."""
    return _summed(amount, rows)


summed.defvjp(lambda amount, rows: (_summed(amount, rows), (amount, rows)), _summed_back)
