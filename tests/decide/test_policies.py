"""Rules of thumb: each by hand, and the laws of all of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from decide.sights import brief_of, by_hand, problem, sight, steady
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simbench.decide import plans, policies, triggers
from simbench.decide.policies import POLICIES
from simbench.decide.sight import allowed, believed, by_unit, earned, horizon, moved, owners, potted, thirds, weeks_of
from simbench.records import Answers

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
QUARTER = 13.0  #: weeks of the horizon: steady spend times this is the status quo


def weekly_of(amounts):
    """Amounts as money a week of the horizon."""
    return np.asarray(amounts) / QUARTER


# --- each rule by hand


def test_status_quo_and_equal():
    seen = by_hand([50, 30, 20], [1, 2, 3])
    np.testing.assert_allclose(weekly_of(policies.status_quo(seen)), [50, 30, 20])
    np.testing.assert_allclose(weekly_of(policies.equal(seen)), [100 / 3] * 3)


def test_random_amounts_are_allowed_and_move_with_the_generator():
    brief = brief_of(steady([50, 30, 20]))
    drawn = [policies.random_feasible(sight(brief, [1, 1, 1], which=0, seed=seed)) for seed in (0, 0, 1)]
    assert np.array_equal(drawn[0], drawn[1]) and not np.allclose(drawn[0], drawn[2])
    np.testing.assert_allclose([x.sum() for x in drawn], 1300.0)


def test_proportional_rules():
    spend = np.concatenate([steady([100, 0], 52), steady([60, 40], 52)])  # 160 : 40 over all, 60 : 40 of late
    seen = sight(brief_of(spend), [1.0, 3.0])
    np.testing.assert_allclose(weekly_of(policies.by_spend(seen)), [80, 20])
    np.testing.assert_allclose(weekly_of(policies.by_credit(seen)), [100 * 160 / 280, 100 * 120 / 280])
    np.testing.assert_allclose(weekly_of(policies.by_returns(seen)), [25, 75])


def test_seventy_to_what_is_proven():
    seen = by_hand([50, 30, 20], [4.0, 3.0, 1.0])
    np.testing.assert_allclose(weekly_of(policies.proven_and_tests(seen)), [43.75, 26.25, 30])
    np.testing.assert_allclose(weekly_of(policies.proven_and_tests(seen, proven=3.5)), [70, 18, 12])
    for returns in ([4, 4, 4], [1, 1, 1]):  # nothing to test, or nothing proven
        np.testing.assert_allclose(weekly_of(policies.proven_and_tests(by_hand([50, 30, 20], returns))), [50, 30, 20])


def test_sixty_to_performance():
    seen = by_hand([40, 40, 10, 10], [1] * 4, kinds=["tv", "paid-social", "email", "other"])
    np.testing.assert_allclose(weekly_of(policies.performance_and_brand(seen)), [36, 43.2, 10.8, 10])


def test_tiers_of_channels_go_by_returns_and_tiers_of_geos_by_size():
    np.testing.assert_allclose(weekly_of(policies.tiers(by_hand([10, 30, 60], [3.0, 1.0, 2.0]))), [50, 20, 30])
    spend = np.tile([[10.0, 10.0], [20.0, 20.0], [30.0, 10.0]], (104, 1, 1))  # 3 geos, 2 channels
    seen = sight(brief_of(spend, population=[3e6, 1e6, 2e6], scope="geo"), [5.0, 1.0])
    np.testing.assert_allclose(weekly_of(policies.tiers(seen)), [25, 25, 10, 10, 22.5, 7.5])


def test_the_kol_matrix_turns_sizes_round():
    np.testing.assert_allclose(weekly_of(policies.kol_matrix(by_hand([70, 20, 10], [1] * 3))), [5, 25, 70])


def tried(before, during, result, *, epoch=1):
    """What test-learn-scale makes, a week, of a mix that was usual, one since `epoch` quarters, and its returns."""
    spend = np.concatenate([steady(before, 104 - 13 * epoch), steady(during, 13 * epoch)])
    weekly = np.full(spend.shape, 1.0)
    weekly[-13:] = result
    seen = sight(brief_of(spend), np.ones(len(before)), weekly, epoch=epoch)
    now = QUARTER * np.asarray(during, dtype=float)
    return weekly_of(policies.trial_and_scale(seen._replace(problem=seen.problem._replace(status_quo=now))))


@pytest.mark.parametrize("returns", [[1, 1, 0.1], [1, 1, 9.0], [0, 0, 0], [np.nan] * 3])
def test_the_first_decision_tests_the_smallest_channel_whatever_is_believed(returns):
    seen = by_hand([60, 38, 2], returns)
    np.testing.assert_allclose(weekly_of(policies.trial_and_scale(seen)), [60 * 93 / 98, 38 * 93 / 98, 7])
    np.testing.assert_allclose(weekly_of(policies.trial_and_scale(seen, share=0.2)), [60 * 78 / 98, 38 * 78 / 98, 22])


def test_a_new_channel_gets_its_test():
    np.testing.assert_allclose(weekly_of(policies.trial_and_scale(by_hand([100, 0], [1, 0.5]))), [95, 5])


def test_a_good_result_is_scaled_and_a_bad_one_taken_back():
    usual, test, doubled = [60, 30, 10], [56, 28, 16], [46, 22, 32]
    np.testing.assert_allclose(tried(usual, test, [1, 1, 2.0]), [68 * 2 / 3, 68 / 3, 32])
    np.testing.assert_allclose(tried(usual, test, [1, 1, 0.5]), usual)
    np.testing.assert_allclose(tried(usual, doubled, [1, 1, 2.0], epoch=2), [36 * 46 / 68, 36 * 22 / 68, 64])
    np.testing.assert_allclose(tried(usual, doubled, [1, 1, 0.5], epoch=2), [90 * 46 / 68, 90 * 22 / 68, 10])
    np.testing.assert_allclose(tried(usual, [20, 20, 60], [1, 1, 2.0], epoch=3), [0, 0, 100])  # no more than all


def test_a_test_without_a_result_goes_on_and_one_that_has_ended_is_over():
    np.testing.assert_allclose(tried([60, 30, 10], [56, 28, 16], [1, 1, np.nan]), [56, 28, 16])
    np.testing.assert_allclose(tried([60, 30, 10], [60, 30, 10], [1, 1, 9.0], epoch=2), [60, 30, 10])


def test_the_share_before_a_test_is_that_of_the_season():
    """The small channel spends 20 of 100 in the first quarter of a year and nothing in the others."""
    spend = steady([100.0, 0.0])
    spend[np.arange(104) % 52 < 13] = [80.0, 20.0]
    spend[91:] = [50.0, 50.0]  # the quarter that was tested
    weekly = np.tile([1.0, 0.5], (104, 1))
    seen = sight(brief_of(spend), [1.0, 0.5], weekly, epoch=1)
    seen = seen._replace(problem=seen.problem._replace(status_quo=QUARTER * np.array([70.0, 30.0])))
    np.testing.assert_allclose(weekly_of(policies.trial_and_scale(seen)), [80, 20])
    told = policies.trial(seen)
    assert (told["share before"], told["share now"], told["share next"]) == pytest.approx((0.2, 0.3, 0.2))
    assert (told["return of the test"], told["line"], told["fired"]) == pytest.approx((0.5, 0.75, 1.0))


@pytest.mark.parametrize("seed", range(20))
def test_a_test_that_returns_what_all_do_does_not_beat_the_mean(seed):
    usual = np.random.default_rng(seed).lognormal(3, 1, 4)
    test = usual + np.where(usual == usual.min(), 10.0, 0.0)
    np.testing.assert_allclose(portions_of(tried(usual, test, [1.5] * 4)), portions_of(usual))


def portions_of(amounts):
    return np.asarray(amounts) / np.sum(amounts)


def test_the_peak_quarter_has_forty_per_cent_of_the_year():
    kpi = np.ones(104)
    kpi[52:65] = 3.0  # the quarter that comes again first
    seen = by_hand([60, 40], [1, 1], kpi=kpi)
    np.testing.assert_allclose(policies.peak_reserve(seen), 0.4 * 52 * np.array([60, 40]))
    kpi = np.roll(kpi, 26)
    seen = by_hand([60, 40], [1, 1], kpi=kpi)
    np.testing.assert_allclose(policies.peak_reserve(seen), 0.2 * 52 * np.array([60, 40]))
    short = sight(brief_of(steady([60, 40], 40)), [1, 1])
    np.testing.assert_allclose(policies.peak_reserve(short), short.problem.status_quo)


def test_where_units_are_stretches_the_peak_gets_its_money_when_it_comes():
    kpi = np.ones(104)
    kpi[52 + 20 : 52 + 33] = 3.0  # weeks 20-32: six of them in the second quarter, seven in the third
    spend = steady([60.0, 40.0]) * np.where(np.arange(104) % 52 < 13, 2.0, 1.0)[:, None]
    seen = sight(brief_of(spend, kpi=kpi, horizon=52, pacing=13), [1, 1], which=0)
    year = 65 * 100.0
    share = np.array([0.2, 7 * 0.6 / 39 + 6 * 0.4 / 13, 6 * 0.6 / 39 + 7 * 0.4 / 13, 0.2])
    told = policies.peak_reserve(seen)
    np.testing.assert_allclose(told, np.outer(share * year, [0.6, 0.4]).ravel())
    np.testing.assert_allclose(allowed(seen.problem, told), told)  # the total is last year's
    as_one = sight(brief_of(spend, kpi=kpi, horizon=52), [1, 1], which=0)
    np.testing.assert_allclose(policies.peak_reserve(as_one), as_one.problem.status_quo)


@pytest.mark.parametrize(("last", "factor"), [(1.0, 0.875), (0.9, 1.1)])
def test_a_contingency_is_spent_when_sales_fall_below_last_years(last, factor):
    kpi = np.ones(104)
    kpi[-4:] = last
    seen = by_hand([60, 40], [1, 1], kpi=kpi)._replace(reserve=130.0)
    np.testing.assert_allclose(weekly_of(policies.contingency(seen)), factor * np.array([60, 40]))


def test_the_total_follows_the_competitor():
    controls = np.stack([np.full(104, 7.0), np.full(104, 10.0)], axis=1)
    controls[-13:, 1] = 11.0
    seen = by_hand([60, 40], [1, 1], controls=controls)
    np.testing.assert_allclose(weekly_of(policies.competitor_matching(seen, control=2)), 1.12 * np.array([60, 40]))
    for control in (0, 1, 3):  # nobody says which, it does not move, there is none
        np.testing.assert_allclose(weekly_of(policies.competitor_matching(seen, control=control)), [60, 40])


def test_totals_from_revenue():
    seen = by_hand([60, 40], [2.0, 1.0], kpi=1000.0, value=2.0)  # 2000 a week, mean return 1.6
    np.testing.assert_allclose(weekly_of(policies.share_of_revenue(seen)), [120, 80])
    np.testing.assert_allclose(weekly_of(policies.target_back_solve(seen)), (1 + 200 / 160) * np.array([60, 40]))


def test_history_without_its_outliers():
    spend = np.concatenate([steady([60, 40], 52), steady([100, 40], 52)])
    spend[60] *= 20
    seen = sight(brief_of(spend), [1, 1])
    usual = np.array([(52 * 60 + 51 * 100) / 103, 40])
    before = np.array([(100 * 12 + 2000) / 13, (40 * 12 + 800) / 13])  # the outlier is in the status quo
    np.testing.assert_allclose(seen.problem.status_quo, 13 * before)
    np.testing.assert_allclose(weekly_of(policies.mean_of_years(seen)), usual)


def test_search_follows_a_tv_flight():
    spend = steady([0.0, 10.0, 10.0])
    spend[52:55, 0] = 50  # weeks 0-2 of the status quo
    spend[55, 1] = 30  # search in the week after it: 30 of 150
    spend[57:60, 0] = 50
    seen = sight(brief_of(spend, kinds=["tv", "generic-search", "email"]), [1, 1, 1])
    after = (30 + 10) / 150  # weeks 3 and 8
    np.testing.assert_allclose(policies.search_after_tv(seen), [300, 150 * (1 + 0.2 * after), 130])


def test_search_is_raised_in_the_stretch_after_a_flight_and_in_no_other():
    spend = steady([0.0, 10.0, 10.0])
    spend[52:55, 0] = 50  # weeks 0-2 of the year ahead: the first stretch of four holds the week after
    spend[56:60, 0] = 50  # the second stretch, all of it
    seen = sight(brief_of(spend, kinds=["tv", "generic-search", "email"], horizon=16, pacing=4), [1, 1, 1])
    raised = policies.search_after_tv(seen).reshape(4, 3) / np.where(
        seen.problem.status_quo > 0, seen.problem.status_quo, 1
    ).reshape(4, 3)
    np.testing.assert_allclose(raised[:, 1], [1.05, 1.0, 1.05, 1.0])  # one week of four
    np.testing.assert_allclose(raised[:, 2], 1.0)


def test_units_know_their_weeks():
    stretches = brief_of(steady([50, 50]), horizon=10, pacing=4).questions.problems[0]
    assert [np.flatnonzero(on).tolist() for on in weeks_of(stretches)[::2]] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    unit = np.full((1, 13, 1, 2), -1)
    unit[:, :4] = [0, 1]
    some = by_hand([50, 50], [1, 1])._replace(problem=problem(unit, np.ones(unit.shape) / 4, [200, 200]))
    assert horizon(some) == 4 and horizon(by_hand([50, 50], [1, 1])) == 13


def test_stretches_are_pooled():
    """A return of 1 on 10 and of 4 on 20 are 3 on 30; a week without a return counts on neither side."""
    spend, weekly = steady([10.0], 6), np.full((6, 1), 1.0)
    spend[5], weekly[5], weekly[2] = 20.0, 4.0, np.nan
    seen = sight(brief_of(spend), [1.0], weekly)
    brought, paid = earned(seen, (2, 2))
    np.testing.assert_allclose((brought.ravel(), paid.ravel()), ([10, 90], [10, 30]))
    assert not earned(seen, (4, 4))[1].any()  # eight weeks were not reported


def test_of_three_plans_the_one_with_the_best_worst_tenth():
    """Channel 1 returns more on average, and nothing in one draw of ten."""
    brief = brief_of(steady([50, 50]))
    levels = brief.questions.problems[0].levels
    slope = np.ones((10, 2))
    slope[:, 1], slope[0, 1] = 5.0, 0.0
    answers = Answers(response=tuple(slope[:, :, None] * levels for _ in range(2)))
    seen = sight(brief, [1.0, 4.0], which=0, answers=answers)
    np.testing.assert_allclose(weekly_of(plans.three_plans(seen)), [50, 50])
    np.testing.assert_allclose(weekly_of(plans.three_plans(seen, worst=1.0)), [20, 80])
    np.testing.assert_allclose(
        plans.profit_by_draws(seen, np.array([[300.0, 700.0]]))[0],
        slope @ [300, 700] - 1000,  # margin x value = 1
    )


def test_by_claims_the_weeks_are_drawn_again():
    weekly = np.tile([1.0, 3.0], (104, 1))
    weekly[::2, 1] = 0.0  # a mean of 1.5, as uncertain as 52 weeks leave it
    seen = sight(brief_of(steady([50, 50])), [1.0, 1.5], weekly, which=0)
    profit = plans.profit_by_weeks(seen, np.array([[650.0, 650.0], [0.0, 1300.0]]))
    np.testing.assert_allclose(profit.mean(axis=1), [0.5 * 1625 - 1300, 0.5 * 1950 - 1300], atol=15)
    np.testing.assert_allclose(profit[1].std(), 0.5 * 1300 * 1.5 / np.sqrt(52), rtol=0.15)
    np.testing.assert_allclose(profit[0].std(), profit[1].std() / 2, rtol=1e-9)


# --- units


def test_units_know_their_channel_and_geo():
    spend = np.tile([[10.0, 10.0], [20.0, 20.0]], (104, 1, 1))
    channel, geo = owners(brief_of(spend, scope="geo").questions.problems[0])
    assert channel.tolist() == [0, 1, 0, 1] and geo.tolist() == [0, 0, 1, 1]
    channel, geo = owners(brief_of(spend).questions.problems[0])
    assert channel.tolist() == [0, 1] and geo.tolist() == [-1, -1]


def test_channels_that_are_not_up_for_decision_get_nothing_and_give_nothing():
    """Unit 0 is channel 1, unit 1 channels 0 and 2 together, which no rule of channels can move."""
    unit = np.full((1, 13, 1, 3), 1)
    unit[..., 1] = 0
    seen = by_hand([10, 20, 30], [1.0, 2.0, 3.0])._replace(problem=problem(unit, np.ones(unit.shape) / 26, [260, 520]))
    channel, _ = owners(seen.problem)
    assert channel.tolist() == [1, -1]
    for rule in (policies.by_returns, policies.equal, policies.proven_and_tests, policies.kol_matrix):
        np.testing.assert_allclose(rule(seen), [260, 520])


def test_amounts_by_channel_are_spread_as_the_status_quo_is():
    spend = np.tile([[10.0, 0.0], [30.0, 0.0]], (104, 1, 1))
    seen = sight(brief_of(spend, scope="geo"), [1.0, 1.0])
    np.testing.assert_allclose(weekly_of(policies.equal(seen)), [5, 10, 15, 10])


def test_thirds_keep_equal_sizes_together():
    assert thirds(np.array([5.0, 1.0, 3.0])).tolist() == [2, 0, 1]
    assert thirds(np.array([1.0, 1.0, 1.0, 9.0])).tolist() == [0, 0, 0, 2]
    assert thirds(np.array([2.0])).tolist() == [0] and thirds(np.zeros(0)).tolist() == []


def test_pots_without_units_leave_their_share_to_the_others():
    seen = by_hand([10, 30, 60], [1] * 3)
    np.testing.assert_allclose(weekly_of(potted(seen, np.array([0, 0, 2]), np.array([0.5, 0.3, 0.2]))),
                               [100 * 5 / 7 / 4, 300 * 5 / 7 / 4, 200 / 7])  # fmt: skip


def test_what_is_taken_goes_by_return_and_size():
    seen = by_hand([40, 20, 20], [1.0, 1.0, 3.0])
    np.testing.assert_allclose(weekly_of(moved(seen, np.array([0.5, 0, 0]))), [20, 25, 35])
    np.testing.assert_allclose(weekly_of(moved(seen, np.ones(3))), [40, 20, 20])  # nobody is left to take it


def test_limits_change_no_split_where_the_total_is_fixed():
    fixed = brief_of(steady([50, 30, 20])).questions.problems[0]
    np.testing.assert_allclose(allowed(fixed, 0.5 * fixed.status_quo), fixed.status_quo)
    tight = fixed._replace(upper=1.1 * fixed.status_quo)
    np.testing.assert_allclose(allowed(tight, fixed.status_quo * [0, 2, 2]), weekly_of([0, 0, 0]) + tight.upper * [
        (100 - 33 - 22) / 55, 1, 1])  # fmt: skip


# --- laws of all rules

NUMBER = st.floats(0.0, 1e4)
RETURN = st.one_of(st.floats(-3.0, 10.0), st.sampled_from([np.nan, 0.0, 2.5, 3.0, np.inf]))


@st.composite
def sights(draw):
    """Odd data: idle channels, one channel, no returns, negative ones, short panels, weeks beyond the origin."""
    channels, geos = draw(st.integers(1, 5)), draw(st.sampled_from([1, 1, 3]))
    weeks = draw(st.sampled_from([20, 60, 110]))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    money = np.array(draw(st.lists(st.one_of(NUMBER, st.just(0.0)), min_size=channels, max_size=channels)))
    spend = money * random.lognormal(0, draw(st.sampled_from([0.0, 0.5])), (weeks, geos, channels))
    spend *= random.random((weeks, 1, channels)) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    kpi = draw(st.sampled_from([0.0, 1000.0])) * random.lognormal(0, 0.2, weeks)
    kinds = random.choice(["tv", "generic-search", "email", "other", "radio"], channels)
    returns = np.array(draw(st.lists(RETURN, min_size=channels, max_size=channels)))
    weekly = returns * random.lognormal(0, 0.3, (weeks, channels))
    weekly[random.random(weekly.shape) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = np.nan
    hidden = draw(st.sampled_from([0, 3]))
    weekly[weeks - hidden :] = np.nan
    spend[weeks - hidden :] = draw(st.sampled_from([0.0, np.nan]))
    scope, pacing = draw(st.sampled_from([("national", "last-year"), ("geo", "last-year"), ("national", 4)]))
    brief = brief_of(
        spend, kpi=kpi, kinds=list(kinds), controls=random.random((weeks, 1)), hidden=hidden,
        population=random.lognormal(0, 1, geos), scope=scope, pacing=pacing,
    )  # fmt: skip
    reserve, epoch = draw(st.sampled_from([0.0, 10.0])), draw(st.sampled_from([0, 1, 2]))
    seen = sight(brief, returns, weekly, which=draw(st.sampled_from([0, 1])), seed=seed, reserve=reserve, epoch=epoch)
    mixed = seen.problem.status_quo * random.lognormal(0, 0.5 * (epoch > 0), len(seen.problem.status_quo))
    return seen._replace(problem=seen.problem._replace(status_quo=mixed))


@st.composite
def lively(draw):
    """Ordinary data in which triggers fire: all channels spend, most report, and weeks are noisy."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels, geos, scope = (
        draw(st.integers(2, 5)),
        draw(st.sampled_from([1, 3])),
        draw(st.sampled_from(["national", "geo"])),
    )
    spend = random.lognormal(3, 1, channels) * random.lognormal(0, 0.05, (110, geos, channels))
    returns = random.uniform(0.5, 4.0, channels)
    weekly = returns * random.lognormal(0, draw(st.sampled_from([0.15, 0.5])), (110, channels))
    weekly[random.random(weekly.shape) < 0.05] = np.nan
    brief = brief_of(spend, kpi=1000.0 * random.lognormal(0, 0.2, 110), scope=scope)
    seen = sight(brief, returns, weekly, epoch=draw(st.sampled_from([0, 1, 2])))
    mixed = seen.problem.status_quo * random.lognormal(0, 0.5, len(seen.problem.status_quo))
    return seen._replace(problem=seen.problem._replace(status_quo=mixed))


