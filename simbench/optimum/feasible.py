"""The feasible set of an allocation problem: boxes, a budget and linear rows.

Everything here is about constraints alone; no value curve is needed. Money is in any unit:
no absolute tolerance appears.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simbench.errors import BadInput
from simbench.records import Problem

#: Share of the largest amount by which a constraint may be missed before it counts as missed.
SLACK = 1e-9
#: Totals and boxes further than this factor from the status quo are probably in another unit of money.
UNIT = 300.0


class Constraints(NamedTuple):
    """What amounts ``a[U]`` are allowed, for R worlds at once; all in money.

    ``lower <= a <= upper``, ``budget[0] <= sum a <= budget[1]``, ``group_low <= groups @ a <= group_high``.
    """

    lower: NDArray  #: [R, U]
    upper: NDArray  #: [R, U]
    budget: NDArray  #: [R, 2] lowest and highest total; infinite where free
    groups: NDArray  #: [N, U] any coefficients, the same in all worlds; N may be 0
    group_low: NDArray  #: [R, N]
    group_high: NDArray  #: [R, N]


def one_world(
    lower: ArrayLike,
    upper: ArrayLike,
    budget: ArrayLike,
    groups: ArrayLike | None = None,
    group_low: ArrayLike | None = None,
    group_high: ArrayLike | None = None,
) -> Constraints:
    """Constraints of one world (R = 1) from plain ``[U]``, ``[2]``, ``[N, U]`` and ``[N]`` numbers."""
    box = np.asarray(lower, float)[None]
    rows = np.zeros((0, box.shape[1])) if groups is None else np.asarray(groups, float)
    low = np.full(len(rows), -np.inf) if group_low is None else np.asarray(group_low, float)
    high = np.full(len(rows), np.inf) if group_high is None else np.asarray(group_high, float)
    return Constraints(
        box, np.asarray(upper, float)[None], np.asarray(budget, float)[None], rows, low[None], high[None]
    )


def constraints_of(problem: Problem) -> Constraints:
    """The feasible sets of a batch of problems; warns where they look like money in another unit than the status quo.

    Every allocation of a problem passes here, so this is where a slip of a factor of 1,000 is noticed.
    """
    warn_of_unit(problem)
    return Constraints(
        problem.lower, problem.upper, problem.budget, problem.groups[0], problem.group_low, problem.group_high
    )


def far_off(money: ArrayLike, spent: ArrayLike) -> NDArray[np.bool_]:
    """Where some money is more than :data:`UNIT` times what is spent, or less than that part of it and not nothing.

    Nothing is said where nothing is spent, or of money without end.
    """
    money, spent = np.asarray(money, float), np.asarray(spent, float)
    return (spent > 0) & np.isfinite(money) & ((money > UNIT * spent) | ((money > 0) & (money < spent / UNIT)))


def unit_words(money: float, spent: float) -> tuple[str, str]:
    """What a warning says of money that is :func:`far_off`, and what would be right."""
    right = f"expected is money in the unit of the spend, within a factor of {UNIT:g} of it"
    return f"come to {money:g} where the status quo spends {spent:g}", right


def warn_of_unit(problem: Problem) -> None:
    """A warning where totals or bounds are :func:`far_off` the status quo: all together, or those of one unit."""
    now, budget = np.asarray(problem.status_quo, float), np.asarray(problem.budget, float)
    lower, upper, spent = np.asarray(problem.lower, float), np.asarray(problem.upper, float), now.sum(axis=-1)
    low, high, least, most = *budget.T, lower.sum(axis=-1), upper.sum(axis=-1)
    wholly = far_off(most, spent) & (most > spent)  # told once, not of each unit again
    # a stretch of weeks may have had next to nothing: there only a bound that is too small says something
    some = far_off(upper, now) & (problem.form.disjoint | (upper < now)) & ~wholly[:, None]
    limit, members = np.asarray(problem.group_high, float), np.einsum("rnu,ru->rn", problem.groups, now)
    # a small group may hold everything: only more than all money ever is too much
    wide = (far_off(limit, spent[:, None]) & (limit > spent[:, None])) | (far_off(limit, members) & (limit < members))
    odd = {
        "the lowest total": (low, spent, far_off(low, spent) & (low > spent)),
        "the highest total": (high, spent, far_off(high, spent) & (high < spent)),
        "the lower bounds": (least, spent, far_off(least, spent) & (least > spent)),
        "the upper bounds": (most, spent, wholly),
        "some upper bounds": (*(np.where(some, part, 0.0).sum(axis=-1) for part in (upper, now)), some.any(axis=-1)),
        "some limits of groups": (
            *(np.where(wide, part, 0.0).sum(axis=-1) for part in (limit, members)),
            wide.any(axis=-1),
        ),
    }
    for name, (money, own, wrong) in odd.items():
        worlds = np.flatnonzero(wrong)
        if worlds.size:
            words = ": ".join(unit_words(money[worlds[0]], own[worlds[0]]))
            warnings.warn(f"problem: {name} {words}", stacklevel=3)


def take(constraints: Constraints, worlds: ArrayLike) -> Constraints:
    """The constraints of some worlds, by index."""
    c, index = constraints, np.asarray(worlds)
    return Constraints(
        c.lower[index], c.upper[index], c.budget[index], c.groups, c.group_low[index], c.group_high[index]
    )


def repeat(constraints: Constraints, count: int) -> Constraints:
    """One world's constraints, `count` times."""
    return Constraints(*(
        part if name == "groups" else np.repeat(part, count, axis=0)
        for name, part in constraints._asdict().items()
    ))  # fmt: skip


