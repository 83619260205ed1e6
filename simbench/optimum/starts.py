"""Local search from many starts, and the best amounts of worlds that are no sum of curves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simbench.errors import BadInput
from simbench.optimum.feasible import Constraints, checked, matrix, project, repeat
from simbench.optimum.records import STARTS, Solution
from simbench.optimum.sample import random_feasible

#: ``value_and_gradient(amounts [U]) -> (value, gradient [U])``.
ValueAndGradient = Callable[[NDArray], tuple[float, NDArray]]
#: Random points that are screened in one call.
BLOCK = 256

#: ``screen(amounts [B, U]) -> values [B]``.
Screen = Callable[[NDArray], NDArray]


def climb(value_and_gradient: ValueAndGradient, start: NDArray, constraints: Constraints, unit: float) -> NDArray:
    """A feasible local maximum near `start`: SLSQP, amounts and values (by `unit`) brought to size one."""
    from scipy.optimize import minimize

    lower, upper = constraints.lower[0], constraints.upper[0]
    money = max(np.abs(upper).max(), np.finfo(float).tiny)
    rows, low, high = matrix(constraints)
    exact = low == high
    limits = []
    for kind, sign, keep, limit in (
        ("eq", 1.0, exact, low),
        ("ineq", 1.0, ~exact & np.isfinite(low), low),
        ("ineq", -1.0, ~exact & np.isfinite(high), high),
    ):
        if keep.any():
            slope, level = sign * rows[keep], sign * limit[keep] / money
            limits.append({
                "type": kind,
                "fun": lambda x, slope=slope, level=level: slope @ x - level,
                "jac": lambda x, slope=slope: slope,
            })  # fmt: skip

    def loss(x: NDArray) -> tuple[float, NDArray]:
        value, gradient = value_and_gradient(np.clip(x * money, lower, upper))
        # an infinite slope (a root at zero) only says "upwards"
        return -value / unit, -np.clip(gradient * (money / unit), -1e8, 1e8)

    box = np.stack([lower, upper], axis=1) / money
    found = minimize(
        loss, start / money, jac=True, method="SLSQP", bounds=box, constraints=limits,
        options={"maxiter": 300, "ftol": 1e-13},
    )  # fmt: skip
    reached = found.x * money if np.isfinite(found.x).all() else start
    return project(reached[None], constraints)[0]


def general(
    value_and_gradient: ValueAndGradient,
    constraints: Constraints,
    starts: ArrayLike,
    upper_bound: float,
    screen: Screen | None,
    random: np.random.Generator,
    tolerance: float = 1e-6,
    points: int = 1024,
    best: int = 8,
) -> Solution:
    """Maximise any smooth value of one world: many starts, checked by an independent global search.

    Each start is projected and climbed from (SLSQP). Apart from that, random feasible points are
    valued by `screen` and the best ones, at most one of near neighbours, are climbed from too.

    Parameters
    ----------
    value_and_gradient : callable
        ``(amounts [U]) -> (value, gradient [U])``, money.
    constraints : Constraints
        One world (R = 1).
    starts : array [S, U]
        Amounts; S may be 0.
    upper_bound : float
        A proven bound, or infinity.
    screen : callable or None
        ``(amounts [B, U]) -> values [B]``, asked in blocks of 256 (the last may be smaller). Without it,
        `best` random points are climbed from unscreened.
    random : numpy.random.Generator
    tolerance : float
        Gap allowed, as a share of the range of the values met on the way.
    points, best : int
        Random points screened, and how many of them are climbed from.

    Returns
    -------
    Solution
        R = 1. Certified only where `upper_bound` is within the tolerance.

    Raises
    ------
    BadInput
        More than one world, starts of the wrong shape, values that are not finite, or feasible
        amounts worth more than `upper_bound` (then the bound is wrong).
    """
    fine = checked(constraints)
    units = fine.lower.shape[1]
    begin = np.asarray(starts, float).reshape(-1, units)
    if len(fine.lower) != 1:
        raise BadInput("constraints", f"{len(fine.lower)} worlds", "one world")
    begin = project(begin, repeat(fine, len(begin))) if len(begin) else begin
    scattered = random_feasible(fine, points if screen is not None else best, random)
    if screen is not None:
        blocks = np.split(scattered, range(BLOCK, points, BLOCK))
        seen = np.concatenate([np.asarray(screen(block), float) for block in blocks])
        scattered = scattered[apart(scattered, seen, fine, best)]
    begin = np.concatenate([begin, scattered])
    worth = np.array([value_and_gradient(start)[0] for start in begin])
    if not np.isfinite(worth).all():
        raise BadInput("value_and_gradient", "gave a value that is not finite", "value every feasible amount")
    unit = float(np.ptp(worth)) or float(np.abs(worth).max()) or 1.0
    ends = np.array([climb(value_and_gradient, start, fine, unit) for start in begin])
    reached = np.array([value_and_gradient(end)[0] for end in ends])
    reached = np.where(np.isfinite(reached), reached, -np.inf)
    every, values = np.concatenate([begin, ends]), np.concatenate([worth, reached])
    top = int(np.argmax(values))
    value = values[top]
    finite = values[np.isfinite(values)]
    allowed = tolerance * np.ptp(finite) + 1e-14 * abs(value)
    if value - upper_bound > allowed:
        found = f"{upper_bound:g}, but feasible amounts are worth {value:g}"
        raise BadInput("upper_bound", found, "give a proven bound, or infinity")
    bound = max(float(upper_bound), value)
    certified = np.array([bound - value <= allowed])
    return Solution(every[[top]], np.array([value]), np.array([bound]), certified, np.array([STARTS]))


def apart(amounts: NDArray, values: NDArray, constraints: Constraints, count: int) -> NDArray[np.intp]:
    """Where the best `count` points of one world are, at most one of those within a tenth of the box's diagonal."""
    near = 0.1 * np.linalg.norm(constraints.upper[0] - constraints.lower[0])
    left = np.argsort(-np.where(np.isfinite(values), values, -np.inf), kind="stable")
    chosen: list[int] = []
    while left.size and len(chosen) < count:
        chosen.append(int(left[0]))
        left = left[1:][np.linalg.norm(amounts[left[1:]] - amounts[left[0]], axis=1) > near]
    return np.array(chosen, dtype=np.intp)
