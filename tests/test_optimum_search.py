"""Nothing that an independent search finds is better than the certified optimum: docs/optimum.md in short.

Worlds are searched where they are drawn anyway: tests/oracle/test_oracle_truth.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from optimum_cases import Case, case_of, cases_of, faults
from oracle import problems, search

from simbench.world.scenario import read_scenario


@pytest.mark.parametrize("kind", problems.KINDS)
@pytest.mark.parametrize("units", [6, 21])
def test_nothing_better_is_found(kind: str, units: int) -> None:
    case = case_of(kind, units, 0)
    found = search.evolved(case.value, case.room, 1, generations=60)
    assert faults(case, found) == []
    assert found.value > case.best - 0.1 * case.money  # the search is one to be reckoned with


@pytest.mark.parametrize("kind", problems.KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_dense_grid_finds_the_same(kind: str, seed: int) -> None:
    case = case_of(kind, 3, seed)
    exact = case.room.budget[0] == case.room.budget[1]
    found = search.gridded(case.value, case.room, 201 if exact else 41)
    assert faults(case, found) == []
    assert found.value == pytest.approx(case.best, abs=1e-6 * case.money)


def grid(room: search.Room, count: int) -> np.ndarray:
    """The lattice [B, 3] with each unit in turn as the one that meets a fixed total, so that all bounds are on it."""
    parts = []
    for first in range(3):
        order = np.roll(np.arange(3), first)
        turned = room._replace(lower=room.lower[order], upper=room.upper[order], groups=room.groups[:, order])
        parts.append(search.lattice(turned, count)[:, np.argsort(order)])
    return np.concatenate(parts)


def around(room: search.Room, place: np.ndarray, step: np.ndarray) -> search.Room:
    """The same feasible set no further than a step [3] from a place."""
    return room._replace(lower=np.maximum(room.lower, place - step), upper=np.minimum(room.upper, place + step))


def one_step_off(case: Case, step: float) -> np.ndarray:
    """The optimum with so much money, or as much as there is room for, moved from a unit to another, added or taken."""
    give, take = (np.minimum(x, step) for x in (case.amounts - case.room.lower, case.room.upper - case.amounts))
    unit, exact = np.eye(3), case.room.budget[0] == case.room.budget[1]
    moves = [min(give[i], take[j]) * (unit[j] - unit[i]) for i in range(3) for j in range(3)]
    alone = [] if exact else [*np.diag(take), *-np.diag(give)]
    return case.amounts + np.array(moves + alone)


@pytest.mark.parametrize("name", ["heusch", "jin2017-2y", "doubled-saturation", "twins-curve-a"])
def test_a_grid_over_a_world_of_three_channels_finds_the_same(name: str) -> None:
    """A grid over everything, and a finer one round its best: not above the bound, and no further below the optimum
    than one of the finer steps away from it.
    """
    for case in cases_of(read_scenario(name), 0):
        count = 41 if case.room.budget[0] == case.room.budget[1] else 21
        step = (case.room.upper - case.room.lower) / (count - 1)
        coarse = grid(case.room, count)
        finer = grid(around(case.room, coarse[case.value(coarse).argmax()], step), count)
        worth = case.value(finer)
        found = search.Found(finer[worth.argmax()], float(worth.max()), len(coarse) + len(finer))
        assert faults(case, found) == []
        lost = case.best - case.value(one_step_off(case, float(2 * step.max() / (count - 1)))).min()
        assert 0 < lost < 0.01 * case.money  # the grid is one to be reckoned with
        assert found.value >= case.best - lost


@pytest.mark.parametrize(("name", "certified"), [("decisions-pacing", True), ("decisions-pulsing", False)])
def test_nothing_better_is_found_where_units_share_levers(name: str, certified: bool) -> None:
    for case in cases_of(read_scenario(name), 2)[1:]:
        found = search.evolved(case.value, case.room, 1, generations=60)
        assert faults(case, found) == []
        assert case.certified == certified
        assert case.best - 0.1 * case.money < found.value < case.best + 1e-6 * case.money
