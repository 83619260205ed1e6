"""Feasible sets and answered curves: projection, words for what cannot be met, PCHIP, allocation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from optimum_media import assert_feasible, lattice
from scipy.interpolate import PchipInterpolator

from simbench import optimum
from simbench.errors import BadInput
from simbench.optimum import constraints_of, curves, one_world
from simbench.optimum.curves import pchip_slopes
from simbench.optimum.feasible import checked, repeat
from simbench.records import Form, Problem

# --- the feasible set


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (one_world([2, 0], [1, 1], (0, 9)), "unit 0: the lower bound 2 is above the upper bound 1"),
        (one_world([0, 0], [1, 1], (5, 4)), "the lowest budget 5 is above the highest budget 4"),
        (one_world([2, 3], [9, 9], (0, 4)), "the lower bounds add up to 5, above the highest budget 4"),
        (one_world([0, 0], [1, 2], (4, 9)), "the upper bounds add up to 3, below the lowest budget 4"),
        (
            one_world([0, 0], [1, 2], (0, 9), [[1, 0]], [2], [1]),
            "group 0: the lower bound 2 is above the upper bound 1",
        ),
        (
            one_world([0, 0], [1, 2], (0, 9), [[1, 0]], [1.5], [9]),
            "group 0 must reach 1.5; bounds and budget allow at most 1",
        ),
        (
            one_world([0, 0], [3, 2], (4, 9), [[1, 0]], [0], [1]),
            "group 0 may hold at most 1; bounds and budget ask for at least 2",
        ),
        (
            one_world([0, 0, 0], [9, 9, 9], (0, 5), [[1, 1, 0], [0, 1, 1], [1, 0, 1]], [4, 4, 4], [9, 9, 9]),
            "the groups cannot all be met: at the least, group",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_met_is_named(limits, words) -> None:
    assert str(optimum.infeasible(limits)).startswith(words)
    for use in (
        lambda: optimum.project(limits.lower * 0, limits),
        lambda: optimum.random_feasible(limits, 3, np.random.default_rng(0)),
    ):
        with pytest.raises(BadInput, match="constraints"):
            use()


@pytest.mark.parametrize("money", [1e-6, 1.0, 1e9])
def test_what_can_be_met_is_not_named(money) -> None:
    rows = [[1, 1, 0], [0, 1, 1]]
    limits = one_world(np.zeros(3), money * np.ones(3), [2 * money] * 2, rows, [0, money], np.array([1.0, 1.5]) * money)
    assert optimum.infeasible(limits) is None
    assert optimum.infeasible(one_world([1, 2], [1, 2], (3, 3))) is None


def asked(disjoint: bool = True, **change) -> Problem:
    """A problem of two units that spend 100 and 20, everything else as it is by default."""
    now = np.array([[100.0, 20.0]])
    limits = {
        "lower": 0 * now, "upper": 2 * now, "budget": np.array([[120.0, 120.0]]), "groups": np.zeros((1, 0, 2)),
        "group_low": np.zeros((1, 0)), "group_high": np.zeros((1, 0)),
    } | change  # fmt: skip
    return Problem(*(None,) * 3, now, None, *limits.values(), np.ones(1), Form(disjoint))


def group(high: float, row: tuple[float, float] = (0.0, 1.0)) -> dict[str, np.ndarray]:
    """The second unit, which spends 20, is to have so much at most."""
    return {"groups": np.array([[row]]), "group_low": np.array([[0.0]]), "group_high": np.array([[high]])}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"budget": np.array([[120e3, 120e3]])}, "the lowest total come to 120000 where the status quo spends 120"),
        ({"budget": np.array([[0.0, 0.12]])}, "the highest total come to 0.12"),
        ({"lower": np.array([[50e3, 0.0]])}, "the lower bounds come to 50000"),
        ({"upper": np.array([[200e3, 40e3]])}, "the upper bounds come to 240000"),
        ({"upper": np.array([[200.0, 0.04]])}, "some upper bounds come to 0.04 where the status quo spends 20"),
        ({"upper": np.array([[200.0, 20e3]])}, "some upper bounds come to 20000 where the status quo spends 20"),
        (group(40e3), "some limits of groups come to 40000 where the status quo spends 20"),
        (group(0.04), "some limits of groups come to 0.04 where the status quo spends 20"),
    ],
)
def test_money_in_another_unit_is_warned_about(change, words) -> None:
    with pytest.warns(UserWarning, match=f"problem: {words}.*: expected is money in the unit of the spend"):
        constraints_of(asked(**change))


@pytest.mark.parametrize(
    "change",
    [
        {}, {"upper": np.array([[5000.0, 0.0]])}, {"upper": np.array([[np.inf, np.inf]])},
        {"budget": np.array([[0.0, np.inf]])}, {"budget": np.array([[0.0, 0.0]])},
        {"upper": np.array([[200.0, 20e3]]), "disjoint": False}, group(20e3), group(0.0), group(0.0, (-0.9, 0.1)),
    ],
)  # fmt: skip
def test_bounds_that_only_are_wide_or_zero_are_not(change) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constraints_of(asked(**change))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"upper": np.ones((1, 3))}, "upper: has shape"),
        ({"budget": np.array([[np.nan, 1.0]])}, "budget: contains NaN"),
        ({"upper": np.array([[np.inf, 1.0]]), "budget": np.array([[0.0, np.inf]])}, "no upper limit"),
    ],
)
def test_constraints_that_make_no_sense_are_refused(change, match) -> None:
    with pytest.raises(BadInput, match=match):
        optimum.project(np.zeros((1, 2)), one_world([0, 0], [1, 1], (0, 1))._replace(**change))


@pytest.mark.parametrize("worth", [np.nan, np.inf])
def test_a_worth_that_is_no_number_is_named(worth) -> None:
    levels = np.tile([0.0, 1.0, 2.0], (1, 2, 1))
    limits = one_world([0, 0], [2, 2], (2, 2))
    with pytest.raises(BadInput, match=f"worth: is {worth:g}; give finite money per KPI unit"):
        optimum.allocate(levels, np.sqrt(levels), None, [worth], limits)
    with pytest.raises(BadInput, match=f"worth: is {worth:g}"):
        optimum.pchip_cells(levels, np.sqrt(levels), None, worth)


def test_an_upper_end_may_be_left_to_the_budget() -> None:
    assert_allclose(optimum.project([[5.0, 1.0]], one_world([0, 0], [np.inf, np.inf], (4, 4))), [[4.0, 0.0]])


@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(0, 3), st.sampled_from([1e-4, 1.0, 1e7]))
@settings(max_examples=60)
def test_projection_is_the_nearest_feasible_point(seed, units, count, money) -> None:
    """A projection p of z is the one point with (z - p) (x - p) <= 0 for every feasible x."""
    generator = np.random.default_rng(seed)
    upper = generator.uniform(0, 3, units) * (generator.random(units) > 0.1)
    lower = upper * generator.uniform(0, 1, units) * (generator.random(units) > 0.5)
    inside = lower + (upper - lower) * generator.random(units)  # makes the rest feasible
    rows = generator.integers(-1, 2, (count, units)) * 1.0
    slack = generator.uniform(0, 1, (2, count)) * (generator.random((2, count)) > 0.3)
    slack_budget = generator.uniform(0, 1, 2) * (generator.random(2) > 0.5)
    limits = one_world(
        lower * money, upper * money, (inside.sum() + slack_budget * [-1, 1]) * money, rows,
        (rows @ inside - slack[0]) * money, (rows @ inside + slack[1]) * money,
    )  # fmt: skip
    wanted = generator.normal(0, 4, (1, units)) * money
    nearest = optimum.project(wanted, limits)
    assert_feasible(nearest, limits)
    others = np.concatenate([optimum.random_feasible(limits, 300, generator), inside[None] * money])
    assert ((others - nearest) @ (wanted - nearest)[0]).max() <= 1e-9 * money**2
    assert_allclose(optimum.project(nearest, limits), nearest, rtol=0, atol=1e-11 * money)


@pytest.mark.parametrize("rows", [None, [[1, 1, 0, 0]], [[1, -1, 0, 0], [0, 0, 1, 1]]])
@pytest.mark.parametrize("budget", [(2.0, 2.0), (0.0, 3.0)])
def test_random_amounts_are_feasible_and_spread(rows, budget) -> None:
    low, high = ([0.0] * len(rows), [0.8] * len(rows)) if rows else (None, None)
    limits = one_world([0, 0, 0.2, 0], [2, 1, 2, 2], budget, rows, low, high)
    amounts = optimum.random_feasible(limits, 4000, np.random.default_rng(1))
    assert_feasible(amounts, repeat(limits, 4000))
    edges = np.stack([amounts.min(0), amounts.max(0)])
    ends = [[optimum.project(sign * 1e6 * unit[None], limits)[0] @ unit for unit in np.eye(4)] for sign in (-1, 1)]
    assert (np.abs(edges - ends) <= 0.1 * np.ptp(ends, axis=0) + 1e-9).all()  # every unit's whole range is visited
    assert_array_equal(amounts, optimum.random_feasible(limits, 4000, np.random.default_rng(1)))


# --- answered curves


@given(st.integers(0, 10**6), st.integers(2, 25), st.booleans())
def test_slopes_are_those_of_pchip(seed, count, rounded) -> None:
    generator = np.random.default_rng(seed)
    levels = np.cumsum(generator.uniform(0.01, 1, (2, 3, count)), axis=-1)
    values = np.cumsum(generator.normal(0, 1, levels.shape), axis=-1)
    values = np.round(values) if rounded else values
    slopes = pchip_slopes(levels, values)
    for i, j in np.ndindex(2, 3):
        expected = PchipInterpolator(levels[i, j], values[i, j])(levels[i, j], 1)
        assert_allclose(slopes[i, j], expected, rtol=1e-9, atol=1e-11)


@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=25)
def test_bounds_of_answered_curves_hold_and_are_reached(seed, with_paid) -> None:
    generator = np.random.default_rng(seed)
    levels = np.cumsum(generator.uniform(0.05, 1, (2, 3, 9)), axis=-1) - 0.05
    kpi, paid = np.cumsum(generator.normal(0, 1, (2, *levels.shape)), axis=-1)
    worth = generator.uniform(0.5, 2, 2)
    evaluate = optimum.pchip_cells(levels, kpi, paid if with_paid else None, worth)
    asked = levels[..., :1] + (levels[..., -1:] - levels[..., :1]) * np.sort(generator.random((2, 3, 7)), axis=-1)
    cells = evaluate(asked)
    for i, j in np.ndindex(2, 3):
        gained = PchipInterpolator(levels[i, j], kpi[i, j])
        spent = PchipInterpolator(levels[i, j], paid[i, j] if with_paid else levels[i, j])
        assert_allclose(cells.value[i, j], worth[i] * gained(asked[i, j]) - spent(asked[i, j]), rtol=1e-9, atol=1e-9)
        for k in range(6):
            dense = np.linspace(asked[i, j, k], asked[i, j, k + 1], 3001)
            slope = worth[i] * gained(dense, 1) - spent(dense, 1)
            size = 1e-9 + np.abs(slope).max() * 1e-9
            assert cells.flattest[i, j, k] - size <= slope.min() and slope.max() <= cells.steepest[i, j, k] + size
            fine = 1e-3 * np.ptp(slope) + np.abs(np.diff(slope)).max() + size
            assert slope.max() >= cells.steepest[i, j, k] - fine and slope.min() <= cells.flattest[i, j, k] + fine


def test_allocation_on_answered_curves_is_the_best_of_a_grid() -> None:
    generator = np.random.default_rng(31)
    levels = np.linspace(0, 1, 21) ** 2 * np.array([3.0, 4.0, 5.0])[:, None]
    limits = one_world(np.zeros(3), [3, 4, 5], (4.0, 4.0))
    for _ in range(5):
        kpi = 3 * levels**2 / (levels**2 + 1) + 0.2 * generator.normal(0, 1, levels.shape)  # noisy, not monotone
        amounts = optimum.allocate(levels, kpi, None, 2.0, limits)
        assert_feasible(amounts[None], limits)
        mesh = lattice(limits, 301)
        reads = [PchipInterpolator(x, y) for x, y in zip(levels, kpi, strict=True)]

        def value(plans, reads=reads):
            return sum(2 * read(plan) - plan for read, plan in zip(reads, plans.T, strict=True))

        assert value(amounts[None])[0] >= value(mesh).max() - 1e-6


@pytest.mark.parametrize("shape", ["zero", "flat", "falling", "noise", "steps", "equal"])
@pytest.mark.parametrize("grouped", [False, True])
def test_any_answer_gives_feasible_amounts_and_the_same_ones(shape, grouped) -> None:
    generator = np.random.default_rng(37)
    levels = np.linspace(0, 1, 21) ** 2 * np.array([1.0, 2, 3, 4])[:, None] * 1e4
    kpi = {
        "zero": levels * 0, "flat": levels * 0 + 7.0, "falling": -levels, "equal": levels**0.5,
        "noise": generator.normal(0, 1e4, levels.shape), "steps": np.where(levels > 5e3, 1e4, 0.0),
    }[shape]  # fmt: skip
    group = ([[1, 1, 0, 0], [0, 1, 1, 1]], [1e3, 0], [4e3, 4e4]) if grouped else ()
    limits = one_world([0, 0, 500, 0], levels[:, -1], (2.2e4, 2.2e4), *group)
    amounts = optimum.allocate(levels, kpi, None, 1.0, limits)
    assert_feasible(amounts[None], limits)
    assert_array_equal(amounts, optimum.allocate(levels, kpi, None, 1.0, limits))
    if shape == "zero" and not grouped:
        assert np.ptp(amounts / checked(limits).upper[0]) < 0.05  # a tie is shared out


@pytest.mark.parametrize(
    ("levels", "kpi", "match"),
    [
        ([[0, 3, 2.0]], [[0, 1, 2.0]], "do not rise"),
        ([[0, 1, 2.0]], [[0, 1.0]], "has shape"),
        ([[0, 1, 2.0]], [[0, np.inf, 2.0]], "kpi of unit 0 in world 0: is not finite at level 1: inf"),
        ([[0, np.nan, 2.0]], [[0, 1.0, 2.0]], "levels of unit 0 in world 0: is not finite at level 1: nan"),
        ([[0, 1, 1.5]], [[0, 1, 2.0]], "levels of unit 0"),
    ],
)
def test_answers_that_are_no_curves_are_refused(levels, kpi, match) -> None:
    with pytest.raises(BadInput, match=match):
        optimum.allocate(levels, kpi, None, 1.0, one_world([0], [2], (0, 2)))


@pytest.mark.parametrize("total", [(0.0, np.inf), (0.0, 4.0), (2.0, 4.0)])
def test_who_brings_nothing_or_does_harm_gets_nothing(total) -> None:
    """Negative returns: zero is possible, for one unit and for all of them."""
    levels = np.linspace(0, 1, 21) ** 2 * np.array([2.0, 3.0, 4.0])[:, None]
    sign = np.array([1.0, 0.0, -1.0])[:, None]
    limits = one_world(np.zeros(3), levels[:, -1], total)
    amounts = optimum.allocate(levels, sign * 4 * levels / (levels + 1), None, 1.0, limits)
    assert amounts[0] > 0.5
    if total[0] <= 1.0:  # 4 a / (1 + a) - a is best at a = 1
        assert_allclose(amounts, [1.0, 0.0, 0.0], atol=5e-3)
        assert_array_equal(amounts[1:], 0.0)
        assert_array_equal(optimum.allocate(levels, -levels, None, 1.0, limits), 0.0)
    else:  # what has to be spent is spent where it does no harm
        assert_allclose(amounts, [2.0, 0.0, 0.0], atol=5e-2)


def test_a_batch_of_worlds_is_each_world_alone(monkeypatch) -> None:
    monkeypatch.setattr(curves, "TOGETHER", 6)  # two worlds a portion
    generator = np.random.default_rng(43)
    levels = np.linspace(0, 1, 21) ** 2 * generator.uniform(1, 4, (6, 3, 1))
    kpi, paid = 4 * levels / (levels + 1), levels * generator.uniform(0.5, 1, (6, 3, 1))
    kpi += generator.normal(0, 0.05, kpi.shape)
    levels[2, 1] = 0.0  # a channel that never spent: nothing to decide
    one = [one_world(np.zeros(3), x[:, -1], (1.5, 1.5), [[1, 1, 0]], [0.2], [1.1]) for x in levels]
    rows = {"groups": one[0].groups}
    together = one[0]._replace(**{
        name: np.concatenate([getattr(c, name) for c in one]) for name in one[0]._fields if name not in rows
    })  # fmt: skip
    worth = generator.uniform(0.8, 1.2, 6)
    amounts = optimum.allocate(levels, kpi, paid, worth, together)
    assert_feasible(amounts, together)
    for world in range(6):
        alone = optimum.allocate(levels[world], kpi[world], paid[world], worth[world], one[world])
        assert_allclose(alone, amounts[world], rtol=1e-9, atol=1e-12)
