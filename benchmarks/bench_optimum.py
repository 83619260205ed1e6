"""Speed of the optimum: ``make bench``. Each case says what it does per world in `extra_info`.

Levels are counted too, because evaluating the curves costs more than the search itself.
"""

from __future__ import annotations

import numpy as np
import pytest

from simbench import optimum
from simbench.optimum import Cells, Constraints


def hill_sums(generator, worlds: int, units: int, weeks: int, low: float, high: float, asked: list):
    """`evaluate` of sums of one Hill term a week; counts the levels asked a unit and world."""
    slope = np.broadcast_to(generator.uniform(low, high, (worlds, units, 1)), (worlds, units, weeks)).copy()
    half = generator.uniform(0.3, 3.0, (worlds, units, 1)) / generator.lognormal(0, 0.3, (worlds, units, weeks))
    height = np.broadcast_to(generator.uniform(1, 5, (worlds, units, 1)), slope.shape) / weeks

    def of(rows):
        s, h, b = (part[rows][:, :, None, :] for part in (slope, half, height))
        bends = s > 1
        turn = np.where(bends, (np.maximum(s, 1) - 1) / (s + 1), 0.0)
        root = turn ** (1 / s)
        top = np.where(bends, b / h * s * turn / np.where(bends, root, 1.0) / (1 + turn) ** 2, np.inf)

        def evaluate(levels):
            asked.append(levels.size)
            v = levels[..., None] / h
            power = v**s
            with np.errstate(divide="ignore", invalid="ignore"):
                tilt = b / h * s * np.where(v > 0, power / v, np.where(bends, 0.0, np.inf)) / (1 + power) ** 2
            left, right = tilt[:, :, :-1], tilt[:, :, 1:]
            over = bends & (v[:, :, :-1] <= root) & (v[:, :, 1:] >= root)
            steepest = np.where(over, top, np.maximum(left, right)).sum(-1)
            flattest = np.minimum(left, right).sum(-1)
            value = (b * power / (1 + power)).sum(-1)
            return Cells(value - levels, tilt.sum(-1) - 1, steepest - 1, flattest - 1)

        return evaluate

    return of


def limits(generator, worlds: int, units: int, rows: int = 0) -> Constraints:
    """A fixed budget, and rows that bind in most worlds."""
    total = generator.uniform(0.3, 1.5, (worlds, 1)) * units
    groups = (generator.random((rows, units)) < 0.5) * 1.0
    share = total * groups.sum(1) / units
    low, high = (
        share * generator.uniform(0.1, 0.4, share.shape),
        share * generator.uniform(0.5, 0.9, share.shape),
    )
    upper = np.full((worlds, units), 3.0 * min(units, 10))
    return Constraints(np.zeros((worlds, units)), upper, total * [int(not rows), 1], groups, low, high)


@pytest.mark.parametrize(
    ("name", "worlds", "units", "weeks", "slopes", "rows"),
    [
        ("concave", 64, 5, 52, (0.3, 1.0), 0),
        ("s-shaped", 64, 5, 52, (1.2, 3.5), 0),
        ("concave one term", 64, 5, 1, (0.3, 1.0), 0),
        ("s-shaped one term", 64, 5, 1, (1.2, 3.5), 0),
        ("s-shaped 20 units", 16, 20, 4, (1.2, 3.5), 0),
        ("concave geos", 8, 100, 4, (0.3, 1.0), 0),
        ("s-shaped geos", 8, 100, 4, (1.2, 3.5), 0),
        ("concave rows", 8, 5, 4, (0.3, 1.0), 2),
        ("s-shaped rows", 8, 5, 4, (1.2, 3.5), 2),
    ],
)
def test_separable(benchmark, name, worlds, units, weeks, slopes, rows) -> None:
    generator, asked = np.random.default_rng(1), []
    of = hill_sums(generator, worlds, units, weeks, *slopes, asked)
    constraints = limits(generator, worlds, units, rows)
    solution = benchmark(lambda: optimum.separable(of(np.arange(worlds)), constraints, select=of))
    asked.clear()
    optimum.separable(of(np.arange(worlds)), constraints, select=of)
    benchmark.extra_info["worlds"] = worlds
    benchmark.extra_info["levels a unit"] = round(sum(asked) / worlds / units, 1)
    benchmark.extra_info["methods"] = np.bincount(solution.method, minlength=5).tolist()
    assert solution.certified.all()


def test_grid_on_equal_units(benchmark) -> None:
    """Ties that branching cannot break: 20 equal S-shaped units."""
    shape = (1, 20, 1)

    def evaluate(levels):
        v3 = levels**3
        tilt = 9 * levels**2 / (1 + v3) ** 2
        left, right, turn = tilt[..., :-1], tilt[..., 1:], 0.5 ** (1 / 3)
        over = (levels[..., :-1] <= turn) & (levels[..., 1:] >= turn)
        steepest = np.where(over, 9 * turn**2 / (1 + turn**3) ** 2, np.maximum(left, right))
        return Cells(3 * v3 / (1 + v3) - levels, tilt - 1, steepest - 1, np.minimum(left, right) - 1)

    constraints = optimum.one_world(np.zeros(shape[1]), np.full(shape[1], 4.0), (7.4, 7.4))
    solution = benchmark(lambda: optimum.separable(evaluate, constraints))
    assert solution.certified[0] and optimum.METHODS[solution.method[0]] == "grid"


@pytest.mark.parametrize("units", [5, 100])
def test_allocate(benchmark, units) -> None:
    generator = np.random.default_rng(2)
    levels = np.linspace(0, 1, 21) ** 2 * generator.uniform(1, 4, (units, 1))
    kpi = 3 * levels / (levels + 1) + 0.02 * generator.normal(0, 1, levels.shape)
    constraints = optimum.one_world(np.zeros(units), levels[:, -1], (0.4 * units, 0.4 * units))
    amounts = benchmark(lambda: optimum.allocate(levels, kpi, None, 1.0, constraints))
    assert abs(amounts.sum() - 0.4 * units) < 1e-9


@pytest.mark.parametrize("rows", [0, 3])
def test_project(benchmark, rows) -> None:
    generator = np.random.default_rng(3)
    constraints = limits(generator, 64, 10, rows)
    wanted = generator.normal(0, 3, (64, 10))
    assert benchmark(lambda: optimum.project(wanted, constraints)).shape == wanted.shape
