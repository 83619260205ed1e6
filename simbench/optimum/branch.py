"""Branch and bound on boxes: closes the duality gap of S-shaped curves, one world at a time.

An S-shaped curve has a stretch that no price reaches, so the Lagrangian bound can stay above the
best amounts. Where the relaxation puts a unit into such a stretch, the box is cut there: in each
half the curve is closer to its concave hull, so both bounds fall. The best amounts lie in one of
the boxes that are left, so the largest bound among them bounds them all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from simbench.optimum.feasible import Constraints, meet
from simbench.optimum.refine import Ask, State, ladder, refine
from simbench.optimum.relax import Relaxation, Table, hermite, points, polish, relax, upper_line

#: A box is cut where this share of its gap comes from mixing; else more levels are asked.
MIXED = 0.3

#: ``(table of one world, low [n, U], high [n, U]) -> Relaxation``; bound -inf where nothing is feasible.
Relaxer = Callable[[Table, NDArray, NDArray], Relaxation]
#: ``(table of one world, amounts [n, U]) -> amounts [n, U]``, feasible and locally best.
Polisher = Callable[[Table, NDArray], NDArray]


def branch(
    ask: Ask,
    state: State,
    constraints: Constraints,
    allowed: float,
    relaxer: Relaxer,
    polisher: Polisher,
    boxes: int,
    width: int,
) -> tuple[State, float]:
    """Search one world until the bound is within `allowed` of the best amounts, or `boxes` are used up.

    Parameters
    ----------
    ask : Ask
        The curves of this world.
    state : State
        One world.
    constraints : Constraints
        One world, checked.
    allowed : float
        Money.
    relaxer, polisher : callable
        The bound and the local search under this world's budget and rows.
    boxes : int
        Relaxations to solve at most.
    width : int
        Relaxations solved side by side.

    Returns
    -------
    State, float
        What is known now, and the upper bound.
    """
    lower, upper = constraints.lower, constraints.upper
    low, high, bound = lower, upper, np.full(1, np.inf)  # open boxes and their bounds
    settled, spent = -np.inf, 0  # the largest bound among boxes that cannot matter any more
    while bound.size and spent < boxes:
        order = np.argsort(-bound, kind="stable")
        top, rest = order[:width], order[width:]
        spent += top.size
        relaxation = relaxer(state.table, low[top], high[top])
        now = np.fmin(bound[top], relaxation.bound)
        gap = now - state.value[0]
        matters = gap > allowed
        settled = max(settled, now[~matters].max(initial=-np.inf))
        corner = relaxation.corner
        levels = state.table.levels
        inside = ((levels > low[top][..., None]) & (levels < high[top][..., None])).any(-1)  # can be cut
        mixed = np.where(inside, relaxation.corner_worth - upper_line(state.table, corner), 0.0).clip(0.0)
        split = matters & (mixed.sum(1) > MIXED * gap)
        lead = int(np.argmax(now))
        lows, highs = _halves(state.table, low[top[split]], high[top[split]], mixed[split], corner[split])
        keep = matters & ~split
        low = np.concatenate([low[rest], low[top[keep]], lows])
        high = np.concatenate([high[rest], high[top[keep]], highs])
        bound = np.concatenate([bound[rest], now[keep], np.repeat(now[split], 2)])
        if not matters.any():
            continue
        better = polisher(state.table, np.concatenate([relaxation.mixture[matters], corner[matters]]))
        guess = hermite(state.table, better).value.sum(1)
        best = int(np.argmax(guess))
        if not split[lead] or guess[best] > state.value[0] + allowed:
            place = int(np.count_nonzero(matters[:lead]))  # the leading box among those that were polished
            here = better[[best if split[lead] else place]]
            decisive = np.stack([relaxation.low[lead], relaxation.high[lead]], axis=-1)[None]
            asked = np.concatenate([decisive, ladder(state.table, here, lower, upper)], axis=-1)
            state = refine(ask, state, np.stack([here, better[[best]]], axis=-1), asked)
    return state, float(max(settled, bound.max(initial=-np.inf)))


def _halves(table: Table, low: NDArray, high: NDArray, mixed: NDArray, place: NDArray) -> tuple[NDArray, NDArray]:
    """Cut each box [n, U] at the level nearest to `place`, in the unit that is mixed the most."""
    lows, highs = np.repeat(low, 2, axis=0), np.repeat(high, 2, axis=0)
    for box, unit in enumerate(np.argmax(mixed, axis=1) if len(mixed) else ()):
        levels = table.levels[0, unit]
        inner = levels[(levels > low[box, unit]) & (levels < high[box, unit])]
        cut = inner[np.argmin(np.abs(inner - place[box, unit]))]
        highs[2 * box, unit] = cut
        lows[2 * box + 1, unit] = cut
    return lows, highs


def under_budget(constraints: Constraints) -> tuple[Relaxer, Polisher]:
    """Bound and local search of one world where the budget is the only constraint beside the box."""
    budget = constraints.budget

    def relaxer(table: Table, low: NDArray, high: NDArray) -> Relaxation:
        amount, worth = (np.broadcast_to(part, (len(low), *part.shape[1:])) for part in points(table))
        found = relax(amount, worth, low, high, np.broadcast_to(budget, (len(low), 2)))
        slack = 1e-12 * np.abs(high).sum(1)
        fits = (low.sum(1) <= budget[0, 1] + slack) & (high.sum(1) >= budget[0, 0] - slack)
        return found._replace(bound=np.where(fits, found.bound, -np.inf))

    def polisher(table: Table, amounts: NDArray) -> NDArray:
        low, high, ends = (np.repeat(part, len(amounts), axis=0) for part in constraints[:3])
        return polish(table, amounts, low, high, partial(meet, budget=ends))

    return relaxer, polisher
