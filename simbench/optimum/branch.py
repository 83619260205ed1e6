"""Branch and bound on boxes: closes the duality gap of S-shaped curves, many worlds side by side.

An S-shaped curve has a stretch that no price reaches, so the Lagrangian bound can stay above the
best amounts. Where the relaxation puts a unit into such a stretch, the box is cut there: in each
half the curve is closer to its concave hull, so both bounds fall. The best amounts lie in one of
the boxes that are left, so the largest bound among them bounds them all. Worlds share the calls,
nothing else: each is searched as if it were alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simbench.optimum.feasible import Constraints, meet, take
from simbench.optimum.refine import Ask, State, ladder, refine, replaced, some
from simbench.optimum.relax import Relaxation, Table, hermite, pick, points, polish, relax, upper_line

#: A box is cut where this share of its gap comes from mixing; else more levels are asked.
MIXED = 0.3

#: ``(table, constraints, row [b], low [b, U], high [b, U], price near [b]) -> Relaxation`` of boxes, each in the world
#: of its row of table and constraints; bound -inf where nothing is feasible.
Relaxer = Callable[[Table, Constraints, NDArray, NDArray, NDArray, NDArray], Relaxation]
#: ``(table [b rows], constraints [b], amounts [b, U]) -> amounts [b, U]``, feasible and locally best.
Polisher = Callable[[Table, Constraints, NDArray], NDArray]


class Boxes(NamedTuple):
    """Open boxes of all worlds."""

    row: NDArray  #: [b] the world's row in the state
    low: NDArray  #: [b, U]
    high: NDArray  #: [b, U]
    bound: NDArray  #: [b] no amounts in the box are worth more
    price: NDArray  #: [b] that of the box it was cut from; NaN if none


def branch(
    asking: Callable[[NDArray], Ask],
    state: State,
    constraints: Constraints,
    allowed: NDArray,
    relaxer: Relaxer,
    polisher: Polisher,
    boxes: int,
    width: int,
) -> tuple[list[State], NDArray[np.float64]]:
    """Search each world until the bound is within `allowed` of the best amounts, or `boxes` are used up.

    Parameters
    ----------
    asking : callable
        ``asking(worlds [m])`` asks the curves of some of the n worlds.
    state : State
        n worlds.
    constraints : Constraints
        n worlds, checked.
    allowed : array [n]
        Money.
    relaxer, polisher : callable
        The bound and the local search under budget and rows.
    boxes : int
        Relaxations to solve at most in a world.
    width : int
        Boxes of a world that are solved side by side.

    Returns
    -------
    list of State, array [n]
        What is known now of each world, and the upper bounds.
    """
    count = len(state.value)
    none = np.full(count, np.inf), np.full(count, np.nan)
    worlds, box = np.arange(count), Boxes(np.arange(count), *constraints[:2], *none)
    settled = np.full(count, -np.inf)  # the largest bound among boxes that cannot matter any more
    spent, known, bounds = np.zeros(count, int), [state] * count, np.full(count, np.inf)
    while True:
        going = (np.bincount(box.row, minlength=len(worlds)) > 0) & (spent < boxes)
        if not going.all():
            for place in np.flatnonzero(~going):
                known[worlds[place]] = some(state, np.array([place]))
                bounds[worlds[place]] = max(settled[place], box.bound[box.row == place].max(initial=-np.inf))
            if not going.any():
                return known, bounds
            constraints, state = take(constraints, going), some(state, going)
            worlds, allowed, settled, spent = worlds[going], allowed[going], settled[going], spent[going]
            box = _rows(box, going[box.row])
            box = box._replace(row=(np.cumsum(going) - 1)[box.row])
        table, every = state.table, np.arange(len(worlds))
        box = _rows(box, np.lexsort((-box.bound, box.row)))
        rank = np.arange(len(box.row)) - np.searchsorted(box.row, every)[box.row]
        top, rest = _rows(box, rank < width), _rows(box, rank >= width)
        spent = spent + np.bincount(top.row)
        relaxation = relaxer(table, constraints, top.row, top.low, top.high, top.price)
        top = top._replace(bound=np.fmin(top.bound, relaxation.bound), price=relaxation.price)
        gap = top.bound - state.value[top.row]
        matters = gap > allowed[top.row]
        np.maximum.at(settled, top.row[~matters], top.bound[~matters])
        corner, own = relaxation.corner, pick(table, top.row)
        inside = ((own.levels > top.low[..., None]) & (own.levels < top.high[..., None])).any(-1)  # can be cut
        mixed = np.where(inside, relaxation.corner_worth - upper_line(own, corner), 0.0).clip(0.0)
        split = matters & (mixed.sum(1) > MIXED * gap)
        halves = _halves(own.levels[split], _rows(top, split), mixed[split], corner[split])
        box = Boxes(*(np.concatenate(parts) for parts in zip(rest, _rows(top, matters & ~split), halves, strict=True)))
        lead = _first_largest(top.row, top.bound, every)
        open_rows = np.flatnonzero(matters[lead])  # worlds in which anything still matters
        if not open_rows.size:
            continue
        row = np.tile(top.row[matters], 2)
        own = pick(table, row)
        better = polisher(own, take(constraints, row), np.concatenate([relaxation.mixture[matters], corner[matters]]))
        guess = hermite(own, better).value.sum(1)
        lead, best = lead[open_rows], _first_largest(row, guess, open_rows)
        asks = ~split[lead] | (guess[best] > state.value[open_rows] + allowed[open_rows])
        rows, lead, best = open_rows[asks], lead[asks], best[asks]
        if rows.size:
            polished_lead = (np.cumsum(matters) - 1)[lead]
            here = better[np.where(split[lead], best, polished_lead)]
            decisive = np.stack([relaxation.low[lead], relaxation.high[lead]], axis=-1)
            before = some(state, rows)
            steps = ladder(before.table, here, constraints.lower[rows], constraints.upper[rows])
            candidates, levels = np.stack([here, better[best]], axis=-1), np.concatenate([decisive, steps], axis=-1)
            state = replaced(state, rows, refine(asking(worlds[rows]), before, candidates, levels))


def _rows(box: Boxes, which: NDArray) -> Boxes:
    return Boxes(*(part[which] for part in box))


def _first_largest(row: NDArray, value: NDArray, rows: NDArray) -> NDArray:
    """Where the largest value of each of `rows` is; the first of equals."""
    order = np.lexsort((-value, row))
    return order[np.searchsorted(row[order], rows)]


def _halves(levels: NDArray, box: Boxes, mixed: NDArray, place: NDArray) -> Boxes:
    """Cut each box at the level [b, U, K] nearest to `place`, in the unit that is mixed the most."""
    every, unit = np.arange(len(mixed)), np.argmax(mixed, axis=1)
    levels, low, high, centre = (part[every, unit][:, None] for part in (levels, box.low, box.high, place))
    levels = levels[:, 0]
    distance = np.where((levels > low) & (levels < high), np.abs(levels - centre), np.inf)
    cut = levels[every, np.argmin(distance, axis=1)]
    halves = Boxes(*(np.repeat(part, 2, axis=0) for part in box))
    halves.high[2 * every, unit] = cut
    halves.low[2 * every + 1, unit] = cut
    return halves


def relax_under_budget(
    table: Table, constraints: Constraints, row: NDArray, low: NDArray, high: NDArray, price: NDArray
) -> Relaxation:
    """Bound of boxes where the budget is the only constraint beside the box (a :data:`Relaxer`)."""
    amount, worth = (part[row] for part in points(table))
    budget = constraints.budget[row]
    found = relax(amount, worth, low, high, budget, price)
    slack = 1e-12 * np.abs(high).sum(1)
    fits = (low.sum(1) <= budget[:, 1] + slack) & (high.sum(1) >= budget[:, 0] - slack)
    return found._replace(bound=np.where(fits, found.bound, -np.inf))


def polish_under_budget(table: Table, constraints: Constraints, amounts: NDArray) -> NDArray:
    """Local search there (a :data:`Polisher`)."""
    return polish(table, amounts, *constraints[:2], partial(meet, budget=constraints.budget))
