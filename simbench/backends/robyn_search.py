"""The search of the Robyn-style contender: candidates with two errors, and the best of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simbench import ids

Array = Any
Key = Any


def search(
    errors: Callable[[np.ndarray], Array], bounds: np.ndarray, key: Key, trials: int, generations: int, population: int
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates [N, n] and their two errors [N, 2]: all that the trials looked at.

    Differential evolution, once a trial, each with its own weights of the two errors.

    Parameters
    ----------
    errors : callable
        Candidates [P, n] -> errors [P, 2].
    bounds : array [n, 2]
    key : array [2] uint32

    References
    ----------
    Storn and Price 1997; numbers as in Nevergrad's TwoPointsDE, which Robyn uses.
    """
    from scipy.optimize import differential_evolution

    low, high = bounds.T
    points: list[np.ndarray] = []
    found: list[np.ndarray] = []
    for trial in range(trials):
        weight = (trial + 0.5) / trials

        def loss(x: np.ndarray, weight: float = weight) -> np.ndarray:
            points.append(x.T.copy())
            found.append(np.asarray(errors(points[-1])))
            return found[-1] @ np.array([weight, 1.0 - weight])

        random = ids.generator(ids.stream_bytes(np.asarray(key).tobytes(), "robyn-style", trial, "search"))
        differential_evolution(
            loss,
            bounds,
            strategy="currenttobest1bin",
            mutation=0.8,
            recombination=0.5,
            init=low + (high - low) * random.random((population, len(low))),
            maxiter=generations - 1,
            tol=0.0,
            polish=False,
            updating="deferred",
            vectorized=True,
            rng=random,
        )
    return np.concatenate(points), np.concatenate(found)


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