def checked(constraints: Constraints) -> Constraints:
    """Float64 constraints with each box cut to what the budget leaves room for.

    A box may be cut because no feasible amount lies in what is cut away.

    Raises
    ------
    BadInput
        Shapes that do not fit, a number that is not one, an amount without any upper limit,
        or boxes and budget that cannot be met together.
    """
    lower, upper, budget, groups, low, high = (np.asarray(part, float) for part in constraints)
    worlds, units = lower.shape if lower.ndim == 2 else (0, 0)
    box, ends = (worlds, units), (worlds, len(groups))
    shapes = (box, box, (worlds, 2), (len(groups), units), ends, ends)
    parts = Constraints(lower, upper, budget, groups, low, high)._asdict()
    for (name, part), shape in zip(parts.items(), shapes, strict=True):
        if part.shape != shape or 0 in box:
            right = "lower is [R, U], and the other shapes follow it"
            raise BadInput(f"constraints.{name}", f"has shape {part.shape}", right)
        if np.isnan(part).any():
            raise BadInput(f"constraints.{name}", "contains NaN", "give numbers, infinite where free")
    total_low, total_high = lower.sum(1, keepdims=True), upper.sum(1, keepdims=True)
    slack = SLACK * np.where(np.isfinite(upper), upper, np.abs(lower)).max(1)
    wrong = (lower > upper).any(1) | (budget[:, 0] > budget[:, 1])
    wrong |= (total_low[:, 0] > budget[:, 1] + slack) | (total_high[:, 0] < budget[:, 0] - slack)
    if wrong.any():
        world = int(np.argmax(wrong))
        reason = infeasible(take(constraints, [world]))
        raise BadInput(f"constraints of world {world}", str(reason), "widen them")
    with np.errstate(invalid="ignore"):
        room = budget[:, 1:] - (total_low - lower)
        need = budget[:, :1] - (total_high - upper)
    upper = np.maximum(np.fmin(upper, np.where(np.isnan(room), np.inf, room)), lower)
    lower = np.minimum(np.fmax(lower, np.where(np.isnan(need), -np.inf, need)), upper)
    if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
        raise BadInput("constraints.upper", "an amount has no upper limit", "bound every unit or the budget")
    return Constraints(lower, upper, budget, groups, low, high)


