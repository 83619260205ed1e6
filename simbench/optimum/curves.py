"""The common allocator: answered curves, read between their levels by PCHIP."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simbench.errors import BadInput
from simbench.optimum.feasible import Constraints, take
from simbench.optimum.relax import Cells, Evaluate, along, count_below
from simbench.optimum.separable import separable

#: Answered curves are read off a few levels: a closer optimum than this would be one of the interpolation.
READ = 1e-5
#: Units of worlds that are allocated side by side: enough to share the calls, few enough to stay in the cache.
TOGETHER = 5120


def pchip_slopes(levels: NDArray, values: NDArray) -> NDArray[np.float64]:
    """Slopes at the levels of the monotone piecewise cubic (Fritsch and Butland 1984), on the last axis.

    The same numbers as ``scipy.interpolate.PchipInterpolator``, for curves with levels of their own.
    """
    width = np.diff(levels, axis=-1)
    chord = np.diff(values, axis=-1) / width
    if chord.shape[-1] == 1:
        return np.repeat(chord, 2, axis=-1)
    before, after, left, right = chord[..., :-1], chord[..., 1:], width[..., :-1], width[..., 1:]
    same = before * after > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (3.0 * (left + right)) / ((2.0 * right + left) / before + (right + 2.0 * left) / after)
    inner = np.where(same, mean, 0.0)
    return np.concatenate([_end(width, chord, 0, 1), inner, _end(width, chord, -1, -2)], axis=-1)


def _end(width: NDArray, chord: NDArray, first: int, second: int) -> NDArray:
    """One-sided three-point slope, kept from overshooting."""
    near, far, rise, next_rise = width[..., first], width[..., second], chord[..., first], chord[..., second]
    slope = ((2.0 * near + far) * rise - near * next_rise) / (near + far)
    slope = np.where(slope * rise <= 0, 0.0, slope)
    turns = (rise * next_rise <= 0) & (np.abs(slope) > 3.0 * np.abs(rise))
    return np.where(turns, 3.0 * rise, slope)[..., None]


def _worth(worth: ArrayLike) -> NDArray[np.float64]:
    money = np.asarray(worth, float)
    if not np.isfinite(money).all():
        raise BadInput("worth", f"is {money[~np.isfinite(money)][0]:g}", "give finite money per KPI unit")
    return money


def pchip_cells(levels: ArrayLike, kpi: ArrayLike, paid: ArrayLike | None, worth: ArrayLike) -> Evaluate:
    """Net value ``worth * kpi - paid`` of answered curves; KPI and money are each interpolated, then netted.

    The slope bounds of a cell are exact: the slope is quadratic between knots, so it is largest
    and smallest at the cell's ends, at knots, or at a turning point of a piece.

    Parameters
    ----------
    levels : array [U, L] or [R, U, L]
        Money, strictly rising, L >= 2.
    kpi : array of the same shape
        KPI units.
    paid : array of the same shape, optional
        Money; None = the amount itself.
    worth : float or array [R]
        Money per KPI unit.

    Returns
    -------
    Evaluate
        R = 1 for curves without the leading axis. Beyond its levels a curve goes on as its last cubic.

    Raises
    ------
    BadInput
        Levels that do not rise, shapes that differ, or numbers (worth included) that are not finite.
    """
    knots, gained = _curves("levels", levels, levels), _curves("kpi", kpi, levels)
    spent = knots if paid is None else _curves("paid", paid, levels)
    if knots.shape[-1] < 2 or (np.diff(knots, axis=-1) <= 0).any():
        raise BadInput("levels", "do not rise from one to the next", "give two or more rising amounts a unit")
    money = _worth(worth).reshape(-1, 1, 1)
    value = money * gained - spent
    slope = money * pchip_slopes(knots, gained) - (1.0 if paid is None else pchip_slopes(knots, spent))
    width, chord = np.diff(knots, axis=-1), np.diff(value, axis=-1) / np.diff(knots, axis=-1)
    bend = (3.0 * chord - 2.0 * slope[..., :-1] - slope[..., 1:]) / width
    twist = (slope[..., :-1] + slope[..., 1:] - 2.0 * chord) / width**2
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = -bend / (3.0 * twist)
    turns = (turn > 0) & (turn < width)  # False where there is no turning point
    step = np.where(turns, turn, 0.0)
    at_turn = slope[..., :-1] + step * (2.0 * bend + 3.0 * step * twist)
    turn = np.where(turns, knots[..., :-1] + step, np.nan)  # NaN lies in no cell
    top, least = (best(slope[..., :-1], slope[..., 1:]) for best in (np.maximum, np.minimum))  # of a whole piece
    top = np.where(turns, np.maximum(top, at_turn), top)
    least = np.where(turns, np.minimum(least, at_turn), least)

    def evaluate(amounts: NDArray) -> Cells:
        def of(part: NDArray, piece: NDArray) -> NDArray:
            return along(np.broadcast_to(part, (*amounts.shape[:-1], part.shape[-1])), piece)

        inner = np.broadcast_to(knots[..., 1:-1], (*amounts.shape[:-1], knots.shape[-1] - 2))
        piece = count_below(inner, amounts) if inner.shape[-1] else np.zeros(amounts.shape, np.intp)
        step, first, second, third = amounts - of(knots, piece), of(slope, piece), of(bend, piece), of(twist, piece)
        height = of(value, piece) + step * (first + step * (second + step * third))
        tilt = first + step * (2.0 * second + 3.0 * step * third)
        left, right, low, high = piece[..., :-1], piece[..., 1:], amounts[..., :-1], amounts[..., 1:]
        steepest, flattest = (best(tilt[..., :-1], tilt[..., 1:]) for best in (np.maximum, np.minimum))
        for part in (left, right):  # the turning points of the pieces in which a cell begins and ends
            place, there = of(turn, part), of(at_turn, part)
            between = (place > low) & (place < high)
            steepest = np.where(between, np.maximum(steepest, there), steepest)
            flattest = np.where(between, np.minimum(flattest, there), flattest)
        # whole pieces in between, and the knots where they begin; few cells have any
        crosses = right > left
        for part in (left + 1, right):
            there = of(slope, np.where(crosses, part, 0))
            steepest = np.where(crosses, np.maximum(steepest, there), steepest)
            flattest = np.where(crosses, np.minimum(flattest, there), flattest)
        for further in range(1, int((right - left).max(initial=0))):
            covered = left + further < right
            piece = np.where(covered, left + further, 0)
            steepest = np.where(covered, np.maximum(steepest, of(top, piece)), steepest)
            flattest = np.where(covered, np.minimum(flattest, of(least, piece)), flattest)
        return Cells(height, tilt, steepest, flattest)

    return evaluate


def _curves(name: str, part: ArrayLike, levels: ArrayLike) -> NDArray[np.float64]:
    curves = np.asarray(part, float)
    if curves.shape != np.shape(levels) or curves.ndim not in (2, 3):
        right = f"[U, L] or [R, U, L] like the levels, which are {np.shape(levels)}"
        raise BadInput(name, f"has shape {curves.shape}", right)
    curves = curves if curves.ndim == 3 else curves[None]
    if not np.isfinite(curves).all():
        world, unit, level = np.argwhere(~np.isfinite(curves))[0]
        what = f"is not finite at level {level}: {curves[world, unit, level]}"
        raise BadInput(f"{name} of unit {unit} in world {world}", what, "answer every level")
    return curves


def allocate(
    levels: ArrayLike, kpi: ArrayLike, paid: ArrayLike | None, worth: ArrayLike, constraints: Constraints
) -> NDArray[np.float64]:
    """The best amounts on answered curves; ties are settled the same way every time.

    Parameters
    ----------
    levels, kpi : array [R, U, L] (or [U, L] for one world)
        Money, KPI units against amount 0. Curves may be noisy, falling, flat or zero. The levels of
        a unit whose box is a single point need not rise: there is nothing to decide.
    paid : array like levels, optional
        Money; None = the amount itself.
    worth : float or array [R]
        Money per KPI unit.
    constraints : Constraints
        R worlds; their boxes lie within the levels.

    Returns
    -------
    array [R, U] (or [U])
        Money, feasible.

    Raises
    ------
    BadInput
        As :func:`pchip_cells` and :func:`separable`, or a box that reaches beyond the levels.
    """
    single = np.ndim(levels) == 2
    knots, gained = _curves("levels", levels, levels), _curves("kpi", kpi, levels)
    spent = knots if paid is None else _curves("paid", paid, levels)
    low, high = constraints.lower, constraints.upper
    beyond = (high > knots[..., -1] * (1 + 1e-9)) | (low < knots[..., 0] * (1 - 1e-9))
    if beyond.any():
        world, unit = np.argwhere(beyond)[0]
        what = f"reach from {knots[world, unit, 0]:g} to {knots[world, unit, -1]:g}"
        right = f"cover its box, {low[world, unit]:g} to {high[world, unit]:g}"
        raise BadInput(f"levels of unit {unit}", what, right)
    # a unit without room: any rising levels and a flat curve stand for it
    decided = ((high <= low) & (np.diff(knots, axis=-1) <= 0).any(-1))[..., None]
    knots = np.where(decided, low[..., None] + np.arange(knots.shape[-1]), knots)
    gained, spent = np.where(decided, 0.0, gained), np.where(decided, 0.0, spent)
    money = np.broadcast_to(_worth(worth), len(knots))

    def cells(worlds: NDArray) -> Evaluate:
        own_spent = None if paid is None else spent[worlds]
        return pchip_cells(knots[worlds], gained[worlds], own_spent, money[worlds])

    size, amounts = max(1, TOGETHER // low.shape[1]), np.empty(low.shape)
    for worlds in np.split(np.arange(len(knots)), range(size, len(knots), size)):
        select = lambda rows, worlds=worlds: cells(worlds[rows])  # noqa: E731
        amounts[worlds] = separable(cells(worlds), take(constraints, worlds), tolerance=READ, select=select).amounts
    return amounts[0] if single else amounts
