"""Rules of thumb by which budgets are set: small pure functions of a :class:`Sight`.

Practitioners state them, and nobody has measured them against a known truth. Those that wait for a number to cross a
line are in `triggers.py`. docs/policies.md has all of them in one table: what each does, what is cut where, and how a
clock in days is read in weeks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

import numpy as np

from simbench import optimum
from simbench.briefs import stack, status_quo_weeks
from simbench.decide import plans, triggers
from simbench.decide.sight import (
    QUARTER,
    ROUNDING,
    YEAR,
    Because,
    Policy,
    Rule,
    Sight,
    believed,
    by_unit,
    channels_of,
    earned,
    held,
    horizon,
    kpi_of,
    mean_of,
    mean_return,
    owners,
    potted,
    ratio,
    scaled,
    shared,
    spend_of,
    status_quo,
    thirds,
    weeks_of,
)
from simbench.optimum import constraints_of
from simbench.records import KINDS

__all__ = ["POLICIES", "Because", "Policy", "Rule", "Sight"]

Array = Any

#: Kinds of channels that build the brand, and kinds that are paid for by what they bring at once.
BRAND = ("tv", "radio", "print", "out-of-home", "online-video")
PERFORMANCE = ("display", "paid-social", "generic-search", "brand-search", "affiliate", "email")
SEARCH = ("generic-search", "brand-search")
#: Weeks of a month whose sales are held against those of a year ago.
MONTH = 4
Tested = Annotated[float, "share of the budget that a test gets", 1.0]
Kept = Annotated[float, "share of the budget that is kept back", 1.0]


# --- splits


def equal(sight: Sight) -> Array:
    """The same money for every channel. Source: 1/N, the reference of allocation studies (DeMiguel and others 2009)."""
    return shared(sight, np.ones(channels_of(sight)))


def random_feasible(sight: Sight) -> Array:
    """Any amounts that are allowed, by chance. Source: the usual lower reference of decision studies."""
    limits = constraints_of(stack([sight.problem]))
    return optimum.random_feasible(limits, 1, sight.generator)[0]


def by_spend(sight: Sight) -> Array:
    """In proportion to what each channel spent over the whole history. Source: practitioners' rule."""
    return shared(sight, spend_of(sight.brief).sum(axis=0))


def by_credit(sight: Sight) -> Array:
    """In proportion to the KPI that each channel is credited with. Source: practice of last-touch attribution."""
    return shared(sight, believed(sight) * spend_of(sight.brief).sum(axis=0))


def by_returns(sight: Sight) -> Array:
    """In proportion to returns. Source: practitioners' rule."""
    return shared(sight, believed(sight))


def proven_and_tests(
    sight: Sight,
    *,
    proven: Annotated[float, "return from which a channel is proven"] = 3.0,
    share: Annotated[float, "share of the budget for proven channels", 1.0] = 0.7,
) -> Array:
    """70% to channels that have returned 3 or more, 30% to the others, which are tests; each as the status quo splits.

    Source: practitioners' rule, "70% of the budget to channels with historic ROI >= 3 and 30% to tests".
    """
    pot = by_unit(sight, np.where(believed(sight) >= proven, 0, 1), -1).astype(int)
    return potted(sight, pot, np.array([share, 1.0 - share]))


def performance_and_brand(
    sight: Sight, *, share: Annotated[float, "share of the two that performance gets", 1.0] = 0.6
) -> Array:
    """60% to performance, 40% to brand, each as the status quo splits; channels of kind `other` keep what they have.

    Source: practitioners' rule, "60/40 performance to brand". Brand: tv, radio, print, out-of-home, online-video.
    """
    kind = np.where(of_kind(sight, PERFORMANCE), 0, np.where(of_kind(sight, BRAND), 1, -1))
    return potted(sight, by_unit(sight, kind, -1).astype(int), np.array([share, 1.0 - share]))


def tiers(sight: Sight) -> Array:
    """50% to the first third, 30% to the second, 20% to the last, each third as the status quo splits it.

    Source: practitioners' rule, "regions by tier 50/30/20". Where money goes to geos, these are tiered by population;
    where it does not, channels are tiered by their returns.
    """
    channel, geo = owners(sight.problem)
    if len(np.unique(geo[geo >= 0])) > 1:
        third = np.where(geo >= 0, thirds(np.asarray(sight.brief.panel.population))[geo], -1)
    else:
        ours = np.isfinite(held(sight))
        rank = np.full(len(ours), -1)
        rank[ours] = thirds(believed(sight)[ours])
        third = np.where(channel >= 0, rank[channel], -1)
    return potted(sight, third, np.array([0.2, 0.3, 0.5]))