def meet(centre: NDArray, weight: NDArray, lower: NDArray, upper: NDArray, budget: NDArray) -> NDArray[np.float64]:
    """Amounts ``clip(centre - price * weight, lower, upper)`` whose sum lies in the budget.

    The price is 0 where that already fits, else the one that just meets the nearer end. The sum
    is piecewise linear and falling in the price: its 2U kinks are sorted, the two that enclose the
    target are found by halving, and between them the price is exact.

    Parameters
    ----------
    centre, weight, lower, upper : array [R, U]
        ``weight >= 0``.
    budget : array [R, 2]

    Returns
    -------
    array [R, U]
    """
    amounts = np.clip(centre, lower, upper)
    total = amounts.sum(1)
    target = np.clip(total, budget[:, 0], budget[:, 1])
    rows = np.flatnonzero(total != target)
    if not rows.size:
        return amounts
    centre, weight, lower, upper, target = centre[rows], weight[rows], lower[rows], upper[rows], target[rows]
    moves = weight > 0
    safe = np.where(moves, weight, 1.0)
    kinks = np.concatenate([(centre - upper) / safe, (centre - lower) / safe], axis=1)
    kinks = np.sort(np.where(np.concatenate([moves, moves], axis=1), kinks, 0.0), axis=1)

    def at(price: NDArray) -> NDArray:
        return np.clip(centre - price[:, None] * weight, lower, upper)

    first, last = np.zeros(len(rows), int), np.full(len(rows), kinks.shape[1] - 1)
    every = np.arange(len(rows))
    for _ in range(int(np.ceil(np.log2(kinks.shape[1]))) + 1):
        middle = (first + last) // 2
        high = at(kinks[every, middle]).sum(1) >= target
        first, last = np.where(high, middle, first), np.where(high, last, middle)
    start, end = kinks[every, first], kinks[every, last]
    above, below = at(start).sum(1), at(end).sum(1)
    drop = above - below
    share = np.clip(np.divide(above - target, drop, out=np.zeros_like(drop), where=drop > 0), 0.0, 1.0)
    amounts[rows] = at(start + share * (end - start))
    return amounts


def project(amounts: ArrayLike, constraints: Constraints) -> NDArray[np.float64]:
    """The nearest feasible amounts (Euclidean).

    Boxes and budget alone: a common shift, clipped, solved exactly. With rows: see :func:`least_move`.

    Parameters
    ----------
    amounts : array [R, U]
        Money; must be finite.
    constraints : Constraints

    Returns
    -------
    array [R, U]

    Raises
    ------
    BadInput
        The amounts are not finite or nothing is feasible.
    """
    wanted = np.asarray(amounts, float)
    fine = checked(constraints)
    if wanted.shape != fine.lower.shape or not np.isfinite(wanted).all():
        what = f"shape {wanted.shape}" if np.isfinite(wanted).all() else "not finite"
        raise BadInput("amounts", what, f"give finite numbers of shape {fine.lower.shape}")
    nearest = meet(wanted, np.ones_like(wanted), fine.lower, fine.upper, fine.budget)
    for world in np.flatnonzero(~holds_rows(nearest, fine, 0.0)):
        one = take(fine, [world])
        box = fine.lower[world], fine.upper[world]
        nearest[world] = least_move(wanted[world], np.ones(wanted.shape[1]), *box, matrix(one))
        if not holds(nearest[[world]], one)[0]:
            reason = infeasible(one) or "leave so little room that rounding decides"
            raise BadInput(f"constraints of world {world}", reason, "widen them")
    return nearest


def holds_rows(amounts: NDArray, constraints: Constraints, slack: float = SLACK) -> NDArray[np.bool_]:
    """Which worlds' amounts ``[R, U]`` meet the linear rows, up to `slack` of the largest amount."""
    c = constraints
    if not len(c.groups):
        return np.ones(len(amounts), bool)
    total = amounts @ c.groups.T
    allowed = slack * (np.abs(c.upper) @ np.abs(c.groups).T)
    return ((total >= c.group_low - allowed) & (total <= c.group_high + allowed)).all(1)


def holds(amounts: NDArray, constraints: Constraints, slack: float = SLACK) -> NDArray[np.bool_]:
    """Which worlds' amounts ``[R, U]`` meet every constraint, up to `slack` of the largest amount."""
    c, total = constraints, amounts.sum(1)
    room = slack * np.abs(c.upper).max(1)
    box = (amounts >= c.lower - room[:, None]) & (amounts <= c.upper + room[:, None])
    spent = (total >= c.budget[:, 0] - room) & (total <= c.budget[:, 1] + room)
    return box.all(1) & spent & holds_rows(amounts, c, slack)


