"""Where to ask the curves next, and what is then known."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simbench.errors import BadInput
from simbench.optimum.relax import Cells, Evaluate, Table, along, hermite, insert, pick

#: Steps of the ladder to each side of a candidate; each is a quarter of the one before.
STEPS = 6


class State(NamedTuple):
    """Where the search stands in n worlds."""

    table: Table
    amounts: NDArray  #: [n, U] the best so far
    value: NDArray  #: [n] what they are worth; -inf before the first


def some(state: State, rows: NDArray) -> State:
    """Some worlds of a state."""
    return State(pick(state.table, rows), state.amounts[rows], state.value[rows])


def widened(table: Table, count: int) -> Table:
    """The same table with its first level repeated, `count` levels in all: cells without width say nothing new."""
    extra = count - table.levels.shape[-1]
    if not extra:
        return table

    def longer(part: NDArray) -> NDArray:
        return np.concatenate([np.repeat(part[..., :1], extra, axis=-1), part], axis=-1)

    return Table(longer(table.levels), Cells(*(longer(part) for part in table.cells)))


def together(states: list[State]) -> State:
    """Several states as one, whatever number of levels each has."""
    count = max(state.table.levels.shape[-1] for state in states)
    tables = [widened(state.table, count) for state in states]
    return State(
        Table(
            np.concatenate([table.levels for table in tables]),
            Cells(*(np.concatenate(parts) for parts in zip(*(table.cells for table in tables), strict=True))),
        ),
        np.concatenate([state.amounts for state in states]),
        np.concatenate([state.value for state in states]),
    )


def replaced(state: State, rows: NDArray, finer: State) -> State:
    """The state with `finer` in place of some rows."""
    kept = np.setdiff1d(np.arange(len(state.value)), rows)
    if not kept.size:
        return finer
    both = some(together([some(state, kept), finer]), np.argsort(np.concatenate([kept, rows])))
    levels = both.table.levels  # drop what every world repeats at its start
    idle = min(int((levels == levels[..., :1]).all((0, 1)).sum()) - 1, levels.shape[-1] - 2)
    cells = Cells(*(part[..., idle:] for part in both.table.cells))
    return both._replace(table=Table(levels[..., idle:], cells))


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
        for name, part in cells._asdict().items():
            lost = np.argwhere(np.isnan(part) if name != "value" else ~np.isfinite(part))
            if lost.size:
                where = tuple(lost[0])
                what = f"gave a {name} that is not finite, of unit {where[1]} from {levels[where]:g} on"
                raise BadInput("evaluate", what, "curves are finite on their boxes")
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
    width = along(table.levels, cell + 1) - along(table.levels, cell)
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
    rising = along(levels, order)
    cells = ask(rising)
    value = along(cells.value, np.argsort(order, axis=-1)[..., :count]).sum(1)
    best = np.argmax(value, axis=-1)[:, None]
    amounts = along(candidates, best[..., None])[..., 0]
    value = along(value, best)[:, 0]
    better = value > state.value
    return State(
        insert(state.table, rising, cells),
        np.where(better[:, None], amounts, state.amounts),
        np.where(better, value, state.value),
    )
