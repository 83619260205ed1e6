"""What a rule of thumb may look at, and the few ways in which rules move money.

Rules see one world at a time, in NumPy. They think in channels; a problem's units may be channels or channels by
geo, so that amounts go back to units in proportion to the status quo. Whatever cannot be told from odd data (nothing
spent, no number) leaves money where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from simbench import optimum
from simbench.briefs import stack
from simbench.optimum import constraints_of
from simbench.records import Answers, Brief, Problem

Array = Any
YEAR, QUARTER = 52, 13
#: Differences below this share are rounding, and no reason to move money.
ROUNDING = 1e-9


class Sight(NamedTuple):
    """What a rule may look at: one world, one choice."""

    brief: Brief
    problem: Problem  #: the choice: units, status quo, limits
    returns: Array  #: [C] money back per money spent that the rule believes
    weekly: Array  #: [T, C] the same by week of the panel; NaN where nothing was spent or is reported
    answers: Answers | None  #: of the model whose returns these are; None: platforms' claims
    generator: np.random.Generator
    reserve: float = 0.0  #: money kept back earlier that may be spent now (closed loop)
    epoch: int = 0  #: how many decisions were made before this one (closed loop)


#: A rule: amounts [U] from a sight; limits are applied by the caller (`allowed`). Further parameters are options: they
#: have defaults, and are annotated with what they mean and, where there is one, the highest number allowed.
Rule = Callable[..., Array]
#: Why a rule does what it does, from the same sight and options: numbers by name, each [C], or [] of the choice as a
#: whole. `fired` is always among them: 1 where the rule's line is crossed, 0 elsewhere. Nothing is drawn.
Because = Callable[..., Mapping[str, Array]]


class Policy(NamedTuple):
    """A rule under its name."""

    name: str
    rule: Rule
    arms: bool  #: it reads returns, so that it comes in two arms: by claims and by a model
    about: str  #: one line: what it does
    because: Because | None = None  #: of rules that wait for a line to be crossed


# --- the units of a problem


def owners(problem: Problem) -> tuple[Array, Array]:
    """Channel [U] and geo [U] of each unit; -1 where a unit has several, or none."""
    place = np.nonzero(np.asarray(problem.unit) >= 0)
    unit, found = np.asarray(problem.unit)[place], []
    for axis in (3, 2):
        low = np.full(len(problem.status_quo), np.iinfo(int).max)
        high = np.full(len(problem.status_quo), -1)
        np.minimum.at(low, unit, place[axis])
        np.maximum.at(high, unit, place[axis])
        found.append(np.where(low == high, high, -1))
    return found[0], found[1]


def weeks_of(problem: Problem) -> Array:
    """Weeks [U, Hd] of the horizon into which each unit lays money: all that are decided, or a stretch of them."""
    unit = np.asarray(problem.unit)
    place, found = np.nonzero(unit >= 0), np.zeros((len(problem.status_quo), unit.shape[1]), dtype=bool)
    found[unit[place], place[1]] = True
    return found


def channels_of(sight: Sight) -> int:
    """How many channels there are."""
    return int(np.shape(sight.brief.panel.spend)[2])


def by_unit(sight: Sight, numbers: Array, other: float = 0.0) -> Array:
    """Numbers of channels [C] as numbers of their units [U]; `other` for units of no one channel."""
    channel, _ = owners(sight.problem)
    return np.where(channel >= 0, np.asarray(numbers, dtype=float)[channel], other)


def held(sight: Sight) -> Array:
    """Money of the status quo by channel [C], and NaN for channels that are not up for decision."""
    channel, _ = owners(sight.problem)
    money = np.full(channels_of(sight), np.nan)
    for c in np.unique(channel[channel >= 0]):
        money[c] = status_quo(sight)[channel == c].sum()
    return money


def over_units(sight: Sight, money: Array) -> Array:
    """Money by channel [C] over the units [U] of each, in proportion to the status quo.

    Equally where nothing is spent on a channel; units of no one channel stay where they are.
    """
    channel, _ = owners(sight.problem)
    amounts = status_quo(sight)
    for c in np.unique(channel[channel >= 0]):
        own = channel == c
        amounts[own] = money[c] * portions(amounts[own])
    return amounts


def portions(weights: Array) -> Array:
    """Weights as shares of their sum; equal ones where they sum to nothing."""
    total = weights.sum()
    return weights / total if total > 0 else np.full(len(weights), 1.0 / max(len(weights), 1))


# --- what was seen


def spend_of(brief: Brief) -> Array:
    """Money spent [n, C] in the n weeks that were seen, over all geos."""
    return np.asarray(brief.panel.spend, dtype=float)[: int(brief.panel.origin)].sum(axis=1)


def kpi_of(brief: Brief) -> Array:
    """KPI [n] of the weeks that were seen, over all geos; NaN where none was recorded."""
    weeks = int(brief.panel.origin)
    kpi = np.asarray(brief.panel.kpi, dtype=float)[:weeks].sum(axis=1)
    return np.where(np.asarray(brief.panel.mask)[:weeks] > 0, kpi, np.nan)


def mean_of(numbers: Array) -> float:
    """Mean of what is a number; NaN where nothing is."""
    finite = numbers[np.isfinite(numbers)]
    return float(finite.mean()) if len(finite) else np.nan


def ratio(top: float, bottom: float) -> float:
    """A ratio; NaN where the bottom is not above 0."""
    with np.errstate(over="ignore"):
        return float(np.float64(top) / np.float64(bottom)) if bottom > 0 else np.nan


def horizon(sight: Sight) -> int:
    """Weeks that are decided on."""
    return int(weeks_of(sight.problem).any(axis=0).sum())


def known(numbers: Array) -> Array:
    """Numbers as they are; what is none counts as 0."""
    return np.nan_to_num(np.asarray(numbers, dtype=float), nan=0.0, posinf=0.0, neginf=0.0)


def believed(sight: Sight) -> Array:
    """Returns [C] that money may follow: what is no number, or a loss, counts as nothing."""
    return np.maximum(known(sight.returns), 0.0)


def mean_return(sight: Sight) -> float:
    """Money back per money spent over all channels of the choice, as the status quo spends it; NaN without spend."""
    money = known(held(sight))
    return ratio((money * known(sight.returns)).sum(), money.sum())


def weekly_of(sight: Sight) -> Array:
    """Returns [n, C] of the weeks until nobody reports any more; NaN where there is no number."""
    weekly = np.asarray(sight.weekly, dtype=float)
    reported = np.isfinite(weekly)
    end = np.flatnonzero(reported.any(axis=1))
    return np.where(reported, weekly, np.nan)[: end[-1] + 1 if len(end) else 0]


def earned(sight: Sight, lengths: Sequence[int]) -> tuple[Array, Array]:
    """What channels brought and were paid [n, C] in the last reported weeks, in stretches of some lengths.

    A stretch is pooled, so that its return is the one over the other: a good and a bad week make a middling month.
    Weeks without a known return count on neither side; all is 0 where fewer weeks were reported.
    """
    weekly, count = weekly_of(sight), sum(lengths)
    weeks, spend = weekly[-count:], spend_of(sight.brief)[: len(weekly)][-count:]
    known = np.isfinite(weeks) & (len(weeks) == count)
    parts = np.split(np.arange(len(weeks)), np.cumsum(lengths)[:-1])
    brought, paid = np.where(known, weeks * spend, 0.0), np.where(known, spend, 0.0)
    return np.stack([brought[part].sum(axis=0) for part in parts]), np.stack([paid[part].sum(axis=0) for part in parts])


# --- ways to move money


def status_quo(sight: Sight) -> Array:
    """The amounts [U] as they are, in an array of one's own. Source: the reference decision of docs/design.md.

    In the closed loop they are the mix of the quarter before, at the total of the usual plan.
    """
    return np.array(sight.problem.status_quo, dtype=float)


def scaled(sight: Sight, factor: float | Array) -> Array:
    """The status quo times a factor, one for all or [U]; left as it is where that is no number, or below 0."""
    return status_quo(sight) * np.where(np.isfinite(factor) & (np.asarray(factor) >= 0), factor, 1.0)


def shared(sight: Sight, weights: Array) -> Array:
    """The money of the status quo in proportion to weights [C]; left as it is where no weight is above 0."""
    money = held(sight)
    usable = np.isfinite(money) & np.isfinite(weights) & (np.asarray(weights) > 0)
    if not usable.any():
        return status_quo(sight)
    share = np.where(usable, weights, 0.0) / np.max(weights, where=usable, initial=0.0)  # no sum of them overflows
    return over_units(sight, np.nansum(money) * portions(share))


def potted(sight: Sight, pot: Array, shares: Array) -> Array:
    """The money of some units cut into pots, each pot spread over its units as the status quo spreads it.

    Parameters
    ----------
    pot : array [U] of int
        The pot of each unit; -1: the unit keeps what it has.
    shares : array
        One a pot; those of pots without units go to the others in proportion.

    Returns
    -------
    array [U]
        The status quo where fewer than two pots have units.
    """
    amounts = status_quo(sight)
    filled = [k for k in range(len(shares)) if (pot == k).any()]
    if len(filled) < 2:
        return amounts
    money, share = amounts[pot >= 0].sum(), portions(np.asarray(shares, dtype=float)[filled])
    for k, part in zip(filled, share, strict=True):
        amounts[pot == k] = money * part * portions(amounts[pot == k])
    return amounts


def moved(sight: Sight, cut: Array) -> Array:
    """A share [C] taken from some channels, and given to the others by believed return x status quo.

    Money stays where it is if nobody is left to take it.
    """
    share = np.clip(by_unit(sight, known(cut)), 0.0, 1.0)
    amounts = status_quo(sight)
    takers = np.where(share > 0, 0.0, amounts * by_unit(sight, believed(sight)))
    if not takers.sum() > 0:
        return amounts
    return amounts * (1.0 - share) + (amounts * share).sum() * portions(takers)


def allowed(problem: Problem, amounts: Array) -> Array:
    """The amounts [U] that come closest within the limits of a choice.

    They are first brought to the nearest total in proportion, so that a rule for the total changes no split where the
    total is fixed, and then moved as little as boxes and groups ask for (`optimum.project`).
    """
    low, high = np.asarray(problem.budget, dtype=float)
    total = amounts.sum()
    nearest = np.clip(total, low, high)
    wanted = amounts if total in (0, nearest) else nearest * portions(amounts)
    return np.asarray(optimum.project(wanted[None], constraints_of(stack([problem])))[0])


def thirds(sizes: Array) -> Array:
    """The third that each of some sizes is in: 0 the small, 1 the middle, 2 the large; equal sizes are together."""
    smaller = (sizes[None] < sizes[:, None]).sum(axis=1)
    return 3 * smaller // max(len(sizes), 1)
