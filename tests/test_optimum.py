"""The optimum against brute force, against its own bound, and against other solvers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.interpolate import PchipInterpolator
from scipy.optimize import minimize

from simbench import optimum
from simbench.errors import BadInput
from simbench.optimum import Cells, Constraints, one_world
from simbench.optimum.branch import branch, under_budget
from simbench.optimum.curves import pchip_slopes
from simbench.optimum.feasible import checked, repeat
from simbench.optimum.grid import grid
from simbench.optimum.records import BRANCH, DUAL, GRID, ROWS, STARTS
from simbench.optimum.refine import State, asker
from simbench.optimum.relax import Table, insert, points, relax, upper_line

HILL, EXPONENTIAL, POWER = range(3)


class Media(NamedTuple):
    """A unit's net value: a sum of saturating terms, each [R, U, J], less `cost` a unit of money."""

    kind: np.ndarray
    height: np.ndarray
    half: np.ndarray
    slope: np.ndarray
    cost: float = 1.0
    money: float = 1.0  # amounts and values are multiplied by it


def some(media: Media, rows) -> Media:
    return Media(*(part[rows] for part in media[:4]), *media[4:])


def terms(media: Media, amounts):
    """Value and slope of every term at amounts [R, U, K]: two [R, U, K, J]."""
    kind, height, half, slope = (part[:, :, None, :] for part in media[:4])
    v = amounts[..., None] / media.money / half
    with np.errstate(divide="ignore", invalid="ignore"):
        power, power_slope = v**slope, slope * np.where(slope == 1, 1.0, v ** (slope - 1))
        value = np.select([kind == HILL, kind == POWER], [power / (1 + power), power], -np.expm1(-v))
        tilt = np.select(
            [kind == HILL, kind == POWER], [power_slope / (1 + power) ** 2, power_slope], np.exp(-v)
        )
    return media.money * height * value, height / half * tilt


def curves(media: Media, asked: list | None = None):
    """`evaluate` with slope bounds from each term: largest at the ends or where a Hill curve bends."""
    bends = (media.kind == HILL) & (media.slope > 1)
    s = np.where(bends, media.slope, 2.0)
    turn = ((s - 1) / (s + 1)) ** (1 / s)
    top = media.height / media.half * s * turn ** (s - 1) / (1 + turn**s) ** 2
    turn, top, bends = ((x[:, :, None, :]) for x in (turn * media.half * media.money, top, bends))

    def evaluate(levels):
        if asked is not None:
            asked.append(levels.shape)
        value, tilt = terms(media, levels)
        left, right = tilt[:, :, :-1], tilt[:, :, 1:]
        over = bends & (levels[:, :, :-1, None] <= turn) & (levels[:, :, 1:, None] >= turn)
        steepest = np.where(over, np.maximum(top, np.maximum(left, right)), np.maximum(left, right)).sum(-1)
        flattest = np.minimum(left, right).sum(-1)
        cost = media.cost
        return Cells(value.sum(-1) - cost * levels, tilt.sum(-1) - cost, steepest - cost, flattest - cost)

    return evaluate


def net(media: Media, amounts, world: int = 0):
    """Net value [B] of amounts [B, U] in one world."""
    value, _ = terms(some(media, [world]), np.asarray(amounts).T[None])
    return value.sum((0, 1, 3)) - media.cost * np.sum(amounts, axis=1)


def random_media(generator, shape, low=0.3, high=4.0, kinds=3, cost=1.0) -> Media:
    return Media(
        generator.integers(0, kinds, (*shape[:2], 1)) + np.zeros(shape, int),
        generator.lognormal(0.5, 0.6, shape) / shape[2],
        generator.lognormal(0.0, 0.5, shape),
        generator.uniform(low, np.where(generator.random((*shape[:2], 1)) < 0.5, high, max(low, 1.0)), shape),
        cost,
    )


def plain(lower, upper, budget) -> Constraints:
    """Constraints of R worlds without rows."""
    lower, upper, budget = (np.asarray(x, float) for x in (lower, upper, budget))
    none = np.zeros((len(lower), 0))
    return Constraints(lower, upper, budget, np.zeros((0, lower.shape[1])), none, none)