def afresh(seen, **changes):
    """The same sight with its generator at the start."""
    return seen._replace(generator=np.random.default_rng(7), **changes)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@settings(max_examples=30, deadline=None)
@given(seen=sights())
def test_a_rule_never_raises_and_gives_amounts(policy, seen):
    amounts = policy.rule(afresh(seen))
    assert amounts.shape == seen.problem.status_quo.shape
    assert np.isfinite(amounts).all() and (amounts >= 0).all()
    assert np.array_equal(amounts, policy.rule(afresh(seen)))


def in_money(seen, factor):
    """The same sight with money in other units."""
    panel, questions, context = seen.brief
    chosen = seen.problem
    names = ("base", "status_quo", "levels", "lower", "upper", "budget", "group_low", "group_high")
    scaled = chosen._replace(**{name: getattr(chosen, name) * factor for name in names})
    brief = seen.brief._replace(
        panel=panel._replace(spend=panel.spend * factor, lever=panel.lever * factor),
        questions=questions._replace(plans=questions.plans * factor, problems=(scaled,)),
        context=context._replace(unit_value=context.unit_value * factor, spend_scale=context.spend_scale * factor),
    )
    return afresh(seen, brief=brief, problem=scaled, reserve=seen.reserve * factor)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@settings(max_examples=20, deadline=None)
