"""Values that are no sum of curves: the bound against random search and SLSQP, the climb against a grid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from simbench import optimum
from simbench.errors import BadInput
from simbench.optimum import Constraints, Smooth, one_world
from simbench.optimum.feasible import checked, holds, matrix
from simbench.optimum.joint import climb, tangent_gap
from simbench.optimum.records import TANGENT

MONEY = 1000.0


def smooth_of(values, model) -> Smooth:
    """A value whose model is written for one point."""
    return Smooth(values, lambda amounts: tuple(np.stack(part) for part in zip(*map(model, amounts), strict=True)))


def logs(size, push, still) -> Smooth:
    """``sum_n size_n log(still_n + (push a)_n) - sum a``: concave where sizes are positive."""

    def values(amounts):
        return np.log(still + amounts @ push.T) @ size - amounts.sum(axis=-1)

    def model(amounts):
        v = still + push @ amounts
        bend = -(push.T * (size / v**2)) @ push
        return values(amounts[None])[0], push.T @ (size / v) - 1.0, bend, bend

    return smooth_of(values, model)


def bumps(place, height) -> Smooth:
    """Bumps of width 100 in two dimensions: several local maxima."""

    def parts(amounts):
        apart = (amounts[..., None, :] - place) / 100.0
        return height * np.exp(-0.5 * (apart**2).sum(axis=-1)), apart

    def model(amounts):
        one, apart = parts(amounts)
        bend = np.einsum("n,nu,nv->uv", one, apart, apart) - one.sum() * np.eye(2)
        return one.sum(), -(one @ apart) / 100.0, bend / 1e4, -one.sum() * np.eye(2) / 1e4

    return smooth_of(lambda amounts: parts(amounts)[0].sum(axis=-1), model)


def level(height) -> Smooth:
    """The same value everywhere."""
    flat = np.zeros(2), np.zeros((2, 2)), np.zeros((2, 2))
    return smooth_of(lambda amounts: np.full(len(amounts), height), lambda amounts: (height, *flat))


def world(seed: int, rows: bool) -> tuple[Smooth, Constraints]:
    rng = np.random.default_rng(seed)
    units, weeks = int(rng.integers(2, 7)), 12
    push = rng.gamma(0.5, 1.0, (weeks, units)) * (rng.random((weeks, units)) > 0.3)
    smooth = logs(rng.gamma(1.0, 200.0, weeks), push, rng.uniform(1.0, 300.0, weeks))
    lower, upper = np.zeros(units), rng.uniform(0.2, 1.0, units) * MONEY
    lower[0] = 0.3 * upper[0]
    low = rng.uniform(0.4, 0.6) * upper.sum()
    budget = (low, low) if rng.random() < 0.5 else (low, 1.2 * low)
    group = np.zeros((1, units))
    group[0, ::2] = 1.0
    inside = 0.5 * (lower + upper) @ group[0]
    limits = one_world(lower, upper, budget, *((group, [0.8 * inside], [1.1 * inside]) if rows else ()))
    return smooth, limits


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_the_bound_is_never_below_what_a_search_finds(seed, rows):
    smooth, limits = world(seed, rows)
    if optimum.infeasible(limits):
        return
    rng = np.random.default_rng(seed)
    start = optimum.random_feasible(limits, 1, rng)
    found = optimum.joint(smooth, smooth, limits, start, rng, 1e-6 * MONEY)
    assert found.certified.all() and found.method[0] == TANGENT
    assert holds(found.amounts, limits).all()
    assert found.value[0] == pytest.approx(smooth.values(found.amounts)[0])
    assert found.upper_bound[0] <= found.value[0] + 1e-6 * MONEY
    many = optimum.random_feasible(limits, 500, rng)
    assert smooth.values(many).max() <= found.upper_bound[0] + 1e-9 * MONEY
    # a tangent anywhere bounds everything
    for point in many[:5]:
        value, slope, *_ = (part[0] for part in smooth.model(point[None]))
        gap = tangent_gap(point, slope, checked(limits), matrix(checked(limits)))
        assert value + gap >= found.value[0] - 1e-9 * MONEY


@pytest.mark.parametrize("seed", range(6))
def test_another_solver_finds_the_same(seed):
    smooth, limits = world(seed, rows=False)
    rng = np.random.default_rng(seed)
    start = optimum.random_feasible(limits, 1, rng)
    found = optimum.joint(smooth, smooth, limits, start, rng, 1e-6 * MONEY)
    low, high = limits.budget[0]

    def negative(value, slope):  # of size one
        return -value[0] / MONEY, -slope[0]

    other = minimize(
        lambda x: negative(*smooth.model(x[None] * MONEY)[:2]), start[0] / MONEY, jac=True,
        method="SLSQP", bounds=np.stack([limits.lower[0], limits.upper[0]], axis=1) / MONEY,
        constraints=[
            {"type": "ineq", "fun": lambda x: x.sum() - low / MONEY},
            {"type": "ineq", "fun": lambda x: high / MONEY - x.sum()},
        ],
        options={"maxiter": 500, "ftol": 1e-13},
    )  # fmt: skip
    assert -other.fun * MONEY == pytest.approx(found.value[0], abs=1e-4)


def test_the_highest_of_several_tops_is_found_and_not_certified_without_a_bound():
    place = np.array([[100.0, 100.0], [800.0, 200.0], [300.0, 850.0]])
    smooth = bumps(place, np.array([50.0, 70.0, 100.0]))
    limits = one_world([0.0, 0.0], [1000.0, 1000.0], (0.0, 2000.0))
    found = optimum.joint(smooth, level(400.0), limits, place[:1], np.random.default_rng(0), 1e-3)
    assert found.value[0] == pytest.approx(100.0, rel=1e-6)
    np.testing.assert_allclose(found.amounts[0], place[2], rtol=1e-3)
    assert not found.certified.any() and found.upper_bound[0] == 400.0
    (alone,) = climb(smooth, checked(limits), np.array([[150.0, 120.0]]), 1e-9, bounded=False)
    assert alone.value == pytest.approx(50.0, rel=1e-6) and alone.bound == np.inf


class Thresholds(NamedTuple):
    """Hill curves with slopes far above one: little money does nothing, and the sum has many maxima."""

    height: np.ndarray
    half: np.ndarray
    slope: np.ndarray

    def parts(self, amounts):  # [..., U] -> net values, their slopes and second derivatives
        a = np.maximum(amounts, 1e-9)
        p = (a / self.half) ** self.slope
        rise = self.height * self.slope * p / (1 + p) ** 2 / a
        bend = rise * ((self.slope - 1) - (self.slope + 1) * p) / (1 + p) / a
        return self.height * p / (1 + p) - amounts, rise - 1.0, bend

    def smooth(self) -> Smooth:
        def model(amounts):
            value, slope, bend = self.parts(amounts)
            return value.sum(), slope, np.diag(bend), np.diag(np.minimum(bend, 0.0))

        return smooth_of(lambda amounts: self.parts(amounts)[0].sum(axis=-1), model)

    def cells(self, levels):
        value, slope, _ = (np.swapaxes(x, 1, 2) for x in self.parts(np.swapaxes(levels, 1, 2)))
        turn = self.half * ((self.slope - 1) / (self.slope + 1)) ** (1 / self.slope)
        peak, turn = self.parts(turn)[1][:, None], turn[:, None]
        steepest = np.maximum(slope[..., :-1], slope[..., 1:])
        steepest = np.where((levels[..., :-1] < turn) & (levels[..., 1:] > turn), peak, steepest)
        return optimum.Cells(value, slope, steepest, np.minimum(slope[..., :-1], slope[..., 1:]))


@pytest.mark.parametrize("seed", [1, 3, 8, 9, 10, 17, 18, 19])
def test_money_is_moved_across_thresholds(seed):
    """Sums of curves, whose optimum is known with proof; Newton steps alone end up to 12% of the money below it."""
    rng, units = np.random.default_rng(seed), 8
    half, slope = rng.uniform(0.1, 0.4, units) * MONEY, rng.uniform(2.5, 4.0, units)
    curves = Thresholds(rng.uniform(2.0, 4.0, units) * half, half, slope)
    limits = one_world(np.zeros(units), np.full(units, 0.6 * MONEY), (0.8 * MONEY, 0.8 * MONEY))
    proven = optimum.separable(curves.cells, limits)
    top = 100.0 * MONEY
    flat = smooth_of(lambda a: np.full(len(a), top), lambda a: (top, np.zeros(units), *np.zeros((2, units, units))))
    start = np.full((1, units), 0.1 * MONEY)
    found = optimum.joint(curves.smooth(), flat, limits, start, np.random.default_rng(seed), 1e-6 * MONEY)
    assert proven.certified.all() and not found.certified.any()
    assert found.value[0] == pytest.approx(proven.value[0], abs=1e-6 * MONEY)


def test_a_majorant_that_is_none_is_refused():
    smooth = bumps(np.array([[500.0, 500.0]]), np.array([10.0]))
    limits = one_world([0.0, 0.0], [1000.0, 1000.0], (0.0, 2000.0))
    with pytest.raises(BadInput, match="majorant: allows 1"):
        optimum.joint(smooth, level(1.0), limits, np.array([[450.0, 450.0]]), np.random.default_rng(0), 1e-3)


def test_a_budget_that_leaves_nothing_to_decide():
    smooth, free = world(3, rows=False)
    units = free.lower.shape[1]
    limits = one_world(np.full(units, 5.0), np.full(units, 5.0), (5.0 * units, 5.0 * units))
    found = optimum.joint(smooth, smooth, limits, np.full((1, units), 5.0), np.random.default_rng(0), 1e-6)
    assert found.certified.all() and (found.amounts == 5.0).all()