def lattice(constraints: Constraints, count: int):
    """All amounts on a grid of a small world that meet its constraints; an exact budget is spent by the last unit."""
    (low, high, (least, most)) = (part[0] for part in constraints[:3])
    axes = [np.linspace(a, b, count) for a, b in zip(low, high, strict=True)]
    exact = least == most
    mesh = np.stack(np.meshgrid(*axes[: len(axes) - exact], indexing="ij"), axis=-1).reshape(
        -1, len(axes) - exact
    )
    if exact:
        mesh = np.concatenate([mesh, most - mesh.sum(1, keepdims=True)], axis=1)
    total, rows = mesh.sum(1), mesh @ constraints.groups.T
    keep = (total >= least - 1e-12) & (total <= most + 1e-12) & (mesh >= low).all(1) & (mesh <= high).all(1)
    keep &= ((rows >= constraints.group_low[0]) & (rows <= constraints.group_high[0])).all(1)
    return mesh[keep]


def assert_feasible(amounts, constraints: Constraints) -> None:
    c, size = constraints, np.abs(constraints.upper).max()
    assert (amounts >= c.lower).all() and (amounts <= c.upper).all()
    total, rows = amounts.sum(1), amounts @ c.groups.T
    assert (total >= c.budget[:, 0] - 1e-12 * size).all() and (total <= c.budget[:, 1] + 1e-12 * size).all()
    assert (rows >= c.group_low - 1e-11 * size).all() and (rows <= c.group_high + 1e-11 * size).all()


def assert_sound(solution, media, constraints, generator, count=2000, tolerance=1e-6) -> None:
    """Feasible, worth what it says, below its bound, certified only if close, and nothing feasible beats the bound."""
    assert_feasible(solution.amounts, constraints)
    first = np.linspace(0, 1, 400)[:, None] ** 2
    fine = checked(constraints)
    for world in range(len(solution.value)):
        value, bound = solution.value[world], solution.upper_bound[world]
        assert_allclose(
            value, net(media, solution.amounts[[world]], world)[0], rtol=1e-12, atol=1e-12 * media.money
        )
        assert bound >= value
        low, high = fine.lower[world], fine.upper[world]
        along = terms(some(media, [world]), (low + first * (high - low)).T[None])[0].sum((0, 3))
        along = along - media.cost * (low + first * (high - low)).T
        if solution.certified[world]:
            assert bound - value <= 1.01 * tolerance * np.ptp(along, axis=1).max() + 1e-12 * media.money
        tried = optimum.random_feasible(optimum.take(constraints, [world]), count, generator)
        assert net(media, tried, world).max() <= bound + 1e-12 * (abs(bound) + media.money)


# --- brute force


@pytest.mark.parametrize("budget", [(3.0, 3.0), (0.0, 3.0), (0.0, np.inf), (5.0, 6.0)])
@pytest.mark.parametrize("units", [2, 3])
def test_small_worlds_against_a_dense_grid(units, budget) -> None:
    generator = np.random.default_rng(units)
    media = random_media(generator, (12, units, 3))
    wide = plain(np.zeros((12, units)), np.full((12, units), 4.0), [budget] * 12)
    solution = optimum.separable(curves(media), wide)
    assert solution.certified.all()
    assert_sound(solution, media, wide, generator)
    mesh = lattice(optimum.take(wide, [0]), 401 if units == 2 else 49)
    for world in range(12):
        best = net(media, mesh, world).max()
        assert solution.value[world] >= best - 1e-6 * abs(best)
        assert solution.upper_bound[world] >= best


def test_local_search_from_an_equal_split_is_off_and_this_is_not() -> None:
    """An S-shaped unit needs most of the money at once; from an equal split every small step leads away."""
    kind = np.array([[[EXPONENTIAL], [EXPONENTIAL], [HILL]]])
    half, height = np.array([[[1.0], [1.0], [2.5]]]), np.array([[[2.0], [2.0], [6.0]]])
    media = Media(kind, height, half, np.full((1, 3, 1), 4.0))
    limits = one_world(np.zeros(3), np.full(3, 6.0), (3.0, 3.0))
    found = minimize(
        lambda a: -net(media, a[None])[0], np.ones(3), method="SLSQP", bounds=[(0, 6)] * 3,
        constraints={"type": "eq", "fun": lambda a: a.sum() - 3.0},
    )  # fmt: skip
    solution = optimum.separable(curves(media), limits)
    best = net(media, lattice(limits, 1201)).max()
    gross = solution.value[0] + 3.0
    assert found.success and -found.fun + 3.0 < 0.8 * gross
    assert solution.certified[0]
    assert best <= solution.value[0] <= best + 1e-4 * gross


