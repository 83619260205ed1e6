"""Rules that wait for a number to cross a line, and then move a part of one channel's money.

Each is written as its reasons: what was read, the line, where it is crossed, and the share of a channel's money that is
cut. What a channel loses goes to the others in proportion to believed return x status quo (`sight.moved`); where nobody
is left to take it, it stays. Budget owners look every day or week, and a panel has weeks: where a rule speaks of days,
or of no time at all, the last week stands for it. That is the last one in which the channel's return is known, not more
than a quarter before the last report of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from typing import Annotated, Any

import numpy as np

from simbench.decide.sight import QUARTER, ROUNDING, Because, Policy, Rule, Sight, earned, moved, spend_of, weekly_of

Array = Any
#: Most of a channel's money that a trigger moves at once, unless the rule says otherwise.
CAP = 0.25
#: A quarter as three months of whole weeks.
MONTHS = (4, 4, 5)
Cap = Annotated[float, "most of a channel's money that is moved", 1.0]


def cutting(because: Because) -> Rule:
    """The rule that cuts channels as its reasons say, with the options of these."""

    @wraps(because)
    def rule(sight: Sight, **options: Any) -> Array:
        return moved(sight, because(sight, **options)["cut"])

    return rule


def reasons(fired: Array, cut: Array | float, **read: Array | float) -> Mapping[str, Array]:
    """What was read, where the line was crossed, and what is cut there; each [C]."""
    told = {**{name.replace("_", " "): each for name, each in read.items()}, "fired": fired}
    every = {name: np.broadcast_to(np.asarray(each, dtype=float), np.shape(fired)) for name, each in told.items()}
    return {**every, "cut": np.where(fired, cut, 0.0)}


def latest(sight: Sight, count: int) -> Array:
    """Returns [count, C] of adjoining weeks, up to the last known one of each channel; NaN where one is not known."""
    weeks = weekly_of(sight)[-QUARTER:]
    found = np.full((count, len(sight.returns)), np.nan)
    for c in range(found.shape[1]):
        known = np.flatnonzero(np.isfinite(weeks[:, c]))
        if len(known):
            last = weeks[max(0, known[-1] + 1 - count) : known[-1] + 1, c]
            found[count - len(last) :, c] = last
    return found


def short_of(returns: Array, goal: Array) -> Array:
    """By which share returns [C] fall short of a goal [C]; 0 where they do not, or either is not known."""
    usable = np.isfinite(returns) & np.isfinite(goal) & (goal > 0)
    return np.where(usable, np.maximum(0.0, 1.0 - returns / np.where(usable, goal, 1.0)), 0.0)


def pooled(sight: Sight, lengths: tuple[int, ...]) -> Array:
    """Returns [n, C] of stretches of the last reported weeks, each of what was brought over what was paid; else NaN."""
    brought, paid = earned(sight, lengths)
    return np.divide(brought, paid, out=np.full(paid.shape, np.nan), where=paid > 0)


def falling(
    sight: Sight, *, fall: Annotated[float, "fall from week to week that counts", 1.0] = 0.15, cap: Cap = CAP
) -> Mapping[str, Array]:
    """A channel whose return falls by 15% in two weeks in a row loses as much of its money as the return, at most 25%.

    Source: practitioners' rule, "ROI of a channel down 15% two weeks in a row -> reallocate". The weeks adjoin: three
    in a row with spend, the last of them the last one known. A channel in flights of two weeks never has them.
    """
    first, middle, last = latest(sight, 3)
    falls = np.minimum(short_of(middle, first), short_of(last, middle))
    fired = (falls >= fall) & (falls > 0)
    return reasons(
        fired, np.minimum(short_of(last, first), cap),
        return_two_weeks_before=first, return_a_week_before=middle, return_of_the_last_week=last,
        lesser_fall=falls, line=fall,
    )  # fmt: skip


def below_target(
    sight: Sight, *, short: Annotated[float, "how far below the target counts", 1.0] = 0.15, cap: Cap = CAP
) -> Mapping[str, Array]:
    """A channel that is 15% below its target loses as much of its money as it is short, at most 25%.

    Source: practitioners' rule, "below target by 15% three days in a row -> move at most 25% of its budget". Three days
    are read as the last week; the target is the return believed over the whole history.
    """
    last = latest(sight, 1)[0]
    missing = short_of(last, sight.returns)
    fired = (missing >= short) & (missing > 0)
    line = (1.0 - short) * np.asarray(sight.returns, dtype=float)
    return reasons(fired, np.minimum(missing, cap), return_of_the_last_week=last, line=line)


def dear(sight: Sight, *, over: Annotated[float, "how far over the mean counts"] = 0.2) -> Mapping[str, Array]:
    """A channel whose last week cost 20% more a KPI unit than its mean is paused: it gets nothing.

    Source: practitioners' rule, "CPA over the mean by 20% -> pause". It says nothing of time: who looks every day sees
    a day, and the last week stands for it. Cost is spend over credited KPI, the mean that of the whole history; a pause
    lasts until the next decision, in the closed loop for a quarter.
    """
    last, line = latest(sight, 1)[0], np.asarray(sight.returns, dtype=float) / (1.0 + over)
    return reasons(short_of(last, line) > 0, 1.0, return_of_the_last_week=last, line=line)


def alarm(
    sight: Sight,
    *,
    benchmark: Annotated[float, "return at which a result costs what the benchmark says"] = 2.5,
    over: Annotated[float, "how far over the benchmark counts"] = 0.3,
) -> Mapping[str, Array]:
    """A channel whose result cost 30% over the benchmark raises an alarm, and an alarm moves no money.

    Source: practitioners' rule, "over the benchmark by 30% -> alarm". It says neither which benchmark nor when: here
    that of the reviews, money back of 2.5 for 1, so that a result may cost 1 / 2.5 of what it is worth; who looks every
    day sees a day, and the last week stands for it. What the alarm saw is in its reasons.
    """
    last, line = latest(sight, 1)[0], np.full(len(sight.returns), benchmark / (1.0 + over))
    return reasons(short_of(last, line) > 0, 0.0, return_of_the_last_week=last, line=line)


def few_conversions(
    sight: Sight,
    *,
    deviations: Annotated[float, "standard deviations below the mean that count"] = 1.5,
    cap: Annotated[float, "share of a channel's money that is cut", 1.0] = CAP,
) -> Mapping[str, Array]:
    """A channel whose last week brought 1.5 standard deviations less than its mean is cut by 25%.

    Source: practitioners' rule, "conversion 1.5 sd below the mean -> cut"; it does not say by how much, and 25% is the
    most that the other triggers move. It says nothing of time either: who looks every day sees a day, and the last week
    stands for it, beside mean and deviation of the weeks before. Conversions are the KPI credited to weeks with spend.
    """
    weekly = weekly_of(sight)
    credited = weekly * spend_of(sight.brief)[: len(weekly)]
    last = latest(sight, 1)[0]
    brought, line = np.full((2, len(last)), np.nan)
    for c in np.flatnonzero(np.isfinite(last)):
        known = credited[np.isfinite(credited[:, c]), c]
        before = known[:-1]
        if len(before) > 1:
            brought[c], line[c] = known[-1], before.mean() - deviations * before.std(ddof=1)
    return reasons(brought < line - ROUNDING * abs(line), cap, brought_in_the_last_week=brought, line=line)


def review(
    sight: Sight,
    *,
    benchmark: Annotated[float, "return that is asked for"] = 2.5,
    cut: Annotated[float, "share of a channel's money that it loses", 1.0] = 0.5,
) -> Mapping[str, Array]:
    """A channel that returned less than 2.5 in each of the last three months is reviewed, and halved.

    Source: practitioners' rule, "ROI below the benchmark (1:2.5) three months in a row -> review"; it does not say what
    a review does. Three months are the last 13 reported weeks as 4, 4 and 5; a month's return is all that its weeks
    brought over all that was paid in them. A month without a known return is not below.
    """
    months = pooled(sight, MONTHS)
    first, second, third = months
    fired = (months < benchmark).all(axis=0)
    return reasons(
        fired, cut, return_two_months_before=first, return_a_month_before=second, return_of_the_last_month=third,
        line=benchmark,
    )  # fmt: skip


def quarterly_cut(
    sight: Sight,
    *,
    miss: Annotated[float, "how far below the goal counts", 1.0] = 0.01,
    cut: Annotated[float, "share of a channel's money that it loses", 1.0] = CAP,
) -> Mapping[str, Array]:
    """A channel whose return over the last quarter missed its goal, by 1% at least, loses 25%.

    Source: practitioners' rule, "quarterly review cuts 20-30% of what missed its goal". The quarter is the last 13
    reported weeks together; the goal is the return believed over the whole history.
    """
    (quarter,) = pooled(sight, (QUARTER,))
    missing = short_of(quarter, sight.returns)
    line = (1.0 - miss) * np.asarray(sight.returns, dtype=float)
    return reasons((missing >= miss) & (missing > 0), cut, return_of_the_quarter=quarter, line=line)


#: Triggers, in the order in which they are listed.
POLICIES = tuple(
    Policy(name, cutting(because), True, about, because)
    for name, because, about in (
        ("return-falling", falling, "return down 15% two weeks in a row: 25% of the money moves"),
        ("below-target", below_target, "15% below target: at most 25% of the money moves"),
        ("cost-pause", dear, "cost 20% over the mean: paused"),
        ("benchmark-alarm", alarm, "cost 30% over the benchmark: an alarm, which moves nothing"),
        ("conversions-cut", few_conversions, "conversions 1.5 sd below the mean: cut by 25%"),
        ("return-review", review, "return below 2.5 three months in a row: halved"),
        ("quarterly-cut", quarterly_cut, "return of the quarter below its goal: cut by 25%"),
    )
)
