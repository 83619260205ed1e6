"""The optimum against brute force, against its own bound, and against other solvers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from optimum_media import (
    EXPONENTIAL,
    HILL,
    Media,
    assert_feasible,
    assert_sound,
    curves,
    lattice,
    net,
    plain,
    random_media,
    some,
    terms,
)  # fmt: skip
from scipy.optimize import minimize

from simbench import optimum
from simbench.errors import BadInput
from simbench.optimum import Constraints, one_world
from simbench.optimum.branch import branch, polish_under_budget, relax_under_budget
from simbench.optimum.feasible import checked
from simbench.optimum.grid import grid, knapsack
from simbench.optimum.records import BRANCH, DUAL, GRID, ROWS, STARTS
from simbench.optimum.refine import State, asker, refine
from simbench.optimum.relax import Table, insert, points, relax, upper_line
from simbench.optimum.rows import under_rows
from simbench.optimum.starts import climb

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
        under_budget = relax_under_budget, polish_under_budget
        (branched,), bounds = branch(lambda _, ask=ask: ask, state, fine, np.full(1, 1e-7), *under_budget, 400, 16)
        for found, bound in ((branched, bounds[0]), grid(ask, state, fine, 1e-7, size=400)):
            assert max(best, found.value[0]) <= bound + 1e-9 and bound <= plain_bound + 1e-12
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


@pytest.mark.parametrize(("units", "total"), [(21, 7.4), (21, 7.9), (18, 6.1), (20, 9.3)])
def test_ties_between_nearly_as_good_numbers_of_units_are_settled(units, total) -> None:
    """Seven units are almost as good as eight: a grid whose cells give away a unit's share does not tell."""
    shape = (1, units, 1)
    media = Media(np.zeros(shape, int), np.full(shape, 3.0), np.ones(shape), np.full(shape, 3.0))
    solution = optimum.separable(curves(media), one_world(np.zeros(units), np.full(units, 4.0), (total, total)))
    shared = max(net(media, [[total / k] * k + [0.0] * (units - k)])[0] for k in range(3, units + 1))
    assert solution.certified[0]
    assert_allclose(solution.value[0], shared, rtol=1e-9)


@pytest.mark.parametrize("total", [1.0, 5.0, 19.0])
@given(st.integers(0, 1_000), st.floats(-3.0, 3.0), st.booleans())
@settings(max_examples=20, deadline=None)
def test_an_expected_price_saves_steps_and_changes_no_bound(total, seed, factor, known) -> None:
    """The dual's least value over prices, by a plain scan: whatever price the search begins at."""
    generator = np.random.default_rng(seed)
    media = random_media(generator, (2, 5, 1), 1.5, 4.0)
    lower, upper, budget = np.zeros((2, 5)), np.full((2, 5), 4.0), np.full((2, 2), total)
    levels = np.tile(np.linspace(0, 4, 33), (2, 5, 1))
    amount, worth = points(Table(levels, curves(media)(levels)))
    plain = relax(amount, worth, lower, upper, budget)
    found = relax(amount, worth, lower, upper, budget, factor * (plain.price if known else np.ones(2)))
    assert_allclose(found.bound, plain.bound, rtol=1e-11)
    prices = np.concatenate([np.linspace(-5, 5, 2001), [plain.price[0], found.price[0]]])
    dual = (worth[0] - prices[:, None, None] * amount[0]).max(-1).sum(1) + prices * total
    assert_allclose(dual.min(), plain.bound[0], rtol=1e-9)
    for one in (plain, found):
        assert_allclose(one.mixture.sum(1), total, rtol=1e-9)


@pytest.mark.parametrize("rows", [None, [[1.0, -1.0, 0.5]]])
def test_the_bound_of_a_narrow_box_is_close_and_above(rows) -> None:
    generator = np.random.default_rng(47)
    media = random_media(generator, (1, 3, 2), 1.5, 4.0)
    limits = checked(one_world(np.zeros(3), np.full(3, 4.0), (2.0, 5.0), rows, rows and [-3.0], rows and [3.0]))
    levels = np.tile(np.linspace(0, 4, 401), (1, 3, 1))
    table = Table(levels, curves(media)(levels))
    relaxer = under_rows(limits, 1.0)[0] if rows else relax_under_budget
    inside = optimum.random_feasible(limits, 40, generator)
    cell = np.clip((inside * 100).astype(int), 0, 398)
    row = np.zeros(len(cell), int)
    near = generator.normal(size=len(cell))
    found = relaxer(table, limits, row, levels[0, 0, cell], levels[0, 0, cell + 2], near)
    steep = np.maximum(np.abs(table.cells.steepest), np.abs(table.cells.flattest))[0]
    across = 0.02 * np.maximum(steep[np.arange(3), cell], steep[np.arange(3), cell + 1]).sum(1)
    assert (net(media, inside) <= found.bound + 1e-12).all()
    assert (found.bound <= net(media, inside) + across).all()
    tiny = relaxer(table, limits, row, levels[0, 0, cell], levels[0, 0, cell], near)  # a single point: the curve itself
    fits = np.isfinite(tiny.bound)
    assert fits.any()
    assert_allclose(tiny.bound[fits], net(media, levels[0, 0, cell][fits]), rtol=1e-9, atol=1e-9)


