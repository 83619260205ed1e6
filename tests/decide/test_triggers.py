"""Triggers: what must happen before money moves, and how much of it may."""

from __future__ import annotations

import numpy as np
import pytest
from decide.sights import brief_of, by_hand, sight, steady

from simbench.decide import triggers

WEEKS = 104


def after(last, *, money=(60.0, 40.0), returns=(2.0, 2.0), reported=WEEKS):
    """Channel 0 returned 2 until its last weeks, channel 1 throughout; the amounts a week that follow."""
    weekly = np.tile([2.0, 2.0], (WEEKS, 1))
    weekly[reported - len(last) : reported, 0] = last
    weekly[reported:] = np.nan
    return by_hand(list(money), list(returns), weekly)


POLICIES = {policy.name: policy for policy in triggers.POLICIES}


def amounts(name, seen, **options):
    """Money a week under a trigger."""
    return POLICIES[name].rule(seen, **options) / 13


@pytest.mark.parametrize(
    ("last", "left"),
    [
        ([2.0, 1.7, 1.4], 45.0),  # -15% and -18%: down by 30% in two weeks, a quarter moves
        ([2.0, 1.7, 1.5], 60.0),  # -15% and -12%
        ([1.0, 2.0, 1.0], 60.0),  # down once
        ([2.0, 1.7, np.nan, 1.4], 60.0),  # the weeks do not adjoin
        ([2.0, 1.7, 1.4, np.nan], 45.0),  # off since a week
    ],
)
def test_a_return_that_falls_twice_moves_a_quarter_at_most(last, left):
    np.testing.assert_allclose(amounts("return-falling", after(last)), [left, 100 - left])
    np.testing.assert_allclose(amounts("return-falling", after(last, reported=100)), [left, 100 - left])
    if left < 60:
        np.testing.assert_allclose(amounts("return-falling", after(last), cap=1.0), [60 * 0.7, 100 - 60 * 0.7])


@pytest.mark.parametrize(("last", "left"), [(1.6, 48.0), (1.0, 45.0), (1.8, 60.0), (0.0, 45.0), (-1.0, 45.0)])
def test_a_shortfall_moves_as_much_and_a_quarter_at_most(last, left):
    np.testing.assert_allclose(amounts("below-target", after([last])), [left, 100 - left])


@pytest.mark.parametrize(("last", "left"), [(1.7, 60.0), (1.6, 0.0)])
def test_a_dear_channel_is_paused(last, left):
    """Cost is 1 / return: 1.7 costs 18% more than 2, 1.6 costs 25% more."""
    np.testing.assert_allclose(amounts("cost-pause", after([last])), [left, 100 - left])


@pytest.mark.parametrize(("last", "fired"), [(1.93, 0.0), (1.92, 1.0), (0.0, 1.0), (np.nan, 0.0)])
def test_an_alarm_tells_of_a_cost_30_per_cent_over_the_benchmark_and_moves_nothing(last, fired):
    """A result may cost 1 / 2.5 of its worth, so that the line is a return of 2.5 / 1.3 = 1.923."""
    weekly = np.tile([last, 2.0], (WEEKS, 1))
    seen = by_hand([60, 40], [2, 2], weekly)
    told = POLICIES["benchmark-alarm"].because(seen)
    assert told["fired"].tolist() == [fired, 0.0] and told["line"] == pytest.approx(2.5 / 1.3)
    np.testing.assert_array_equal(amounts("benchmark-alarm", seen), [60, 40])
    assert POLICIES["benchmark-alarm"].because(seen, benchmark=4.0)["fired"].tolist() == [float(last == last), 1.0]


@pytest.mark.parametrize(("last", "left"), [(1.8, 60.0), (1.6, 45.0)])
def test_few_conversions_are_cut(last, left):
    weekly = np.tile([2.0, 2.0], (WEEKS, 1))
    weekly[: WEEKS - 1, 0] += np.tile([0.2, -0.2], WEEKS)[
        : WEEKS - 1
    ]  # a standard deviation of 0.2: the line is at 1.7
    weekly[-1, 0] = last
    np.testing.assert_allclose(amounts("conversions-cut", by_hand([60, 40], [2, 2], weekly)), [left, 100 - left])


