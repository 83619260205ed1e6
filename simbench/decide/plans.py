"""The rule that keeps several plans and weighs their risk."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from simbench.decide.sight import (
    ROUNDING,
    YEAR,
    Policy,
    Sight,
    allowed,
    believed,
    owners,
    shared,
    status_quo,
    weekly_of,
)

Array = Any

#: Resamples of last year's weeks that stand for what returns might be.
RESAMPLES = 500


def three_plans(sight: Sight, *, worst: Annotated[float, "share of the outcomes that count", 1.0] = 0.1) -> Array:
    """Of three plans, the one whose worst tenth of outcomes is best on average (CVaR).

    Source: practitioners' rule, "keep 3 alternative plans" and "choice by risk-adjusted return". The plans are the
    status quo, money in proportion to returns, and half way between, as far as limits allow. Outcomes are what a
    model's draws of the response say, read linearly between levels; by claims, or where the model answers no
    response, what means of last year's weekly returns say, weeks drawn again.
    """
    now, other = status_quo(sight), shared(sight, believed(sight))
    plans = np.array([allowed(sight.problem, plan) for plan in (now, (now + other) / 2, other)])
    drawn = profit_by_draws(sight, plans)
    profit = profit_by_weeks(sight, plans) if drawn is None else drawn
    if not np.isfinite(profit).all():
        return now
    count = max(1, round(worst * profit.shape[1]))
    tail = np.sort(profit, axis=1)[:, :count].mean(axis=1)
    better = tail.max() - tail[0] > ROUNDING * now.sum()
    return plans[int(np.argmax(tail)) if better else 0]


def profit_by_draws(sight: Sight, plans: Array) -> Array | None:
    """Profit [plans, D] of amounts by each draw of the model's response to this problem; None where there is none."""
    problem, answers = sight.problem, sight.answers
    place = next((k for k, each in enumerate(sight.brief.questions.problems) if each is problem), None)
    if place is None or answers is None or answers.response is None or answers.levels is not None:
        return None
    kpi, levels = np.asarray(answers.response[place], dtype=float), np.asarray(problem.levels, dtype=float)
    told = levels if answers.response_paid is None else answers.response_paid[place]
    net = float(problem.margin) * float(sight.brief.context.unit_value) * kpi - np.asarray(told, dtype=float)
    return np.array([sum(read(levels[u], net[:, u], amount) for u, amount in enumerate(plan)) for plan in plans])


def read(levels: Array, values: Array, amount: float) -> Array:
    """Values [D, L] at levels [L], read linearly at an amount: [D]."""
    if not levels[-1] > levels[0]:
        return values[:, 0]
    right = int(np.clip(np.searchsorted(levels, amount), 1, len(levels) - 1))
    part = np.clip((amount - levels[right - 1]) / (levels[right] - levels[right - 1]), 0.0, 1.0)
    return (1.0 - part) * values[:, right - 1] + part * values[:, right]


def profit_by_weeks(sight: Sight, plans: Array) -> Array:
    """Profit [plans, RESAMPLES] of amounts at mean returns of last year's weeks, drawn with replacement.

    All channels of a week are drawn together; a channel of which nothing is reported returns what is believed.
    """
    weeks = weekly_of(sight)[-YEAR:]
    rows = sight.generator.integers(max(len(weeks), 1), size=(RESAMPLES, len(weeks)))
    drawn = weeks[rows]
    count = np.isfinite(drawn).sum(axis=1)
    mean = np.where(np.isfinite(drawn), drawn, 0.0).sum(axis=1) / np.maximum(count, 1)
    net = float(sight.problem.margin) * np.where(count > 0, mean, believed(sight)) - 1.0
    channel, _ = owners(sight.problem)
    return plans @ np.where(channel >= 0, net[:, channel], 0.0).T


POLICIES = (Policy("three-plans", three_plans, True, "of three plans the one with the best worst tenth of outcomes"),)
