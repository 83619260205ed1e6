"""What every metric takes and gives: cells of one shape in, columns of numbers out.

A metric looks at many cells at once: the leading axis of every array is the replicate R.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from simbench.records import Answers, Brief, Cost, Decisions, Truth

Array = Any

#: Why a value is missing. A value that is there is "ok".
STATUS = (
    "ok",
    "undefined",  #: the quantity does not exist in this world
    "not answered",  #: the contender does not answer this field
    "no uncertainty",  #: a point estimate has no interval
    "not enough draws",
    "failed",  #: the cell has no answer at all
    "not assessable",  #: the contender gives no diagnostics to judge by
)
OK, UNDEFINED, NOT_ANSWERED, NO_UNCERTAINTY, FEW_DRAWS, FAILED, NOT_ASSESSABLE = range(len(STATUS))

#: Relative errors are taken only where the true contribution exceeds this share of the KPI.
FLOOR = 0.005


class Case(NamedTuple):
    """Cells of one contender on worlds of one shape; leading axis R of every array."""

    brief: Brief
    truth: Truth
    answers: Answers  #: [R, D, ...]; fields not answered are None
    decisions: Decisions
    cost: Cost


class Column(NamedTuple):
    """One number a cell. Values are NaN exactly where the status is not OK."""

    estimand: str  #: contribution, roas, marginal roas, curve, half-life, baseline, forecast, decision, plan, cost ...
    unit: str  #: "all", or which axis and position: "channel:2", "problem:0", "plan:1", "geo:4"
    metric: str
    value: Array  #: [R] float64
    status: Array  #: [R] int8, positions in STATUS


class Metric(NamedTuple):
    """A family of scores with one door."""

    name: str
    columns: Callable[[Case], Iterable[Column]]


def column(estimand: str, unit: str, metric: str, value: Array, status: Array | int = OK) -> Column:
    """A column whose missing values are told: NaN without a reason is `undefined`."""
    return Column(estimand, unit, metric, *told(value, status))


def missing(case: Case, estimand: str, unit: str, metric: str, status: int = NOT_ANSWERED) -> Column:
    """A column without any value."""
    return column(estimand, unit, metric, np.full(cells(case), np.nan), status)


def each(estimand: str, axis: str, metric: str, value: Array, status: Array | int = OK) -> Iterator[Column]:
    """One column for each position of an axis, of values [R, N]: units ``"channel:0"`` and so on."""
    value, status = told(value, status)
    for i in range(value.shape[1]):
        yield Column(estimand, f"{axis}:{i}", metric, value[:, i], status[:, i])


def told(value: Array, status: Array | int) -> tuple[Array, Array]:
    """Values and their status, of one shape, so that one is NaN exactly where the other is not OK."""
    value = np.array(value, dtype=np.float64)
    status = np.broadcast_to(np.asarray(status, dtype=np.int8), value.shape).copy()
    status[(status == OK) & ~np.isfinite(value)] = UNDEFINED
    value[status != OK] = np.nan
    return value, status


def first(*statuses: Array | int) -> Array:
    """The first status that is not OK, elementwise."""
    result = np.asarray(statuses[0])
    for status in statuses[1:]:
        result = np.where(result == OK, status, result)
    return result


def ratio(top: Array, bottom: Array) -> Array:
    """``top / bottom``, NaN where the bottom is not above 0."""
    bottom = np.asarray(bottom, dtype=np.float64)
    return np.divide(top, bottom, out=np.full(np.broadcast(top, bottom).shape, np.nan), where=bottom > 0)


def cells(case: Case) -> int:
    """R, the number of cells."""
    return len(np.asarray(case.brief.panel.origin))


def kpi_total(case: Case) -> Array:
    """KPI of the whole training window [R]."""
    windows = np.asarray(case.brief.questions.windows)
    return np.abs(case.brief.context.kpi_scale) * (windows[:, 0, 1] - windows[:, 0, 0])
