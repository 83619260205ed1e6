"""Where to ask the curves next, and what is then known."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simbench.errors import BadInput
from simbench.optimum.relax import Cells, Evaluate, Table, hermite, insert

#: Steps of the ladder to each side of a candidate; each is a quarter of the one before.
STEPS = 6


class State(NamedTuple):
    """Where the search stands in n worlds."""

    table: Table
    amounts: NDArray  #: [n, U] the best so far
    value: NDArray  #: [n] what they are worth; -inf before the first


#: ``ask(levels [n, U, K]) -> Cells`` of the n worlds at hand.
Ask = Callable[[NDArray], Cells]


def asker(evaluate: Evaluate, select: Callable[[NDArray], Evaluate] | None, lower: NDArray, worlds: NDArray) -> Ask:
    """`evaluate` for some of the R worlds only: through `select` if given, else in company of the others."""
    if len(worlds) == len(lower):
        narrow = evaluate
    elif select is not None:
        narrow = select(worlds)
    else:

        def narrow(levels: NDArray) -> Cells:
            padded = np.broadcast_to(lower[..., None], (*lower.shape, levels.shape[-1])).copy()
            padded[worlds] = levels
            return Cells(*(np.asarray(part)[worlds] for part in evaluate(padded)))

    def ask(levels: NDArray) -> Cells:
        cells = Cells(*(np.asarray(part, float) for part in narrow(levels)))
        if not np.isfinite(cells.value).all() or any(np.isnan(part).any() for part in cells):
            raise BadInput("evaluate", "gave a value that is not finite", "curves are finite on their boxes")
        if (np.isposinf(cells.steepest) & np.isneginf(cells.flattest)).any():
            raise BadInput("evaluate", "a slope is bounded on neither side", "bound it on one side at least")
        width, rise = np.diff(levels, axis=-1), np.diff(cells.value, axis=-1)
        rounding = 1e-9 * np.abs(cells.value).max(axis=-1, keepdims=True)
        with np.errstate(invalid="ignore"):  # an infinite slope on a cell without width
            wrong = (rise > cells.steepest * width + rounding) | (rise < cells.flattest * width - rounding)
        if wrong.any():
            where = tuple(np.argwhere(wrong)[0])
            what = f"from {levels[where]:g} on, a curve of unit {where[1]} leaves its slope bounds"
            raise BadInput("evaluate", what, "steepest and flattest must hold on the whole cell")
        return cells

    return ask


def ladder(table: Table, amounts: NDArray, lower: NDArray, upper: NDArray) -> NDArray:
    """Levels around `amounts` [n, U], as ``[n, U, 2 STEPS]``: steps from the width of their cell downwards.

    A candidate that is off by e leaves a cell of about that width around the optimum, so the gap falls
    with e squared.
    """
    cell = hermite(table, amounts).cell[..., None]
    width = np.take_along_axis(table.levels, cell + 1, -1) - np.take_along_axis(table.levels, cell, -1)
    steps = np.maximum(width, 1e-9 * (upper - lower)[..., None]) * 0.25 ** np.arange(STEPS)
    place, low, high = amounts[..., None], lower[..., None], upper[..., None]
    left, right = place - steps, place + steps
    # a step that leaves the box is taken between two steps on the other side
    left = np.where(left < low, place + 0.5 * steps, left)
    right = np.where(right > high, place - 0.5 * steps, right)
    return np.clip(np.concatenate([left, right], axis=-1), low, high)


def refine(ask: Ask, state: State, candidates: NDArray, levels: NDArray) -> State:
    """Ask the curves at feasible candidates [n, U, k], which may become the best, and at other levels."""
    count = candidates.shape[-1]
    levels = np.concatenate([candidates, levels], axis=-1)
    order = np.argsort(levels, axis=-1)
    rising = np.take_along_axis(levels, order, -1)
    cells = ask(rising)
    value = np.take_along_axis(cells.value, np.argsort(order, axis=-1)[..., :count], -1).sum(1)
    best = np.argmax(value, axis=-1)[:, None]
    amounts = np.take_along_axis(candidates, best[..., None], -1)[..., 0]
    value = np.take_along_axis(value, best, -1)[:, 0]
    better = value > state.value
    return State(
        insert(state.table, rising, cells),
        np.where(better[:, None], amounts, state.amounts),
        np.where(better, value, state.value),
    )