@given(seen=sights())
def test_money_has_no_unit(policy, seen):
    told, other = policy.rule(afresh(seen)), policy.rule(in_money(seen, 1000.0))
    np.testing.assert_allclose(other, 1000.0 * told, rtol=1e-6, atol=1e-6 * (1.0 + told.sum()))


def turned(seen, order):
    """The same sight with its channels in another order; national units follow, and so do those of each geo."""
    panel, questions, context = seen.brief
    spend = panel.spend[..., order]
    count = len(order)
    units = (np.arange(len(seen.problem.status_quo)).reshape(-1, count)[:, order]).ravel()
    place = np.argsort(units)
    chosen = seen.problem
    mine = {name: getattr(chosen, name)[units] for name in ("status_quo", "levels", "lower", "upper")}
    scaled = chosen._replace(
        **mine, base=chosen.base[..., order], weight=chosen.weight[..., order], unit=place[chosen.unit[..., order]]
    )
    brief = seen.brief._replace(
        panel=panel._replace(spend=spend, lever=spend),
        questions=questions._replace(plans=questions.plans[..., order], problems=(scaled,)),
        context=context._replace(**{name: getattr(context, name)[order] for name in (
            "spend_scale", "national_only", "kind", "bought", "prior_roas_mean", "prior_roas_sd")}),
    )  # fmt: skip
    turn = {"returns": seen.returns[order], "weekly": seen.weekly[:, order]}
    return afresh(seen, brief=brief, problem=scaled, **turn), units


