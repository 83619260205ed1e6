"""The best amounts of a smooth value that is no sum of curves, and a bound that a concave majorant proves.

**Bound.** A concave value lies below its tangent plane everywhere: ``V(a) <= V(b) + slope(b) (a - b)``, and the
largest value of the right-hand side over the feasible set is a linear program (the gap of Frank and Wolfe 1956).
Any concave majorant of the value bounds it likewise; where the two are equal at its best amounts, these are
proven best. The linear program's value is computed anew from its prices: for any prices p of rows
``low <= A a <= high``, ``slope a <= sum_u max_box (slope - p A)_u a_u + sum_rows max(p low, p high)``.

**Search.** Newton steps under boxes and linear rows from many starts, each the solution of a quadratic program
whose curvature is made positive (Nocedal and Wright 2006, chapters 3 and 18). Where curves have thresholds no step
leads across one: there money is moved from one unit to another, all of it or a part, and the climb goes on from the
best of these exchanges, as long as that gains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simbench.errors import BadInput
from simbench.optimum.feasible import Constraints, checked, least_distance, matrix, project, repeat, with_boxes
from simbench.optimum.records import TANGENT, Solution
from simbench.optimum.sample import random_feasible
from simbench.optimum.starts import apart

#: A step is taken when it gains this share of what its slope promises; else it is shortened to these shares.
ENOUGH, SHORTER = 1e-4, 0.5 ** np.arange(1.0, 11.0)
#: What is added to curvatures, as a share of the largest.
FLAT = 1e-10
#: A step that promises less than this share of the value is at the very top.
NEAR = 1e-9
#: Shares of what a unit can give, or another take, that are exchanged; how many of these plans are climbed from side by
#: side, and rounds of it at most.
EXCHANGED, SIDE, ROUNDS = (1.0, 0.5, 0.2), 6, 20
#: Maxima that exchanges begin at, none near another.
TOPS = 3


class Smooth(NamedTuple):
    """A value of one world, in money."""

    values: Callable[[NDArray], NDArray]  #: amounts [B, U] -> [B]
    #: amounts [B, U] -> value [B], slope [B, U], second derivatives [B, U, U], and their negative semidefinite part
    model: Callable[[NDArray], tuple[NDArray, NDArray, NDArray, NDArray]]


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
    points: int = 64,
    best: int = 12,
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
        Random points that are looked at, and how many starts are climbed from side by side, where the majorant leaves
        a gap.

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
    (top,) = climb(majorant, fine, begin[:1], tolerance / 10, bounded=True)
    found = [top._replace(value=float(value.values(top.amounts[None])[0]))]
    if top.bound - found[0].value > tolerance:
        scattered = random_feasible(fine, points, random, np.concatenate([top.amounts[None], begin]))
        some = np.resize(apart(scattered, value.values(scattered), fine, best), max(0, best - 1 - len(begin)))
        begin = np.concatenate([top.amounts[None], begin, scattered[some]])
        found += climb(value, fine, begin, tolerance, bounded=False)
        ends: list[Reached] = []
        for i in apart(np.stack([one.amounts for one in found]), np.array([one.value for one in found]), fine, TOPS):
            ends.append(exchanged(value, fine, found[i], tolerance, ends))
        found += ends
    amounts, worth, _ = max(found, key=lambda one: one.value)
    if worth - top.bound > tolerance:
        raise BadInput("majorant", f"allows {top.bound:.12g}, but {worth:.12g} is reached", "a value nowhere below")
    bound, method = max(top.bound, worth), np.array([TANGENT])
    return Solution(amounts[None], np.array([worth]), np.array([bound]), np.array([bound - worth <= tolerance]), method)


def climb(
    smooth: Smooth,
    constraints: Constraints,
    starts: NDArray,
    allowed: float,
    *,
    bounded: bool,
    above: float = -np.inf,
    rounds: int = 60,
) -> list[Reached]:
    """A local maximum near each start, the only one of a concave value; never worse than the start.

    Starts are climbed from side by side, each as if it were alone.

    Parameters
    ----------
    constraints : Constraints
        One world, checked.
    starts : array [B, U]
        Feasible.
    allowed : float
        Money. A climb ends when the tangent bound is as near as this, or a step promises no more.
    bounded : bool
        Whether bounds are wanted; else they are infinite.
    above : float
        Money. A climb is given up where a step does not even promise to lead above this.
    """
    rows, (lower, upper) = matrix(constraints), (part[0] for part in constraints[:2])
    limits = with_boxes(lower, upper, rows)

    def gaps_at(places: NDArray, slopes: NDArray, which: NDArray) -> NDArray:
        gaps = np.full(len(places), np.inf)  # not known
        for i in np.flatnonzero(which & bounded):
            gaps[i] = tangent_gap(places[i], slopes[i], constraints, rows)
        return gaps

    places, going = starts.copy(), np.ones(len(starts), bool)
    value, slope, *bends = (np.array(part) for part in smooth.model(starts))
    gap = bound = np.full(len(places), np.inf)
    for _ in range(rounds):
        move = np.zeros_like(places)
        for i in np.flatnonzero(going):
            move[i] = newton_step(places[i], slope[i], [bend[i] for bend in bends], limits)
        promise = (slope * move).sum(axis=1)
        # a gap is no smaller than a promise: it is asked for where both may be small
        top = promise < NEAR * np.abs(value)
        gap = np.fmin(gap, gaps_at(places, slope, going & np.isinf(gap) & (top | (promise <= allowed))))
        bound = np.minimum(bound, value + gap)
        going &= (gap > allowed) & (promise > (1e-14 * np.abs(value) if bounded else allowed))
        going &= value + promise > above
        if not going.any():
            break
        there = np.clip(places + np.where(going[:, None], move, 0.0), lower, upper)
        now = smooth.model(there)
        # at the very top values are equal up to rounding, and the gap tells more
        closer = gaps_at(there, now[1], going & top)
        near = closer < 0.5 * gap
        weak = going & (now[0] - value < ENOUGH * promise) & ~near
        if weak.any():
            shorter = np.clip(places[:, None] + SHORTER[:, None] * move[:, None], lower, upper)
            several = smooth.values(shorter.reshape(-1, places.shape[1])).reshape(len(places), -1)
            going &= ~weak | (several.max(axis=1) > value)
            best = shorter[np.arange(len(places)), several.argmax(axis=1)]
            there = np.where(weak[:, None], best, there)
            now = smooth.model(there)
            closer[weak] = np.inf
        places[going], gap[going] = there[going], closer[going]
        for part, new in zip((value, slope, *bends), now, strict=True):
            part[going] = new[going]
    bound = np.minimum(bound, value + gaps_at(places, slope, np.isinf(bound)))
    places = project(places, repeat(constraints, len(places)))
    return [Reached(*one) for one in zip(places, smooth.values(places).tolist(), bound.tolist(), strict=True)]


def exchanged(
    smooth: Smooth, constraints: Constraints, reached: Reached, tolerance: float, known: Sequence[Reached] = ()
) -> Reached:
    """A maximum that no exchange of money between two units, climbed from, makes better by more than the tolerance.

    Parameters
    ----------
    constraints : Constraints
        One world, checked.
    reached : Reached
        Where to begin.
    tolerance : float
        Money.
    known : sequence of Reached
        Such maxima that are known: on the way to one of them nothing new is found.
    """
    for _ in range(ROUNDS):
        if any(abs(one.value - reached.value) <= tolerance for one in known):
            return reached
        plans = exchanges(reached.amounts, constraints)
        chosen = np.resize(apart(plans, smooth.values(plans), constraints, SIDE), SIDE)  # as many as ever: one program
        ends = climb(smooth, constraints, plans[chosen], tolerance, bounded=False, above=reached.value)
        better = max(ends, key=lambda one: one.value)
        if better.value <= reached.value + tolerance:
            return reached
        reached = better
    return reached


def exchanges(amounts: NDArray, constraints: Constraints) -> NDArray[np.float64]:
    """Feasible amounts [B, U]: money from one unit to another, or from and to nobody where the total may change."""
    units = len(amounts)
    rows, low, high = with_boxes(constraints.lower[0], constraints.upper[0], matrix(constraints))
    both = np.concatenate([np.eye(units), np.zeros((1, units))])
    way = (both[None] - both[:, None]).reshape(-1, units)  # from each to each
    speed, place = way @ rows.T, rows @ amounts
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.where(speed > 0, (high - place) / speed, np.where(speed < 0, (low - place) / speed, np.inf))
    far = np.where(way.any(axis=1), np.maximum(ends.min(axis=1), 0.0), 0.0)
    plans = amounts + (np.array(EXCHANGED)[:, None, None] * far[:, None] * way).reshape(-1, units)
    return np.clip(plans, *(part[0] for part in constraints[:2]))


def newton_step(
    place: NDArray, slope: NDArray, bends: Sequence[NDArray], limits: tuple[NDArray, NDArray, NDArray]
) -> NDArray:
    """The move [U] that is best in ``slope d + d bend d / 2`` within limits, for the first bend that is negative."""
    units, (sums, low, high) = len(place), limits
    lower, upper = low[:units], high[:units]
    money, steep = np.abs(upper).max(), np.abs(slope).max()
    if not money * steep > 0:
        return np.zeros_like(place)
    triangle, corner = np.eye(units), slice(None, None, units + 1)
    for bend in bends:
        curvature = bend * (-money / steep)
        curvature.flat[corner] += FLAT * max(np.abs(curvature).max(), 1.0)
        if (curvature.flat[corner] > 0).all():  # most that is not positive shows it there
            with suppress(np.linalg.LinAlgError):
                triangle = np.linalg.cholesky(curvature)
                break
    spread = np.linalg.inv(triangle).T  # moves ``money spread z`` have curvature one
    centre = spread.T @ (slope / steep)
    sums, offset = sums @ spread, sums @ place
    # what rounding can do to moves as long as the box
    reach = np.linalg.norm(triangle) * np.linalg.norm(upper - lower) / money + 1.0
    rounding = 1e-14 * reach * np.abs(sums).sum(axis=1)
    ends = (low - offset) / money - rounding, (high - offset) / money + rounding
    # once: the next step puts right what rounding leaves
    return money * spread @ least_distance(centre, np.ones(units), (sums, *ends), times=1)


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