@pytest.mark.parametrize("sign", [1, -1])
def test_branching_and_grid_each_close_a_gap(sign) -> None:
    """Also mirrored, where money has to be spent and the price is negative."""
    generator = np.random.default_rng(11)
    for _ in range(6):
        media = random_media(generator, (1, 3, 1), 2.5, 4.0, kinds=1, cost=0.2 if sign > 0 else 3.0)
        limits = one_world(np.zeros(3), np.full(3, 4.0), (0.0, 2.5) if sign > 0 else (4.0, 12.0))
        fine, ask = checked(limits), asker(curves(media), None, limits.lower, np.zeros(1, int))
        levels = np.tile(np.linspace(0, 1, 33) ** 2, (1, 3, 1)) * fine.upper[..., None]
        state = State(Table(levels, ask(levels)), fine.lower, np.full(1, -np.inf))
        best = net(media, lattice(limits, 65)).max()
        plain_bound = relax(*points(state.table), fine.lower, fine.upper, fine.budget).bound[0]
        for found, bound in (
            branch(ask, state, fine, 1e-7, *under_budget(fine), 400, 16),
            grid(ask, state, fine, 1e-7, size=400),
        ):
            assert best <= bound + 1e-12 and bound <= plain_bound + 1e-12
            assert found.value[0] >= best - 1e-6
            assert_allclose(net(media, found.amounts)[0], found.value[0], rtol=1e-12)
            assert_feasible(found.amounts, limits)
            assert bound - found.value[0] <= 0.01 * np.ptp(state.table.cells.value)


def test_equal_units_are_a_tie_that_branching_alone_cannot_break() -> None:
    """k of 20 equal units share the money equally: the best k is known."""
    shape = (1, 20, 1)
    media = Media(np.zeros(shape, int), np.full(shape, 3.0), np.ones(shape), np.full(shape, 3.0))
    solution = optimum.separable(curves(media), one_world(np.zeros(20), np.full(20, 4.0), (7.4, 7.4)))
    shared = max(net(media, [[7.4 / k] * k + [0.0] * (20 - k)])[0] for k in range(2, 21))
    assert solution.method[0] == GRID and solution.certified[0]
    assert_allclose(solution.value[0], shared, rtol=1e-9)


# --- properties


@given(st.integers(0, 10**6), st.integers(1, 6), st.sampled_from(["exact", "between", "free", "must spend"]))
@settings(max_examples=40)
def test_random_sums_of_curves(seed, units, budget) -> None:
    generator = np.random.default_rng(seed)
    media = random_media(generator, (3, units, generator.integers(1, 5)))
    upper = generator.uniform(0.5, 6.0, (3, units)) * (
        generator.random((3, units)) > 0.15
    )  # some may not spend
    lower = upper * np.where(generator.random((3, units)) < 0.3, generator.uniform(0, 1, (3, units)), 0.0)
    lower = np.where(generator.random((3, units)) < 0.1, upper, lower)  # some have no choice
    share = np.sort(generator.random((3, 2)), axis=1)
    total = lower.sum(1, keepdims=True) + share * (upper - lower).sum(1, keepdims=True)
    ends = {"exact": total[:, [0, 0]], "between": total, "free": total * 0 + [0, np.inf]}
    must = np.stack([upper.sum(1) * 0.9 + 0.1 * lower.sum(1), np.full(3, np.inf)], axis=1)
    limits = plain(lower, upper, ends.get(budget, must))
    solution = optimum.separable(curves(media), limits, select=lambda rows: curves(some(media, rows)))
    assert_sound(solution, media, limits, generator)
    assert solution.certified.all()


def test_a_hundred_thousand_random_plans_stay_below_the_bound() -> None:
    generator = np.random.default_rng(3)
    media = random_media(generator, (1, 5, 4))
    limits = one_world(np.zeros(5), np.full(5, 4.0), (0.0, 5.0))
    solution = optimum.separable(curves(media), limits)
    assert_sound(solution, media, limits, generator, count=100_000)