@pytest.mark.parametrize("policy", [p for p in POLICIES if p.name != "random-feasible"], ids=lambda p: p.name)
@settings(max_examples=20, deadline=None)
@given(seen=sights(), seed=st.integers(0, 99))
def test_channels_have_no_order(policy, seen, seed):
    order = np.random.default_rng(seed).permutation(seen.brief.panel.spend.shape[2])
    other, units = turned(seen, order)
    told = policy.rule(afresh(seen))
    np.testing.assert_allclose(policy.rule(other), told[units], rtol=1e-6, atol=1e-6 * (1.0 + told.sum()))


def of_one_scale(money):
    """Whether something is spent, and nothing beside it that is no money: limits of it are lost in rounding."""
    return money.sum() > 0 and (money[money > 0] > 1e-6 * money.sum()).all()


def tight(chosen, random):
    """The same choice within narrow boxes, a narrow total and two groups; the status quo is allowed."""
    now = chosen.status_quo
    groups = (random.random((2, len(now))) < 0.5).astype(float)
    return chosen._replace(
        lower=now * random.uniform(0.6, 1.0, len(now)), upper=now * random.uniform(1.0, 1.6, len(now)),
        budget=now.sum() * np.array([0.97, 1.02]),
        groups=groups, group_low=0.95 * groups @ now, group_high=1.03 * groups @ now,
    )  # fmt: skip


