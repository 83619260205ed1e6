"""Certified optimum of a sum of curves, one a unit, under boxes, a budget and linear rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from simbench.errors import BadInput
from simbench.optimum.branch import MIXED, branch, under_budget
from simbench.optimum.feasible import Constraints, checked, holds_rows, meet, project, rows_bind, take
from simbench.optimum.grid import grid
from simbench.optimum.records import BRANCH, DUAL, GRID, ROWS, Solution
from simbench.optimum.refine import Ask, State, asker, ladder, refine
from simbench.optimum.relax import (
    Evaluate,
    Relaxation,
    Table,
    hermite,
    pick,
    points,
    polish,
    relax,
    upper_line,
)
from simbench.optimum.rows import under_rows


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
    hard: dict[int, State] = {}  # worlds that prices alone do not settle
    for turn in range(rounds + 1):
        relaxation = relax(*points(state.table), lower[worlds], upper[worlds], budget[worlds])
        amounts[worlds], worth[worlds] = state.amounts, state.value
        bound[worlds] = np.fmin(bound[worlds], relaxation.bound)
        left = bound[worlds] - worth[worlds] > allowed[worlds]
        mixed = relaxation.corner_worth - upper_line(state.table, relaxation.corner)
        kept = left & (mixed.sum(1) <= MIXED * (bound[worlds] - worth[worlds])) & (turn < rounds)
        for place in np.flatnonzero(~kept & (left | ~holds_rows(state.amounts, take(fine, worlds), 1e-12))):
            row = np.array([place])
            hard[int(worlds[place])] = State(pick(state.table, row), state.amounts[row], state.value[row])
        if not kept.any():
            break
        if not kept.all():
            worlds, relaxation = worlds[kept], Relaxation(*(part[kept] for part in relaxation))
            state = State(pick(state.table, kept), state.amounts[kept], state.value[kept])
        box = lower[worlds], upper[worlds], budget[worlds]
        state = _round(asker(evaluate, select, lower, worlds), state, relaxation, box)
    for world, here in hard.items():
        row = np.array([world])
        ask, one = asker(evaluate, select, lower, row), take(fine, row)
        here, limit, method[world] = _close(ask, here, one, float(allowed[world]), float(unit[world]), boxes)
        bound[world] = min(bound[world], limit)
        amounts[world], worth[world] = here.amounts[0], here.value[0]
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


def _close(
    ask: Ask, state: State, one: Constraints, allowed: float, unit: float, boxes: int
) -> tuple[State, float, int]:
    """What prices leave open in one world: boxes are branched, and a money grid is the last resort."""
    if rows_bind(one):
        if not holds_rows(state.amounts, one, 1e-12)[0]:
            state = State(state.table, project(state.amounts, one), np.full(1, -np.inf))
        return *branch(ask, state, one, allowed, *under_rows(one, unit or 1.0), boxes, 2), ROWS
    state, bound = branch(ask, state, one, allowed, *under_budget(one), boxes, 16)
    if bound - state.value[0] <= allowed:
        return state, bound, BRANCH
    state, other = grid(ask, state, one, allowed)
    return state, min(bound, other), GRID
