"""Allocation problems from shares and rules to money: by hand, and what holds of every one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simbench import optimum
from simbench.blocks import in_float64
from simbench.estimands import plan_of
from simbench.problems import ChannelSpec, GroupSpec, ProblemSpec, pieces, problem_of, unit_names, words_of

PLAIN = ProblemSpec("p", "national", (1.0, 1.0), 0.5, 2.0, ())
#: One replicate, five weeks, two geos of 1 and 3 people, two channels: tv by geo, radio in week 0 alone.
TV = np.array([[1.0, 9.0], [0.0, 0.0], [2.0, 18.0], [3.0, 27.0], [4.0, 36.0]])
RADIO = np.array([[5.0, 5.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
MONEY = np.stack([TV, RADIO], axis=-1)[None]
PEOPLE = np.array([[1.0, 3.0]])


def made(money=MONEY, **changes):
    problem = problem_of(PLAIN._replace(**changes), money, PEOPLE[:, : money.shape[2]], 5, 0.6)
    return problem, planned(problem, problem.status_quo)


def planned(problem, amounts, i=0):
    """Levers [Hd, G, C] of amounts [R, U] in replicate i, in float64."""
    one = problem._replace(**{name: getattr(problem, name)[i] for name in ("base", "unit", "weight")})
    return in_float64(plan_of, one, np.asarray(amounts)[i])


def laid(problem, u):
    """The levers of one unit of money [Hd, G, C]."""
    return np.where(problem.unit == u, problem.weight, 0.0)[0].sum(axis=0)


def test_last_year_by_hand():
    problem, plan = made()
    np.testing.assert_array_equal(problem.status_quo, [[100.0, 10.0]])
    np.testing.assert_array_equal(plan, MONEY[0])
    np.testing.assert_allclose(laid(problem, 0)[..., 0], TV / 100)
    np.testing.assert_array_equal(problem.lower, [[50.0, 5.0]])
    np.testing.assert_array_equal(problem.upper, [[200.0, 20.0]])
    np.testing.assert_array_equal(problem.levels[0, 0], [0.0, 12.5, 50.0, 112.5, 200.0])
    np.testing.assert_array_equal(problem.budget, [[110.0, 110.0]])
    assert problem.form.disjoint and problem.groups.shape == (1, 0, 2)


def test_stretches_of_weeks_by_hand():
    """Weeks 0-1, 2-3 and 4: a stretch keeps its own flighting, and is bounded as in an even year if that is wider."""
    problem, plan = made(pacing=2)
    np.testing.assert_array_equal(problem.status_quo, [[10.0, 10.0, 50.0, 0.0, 40.0, 0.0]])
    np.testing.assert_array_equal(plan, MONEY[0])
    np.testing.assert_allclose(laid(problem, 2)[..., 0], np.where(np.arange(5)[:, None] // 2 == 1, TV / 50, 0.0))
    # no radio in weeks 2-3: evenly over weeks, by people over geos
    np.testing.assert_allclose(laid(problem, 3)[2:4, :, 1], [[0.125, 0.375]] * 2)
    assert laid(problem, 3).sum() == 1.0
    # an even year: tv 40, 40, 20; radio 4, 4, 2
    np.testing.assert_allclose(problem.lower, [[5.0, 2.0, 20.0, 0.0, 10.0, 0.0]])
    np.testing.assert_allclose(problem.upper, [[80.0, 20.0, 100.0, 8.0, 80.0, 4.0]])
    np.testing.assert_array_equal(problem.budget, [[110.0, 110.0]])
    assert not problem.form.disjoint


def test_flat_by_hand():
    problem, plan = made(pacing="flat")
    np.testing.assert_array_equal(problem.status_quo, [[100.0, 10.0]])
    np.testing.assert_allclose(plan, np.broadcast_to([[2.0, 1.0], [18.0, 1.0]], plan.shape))
    assert problem.form.disjoint


def test_steady_or_pulsed_by_hand():
    problem, plan = made(pacing="steady-or-pulsed", pulse=(1, 1), lower=0.0)
    np.testing.assert_array_equal(problem.status_quo, [[100.0, 10.0, 0.0, 0.0]])
    np.testing.assert_allclose(plan[:, :, 0], [[2.0, 18.0]] * 5)
    pulsed = laid(problem, 2)[..., 0]
    np.testing.assert_allclose(pulsed.sum(axis=1), [1 / 3, 0, 1 / 3, 0, 1 / 3])
    np.testing.assert_allclose(pulsed[0], [0.1 / 3, 0.9 / 3])
    np.testing.assert_array_equal(problem.upper, [[200.0, 20.0, 200.0, 20.0]])
    # both together: no more than twice the channel
    np.testing.assert_array_equal(problem.groups[0], [[1, 0, 1, 0], [0, 1, 0, 1]])
    np.testing.assert_array_equal(problem.group_high, [[200.0, 20.0]])
    np.testing.assert_array_equal(problem.group_low, [[0.0, 0.0]])
    assert not problem.form.disjoint


def test_weeks_that_are_not_decided_stay_as_they_were():
    problem, plan = made(weeks=3)
    np.testing.assert_array_equal(problem.status_quo, [[30.0, 10.0]])
    np.testing.assert_array_equal(plan, MONEY[0])
    twice = planned(problem, 2 * problem.status_quo)
    np.testing.assert_array_equal(twice, MONEY[0] * np.array([2, 2, 2, 1, 1])[:, None, None])
    assert (problem.unit[0, 0, 3:] == -1).all() and (problem.unit[0, 0, :3] >= 0).all()


def test_bounds_of_a_channel_and_budgets_in_money():
    own = (ChannelSpec(0, lower=0.9), ChannelSpec(1, lower_money=3.0, upper_money=77.0))
    problem, _ = made(channels=own, budget_money=(50.0, 60.0))
    np.testing.assert_array_equal(problem.lower, [[90.0, 3.0]])
    np.testing.assert_array_equal(problem.upper, [[200.0, 77.0]])
    np.testing.assert_array_equal(problem.budget, [[50.0, 60.0]])
    problem, _ = made(channels=own, pacing=3)  # money bounds the channel, shares bound its stretches
    np.testing.assert_array_equal(problem.groups[0], [[0, 1, 0, 1]])
    np.testing.assert_array_equal([problem.group_low[0], problem.group_high[0]], [[3.0], [77.0]])
    np.testing.assert_allclose(problem.lower, [[0.9 * 30, 0.5 * 6, 0.9 * 40, 0.0]])
    problem, _ = made(channels=own, pacing="steady-or-pulsed")
    np.testing.assert_array_equal(problem.group_low, [[90.0, 3.0]])
    np.testing.assert_array_equal(problem.group_high, [[200.0, 77.0]])
    np.testing.assert_array_equal(problem.upper, [[200.0, 77.0, 200.0, 77.0]])


def test_groups_of_geos():
    """Units are (geo, channel): the second geo, and tv of the second geo."""
    groups = (GroupSpec((0, 1), 0.2, 0.5, (1,)), GroupSpec((0,), 0.0, 1.0, (1,)), GroupSpec((1,), 0.0, 1.0))
    problem, plan = made(scope="geo", groups=groups)
    np.testing.assert_array_equal(problem.groups[0], [[0, 0, 1, 1], [0, 0, 1, 0], [0, 1, 0, 1]])
    np.testing.assert_allclose(problem.group_low[0], [22.0, 0.0, 0.0])
    np.testing.assert_allclose(problem.group_high[0], [55.0, 110.0, 110.0])
    np.testing.assert_array_equal(plan, MONEY[0])
    assert problem.form.disjoint
    words = words_of(PLAIN._replace(scope="geo", groups=groups), ("tv", "radio"), ("north", "south"), 5)
    assert words.units == ("north/tv", "north/radio", "south/tv", "south/radio")
    assert words.rows == ("the group of tv, radio in south", "the group of tv in south", "the group of radio")


def test_groups_of_the_plan_and_in_money():
    """Two units of at most 200 and 20: radio at least 40% and at most half of the plan, tv between 3 and 7."""
    groups = (
        GroupSpec((1,), 0.4, 0.5, of="plan"), GroupSpec((0,), 0.0, None, low_money=3.0, high_money=7.0),
        GroupSpec((0,), 0.0, None, of="plan", low_money=1.0), GroupSpec((1,), 0.1, None), GroupSpec((1,), 5.0, None),
    )  # fmt: skip
    problem, _ = made(groups=groups)
    rows = [[-0.4, 0.6], [-0.5, 0.5], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    np.testing.assert_allclose(problem.groups[0], rows)
    np.testing.assert_allclose(problem.group_low[0], [0.0, -97.5, 3.0, 1.0, 11.0, 550.0])
    np.testing.assert_allclose(problem.group_high[0], [0.0, 0.0, 7.0, 200.0, 20.0, 550.0])
    words = words_of(PLAIN._replace(groups=groups), ("tv", "radio"), ("national",), 5)
    assert words.rows == (
        "the group of radio less 40% of the plan", "the group of radio less 50% of the plan", "the group of tv",
        "the group of tv", "the group of radio", "the group of radio",
    )  # fmt: skip


@given(
    st.floats(0, 1), st.floats(0, 1), st.sampled_from([None, (1.0, 1.0), (0.3, 1.7)]),
    st.sampled_from(["last-year", 2, "steady-or-pulsed"]), st.integers(0, 10**6),
)  # fmt: skip
def test_a_share_of_the_plan_is_one_whatever_the_total(one, other, budget, pacing, seed):
    low, high = sorted([one, other])
    spec = PLAIN._replace(
        budget=budget, lower=0.0, pacing=pacing, groups=(GroupSpec((0,), low, high, of="plan"),), upper=20.0
    )
    problem = problem_of(spec, MONEY, PEOPLE, 5, 0.6)
    wanted = np.random.default_rng(seed).uniform(-100, 300, problem.status_quo.shape)
    amounts = optimum.project(wanted, optimum.constraints_of(problem))
    total, brand = amounts.sum(), amounts[:, ::2].sum()
    assert low * total - 1e-6 <= brand <= high * total + 1e-6
    if budget is not None:
        assert budget[0] * 110 - 1e-6 <= total <= budget[1] * 110 + 1e-6


def test_a_share_of_the_plan_that_cannot_be_had_is_named():
    """Radio is at most 20 and tv at least 50."""
    for group, words in (
        (GroupSpec((1,), 0.4, None, of="plan"), "radio less 40% of the plan must reach 0; bounds and budget allow at"),
        (GroupSpec((0,), 0.0, 0.6, of="plan"), "tv less 60% of the plan may hold at most 0; bounds and budget ask for"),
        (GroupSpec((1,), 0.0, None, low_money=70.0), "radio must reach 70; bounds and budget allow at most 20"),
    ):
        spec = PLAIN._replace(budget=None, groups=(group,))
        told = words_of(spec, ("tv", "radio"), ("national",), 5)
        limits = optimum.constraints_of(problem_of(spec, MONEY, PEOPLE, 5, 0.6))
        assert f"the group of {words}" in optimum.infeasible(limits, told.units, told.rows)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ("tv", "radio")),
        ({"pacing": 3}, ("tv/weeks 1-3", "radio/weeks 1-3", "tv/weeks 4-5", "radio/weeks 4-5")),
        ({"pacing": 5}, ("tv", "radio")),
        ({"pacing": 2, "weeks": 3}, ("tv/weeks 1-2", "radio/weeks 1-2", "tv/week 3", "radio/week 3")),
        ({"pacing": "steady-or-pulsed"}, ("tv/steady", "radio/steady", "tv/pulsed", "radio/pulsed")),
        ({"scope": "geo", "pacing": "flat"}, ("a/tv", "a/radio", "b/tv", "b/radio")),
    ],
)
def test_names_of_units(changes, names):
    assert unit_names(PLAIN._replace(**changes), ("tv", "radio"), ("a", "b"), 5) == names


SPECS = st.builds(
    lambda pacing, scope, weeks, pulse: PLAIN._replace(
        pacing=pacing, scope="national" if isinstance(pacing, int) or pacing == "steady-or-pulsed" else scope,
        weeks=weeks, pulse=pulse,
    ),
    st.one_of(st.sampled_from(["last-year", "flat", "steady-or-pulsed"]), st.integers(1, 9)),
    st.sampled_from(["national", "geo"]), st.one_of(st.none(), st.integers(1, 9)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
)  # fmt: skip


@given(SPECS, st.integers(0, 2**32 - 1))
def test_money_goes_where_it_is_asked_to(spec, seed):
    rng = np.random.default_rng(seed)
    money = rng.gamma(1.0, 10.0, (2, 9, 2, 3)) * (rng.random((2, 9, 2, 3)) > 0.4)
    problem = problem_of(spec, money, np.tile(PEOPLE, (2, 1)), 5, 0.6)
    units, cut = problem.status_quo.shape[1], pieces(spec, "ab", 9)
    assert units == 3 * len(cut)
    amounts = rng.gamma(1.0, 5.0, (2, units))
    for i in range(2):
        plan, now = planned(problem, amounts, i), planned(problem, problem.status_quo, i)
        assert plan.sum() == pytest.approx(amounts[i].sum() + problem.base[i].sum(), rel=1e-12)
        np.testing.assert_allclose(now.sum(axis=(0, 1)), money[i].sum(axis=(0, 1)), rtol=1e-12)
        if spec.pacing == "last-year" or isinstance(spec.pacing, int):
            np.testing.assert_allclose(now, money[i], rtol=1e-12, atol=1e-12)
        touched = np.array([(problem.unit[i] == u).any(axis=(0, 1)) for u in range(units)])
        assert problem.form.disjoint == (touched.sum(axis=0).max() <= 1)
    assert (problem.lower <= problem.upper).all() and (problem.levels[..., -1] == problem.upper).all()
    if spec.pacing != "steady-or-pulsed":  # what is, is allowed
        assert (problem.lower <= problem.status_quo * (1 + 1e-9)).all()
        assert (problem.status_quo <= problem.upper * (1 + 1e-9)).all()
