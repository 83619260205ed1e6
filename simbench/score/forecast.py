"""Does it forecast? The weekly national KPI of the holdout as it came, noise included.

The noise that nobody can know is in it: the scores of the oracle, whose draws are fresh futures of
the same world, are the floor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from simbench.score.calibration import LEVELS, WIDEST
from simbench.score.draws import draws_of, enough, fair_crps, interval, interval_score, mean, median, sampled
from simbench.score.rows import FEW_DRAWS, OK, Case, Column, Metric, column, first, missing, ratio

Array = Any
YEAR = 52
POINT = ("wmape", "mase", "smape", "rmse", "r2", "bias")


def columns(case: Case) -> Iterator[Column]:
    """Every score of the forecast."""
    if case.answers.forecast is None:
        told = ("crps", *POINT, *(f"coverage {x:.0%}" for x in LEVELS), f"interval score {WIDEST:.0%}")
        for metric in told:
            yield missing(case, "forecast", "all", metric)
        return
    field = np.asarray(case.answers.forecast)
    observed = np.asarray(case.truth.kpi_future, dtype=np.float64).sum(axis=-1)
    draws = draws_of(field[..., 0] if field.shape[-1] == 1 else field.sum(axis=-1), case.answers.levels)
    # quantiles of geos do not add up to quantiles of their sum
    summed = OK if case.answers.levels is None or field.shape[-1] == 1 else FEW_DRAWS
    scale = np.abs(np.asarray(case.brief.context.kpi_scale, dtype=np.float64))
    yield column(
        "forecast",
        "all",
        "crps",
        ratio(fair_crps(draws.values, observed).mean(axis=1), scale),
        first(sampled(draws), summed),
    )
    for metric, value in point_scores(median(draws), mean(draws), observed, scale, step(case)):
        yield column("forecast", "all", metric, value, summed)
    for level in LEVELS:
        (low, high), status = interval(draws, level), first(enough(draws, level), summed)
        inside = (observed >= low) & (observed <= high)
        yield column("forecast", "all", f"coverage {level:.0%}", inside.mean(axis=1), status)
        if level == WIDEST:
            score = interval_score(low, high, observed, level).mean(axis=1)
            yield column("forecast", "all", f"interval score {level:.0%}", ratio(score, scale), status)


HOLDOUT = Metric("holdout", columns)


def point_scores(
    centre: Array, average: Array, observed: Array, scale: Array, step: Array
) -> Iterator[tuple[str, Array]]:
    """Scores of a point forecast: the median for absolute errors, the mean for squared ones and the bias.

    Parameters
    ----------
    centre, average, observed : arrays [R, H]
        Median and mean of the draws, and what came.
    scale, step : arrays [R]
        Mean KPI of the training window; mean absolute seasonal change in it.
    """
    off, miss = np.abs(centre - observed), average - observed
    size, squares = np.abs(observed), (miss**2).sum(axis=1)
    both = np.abs(centre) + size
    yield "wmape", ratio(off.sum(axis=1), size.sum(axis=1))
    yield "mase", ratio(off.mean(axis=1), step)
    yield "smape", np.where(both > 0, 2 * off / np.where(both > 0, both, 1.0), 0.0).mean(axis=1)
    yield "rmse", ratio(np.sqrt(squares / observed.shape[1]), scale)
    yield "r2", 1 - ratio(squares, ((observed - observed.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
    yield "bias", ratio(miss.sum(axis=1), size.sum(axis=1))


def step(case: Case) -> Array:
    """Mean absolute change of the national KPI from a year ago [R]; from last week below two years of history."""
    panel = case.brief.panel
    origin, weeks = np.asarray(panel.origin), np.asarray(panel.kpi).shape[1]
    seen = (np.arange(weeks) < origin[:, None]) & (np.asarray(panel.mask) > 0)
    kpi = np.where(seen, np.asarray(panel.kpi, dtype=np.float64).sum(axis=-1), 0.0)

    def change(lag: int) -> Array:
        if weeks <= lag:
            return np.full(len(kpi), np.nan)
        both = seen[:, lag:] & seen[:, :-lag]
        return ratio(np.where(both, np.abs(kpi[:, lag:] - kpi[:, :-lag]), 0.0).sum(axis=1), both.sum(axis=1))

    return np.where(origin >= 2 * YEAR, change(YEAR), change(1))
