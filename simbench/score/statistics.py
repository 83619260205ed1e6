"""From worlds to numbers with error bars: the replicate is the unit, and every comparison is paired.

Below 20 worlds intervals are t intervals; from 20 on they are expanded percentile intervals of a
bootstrap over worlds (Hesterberg 2015: percentiles at the levels that make them as wide as t
intervals where data are normal, and that lean with skewed data). One resampling of replicate
numbers serves every contender and scenario of a family. Formulas: docs/scores.md.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from simbench import ids

Array = Any
#: Below this many worlds a bootstrap is too narrow.
FEW = 20
RESAMPLES = 2000
LEVEL = 0.95
POWER = 0.8


class Estimate(NamedTuple):
    """A number over worlds with its interval; `n` worlds count."""

    value: float
    low: float
    high: float
    n: int


class Difference(NamedTuple):
    """A mean paired difference with its interval."""

    value: float
    low: float
    high: float
    n: int
    smallest: float  #: the smallest true difference that n such worlds show at 5% in four of five runs


NOTHING = Estimate(np.nan, np.nan, np.nan, 0)


def fixed_stream(name: str = "bootstrap") -> np.random.Generator:
    """A generator that gives the same numbers every time: tables do not flicker."""
    return ids.generator(ids.stream_bytes(ids.OPEN_MASTER, "statistics", 0, name))


# --- resampling


def resample(count: int, generator: np.random.Generator | None = None, resamples: int = RESAMPLES) -> Array:
    """How often each of `count` worlds is in each resample [B, count]; rows add up to `count`."""
    return _fixed_counts(count, resamples) if generator is None else _counts(count, generator, resamples)


@lru_cache(maxsize=8)
def _fixed_counts(count: int, resamples: int) -> Array:
    counts = _counts(count, fixed_stream(), resamples)
    counts.flags.writeable = False
    return counts


def _counts(count: int, generator: np.random.Generator, resamples: int) -> Array:
    drawn = generator.integers(count, size=(resamples, count))
    places = drawn + count * np.arange(resamples)[:, None]
    return np.bincount(places.ravel(), minlength=resamples * count).reshape(resamples, count).astype(np.float64)


def weighted_means(values: Array, counts: Array) -> Array:
    """Means [B, ...] of values [..., n] in resamples [B, n]; NaN values do not count.

    One `counts` for all leading axes (contenders, scenarios): what is compared is resampled jointly.
    """
    values = np.asarray(values, dtype=np.float64)
    there = np.isfinite(values)
    flat = np.where(there, values, 0.0).reshape(-1, values.shape[-1])
    total = counts @ flat.T
    size = counts @ there.reshape(flat.shape).T.astype(np.float64)
    means = np.divide(total, size, out=np.full(total.shape, np.nan), where=size > 0)
    return means.reshape(len(counts), *values.shape[:-1])


def spread_of(resampled: Array, value: Array, n: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """Interval ends [...] from resampled values [B, ...] of something over `n` worlds [...].

    Below 20 worlds ``value -+ t x bootstrap sd x sqrt(n / (n - 1))``, which for a mean is the t
    interval; else percentiles at ``Phi(-+ sqrt(n / (n - 1)) t)``. NaN below two worlds.
    """
    from scipy.special import ndtr, stdtrit

    n = np.broadcast_to(np.asarray(n, dtype=np.float64), np.shape(value))
    low, high = np.full(n.shape, np.nan), np.full(n.shape, np.nan)
    for size in np.unique(n[n >= 2]):
        at = n == size
        wide = stdtrit(size - 1, (1 + level) / 2) * np.sqrt(size / (size - 1))
        some = resampled[:, at]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a column of NaN has NaN for an interval
            if size < FEW:
                half = wide * np.nanstd(some, axis=0)
                low[at], high[at] = np.asarray(value)[at] - half, np.asarray(value)[at] + half
            else:
                low[at], high[at] = np.nanquantile(some, [ndtr(-wide), ndtr(wide)], axis=0)
    return low, high


# --- one series of worlds


def finite(values: Any) -> Array:
    """The values that are numbers, as float64."""
    x = np.asarray(values, dtype=np.float64)
    return x[np.isfinite(x)]


def mean_intervals(
    values: Array, level: float = LEVEL, generator: np.random.Generator | None = None
) -> tuple[Array, Array, Array, Array]:
    """Means [M] of independent worlds [M, n] with interval ends, and how many worlds count; NaN does not."""
    from scipy.special import stdtrit

    values = np.asarray(values, dtype=np.float64)
    there = np.isfinite(values)
    n = there.sum(axis=1)
    means = weighted_means(values, np.ones((1, values.shape[1])))[0]
    half = stdtrit(np.maximum(n - 1, 1), (1 + level) / 2) * standard_errors(values)
    low, high = means - half, means + half
    many = n >= FEW
    if many.any():
        again = weighted_means(values[many], resample(values.shape[1], generator))
        low[many], high[many] = spread_of(again, means[many], n[many], level)
    return means, low, high, n


def standard_errors(values: Array) -> Array:
    """Standard error [M] of the means of worlds [M, n]; NaN below two worlds."""
    there = np.isfinite(values)
    n = there.sum(axis=1)
    mean = np.where(there, values, 0.0).sum(axis=1) / np.maximum(n, 1)
    square = np.where(there, (values - mean[:, None]) ** 2, 0.0).sum(axis=1)
    return np.where(n >= 2, np.sqrt(square / np.maximum(n - 1, 1) / np.maximum(n, 1)), np.nan)


def mean_interval(values: Any, level: float = LEVEL, generator: np.random.Generator | None = None) -> Estimate:
    """Mean of independent worlds with its interval; NaN values are not answers and do not count."""
    x = finite(values)
    if len(x) == 0:
        return NOTHING
    value, low, high, n = mean_intervals(x[None], level, generator)
    return Estimate(float(value[0]), float(low[0]), float(high[0]), int(n[0]))


def ratio_interval(
    top: Any, bottom: Any, level: float = LEVEL, least: float = 0.01, generator: np.random.Generator | None = None
) -> Estimate:
    """Ratio of sums over worlds with its interval; worlds whose bottom is below `least` are left out.

    Below 20 worlds the t interval of a ratio estimator by the delta method. Source: Cochran,
    Sampling Techniques, 3rd edition, section 6.3.
    """
    from scipy.special import stdtrit

    a, b = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
    keep = np.isfinite(a) & np.isfinite(b) & (b >= least)
    a, b = a[keep], b[keep]
    if len(a) == 0:
        return NOTHING
    ratio = float(a.sum() / b.sum())
    if len(a) == 1:
        return Estimate(ratio, np.nan, np.nan, 1)
    if len(a) < FEW:
        half = stdtrit(len(a) - 1, (1 + level) / 2) * (a - ratio * b).std(ddof=1) / np.sqrt(len(a)) / b.mean()
        return Estimate(ratio, ratio - float(half), ratio + float(half), len(a))
    counts = resample(len(a), generator)
    low, high = spread_of((counts @ a) / (counts @ b), np.float64(ratio), len(a), level)
    return Estimate(ratio, float(low), float(high), len(a))


def paired(a: Any, b: Any, level: float = LEVEL, generator: np.random.Generator | None = None) -> Difference:
    """Mean of ``a - b`` over the worlds that both have, its interval, and what it could have seen."""
    d = finite(np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64))
    return Difference(*mean_interval(d, level, generator), float(smallest_differences(d[None], level)[0]))


def smallest_differences(values: Array, level: float = LEVEL, power: float = POWER) -> Array:
    """The smallest true means [M] that as many worlds [M, n], varying as much, show: (t + t_power) standard errors."""
    from scipy.special import stdtrit

    free = np.maximum(np.isfinite(values).sum(axis=1) - 1, 1)
    return (stdtrit(free, (1 + level) / 2) + stdtrit(free, power)) * standard_errors(values)


def coverage_interval(values: Any, level: float = LEVEL, generator: np.random.Generator | None = None) -> Estimate:
    """Mean coverage of worlds with its interval; exact (Clopper and Pearson) where all worlds agree on 0 or 1."""
    x = finite(values)
    if len(x) and (x == x[0]).all() and x[0] in (0.0, 1.0):
        return proportion_interval(round(x.sum()), len(x), level)
    told = mean_interval(x, level, generator)
    return told._replace(low=float(np.maximum(told.low, 0.0)), high=float(np.minimum(told.high, 1.0)))


def proportion_interval(successes: int, n: int, level: float = LEVEL) -> Estimate:
    """Share of independent worlds with its exact interval (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    if n == 0:
        return NOTHING
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, (1 - level) / 2))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, (1 + level) / 2))
    return Estimate(successes / n, low, high, n)


