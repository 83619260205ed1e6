"""What knowing more is worth, against closed forms and loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from simbench.decide.information import experiment, perfect_information
from simbench.errors import BadInput

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