def test_concave_worlds_need_few_levels() -> None:
    generator = np.random.default_rng(5)
    media = random_media(generator, (64, 5, 8), 0.3, 1.0)
    total = generator.uniform(1, 8, (64, 1)) * [1, 1]
    asked: list = []
    solution = optimum.separable(
        curves(media, asked), plain(np.zeros((64, 5)), np.full((64, 5), 9.0), total), 1e-8
    )
    assert solution.certified.all() and (solution.method == DUAL).all()
    assert (solution.upper_bound - solution.value <= 1e-7 * np.abs(solution.value)).all()
    assert len(asked) <= 4 and sum(shape[-1] for shape in asked) <= 100
    slope = terms(media, solution.amounts[..., None])[1].sum(-1)[..., 0]
    inner = (solution.amounts > 1e-9) & (solution.amounts < 9.0 - 1e-9)
    spread = np.where(inner, slope, -np.inf).max(1) - np.where(inner, slope, np.inf).min(1)
    assert spread[inner.any(1)].max() < 1e-2  # at the optimum all free units have one slope


def test_nearly_all_worlds_are_certified_and_company_does_not_matter() -> None:
    generator = np.random.default_rng(7)
    media = random_media(generator, (96, 5, 2), 1.2, 4.0, kinds=1)
    total = generator.uniform(0.5, 8, (96, 1)) * [1, 1]
    limits = plain(np.zeros((96, 5)), np.full((96, 5), 6.0), total)
    together = optimum.separable(curves(media), limits, select=lambda rows: curves(some(media, rows)))
    assert together.certified.all() and (together.method == BRANCH).sum() > 10
    padded = optimum.separable(curves(some(media, range(8))), optimum.take(limits, range(8)))
    assert_allclose(padded.value, together.value[:8], rtol=1e-12)
    for world in (0, 50):
        alone = optimum.separable(curves(some(media, [world])), optimum.take(limits, [world]))
        assert_allclose(alone.amounts[0], together.amounts[world], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("money", [1e-3, 1e6])
def test_currency_does_not_matter(money) -> None:
    generator = np.random.default_rng(9)
    media = random_media(generator, (10, 4, 2))
    groups, low, high = np.array([[1.0, 1, 0, 0]]), np.full((10, 1), 0.5), np.full((10, 1), 1.2)
    limits = Constraints(
        np.zeros((10, 4)), np.full((10, 4), 5.0), np.tile([0.0, 3.0], (10, 1)), groups, low, high
    )
    scaled = limits._replace(**{
        name: getattr(limits, name) * money for name in ("lower", "upper", "budget", "group_low", "group_high")
    })  # fmt: skip
    one = optimum.separable(curves(media), limits)
    other = optimum.separable(curves(media._replace(money=money)), scaled)
    assert one.certified.all() and other.certified.all()
    assert_allclose(other.value, one.value * money, rtol=1e-7)
    assert (ROWS == one.method).any()


def test_a_bound_is_never_called_proof_when_it_is_not() -> None:
    generator = np.random.default_rng(13)
    shape = (1, 12, 1)
    media = Media(np.zeros(shape, int), np.full(shape, 3.0), np.ones(shape), np.full(shape, 3.0))
    limits = one_world(np.zeros(12), np.full(12, 4.0), (4.4, 4.4))
    hasty = optimum.separable(curves(media), limits, rounds=1, boxes=1, tolerance=1e-12)
    assert not hasty.certified[0] and hasty.upper_bound[0] > hasty.value[0]
    assert_sound(hasty, media, limits, generator)


def test_upper_lines_hold_everywhere_also_after_refinement() -> None:
    generator = np.random.default_rng(17)
    media = random_media(generator, (20, 2, 3))
    levels = np.sort(generator.uniform(0, 5, (20, 2, 9)), axis=-1)
    levels[..., 0], levels[..., -1] = 0.0, 5.0
    table = Table(levels, curves(media)(levels))
    more = np.sort(generator.uniform(0, 5, (20, 2, 6)), axis=-1)
    more[..., 0] = levels[..., 3]  # asking a level again does no harm
    more.sort(axis=-1)
    finer = insert(table, more, curves(media)(more))
    assert (np.diff(finer.levels) >= 0).all()
    for place in np.linspace(0, 5, 400):
        at = np.full((20, 2), place)
        truth = terms(media, at[..., None])[0].sum((2, 3)) - at
        assert (upper_line(finer, at) >= truth - 1e-12).all()
        assert (upper_line(table, at) >= upper_line(finer, at) - 1e-12).all()


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        (lambda c: c._replace(value=c.value * np.nan), "not finite"),
        (lambda c: c._replace(steepest=c.steepest + np.inf, flattest=c.flattest - np.inf), "neither side"),
    ],
)
def test_curves_without_numbers_or_bounds_are_refused(fault, match) -> None:
    media = random_media(np.random.default_rng(1), (1, 2, 1))
    with pytest.raises(BadInput, match=match):
        optimum.separable(lambda levels: fault(curves(media)(levels)), one_world([0, 0], [1, 1], (1, 1)))


