"""Nothing that an independent search finds is better than the certified optimum: docs/optimum.md in short.

Worlds are searched where they are drawn anyway: tests/oracle/test_oracle_truth.py.
"""

from __future__ import annotations

import pytest
from optimum_cases import case_of, cases_of, faults
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


@pytest.mark.parametrize(("name", "certified"), [("decisions-pacing", True), ("decisions-pulsing", False)])
def test_nothing_better_is_found_where_units_share_levers(name: str, certified: bool) -> None:
    for case in cases_of(read_scenario(name), 2)[1:]:
        found = search.evolved(case.value, case.room, 1, generations=60)
        assert faults(case, found) == []
        assert case.certified == certified
        assert case.best - 0.1 * case.money < found.value < case.best + 1e-6 * case.money