def within(chosen, amounts):
    """Whether amounts keep to boxes, total and groups."""
    slack, groups = 1e-6 * chosen.status_quo.sum(), chosen.groups @ amounts
    return bool(
        (amounts >= chosen.lower - slack).all() and (amounts <= chosen.upper + slack).all()
        and chosen.budget[0] - slack <= amounts.sum() <= chosen.budget[1] + slack
        and (groups >= chosen.group_low - slack).all() and (groups <= chosen.group_high + slack).all()
    )  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(seen=sights(), shares=st.lists(st.floats(0.0, 5.0), min_size=20, max_size=20), seed=st.integers(0, 99))
def test_what_is_allowed_is_within_limits_that_bind(seen, shares, seed):
    assume(of_one_scale(seen.problem.status_quo))
    chosen = tight(seen.problem, np.random.default_rng(seed))
    wanted = chosen.status_quo * shares[: len(chosen.status_quo)]
    assume(not within(chosen, wanted))
    assert within(chosen, allowed(chosen, wanted))


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@settings(max_examples=15, deadline=None)
@given(seen=sights(), seed=st.integers(0, 99))
def test_what_a_rule_may_do_is_within_limits_that_bind(policy, seen, seed):
    assume(of_one_scale(seen.problem.status_quo))
    chosen = tight(seen.problem, np.random.default_rng(seed))
    assert within(chosen, allowed(chosen, policy.rule(afresh(seen, problem=chosen))))


