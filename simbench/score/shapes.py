"""Numbers read off curves, by one function for truth and answers: how soon, how far, how much more.

Arrays have any leading axes; the last one is the lag of an impulse or the level of a response.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
Point = tuple[Array, Array]  #: an amount, and on which side of the levels it is censored
#: Points inside each interval of levels at which the marginal of an interpolated curve is read.
POINTS = 8


def arrival_time(impulse: Array, share: float) -> Array:
    """Weeks until a share of the effect has arrived; NaN if it has not within the lags.

    The arrived share is 0 at time 0 and ``impulse[l]`` at time l + 1, linear between.

    Parameters
    ----------
    impulse : array [..., L]
        Share arrived by each lag.
    share : float
        .5 is the half-life, .9 the 90% duration.
    """
    impulse = np.ascontiguousarray(impulse)
    lag = (impulse >= share).argmax(axis=-1)
    flat, place = impulse.ravel(), np.arange(0, impulse.size, impulse.shape[-1]).reshape(lag.shape) + lag
    after = flat[place]
    before = np.where(lag == 0, 0.0, flat[place - (lag > 0)])
    rise = np.where(after > before, after - before, 1.0)
    return np.where(after >= share, lag + (share - before) / rise, np.nan)


def mean_lag(impulse: Array) -> Array:
    """Mean waiting time in weeks, what arrives after the lags counted as arriving at their end.

    The integral of the share not yet arrived, a restricted mean: defined however slow the effect is.
    """
    impulse = np.asarray(impulse)
    weight = np.ones(impulse.shape[-1], impulse.dtype)
    weight[-1] = 0.5
    return impulse.shape[-1] - impulse @ weight


def pchip_slopes(levels: Array, values: Array) -> Array:
    """Slopes at the levels [..., L] of the monotone cubic interpolant (Fritsch and Butland 1984)."""
    width, chord = np.diff(levels), np.diff(values) / np.diff(levels)
    if chord.shape[-1] == 1:
        return np.repeat(chord, 2, axis=-1)
    before, after = chord[..., :-1], chord[..., 1:]
    w1, w2 = 2 * width[..., 1:] + width[..., :-1], width[..., 1:] + 2 * width[..., :-1]
    same = before * after > 0
    one = np.where(same, before, 1.0)
    two = np.where(same, after, 1.0)
    inner = np.where(same, (w1 + w2) / (w1 / one + w2 / two), 0.0)

    def end(w0: Array, w1: Array, c0: Array, c1: Array) -> Array:
        slope = ((2 * w0 + w1) * c0 - w0 * c1) / (w0 + w1)
        slope = np.where(slope * c0 <= 0, 0.0, slope)
        return np.where((c0 * c1 < 0) & (np.abs(slope) > 3 * np.abs(c0)), 3 * c0, slope)

    left = end(width[..., 0], width[..., 1], chord[..., 0], chord[..., 1])
    right = end(width[..., -1], width[..., -2], chord[..., -1], chord[..., -2])
    return np.concatenate([left[..., None], inner, right[..., None]], axis=-1)


def marginals(levels: Array, values: Array) -> tuple[Array, Array]:
    """Amounts [..., K] and the derivative there of the PCHIP interpolant of values [..., L] on rising levels."""
    slope, width = pchip_slopes(levels, values), np.diff(levels)
    chord, t = np.diff(values) / width, np.arange(POINTS) / POINTS
    # the derivative of a cubic: a product with what each of chord, left and right slope weighs at t
    weights = np.stack([6 * t * (1 - t), (1 - t) * (1 - 3 * t), t * (3 * t - 2)])
    inside = np.stack([chord, slope[..., :-1], slope[..., 1:]], axis=-1) @ weights
    amounts = levels[..., :-1, None] + width[..., None] * t
    shape = (*np.shape(values)[:-1], -1)
    return (
        np.concatenate([amounts.reshape(shape), levels[..., -1:]], axis=-1),
        np.concatenate([inside.reshape(shape), slope[..., -1:]], axis=-1),
    )


def last_above(amounts: Array, marginal: Array) -> Point:
    """The largest amount up to which the marginal [..., K] is above 0, and on which side it is censored.

    Returns
    -------
    amount : array [...]
        0 where the marginal is never above 0, the highest amount where it still is there.
    side : array [...]
        -1 never above 0, +1 still above 0 at the highest amount, 0 between.
    """
    above, count = marginal > 0, marginal.shape[-1]
    at = count - 1 - above[..., ::-1].argmax(axis=-1)
    side = np.where(~above.any(axis=-1), -1, np.where(at == count - 1, 1, 0))
    left = np.minimum(at, count - 2)[..., None]
    (x0, x1), (y0, y1) = (
        tuple(np.take_along_axis(x, left + k, axis=-1)[..., 0] for k in (0, 1)) for x in (amounts, marginal)
    )
    fall = np.where(y0 > y1, y0 - y1, 1.0)
    between = x0 + (x1 - x0) * np.clip(y0 / fall, 0.0, 1.0)
    return np.where(side == -1, amounts[..., 0], np.where(side == 1, amounts[..., -1], between)), side


def spend_points(levels: Array, kpi: Array, paid: Array | None, worth: Array) -> tuple[Point, Point]:
    """Break-even and half-marginal spend of response curves.

    Break-even: the largest amount at which one more unit of money still earns itself back; KPI and
    money paid are interpolated each, then ``worth x KPI' - paid'`` changes its sign. Half-marginal:
    the amount from which on the marginal KPI is at most half of its highest value. For a concave
    curve that is the one at 0; an S-shaped curve has to pass its steepest part.

    Parameters
    ----------
    levels, kpi, paid : arrays [..., L]
        `paid` None: what is paid is the amount.
    worth : array [...]
        Profit before media of one KPI unit.

    Returns
    -------
    break_even, half_marginal : (amount, side)
        As of :func:`last_above`.
    """
    amounts, gained = marginals(levels, kpi)
    spent = 1.0 if paid is None else marginals(levels, paid)[1]
    half = gained - gained.max(axis=-1, keepdims=True) / 2
    return last_above(amounts, np.asarray(worth)[..., None] * gained - spent), last_above(amounts, half)


def curve_distance(multipliers: Array, answered: Array, true: Array, keep: Array) -> tuple[Array, Array]:
    """Squared distance of two curves, and the squared size of the true one, over the grid cells kept.

    Integrals over the multiplier by the trapezoidal rule.

    Parameters
    ----------
    multipliers : array [R, M]
    answered, true : arrays [R, C, M]
    keep : array [R, M - 1]
        Which cells of the grid count.
    """
    width = np.where(keep, np.diff(multipliers), 0.0)[:, None]

    def integral(square: Array) -> Array:
        return (width * (square[..., 1:] + square[..., :-1]) / 2).sum(axis=-1)

    return integral((answered - true) ** 2), integral(true**2)
