"""What draws, or quantiles, say: centre, intervals, and how far they are from what came.

Draws are sorted once, along the last axis. Interval ends are Weibull quantiles, so that the
interval of few draws is not too narrow. A submission of quantiles is read off its levels,
linearly between them. Formulas: docs/scores.md.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from simbench.score.rows import FEW_DRAWS, NO_UNCERTAINTY, OK, first

Array = Any
#: A level this close to an answered one is that one: float32 has no .05.
CLOSE = 1e-6
#: The energy score takes at most this many draws, evenly spaced: it costs their square.
ENERGY_DRAWS = 64


class Draws(NamedTuple):
    """Draws of one field, sorted."""

    values: Array  #: [R, ..., D]
    levels: Array | None  #: [R, D] where D are quantiles, not draws


def draws_of(field: Array, levels: Array | None = None) -> Draws:
    """Draws [R, D, ...] of an answered field; one that is repeated D times without a copy is one."""
    field = np.asarray(field)
    if field.strides[1] == 0:
        field = field[:, :1]
    values = np.ascontiguousarray(np.moveaxis(field, 1, -1))
    return Draws(np.sort(values, axis=-1), None if levels is None else np.asarray(levels))


def quantile(draws: Draws, p: float) -> Array:
    """Quantile at p [R, ...]: Weibull, position p (D + 1); of quantiles, linear between their levels."""
    values, levels = draws
    count = values.shape[-1]
    if levels is None:
        place = min(max(p * (count + 1) - 1, 0.0), count - 1.0)
        left = int(place)
        below, above = values[..., left], values[..., min(left + 1, count - 1)]
        return below + (place - left) * (above.astype(np.float64) - below)
    right = np.clip((levels < p - CLOSE).sum(axis=1), 1, count - 1)
    ends = np.take_along_axis(levels, np.stack([right - 1, right], axis=1), axis=1)
    weight = np.clip((p - ends[:, 0]) / (ends[:, 1] - ends[:, 0]), 0.0, 1.0)
    at = (slice(None), *(None,) * (values.ndim - 1))
    below, above = (np.take_along_axis(values, index[at], axis=-1)[..., 0] for index in (right - 1, right))
    return below + weight[at[:-1]] * (above.astype(np.float64) - below)


def median(draws: Draws) -> Array:
    """Median [R, ...] over the draws that are numbers; NaN where none is."""
    if draws.levels is None and np.isnan(draws.values[..., -1]).any():  # NaN sorts last
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # nothing but NaN: the median is NaN
            return np.nanmedian(draws.values, axis=-1).astype(np.float64)
    return quantile(draws, 0.5)


def mean(draws: Draws) -> Array:
    """Mean [R, ...]; of a submission of quantiles the median, for want of a mean."""
    return median(draws) if draws.levels is not None else draws.values.mean(axis=-1, dtype=np.float64)


def interval(draws: Draws, level: float) -> tuple[Array, Array]:
    """Ends of the central interval [R, ...]."""
    return quantile(draws, (1 - level) / 2), quantile(draws, (1 + level) / 2)


def enough(draws: Draws, level: float) -> Array:
    """Status [R]: is there an interval of this level?

    Draws: D >= 2 / (1 - level) - 1; quantiles: their levels must reach as far. A point estimate,
    also one that is repeated D times, has none.
    """
    values, levels = draws
    count = values.shape[-1]
    flat = (values[..., 0] == values[..., -1]).reshape(len(values), -1).all(axis=1)
    if levels is None:
        few: Array = np.full(len(values), count < round(2 / (1 - level) - 1, 9))
        if count == 1:
            flat[:] = True
    else:
        few = (levels[:, 0] > (1 - level) / 2 + CLOSE) | (levels[:, -1] < (1 + level) / 2 - CLOSE)
    return first(np.where(flat, NO_UNCERTAINTY, OK), np.where(few, FEW_DRAWS, OK))


def sampled(draws: Draws) -> Array:
    """Status [R] of scores that need draws themselves: quantiles are not enough."""
    return np.full(len(draws.values), OK if draws.levels is None else FEW_DRAWS)


def interval_score(low: Array, high: Array, observed: Array, level: float) -> Array:
    """Width, and 2 / (1 - level) times the distance where the interval misses (Gneiting and Raftery 2007)."""
    missed = np.maximum(low - observed, 0) + np.maximum(observed - high, 0)
    return high - low + 2 / (1 - level) * missed


def fair_crps(draws: Array, observed: Array) -> Array:
    """Fair continuous ranked probability score of sorted draws [..., D] against [...].

    ``mean |x - z| - sum_{i,j} |x_i - x_j| / (2 D (D - 1))``: in expectation independent of D. One
    draw: the absolute error. Source: Ferro 2014; the double sum by ranks.
    """
    count = draws.shape[-1]
    missed = np.abs(draws - np.asarray(observed, dtype=np.float64)[..., None]).mean(axis=-1)
    if count == 1:
        return missed
    rank = 2.0 * np.arange(1, count + 1) - count - 1
    return missed - (draws - draws[..., :1].astype(np.float64)) @ rank / (count * (count - 1))


def energy_score(draws: Array, observed: Array) -> Array:
    """Fair energy score [R] of joint draws [R, D, C] against [R, C].

    ``mean |x - z| - sum_{i,j} |x_i - x_j| / (2 D (D - 1))`` with Euclidean distances, on at most 64
    draws, evenly spaced. Source: Gneiting and Raftery 2007.
    """
    draws = np.asarray(draws)
    used = np.linspace(0, draws.shape[1] - 1, min(ENERGY_DRAWS, draws.shape[1])).round().astype(int)
    off = draws[:, used].astype(np.float64) - observed[:, None]
    count = len(used)
    missed = np.linalg.norm(off, axis=-1).mean(axis=1)
    if count == 1:
        return missed
    i, j = np.triu_indices(count, 1)
    apart = sum((off[:, i, c] - off[:, j, c]) ** 2 for c in range(off.shape[2]))
    return missed - np.sqrt(apart).sum(axis=1) / (count * (count - 1))