def matrix(constraints: Constraints) -> tuple[NDArray, NDArray, NDArray]:
    """The budget and the rows of one world as ``low <= A a <= high``; rows that bind nothing left out."""
    c = constraints
    rows = np.concatenate([np.ones((1, c.lower.shape[1])), c.groups])
    low = np.concatenate([c.budget[0, :1], c.group_low[0]])
    high = np.concatenate([c.budget[0, 1:], c.group_high[0]])
    up, down = np.maximum(rows, 0.0), np.minimum(rows, 0.0)
    least, most = up @ c.lower[0] + down @ c.upper[0], up @ c.upper[0] + down @ c.lower[0]
    binds = (low > least) | (high < most)
    return rows[binds], low[binds], high[binds]


def rows_bind(constraints: Constraints) -> bool:
    """Whether any linear row of one world cuts into its box."""
    free = constraints._replace(budget=np.array([[-np.inf, np.inf]]))
    return len(matrix(free)[0]) > 0


def least_move(
    centre: NDArray, weight: NDArray, lower: NDArray, upper: NDArray, rows: tuple[NDArray, NDArray, NDArray]
) -> NDArray[np.float64]:
    """Amounts [U] of one world that minimise ``sum (a - centre)^2 / weight`` in a box under linear rows.

    Amounts of weight 0 stay. Something feasible must exist; rounding is forgiven, so it may be a single point.
    """
    start = np.where(weight > 0, centre, np.clip(centre, lower, upper))
    sums, low, high = with_boxes(lower, upper, rows)
    rounding = 1e-14 * np.abs(sums) @ np.maximum(np.abs(lower), np.abs(upper))
    return np.clip(least_distance(start, np.sqrt(weight), (sums, low - rounding, high + rounding)), lower, upper)


def with_boxes(
    lower: NDArray, upper: NDArray, rows: tuple[NDArray, NDArray, NDArray]
) -> tuple[NDArray, NDArray, NDArray]:
    """Rows ``low <= A a <= high`` of one world, the box's own before the others."""
    sums, low, high = rows
    return np.concatenate([np.eye(len(lower)), sums]), np.concatenate([lower, low]), np.concatenate([upper, high])


def least_distance(
    start: NDArray, size: NDArray, rows: tuple[NDArray, NDArray, NDArray], times: int = 3
) -> NDArray[np.float64]:
    """The point [U] within ``low <= A a <= high`` that is nearest to the start, distances measured in `size`.

    The least-distance problem by non-negative least squares (Lawson and Hanson 1974, chapter 23), an
    active-set method; done several times from its own result, which squares what rounding is left.
    """
    from scipy.optimize import nnls

    sums, low, high = rows
    both, goals = np.concatenate([sums, -sums]), np.concatenate([low, -high])  # both @ amounts must reach its goal
    length = np.sqrt((both * size) ** 2 @ np.ones_like(size))
    keep = np.isfinite(goals) & (length > 0)
    both, goals = both[keep] / length[keep, None], goals[keep] / length[keep]
    system, goal = np.empty((len(start) + 1, len(goals))), np.zeros(len(start) + 1)
    system[:-1], goal[-1] = (both * size).T, 1.0
    amounts, unit = start, np.where(size > 0, size, 1.0)
    for _ in range(times):
        limit = goals - both @ amounts
        distance = limit.max(initial=0.0)  # the answer lies at least this far: it makes a well scaled problem
        if distance <= 1e-15 * np.abs(amounts / unit).max(initial=0.0):
            break
        system[-1] = limit / distance
        force, _ = nnls(system, goal, maxiter=100 * len(limit))
        rest = system @ force - goal
        if rest[-1] > -1e-20:
            break  # no feasible amounts by more than rounding
        amounts = amounts - size * distance * rest[:-1] / rest[-1]
    return amounts


