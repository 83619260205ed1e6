"""Certified optimum of a sum of curves, one a unit, under boxes, a budget and linear rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from simbench.errors import BadInput
from simbench.optimum.branch import MIXED, branch, polish_under_budget, relax_under_budget
from simbench.optimum.feasible import Constraints, checked, holds_rows, meet, project, rows_bind, take
from simbench.optimum.grid import grid
from simbench.optimum.records import BRANCH, DUAL, GRID, ROWS, Solution
from simbench.optimum.refine import Ask, State, asker, ladder, refine, some, together
from simbench.optimum.relax import (
    Evaluate,
    Relaxation,
    Table,
    hermite,
    points,
    polish,
    relax,
    upper_line,
)
from simbench.optimum.rows import under_rows

#: Units of worlds that are branched side by side: enough to share the calls, few enough for memory.
TOGETHER = 1280
#: Cells of the money grid. Its bound gives away one cell a unit, so a grid that does not settle a tie is refined.
SIZES = (800, 3200)


def separable(
    evaluate: Evaluate,
    constraints: Constraints,
    tolerance: float = 1e-6,
    levels: int = 32,
    rounds: int = 3,
    boxes: int = 512,
    select: Callable[[NDArray], Evaluate] | None = None,
) -> Solution:
    """Maximise ``sum_u f_u(a_u)``: any curves, S-shaped and falling ones too, R worlds at once.

    Curves are asked at levels dense near the lower ends, a Lagrangian bound is read off their proven
    upper lines, and more levels are asked around the candidate until bound and value meet. Where a
    duality gap remains (S-shapes), boxes are branched; where ties make that too long, a money grid is
    solved. Where linear rows bind, linear programs bound the boxes.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(levels [R, U, K]) -> Cells``, K >= 2; see :class:`Cells` for what must be proven.
    constraints : Constraints
        Money.
    tolerance : float
        Gap allowed, as a share of the widest range of one unit's value over its first levels (within
        what its box and the budget leave it). A share, so nothing depends on the currency.
    levels : int
        First levels a unit, spaced by squares.
    rounds : int
        Refinements of all worlds together, 16 levels a unit each.
    boxes : int
        Relaxations that branching may solve in one world.
    select : callable, optional
        ``select(worlds [n])`` gives the `evaluate` of those worlds alone. Without it, worlds that
        need more levels are evaluated in company of the finished ones.

    Returns
    -------
    Solution

    Raises
    ------
    BadInput
        Constraints that cannot be met, curves that are not finite, or amounts worth more than the
        slope bounds of `evaluate` allow (then those are wrong).
    """
    fine = checked(constraints)
    lower, upper, budget = fine.lower, fine.upper, fine.budget
    every = np.arange(len(lower))
    first = lower[..., None] + (upper - lower)[..., None] * np.linspace(0.0, 1.0, levels) ** 2
    first[..., -1] = upper
    table = Table(first, asker(evaluate, select, lower, every)(first))
    value = table.cells.value
    unit = np.ptp(value, axis=-1).max(1)
    # the second term is what rounding alone can do
    allowed = tolerance * unit + 1e-14 * np.abs(value).max(-1).sum(1)
    state = State(table, meet(lower, np.ones_like(lower), lower, upper, budget), np.full(len(lower), -np.inf))
    bound, method = np.full(len(lower), np.inf), np.full(len(lower), DUAL)
    amounts, worth, worlds = state.amounts.copy(), state.value.copy(), every
    hard: list[tuple[NDArray, State]] = []  # worlds that prices alone do not settle
    price = np.full(len(lower), np.nan)
    for turn in range(rounds + 1):
        relaxation = relax(*points(state.table), lower[worlds], upper[worlds], budget[worlds], price[worlds])
        price[worlds] = relaxation.price
        amounts[worlds], worth[worlds] = state.amounts, state.value
        bound[worlds] = np.fmin(bound[worlds], relaxation.bound)
        left = bound[worlds] - worth[worlds] > allowed[worlds]
        mixed = relaxation.corner_worth - upper_line(state.table, relaxation.corner)
        kept = left & (mixed.sum(1) <= MIXED * (bound[worlds] - worth[worlds])) & (turn < rounds)
        rows = np.flatnonzero(~kept & (left | ~holds_rows(state.amounts, take(fine, worlds), 1e-12)))
        if rows.size:
            hard.append((worlds[rows], some(state, rows)))
        if not kept.any():
            break
        if not kept.all():
            worlds, relaxation = worlds[kept], Relaxation(*(part[kept] for part in relaxation))
            state = some(state, kept)
        box = lower[worlds], upper[worlds], budget[worlds]
        state = _round(asker(evaluate, select, lower, worlds), state, relaxation, box)
    for part, here in _portions(hard, fine):
        asking = lambda rows, part=part: asker(evaluate, select, lower, part[rows])  # noqa: E731
        closed = _close(asking, here, take(fine, part), allowed[part], unit[part], boxes)
        for world, (known, limit, how) in zip(part, closed, strict=True):
            bound[world], method[world] = min(bound[world], limit), how
            amounts[world], worth[world] = known.amounts[0], known.value[0]
    over = worth - bound - 1e-9 * unit - 1e-12 * np.abs(value).max(-1).sum(1)
    if (over > 0).any():  # a bound below a value disproves the bounds it was made from
        world = int(np.argmax(over))
        what = f"slope bounds of world {world} allow {bound[world]:.12g}, but {worth[world]:.12g} is reached"
        raise BadInput("evaluate", what, "steepest and flattest must hold on the whole cell")
    bound = np.maximum(bound, worth)
    return Solution(amounts, worth, bound, bound - worth <= allowed, method)


def _round(ask: Ask, state: State, relaxation: Relaxation, box: tuple[NDArray, NDArray, NDArray]) -> State:
    """Ask the best guess, the plain mixture, the points that decide the bound, and a ladder at the guess."""
    lower, upper, budget = box
    nearest = partial(meet, budget=budget)
    starts = relaxation.mixture, relaxation.corner
    mixture, corner = (polish(state.table, start, lower, upper, nearest) for start in starts)
    even, uneven = (hermite(state.table, start).value.sum(1) for start in (mixture, corner))
    guess = np.where((uneven > even)[:, None], corner, mixture)
    plain = nearest(relaxation.mixture, np.ones_like(guess), lower, upper)
    decisive = np.stack([relaxation.low, relaxation.high], axis=-1)
    levels = np.concatenate([decisive, ladder(state.table, guess, lower, upper)], axis=-1)
    return refine(ask, state, np.stack([guess, plain], axis=-1), levels)


def _portions(hard: list[tuple[NDArray, State]], constraints: Constraints) -> Iterator[tuple[NDArray, State]]:
    """Worlds in portions that are closed together, in rising order; alone where linear rows bind."""
    if not hard:
        return
    worlds, state = np.concatenate([part for part, _ in hard]), together([here for _, here in hard])
    alone = np.array([len(constraints.groups) > 0 and rows_bind(take(constraints, [world])) for world in worlds])
    size = max(1, TOGETHER // state.amounts.shape[1])
    free = np.flatnonzero(~alone)
    free = free[np.argsort(worlds[free])]
    for rows in (*np.flatnonzero(alone)[:, None], *np.split(free, range(size, len(free), size))):
        if rows.size:
            yield worlds[rows], some(state, rows)


def _close(
    asking: Callable[[NDArray], Ask], state: State, limits: Constraints, allowed: NDArray, unit: NDArray, boxes: int
) -> Iterator[tuple[State, float, int]]:
    """What prices leave open: boxes are branched, and a money grid is the last resort."""
    if len(allowed) == 1 and rows_bind(limits):
        if not holds_rows(state.amounts, limits, 1e-12)[0]:
            state = State(state.table, project(state.amounts, limits), np.full(1, -np.inf))
        (state,), bounds = branch(asking, state, limits, allowed, *under_rows(limits, unit[0] or 1.0), boxes, 2)
        yield state, float(bounds[0]), ROWS
        return
    known, bounds = branch(asking, state, limits, allowed, relax_under_budget, polish_under_budget, boxes, 16)
    for row, (here, bound) in enumerate(zip(known, bounds.tolist(), strict=True)):
        if bound - here.value[0] <= allowed[row]:
            yield here, bound, BRANCH
            continue
        one = np.array([row])
        for size in SIZES:
            here, other = grid(asking(one), here, take(limits, one), float(allowed[row]), size)
            bound = min(bound, other)
            if bound - here.value[0] <= allowed[row]:
                break
        yield here, bound, GRID
