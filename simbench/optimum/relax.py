"""Curves known on levels, proven upper lines between them, and the Lagrangian relaxation.

**Upper line of a cell.** If ``flattest <= f' <= steepest`` on ``[p, q]``, then for every a in it
``f(a) <= f(p) + steepest (a - p)`` and ``f(a) <= f(q) - flattest (q - a)`` (mean value theorem).
The smaller of the two is concave, with its corner (the *peak*) where they cross. Hence, for any
price, ``f(a) - price a`` is at most the largest of its values at the two levels and the peak: a
curve is replaced by a finite set of points, and the bound below needs only their maximum.

**Relaxation.** For any price and any feasible a with sum in [low, high]:
``sum_u f_u(a_u) <= sum_u max_points (y - price x) + max(price low, price high)``, because
``price sum a`` is at most the last term. The best price is found by tangents: two prices
whose amounts enclose the budget define the next price, the slope of the line that joins them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: First step from a guessed price, as a share of it.
LEAP = 0.02


class Cells(NamedTuple):
    """Curves of R worlds and U units at K rising levels; value in money, slopes in money per money."""

    value: NDArray  #: [R, U, K] net value at the levels
    slope: NDArray  #: [R, U, K] its derivative there; may be infinite at the first level
    steepest: NDArray  #: [R, U, K-1] no smaller than the derivative anywhere on cell [k, k+1]; may be +inf
    flattest: NDArray  #: [R, U, K-1] no larger than the derivative anywhere on the cell; may be -inf


#: ``evaluate(levels [R, U, K]) -> Cells``; levels rise along the last axis and may repeat.
Evaluate = Callable[[NDArray], Cells]


class Table(NamedTuple):
    """All that is known of the curves: levels [n, U, K], sorted, and their cells."""

    levels: NDArray
    cells: Cells


class Relaxation(NamedTuple):
    """The best Lagrangian bound of n boxes and the amounts that go with it."""

    bound: NDArray  #: [n] no feasible amounts are worth more
    price: NDArray  #: [n] value of one more unit of money
    low: NDArray  #: [n, U] maximising points with a total no larger than the budget
    high: NDArray  #: [n, U] ... and no smaller
    low_worth: NDArray  #: [n, U] upper line at `low`
    high_worth: NDArray  #: [n, U]
    share: NDArray  #: [n] (1 - share) low + share high meets the budget

    @property
    def mixture(self) -> NDArray:
        """[n, U] amounts that meet the budget, every unit the same share of the way."""
        return self.low + self.share[:, None] * (self.high - self.low)

    @property
    def shares(self) -> NDArray:
        """[n, U] the same total reached unit by unit: at most one unit stays between `low` and `high`."""
        room = np.maximum(self.high - self.low, 0.0)
        before = np.cumsum(room, axis=1) - room
        need = self.share[:, None] * room.sum(1, keepdims=True) - before
        return np.divide(need, room, out=np.zeros_like(room), where=room > 0).clip(0.0, 1.0)

    @property
    def corner(self) -> NDArray:
        """[n, U] the amounts of `shares`: as good as `mixture` in the relaxation, better for S-shapes."""
        return self.low + self.shares * (self.high - self.low)

    @property
    def corner_worth(self) -> NDArray:
        """[n, U] the relaxation's own value of `corner`, unit by unit."""
        return self.low_worth + self.shares * (self.high_worth - self.low_worth)