def test_the_knapsack_is_the_best_of_all_combinations() -> None:
    generator = np.random.default_rng(53)
    for _ in range(30):
        edges = np.tile(np.arange(7.0), (3, 1))
        place = np.sort(generator.integers(0, 13, (3, 5)) / 2.0, axis=1)  # half of them on an edge
        gain = generator.normal(0, 1, (3, 5))
        reward = np.where(generator.random(7) < 0.3, np.nan, generator.normal(0, 1, 7))
        reward[6] = 0.0
        cells = [[{min(int(x), 6), max(int(np.ceil(x)) - 1, 0)} for x in row] for row in place]
        totals = [
            gain[0, i] + gain[1, j] + gain[2, k] + reward[sum(used)]
            for i, j, k in np.ndindex(5, 5, 5)
            for used in product(cells[0][i], cells[1][j], cells[2][k])
            if sum(used) <= 6
        ]
        if np.isfinite(totals).any():
            best, chosen = knapsack(place, gain, edges, reward)
            assert_allclose(best, np.nanmax(totals))
            assert all(np.isin(chosen[:, unit], place[unit]).all() for unit in range(3))


def test_a_coarse_tolerance_gives_a_coarse_bound_that_holds() -> None:
    generator = np.random.default_rng(59)
    media = random_media(generator, (40, 4, 1), 2.0, 4.0, kinds=1)
    limits = plain(np.zeros((40, 4)), np.full((40, 4), 5.0), generator.uniform(1, 6, (40, 1)) * [1, 1])
    fine = optimum.separable(curves(media), limits, tolerance=1e-9)
    for tolerance in (0.2, 0.02, 1e-4):
        coarse = optimum.separable(curves(media), limits, tolerance=tolerance)
        assert coarse.certified.all() and (coarse.upper_bound >= fine.value - 1e-12).all()
        assert (coarse.value <= fine.upper_bound + 1e-12).all()


def test_a_worse_candidate_is_not_kept() -> None:
    media = random_media(np.random.default_rng(61), (1, 2, 1))
    levels = np.tile(np.linspace(0, 2, 9), (1, 2, 1))
    state = State(Table(levels, curves(media)(levels)), np.ones((1, 2)), np.full(1, 100.0))
    after = refine(curves(media), state, np.full((1, 2, 1), 0.3), np.full((1, 2, 1), 0.7))
    assert after.value[0] == 100.0 and (after.amounts == 1.0).all()
    assert after.table.levels.shape == (1, 2, 11)


# --- properties


@given(st.integers(0, 10**6), st.integers(1, 6), st.sampled_from(["exact", "between", "free", "must spend"]))
@settings(max_examples=40)
def test_random_sums_of_curves(seed, units, budget) -> None:
    generator = np.random.default_rng(seed)
    media = random_media(generator, (3, units, generator.integers(1, 5)))
    upper = generator.uniform(0.5, 6.0, (3, units)) * (generator.random((3, units)) > 0.15)  # some may not spend
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
    solution = optimum.separable(curves(media, asked), plain(np.zeros((64, 5)), np.full((64, 5), 9.0), total), 1e-8)
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
    assert_array_equal(padded.method, together.method[:8])
    for world in range(0, 96, 3):  # branched side by side or alone: the same boxes, the same amounts, the same bound
        alone = optimum.separable(curves(some(media, [world])), optimum.take(limits, [world]))
        assert alone.method[0] == together.method[world]
        assert_allclose(alone.amounts[0], together.amounts[world], rtol=1e-9, atol=1e-9)
        assert_allclose(alone.upper_bound[0], together.upper_bound[world], rtol=1e-12)


@pytest.mark.parametrize("money", [1e-3, 1e6])
def test_currency_does_not_matter(money) -> None:
    generator = np.random.default_rng(9)
    media = random_media(generator, (10, 4, 2))
    groups, low, high = np.array([[1.0, 1, 0, 0]]), np.full((10, 1), 0.5), np.full((10, 1), 1.2)
    limits = Constraints(np.zeros((10, 4)), np.full((10, 4), 5.0), np.tile([0.0, 3.0], (10, 1)), groups, low, high)
    scaled = Constraints(*(part * money for part in limits))._replace(groups=groups)
    one = optimum.separable(curves(media), limits)
    other = optimum.separable(curves(media._replace(money=money)), scaled)
    assert one.certified.all() and other.certified.all()
    assert_allclose(other.value, one.value * money, rtol=1e-7)
    assert ROWS in one.method


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


