"""Did it find the true effects? Contribution, ROAS, marginal ROAS, curves, carry-over, baseline, ranks.

Formulas and units: docs/scores.md. Medians of draws; no parameter is ever plugged in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from simbench.score import shapes
from simbench.score.draws import draws_of, median
from simbench.score.rows import (
    FEW_DRAWS,
    FLOOR,
    NOT_ANSWERED,
    OK,
    UNDEFINED,
    Case,
    Column,
    Metric,
    column,
    each,
    first,
    kpi_total,
    missing,
    ratio,
)

Array = Any
#: What is read off the impulse: estimand, and the function of the share arrived by each lag.
TIMES = (
    ("half-life", lambda impulse: shapes.arrival_time(impulse, 0.5)),
    ("mean lag", shapes.mean_lag),
    ("90% duration", lambda impulse: shapes.arrival_time(impulse, 0.9)),
)
#: Marginal returns this close are equally good.
TIED = 1e-9


def columns(case: Case) -> Iterator[Column]:
    """Every score of recovery."""
    yield from contribution(case)
    yield from marginal_roas(case)
    yield from curve(case)
    yield from carry_over(case)
    yield from baseline(case)
    yield from spend_points(case)


RECOVERY = Metric("recovery", columns)


def contribution(case: Case) -> Iterator[Column]:
    """Contribution of the whole panel and what follows from it: errors, split, ROAS."""
    field = case.answers.contribution
    if field is None:
        for metric in ("error", "total error", "share distance"):
            yield missing(case, "contribution", "all", metric)
        return
    told: Any = case.truth.answers
    true = np.asarray(told.contribution, dtype=np.float64)[:, 0]
    whole = np.asarray(field)[:, :, 0]
    centre = median(draws_of(whole, case.answers.levels))
    kpi = kpi_total(case)[:, None]
    mass, off = np.abs(true).sum(axis=1), centre - true
    yield column("contribution", "all", "error", ratio(np.abs(off).sum(axis=1), mass))

    # the median of the sum; of quantiles only the sum of medians is known
    total = centre.sum(axis=1) if case.answers.levels is not None else np.median(whole.sum(axis=2), axis=1)
    yield column("contribution", "all", "total error", ratio(np.abs(total - true.sum(axis=1)), mass))
    yield column("contribution", "all", "share distance", share_distance(centre, true))

    large = np.where(np.abs(true) > FLOOR * kpi, OK, UNDEFINED)
    floor = FLOOR * kpi
    yield from each("contribution", "channel", "median", centre)
    yield from each("contribution", "channel", "relative error", ratio(off, np.abs(true)), large)
    yield from each("contribution", "channel", "share points", 100 * ratio(off, kpi))
    log_error = np.log(ratio(np.maximum(centre, floor), np.maximum(true, floor)))
    yield from each("contribution", "channel", "log error", log_error)

    paid = np.asarray(case.truth.paid, dtype=np.float64)[:, 0]
    value = np.asarray(case.brief.context.unit_value, dtype=np.float64)[:, None]
    spent = np.where(paid > 0, OK, UNDEFINED)
    yield from each("roas", "channel", "error", ratio(value * off, paid), spent)
    yield from each("roas", "channel", "relative error", ratio(off, np.abs(true)), first(spent, large))
    yield from each("roas", "channel", "log error", log_error, spent)


def share_distance(centre: Array, true: Array) -> Array:
    """Total variation [R] between the shares of two sets of contributions [R, C].

    What is below 0 has no share; where nothing is answered to be above 0, the distance is 1.
    """
    told, right = np.maximum(centre, 0), np.maximum(true, 0)
    answered, there = told.sum(axis=1), right.sum(axis=1)
    apart = np.abs(np.nan_to_num(ratio(told, answered[:, None])) - ratio(right, there[:, None])).sum(axis=1) / 2
    return np.where(there > 0, np.where(answered > 0, apart, 1.0), np.nan)


def marginal_roas(case: Case) -> Iterator[Column]:
    """Value of one more unit of money, by channel, and which channel deserves it."""
    if case.answers.marginal is None:
        for metric in ("error", "rank agreement", "best found"):
            yield missing(case, "marginal roas", "all", metric)
        return
    told: Any = case.truth.answers
    value = np.asarray(case.brief.context.unit_value, dtype=np.float64)[:, None]
    true = value * np.asarray(told.marginal, dtype=np.float64)[:, 0]
    centre = value * median(draws_of(np.asarray(case.answers.marginal)[:, :, 0], case.answers.levels))
    paid = np.asarray(case.truth.paid, dtype=np.float64)[:, 0]
    defined = np.isfinite(true) & (paid > 0)
    # a NaN where the truth has a number is a missing answer, not an undefined quantity
    status = np.where(defined, np.where(np.isfinite(centre), OK, NOT_ANSWERED), UNDEFINED)
    yield from each("marginal roas", "channel", "error", centre - true, status)

    whole = np.where((status == NOT_ANSWERED).any(axis=1), NOT_ANSWERED, OK)
    weight = np.where(defined, paid, 0.0)
    off = np.where(defined, np.abs(centre - true), 0.0)
    mass = (weight * np.abs(np.where(defined, true, 0.0))).sum(axis=1)
    yield column("marginal roas", "all", "error", ratio((weight * off).sum(axis=1), mass), whole)
    agreement, best = rank_agreement(centre, true, defined)
    yield column("marginal roas", "all", "rank agreement", agreement, whole)
    yield column("marginal roas", "all", "best found", best, whole)


def rank_agreement(answered: Array, true: Array, defined: Array) -> tuple[Array, Array]:
    """Kendall's tau-b of channels [R], and whether the best one was found [R], over what is defined [R, C].

    An answer in which all channels are tied agrees as much as it disagrees: 0. Where n channels are
    tied for the best, it is found with probability 1/n. Undefined below two channels, and for tau
    where the truth is tied.
    """
    y = np.where(defined & np.isfinite(answered), answered, 0.0)
    x = np.where(defined, true, 0.0)
    first_, second = np.triu_indices(x.shape[1], 1)
    pair = defined[:, first_] & defined[:, second]

    def order(z: Array) -> Array:
        apart = z[:, first_] - z[:, second]
        near = np.abs(apart) <= TIED * np.maximum(np.abs(z[:, first_]), np.abs(z[:, second]))
        return np.where(near | ~pair, 0.0, np.sign(apart))

    a, b = order(y), order(x)
    apart_a, apart_b = np.abs(a).sum(axis=1), np.abs(b).sum(axis=1)
    tau = np.divide((a * b).sum(axis=1), np.sqrt(apart_a * apart_b), out=np.zeros(len(a)), where=apart_a * apart_b > 0)
    tau = np.where(apart_b > 0, tau, np.nan)

    shown = np.where(defined, y, -np.inf)
    top = shown.max(axis=1, keepdims=True)
    leading = defined & (shown >= top - TIED * np.abs(top))
    right = np.where(defined, true, -np.inf).argmax(axis=1)
    hit = np.take_along_axis(leading, right[:, None], axis=1)[:, 0] / np.maximum(leading.sum(axis=1), 1)
    return tau, np.where(defined.sum(axis=1) >= 2, hit, np.nan)


def curve(case: Case) -> Iterator[Column]:
    """Integrated relative error of response curves: inside (multipliers up to 1) and outside (above 1).

    Up to 1 a channel is scaled down from what was seen; above 1 it is more than was ever seen at
    the same time. A bought channel is compared inside only: above, its money may stop to follow.
    """
    parts = ("inside", "outside")
    if case.answers.curve is None:
        for part in parts:
            yield missing(case, "curve", "all", f"error {part}")
        return
    told: Any = case.truth.answers
    true = np.asarray(told.curve, dtype=np.float64)
    centre = median(draws_of(case.answers.curve, case.answers.levels))
    grid = np.asarray(case.brief.questions.multipliers, dtype=np.float64)
    known = np.isfinite(true).all(axis=-1)
    size = np.abs(np.asarray(told.contribution, dtype=np.float64)[:, 0])
    large = known & (size > FLOOR * kpi_total(case)[:, None])
    bought = np.asarray(case.brief.context.bought) > 0
    low = grid[:, 1:] <= 1 + 1e-9
    for part, keep, counts in zip(parts, (low, ~low), (known, known & ~bought), strict=True):
        square, whole = shapes.curve_distance(grid, np.nan_to_num(centre), np.nan_to_num(true), keep)
        told_of = np.isfinite(centre).all(axis=-1)
        status = np.where(counts & large, np.where(told_of, OK, NOT_ANSWERED), UNDEFINED)
        yield from each("curve", "channel", f"error {part}", np.sqrt(ratio(square, whole)), status)
        both = np.sqrt(ratio((square * counts).sum(axis=1), (whole * counts).sum(axis=1)))
        yield column("curve", "all", f"error {part}", both, np.where((counts & ~told_of).any(axis=1), NOT_ANSWERED, OK))


def carry_over(case: Case) -> Iterator[Column]:
    """When the effect arrives: half-life, mean lag and 90% duration in weeks, read off each draw's impulse.

    A draw that does not get there counts as getting there at the last lag.
    """
    if case.answers.impulse is None:
        for name, _ in TIMES:
            yield missing(case, name, "all", "error")
        return
    told: Any = case.truth.answers
    right = np.asarray(told.impulse, dtype=np.float64)
    field = np.asarray(case.answers.impulse)
    if field.strides[1] == 0:
        field = field[:, :1]
    if case.answers.levels is not None:  # the times of the median path; quantiles are no paths
        field = median(draws_of(field, case.answers.levels))[:, None]
    lags, given = right.shape[-1], np.isfinite(shapes.mean_lag(field))
    for name, read in TIMES:
        true, times = read(right), read(field)
        late = np.where(given, np.where(np.isnan(times), lags, times), np.nan)
        centre = median(draws_of(late))
        defined = np.isfinite(true)
        status = np.where(defined, np.where(np.isfinite(centre), OK, NOT_ANSWERED), UNDEFINED)
        yield from each(name, "channel", "error", centre - true, status)
        off = np.where(defined, np.abs(centre - true), 0.0).sum(axis=1)
        yield column(
            name, "all", "error", ratio(off, defined.sum(axis=1)),
            np.where((status == NOT_ANSWERED).any(axis=1), NOT_ANSWERED, OK),
        )  # fmt: skip


def baseline(case: Case) -> Iterator[Column]:
    """What would have been sold without media, and whether its error follows the spend."""
    if case.answers.baseline is None:
        yield missing(case, "baseline", "all", "leakage")
        yield missing(case, "baseline", "all", "correlation with spend")
        return
    told: Any = case.truth.answers
    true = np.asarray(told.baseline, dtype=np.float64)
    centre = median(draws_of(case.answers.baseline, case.answers.levels))
    past = np.arange(true.shape[1]) < np.asarray(case.brief.panel.origin)[:, None]
    off = np.where(past, centre - true, 0.0)
    mass = np.where(past, np.abs(true), 0.0).sum(axis=1)
    yield column("baseline", "all", "leakage", ratio(np.abs(off).sum(axis=1), mass))
    spend = np.asarray(case.brief.panel.spend, dtype=np.float64).sum(axis=(2, 3))
    yield column("baseline", "all", "correlation with spend", correlation(off, np.where(past, spend, 0.0), past))


def correlation(x: Array, y: Array, keep: Array) -> Array:
    """Correlation [R] over the weeks kept; 0 where x does not vary, NaN where y does not."""
    count = keep.sum(axis=1)
    dx = np.where(keep, x - (x.sum(axis=1) / count)[:, None], 0.0)
    dy = np.where(keep, y - (y.sum(axis=1) / count)[:, None], 0.0)
    own, other = np.sqrt((dx**2).sum(axis=1)), np.sqrt((dy**2).sum(axis=1))
    size = np.sqrt((x**2).sum(axis=1))
    # an error that is the same every week, up to rounding, follows nothing
    return np.where(own > 1e-9 * size, ratio((dx * dy).sum(axis=1), own * other), np.where(other > 0, 0.0, np.nan))


def spend_points(case: Case) -> Iterator[Column]:
    """Break-even and half-marginal spend, of the mean of the answered curves, in shares of the asked range.

    A point beyond the levels stands at their end: the error is what can be told within the range.
    """
    names, answers = ("break-even spend", "half-marginal spend"), case.answers
    told: Any = case.truth.answers
    problems = case.brief.questions.problems
    worth = np.asarray(case.brief.questions.margin) * np.asarray(case.brief.context.unit_value)
    for i, problem in enumerate(problems):
        unit = f"problem:{i}"
        if answers.response is None or answers.levels is not None:
            status = NOT_ANSWERED if answers.response is None else FEW_DRAWS
            for name in names:
                yield missing(case, name, unit, "error", status)
                yield missing(case, name, unit, "same side", status)
            continue
        levels = np.asarray(problem.levels, dtype=np.float64)
        top = levels[..., -1]
        room = top > levels[..., 0]
        grid = np.where(room[..., None], levels, np.arange(levels.shape[-1]))
        kpi = np.stack([np.asarray(told.response[i]), averaged(answers.response[i])])
        paid = None
        if told.response_paid is not None or answers.response_paid is not None:
            true_paid = grid if told.response_paid is None else np.asarray(told.response_paid[i])
            paid = np.stack([true_paid, grid if answers.response_paid is None else averaged(answers.response_paid[i])])
        points = shapes.spend_points(np.broadcast_to(grid, kpi.shape), kpi, paid, worth[:, None])
        for name, ((right, point), (right_side, side)) in zip(names, points, strict=True):
            off = np.where(room, np.abs(point - right) / np.where(room, top, 1.0), 0.0).sum(axis=1)
            yield column(name, unit, "error", ratio(off, room.sum(axis=1)))
            yield column(name, unit, "same side", ratio((room & (side == right_side)).sum(axis=1), room.sum(axis=1)))


def averaged(field: Array) -> Array:
    """Mean curve [R, U, L] of answered ones [R, D, U, L]."""
    return np.asarray(field).mean(axis=1, dtype=np.float64)