@pytest.mark.parametrize("name", ["return-falling", "below-target", "conversions-cut", "quarterly-cut"])
@settings(max_examples=50, deadline=None)
@given(seen=st.one_of(sights(), lively()))
def test_a_cap_of_a_quarter_leaves_three_quarters_of_every_unit(name, seen):
    rule = next(policy.rule for policy in triggers.POLICIES if policy.name == name)
    assert (rule(afresh(seen)) >= 0.75 * seen.problem.status_quo * (1.0 - 1e-12)).all()


# --- reasons


@pytest.mark.parametrize("policy", [p for p in POLICIES if p.because], ids=lambda p: p.name)
@settings(max_examples=20, deadline=None)
@given(seen=sights())
def test_reasons_are_numbers_by_channel_or_of_the_choice_and_draw_nothing(policy, seen):
    blind = seen._replace(generator=None)
    told, again = policy.because(blind), policy.because(blind)
    assert {"fired", "line"} <= set(told)
    for name, each in told.items():
        assert each.dtype == float and each.shape in ((), (len(seen.returns),))
        np.testing.assert_array_equal(each, again[name])
    assert np.isin(told["fired"], [0.0, 1.0]).all()


@pytest.mark.parametrize("policy", triggers.POLICIES, ids=lambda policy: policy.name)
@settings(max_examples=50, deadline=None)
@given(seen=st.one_of(sights(), lively()))
def test_a_channel_loses_where_its_line_is_crossed_and_nowhere_else(policy, seen):
    now = seen.problem.status_quo
    assume((now[now > 0] > 1e-9).all())
    fired = by_unit(seen, policy.because(seen)["fired"]) > 0
    taken = (now * by_unit(seen, believed(seen)))[~fired].sum() > 0  # somebody is left to take the money
    loses = fired & (now > 0) & taken & (policy.name != "benchmark-alarm")
    amounts = policy.rule(seen)
    np.testing.assert_array_equal(amounts < 0.999 * now, loses)
    assert loses.any() or np.allclose(amounts, now, rtol=1e-12, atol=0.0)


