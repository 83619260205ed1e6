"""Values that are no sum of curves: the bound against random search and SLSQP, the climb against a grid."""

from __future__ import annotations

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


def logs(size, push, still) -> Smooth:
    """``sum_n size_n log(still_n + (push a)_n) - sum a``: concave where sizes are positive."""

    def values(amounts):
        return np.log(still + amounts @ push.T) @ size - amounts.sum(axis=-1)

    def model(amounts):
        v = still + push @ amounts
        bend = -(push.T * (size / v**2)) @ push
        return values(amounts[None])[0], push.T @ (size / v) - 1.0, bend, bend

    return Smooth(values, model)


def bumps(place, height) -> Smooth:
    """Bumps of width 100 in two dimensions: several local maxima."""

    def parts(amounts):
        apart = (amounts[..., None, :] - place) / 100.0
        return height * np.exp(-0.5 * (apart**2).sum(axis=-1)), apart

    def model(amounts):
        one, apart = parts(amounts)
        bend = np.einsum("n,nu,nv->uv", one, apart, apart) - one.sum() * np.eye(2)
        return one.sum(), -(one @ apart) / 100.0, bend / 1e4, -one.sum() * np.eye(2) / 1e4

    return Smooth(lambda amounts: parts(amounts)[0].sum(axis=-1), model)


def level(height) -> Smooth:
    """The same value everywhere."""
    flat = np.zeros(2), np.zeros((2, 2)), np.zeros((2, 2))
    return Smooth(lambda amounts: np.full(len(amounts), height), lambda amounts: (height, *flat))


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
        value, slope, *_ = smooth.model(point)
        gap = tangent_gap(point, slope, checked(limits), matrix(checked(limits)))
        assert value + gap >= found.value[0] - 1e-9 * MONEY


@pytest.mark.parametrize("seed", range(6))
def test_another_solver_finds_the_same(seed):
    smooth, limits = world(seed, rows=False)
    rng = np.random.default_rng(seed)
    start = optimum.random_feasible(limits, 1, rng)
    found = optimum.joint(smooth, smooth, limits, start, rng, 1e-6 * MONEY)
    low, high = limits.budget[0]
    other = minimize(
        lambda x: (-smooth.model(x * MONEY)[0] / MONEY, -smooth.model(x * MONEY)[1]), start[0] / MONEY, jac=True,
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
    alone = climb(smooth, checked(limits), np.array([150.0, 120.0]), 1e-9, bounded=False)
    assert alone.value == pytest.approx(50.0, rel=1e-6) and alone.bound == np.inf


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
