"""From rows to tables with error bars: the replicate is the unit (docs/design.md, section 6)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

#: Problems whose attainable gain is below this share of media spend are left out of ratios.
LEAST_GAIN = 0.01


class Estimate(NamedTuple):
    """A mean over worlds with its interval; `n` worlds count."""

    value: float
    low: float
    high: float
    n: int


def mean_interval(values: Any, level: float = 0.95) -> Estimate:
    """Mean of independent worlds with a t interval; NaN values are not answers and do not count."""
    from scipy.special import stdtrit

    x = np.asarray(values, dtype=float)
    x = x[np.isfinite(x)]
    if len(x) == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    half = stdtrit(len(x) - 1, (1 + level) / 2) * x.std(ddof=1) / np.sqrt(len(x)) if len(x) > 1 else np.nan
    return Estimate(float(x.mean()), float(x.mean() - half), float(x.mean() + half), len(x))


def ratio_interval(top: Any, bottom: Any, level: float = 0.95) -> Estimate:
    """Ratio of sums over worlds, with the delta-method t interval of a ratio estimator.

    Source: Cochran, Sampling Techniques, 3rd edition, section 6.3 (residual variance).
    """
    from scipy.special import stdtrit

    a, b = np.asarray(top, dtype=float), np.asarray(bottom, dtype=float)
    keep = np.isfinite(a) & np.isfinite(b) & (b >= LEAST_GAIN)
    a, b = a[keep], b[keep]
    if len(a) == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    ratio = a.sum() / b.sum()
    if len(a) == 1:
        return Estimate(float(ratio), np.nan, np.nan, 1)
    error = (a - ratio * b).std(ddof=1) / np.sqrt(len(a)) / b.mean()
    half = stdtrit(len(a) - 1, (1 + level) / 2) * error
    return Estimate(float(ratio), float(ratio - half), float(ratio + half), len(a))