def infeasible(constraints: Constraints, units: Sequence[str] = (), groups: Sequence[str] = ()) -> str | None:
    """Which constraint of one world cannot be met, in words with numbers; None where all can.

    Parameters
    ----------
    constraints : Constraints
        One world (R = 1).
    units, groups : sequence of str, optional
        What units and rows are called; by their positions otherwise.

    Returns
    -------
    str or None
    """
    lower, upper, (least, most) = constraints.lower[0], constraints.upper[0], constraints.budget[0]
    slack = SLACK * np.where(np.isfinite(upper), np.abs(upper), np.abs(lower)).max()
    for unit in np.flatnonzero(lower > upper).tolist():
        name = units[unit] if len(units) else f"unit {unit}"
        return f"{name}: the lower bound {lower[unit]:g} is above the upper bound {upper[unit]:g}"
    if least > most:
        return f"the lowest budget {least:g} is above the highest budget {most:g}"
    if lower.sum() > most + slack:
        return f"the lower bounds add up to {lower.sum():g}, above the highest budget {most:g}"
    if upper.sum() < least - slack:
        return f"the upper bounds add up to {upper.sum():g}, below the lowest budget {least:g}"
    rows, low, high = constraints.groups, constraints.group_low[0], constraints.group_high[0]
    said = groups or [f"group {place}" for place in range(len(rows))]
    for group in np.flatnonzero(low > high).tolist():
        return f"{said[group]}: the lower bound {low[group]:g} is above the upper bound {high[group]:g}"
    if holds_rows(np.clip(lower, lower, upper)[None], constraints, 0.0).all() and lower.sum() >= least:
        return None
    for place, row in enumerate(rows):
        room = slack * max(1.0, np.abs(row).max())
        most_here = _reach(row, constraints)
        if most_here < low[place] - room:
            return f"{said[place]} must reach {low[place]:g}; bounds and budget allow at most {most_here:g}"
        least_here = -_reach(-row, constraints)
        if least_here > high[place] + room:
            return f"{said[place]} may hold at most {high[place]:g}; bounds and budget ask for at least {least_here:g}"
    return _together(constraints, slack, said) if len(rows) else None


def _reach(row: NDArray, constraints: Constraints) -> float:
    """Largest ``row @ a`` under boxes and budget alone."""
    from scipy.optimize import linprog

    lower, upper, (least, most) = constraints.lower[0], constraints.upper[0], constraints.budget[0]
    unit = max(np.abs(upper[np.isfinite(upper)]).max(initial=0.0), np.abs(lower).max(), np.finfo(float).tiny)
    sums = np.array([[1.0], [-1.0]]) * np.ones_like(row)
    limits = np.array([most, -least]) / unit
    keep = np.isfinite(limits)
    found = linprog(-row, sums[keep], limits[keep], bounds=np.stack([lower, upper], axis=1) / unit, method="highs")
    return np.inf if found.status == 3 else -found.fun * unit


def _together(constraints: Constraints, slack: float, said: Sequence[str]) -> str | None:
    """Each group fits alone: the least total by which all groups together are missed."""
    from scipy.optimize import linprog

    lower, upper = constraints.lower[0], constraints.upper[0]
    budget, groups = constraints.budget[0], constraints.groups
    low, high = constraints.group_low[0], constraints.group_high[0]
    units, count = len(lower), len(groups)
    unit = max(np.abs(upper[np.isfinite(upper)]).max(initial=0.0), np.abs(lower).max(), np.finfo(float).tiny)
    rows = np.concatenate([np.ones((1, units)), -np.ones((1, units)), groups, -groups])
    miss = np.concatenate([np.zeros((2, 2 * count)), np.kron(np.eye(2), -np.eye(count))])
    limits = np.concatenate([[budget[1], -budget[0]], high, -low]) / unit
    keep = np.isfinite(limits)
    box = [*zip(lower / unit, upper / unit, strict=True), *[(0.0, None)] * (2 * count)]
    cost = np.concatenate([np.zeros(units), np.ones(2 * count)])
    rows = np.concatenate([rows, miss], axis=1)[keep]
    found = linprog(cost, rows, limits[keep], bounds=box, method="highs")
    missed = found.x[units:].reshape(2, count).max(0) * unit
    if found.fun * unit <= 10 * slack * max(1.0, np.abs(groups).max()):
        return None
    names = ", ".join(said[group] for group in np.flatnonzero(missed > slack).tolist())
    return f"the groups cannot all be met: at the least, {names} misses its bound by {missed.max():g}"
