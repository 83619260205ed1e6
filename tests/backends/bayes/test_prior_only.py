"""The prior as a contender: its contributions are its returns, and no KPI but its scale has a say."""

from __future__ import annotations

import numpy as np
import pytest
import worlds

from simbench.backends.bayes.pairs import PRIOR_ONLY
from simbench.backends.contender import configured
from simbench.world.truth import draw

KEY = np.array([5, 6], dtype=np.uint32)
PRICE = '[[controls]]\nname = "price"\nmean = 10.0\nsd = 0.5\nrho = 0.8\neffect = -60.0\n'


@pytest.fixture(scope="module")
def brief(tmp_path_factory):
    """Sixty weeks, a flighted and an always-on channel, a control."""
    path = worlds.written(tmp_path_factory.mktemp("prior"), worlds.plain(extra=PRICE))
    return draw(path, 1, truth=False).briefs[0]


@pytest.fixture(scope="module")
def backend():
    return configured(PRIOR_ONLY, {"precision": "float64"})


def test_contributions_of_the_prior_are_its_returns(backend, brief):
    """Lognormal with the mean and sd the analyst expects; 256 draws, within four standard errors."""
    (reply,) = backend.answer([brief], [KEY])
    assert len(reply.contribution) == 256
    roas = reply.contribution[:, 0] * brief.context.unit_value / brief.panel.spend.sum(axis=(0, 1))
    mean, sd = brief.context.prior_roas_mean, brief.context.prior_roas_sd
    sigma = np.sqrt(np.log(1 + (sd / mean) ** 2))
    log = np.log(roas)
    np.testing.assert_array_less(abs(log.mean(axis=0) - (np.log(mean) - sigma**2 / 2)), 4 * sigma / 16)
    np.testing.assert_array_less(abs(log.std(axis=0, ddof=1) / sigma - 1), 4 / np.sqrt(2 * 255))


def test_it_looks_at_no_kpi_but_its_scale(backend, brief):
    kpi = brief.panel.kpi
    other = kpi[::-1] ** 2
    turned = brief._replace(panel=brief.panel._replace(kpi=other * kpi.mean() / other.mean()))
    one, two = backend.answer([brief, turned], [KEY, KEY])
    np.testing.assert_allclose(two.contribution, one.contribution, rtol=1e-12)
    np.testing.assert_allclose(two.forecast, one.forecast, rtol=1e-12)


def test_geos_add_up_to_the_nation_where_spend_is_split_alike(backend, brief):
    """A national model on several geos is the model of their sum: contributions, baseline and plans are the same."""
    people, shares = np.array([3.0, 1.0]), np.array([[0.8, 0.3], [0.2, 0.7]])

    def split(x):
        return x * shares

    panel, questions = brief.panel, brief.questions
    future = questions.future
    apart = brief._replace(
        panel=panel._replace(
            lever=split(panel.lever), spend=split(panel.spend), kpi=panel.kpi * [0.6, 0.4], population=people,
            controls=np.repeat(panel.controls, 2, axis=1),
        ),
        questions=questions._replace(
            plans=split(questions.plans), problems=(),
            future=future._replace(
                lever=split(future.lever), spend=split(future.spend), controls=np.repeat(future.controls, 2, axis=1)
            ),
        ),
    )  # fmt: skip
    (one,), (two,) = (backend.answer([each], [KEY]) for each in (brief, apart))
    assert two.contribution_geo is None
    for name in ("contribution", "marginal", "curve", "impulse", "baseline", "plan_value"):
        np.testing.assert_allclose(getattr(two, name), getattr(one, name), rtol=1e-9, atol=1e-9, err_msg=name)
    # errors are spread by population
    np.testing.assert_allclose(two.forecast.sum(axis=2), one.forecast[..., 0], rtol=1e-9)