def kol_matrix(sight: Sight) -> Array:
    """5% to the largest third of the channels, 25% to the middle one, 70% to the smallest.

    Source: practitioners' rule, "KOL matrix 5/25/70 (head, middle, tail)", by what channels spend.
    """
    money = held(sight)
    ours = np.isfinite(money)
    rank = np.full(len(ours), -1)
    rank[ours] = thirds(money[ours])
    return potted(sight, by_unit(sight, rank, -1).astype(int), np.array([0.7, 0.25, 0.05]))


def trial_and_scale(sight: Sight, *, share: Tested = 0.05) -> Array:
    """The smallest channel is a test: 5% of the budget more, then doubled after a good result, back after a bad one.

    Source: practitioners' rule, "5% test budget for a new channel, then scale (test, learn, scale)". The first decision
    tests, whatever is believed; a later one doubles the channel's share if it returned more in the last quarter than
    all channels did, and otherwise gives it the share it had before the test. A test that has ended is not begun again.
    """
    stands = trial(sight, share=share)
    if not stands["fired"]:
        return status_quo(sight)
    pot = by_unit(sight, np.where(smallest(sight), 0, 1), -1).astype(int)
    return potted(sight, pot, np.array([stands["share next"], 1.0 - stands["share next"]]))


def trial(sight: Sight, *, share: Tested = 0.05) -> Mapping[str, Array]:
    """How the test of `trial_and_scale` stands, and the share of the budget that it gets next.

    The share before is that of the usual plan for these weeks (`questions.plans[0]`), which decisions do not change.
    Without a known return of the last quarter a test goes on as it is.
    """
    money, test = held(sight), smallest(sight)
    ours, usual = np.isfinite(money), np.asarray(sight.brief.questions.plans, dtype=float)[0].sum(axis=(0, 1))
    now, before = (ratio(each[test].sum(), each[ours].sum()) for each in (money, usual))
    brought, paid = (each[0] for each in earned(sight, (QUARTER,)))
    result, mean = (ratio(brought[who].sum(), paid[who].sum()) for who in (test, ours))
    then = now
    if sight.epoch == 0:
        then = min(now + share, 1.0)
    elif now > (1.0 + ROUNDING) * before and np.isfinite(result):
        then = min(2.0 * now, 1.0) if result > mean + ROUNDING * abs(mean) else before
    return numbers({
        "share before": before, "share now": now, "return of the test": result, "line": mean, "share next": then,
        "fired": abs(then - now) > ROUNDING,
    })  # fmt: skip


def smallest(sight: Sight) -> Array:
    """The channels [C] of the choice that spent least in the year before the first decision, mostly one."""
    spend, ours = spend_of(sight.brief), np.isfinite(held(sight))
    year = spend[: max(0, len(spend) - QUARTER * sight.epoch)][-YEAR:].sum(axis=0)
    return ours & (year == np.min(year, where=ours, initial=np.inf))


# --- totals


def peak_reserve(
    sight: Sight, *, share: Annotated[float, "share of the year's budget for the peak", 1.0] = 0.4
) -> Array:
    """40% of a year's budget for the peak quarter, the rest evenly over the other three; split as the status quo.

    Source: practitioners' rule, "40% of the year's budget reserved for the peak season". The peak is the 13 weeks in a
    row that sold most in the last year. Each unit gets what this pace gives over its own weeks: where units are
    stretches of weeks, money moves to the peak; where all have the same weeks, the total alone changes.
    """
    spend, kpi = spend_of(sight.brief).sum(axis=1), kpi_of(sight.brief)
    if len(kpi) < YEAR:
        return status_quo(sight)
    last = np.concatenate([kpi[-YEAR:], kpi[-YEAR:]])
    sold = np.nan_to_num([mean_of(last[week : week + QUARTER]) for week in range(YEAR)], nan=-np.inf)
    peak = (np.arange(YEAR) - int(np.argmax(sold))) % YEAR < QUARTER
    pace = np.where(peak, share / QUARTER, (1.0 - share) / (YEAR - QUARTER))
    own = weeks_of(sight.problem)
    week = np.arange(own.shape[1]) % YEAR
    year, spent = spend[-YEAR:].sum(), spend[-YEAR:][week]
    return scaled(sight, np.array([pace[week[on]].sum() * ratio(year, spent[on].sum()) for on in own]))


