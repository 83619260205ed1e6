"""What did acting on it cost? Regret, promises and plans, in shares of the status quo's media spend.

The chosen amounts are the contender's own, else those of the common allocator on its curves. Curves that
were answered are acted on in two more readings, scored beside: plug-in and risk-aware.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from simbench.records import Decision
from simbench.score.draws import draws_of, mean
from simbench.score.rows import (
    FEW_DRAWS,
    FLOOR,
    NO_UNCERTAINTY,
    NOT_ANSWERED,
    OK,
    UNDEFINED,
    Case,
    Column,
    Metric,
    cells,
    column,
    each,
    first,
    missing,
    ratio,
)

Array = Any
#: Ratios to the attainable gain are taken only where it is at least this share of media spend.
LEAST_GAIN = 0.01
#: The cautious rule acts where at least this share of draws promises more than the reference decision.
SURE = 0.8
#: A value this many standard errors above the proven bound (the optimum, where there is none) is a fault, not luck.
BEYOND = 4.0
#: A loss below this share of media spend is rounding.
ROUNDING = 1e-6


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
    mine = np.isfinite(own.value)
    chosen = Decision(own.amounts, *(np.where(mine, *both) for both in zip(own[1:], common[1:], strict=True)))
    value, unit = chosen.value, f"problem:{i}"

    def told(metric: str, value: Array, *needs: Array) -> Column:
        answered = np.where(np.all([np.isfinite(x) for x in needs], axis=0), OK, NOT_ANSWERED) if needs else OK
        return column("decision", unit, metric, value, answered)

    def regret(value: Array) -> Array:
        return ratio(optimum - value, spend)

    gain = regret(reference)
    yield told("gain", gain)
    yield told("grid floor", ratio(np.asarray(best.grid_floor), spend))
    yield told("certified", np.asarray(best.certified))
    yield told("projected", np.asarray(own.projected), np.asarray(own.value))
    readings = {"own ": own, "common ": common, "plug-in ": case.decisions.plug_in[i]}
    for name, one in {"": chosen, **readings, "risk-aware ": case.decisions.risk_aware[i]}.items():
        yield told(f"{name}regret", regret(one.value), one.value)
        yield told(f"{name}promise gap", ratio(one.promise - one.value, spend), one.value, one.promise)
        yield told(f"{name}harm", one.value < reference - ROUNDING * spend, one.value)
    yield told("worth of uncertainty", regret(readings["plug-in "].value) - regret(common.value), common.value)
    yield told("uplift probability", chosen.sure, value, chosen.sure)
    cautious = np.where(chosen.sure >= SURE, value, reference)
    yield told("cautious regret", regret(cautious), value, chosen.sure)
    answered = np.where(np.isfinite(value), OK, NOT_ANSWERED)
    share, worthwhile = ratio(regret(value), gain), first(answered, np.where(gain >= LEAST_GAIN, OK, UNDEFINED))
    yield column("decision", unit, "normalised regret", share, worthwhile)
    yield column("decision", unit, "captured gain", 1 - share, worthwhile)
    yield column("decision", unit, "efficiency gain", efficiency(case, i, chosen.kpi), answered)
    yield column("decision", unit, "perfect information", ratio(case.decisions.perfect[i], spend), known(case, i))
    bound, error = (np.asarray(x, dtype=np.float64) for x in (best.upper_bound, best.mc_se))
    most = np.where(np.isfinite(bound), bound, optimum)  # without a bound nobody should beat the search
    yield told("below optimum", value > most + BEYOND * np.nan_to_num(error) + ROUNDING * spend, value)


def efficiency(case: Case, i: int, kpi: Array) -> Array:
    """Media-driven KPI of plans with `kpi` [R] against the status quo, beyond that of the reference decision, per cent.

    NaN where totals are not fixed, where media of the reference bring no more than the floor, and for
    worlds stored before they said what no money brings.
    """
    problem, best = case.brief.questions.problems[i], case.truth.optima[i]
    if best.idle_kpi is None or best.reference_kpi is None:
        return np.full(len(kpi), np.nan)
    low, high = np.moveaxis(np.asarray(problem.budget, dtype=np.float64), -1, 0)
    brought = np.asarray(best.reference_kpi) - best.idle_kpi
    floor = FLOOR * np.abs(case.brief.context.kpi_scale) * problem.base.shape[1]
    return 100 * ratio(kpi - best.reference_kpi, np.where((low == high) & (brought > floor), brought, np.nan))


def known(case: Case, i: int) -> Array:
    """Status [R] of what is said of the worth of perfect information."""
    problem, answers = case.brief.questions.problems[i], case.answers
    if problem.groups.shape[1] or not problem.form.disjoint:
        return np.full(cells(case), UNDEFINED)
    if answers.response is None:
        return np.full(cells(case), NOT_ANSWERED)
    told = np.isfinite(case.decisions.perfect[i])
    return np.where(told, OK, NO_UNCERTAINTY if answers.levels is None else FEW_DRAWS)


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