@lru_cache(maxsize=256)
def _starts(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Where the rows of a flat array begin."""
    return np.arange(0, prod(shape), shape[-1]).reshape(*shape[:-1], 1)


def along(part: NDArray, index: NDArray) -> NDArray:
    """``np.take_along_axis(part, index, -1)`` for indices >= 0: one flat take is several times faster."""
    return part.take(_starts(part.shape) + index)


def count_below(levels: NDArray, amounts: NDArray) -> NDArray[np.intp]:
    """How many of the sorted levels [..., K] are no larger than each amount [..., k], by halving."""
    low = np.zeros(amounts.shape, np.intp)
    step = 1 << levels.shape[-1].bit_length()
    while step > 1:
        step //= 2
        place = low + step
        inside = place <= levels.shape[-1]
        low += step * (inside & (along(levels, np.where(inside, place, 1) - 1) <= amounts))
    return low


def pick(table: Table, rows: NDArray) -> Table:
    """Some rows of a table."""
    return Table(table.levels[rows], Cells(*(part[rows] for part in table.cells)))


def insert(table: Table, levels: NDArray, cells: Cells) -> Table:
    """A table with more levels (sorted, inside its range); slope bounds are the tighter of old and new."""
    old = table.cells
    count, fresh = table.levels.shape[-1], levels.shape[-1]
    merged = np.concatenate([table.levels, levels], axis=-1)
    order = np.argsort(merged, axis=-1, kind="stable")
    is_new = order >= count
    after_new = np.cumsum(is_new, axis=-1)[..., :-1]  # new levels so far; the others so far are old ones
    in_old = np.clip(np.arange(count + fresh - 1) - after_new, 0, count - 2)
    in_new = np.clip(after_new - 1, 0, fresh - 2)
    inside = (after_new > 0) & (after_new < fresh)

    def levelled(before: NDArray, now: NDArray) -> NDArray:
        return along(np.concatenate([before, now], axis=-1), order)

    def celled(before: NDArray, now: NDArray, free: float) -> tuple[NDArray, NDArray]:
        before, now = along(before, in_old), along(now, in_new)
        return before, np.where(inside, now, free)

    return Table(
        along(merged, order),
        Cells(
            levelled(old.value, cells.value),
            levelled(old.slope, cells.slope),
            np.minimum(*celled(old.steepest, cells.steepest, np.inf)),
            np.maximum(*celled(old.flattest, cells.flattest, -np.inf)),
        ),
    )


def peaks(table: Table) -> tuple[NDArray, NDArray]:
    """Where the two upper lines of each cell cross, and how high: ``[n, U, K-1]`` twice."""
    levels, (value, _, steepest, flattest) = table
    width, rise = np.diff(levels, axis=-1), np.diff(value, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        step = (rise - flattest * width) / (steepest - flattest)
        step = np.where(np.isneginf(flattest), width, step)
        step = np.clip(np.where(np.isnan(step), 0.0, step), 0.0, width)
        up = np.where(np.isposinf(steepest), np.inf, value[..., :-1] + steepest * step)
        down = np.where(np.isneginf(flattest), np.inf, value[..., 1:] - flattest * (width - step))
    height = np.where(width > 0, np.minimum(up, down), value[..., :-1])
    return levels[..., :-1] + step, height


def points(table: Table) -> tuple[NDArray, NDArray]:
    """Amounts and upper values ``[n, U, 2K-1]`` whose maximum bounds a curve minus any price."""
    where, height = peaks(table)
    return np.concatenate([table.levels, where], axis=-1), np.concatenate([table.cells.value, height], axis=-1)


def relax(
    amount: NDArray, worth: NDArray, lower: NDArray, upper: NDArray, budget: NDArray, near: NDArray | None = None
) -> Relaxation:
    """The best Lagrangian bound of n boxes.

    Parameters
    ----------
    amount, worth : array [n, U, P]
        Points of the upper lines.
    lower, upper : array [n, U]
        The box; both ends are among the points. Points outside it do not count.
    budget : array [n, 2]
    near : array [n], optional
        Where the best price is expected, as that of a larger box: it saves steps and changes no bound. NaN: not known.

    Returns
    -------
    Relaxation
    """
    inside = (amount >= lower[..., None]) & (amount <= upper[..., None])
    worth = np.where(inside, worth, -np.inf)
    index = np.argmax(worth, axis=-1)[..., None]  # at price 0
    here, here_worth = along(amount, index)[..., 0], along(worth, index)[..., 0]
    price, bound, total = np.zeros(len(lower)), here_worth.sum(1), here.sum(1)
    target = np.clip(total, budget[:, 0], budget[:, 1])
    over, under = (total > target)[:, None], (total < target)[:, None]
    # where the budget binds, the bracket's other end is where an endless price leads: a corner of the box
    floor = np.where(amount <= lower[..., None], worth, -np.inf).max(-1)
    ceiling = np.where(amount >= upper[..., None], worth, -np.inf).max(-1)
    low, low_worth = np.where(over, lower, here), np.where(over, floor, here_worth)
    high, high_worth = np.where(under, upper, here), np.where(under, ceiling, here_worth)
    going = (over | under)[:, 0]
    bound[going] = np.inf
    row, unit = np.indices(lower.shape).reshape(2, -1)
    own = amount.reshape(row.size, -1), worth.reshape(row.size, -1)
    room = np.empty_like(own[0])  # of the same size in every step: asked for once
    guess = np.full(len(lower), np.nan) if near is None else np.where(over[:, 0] == (near > 0), near, np.nan)
    leap, side = np.abs(guess) * LEAP, np.zeros(len(lower))
    for _ in range(200):
        if not going.any():
            break
        # a unit whose ends have met has the same amount at every price in between
        free = (low != high)[row, unit] & going[row]
        if 2 * free.sum() <= row.size:  # copying the points of fewer units pays only now and then
            row, unit, own = row[free], unit[free], tuple(part[free] for part in own)
        left, right, left_worth, right_worth = (part.sum(1) for part in (low, high, low_worth, high_worth))
        gap = right - left
        tangent = np.divide(right_worth - left_worth, gap, out=np.zeros_like(gap), where=gap > 0)
        guessed = ~np.isnan(guess)
        slope = np.where(guessed, guess, tangent)
        net = np.multiply(slope[row, None], own[0], out=room[: len(row)])
        index = np.argmax(np.subtract(own[1], net, out=net), axis=-1)[:, None]
        now, now_worth = low.copy(), low_worth.copy()
        now[row, unit], now_worth[row, unit] = (along(part, index)[:, 0] for part in own)
        middle = now.sum(1)
        found = now_worth.sum(1) + slope * (target - middle)
        better = going & (found < bound)
        price, bound = np.where(better, slope, price), np.where(better, found, bound)
        line = left_worth + tangent * (target - left)
        size = np.abs(left_worth) + np.abs(right_worth) + np.abs(tangent) * np.abs(target)
        going = going & (found - line > 1e-12 * size) & ((middle != left) & (middle != right) | guessed)
        below, above = going & (middle <= target), going & (middle > target)
        # on from a guess in growing steps, until the best price lies between two of them
        turn = np.where(below, -1.0, 1.0)
        guess = np.where((side + turn != 0) & ((guess + turn * leap) * guess > 0), guess + turn * leap, np.nan)
        leap, side = 8.0 * leap, turn
        low[below], low_worth[below] = now[below], now_worth[below]
        high[above], high_worth[above] = now[above], now_worth[above]
    gap = (high - low).sum(1)
    share = np.divide(target - low.sum(1), gap, out=np.zeros_like(gap), where=gap > 0).clip(0.0, 1.0)
    return Relaxation(bound, price, low, high, low_worth, high_worth, share)


def upper_line(table: Table, amounts: NDArray) -> NDArray:
    """The proven upper line at any amounts ``[n, U]``."""
    levels, (value, _, steepest, flattest) = table
    cell = np.clip(count_below(levels, amounts[..., None]) - 1, 0, levels.shape[-1] - 2)
    left, right, start, end = (along(part, cell + step)[..., 0] for part in (levels, value) for step in (0, 1))
    with np.errstate(invalid="ignore"):
        up = np.where(amounts > left, start + along(steepest, cell)[..., 0] * (amounts - left), start)
        down = np.where(amounts < right, end - along(flattest, cell)[..., 0] * (right - amounts), end)
    return np.minimum(up, down)


class Model(NamedTuple):
    """The cubic through levels and slopes at amounts [n, U]: an estimate, never part of a bound."""

    value: NDArray  #: [n, U]
    slope: NDArray
    curvature: NDArray
    cell: NDArray  #: int, index of the cell


def hermite(table: Table, amounts: NDArray) -> Model:
    """The cubic model of the curves; infinite slopes are replaced by three times the chord."""
    levels, (value, slope, _, _) = table
    cell = np.clip(count_below(levels, amounts[..., None])[..., 0] - 1, 0, levels.shape[-1] - 2)
    left, right, start, end, first, last = (
        along(part, cell[..., None] + step)[..., 0] for part in (levels, value, slope) for step in (0, 1)
    )
    width = right - left
    safe = np.where(width > 0, width, 1.0)
    chord = np.where(width > 0, (end - start) / safe, np.where(np.isfinite(first), first, 0.0))
    first = np.where(np.isfinite(first), first, 3.0 * chord)
    last = np.where(np.isfinite(last), last, 3.0 * chord)
    share = np.where(width > 0, (amounts - left) / safe, 0.0)
    bend, twist = 3.0 * chord - 2.0 * first - last, first + last - 2.0 * chord
    return Model(
        start + width * share * (first + share * (bend + share * twist)),
        first + share * (2.0 * bend + 3.0 * share * twist),
        (2.0 * bend + 6.0 * share * twist) / safe,
        cell,
    )


#: ``(centre, weight, lower, upper) -> amounts``, all [n, U]: feasible, ``sum (a - centre)^2 / weight`` least.
Nearest = Callable[[NDArray, NDArray, NDArray, NDArray], NDArray]


def polish(table: Table, amounts: NDArray, lower: NDArray, upper: NDArray, nearest: Nearest, steps: int = 3) -> NDArray:
    """Equalise the slopes around `amounts` [n, U]: Newton steps on the cubic model within the constraints.

    A unit moves at most four levels a step, and stays where its curve is not concave.
    """
    last = table.levels.shape[-1] - 1
    for _ in range(steps):
        _, slope, curvature, cell = hermite(table, amounts)
        start = along(table.levels, np.maximum(cell - 4, 0)[..., None])[..., 0]
        end = along(table.levels, np.minimum(cell + 5, last)[..., None])[..., 0]
        concave = curvature < 0
        weight = np.where(concave, -1.0 / np.where(concave, curvature, -1.0), 0.0)
        start, end = np.clip(start, lower, amounts), np.clip(end, amounts, upper)
        # where a curve is all but straight, a step of many windows says as much and rounds better
        steep = np.maximum(np.abs(slope).max(-1, keepdims=True), np.finfo(float).tiny)
        weight = np.minimum(weight, 1e6 * (end - start) / steep)
        moved = nearest(amounts + weight * slope, weight, start, end)
        amounts = np.where(np.isfinite(moved), moved, amounts)
    return nearest(amounts, np.ones_like(amounts), lower, upper)
