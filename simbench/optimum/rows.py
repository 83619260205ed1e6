"""Bound and local search under linear rows beside the budget, for branch and bound.

Each unit mixes points of its upper line in a linear program (HiGHS): the same Lagrangian bound as
in module `relax`, with one price a row. The bound is computed anew from the prices the solver
gives, so it is proven whatever the solver's tolerances: for prices p >= 0 of rows ``A a <= b``,
``sum_u f_u(a_u) <= sum_u max_points (y - (p A)_u x) + p b``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simbench.optimum.branch import Polisher, Relaxer
from simbench.optimum.feasible import Constraints, holds, least_move, matrix, project
from simbench.optimum.relax import Relaxation, Table, points, polish


def under_rows(constraints: Constraints, unit: float) -> tuple[Relaxer, Polisher]:
    """Relaxation and polish of one world under all its constraints.

    Parameters
    ----------
    constraints : Constraints
        One world, checked.
    unit : float
        A typical size of values, in money.
    """
    rows, low_end, high_end = matrix(constraints)
    both, limit = np.concatenate([rows, -rows]), np.concatenate([high_end, -low_end])
    both, limit = both[np.isfinite(limit)], limit[np.isfinite(limit)]
    money = np.abs(constraints.upper).max()
    safe = project(constraints.lower, constraints)

    def relaxer(table: Table, _: Constraints, row: NDArray, low: NDArray, high: NDArray, price: NDArray) -> Relaxation:
        amount, worth = points(table)
        boxes = zip(low, high, strict=True)
        found = [_relax(amount[0], worth[0], *box, both, limit / money, money, unit) for box in boxes]
        return Relaxation(*(np.array(part) for part in zip(*found, strict=True)))

    def nearest(centre: NDArray, weight: NDArray, start: NDArray, end: NDArray) -> NDArray:
        each = zip(centre, weight, start, end, strict=True)
        return np.array([least_move(*one, (rows, low_end, high_end)) for one in each])

    def polisher(table: Table, each: Constraints, amounts: NDArray) -> NDArray:
        lower, upper = each.lower, each.upper
        begin = nearest(amounts, np.ones_like(amounts), lower, upper)  # the solver is off by its tolerance
        better = polish(table, begin, lower, upper, nearest)
        return np.where(holds(better, each)[:, None], better, safe)

    return relaxer, polisher


def _relax(
    amount: NDArray,
    worth: NDArray,
    low: NDArray,
    high: NDArray,
    both: NDArray,
    limit: NDArray,
    money: float,
    unit: float,
) -> tuple:
    """The fields of a :class:`Relaxation` of one box, the mixture in place of both ends.

    Rows are ``both @ a <= money * limit``; `money` and `unit` make amounts and values of size one.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    inside = (amount >= low[:, None]) & (amount <= high[:, None])
    hulls = [hull(x[keep], y[keep]) for x, y, keep in zip(amount, worth, inside, strict=True)]
    owner = np.repeat(np.arange(len(low)), [len(x) for x, _ in hulls])
    place, height = (np.concatenate(parts) for parts in zip(*hulls, strict=True))
    count = len(owner)
    found = linprog(
        -height / unit,
        A_ub=both[:, owner] * (place / money),
        b_ub=limit,
        A_eq=csr_array((np.ones(count), (owner, np.arange(count))), shape=(len(low), count)),
        b_eq=np.ones(len(low)),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.x is None:
        bound = -np.inf if found.status == 2 else np.inf
        return bound, 0.0, low, low, np.zeros_like(low), np.zeros_like(low), 0.0
    force = np.maximum(-found.ineqlin.marginals, 0.0)
    prices = force @ both * (unit / money)
    best = np.full(len(low), -np.inf)
    np.maximum.at(best, owner, height - prices[owner] * place)
    mixture = np.bincount(owner, found.x * place)
    value = np.bincount(owner, found.x * height)
    return best.sum() + force @ limit * unit, 0.0, mixture, mixture, value, value, 0.0


def hull(amount: NDArray, worth: NDArray) -> tuple[NDArray, NDArray]:
    """The corners of the concave hull of points [P], from left to right."""
    order = np.lexsort((-worth, amount))
    corners: list[tuple[float, float]] = []
    for x, y in zip(amount[order].tolist(), worth[order].tolist(), strict=True):
        if corners and corners[-1][0] == x:
            continue
        while len(corners) > 1:
            (x0, y0), (x1, y1) = corners[-2:]
            if (y1 - y0) * (x - x1) > (y - y1) * (x1 - x0):
                break
            corners.pop()
        corners.append((x, y))
    return np.array([x for x, _ in corners]), np.array([y for _, y in corners])