# --- orders


def ranks(values: Array) -> Array:
    """Ranks [..., K] along the last axis, 1 = lowest; ties share the mean rank; NaN has none."""
    values = np.asarray(values, dtype=np.float64)
    below = (values[..., None, :] < values[..., :, None]).sum(axis=-1)
    equal = (values[..., None, :] == values[..., :, None]).sum(axis=-1)
    return np.where(np.isfinite(values), below + (equal + 1) / 2, np.nan)


def rank_interval(resampled: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """Lowest and highest rank [K] of contenders whose values were resampled jointly [B, K].

    Ranks of every resample, cut at ``(1 -+ level) / 2``, outwards to a rank that occurred.
    """
    found = ranks(resampled)
    low, high = np.full(found.shape[1], np.nan), np.full(found.shape[1], np.nan)
    for k in range(found.shape[1]):
        own = finite(found[:, k])
        if len(own):
            low[k] = np.quantile(own, (1 - level) / 2, method="lower")
            high[k] = np.quantile(own, (1 + level) / 2, method="higher")
    return low, high


def kendall(x: Array, y: Array) -> Array:
    """Kendall's tau-b [...] along the last axis, over what is a number in both; NaN where one is all tied."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    i, j = np.triu_indices(x.shape[-1], 1)
    a, b = np.sign(x[..., i] - x[..., j]), np.sign(y[..., i] - y[..., j])
    both = np.isfinite(a) & np.isfinite(b)
    a, b = np.where(both, a, 0.0), np.where(both, b, 0.0)
    size = np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))
    return np.divide((a * b).sum(axis=-1), size, out=np.full(size.shape, np.nan), where=size > 0)


def weighted_median(values: Array, counts: Array) -> Array:
    """Medians [B] of values [n] in resamples [B, n]; of an even number the lower of the two in the middle."""
    keep = np.isfinite(values)
    if not keep.any():
        return np.full(len(counts), np.nan)
    order = np.argsort(values[keep])
    total = np.cumsum(counts[:, keep][:, order], axis=1)
    found = values[keep][order][(total >= total[:, -1:] / 2).argmax(axis=1)]
    return np.where(total[:, -1] > 0, found, np.nan)
