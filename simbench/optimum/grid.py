"""Dynamic programming on a money grid: bound and candidate where branching meets too many ties.

**Bound.** Cut the room above each lower end into cells of width h. Feasible amounts lie in cells
``i_u``; with ``n = sum i_u`` their total obeys ``n h <= sum (a_u - lower_u) <= (n + U) h``. So n is
at most ``(high - sum lower) / h`` and at least ``(low - sum lower) / h - U``, and for a price >= 0
``sum f_u(a_u) = sum (f_u(a_u) - price a_u) + price sum a_u
             <= sum max_cell (f_u(a) - price a) + price min(high, sum lower + (n + U) h)``.
The largest right side over all cells with such an n bounds every feasible amount; it is a knapsack
over whole numbers, solved exactly. For a price < 0 the cells count down from the upper ends and
everything is mirrored. The cell maxima come from the upper lines. At the price of the best
amounts their own cells give their value itself, because ``f - price a`` is largest there.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from simbench.optimum.feasible import Constraints, meet
from simbench.optimum.refine import Ask, State, ladder, refine
from simbench.optimum.relax import hermite, points, polish, relax


def grid(
    ask: Ask,
    state: State,
    constraints: Constraints,
    allowed: float,
    size: int = 800,
    rounds: int = 6,
) -> tuple[State, float]:
    """Search one world whose budget binds on a grid of `size` cells.

    Parameters
    ----------
    ask : Ask
        The curves of this world.
    state : State
        One world.
    constraints : Constraints
        One world, checked; rows are not heeded.
    allowed : float
        Money; the search stops when the bound is that close.
    size : int
        Cells of the budget.
    rounds : int
        Each solves the grid, then asks more levels at its best cells.

    Returns
    -------
    State, float
        What is known now, and the upper bound.
    """
    lower, upper, budget = constraints[:3]
    relaxation = relax(*points(state.table), lower, upper, budget)
    price, bound = relaxation.price[0], relaxation.bound[0]
    sign = -1.0 if price < 0 else 1.0  # -1: money has to be spent, so what is not spent is counted
    low, high = np.sort(sign * budget[0])
    start, end = (upper, lower) if sign < 0 else (lower, upper)
    corner = (sign * start).sum()
    width = (high - corner) / size
    if not (np.isfinite(width) and width > 0):
        return state, float(bound)
    edges = np.minimum((sign * start).T + width * np.arange(size + 1), (sign * end).T)  # rising
    total = np.minimum(corner + width * (np.arange(size + 1) + (lower < upper).sum()), high)
    total = np.where(total >= low - 1e-9 * abs(low), total, np.nan)  # cells that cannot reach the low end
    mixture = meet(relaxation.corner, np.ones_like(lower), lower, upper, budget)
    state = refine(ask, state, mixture[..., None], np.sort(sign * edges)[None])
    for _ in range(rounds):
        amount, worth = (part[0] for part in points(state.table))
        best, chosen = knapsack(sign * amount, worth - price * amount, edges, sign * price * total)
        bound, chosen = min(bound, best), sign * chosen
        least, most, ends = (np.repeat(part, len(chosen), axis=0) for part in (lower, upper, budget))
        # what is missing is spread over the units that are on: one that is off stays off
        filled = meet(chosen, chosen - lower + 1e-9 * (upper - lower), least, most, ends)
        better = polish(state.table, filled, least, most, partial(meet, budget=ends))
        better = better[[int(np.argmax(hermite(state.table, better).value.sum(1)))]]
        levels = np.concatenate([chosen[:1, :, None], ladder(state.table, better, lower, upper)], axis=-1)
        state = refine(ask, state, better[..., None], levels)
        if bound - state.value[0] <= allowed:
            break
        price = sign * max(sign * _price(state, lower, upper, price), 0.0)
    return state, float(bound)


def _price(state: State, lower: NDArray, upper: NDArray, price: float) -> float:
    """The common slope of the units that are free to move at the best amounts."""
    model = hermite(state.table, state.amounts)
    free = (state.amounts > lower) & (state.amounts < upper) & (model.curvature < 0)
    return float(np.median(model.slope[free])) if free.any() else price


def knapsack(place: NDArray, gain: NDArray, edges: NDArray, reward: NDArray) -> tuple[float, NDArray]:
    """One point a unit, so that the sum of gains plus ``reward[sum of cells]`` is largest.

    Returns that largest sum, and places [k, U]: its own, then the best ones for some larger sums of cells.

    Parameters
    ----------
    place, gain : array [U, P]
    edges : array [U, size + 1]
        Rising; a point on an edge belongs to both cells.
    reward : array [size + 1]
        NaN where a sum of cells is not allowed.
    """
    size = len(reward) - 1
    table, owners, choices = np.where(np.arange(size + 1) == 0, 0.0, -np.inf), [], []
    for spot, worth, marks in zip(place, gain, edges, strict=True):
        cell = np.searchsorted(marks, spot, side="right") - 1
        cell = np.minimum(cell, np.searchsorted(marks, spot, side="left"))  # edges may coincide at the end
        both = (marks[cell] == spot) & (cell > 0)
        cell = np.concatenate([cell, cell[both] - 1])
        owner = np.concatenate([np.arange(len(spot)), np.flatnonzero(both)])
        owner, cell = (part[np.argsort(worth[owner], kind="stable")] for part in (owner, cell))
        value, which = np.full(cell.max() + 1, -np.inf), np.zeros(cell.max() + 1, int)
        value[cell], which[cell] = worth[owner], owner  # of a cell's points the last, the largest, stays
        padded = np.concatenate([np.full(len(value) - 1, -np.inf), table])
        sums = np.lib.stride_tricks.sliding_window_view(padded, len(value)) + value[::-1]
        choice = np.argmax(sums, axis=1)
        table = np.take_along_axis(sums, choice[:, None], 1)[:, 0]
        owners.append(which)
        choices.append(len(value) - 1 - choice)
    table = table + reward
    first = int(np.nanargmax(table))
    used = np.array([first, *np.linspace(first, size, 16).astype(int)[1:]])
    used = np.unique(used[np.isfinite(table[used])])
    chosen = np.zeros((len(used), len(place)))
    for unit in range(len(place) - 1, -1, -1):
        cell = choices[unit][used]
        chosen[:, unit] = place[unit, owners[unit][cell]]
        used = used - cell
    return float(table[first]), chosen
