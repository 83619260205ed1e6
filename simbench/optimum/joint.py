"""The best amounts of a smooth value that is no sum of curves, and a bound that a concave majorant proves.

**Bound.** A concave value lies below its tangent plane everywhere: ``V(a) <= V(b) + slope(b) (a - b)``, and the
largest value of the right-hand side over the feasible set is a linear program (the gap of Frank and Wolfe 1956).
Any concave majorant of the value bounds it likewise; where the two are equal at its best amounts, these are
proven best. The linear program's value is computed anew from its prices: for any prices p of rows
``low <= A a <= high``, ``slope a <= sum_u max_box (slope - p A)_u a_u + sum_rows max(p low, p high)``.

**Search.** Newton steps under boxes and linear rows from many starts, each the solution of a quadratic program
whose curvature is made positive (Nocedal and Wright 2006, chapters 3 and 18).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simbench.errors import BadInput
from simbench.optimum.feasible import Constraints, checked, least_move, matrix, project, repeat
from simbench.optimum.records import TANGENT, Solution
from simbench.optimum.sample import random_feasible
from simbench.optimum.starts import BLOCK, apart

#: A step is taken when it gains this share of what its slope promises; else it is shortened to these shares.
ENOUGH, SHORTER = 1e-4, 0.5 ** np.arange(1.0, 11.0)
#: What is added to curvatures, as a share of the largest.
FLAT = 1e-10


class Smooth(NamedTuple):
    """A value of one world, in money."""

    values: Callable[[NDArray], NDArray]  #: amounts [B, U] -> [B]
    #: amounts [U] -> value, slope [U], second derivatives [U, U], and the part of these that is negative semidefinite
    model: Callable[[NDArray], tuple[float, NDArray, NDArray, NDArray]]


class Reached(NamedTuple):
    """Where a climb ended."""

    amounts: NDArray  #: [U]
    value: float
    bound: float  #: no feasible amounts are worth more, if the value is concave


def joint(
    value: Smooth,
    majorant: Smooth,
    constraints: Constraints,
    starts: NDArray,
    random: np.random.Generator,
    tolerance: float,
    points: int = BLOCK,
    best: int = 3,
) -> Solution:
    """Maximise any smooth value of one world under boxes, a budget and linear rows.

    Parameters
    ----------
    value, majorant : Smooth
        The majorant is concave and nowhere on the feasible set below the value.
    constraints : Constraints
        One world (R = 1).
    starts : array [S, U]
        Amounts to climb from, beside the majorant's best; S >= 1.
    random : numpy.random.Generator
    tolerance : float
        Gap allowed, in money.
    points, best : int
        Random points that are looked at, and how many of them are climbed from, where the majorant leaves a gap.

    Returns
    -------
    Solution
        R = 1.

    Raises
    ------
    BadInput
        Constraints that cannot be met, or amounts worth more than the majorant allows (then it is none).
    """
    fine = checked(constraints)
    begin = project(starts, repeat(fine, len(starts)))
    top = climb(majorant, fine, begin[0], tolerance / 10, bounded=True)
    found = [top._replace(value=float(value.values(top.amounts[None])[0]))]
    if top.bound - found[0].value > tolerance:
        scattered = random_feasible(fine, points, random)
        begin = np.concatenate(
            [top.amounts[None], begin, scattered[apart(scattered, value.values(scattered), fine, best)]]
        )
        found += [climb(value, fine, start, tolerance / 100, bounded=False) for start in begin]
    amounts, worth, _ = max(found, key=lambda one: one.value)
    if worth - top.bound > tolerance:
        raise BadInput("majorant", f"allows {top.bound:.12g}, but {worth:.12g} is reached", "a value nowhere below")
    bound, method = max(top.bound, worth), np.array([TANGENT])
    return Solution(amounts[None], np.array([worth]), np.array([bound]), np.array([bound - worth <= tolerance]), method)


def climb(
    smooth: Smooth, constraints: Constraints, start: NDArray, allowed: float, *, bounded: bool, rounds: int = 60
) -> Reached:
    """A local maximum near `start`, the only one of a concave value; never worse than the start.

    Parameters
    ----------
    constraints : Constraints
        One world, checked.
    start : array [U]
        Feasible.
    allowed : float
        Money. The climb ends when the tangent bound is as near as this, or a step promises no more.
    bounded : bool
        Whether a bound is wanted; else it is infinite.
    """
    rows, (lower, upper) = matrix(constraints), (part[0] for part in constraints[:2])

    def gap_at(place: NDArray, slope: NDArray) -> float:
        return tangent_gap(place, slope, constraints, rows) if bounded else np.inf

    place, (value, slope, *bends) = start, smooth.model(start)
    gap = gap_at(place, slope)
    bound = value + gap
    for _ in range(rounds):
        move = newton_step(place, slope, bends, lower, upper, rows)
        promise = slope @ move
        if gap <= allowed or not promise > (1e-14 * abs(value) if bounded else allowed):
            break
        there = np.clip(place + move, lower, upper)
        now = smooth.model(there)
        closer = gap_at(there, now[1])
        # at the very top values are equal up to rounding, and the gap tells more
        if now[0] - value < ENOUGH * promise and not (closer < 0.5 * gap and promise < 1e-9 * abs(value)):
            shorter = np.clip(place + SHORTER[:, None] * move, lower, upper)
            several = smooth.values(shorter)
            there = shorter[int(np.argmax(several))]
            if not several.max() > value:
                break
            now = smooth.model(there)
            closer = gap_at(there, now[1])
        place, (value, slope, *bends), gap = there, now, closer
        bound = min(bound, value + gap)
    place = project(place[None], constraints)[0]
    return Reached(place, float(smooth.values(place[None])[0]), float(bound))


def newton_step(
    place: NDArray,
    slope: NDArray,
    bends: Sequence[NDArray],
    lower: NDArray,
    upper: NDArray,
    rows: tuple[NDArray, NDArray, NDArray],
) -> NDArray:
    """The move [U] that is best in ``slope d + d bend d / 2`` within limits, for the first bend that is negative."""
    money, steep, units = np.abs(upper).max(), np.abs(slope).max(), len(place)
    if not money * steep > 0:
        return np.zeros_like(place)
    for bend in bends:
        curvature = -bend * (money / steep)
        try:
            triangle = np.linalg.cholesky(curvature + FLAT * max(np.abs(curvature).max(), 1.0) * np.eye(units))
            break
        except np.linalg.LinAlgError:
            triangle = np.eye(units)
    spread = np.linalg.inv(triangle).T  # moves ``money spread z`` have curvature one
    centre = spread.T @ (slope / steep)
    boxes = np.eye(units), lower, upper
    sums, low, high = (np.concatenate([box, row]) for box, row in zip(boxes, rows, strict=True))
    offset = sums @ place
    reach = np.full(units, np.linalg.norm(triangle) * np.linalg.norm(upper - lower) / money + 1.0)
    limits = (low - offset) / money, (high - offset) / money
    return money * spread @ least_move(centre, np.ones(units), -reach, reach, (sums @ spread, *limits))


def tangent_gap(
    place: NDArray, slope: NDArray, constraints: Constraints, rows: tuple[NDArray, NDArray, NDArray]
) -> float:
    """No less than ``slope (a - place)`` at any feasible a of one world."""
    lower, upper = constraints.lower[0], constraints.upper[0]
    sums, low, high = rows
    prices = _prices(slope, lower, upper, rows) if len(sums) else np.zeros(0)
    left = slope - prices @ sums
    with np.errstate(invalid="ignore"):
        ends = np.fmax(prices * low, prices * high)
    # what is subtracted is summed term by term: the sums themselves are much larger
    box = np.where(left > 0, left * (upper - place), left * (lower - place)).sum()
    return float(box + (np.where(prices == 0, 0.0, ends) - prices * (sums @ place)).sum())


def _prices(slope: NDArray, lower: NDArray, upper: NDArray, rows: tuple[NDArray, NDArray, NDArray]) -> NDArray:
    """Prices of the rows at the largest ``slope a``: of the budget alone from a sorted list, else by HiGHS."""
    sums, low, high = rows
    if len(sums) == 1 and (sums == 1.0).all():
        order = np.argsort(-slope)
        filled = lower.sum() + np.cumsum((upper - lower)[order])  # the dearest first
        target = np.clip(filled[(slope > 0).sum() - 1] if (slope > 0).any() else lower.sum(), low[0], high[0])
        at = min(int(np.searchsorted(filled, target)), len(order) - 1)
        bound = target == high[0] or target == low[0]
        return np.array([slope[order[at]] if bound else 0.0])
    from scipy.optimize import linprog

    money, steep = max(np.abs(upper).max(), np.finfo(float).tiny), np.abs(slope).max() or 1.0
    both, limit = np.concatenate([sums, -sums]), np.concatenate([high, -low]) / money
    keep = np.isfinite(limit)
    box = np.stack([lower, upper], axis=1) / money
    found = linprog(-slope / steep, both[keep], limit[keep], bounds=box, method="highs")
    force = np.zeros(len(both))
    if found.x is not None:
        force[keep] = np.maximum(-found.ineqlin.marginals, 0.0) * steep
    return force[: len(sums)] - force[len(sums) :]
