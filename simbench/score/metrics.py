"""Scores as pure functions of truth, answers and decisions: each returns rows.

Conventions: docs/design.md, section 6. A point estimate (D = 1) is scored for absolute errors
and decisions; calibration reads "no uncertainty".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from simbench.records import Answers, Brief, Decisions, Truth

Array = Any
#: Relative errors are taken only where the true contribution exceeds this share of the KPI.
FLOOR = 0.005


class Row(NamedTuple):
    """One number of one cell. `unit` is a channel position, a problem position or -1 (all)."""

    estimand: str
    unit: int
    metric: str
    value: float
    status: str = "ok"  #: ok | undefined | no uncertainty | not enough draws | not answered


Metric = Callable[[Brief, Truth, Answers, Decisions], Sequence[Row]]


def interval(draws: Array, level: float) -> tuple[Array, Array]:
    """Central interval of draws [D, ...]: Weibull quantiles, so that few draws are not too narrow."""
    low = np.quantile(draws, (1 - level) / 2, axis=0, method="weibull")
    return low, np.quantile(draws, (1 + level) / 2, axis=0, method="weibull")


def enough_draws(draws: int, level: float) -> bool:
    """An interval of a level needs D >= 2/(1-level) - 1 draws."""
    return draws >= round(2 / (1 - level) - 1, 9)


def fair_crps(draws: Array, observed: Array) -> Array:
    """Fair continuous ranked probability score of draws [D, ...] against [...].

    ``mean |x - z| - sum_{i,j} |x_i - x_j| / (2 D (D - 1))``, independent of D in expectation; the
    absolute error for a point forecast. Source: Ferro 2014.
    """
    count = draws.shape[0]
    miss = np.abs(draws - observed).mean(axis=0)
    if count == 1:
        return miss
    ordered = np.sort(draws, axis=0)
    rank = (2 * np.arange(1, count + 1) - count - 1).reshape(-1, *(1,) * (draws.ndim - 1))
    return miss - (rank * ordered).sum(axis=0) / (count * (count - 1))


def recovery(brief: Brief, truth: Truth, answers: Answers, decisions: Decisions) -> list[Row]:
    """Did it find the true effects? Contribution and ROAS of the whole panel, by channel and in all."""
    if answers.contribution is None:
        return [Row("contribution", -1, "error", np.nan, "not answered")]
    told: Any = truth.answers
    true, draws = np.asarray(told.contribution[0]), np.asarray(answers.contribution)[:, 0]
    median, mass = np.median(draws, axis=0), np.abs(true).sum()
    rows = [
        Row("contribution", -1, "error", float(np.abs(median - true).sum() / mass))
        if mass > 0
        else Row("contribution", -1, "error", np.nan, "undefined")
    ]
    kpi = float(np.abs(brief.panel.kpi[: int(brief.panel.origin)].sum()))
    paid = np.asarray(truth.paid[0])
    for c in range(len(true)):
        share = (median[c] - true[c]) / kpi
        rows.append(Row("contribution", c, "share points", float(100 * share)))
        small = abs(true[c]) <= FLOOR * kpi
        rows.append(
            Row(
                "contribution",
                c,
                "relative error",
                np.nan if small else float(median[c] / true[c] - 1),
                "undefined" if small else "ok",
            )
        )
        idle = paid[c] <= 0
        value = np.nan if idle else float(brief.context.unit_value * (median[c] - true[c]) / paid[c])
        rows.append(Row("roas", c, "error", value, "undefined" if idle else "ok"))
    rows += calibration(draws, true)
    return rows


def calibration(draws: Array, true: Array, level: float = 0.9) -> list[Row]:
    """Does the interval hold what it promises? Coverage a world, and interval score over sum |true|."""
    if len(draws) == 1:
        return [Row("contribution", -1, f"coverage {level:.0%}", np.nan, "no uncertainty")]
    if not enough_draws(len(draws), level):
        return [Row("contribution", -1, f"coverage {level:.0%}", np.nan, "not enough draws")]
    low, high = interval(draws, level)
    inside = (true >= low) & (true <= high)
    miss = 2 / (1 - level) * (np.maximum(low - true, 0) + np.maximum(true - high, 0))
    mass = np.abs(true).sum()
    score = float((high - low + miss).sum() / mass) if mass > 0 else np.nan
    return [
        Row("contribution", -1, f"coverage {level:.0%}", float(inside.mean())),
        Row("contribution", -1, f"interval score {level:.0%}", score, "ok" if mass > 0 else "undefined"),
    ]


def holdout(brief: Brief, truth: Truth, answers: Answers, decisions: Decisions) -> list[Row]:
    """Does it forecast? The weekly national KPI of the holdout as it came, noise included."""
    if answers.forecast is None:
        return [Row("forecast", -1, "crps", np.nan, "not answered")]
    observed = np.asarray(truth.kpi_future).sum(axis=-1)
    draws = np.asarray(answers.forecast).sum(axis=-1)
    naive = np.abs(seasonal_naive(brief, len(observed)) - observed).mean()
    crps = fair_crps(draws, observed).mean()
    return [
        Row("forecast", -1, "crps", float(crps / naive)),
        Row("forecast", -1, "wmape", float(np.abs(np.median(draws, axis=0) - observed).sum() / np.abs(observed).sum())),
    ]


def seasonal_naive(brief: Brief, weeks: int) -> Array:
    """National KPI of the same week a year ago (the last weeks where history is shorter)."""
    origin = int(brief.panel.origin)
    kpi = np.asarray(brief.panel.kpi[:origin]).sum(axis=-1)
    year = 52 if origin >= 52 else min(origin, weeks)
    return kpi[origin - year + np.arange(weeks) % year]


def regret(brief: Brief, truth: Truth, answers: Answers, decisions: Decisions) -> list[Row]:
    """What did acting on it cost? Regret and attainable gain, in shares of the status quo's spend."""
    rows = []
    for i, (problem, best) in enumerate(zip(brief.questions.problems, truth.optima, strict=True)):
        spend = float(problem.status_quo.sum())
        value = float(decisions.value[i])
        status = "not answered" if np.isnan(value) else "ok"
        rows.append(Row("decision", i, "regret", (float(best.value) - value) / spend, status))
        rows.append(Row("decision", i, "gain", float(best.value - best.reference_value) / spend))
        rows.append(Row("decision", i, "harm", float(value < float(best.reference_value)), status))
    return rows


METRICS: tuple[Metric, ...] = (recovery, holdout, regret)
