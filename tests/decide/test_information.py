"""What knowing more is worth, against closed forms and loops."""

from __future__ import annotations

import numpy as np
import pytest
from decide.curve_cases import asked_of, drawn_of, made
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from simbench import optimum
from simbench.decide.information import experiment, experiments, perfect_information
from simbench.decide.readings import Curves
from simbench.errors import BadInput
from simbench.optimum import constraints_of
from simbench.records import Answers, Brief

MONEY = st.floats(-1e3, 1e3, allow_subnormal=False)


def loss(mean: float, sd: float) -> float:
    """Unit normal loss integral: E[max(x, 0)] - max(mean, 0) of a normal x."""
    u = -abs(mean) / sd
    return sd * (norm.pdf(u) + u * norm.cdf(u))


def two(mean: float, sd: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Doing nothing, or something worth a normal amount of money: values [D, 2] and the amount [D]."""
    worth = mean + sd * norm.ppf((np.arange(count) + 0.5) / count)
    return np.stack([0 * worth, worth], axis=-1), worth


@pytest.mark.parametrize("mean", [0.0, 3.0, -8.0])
@pytest.mark.parametrize("error", [2.0, 10.0, 40.0])
def test_normal_prior_and_normal_experiment(mean, error):
    """Raiffa and Schlaifer: the preposterior mean is normal, its variance that by which the prior's falls."""
    sd = 10.0
    value, worth = two(mean, sd)
    before = sd**2 / np.hypot(sd, error)
    np.testing.assert_allclose(experiment(value, worth, error), loss(mean, before), rtol=0.01, atol=1e-4)
    np.testing.assert_allclose(perfect_information(value), loss(mean, sd), rtol=0.01)


def test_by_loops_over_results():
    """A few draws and actions: every result weighed by hand."""
    rng = np.random.default_rng(0)
    value, effect, error = rng.normal(size=(7, 3)), rng.normal(size=7), 0.8
    grid = np.linspace(effect.min() - 8, effect.max() + 8, 20001)
    total = 0.0
    for y in grid:
        density = [norm.pdf(y, each, error) / 7 for each in effect]
        total += max(sum(w * v for w, v in zip(density, value[:, a])) for a in range(3)) * (grid[1] - grid[0])
    best = max(np.mean(value[:, a]) for a in range(3))
    np.testing.assert_allclose(experiment(value, effect, error), total - best, atol=2e-3)
    loop = np.mean([max(row) for row in value]) - best
    np.testing.assert_allclose(perfect_information(value), loop)


@given(arrays(float, (6, 3), elements=MONEY), arrays(float, 6, elements=MONEY), st.floats(0.1, 1e4))
def test_no_experiment_tells_more_than_everything_or_less_than_nothing(value, effect, error):
    told, known = experiment(value, effect, error), perfect_information(value)
    assert 0 <= told <= known + 1e-9 * (1 + np.abs(value).max())
    np.testing.assert_allclose(perfect_information(np.repeat(value[:1], 6, axis=0)), 0, atol=1e-9)


def test_precise_experiments_tell_all_of_it_and_vague_ones_nothing():
    value, worth = two(1.0, 10.0, 100)
    told = [float(experiment(value, worth, error)) for error in (0.01, 1.0, 10.0, 100.0, 1e5)]
    assert told == sorted(told, reverse=True)
    np.testing.assert_allclose(told[0], perfect_information(value), rtol=0.02)
    np.testing.assert_allclose(told[-1], 0, atol=1e-3)
    other = np.random.default_rng(0).permutation(worth)  # what has nothing to do with the decision tells little
    assert experiment(value, other, 1.0) < 0.5 * told[1]


def test_many_at_once_are_as_one_by_one():
    rng = np.random.default_rng(1)
    value, effect, error = rng.normal(size=(4, 9, 3)), rng.normal(size=(4, 9)), rng.uniform(0.5, 2, 4)
    for i in range(4):
        np.testing.assert_allclose(experiment(value, effect, error)[i], experiment(value[i], effect[i], error[i]))
        np.testing.assert_allclose(perfect_information(value)[i], perfect_information(value[i]))


@pytest.mark.parametrize(
    ("value", "effect", "error"),
    [
        (np.zeros(3), np.zeros(3), 1.0),
        (np.zeros((3, 2)), np.zeros(4), 1.0),
        (np.zeros((3, 2)), np.zeros(3), 0.0),
        (np.full((3, 2), np.nan), np.zeros(3), 1.0),
    ],
)
def test_bad_input_is_told(value, effect, error):
    with pytest.raises(BadInput):
        experiment(value, effect, error)


# --- a contender's own draws


def straight(sure: float, mean: float, sd: float, paid: float | None = None) -> tuple[Brief, Answers]:
    """Two units that bring a sure return and a normal one, per unit of money; the total is fixed."""
    draws = 256
    returns = np.stack([np.full(draws, sure), mean + sd * norm.ppf((np.arange(draws) + 0.5) / draws)], axis=-1)
    one = made(0, worlds=1, units=2, draws=draws, fixed=True)
    quo = np.full((1, 2), 100.0)
    levels = np.broadcast_to(np.linspace(0.0, 200.0, 21), (1, 2, 21))
    problem = one.problem._replace(
        status_quo=quo, levels=levels, lower=0 * quo, upper=2 * quo, budget=np.array([[200.0, 200.0]])
    )
    kpi = returns[None, :, :, None] * levels[:, None]
    money = None if paid is None else paid * np.broadcast_to(levels[:, None], kpi.shape)
    return asked_of(problem, Curves(kpi, money), np.ones(1))


@pytest.mark.parametrize("mean", [1.0, 1.3, 0.4])
@pytest.mark.parametrize("error", [10.0, 50.0, 400.0])
def test_a_test_of_straight_lines_is_worth_what_the_formula_says(mean, error):
    """All money goes where the return is larger: 100 of it moves, so the value is 200 times the normal loss."""
    sd, quo = 0.5, 100.0
    brief, answers = straight(1.0, mean, sd)
    found = experiments(brief, answers, error)
    returns = answers.response[0][:, 1, -1] / (2 * quo)
    either = np.stack([0 * returns, 2 * quo * (returns - 1.0)], axis=-1)  # all on one or all on the other
    assert found[1] == pytest.approx(experiment(either, quo * returns, error), rel=1e-6, abs=1e-5)
    formula = 2 * quo * loss(mean - 1.0, sd**2 / np.hypot(sd, error / quo))
    assert found[1] == pytest.approx(formula, rel=0.02, abs=0.06)  # 256 draws know the tail of a normal that well
    assert found[0] == pytest.approx(0.0, abs=1e-9)  # its draws do not differ: nothing to learn


def test_what_is_paid_counts_and_the_kpi_alone_is_measured():
    """Where half of the money is not spent a test sees the same KPI, and moving money is worth the same."""
    found, half = (experiments(*straight(1.0, 1.1, 0.5, paid), 20.0) for paid in (None, 0.5))
    np.testing.assert_allclose(half, found, rtol=1e-6, atol=1e-9)  # net differs by the same amount for both units


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("slope", [1.0, 3.0])
def test_a_test_is_worth_less_the_vaguer_it_is_and_never_more_than_everything(seed, slope):
    one = made(seed, worlds=1, slope=slope, paid=bool(seed % 2), fixed=seed < 2)
    brief, answers = asked_of(*one)
    spread = one.curves.kpi[0, :, :, 7].std(axis=0)
    told = [experiments(brief, answers, spread * times) for times in (0.05, 0.5, 2.0, 1e5)]
    limits = constraints_of(one.problem)
    best = optimum.allocate(one.problem.levels, *one.curves.mean, one.worth, limits)
    everything = optimum.perfect(drawn_of(one), best, limits, 1000)
    for vaguer, surer in zip(told[1:], told, strict=False):
        assert (vaguer <= surer * 1.02 + 1e-6).all()
    assert (told[0] <= everything * 1.02).all()
    assert (told[0] > 0.05 * everything).any()
    np.testing.assert_allclose(told[-1], 0, atol=1e-6 * everything[0])


def test_faults_of_a_test_are_told():
    brief, answers = straight(1.0, 1.1, 0.5)
    with pytest.raises(BadInput, match="positive KPI units, one or 2"):
        experiments(brief, answers, 0.0)
    with pytest.raises(BadInput, match="no curves of problem 0"):
        experiments(brief, answers._replace(response=None), 1.0)
