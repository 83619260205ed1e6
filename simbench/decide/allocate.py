"""From answers to amounts: what each contender would do with the money, and what it promises.

Batched: the leading axis of every array is the replicate R.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simbench import optimum
from simbench.optimum import constraints_of
from simbench.records import Answers, Brief, Decision, Decisions

Array = Any
#: An allocation that had to be moved by more than this share of the money was not feasible.
MOVED = 1e-6


def common(brief: Brief, answers: Answers, i: int) -> Array | None:
    """Best amounts [R, U] of problem `i` on the mean of the answered curves; None if not answered.

    KPI and money are averaged over draws, interpolated each by PCHIP on the levels, and only
    then netted.
    """
    problem = brief.questions.problems[i]
    if answers.response is None or answers.levels is not None or not problem.form.disjoint:
        return None
    kpi, paid = mean_curves(answers, i)
    return np.asarray(optimum.allocate(problem.levels, kpi, paid, worth(brief), constraints_of(problem)))


def own(brief: Brief, answers: Answers, i: int) -> tuple[Array, Array] | None:
    """The contender's own amounts [R, U] of problem `i`, made feasible, and whether they were moved [R]."""
    if answers.allocation is None:
        return None
    asked = np.asarray(answers.allocation[i], dtype=float)
    problem = brief.questions.problems[i]
    amounts = np.asarray(optimum.project(asked, constraints_of(problem)))
    moved = np.abs(amounts - asked).sum(axis=-1) > MOVED * np.maximum(problem.status_quo.sum(axis=-1), 1e-300)
    return amounts, moved.astype(float)


def promised(brief: Brief, answers: Answers, i: int, amounts: Array) -> Array:
    """What the answered mean curves say amounts [R, U] earn against the status quo [R]; NaN if there are none."""
    problem = brief.questions.problems[i]
    if answers.response is None or answers.levels is not None or not problem.form.disjoint:
        return np.full(len(amounts), np.nan)
    # a unit without room has no curve: nothing is decided, nothing is earned
    room = problem.levels[..., -1] > problem.levels[..., 0]
    spread = np.where(room[..., None], problem.levels, np.arange(problem.levels.shape[-1]))
    kpi, paid = mean_curves(answers, i)
    evaluate = optimum.pchip_cells(spread, kpi, paid, worth(brief))
    both = np.stack([problem.status_quo, amounts], axis=-1)
    inside = np.clip(both, problem.levels[..., :1], problem.levels[..., -1:])
    value = np.asarray(evaluate(np.where(room[..., None], inside, 0.0)).value)
    return np.where(room, value[..., 1] - value[..., 0], 0.0).sum(axis=-1)


def mean_curves(answers: Answers, i: int) -> tuple[Array, Array | None]:
    """KPI and money [R, U, L] of problem `i`, averaged over draws."""
    response: Any = answers.response
    kpi = np.asarray(response[i], dtype=float).mean(axis=1)
    paid = None if answers.response_paid is None else np.asarray(answers.response_paid[i], dtype=float).mean(axis=1)
    return kpi, paid


def worth(brief: Brief) -> Array:
    """Profit before media of one KPI unit [R]."""
    return np.asarray(brief.questions.margin) * np.asarray(brief.context.unit_value)


def decide(brief: Brief, answers: Answers, value: Callable[[int, Array], Array]) -> Decisions:
    """What each problem's answers lead to.

    Parameters
    ----------
    brief, answers : Brief, Answers
        Batched: [R, ...] and [R, D, ...].
    value : callable
        (problem, amounts [R, U]) -> money [R] that the worlds themselves give against the status quo.

    Returns
    -------
    Decisions
        Batched; NaN where a contender neither allocates nor answers curves.
    """
    count = len(np.asarray(brief.panel.origin))
    owned, shared = [], []
    for i, problem in enumerate(brief.questions.problems):
        nothing = Decision(np.full(problem.status_quo.shape, np.nan), *(np.full(count, np.nan) for _ in range(3)))
        mine = own(brief, answers, i)
        if mine is None:
            owned.append(nothing)
        else:
            amounts, moved = mine
            claim = (
                promised(brief, answers, i, amounts)
                if answers.promise is None or answers.levels is not None
                else np.asarray(answers.promise[i], dtype=float).mean(axis=-1)
            )
            owned.append(Decision(amounts, value(i, amounts), claim, moved))
        best = common(brief, answers, i)
        if best is None:
            shared.append(nothing)
        else:
            shared.append(Decision(best, value(i, best), promised(brief, answers, i, best), np.zeros(count)))
    return Decisions(tuple(owned), tuple(shared))
