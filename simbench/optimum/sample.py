"""Random feasible amounts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simbench.errors import BadInput
from simbench.optimum.feasible import SLACK, Constraints, checked, infeasible, matrix, meet, with_boxes


def random_feasible(
    constraints: Constraints, count: int, generator: np.random.Generator, known: NDArray | None = None
) -> NDArray[np.float64]:
    """Random feasible amounts of one world, spread from even splits to near-corners (not uniform).

    Boxes and budget: a uniform total, shared out by Gamma(1/2) weights. With rows: hit-and-run
    chains, one a point, started from random mixtures of corners, or of points known to be feasible.

    Parameters
    ----------
    constraints : Constraints
        One world (R = 1), feasible.
    count : int
    generator : numpy.random.Generator
    known : array [n, U], optional
        Feasible amounts: corners cost 2 U linear programs.

    Returns
    -------
    array [count, U]
    """
    fine = checked(constraints)
    lower, upper = fine.lower[0], fine.upper[0]
    low, high = max(fine.budget[0, 0], lower.sum()), min(fine.budget[0, 1], upper.sum())
    total = (low + (high - low) * generator.random(count)).clip(lower.sum(), upper.sum())
    weight = generator.standard_gamma(0.5, (count, len(lower))) + 1e-12
    wide = np.broadcast_to(lower, weight.shape), np.broadcast_to(upper, weight.shape)
    points = meet(wide[0].copy(), weight, *wide, np.stack([total, total], axis=1))
    rows, low, high = matrix(fine)
    if not len(fine.groups) or not len(rows):
        return points
    total = points @ rows.T
    if ((total >= low) & (total <= high)).all():
        return points
    return _walk(fine, count, generator, corners_of(fine, generator) if known is None else known)


def corners_of(constraints: Constraints, generator: np.random.Generator) -> NDArray[np.float64]:
    """Some corners [2 U + 2, U] of one world's feasible set."""
    from scipy.optimize import linprog

    reason = infeasible(constraints)
    if reason is not None:
        raise BadInput("constraints", reason, "widen it")
    lower, upper = constraints.lower[0], constraints.upper[0]
    rows, low, high = matrix(constraints)
    units, money = len(lower), max(np.abs(upper).max(), np.finfo(float).tiny)
    limits = np.concatenate([high, -low]) / money
    keep = np.isfinite(limits)
    both = np.concatenate([rows, -rows])[keep]
    box = np.stack([lower, upper], axis=1) / money
    return money * np.array([
        linprog(generator.standard_normal(units), both, limits[keep], bounds=box, method="highs").x
        for _ in range(2 * units + 2)
    ])  # fmt: skip


def _walk(constraints: Constraints, count: int, generator: np.random.Generator, known: NDArray) -> NDArray[np.float64]:
    lower, upper = constraints.lower[0], constraints.upper[0]
    rows, low, high = matrix(constraints)
    units, money = len(lower), max(np.abs(upper).max(), np.finfo(float).tiny)
    points = generator.dirichlet(np.full(len(known), 0.3), count) @ known
    rows, low, high = with_boxes(lower, upper, (rows, low, high))
    fixed = rows[high - low <= SLACK * money]
    basis = np.eye(units) if not len(fixed) else _null_space(fixed)
    for _ in range(8 + 4 * units if basis.shape[1] else 0):
        step = generator.standard_normal((count, basis.shape[1])) @ basis.T
        speed, place = step @ rows.T, points @ rows.T
        speed = np.where(np.abs(speed) > 1e-9, speed, np.nan)
        with np.errstate(invalid="ignore"):
            ends = np.stack([(low - place) / speed, (high - place) / speed])
        back = np.minimum(np.fmax.reduce(ends.min(0), axis=1), 0.0)
        forth = np.maximum(np.fmin.reduce(ends.max(0), axis=1), 0.0)
        points = points + (back + (forth - back) * generator.random(count))[:, None] * step
    return np.clip(points, lower, upper)


def _null_space(rows: NDArray) -> NDArray[np.float64]:
    _, sizes, directions = np.linalg.svd(rows)
    return directions[int((sizes > 1e-9 * sizes.max()).sum()) :].T
