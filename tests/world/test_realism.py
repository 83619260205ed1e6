"""Quantities of realism on paths small enough to reckon by hand; ranges that have their sources."""

from __future__ import annotations

import numpy as np
import pytest

from simbench.world.realism import QUANTITIES, Paths, ranges, realism
from simbench.world.scenario import read_scenario
from simbench.world.scenario_words import Kind

KPI = np.array([[10.0, 12.0, 14.0, 12.0]])
SPEND = np.array([[[1.0, 0.0], [2.0, 4.0], [3.0, 0.0], [2.0, 0.0]]])
#: Two units of money for one of KPI.
ONE = Paths(
    kpi=KPI, mean=KPI + np.array([[0.5, -0.5, 0.5, -0.5]]), spend=SPEND, contribution=np.array([[8.0, 1.0]]),
    marginal=np.array([[0.6, 0.0]]), media=np.array([9.0]), value=np.array([2.0]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("r_squared", 1 - 0.25 / 2.0),
        ("noise", 0.5 / 12),
        ("kpi_autocorrelation", 0.0),  # -2 0 2 0 less the mean
        ("kpi_variation", np.sqrt(2.0) / 12),
        ("media_share", 9 / 48),
        ("media_cost", 12 / 96),
        ("smallest_spend_share", 4 / 12),
        ("largest_spend_share", 8 / 12),
        ("spend_correlation", 0.0),
        ("zero_share", 0.75),
        ("elasticity", [0.6 * 8 / 48, 0.0]),
        ("roas", [2 * 8 / 8, 2 * 1 / 4]),
        # less their means the paths are -1 0 1 0 and -1 3 -1 -1
        ("spend_autocorrelation", [0.0, (-3.0 - 3.0 + 1.0) / 12.0]),
    ],
)
def test_quantities_by_hand(quantity, expected):
    np.testing.assert_allclose(QUANTITIES[quantity](ONE)[0], expected, atol=1e-12)


def test_every_range_is_of_a_known_quantity_and_says_where_it_is_from():
    kinds = set(Kind.__args__)
    for each in ranges():
        assert each.quantity in QUANTITIES and each.low < each.high and len(each.source) > 8
        assert each.kind == "" or each.kind in kinds
    assert {each.quantity for each in ranges()} == set(QUANTITIES)
    # one range a quantity and kind: what is published twice stands in one
    assert len({(each.quantity, each.kind) for each in ranges()}) == len(ranges())


def test_a_scenario_is_told_channel_by_channel_where_that_matters():
    clean = read_scenario("clean")
    told = realism(clean, 2)
    roas = {finding.unit: finding for finding in told if finding.quantity == "roas"}
    assert set(roas) == {channel.name for channel in clean.channels}
    assert all(finding.inside == (finding.low <= finding.value <= finding.high) for finding in told)
    assert next(finding for finding in told if finding.quantity == "noise").value == pytest.approx(0.05, rel=0.2)