def test_equal_weeks_are_not_few():
    spend = steady([0.1, 0.3])
    seen = sight(brief_of(spend), [0.7, 0.7], np.full((WEEKS, 2), 0.7))
    np.testing.assert_allclose(POLICIES["conversions-cut"].rule(seen), seen.problem.status_quo)


def reviewed(weekly, **options):
    """Whether the review halves channel 0; the other channel is never below."""
    seen = by_hand([60, 40], [2, 3], np.stack([weekly, np.full(WEEKS, 3.0)], axis=1))
    told = amounts("return-review", seen, **options)
    np.testing.assert_allclose(told, [30, 70] if told[0] < 45 else [60, 40])
    return bool(told[0] < 45)


def test_three_months_below_the_benchmark_are_halved():
    weekly = np.full(WEEKS, 2.0)
    assert reviewed(weekly) and not reviewed(weekly, benchmark=2.0)
    weekly[-5] = np.nan  # a week off is no good week
    assert reviewed(weekly)
    weekly[-13] = 2.6  # nor is a good week a good month
    assert reviewed(weekly)


@pytest.mark.parametrize("month", [slice(-13, -9), slice(-9, -5), slice(-5, None)])
def test_one_good_month_of_three_is_enough(month):
    weekly = np.full(WEEKS, 2.0)
    weekly[month] = 2.6
    assert not reviewed(weekly)
    weekly[month] = np.nan  # a month without a return is not below
    assert not reviewed(weekly)


def test_months_are_those_of_the_last_thirteen_weeks():
    weekly = np.full(WEEKS, 2.0)
    weekly[-14] = 100.0
    assert reviewed(weekly)
    weekly[-13] = 100.0
    assert not reviewed(weekly)


@pytest.mark.parametrize(("spread", "seldom", "often"), [(0.1, 0.02, 0.8), (0.3, 0.1, 0.25)])
def test_noise_of_weeks_hides_no_bad_quarter(spread, seldom, often):
    """Weekly noise is that of a month divided by 2: at 10%, a return of 2.3 is below 2.5 with z = 1.7, three times."""
    noise = 1.0 + spread * np.random.default_rng(1).standard_normal((200, WEEKS))
    bad, good = (np.mean([reviewed(true * weeks) for weeks in noise]) for true in (2.3, 2.7))
    assert bad > often and good < seldom


def test_reasons_of_a_review_are_its_months():
    weekly = np.full((WEEKS, 2), 3.0)
    weekly[-13:, 0] = np.repeat([2.0, 2.2, 2.4], [4, 4, 5])
    told = POLICIES["return-review"].because(by_hand([60, 40], [2, 3], weekly))
    months = [told[f"return {when}"] for when in ("two months before", "a month before", "of the last month")]
    np.testing.assert_allclose(months, [[2.0, 3.0], [2.2, 3.0], [2.4, 3.0]])
    np.testing.assert_array_equal([told["line"], told["fired"], told["cut"]], [[2.5, 2.5], [1, 0], [0.5, 0]])


def test_a_quarter_that_misses_its_goal_is_cut():
    weekly = np.tile([2.0, 2.0], (WEEKS, 1))
    weekly[-13:, 0] = 1.9
    np.testing.assert_allclose(amounts("quarterly-cut", by_hand([60, 40], [2, 2], weekly)), [45, 55])
    weekly[-13:, 0] = 1.99  # by half a per cent: nothing
    np.testing.assert_allclose(amounts("quarterly-cut", by_hand([60, 40], [2, 2], weekly)), [60, 40])


@pytest.mark.parametrize("policy", triggers.POLICIES, ids=lambda policy: policy.name)
def test_without_reports_nothing_moves(policy):
    seen = by_hand([60, 40], [0.1, 5.0])
    np.testing.assert_allclose(policy.rule(seen), seen.problem.status_quo)


def test_reports_of_long_ago_move_nothing():
    """A channel that was last on more than a quarter before the last report."""
    weekly = np.tile([2.0, 2.0], (WEEKS, 1))
    weekly[80, 0], weekly[81:, 0] = 0.1, np.nan
    for name in ("return-falling", "below-target", "cost-pause", "conversions-cut"):
        np.testing.assert_allclose(amounts(name, by_hand([60, 40], [2, 2], weekly)), [60, 40])
