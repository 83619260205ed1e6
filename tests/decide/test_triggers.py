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


def amounts(rule, seen, **options):
    return rule(seen, **options) / 13


@pytest.mark.parametrize(
    ("last", "left"),
    [
        ([2.0, 1.7, 1.4], 45.0),  # -15% and -18%: down by 30% in two weeks, a quarter moves
        ([2.0, 1.7, 1.5], 60.0),  # -15% and -12%
        ([1.0, 2.0, 1.0], 60.0),  # down once
    ],
)
def test_a_return_that_falls_twice_moves_a_quarter_at_most(last, left):
    np.testing.assert_allclose(amounts(triggers.falling, after(last)), [left, 100 - left])
    np.testing.assert_allclose(amounts(triggers.falling, after(last, reported=100)), [left, 100 - left])
    if left < 60:
        np.testing.assert_allclose(amounts(triggers.falling, after(last), cap=1.0), [60 * 0.7, 100 - 60 * 0.7])


@pytest.mark.parametrize(("last", "left"), [(1.6, 48.0), (1.0, 45.0), (1.8, 60.0), (0.0, 45.0), (-1.0, 45.0)])
def test_a_shortfall_moves_as_much_and_a_quarter_at_most(last, left):
    np.testing.assert_allclose(amounts(triggers.below_target, after([last])), [left, 100 - left])


@pytest.mark.parametrize(("last", "left"), [(1.7, 60.0), (1.6, 0.0)])
def test_a_dear_channel_is_paused(last, left):
    """Cost is 1 / return: 1.7 costs 18% more than 2, 1.6 costs 25% more."""
    np.testing.assert_allclose(amounts(triggers.dear, after([last])), [left, 100 - left])


def test_an_alarm_moves_nothing():
    np.testing.assert_allclose(amounts(triggers.alarm, after([0.1])), [60, 40])


@pytest.mark.parametrize(("last", "left"), [(1.8, 60.0), (1.6, 45.0)])
def test_few_conversions_are_cut(last, left):
    weekly = np.tile([2.0, 2.0], (WEEKS, 1))
    weekly[: WEEKS - 1, 0] += np.tile([0.2, -0.2], WEEKS)[
        : WEEKS - 1
    ]  # a standard deviation of 0.2: the line is at 1.7
    weekly[-1, 0] = last
    np.testing.assert_allclose(amounts(triggers.few_conversions, by_hand([60, 40], [2, 2], weekly)), [left, 100 - left])


def test_equal_weeks_are_not_few():
    spend = steady([0.1, 0.3])
    seen = sight(brief_of(spend), [0.7, 0.7], np.full((WEEKS, 2), 0.7))
    np.testing.assert_allclose(triggers.few_conversions(seen), seen.problem.status_quo)


def test_a_quarter_below_the_benchmark_is_halved():
    weekly = np.tile([2.0, 3.0], (WEEKS, 1))
    np.testing.assert_allclose(amounts(triggers.review, by_hand([60, 40], [2, 3], weekly)), [30, 70])
    weekly[-5, 0] = np.nan  # a week off is no good week
    np.testing.assert_allclose(amounts(triggers.review, by_hand([60, 40], [2, 3], weekly)), [30, 70])
    weekly[-13, 0] = 2.6
    np.testing.assert_allclose(amounts(triggers.review, by_hand([60, 40], [2, 3], weekly)), [60, 40])


def test_a_quarter_that_misses_its_goal_is_cut():
    weekly = np.tile([2.0, 2.0], (WEEKS, 1))
    weekly[-13:, 0] = 1.9
    np.testing.assert_allclose(amounts(triggers.quarterly_cut, by_hand([60, 40], [2, 2], weekly)), [45, 55])
    weekly[-13:, 0] = 1.99  # by half a per cent: nothing
    np.testing.assert_allclose(amounts(triggers.quarterly_cut, by_hand([60, 40], [2, 2], weekly)), [60, 40])


@pytest.mark.parametrize("policy", triggers.POLICIES, ids=lambda policy: policy.name)
def test_without_reports_nothing_moves(policy):
    seen = by_hand([60, 40], [0.1, 5.0])
    np.testing.assert_allclose(policy.rule(seen), seen.problem.status_quo)


def test_reports_of_long_ago_move_nothing():
    """A channel that was last on more than a quarter before the last report."""
    weekly = np.tile([2.0, 2.0], (WEEKS, 1))
    weekly[80, 0], weekly[81:, 0] = 0.1, np.nan
    for rule in (triggers.falling, triggers.below_target, triggers.dear, triggers.few_conversions):
        np.testing.assert_allclose(amounts(rule, by_hand([60, 40], [2, 2], weekly)), [60, 40])