# --- linear rows


@pytest.mark.parametrize("budget", [(3.0, 3.0), (0.0, 3.0), (4.0, 9.0)])
def test_rows_against_a_dense_grid(budget) -> None:
    generator = np.random.default_rng(23)
    for _ in range(6):
        media = random_media(generator, (1, 3, 2))
        rows = np.array([[1.0, 1, 0], [0, 1, -0.5]])
        limits = one_world(np.zeros(3), np.full(3, 4.0), budget, rows, [0.4, -0.5], [2.0, 0.7])
        solution = optimum.separable(curves(media), limits)
        best = net(media, lattice(limits, 161 if budget[0] == budget[1] else 65)).max()
        assert solution.certified[0]
        assert solution.value[0] >= best - 1e-6 * abs(best)
        assert_sound(solution, media, limits, generator, count=5000)


def test_rows_that_do_not_bind_change_nothing() -> None:
    media = random_media(np.random.default_rng(29), (1, 4, 2))
    free = optimum.separable(curves(media), one_world(np.zeros(4), np.full(4, 3.0), (5.0, 5.0)))
    bound = one_world(np.zeros(4), np.full(4, 3.0), (5.0, 5.0), np.ones((1, 4)), [0.0], [20.0])
    assert_array_equal(optimum.separable(curves(media), bound).amounts, free.amounts)


# --- the feasible set


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (one_world([2, 0], [1, 1], (0, 9)), "unit 0: the lower bound 2 is above the upper bound 1"),
        (one_world([0, 0], [1, 1], (5, 4)), "the lowest budget 5 is above the highest budget 4"),
        (one_world([2, 3], [9, 9], (0, 4)), "the lower bounds add up to 5, above the highest budget 4"),
        (one_world([0, 0], [1, 2], (4, 9)), "the upper bounds add up to 3, below the lowest budget 4"),
        (one_world([0, 0], [1, 2], (0, 9), [[1, 0]], [2], [1]), "group 0: the lower bound 2 is above the upper bound 1"),
        (one_world([0, 0], [1, 2], (0, 9), [[1, 0]], [1.5], [9]), "group 0 must reach 1.5; bounds and budget allow at most 1"),
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
    limits = one_world(
        np.zeros(3), money * np.ones(3), [2 * money] * 2, rows, [0, money], np.array([1.0, 1.5]) * money
    )
    assert optimum.infeasible(limits) is None
    assert optimum.infeasible(one_world([1, 2], [1, 2], (3, 3))) is None


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
    ends = [
        [optimum.project(sign * 1e6 * unit[None], limits)[0] @ unit for unit in np.eye(4)] for sign in (-1, 1)
    ]
    assert (
        np.abs(edges - ends) <= 0.1 * np.ptp(ends, axis=0) + 1e-9
    ).all()  # every unit's whole range is visited
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
    asked = levels[..., :1] + (levels[..., -1:] - levels[..., :1]) * np.sort(
        generator.random((2, 3, 7)), axis=-1
    )
    cells = evaluate(asked)
    for i, j in np.ndindex(2, 3):
        gained = PchipInterpolator(levels[i, j], kpi[i, j])
        spent = PchipInterpolator(levels[i, j], paid[i, j] if with_paid else levels[i, j])
        assert_allclose(
            cells.value[i, j], worth[i] * gained(asked[i, j]) - spent(asked[i, j]), rtol=1e-9, atol=1e-9
        )
        for k in range(6):
            dense = np.linspace(asked[i, j, k], asked[i, j, k + 1], 3001)
            slope = worth[i] * gained(dense, 1) - spent(dense, 1)
            size = 1e-9 + np.abs(slope).max() * 1e-9
            assert (
                cells.flattest[i, j, k] - size <= slope.min()
                and slope.max() <= cells.steepest[i, j, k] + size
            )
            fine = 1e-3 * np.ptp(slope) + np.abs(np.diff(slope)).max() + size
            assert (
                slope.max() >= cells.steepest[i, j, k] - fine
                and slope.min() <= cells.flattest[i, j, k] + fine
            )