@pytest.mark.parametrize(("narrower", "match"), [(0.5, "leaves its slope bounds"), (0.1, "slope bounds")])
def test_slope_bounds_that_do_not_hold_are_found_out(narrower, match) -> None:
    """Bounds far too narrow clash with the curve at once, subtler ones with a value found later."""
    media = random_media(np.random.default_rng(67), (20, 3, 1), 2.0, 4.0, kinds=1)

    def evaluate(levels):
        cells = curves(media)(levels)
        cut = narrower * (cells.steepest - cells.flattest)
        return cells._replace(steepest=cells.steepest - cut, flattest=cells.flattest + cut)

    with pytest.raises(BadInput, match=match):
        optimum.separable(evaluate, plain(np.zeros((20, 3)), np.full((20, 3), 4.0), [(0.0, 5.3)] * 20))


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
    ascent = lambda a: (float(synergy(a)[0]), synergy(a)[1])  # noqa: E731
    found = optimum.general(ascent, limits, [[3.0, 0, 0]], np.inf, lambda a: synergy(a)[0], np.random.default_rng(1))
    assert_feasible(found.amounts, limits)
    assert best <= found.value[0] <= best + 0.01 and not found.certified[0] and found.method[0] == STARTS
    proven = optimum.general(ascent, limits, np.zeros((0, 3)), found.value[0], None, np.random.default_rng(1))
    assert_allclose(proven.value, found.value, rtol=1e-7)
    assert proven.certified[0] and proven.upper_bound[0] >= proven.value[0]
    with pytest.raises(BadInput, match="upper_bound"):
        optimum.general(ascent, limits, [[1.0, 1, 1]], best - 0.1, None, np.random.default_rng(1))


@pytest.mark.parametrize("budget", [(3.0, 3.0), (0.0, np.inf), (1.0, 2.5), (9.0, np.inf)])
def test_climbing_side_by_side_is_climbing_alone(budget) -> None:
    """Concave curves have one top: SLSQP finds it from every start, one by one; and company changes nothing."""
    generator = np.random.default_rng(71)
    media = random_media(generator, (24, 5, 3), 0.3, 1.0)
    media = media._replace(kind=np.where(media.kind == HILL, EXPONENTIAL, media.kind), slope=np.full((24, 5, 3), 0.8))
    lower = np.where(generator.random((24, 5)) < 0.8, 0.05, 0.3)
    limits = plain(lower, np.where(generator.random((24, 5)) < 0.1, lower, 4.0), [budget] * 24)
    starts = np.stack([optimum.random_feasible(optimum.take(limits, [i]), 1, generator)[0] for i in range(24)])

    def slopes(rows, amounts):
        value, slope = terms(some(media, rows), amounts[..., None])
        return value.sum((1, 2, 3)) - amounts.sum(1), slope.sum((2, 3)) - 1.0

    amounts, value, curvature = optimum.ascend(slopes, starts, limits, np.ones(24), 1e-10)
    assert_feasible(amounts, limits)
    assert_allclose(value, slopes(np.arange(24), amounts)[0], rtol=1e-12)
    assert (value >= slopes(np.arange(24), starts)[0]).all()
    for i in range(24):
        own = optimum.take(limits, [i])
        top = climb(lambda a, i=i: tuple(x[0] for x in slopes([i], a[None])), starts[i], own, 1.0)
        assert value[i] == pytest.approx(slopes([i], top[None])[0][0], abs=1e-7)
        alone, *_ = optimum.ascend(lambda _, a, i=i: slopes([i] * len(a), a), starts[[i]], own, np.ones(1), 1e-10)
        assert_allclose(alone[0], amounts[i], rtol=1e-9, atol=1e-9)

    def dearer(rows, amounts):
        value, slope = slopes(rows, amounts)
        return value - 0.1 * amounts.sum(1), slope - 0.1

    again = [optimum.ascend(dearer, amounts, limits, np.ones(24), 1e-10, curvature=c)[1] for c in (curvature, None)]
    assert_allclose(*again, rtol=1e-8)  # what was learned of much the same values changes the way, not the top
    with pytest.raises(BadInput, match="not finite"):
        optimum.ascend(lambda _, a: (a[:, 0] * np.nan, a), starts, limits, np.ones(24))


def test_starts_find_what_the_certified_search_finds() -> None:
    media = random_media(np.random.default_rng(41), (1, 4, 2), 1.5, 3.5, kinds=1)
    limits = one_world(np.zeros(4), np.full(4, 4.0), (3.0, 3.0))
    proven = optimum.separable(curves(media), limits)

    def ascent(amounts):
        value, slope = terms(media, amounts[None, :, None])
        return float(value.sum() - amounts.sum()), slope.sum((0, 2, 3)) - 1.0

    found = optimum.general(
        ascent,
        limits,
        np.full((1, 4), 0.75),
        proven.upper_bound[0],
        lambda a: net(media, a),
        np.random.default_rng(2),
    )
    assert found.certified[0]
    assert_allclose(found.value, proven.value, rtol=1e-6)