def contingency(sight: Sight, *, share: Kept = 0.125) -> Array:
    """12.5% kept back, until the KPI of the last four weeks is below that of a year ago: then all there is is spent.

    Source: practitioners' rule, "10-15% kept as contingency and released by a trigger". Nothing can be kept back where
    the total is fixed.
    """
    if shortfall(sight, share=share)["fired"]:
        return scaled(sight, 1.0 + ratio(sight.reserve, status_quo(sight).sum()))
    return scaled(sight, 1.0 - share)


def shortfall(sight: Sight, *, share: Kept = 0.125) -> Mapping[str, Array]:
    """Whether `contingency` is released: mean KPI of the last four weeks, and of the same weeks a year ago."""
    kpi = kpi_of(sight.brief)
    now, before = mean_of(kpi[-MONTH:]), mean_of(kpi[-YEAR - MONTH : -YEAR]) if len(kpi) >= YEAR + MONTH else np.nan
    return numbers({
        "KPI of 4 weeks": now, "line": before, "kept back": 0.0 if now < before else share, "fired": now < before
    })  # fmt: skip


def competitor_matching(
    sight: Sight,
    *,
    control: Annotated[int, "the control that is the competitor's spend, counted from 1; 0: none is"] = 0,
    times: Annotated[float, "our change for a change of the competitor's of 1"] = 1.2,
) -> Array:
    """The total follows the competitor's spend: its change of the last quarter against a year ago, times 1.2.

    Source: practitioners' rule, "follow the competitor's spend (1:1.2)". Which control that is has to be said; without
    one, or with less than five quarters of it, the status quo.
    """
    controls = np.asarray(sight.brief.panel.controls, dtype=float)[: int(sight.brief.panel.origin)].mean(axis=1)
    if not 1 <= control <= controls.shape[1] or len(controls) < YEAR + QUARTER:
        return status_quo(sight)
    path = controls[:, control - 1]
    now, before = path[-QUARTER:].mean(), path[-YEAR - QUARTER : -YEAR].mean()
    return scaled(sight, np.maximum(0.0, 1.0 + times * (ratio(now, before) - 1.0)))


def target_back_solve(sight: Sight, *, growth: Annotated[float, "growth of the KPI that is wanted"] = 0.1) -> Array:
    """The total that 10% more KPI needs, at the return of all channels together; split as the status quo.

    Source: practitioners' rule, a revenue target solved back into a budget.
    """
    brings = mean_return(sight) * status_quo(sight).sum()
    return scaled(sight, 1.0 + growth * ratio(revenue(sight), brings))


def share_of_revenue(sight: Sight, *, share: Annotated[float, "share of revenue that is budget", 1.0] = 0.1) -> Array:
    """10% of last year's revenue over the same weeks; split as the status quo.

    Source: practitioners' rule, "budget = 5-15% of revenue target".
    """
    return scaled(sight, share * ratio(revenue(sight), status_quo(sight).sum()))


