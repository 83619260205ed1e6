"""Rules that wait for a number to cross a line, and then move a part of one channel's money.

What a channel loses goes to the others in proportion to believed return x status quo (`sight.moved`); where nobody is
left to take it, it stays. Budget owners look every day; a panel has weeks. A trigger reads the last weeks in which
the channel's return is known, none of them more than a quarter before the last report of all.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from simbench.decide.sight import QUARTER, ROUNDING, Policy, Sight, moved, spend_of, status_quo, weekly_of

Array = Any
#: Most of a channel's money that a trigger moves at once, unless the rule says otherwise.
CAP = 0.25
Cap = Annotated[float, "most of a channel's money that is moved", 1.0]


def latest(sight: Sight, count: int) -> Array:
    """The last known weekly returns [count, C] of each channel in the last quarter, NaN where there are fewer."""
    weeks, found = weekly_of(sight)[-QUARTER:], np.full((count, len(sight.returns)), np.nan)
    for c in range(found.shape[1]):
        known = weeks[np.isfinite(weeks[:, c]), c][-count:]
        found[count - len(known) :, c] = known
    return found


def short_of(returns: Array, goal: Array) -> Array:
    """By which share returns [C] fall short of a goal [C]; 0 where they do not, or either is not known."""
    usable = np.isfinite(returns) & np.isfinite(goal) & (goal > 0)
    return np.where(usable, np.maximum(0.0, 1.0 - returns / np.where(usable, goal, 1.0)), 0.0)


def falling(
    sight: Sight, *, fall: Annotated[float, "fall from week to week that counts", 1.0] = 0.15, cap: Cap = CAP
) -> Array:
    """A channel whose return falls by 15% in two weeks in a row loses as much of its money as the return, at most 25%.

    Source: practitioners' rule, "ROI of a channel down 15% two weeks in a row -> reallocate".
    """
    first, middle, last = latest(sight, 3)
    falls = (short_of(middle, first) >= fall) & (short_of(last, middle) >= fall)
    return moved(sight, np.where(falls, np.minimum(short_of(last, first), cap), 0.0))


def below_target(
    sight: Sight, *, short: Annotated[float, "how far below the target counts", 1.0] = 0.15, cap: Cap = CAP
) -> Array:
    """A channel that is 15% below its target loses as much of its money as it is short, at most 25%.

    Source: practitioners' rule, "below target by 15% three days in a row -> move at most 25% of its budget". Three days
    are read as the last week; the target is the return believed over the whole history.
    """
    missing = short_of(latest(sight, 1)[0], sight.returns)
    return moved(sight, np.where(missing >= short, np.minimum(missing, cap), 0.0))


def dear(sight: Sight, *, over: Annotated[float, "how far over the mean counts"] = 0.2) -> Array:
    """A channel whose last week cost 20% more a KPI unit than its mean is paused: it gets nothing.

    Source: practitioners' rule, "CPA over the mean by 20% -> pause". Cost is spend over credited KPI, the mean that of
    the whole history; a pause lasts until the next decision.
    """
    cheap = np.asarray(sight.returns, dtype=float) / (1.0 + over)
    return moved(sight, (short_of(latest(sight, 1)[0], cheap) > 0).astype(float))


def alarm(sight: Sight) -> Array:
    """A channel whose cost is 30% over the benchmark raises an alarm, and an alarm moves no money: the status quo.

    Source: practitioners' rule, "over the benchmark by 30% -> alarm".
    """
    return status_quo(sight)


def few_conversions(
    sight: Sight,
    *,
    deviations: Annotated[float, "standard deviations below the mean that count"] = 1.5,
    cap: Annotated[float, "share of a channel's money that is cut", 1.0] = CAP,
) -> Array:
    """A channel whose last week brought 1.5 standard deviations less than its mean is cut by 25%.

    Source: practitioners' rule, "conversion 1.5 sd below the mean -> cut"; it does not say by how much, and 25% is the
    most that the other triggers move. Conversions are the KPI credited to the weeks with spend.
    """
    weekly = weekly_of(sight)
    credited = weekly * spend_of(sight.brief)[: len(weekly)]
    last, cut = latest(sight, 1)[0], np.zeros(len(sight.returns))
    for c in np.flatnonzero(np.isfinite(last)):
        known = credited[np.isfinite(credited[:, c]), c]
        before = known[:-1]
        if len(before) > 1:
            line = before.mean() - deviations * before.std(ddof=1)
            cut[c] = cap * (known[-1] < line - ROUNDING * abs(line))
    return moved(sight, cut)


def review(
    sight: Sight,
    *,
    benchmark: Annotated[float, "return that is asked for"] = 2.5,
    cut: Annotated[float, "share of a channel's money that it loses", 1.0] = 0.5,
) -> Array:
    """A channel that returned less than 2.5 in every week of the last quarter is reviewed, and halved.

    Source: practitioners' rule, "ROI below the benchmark (1:2.5) three months in a row -> review"; three months are 13
    weeks, of which those with a known return count.
    """
    weeks = weekly_of(sight)[-QUARTER:]
    known = np.isfinite(weeks)
    below = known.any(axis=0) & ((weeks < benchmark) | ~known).all(axis=0) & (len(weeks) == QUARTER)
    return moved(sight, cut * below)


def quarterly_cut(
    sight: Sight,
    *,
    miss: Annotated[float, "how far below the goal counts", 1.0] = 0.01,
    cut: Annotated[float, "share of a channel's money that it loses", 1.0] = CAP,
) -> Array:
    """A channel whose return over the last quarter missed its goal, by 1% at least, loses 25%.

    Source: practitioners' rule, "quarterly review cuts 20-30% of what missed its goal". The goal is the return believed
    over the whole history.
    """
    weekly = weekly_of(sight)
    weeks, spend = weekly[-QUARTER:], spend_of(sight.brief)[: len(weekly)][-QUARTER:]
    known = np.isfinite(weeks)
    paid = np.where(known, spend, 0.0).sum(axis=0)
    brought = np.where(known, weeks * spend, 0.0).sum(axis=0)
    quarter = np.divide(brought, paid, out=np.full(len(paid), np.nan), where=paid > 0)
    return moved(sight, cut * (short_of(quarter, sight.returns) >= miss))


#: Triggers, in the order in which they are listed.
POLICIES = (
    Policy("return-falling", falling, True, "return down 15% two weeks in a row: 25% of the money moves"),
    Policy("below-target", below_target, True, "15% below target: at most 25% of the money moves"),
    Policy("cost-pause", dear, True, "cost 20% over the mean: paused"),
    Policy("benchmark-alarm", alarm, False, "cost 30% over the benchmark: an alarm, which moves nothing"),
    Policy("conversions-cut", few_conversions, True, "conversions 1.5 sd below the mean: cut by 25%"),
    Policy("return-review", review, True, "return below 2.5 for a quarter: halved"),
    Policy("quarterly-cut", quarterly_cut, True, "return of the quarter below its goal: cut by 25%"),
)
