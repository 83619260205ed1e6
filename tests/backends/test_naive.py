"""The seasonal naive forecast, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import worlds

from simbench.backends.contender import configured
from simbench.backends.naive import SEASONAL_NAIVE
from simbench.records import Answers
from simbench.world.truth import draw

KEY = np.array([5, 6], dtype=np.uint32)


@pytest.fixture(scope="module")
def brief(tmp_path_factory):
    return draw(worlds.written(tmp_path_factory.mktemp("naive"), worlds.plain(weeks=130)), 1, truth=False).briefs[0]


def answered(brief):
    (reply,) = configured(SEASONAL_NAIVE, {}).answer([brief], [KEY])
    assert isinstance(reply, Answers), reply
    return reply


def test_it_repeats_last_year_with_the_spread_of_past_years(brief):
    kpi = brief.panel.kpi[:, 0]
    change = kpi[52:] - kpi[:-52]
    rms = np.sqrt((change**2).mean())
    forecast = answered(brief).forecast[..., 0]
    assert forecast.shape == (256, 8)
    np.testing.assert_array_less(np.abs(forecast.mean(axis=0) - kpi[78:86]), 5 * rms / 16)
    assert forecast.std() == pytest.approx(np.sqrt(rms**2 + kpi[78:86].var()), rel=0.1)


def test_it_answers_nothing_else(brief):
    assert [field for field, value in answered(brief)._asdict().items() if value is not None] == ["forecast"]


@pytest.mark.parametrize("origin", [5, 40, 60])
def test_short_history_repeats_its_last_weeks(brief, origin):
    kpi = brief.panel.kpi.copy()
    kpi[origin:] = np.nan
    forecast = answered(brief._replace(panel=brief.panel._replace(kpi=kpi, origin=np.int32(origin)))).forecast
    year = 52 if origin >= 52 else min(origin, 8)
    expected = kpi[origin - year + np.arange(8) % year, 0]
    seen = kpi[:origin, 0]
    change = seen[year:] - seen[:-year]
    error = change if len(change) >= 13 else seen - seen.mean()
    rms = np.sqrt((error**2).mean())
    np.testing.assert_array_less(np.abs(forecast[..., 0].mean(axis=0) - expected), 5 * rms / 16)
    assert forecast[..., 0].std(axis=0).mean() == pytest.approx(rms, rel=0.1)


def test_geos_move_together_as_they_did(brief):
    """Two geos of which the second is three times the first: so are its errors."""
    kpi = brief.panel.kpi * [1.0, 3.0]
    panel = brief.panel._replace(
        kpi=kpi,
        population=np.ones(2),
        **{f: np.repeat(getattr(brief.panel, f), 2, axis=1) for f in ("lever", "spend", "controls")},
    )
    forecast = answered(brief._replace(panel=panel)).forecast
    np.testing.assert_allclose(forecast[..., 1], 3 * forecast[..., 0], rtol=1e-3)
