"""What plans of a sum of curves are worth, week by week in NumPy, and the best by SciPy: nothing of simbench."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize


class Model(NamedTuple):
    """Draws of one national model: ``sum_c top_c Hill(carry-over of the lever)``."""

    kernel: np.ndarray  #: [D, L, C]
    top: np.ndarray  #: [D, C] KPI
    half_at: np.ndarray  #: [D, C] money a week
    slope: np.ndarray  #: [D, C]


def plan_by_hand(problem: Any, amounts: np.ndarray) -> np.ndarray:
    """Levers [Hd, G, C] of amounts [U]."""
    told = np.array(problem.base, dtype=float)
    for layer, weight in zip(problem.unit, problem.weight):
        for at in np.argwhere(layer >= 0):
            told[tuple(at)] += amounts[layer[tuple(at)]] * weight[tuple(at)]
    return told


def worth_by_hand(brief: Any, model: Model, plan: np.ndarray) -> np.ndarray:
    """Money [D] that a plan [Hd, 1, C] earns, by the weeks of horizon and tail."""
    origin, tail = int(brief.panel.origin), brief.questions.sizes.tail
    lever = np.concatenate([brief.panel.lever[:origin, 0], plan[:, 0], np.zeros((tail, plan.shape[2]))])
    told = []
    for kernel, top, half_at, slope in zip(*model):
        kpi = 0.0
        for week in range(origin, len(lever)):
            carried = sum(kernel[lag] * lever[week - lag] for lag in range(len(kernel)))
            kpi += (top * carried**slope / (carried**slope + half_at**slope)).sum()
        told.append(kpi * float(brief.questions.margin) * float(brief.context.unit_value) - plan.sum())
    return np.array(told)


def misses(problem: Any, amounts: np.ndarray) -> float:
    """The most money by which amounts miss a limit."""
    total, groups = amounts.sum(), problem.groups @ amounts
    return max(
        (problem.lower - amounts).max(), (amounts - problem.upper).max(),
        problem.budget[0] - total, total - problem.budget[1],
        *(problem.group_low - groups), *(groups - problem.group_high),
    )  # fmt: skip


def searched(brief: Any, problem: Any, model: Model, starts: int = 3) -> float:
    """The most that SLSQP finds, money against the status quo, mean over draws."""
    money, random = problem.status_quo.sum(), np.random.default_rng(0)
    usual = worth_by_hand(brief, model, plan_by_hand(problem, problem.status_quo)).mean()
    rows = np.concatenate([np.ones((1, len(problem.lower))), problem.groups])
    low = np.concatenate([problem.budget[:1], problem.group_low]) / money
    high = np.concatenate([problem.budget[1:], problem.group_high]) / money

    def loss(shares: np.ndarray) -> float:
        return (
            -(worth_by_hand(brief, model, plan_by_hand(problem, np.maximum(shares, 0) * money)).mean() - usual) / money
        )

    within = [{"type": "ineq", "fun": lambda x: rows @ x - low}, {"type": "ineq", "fun": lambda x: high - rows @ x}]
    bounds, best = list(zip(problem.lower / money, problem.upper / money)), -np.inf
    for k in range(starts):
        share = problem.status_quo / money if k == 0 else random.uniform(problem.lower, problem.upper) / money
        found = minimize(loss, share, bounds=bounds, constraints=within, method="SLSQP", options={"ftol": 1e-9})
        if misses(problem, found.x * money) <= 1e-6 * money:
            best = max(best, -found.fun * money)
    return best
