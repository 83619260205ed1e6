"""From answers to amounts: the common allocator, for every contender that answers curves."""

from __future__ import annotations

from typing import Any

import numpy as np

from simbench import optimum
from simbench.records import Answers, Brief, Problem

Array = Any


def constraints_of(problem: Problem) -> optimum.Constraints:
    """The feasible set of one problem, as a batch of one."""
    return optimum.one_world(
        problem.lower, problem.upper, problem.budget, problem.groups, problem.group_low, problem.group_high
    )


def common_allocation(brief: Brief, answers: Answers, i: int) -> Array | None:
    """Best amounts [U] of problem `i` on the mean of the answered curves; None if not answered.

    KPI and money are averaged over draws, interpolated each by PCHIP on the levels, and only
    then netted.
    """
    problem = brief.questions.problems[i]
    if answers.response is None or not problem.form.disjoint:
        return None
    kpi = np.asarray(answers.response[i]).mean(axis=0)
    paid = None if answers.response_paid is None else np.asarray(answers.response_paid[i]).mean(axis=0)
    worth = float(problem.margin * brief.context.unit_value)
    return np.asarray(optimum.allocate(problem.levels, kpi, paid, worth, constraints_of(problem))).reshape(-1)


def chosen(brief: Brief, answers: Answers, i: int) -> Array | None:
    """What the contender would do in problem `i`: its own allocation, projected; else the common one."""
    if answers.allocation is not None:
        own = np.asarray(answers.allocation[i], dtype=float)[None]
        return np.asarray(optimum.project(own, constraints_of(brief.questions.problems[i]))).reshape(-1)
    return common_allocation(brief, answers, i)
