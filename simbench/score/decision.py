"""What did acting on it cost? Regret, promises and plans, in shares of the status quo's media spend.

The chosen amounts are the contender's own, else those of the common allocator on its curves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from simbench.score.draws import draws_of, mean
from simbench.score.rows import NOT_ANSWERED, OK, UNDEFINED, Case, Column, Metric, column, each, first, missing, ratio

Array = Any
#: Ratios to the attainable gain are taken only where it is at least this share of media spend.
LEAST_GAIN = 0.01
#: A value this many standard errors above the proven bound is a fault of the optimum, not luck.
BEYOND = 4.0


def columns(case: Case) -> Iterator[Column]:
    """Every score of decisions: one set a problem, and the plans."""
    for i in range(len(case.brief.questions.problems)):
        yield from problem(case, i)
    yield from plans(case)


DECISION = Metric("decision", columns)


def problem(case: Case, i: int) -> Iterator[Column]:
    """Scores of one allocation problem."""
    best, own, common = case.truth.optima[i], case.decisions.own[i], case.decisions.common[i]
    spend = np.asarray(case.brief.questions.problems[i].status_quo, dtype=np.float64).sum(axis=-1)
    optimum, reference = (np.asarray(x, dtype=np.float64) for x in (best.value, best.reference_value))
    value = np.where(np.isfinite(own.value), own.value, common.value)
    unit = f"problem:{i}"

    def told(metric: str, value: Array, *needs: Array) -> Column:
        answered = np.where(np.all([np.isfinite(x) for x in needs], axis=0), OK, NOT_ANSWERED) if needs else OK
        return column("decision", unit, metric, value, answered)

    gain = ratio(optimum - reference, spend)
    yield told("gain", gain)
    yield told("grid floor", ratio(np.asarray(best.grid_floor), spend))
    yield told("certified", np.asarray(best.certified))
    yield told("regret", ratio(optimum - value, spend), value)
    for name, one in (("own", own), ("common", common)):
        yield told(f"{name} regret", ratio(optimum - one.value, spend), one.value)
        yield told(f"{name} promise gap", ratio(one.promise - one.value, spend), one.value, one.promise)
    answered = np.where(np.isfinite(value), OK, NOT_ANSWERED)
    share = ratio(ratio(optimum - value, spend), gain)
    worthwhile = first(answered, np.where(gain >= LEAST_GAIN, OK, UNDEFINED))
    yield column("decision", unit, "normalised regret", share, worthwhile)
    yield column("decision", unit, "captured gain", 1 - share, worthwhile)
    yield told("harm", value < reference, value)
    yield told("projected", np.asarray(own.projected), np.asarray(own.value))
    bound, error = (np.asarray(x, dtype=np.float64) for x in (best.upper_bound, best.mc_se))
    allowed = bound + BEYOND * np.nan_to_num(error) + 1e-6 * spend
    yield told("below optimum", value > allowed, value)


def plans(case: Case) -> Iterator[Column]:
    """Worth of given plans against the status quo: how far off, and whether the sign is right.

    Means of draws, as a decision would take them. A plan that changes nothing has no sign.
    """
    if case.answers.plan_value is None:
        yield missing(case, "plan", "all", "error")
        yield missing(case, "plan", "all", "sign agreement")
        return
    told: Any = case.truth.answers
    true = np.asarray(told.plan_value, dtype=np.float64)[:, 1:]
    answered = mean(draws_of(case.answers.plan_value, case.answers.levels))[:, 1:]
    spend = np.asarray(case.brief.questions.plans, dtype=np.float64)[:, 0].sum(axis=(1, 2, 3))[:, None]
    off = ratio(answered - true, spend)
    for one in each("plan", "plan", "error", off):
        yield one._replace(unit=f"plan:{int(one.unit.partition(':')[2]) + 1}")
    yield column("plan", "all", "error", np.abs(off).mean(axis=1) if off.shape[1] else np.full(len(off), np.nan))
    matters = true != 0
    right = (matters & (np.sign(answered) == np.sign(true))).sum(axis=1)
    yield column("plan", "all", "sign agreement", ratio(right, matters.sum(axis=1)))
