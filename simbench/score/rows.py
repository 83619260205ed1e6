"""What every metric takes and gives: cells of one shape in, columns of numbers out.

A metric looks at many cells at once: the leading axis of every array is the replicate R.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
)
OK, UNDEFINED, NOT_ANSWERED, NO_UNCERTAINTY, FEW_DRAWS, FAILED = range(len(STATUS))


class Case(NamedTuple):
    """Cells of one contender on worlds of one shape; leading axis R of every array."""

    brief: Brief
    truth: Truth
    answers: Answers  #: [R, D, ...]; fields not answered are None
    decisions: Decisions
    cost: Cost


class Column(NamedTuple):
    """One number a cell. Values are NaN exactly where the status is not OK."""

    estimand: str  #: contribution, roas, marginal, curve, half-life, baseline, forecast, decision, plan, cost ...
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
    value = np.array(value, dtype=np.float64)
    status = np.broadcast_to(np.asarray(status, dtype=np.int8), value.shape).copy()
    status[(status == OK) & ~np.isfinite(value)] = UNDEFINED
    value[status != OK] = np.nan
    return Column(estimand, unit, metric, value, status)


def missing(case: Case, estimand: str, unit: str, metric: str, status: int = NOT_ANSWERED) -> Column:
    """A column without any value."""
    count = len(np.asarray(case.brief.panel.origin))
    return column(estimand, unit, metric, np.full(count, np.nan), status)
