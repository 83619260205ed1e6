"""What a rule believes of returns: what platforms claim, or what a model answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from simbench.decide.sight import spend_of
from simbench.records import Answers, Brief

Array = Any


def by_claims(brief: Brief) -> tuple[Array, Array]:
    """Returns [C] and weekly returns [T, C] of what platforms credit to themselves.

    A claim reads 0 until it is reported. A platform that spends money never credits itself with exactly nothing for
    long, so that it has reported up to the last week in which it claims anything; later weeks count neither as spend
    nor as claims. Channels that nobody claims for return what was expected beforehand (`context.prior_roas_mean`),
    and nothing is reported of their weeks.
    """
    spend, value = spend_of(brief), float(brief.context.unit_value)
    claimed = np.zeros_like(spend)
    if brief.panel.claims is not None:
        claimed = np.asarray(brief.panel.claims, dtype=float)[: len(spend)].sum(axis=1)
    reported = np.cumsum(claimed[::-1] > 0, axis=0)[::-1] > 0
    credit = value * np.where(reported, claimed, 0.0)
    paid = np.where(reported, spend, 0.0)
    return over(credit.sum(axis=0), paid.sum(axis=0), expected(brief)), whole(brief, over(credit, paid, np.nan))


def by_model(brief: Brief, answers: Answers) -> tuple[Array, Array]:
    """Returns [C] and weekly returns [T, C] of a model's answers, means over draws.

    The return is that of the whole panel (`windows[0]`). The answered curve says what the channel's pattern would
    have brought at k times its money; a week of k times the mean week with spend is read as returning what that
    pattern does. Beyond the last multiplier the KPI stays where it is there. A channel that spent nothing returns
    what was expected beforehand; without an answered curve no week says anything.

    Raises
    ------
    ValueError
        If no contribution is answered.
    """
    if answers.contribution is None:
        raise ValueError("the model answers no contribution, so that it says nothing of returns")
    spend, value = spend_of(brief), float(brief.context.unit_value)
    start, stop = (int(week) for week in brief.questions.windows[0])
    paid = spend[start:stop].sum(axis=0)
    returns = over(value * middle(answers, answers.contribution)[0], paid, expected(brief))
    weekly = np.full_like(spend, np.nan)
    if answers.curve is not None:
        multipliers, curve = np.asarray(brief.questions.multipliers, dtype=float), middle(answers, answers.curve)
        usual = over(paid, (spend[start:stop] > 0).sum(axis=0), np.nan)  # of a week with spend
        times = over(spend, usual, np.nan)
        for c, kpi in enumerate(curve):
            read = np.interp(times[:, c], *from_nothing(multipliers, kpi))
            weekly[:, c] = over(value * read, times[:, c] * paid[c], np.nan)
    return returns, whole(brief, weekly)


def from_nothing(multipliers: Array, kpi: Array) -> tuple[Array, Array]:
    """A curve's points by multiplier, with nothing for nothing before them."""
    order = np.argsort(multipliers)
    order = order[multipliers[order] > 0]
    return np.concatenate([[0.0], multipliers[order]]), np.concatenate([[0.0], kpi[order]])


def middle(answers: Answers, field: Array) -> Array:
    """Mean over draws of a field [D, ...]; of a submission of quantiles the median, which is among its levels."""
    draws = np.asarray(field, dtype=float)
    if answers.levels is None:
        return draws.mean(axis=0)
    return draws[int(np.abs(np.asarray(answers.levels) - 0.5).argmin())]


def expected(brief: Brief) -> Array:
    """Returns [C] that the analyst was told beforehand."""
    return np.asarray(brief.context.prior_roas_mean, dtype=float)


def over(top: Array, bottom: Array, instead: Array | float) -> Array:
    """A ratio; something else where the bottom is not above 0."""
    top, bottom = np.broadcast_arrays(np.asarray(top, dtype=float), bottom)
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), instead)


def whole(brief: Brief, seen: Array) -> Array:
    """Weekly numbers of the weeks seen, as ones of all T weeks of the panel: NaN from the origin on."""
    rest = np.full((len(brief.panel.kpi) - len(seen), seen.shape[1]), np.nan)
    return np.concatenate([seen, rest])