def test_allocation_on_answered_curves_is_the_best_of_a_grid() -> None:
    generator = np.random.default_rng(31)
    levels = np.linspace(0, 1, 21) ** 2 * np.array([3.0, 4.0, 5.0])[:, None]
    limits = one_world(np.zeros(3), [3, 4, 5], (4.0, 4.0))
    for _ in range(5):
        kpi = 3 * levels**2 / (levels**2 + 1) + 0.2 * generator.normal(
            0, 1, levels.shape
        )  # noisy, not monotone
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
        "zero": levels * 0, "flat": levels * 0 + 7.0, "falling": -levels, "noise": generator.normal(0, 1e4, levels.shape),
        "steps": np.where(levels > 5e3, 1e4, 0.0), "equal": levels**0.5,
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
        ([[0, 2, 1.0]], [[0, 1, 2.0]], "do not rise"),
        ([[0, 1, 2.0]], [[0, 1.0]], "has shape"),
        ([[0, 1, 2.0]], [[0, np.inf, 2.0]], "not finite"),
        ([[0, 1, 1.5]], [[0, 1, 2.0]], "levels of unit 0"),
    ],
)
def test_answers_that_are_no_curves_are_refused(levels, kpi, match) -> None:
    with pytest.raises(BadInput, match=match):
        optimum.allocate(levels, kpi, None, 1.0, one_world([0], [2], (0, 2)))


# --- worlds that are no sum of curves


def synergy(amounts):
    """Value and gradient [B], [B, U] of three units, the first of which multiplies the others."""
    a, b, c = np.moveaxis(np.asarray(amounts, float), -1, 0)
    helped, other = 2 * b**2 / (1 + b**2), 1.5 * c / (1 + c)
    lift = 1 + 0.8 * a / (1 + a)
    slopes = [
        0.8 / (1 + a) ** 2 * (helped + other),
        lift * 4 * b / (1 + b**2) ** 2,
        lift * 1.5 / (1 + c) ** 2,
    ]
    return lift * (helped + other) - a - b - c, np.stack(slopes, axis=-1) - 1.0


@pytest.mark.parametrize("rows", [None, [[1.0, 1.0, 0.0]]])
def test_interacting_units_against_a_dense_grid(rows) -> None:
    limits = one_world(np.zeros(3), np.full(3, 4.0), (0.0, 3.0), rows, rows and [0.2], rows and [1.5])
    mesh = lattice(limits, 81)
    best = synergy(mesh)[0].max()
    climb = lambda a: (float(synergy(a)[0]), synergy(a)[1])  # noqa: E731
    found = optimum.general(
        climb, limits, [[3.0, 0, 0]], np.inf, lambda a: synergy(a)[0], np.random.default_rng(1)
    )
    assert_feasible(found.amounts, limits)
    assert best <= found.value[0] <= best + 0.01 and not found.certified[0] and found.method[0] == STARTS
    proven = optimum.general(climb, limits, np.zeros((0, 3)), found.value[0], None, np.random.default_rng(1))
    assert_allclose(proven.value, found.value, rtol=1e-7)
    assert proven.certified[0] and proven.upper_bound[0] >= proven.value[0]
    with pytest.raises(BadInput, match="upper_bound"):
        optimum.general(climb, limits, [[1.0, 1, 1]], best - 0.1, None, np.random.default_rng(1))


def test_starts_find_what_the_certified_search_finds() -> None:
    media = random_media(np.random.default_rng(41), (1, 4, 2), 1.5, 3.5, kinds=1)
    limits = one_world(np.zeros(4), np.full(4, 4.0), (3.0, 3.0))
    proven = optimum.separable(curves(media), limits)

    def climb(amounts):
        value, slope = terms(media, amounts[None, :, None])
        return float(value.sum() - amounts.sum()), slope.sum((0, 2, 3)) - 1.0

    found = optimum.general(
        climb,
        limits,
        np.full((1, 4), 0.75),
        proven.upper_bound[0],
        lambda a: net(media, a),
        np.random.default_rng(2),
    )
    assert found.certified[0]
    assert_allclose(found.value, proven.value, rtol=1e-6)
