"""The search of the Robyn-style contender: candidates with two errors, and the best of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = Any
Key = Any
#: Numbers of Nevergrad's TwoPointsDE, which Robyn uses: weight of differences, chance to take a donor's number.
WEIGHT, CROSSOVER = 0.8, 0.5


def search(
    errors: Callable[[Array], Array], bounds: Array, key: Key, trials: int, generations: int, population: int
) -> tuple[Array, Array]:
    """Candidates [N, n] and their two errors [N, 2]: all that the trials looked at, trial after trial.

    Differential evolution, current to best, once a trial, each with its own weights of the two errors. All trials go
    side by side and share nothing.

    Parameters
    ----------
    errors : callable
        Candidates [P, n] -> errors [P, 2]; traceable by JAX.
    bounds : array [n, 2]
    key : a key of ``jax.random``

    References
    ----------
    Storn and Price 1997.
    """
    low, high = bounds.T
    size = len(low)
    weight = (jnp.arange(trials) + 0.5) / trials
    first_key, key = jax.random.split(key)

    def generation(carry: tuple[Array, ...], key: Key) -> tuple[tuple[Array, ...], tuple[Array, Array]]:
        asked, members, losses = carry  # [trials, population, ...], from 0 to 1 between the bounds
        points = low + (high - low) * asked
        found = errors(points.reshape(-1, size)).reshape(trials, population, 2)
        told = jnp.stack([weight, 1.0 - weight], axis=1)[:, None] @ jnp.swapaxes(found, 1, 2)
        better = told[:, 0] <= losses  # False for NaN
        members, losses = jnp.where(better[..., None], asked, members), jnp.where(better, told[:, 0], losses)
        best = jnp.take_along_axis(members, losses.argmin(axis=1)[:, None, None], axis=1)
        return (offspring(key, members, best), members, losses), (points, found)

    first = jax.random.uniform(first_key, (trials, population, size), bounds.dtype)
    start = (first, first, jnp.full((trials, population), jnp.inf, bounds.dtype))
    _, (points, found) = jax.lax.scan(generation, start, jax.random.split(key, generations))
    return jnp.swapaxes(points, 0, 1).reshape(-1, size), jnp.swapaxes(found, 0, 1).reshape(-1, 2)


def offspring(key: Key, members: Array, best: Array) -> Array:
    """What populations [..., P, n] ask next: member + 0.8 (best - member + one other - another), number by number.

    Half of the numbers stay; those that would leave [0, 1] are drawn anew.
    """
    count, size = members.shape[-2:]
    shape = members.shape[:-1]
    one_key, other_key, which_key, share_key, anew_key = jax.random.split(key, 5)
    own = jnp.arange(count)
    one = jax.random.randint(one_key, shape, 0, count - 1)
    one = one + (one >= own)
    other = jax.random.randint(other_key, shape, 0, count - 2)
    for taken in (jnp.minimum(own, one), jnp.maximum(own, one)):
        other = other + (other >= taken)
    apart = [jnp.take_along_axis(members, i[..., None], axis=-2) for i in (one, other)]
    donor = members + WEIGHT * (best - members + apart[0] - apart[1])
    sure = jax.random.randint(which_key, (*shape, 1), 0, size) == jnp.arange(size)  # one number at least
    taken = sure | (jax.random.uniform(share_key, members.shape) < CROSSOVER)
    anew = jax.random.uniform(anew_key, members.shape, members.dtype)
    donor = jnp.where((donor >= 0.0) & (donor <= 1.0), donor, anew)
    return jnp.where(taken, donor, members)


def best(errors: np.ndarray, models: int) -> np.ndarray:
    """Positions of so many candidates: Pareto front after front, the last one thinned evenly.

    Candidates among the worst tenth in either error are left out, as in Robyn.
    """
    good = (errors <= np.quantile(errors, 0.9, axis=0)).all(axis=1)
    left = np.flatnonzero(good | ~good.any())
    left = left[np.lexsort((errors[left, 1], errors[left, 0]))]
    kept: list[np.ndarray] = []
    missing = models
    while missing > 0 and len(left) > 0:
        least = np.minimum.accumulate(errors[left, 1])
        on_front = np.append(True, errors[left[1:], 1] < least[:-1])
        front = left[on_front]
        take = min(missing, len(front))
        kept.append(front[(2 * np.arange(take) + 1) * len(front) // (2 * take)])
        left, missing = left[~on_front], missing - take
    chosen = np.concatenate(kept)
    return chosen[np.arange(models) * len(chosen) // models]
