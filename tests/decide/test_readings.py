"""Acting on draws: three readings, against plain loops and brute force, and the laws that they keep."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from decide.curve_cases import Made, drawn_of, made
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from simbench import optimum
from simbench.decide.allocate import decide
from simbench.decide.readings import WORST, Curves, curves_of, readings
from simbench.optimum import constraints_of
from simbench.optimum.draws import read, tail
from simbench.records import Answers, Problem


def promised(one: Made, r: int, d: int, amounts: np.ndarray) -> float:
    """Net money of amounts [U] in one draw, by SciPy."""
    levels, total = one.problem.levels[r], 0.0
    for u, amount in enumerate(amounts):
        total += one.worth[r] * float(PchipInterpolator(levels[u], one.curves.kpi[r, d, u])(amount))
        total -= amount if one.curves.paid is None else float(
            PchipInterpolator(levels[u], one.curves.paid[r, d, u])(amount)
        )  # fmt: skip
    return total


def cvar(gains: np.ndarray, share: float = WORST) -> float:
    """Mean of the worst share of draws, one by one; the last one in part."""
    left, total = share * len(gains), 0.0
    for value in sorted(gains):
        total += min(left, 1.0) * value
        left -= min(left, 1.0)
    return total / (share * len(gains))


# --- draws, read


@pytest.mark.parametrize("paid", [False, True])
def test_every_draw_is_read_by_pchip(paid):
    one = made(0, paid=paid, slope=2.5)
    amounts = np.random.default_rng(1).uniform(0, 1, (2, 3)) * one.problem.upper
    amounts[0, 0], amounts[1, 1] = 0.0, one.problem.upper[1, 1]
    value, slope = read(drawn_of(one), np.arange(2), amounts)
    for r, d in ((0, 0), (1, 7), (0, 39)):
        assert value[r, :, d].sum() == pytest.approx(promised(one, r, d, amounts[r]))
    step = 1e-5
    moved = np.clip(amounts - step, 0, None), np.clip(amounts + step, None, one.problem.upper)
    high, low = (read(drawn_of(one), np.arange(2), x)[0] for x in moved[::-1])
    np.testing.assert_allclose(slope, (high - low) / (moved[1] - moved[0])[..., None], atol=1e-4)


def test_gains_are_beyond_the_reference_and_rows_are_worlds():
    one = made(3)
    quo, amounts = one.problem.status_quo, one.problem.status_quo[:, ::-1] * 0.9
    found = optimum.gains(drawn_of(one), amounts, quo)
    for r, d in ((0, 3), (1, 11)):
        assert found[r, d] == pytest.approx(promised(one, r, d, amounts[r]) - promised(one, r, d, quo[r]))
    np.testing.assert_allclose(
        read(drawn_of(one), np.array([1, 1, 0]), amounts[[1, 0, 0]])[0][2],
        read(drawn_of(one), np.arange(2), amounts)[0][0],
    )


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.floats(0.05, 1.0))
def test_the_tail_is_the_mean_of_the_worst(values, share):
    mean, weight = tail(np.array([values]), share)
    assert mean[0] == pytest.approx(cvar(np.array(values), share), abs=1e-9)
    assert weight.sum() == pytest.approx(1.0)


# --- laws


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999), st.booleans(), st.booleans(), st.sampled_from([0.8, 1.0, 3.0]))
def test_the_laws_of_readings(seed, fixed, paid, slope):
    """Feasible; no worse a tail than best mean and reference; loses in under a fifth; knowing is worth something."""
    one = made(seed, fixed=fixed, paid=paid, slope=slope)
    constraints, reference = constraints_of(one.problem), one.problem.status_quo
    found = readings(one.problem, *one[1:])
    best, plug_in, safest = found.distinct
    for amounts in found.distinct:
        np.testing.assert_allclose(optimum.project(amounts, constraints), amounts, atol=1e-7 * reference.sum())
    unit = reference.sum(axis=1)
    tails = [tail(optimum.gains(found.drawn, x, reference), WORST)[0] for x in (safest, best, plug_in, reference)]
    assert (tails[0] >= np.maximum(tails[1], tails[3]) - 1e-9 * unit).all() and (tails[3] == 0).all()
    loses = (optimum.gains(found.drawn, safest, reference) < -1e-9 * unit[:, None]).mean(axis=1)
    assert (loses < WORST).all()
    assert (found.perfect >= 0).all()
    # another currency: money scales, amounts with it
    other = one.problem._replace(**{
        name: 7.0 * getattr(one.problem, name) for name in ("status_quo", "levels", "lower", "upper", "budget")
    })  # fmt: skip
    again = readings(
        other, Curves(one.curves.kpi, None if one.curves.paid is None else 7 * one.curves.paid), 7 * one.worth
    )
    np.testing.assert_allclose(again.distinct[0], 7 * best, rtol=1e-4, atol=1e-3 * unit.max())
    np.testing.assert_allclose(again.perfect, 7 * found.perfect, rtol=1e-4, atol=1e-4 * unit.max())
    after = tail(optimum.gains(again.drawn, again.distinct[2], 7 * reference), WORST)[0]
    np.testing.assert_allclose(after, 7 * tails[0], rtol=1e-3, atol=1e-3 * unit.max())


@pytest.mark.parametrize("slope", [1.0, 3.0])
def test_draws_that_are_all_the_same_know_everything(slope):
    one = made(4, draws=1, slope=slope)  # of slope 3: its bound and its best amounts are apart
    same = Curves(np.repeat(one.curves.kpi, 30, axis=1), None)
    found = readings(one.problem, same, one.worth)
    np.testing.assert_allclose(found.perfect, 0, atol=1e-9 * one.problem.status_quo.sum())
    point = readings(one.problem, one.curves, one.worth)
    assert len(point.distinct) == 1 and np.isnan(point.perfect).all()
    np.testing.assert_allclose(found.distinct[0], point.distinct[0], rtol=1e-9)
    np.testing.assert_allclose(found.distinct[1], point.distinct[0], rtol=1e-9)
    gain, most = (
        optimum.gains(found.drawn, x, one.problem.status_quo)[:, 0] for x in (found.distinct[2], point.distinct[0])
    )
    np.testing.assert_allclose(gain, most, atol=1e-3 * np.abs(most).max())


# --- brute force


def split(one: Made, steps: int = 4001) -> np.ndarray:
    """All ways to give a fixed total to two units: [S, 2] of the first world."""
    total, (top, other) = one.problem.status_quo[0].sum(), one.problem.upper[0]
    first = np.linspace(max(0.0, total - other), min(top, total), steps)
    return np.stack([first, total - first], axis=1)


def every(one: Made, amounts: np.ndarray) -> np.ndarray:
    """Net money [S, D] of amounts [S, 2] in every draw, by SciPy."""
    levels, kpi = one.problem.levels[0], one.curves.kpi[0]
    return sum(
        one.worth[0] * PchipInterpolator(levels[u], kpi[:, u], axis=1)(amounts[:, u]).T - amounts[:, [u]]
        for u in (0, 1)
    )


@pytest.mark.parametrize("seed", range(4))
def test_two_units_by_brute_force(seed):
    one = made(seed, worlds=1, units=2, draws=50)
    ways = split(one)
    worth, spend = every(one, ways), float(one.problem.status_quo.sum())
    before = every(one, one.problem.status_quo)
    found = readings(one.problem, *one[1:])
    best, plug_in, safest = (every(one, x)[0] for x in found.distinct)
    assert best.mean() == pytest.approx(worth.mean(axis=1).max(), abs=1e-4 * spend)
    tails = [cvar(row - before[0]) for row in worth[::20]]
    assert cvar(safest - before[0]) >= max(tails) - 2e-3 * spend
    perfect = worth.max(axis=0).mean() - worth.mean(axis=1).max()
    assert found.perfect[0] == pytest.approx(perfect, rel=0.05, abs=1e-3 * spend)
    middle = np.median(one.curves.kpi[0], axis=0)
    curve = made(seed, worlds=1, units=2, draws=50)._replace(curves=Curves(middle[None, None], None))
    top = ways[every(curve, ways)[:, 0].argmax()]
    np.testing.assert_allclose(found.distinct[1][0], top, atol=0.02 * spend)
    assert plug_in.mean() <= best.mean() + 1e-6 * spend


def test_the_plug_in_does_not_see_how_far_draws_reach():
    """One draw of three in which the first unit does wonders: the mean follows it, the curve in the middle does not."""
    one = made(6, worlds=1, draws=1)
    wonder = one.curves.kpi * np.array([20.0, 1.0, 1.0])[:, None]
    three = Curves(np.concatenate([one.curves.kpi, wonder, one.curves.kpi], axis=1), None)
    best, plug_in, _ = readings(one.problem, three, one.worth).distinct
    (point,) = readings(one.problem, one.curves, one.worth).distinct
    np.testing.assert_allclose(plug_in, point, rtol=1e-9)
    assert best[0, 0] > 1.2 * point[0, 0]


def test_groups_bind_what_is_safest_and_leave_knowing_unsaid():
    one = made(8, fixed=False)
    quo = one.problem.status_quo
    bound = one.problem._replace(
        groups=np.tile([[[1.0, 1.0, 0.0]]], (2, 1, 1)), group_low=0 * quo[:, :1], group_high=quo[:, :2].sum(1)[:, None]
    )
    found = readings(bound, *one[1:])
    assert (found.distinct[2][:, :2].sum(axis=1) <= bound.group_high[:, 0] * (1 + 1e-9)).all()
    assert np.isnan(found.perfect).all()


# --- decisions


class Asked(NamedTuple):
    problems: tuple[Problem, ...]
    margin: np.ndarray


class Known(NamedTuple):
    unit_value: np.ndarray


class Seen(NamedTuple):
    questions: Asked
    context: Known


def test_a_problem_is_valued_once_and_told_in_every_reading():
    one = made(2)
    brief = Seen(Asked((one.problem,), np.ones(2)), Known(one.worth))
    asked = []

    def value(i, amounts):
        asked.append(amounts.shape)
        return amounts[..., 0], amounts[..., 1]

    answers = Answers(response=(one.curves.kpi,), allocation=(one.problem.status_quo * 1.1,))
    told = decide(brief, answers, value)
    assert asked == [(2, 4, 3)]
    for reading in told[:4]:
        (decision,) = reading
        np.testing.assert_array_equal(decision.value, decision.amounts[:, 0])
        np.testing.assert_array_equal(decision.kpi, decision.amounts[:, 1])
        for r in range(2):
            more = [
                promised(one, r, d, decision.amounts[r]) - promised(one, r, d, one.problem.status_quo[r])
                for d in range(40)
            ]
            assert decision.sure[r] == pytest.approx(np.mean(np.array(more) > 1e-9))
            assert decision.promise[r] == pytest.approx(np.mean(more), abs=0.01 * one.problem.status_quo.sum())
    point = decide(brief, answers._replace(response=(one.curves.kpi[:, :1],), allocation=None), value)
    assert asked[1:] == [(2, 1, 3)]
    assert point.common == point.plug_in == point.risk_aware and np.isnan(point.perfect[0]).all()
    repeated = np.broadcast_to(one.curves.kpi[:, :1], one.curves.kpi.shape)
    assert curves_of(one.problem, Answers(response=(repeated,)), 0).kpi.shape[1] == 1
