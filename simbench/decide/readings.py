"""Acting on answered curves in three readings: the best mean, the plug-in, and what is safest in the worst draws.

Batched: the leading axis of every array is the replicate R.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from simbench import optimum
from simbench.optimum import constraints_of
from simbench.records import Answers, Brief, Problem

Array = Any
#: The share of draws that are the worst: their mean is what the risk-aware reading makes as large as it can.
WORST = 0.2
#: Numbers a world and level that draws are read with, and the fewest draws: many units are read in fewer draws.
NUMBERS, FEWEST = 2560, 64
#: Units times draws that are optimised one by one for the worth of knowing, the most draws and the fewest.
KNOWN, MOST_KNOWN, FEWEST_KNOWN = 512, 64, 16


class Curves(NamedTuple):
    """Answered curves of one problem; draws that only repeat one are that one."""

    kpi: Array  #: [R, D, U, L] KPI units against amount 0
    paid: Array | None  #: [R, D, U, L] money; None = the amount

    @property
    def mean(self) -> tuple[Array, Array | None]:
        """KPI and money [R, U, L], averaged over draws."""
        return self.kpi.mean(axis=1), None if self.paid is None else self.paid.mean(axis=1)

    @property
    def middle(self) -> tuple[Array, Array | None]:
        """KPI and money [R, U, L] of one curve: the median of draws at every level."""
        return np.median(self.kpi, axis=1), None if self.paid is None else np.median(self.paid, axis=1)


class Readings(NamedTuple):
    """What one contender's curves lead to in one problem."""

    distinct: tuple[Array, ...]  #: [R, U] best mean, plug-in and risk-aware; of one draw the one that all three are
    mean: tuple[Array, Array | None]  #: KPI and money [R, U, L], averaged over draws
    drawn: optimum.Drawn  #: what is promised draw by draw
    perfect: Array  #: [R] expected worth of perfect information, money; NaN for one draw, or under linear rows


def curves_of(problem: Problem, answers: Answers, i: int) -> Curves | None:
    """Answered curves of problem `i`; None where there are none to act on."""
    if answers.response is None or answers.levels is not None or not problem.form.disjoint:
        return None
    paid = None if answers.response_paid is None else np.asarray(answers.response_paid[i])
    parts = [np.asarray(answers.response[i]), *([] if paid is None else [paid])]
    if all(part.strides[1] == 0 for part in parts):
        parts = [part[:, :1] for part in parts]
    kpi, *rest = (part.astype(float) for part in parts)
    return Curves(kpi, rest[0] if rest else None)


def worth(brief: Brief) -> Array:
    """Profit before media of one KPI unit [R]."""
    return np.asarray(brief.questions.margin) * np.asarray(brief.context.unit_value)


def allocated(problem: Problem, value: Array, *curves: tuple[Array, Array | None]) -> list[Array]:
    """Best amounts [R, U] on each of some curves (KPI and money [R, U, L]), all searched for at once."""
    every = np.tile(np.arange(len(problem.levels)), len(curves))
    kpi = np.concatenate([each for each, _ in curves])
    paid = None if curves[0][1] is None else np.concatenate([each for _, each in curves])
    limits = optimum.take(constraints_of(problem), every)
    amounts = optimum.allocate(problem.levels[every], kpi, paid, value[every], limits)
    return np.split(np.asarray(amounts), len(curves))


def readings(problem: Problem, curves: Curves, value: Array) -> Readings:
    """Three decisions on the same curves; they coincide where there is one draw.

    Parameters
    ----------
    problem : Problem
        Batched.
    curves : Curves
    value : array [R]
        Money per KPI unit.
    """
    constraints, (draws, units) = constraints_of(problem), curves.kpi.shape[1:3]
    mean, used = curves.mean, thinned(draws, max(FEWEST, NUMBERS // units))
    some = curves if len(used) == draws else Curves(*(x if x is None else x[:, used] for x in curves))
    drawn = optimum.drawn(problem.levels, *some, value)
    unknown = np.full(len(value), np.nan)
    if draws == 1:
        return Readings(tuple(allocated(problem, value, mean)), mean, drawn, unknown)
    best, plug_in = allocated(problem, value, mean, some.middle)
    reference = optimum.project(problem.status_quo, constraints)
    distinct = best, plug_in, optimum.safest(drawn, reference, best, constraints, WORST)
    if len(constraints.groups):
        return Readings(distinct, mean, drawn, unknown)
    known = int(np.clip(KNOWN // units, FEWEST_KNOWN, MOST_KNOWN))
    return Readings(distinct, mean, drawn, optimum.perfect(drawn, best, constraints, known))


def thinned(draws: int, most: int) -> Array:
    """Positions of at most so many evenly spaced draws."""
    return np.linspace(0, draws - 1, min(draws, most)).round().astype(int)
