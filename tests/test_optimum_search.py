"""Nothing that an independent search finds is better than the certified optimum: docs/optimum.md in short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from optimum_cases import Case, case_of, cases_of, faults
from oracle import problems, search
from oracle.random_scenarios import FEW, RECORDED, random_scenario, recorded_csv

from simbench.world.scenario import read_scenario

#: Structures of the random scenarios with bought channels: their optimum is searched on futures of its own.
BOUGHT = (3, 4)


@pytest.mark.parametrize("kind", problems.KINDS)
@pytest.mark.parametrize("units", [6, 21])
def test_nothing_better_is_found(kind: str, units: int) -> None:
    case = case_of(kind, units, 0)
    found = search.evolved(case.value, case.room, 1, generations=60)
    assert faults(case, found) == []
    assert found.value > case.best - 0.05 * case.money  # the search is one to be reckoned with


@pytest.mark.parametrize("kind", problems.KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_dense_grid_finds_the_same(kind: str, seed: int) -> None:
    case = case_of(kind, 3, seed)
    exact = case.room.budget[0] == case.room.budget[1]
    found = search.gridded(case.value, case.room, 201 if exact else 41)
    assert faults(case, found) == []
    assert found.value == pytest.approx(case.best, abs=1e-6 * case.money)


def drawn(seed: int, folder: Path, **options: int) -> Case:
    (folder / "world.toml").write_text(random_scenario(seed))
    (folder / RECORDED).write_text(recorded_csv(seed))
    return cases_of(read_scenario(folder / "world.toml"), seed % 3, **options)[0]


@pytest.mark.parametrize("seed", range(FEW))
def test_nothing_better_is_found_in_a_world(seed: int, tmp_path: Path) -> None:
    case = drawn(seed, tmp_path)
    found = search.evolved(case.value, case.room, 1, generations=20 if seed in BOUGHT else 60, population=40)
    assert faults(case, found) == []
    if len(case.room.lower) == 3 and seed not in BOUGHT:
        grid = search.gridded(case.value, case.room, 31)
        assert faults(case, grid) == []
        assert grid.value == pytest.approx(case.best, abs=1e-6 * case.money)


@pytest.mark.parametrize("seed", BOUGHT)
def test_the_search_of_bought_worlds_finds_the_best_on_its_futures(seed: int, tmp_path: Path) -> None:
    case = drawn(seed, tmp_path, first=0)
    found = search.evolved(case.value, case.room, 1, generations=20, population=40)
    assert not case.certified and np.isinf(case.bound)
    assert found.value <= case.best + 1e-6 * case.money
