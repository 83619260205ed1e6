"""The independent search on problems whose answer is known, and its quick values beside the week-by-week ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from simbench.world.scenario import read_scenario

from . import decisions, oracle, plans, problems, search
from .random_scenarios import FEW, RECORDED, random_scenario, recorded_csv


@pytest.mark.parametrize("seed", range(FEW))
def test_values_of_whole_paths_are_those_of_week_by_week(seed: int, tmp_path: Path) -> None:
    (tmp_path / "world.toml").write_text(random_scenario(seed))
    (tmp_path / RECORDED).write_text(recorded_csv(seed))
    scenario = read_scenario(tmp_path / "world.toml")
    one = oracle.case(scenario, seed % 3)
    world = one.world
    now = decisions.status_quo(world, one.factual.lever[world.P : world.P + world.T, 0])
    units = decisions.units_of(one, scenario.questions.problems[0], now)
    asked = np.concatenate([units.status_quo[None], decisions.feasible_amounts(units, 3, np.random.default_rng(seed))])
    slowly = decisions.worth(one, decisions.plan_of(units, asked)).mean(axis=0)
    assert_allclose(plans.valuer(one, units)(asked), slowly, rtol=1e-10, atol=1e-12 * units.status_quo.sum())


@pytest.mark.parametrize("units", [4, 10])
def test_what_is_repaired_is_feasible_and_what_is_feasible_stays(units: int) -> None:
    limits = problems.problem("groups", units, 0).room
    wild = np.random.default_rng(units).normal(1, 2, (200, units))
    mended = search.repaired(wild, limits)
    assert (mended >= limits.lower).all() and (mended <= limits.upper).all()
    assert search.slack(mended, limits).min() >= -1e-9 * limits.money
    assert_allclose(search.repaired(mended, limits), mended, atol=1e-9)
    assert_array_equal(search.slack(search.scattered(limits, 50, np.random.default_rng(1)), limits) > -1e-9, True)


@pytest.mark.parametrize("way", ["evolved", "gridded", "moved"])
def test_equal_concave_units_share_equally(way: str) -> None:
    limits = problems.within(3, 0.7)

    def value(amounts: np.ndarray) -> np.ndarray:
        return np.sqrt(amounts).sum(axis=1)

    found = {
        "evolved": lambda: search.evolved(value, limits, 1, generations=40),
        "gridded": lambda: search.gridded(value, limits, 41),
        "moved": lambda: search.moved(value, np.array([2.1, 0.0, 0.0]), limits),
    }[way]()
    assert_allclose(found.amounts, 0.7, atol=1e-3)
    assert found.value == pytest.approx(3 * np.sqrt(0.7), rel=1e-9)


def test_a_tie_is_won_by_the_best_number_of_units() -> None:
    """k equal S-shaped units share the money: the best k is known."""
    problem = problems.problem("ties", 8, 0)
    total = problem.room.money
    shared = np.array([[total / k if i < k else 0.0 for i in range(8)] for k in range(1, 9)])
    best = problem.value(shared[(shared <= problem.room.upper).all(axis=1)]).max()
    found = search.evolved(problem.value, problem.room, 1, generations=200)
    assert found.value == pytest.approx(best, rel=1e-6)