@settings(max_examples=50, deadline=None)
@given(seen=st.one_of(sights(), lively()))
def test_a_test_moves_money_where_its_reasons_say_so(seen):
    now = seen.problem.status_quo
    assume((now[now > 0] > 1e-9).all())
    moves = not np.allclose(policies.trial_and_scale(seen), now, rtol=1e-10, atol=0.0)
    assert moves == policies.trial(seen)["fired"]


@settings(max_examples=50, deadline=None)
@given(seen=st.one_of(sights(), lively()))
def test_a_contingency_is_kept_back_unless_its_reasons_say_otherwise(seen):
    now = seen.problem.status_quo.sum()
    assume(now > 1e-9)
    told = policies.shortfall(seen)
    assert (policies.contingency(seen).sum() < now * (1.0 - 1e-9)) == (not told["fired"])
    assert (told["kept back"] > 0) == (not told["fired"])


# --- the page


def test_the_page_has_every_rule_and_no_other():
    named = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE, re.MULTILINE)
    assert named == [policy.name for policy in POLICIES]
    arms = re.findall(r"^\| `([a-z0-9-]+)` \| claims, model \|", PAGE, re.MULTILINE)
    assert arms == [policy.name for policy in POLICIES if policy.arms]


def test_the_kinds_of_the_page_are_those_of_the_rule():
    for kinds in (policies.BRAND, policies.PERFORMANCE):
        assert ", ".join(f"`{kind}`" for kind in kinds) in " ".join(PAGE.split())
