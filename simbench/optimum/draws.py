"""Answered curves draw by draw: what amounts promise in each draw, and the amounts that are safest in the worst.

Every draw is read between its levels by PCHIP, KPI and money each, as the mean curves are. All draws of
a world are asked at the same amounts, so that the pieces are found once a world.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simbench.optimum.ascent import ascend
from simbench.optimum.curves import pchip_slopes
from simbench.optimum.feasible import Constraints, checked
from simbench.optimum.relax import relax

#: Places on the way from the reference to the best mean from which a climb may begin.
PLACES = 5
#: More units than this are not climbed with: a step solves a system of that size.
CLIMBED = 32
#: A climb ends at this share of the range of values: the tail of a few hundred draws is no smoother.
ENOUGH = 1e-4


class Drawn(NamedTuple):
    """Net value of D draws of the curves of R worlds and U units, at their levels."""

    levels: NDArray  #: [R, U, L] money, rising
    value: NDArray  #: [R, U, L, D] money
    slope: NDArray  #: [R, U, L, D] of the monotone cubics, money per money


def drawn(levels: NDArray, kpi: NDArray, paid: NDArray | None, worth: ArrayLike) -> Drawn:
    """Curves [R, D, U, L] of joint draws, ready to be read.

    Parameters
    ----------
    levels : array [R, U, L]
        Money, L >= 2. Where a unit has no room its levels need not rise: it is worth nothing.
    kpi : array [R, D, U, L]
        KPI units.
    paid : array [R, D, U, L], optional
        Money; None = the amount itself.
    worth : float or array [R]
        Money per KPI unit.
    """
    room = levels[..., -1] > levels[..., 0]
    knots = np.where(room[..., None], levels, np.arange(levels.shape[-1], dtype=float))
    money = np.asarray(worth, float).reshape(-1, 1, 1, 1)
    spread = knots[:, None]
    value = money * kpi - (spread if paid is None else paid)
    slope = money * pchip_slopes(spread, kpi) - (1.0 if paid is None else pchip_slopes(spread, paid))
    kept = room[:, None, :, None]
    value, slope = (np.moveaxis(np.where(kept, part, 0.0), 1, -1) for part in (value, slope))
    return Drawn(knots, np.ascontiguousarray(value), np.ascontiguousarray(slope))


def read(curves: Drawn, rows: NDArray, amounts: NDArray) -> tuple[NDArray, NDArray]:
    """Net value and slope [b, U, D] of amounts [b, U] in every draw of the worlds `rows` [b]; within the levels."""
    knots = curves.levels[rows]
    inside = np.clip(amounts, knots[..., 0], knots[..., -1])
    piece = (inside[..., None] >= knots[..., 1:-1]).sum(-1)
    left, right = (np.take_along_axis(knots, (piece + k)[..., None], -1) for k in (0, 1))
    width = right - left
    t = (inside[..., None] - left) / width
    at = rows[:, None], np.arange(knots.shape[1]), piece
    after = rows[:, None], np.arange(knots.shape[1]), piece + 1
    low, high = curves.value[at], curves.value[after]
    rise, tilt, end = high - low, curves.slope[at] * width, curves.slope[after] * width
    bend, twist = 3.0 * rise - 2.0 * tilt - end, tilt + end - 2.0 * rise
    return low + t * (tilt + t * (bend + t * twist)), (tilt + t * (2.0 * bend + 3.0 * t * twist)) / width


def gains(curves: Drawn, amounts: NDArray, reference: NDArray) -> NDArray[np.float64]:
    """Money [R, D] that amounts [R, U] promise in every draw, beyond what the reference [R, U] does."""
    rows = np.arange(len(amounts))
    return (read(curves, rows, amounts)[0] - read(curves, rows, reference)[0]).sum(axis=1)


def tail(values: NDArray, share: float) -> tuple[NDArray, NDArray]:
    """Mean [b] of the lowest `share` of values [b, D], and the weight [b, D] of each in it.

    The conditional value at risk of equally weighted draws; the draw at the edge counts in part.
    Source: Rockafellar and Uryasev 2002.
    """
    count = values.shape[-1]
    order = np.argsort(values, axis=-1, kind="stable")
    size = np.clip(share * count - np.arange(count), 0.0, 1.0) / (share * count)
    weight = np.empty_like(values)
    np.put_along_axis(weight, order, np.broadcast_to(size, values.shape), axis=-1)
    return (weight * values).sum(axis=-1), weight


def safest(
    curves: Drawn, reference: NDArray, best: NDArray, constraints: Constraints, share: float
) -> NDArray[np.float64]:
    """Feasible amounts [R, U] whose gain over the reference has the largest mean in the worst `share` of draws.

    Searched: the best of a few places on the way from the reference to `best` is climbed from. Where
    curves are concave that is the best there is; in no case are the reference or `best` better. As the
    reference gains nothing, the amounts found lose in fewer than `share` of the draws, or are the reference.
    Under linear rows, and with very many units, the way alone is searched.
    """
    rows, before = np.arange(len(best)), read(curves, np.arange(len(best)), reference)[0].sum(axis=1)

    def worst(which: NDArray, amounts: NDArray) -> tuple[NDArray, NDArray]:
        value, slope = read(curves, which, amounts)
        mean, weight = tail(value.sum(axis=1) - before[which], share)
        return mean, (slope @ weight[:, :, None])[..., 0]

    way = np.linspace(0.0, 1.0, PLACES)[:, None]
    places = np.clip(reference[:, None] + way * (best - reference)[:, None], *_ends(reference, best))
    value = worst(np.repeat(rows, PLACES), places.reshape(-1, best.shape[1]))[0].reshape(-1, PLACES)
    begin = places[rows, value.argmax(axis=1)]
    if len(constraints.groups) or best.shape[1] > CLIMBED:
        return begin
    unit = np.ptp(curves.value.mean(axis=-1), axis=-1).max(axis=1)
    return ascend(worst, begin, constraints, np.where(unit > 0, unit, 1.0), ENOUGH)[0]


def _ends(one: NDArray, other: NDArray) -> tuple[NDArray, NDArray]:
    """The box [R, 1, U] between two amounts: rounding does not leave it."""
    return np.minimum(one, other)[:, None], np.maximum(one, other)[:, None]


def perfect(
    curves: Drawn, best: NDArray, constraints: Constraints, draws: int = 64, points: int = 16
) -> NDArray[np.float64]:
    """Expected worth of perfect information [R]: what knowing the true draw would add to the best mean.

    The mean over draws of the best worth in each, less that of the best amounts of the mean. Both are
    Lagrangian bounds on amounts a few steps apart: exact for concave curves up to the steps; of S-shaped
    ones it is the worth where money may be moved between weeks as well. Linear rows are not heeded.

    Parameters
    ----------
    best : array [R, U]
        The best amounts on the mean of the draws; one of the points.
    draws, points : int
        Evenly spaced draws that are looked at, and amounts of each unit.
    """
    fine = checked(constraints)
    count, units = best.shape
    used = np.linspace(0, curves.value.shape[-1] - 1, min(draws, curves.value.shape[-1])).round().astype(int)
    # a cubic is linear in values and slopes: their means are the mean curve, one more draw
    with_mean = (np.concatenate([x[..., used], x.mean(axis=-1, keepdims=True)], axis=-1) for x in curves[1:])
    some, cases = Drawn(curves.levels, *with_mean), len(used) + 1
    steps = np.linspace(0.0, 1.0, points)[:, None] ** 2
    grid = fine.lower[:, None] + (fine.upper - fine.lower)[:, None] * steps
    grid = np.concatenate([np.minimum(grid, fine.upper[:, None]), fine.upper[:, None], best[:, None]], axis=1)
    worth = read(some, np.repeat(np.arange(count), points + 2), grid.reshape(-1, units))[0]
    worth = np.moveaxis(worth.reshape(count, points + 2, units, cases), (3, 1), (1, 3))
    each = np.repeat(np.arange(count), cases)
    bound = relax(
        np.swapaxes(grid, 1, 2)[each], worth.reshape(count * cases, units, -1), fine.lower[each], fine.upper[each],
        fine.budget[each],
    ).bound  # fmt: skip
    regret = bound.reshape(count, cases) - worth[..., -1].sum(axis=-1)
    return np.maximum(regret[:, :-1].mean(axis=1) - regret[:, -1], 0.0)