def mean_of_years(sight: Sight) -> Array:
    """What each channel spent a week in the last whole years, five at most, weeks out of proportion left out.

    Source: practitioners' rule, "budget from 3-5 years of history with outliers removed". As many whole years as there
    are, all weeks where there is none; an outlier spends more than the third quartile of the channel's weeks with
    spend and 1.5 times the distance of their quartiles (Tukey 1977).
    """
    spend = spend_of(sight.brief)
    weeks = YEAR * min(5, len(spend) // YEAR) or len(spend)
    usual = np.array([mean_of(without_outliers(path)) for path in spend[-weeks:].T])
    ours = np.isfinite(held(sight))
    before = spend[status_quo_weeks(len(spend), horizon(sight))].mean(axis=0)
    change = ratio(usual[ours].sum(), before[ours].sum())
    return shared(sight, usual) * (change if np.isfinite(change) else 1.0)


def without_outliers(path: Array) -> Array:
    """Weeks of a channel [n] without those above Tukey's upper fence of its weeks with spend."""
    on = path[path > 0]
    if not len(on):
        return path
    low, high = np.quantile(on, [0.25, 0.75])
    return path[path <= high + 1.5 * (high - low)]


# --- channels together


def search_after_tv(sight: Sight, *, more: Annotated[float, "how much more search gets"] = 0.2) -> Array:
    """Search gets 20% more in the week after a TV flight.

    Source: practitioners' rule, "after a TV flight raise search by 20% for 3 days": three days are read as a week.
    A search unit gets 20% more of the share of its money that falls into such weeks; one that is a stretch of weeks
    counts those of its own, so that the raise stays with the stretch after the flight.
    """
    problem, search = sight.problem, by_unit(sight, of_kind(sight, SEARCH))
    tv = of_kind(sight, ("tv",))
    plan = np.asarray(problem.base, dtype=float).sum(axis=1) + weekly_plan(sight)
    before = spend_of(sight.brief)[-1:, tv].sum()
    on = np.concatenate([[before], plan[:, tv].sum(axis=1)]) > 0
    after = on[:-1] & ~on[1:]
    unit, part = np.asarray(problem.unit), np.zeros(len(problem.status_quo))
    place = np.nonzero((unit >= 0) & after[:, None, None])
    np.add.at(part, unit[place], np.asarray(problem.weight, dtype=float)[place])
    return scaled(sight, 1.0 + more * search * part)


# --- what several rules read


def of_kind(sight: Sight, kinds: Collection[str]) -> Array:
    """Which channels [C] are of some kinds."""
    return np.isin(np.asarray(sight.brief.context.kind), [KINDS.index(kind) for kind in kinds])


def numbers(told: Mapping[str, Any]) -> Mapping[str, Array]:
    """Reasons of a choice as a whole, each a number []."""
    return {name: np.asarray(each, dtype=float) for name, each in told.items()}


def revenue(sight: Sight) -> float:
    """Money that the weeks decided on brought last year: as many weeks of the same mean as were recorded."""
    kpi, weeks = kpi_of(sight.brief), horizon(sight)
    same = kpi[status_quo_weeks(len(kpi), weeks)] if len(kpi) else kpi
    return float(sight.brief.context.unit_value) * weeks * mean_of(same)


def weekly_plan(sight: Sight) -> Array:
    """Money of the status quo by week and channel [Hd, C]."""
    unit = np.asarray(sight.problem.unit)
    money = np.where(unit >= 0, status_quo(sight)[unit], 0.0) * np.asarray(sight.problem.weight, dtype=float)
    return money.sum(axis=(0, 2))


#: All rules, in the order in which they are listed. A new one is one more line.
POLICIES = (
    Policy("status-quo", status_quo, False, "what was spent in the same weeks of last year"),
    Policy("equal", equal, False, "the same money for every channel"),
    Policy("random-feasible", random_feasible, False, "any amounts that are allowed, by chance"),
    Policy("proportional-to-spend", by_spend, False, "in proportion to the spend of the whole history"),
    Policy("proportional-to-credit", by_credit, True, "in proportion to the KPI that channels are credited with"),
    Policy("proportional-to-returns", by_returns, True, "in proportion to returns"),
    Policy("roi-70-30", proven_and_tests, True, "70% to channels that return 3 or more, 30% to the others"),
    Policy("brand-60-40", performance_and_brand, False, "60% to performance, 40% to brand"),
    Policy("tiers-50-30-20", tiers, True, "50/30/20 to thirds of the geos by size, else of the channels by returns"),
    Policy("kol-matrix", kol_matrix, False, "5/25/70 to the large, the middle and the small channels"),
    Policy("test-learn-scale", trial_and_scale, True, "5% more for the smallest channel, then twice it or back", trial),
    Policy("peak-reserve", peak_reserve, False, "40% of the year's budget for the peak quarter"),
    Policy("contingency", contingency, False, "12.5% kept back until sales fall below last year's", shortfall),
    Policy("competitor-matching", competitor_matching, False, "the total follows a competitor's spend, times 1.2"),
    Policy("target-back-solve", target_back_solve, True, "the total that 10% more KPI needs"),
    Policy("revenue-share", share_of_revenue, False, "a total of 10% of revenue"),
    Policy("history-mean", mean_of_years, False, "the mean of up to five whole years, outliers removed"),
    Policy("search-after-tv", search_after_tv, False, "search +20% in the week after a TV flight"),
    *plans.POLICIES,
    *triggers.POLICIES,
)
