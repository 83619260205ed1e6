"""Local search from many starts side by side: quadratic steps under boxes and a budget.

Sequential quadratic programming as in SLSQP (Kraft 1988), every start in the same calls: the curvature
is learned from gradients (damped BFGS, Powell 1978), and the best step of the quadratic model is found by
a primal-dual active set (Hintermueller, Ito and Kunisch 2002). Starts share nothing but the calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simbench.errors import BadInput
from simbench.optimum.feasible import Constraints, checked, meet, take

#: ``value_and_gradient(rows [b], amounts [b, U]) -> (values [b], gradients [b, U])`` of some of the starts.
Ascending = Callable[[NDArray, NDArray], tuple[NDArray, NDArray]]
#: A step is taken when it gains this share of what its slope promises, and does not end far past the top.
ENOUGH = 1e-4
#: The first step is about as long as this share of the largest amount.
FIRST = 0.1
#: A step that fails is shortened to this share, and a start rests after so many.
SHORTEN, SHORTENED = 0.3, 6
#: Slopes and curvatures, amounts and values of size one, beyond which they only say "steep".
STEEP = 1e8


class Lanes(NamedTuple):
    """Starts that are still on their way; amounts and values of size one."""

    row: NDArray  #: [b]
    place: NDArray  #: [b, U] amounts so far, money
    value: NDArray  #: [b]
    slope: NDArray  #: [b, U]
    bend: NDArray  #: [b, U, U] positive definite: how fast the slope falls
    step: NDArray  #: [b, U] the best step of the quadratic model
    shortened: NDArray  #: [b] int
    moved: NDArray  #: [b] bool, has taken a step
    rests: NDArray  #: [b] bool


def ascend(
    value_and_gradient: Ascending,
    starts: NDArray,
    constraints: Constraints,
    unit: NDArray,
    tolerance: float = 1e-8,
    rounds: int = 60,
    curvature: NDArray | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Feasible local maxima near starts, their values, and the curvature learned on the way.

    Parameters
    ----------
    value_and_gradient : callable
        ``(rows [b], amounts [b, U]) -> (values [b], gradients [b, U])`` of some of the starts, money.
    starts : array [S, U]
        Feasible.
    constraints : Constraints
        One a start: boxes and budgets. Rows are not heeded.
    unit : array [S]
        A typical size of values. A start rests when a step gains or promises less than `tolerance` of it.
    rounds : int
        Calls of `value_and_gradient` at most, after the first.
    curvature : array [S, U, U], optional
        What an earlier climb of much the same values ended with there, under the same `unit`.

    Returns
    -------
    array [S, U], array [S], array [S, U, U]
        Never worse than the start.

    Raises
    ------
    BadInput
        Constraints that cannot be met, or a start whose value is not finite.
    """
    limits = checked(constraints)
    money = np.maximum(np.abs(limits.upper).max(axis=1), np.finfo(float).tiny)

    def asked(rows: NDArray, place: NDArray) -> tuple[NDArray, NDArray]:
        value, slope = value_and_gradient(rows, place)
        slope = slope * (money / unit)[rows, None]
        return value / unit[rows], np.where(np.isnan(slope), 0.0, np.clip(slope, -STEEP, STEEP))

    every = np.arange(len(starts))
    value, slope = asked(every, starts)
    if not np.isfinite(value).all():
        raise BadInput("value_and_gradient", "gave a value that is not finite", "value every feasible amount")
    learned = curvature is not None
    spread = np.clip(np.ptp(slope, axis=1), 1e-6, 1e3)
    bend = np.array(curvature) if learned else spread[:, None, None] / FIRST * np.eye(starts.shape[1])
    moved, rests = np.full(len(starts), learned), np.zeros(len(starts), bool)
    lanes = Lanes(every, starts, value, slope, bend, _step(starts, slope, bend, limits, money), 0 * every, moved, rests)
    best, reached, known = starts.copy(), value.copy(), bend.copy()
    for _ in range(rounds):
        promise = (lanes.slope * lanes.step).sum(1)
        going = (promise > tolerance) & ~lanes.rests
        lanes, promise = Lanes(*(part[going] for part in lanes)), promise[going]
        if not going.any():
            break
        own, size = take(limits, lanes.row), money[lanes.row, None]
        share = SHORTEN**lanes.shortened
        there = np.clip(lanes.place + share[:, None] * lanes.step * size, own.lower, own.upper)
        there = meet(there, np.ones_like(there), own.lower, own.upper, own.budget)
        value, slope = asked(lanes.row, there)
        gain, past = value - lanes.value, (slope * lanes.step).sum(1) < -promise
        taken = (gain >= ENOUGH * share * promise) & ~(past & (lanes.shortened < SHORTENED // 2))
        bend = _bent(lanes.bend, (there - lanes.place) / size, lanes.slope - slope, ~lanes.moved)
        rests = np.where(taken, gain < tolerance, lanes.shortened >= SHORTENED)
        lanes = Lanes(
            lanes.row,
            np.where(taken[:, None], there, lanes.place),
            np.where(taken, value, lanes.value),
            np.where(taken[:, None], slope, lanes.slope),
            np.where(taken[:, None, None], bend, lanes.bend),
            lanes.step,
            np.where(taken, 0, lanes.shortened + 1),
            lanes.moved | taken,
            rests,
        )
        step = _step(lanes.place, lanes.slope, lanes.bend, own, size[:, 0])
        lanes = lanes._replace(step=np.where(taken[:, None], step, lanes.step))
        best[lanes.row], reached[lanes.row], known[lanes.row] = lanes.place, lanes.value, lanes.bend
    return best, reached * unit, known


def _bent(bend: NDArray, moved: NDArray, fall: NDArray, first: NDArray) -> NDArray:
    """Learn the curvature [b, U, U] from a move and from how much the slope fell; it stays positive definite."""
    both = (moved * fall).sum(1)
    known = first & (both > 0)  # the first move says how large curvatures are
    bend = np.where(known, (fall**2).sum(1) / np.where(known, both, 1.0) / bend[:, 0, 0], 1.0)[:, None, None] * bend
    along = (bend @ moved[:, :, None])[..., 0]
    square = (moved * along).sum(1)
    usable = square > 0
    damped = usable & (both < 0.2 * square)
    share = np.where(damped, 0.8 * square / np.where(damped, square - both, 1.0), 1.0)[:, None]
    fall = share * fall + (1.0 - share) * along
    both, square = (np.where(usable, part, 1.0)[:, None, None] for part in ((moved * fall).sum(1), square))
    new = bend - along[:, :, None] * along[:, None] / square + fall[:, :, None] * fall[:, None] / both
    usable &= np.trace(new, axis1=1, axis2=2) < STEEP
    return np.where(usable[:, None, None], new, bend)


def _step(place: NDArray, slope: NDArray, bend: NDArray, limits: Constraints, money: NDArray) -> NDArray:
    """The step of size-one amounts that is best in the model ``slope d - d bend d / 2``, within boxes and budget.

    The budget is one more amount, the sum of the others, whose force is its price. Which amounts are held at
    an end is guessed, solved for, and guessed anew until nothing changes.
    """
    count, units = place.shape
    bend = bend + 1e-9 * np.trace(bend, axis1=1, axis2=2)[:, None, None] * np.eye(units)
    curvature = np.diagonal(bend, axis1=1, axis2=2)
    low, high = limits.lower - place, limits.upper - place
    sums = limits.budget - place.sum(1, keepdims=True)
    low = np.concatenate([low, np.minimum(sums[:, :1], 0.0)], axis=1) / money[:, None]
    high = np.concatenate([high, np.maximum(sums[:, 1:], 0.0)], axis=1) / money[:, None]
    ends = np.stack([low[:, -1], high[:, -1]], axis=1)
    # the best step of the diagonal alone: the first guess, and what is left where guessing does not end
    plain = meet(slope / curvature, 1.0 / curvature, low[:, :-1], high[:, :-1], ends)
    best, size = plain.copy(), np.concatenate([curvature, curvature.min(axis=1, keepdims=True)], axis=1)
    total = np.concatenate([plain, plain.sum(1, keepdims=True)], axis=1)
    side, open_rows = np.where(total >= high, 1, np.where(total <= low, -1, 0)), np.ones(count, bool)
    system = np.empty((count, units + 1, units + 1))
    for _ in range(8):
        held = side != 0
        held[:, :-1] &= ~held.all(1, keepdims=True)  # one of them has to give way to the budget
        unit, tight = held[:, :-1], held[:, -1]
        system[:, :-1, :-1], system[:, :-1, -1] = np.where(unit[..., None], np.eye(units), bend), ~unit
        system[:, -1, :-1], system[:, -1, -1] = tight[:, None], ~tight
        goal = np.concatenate([slope, np.zeros((count, 1))], axis=1)
        solved = np.linalg.solve(system, np.where(held, np.where(side > 0, high, low), goal)[..., None])[..., 0]
        step, price = solved[:, :-1], solved[:, -1:]
        force = np.where(held, np.concatenate([slope - (bend @ step[..., None])[..., 0] - price, price], axis=1), 0.0)
        total = np.concatenate([step, step.sum(1, keepdims=True)], axis=1)
        now = np.where(force + size * (total - high) > 0, 1, np.where(force + size * (total - low) < 0, -1, 0))
        now = np.where(held & (high <= low), side, now)
        found = open_rows & (now == side).all(1)
        best[found], open_rows, side = step[found], open_rows & ~found, now
        if not open_rows.any():
            break
    best = np.clip(best, low[:, :-1], high[:, :-1])
    return np.where(((slope * best).sum(1) > 0)[:, None], best, plain)
