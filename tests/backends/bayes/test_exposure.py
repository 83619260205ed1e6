"""Contacts in the place of money: what a model takes of them, and that its answers stay answers about money."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
import pytest

from simbench.backends.bayes import density
from simbench.backends.bayes.answers import answer_structure, structure_of
from simbench.backends.bayes.data import data_of
from simbench.backends.bayes.models import MODELS
from simbench.blocks import in_float64
from simbench.briefs import brief_from_table

WEEKS, HORIZON, GEOS = 40, 26, 2
CHANNELS = ("tv", "video", "radio")
OPTIONS = {option.name: option.default for option in MODELS["geo-hierarchical"].options}
MONEY, CONTACTS = (MODELS["geo-hierarchical"].make(**OPTIONS | {"media": media}) for media in ("spend", "exposure"))


@pytest.fixture(scope="module")
def brief():
    """Prices of tv rise, radio's contacts are not counted; tv pauses in weeks 10 to 14, and in one geo throughout."""
    import pandas as pd

    random = np.random.default_rng(3)
    week, geo = (x.ravel() for x in np.meshgrid(np.arange(WEEKS), np.arange(GEOS), indexing="ij"))
    spend = {name: random.gamma(2.0, 50.0, len(week)) for name in CHANNELS}
    spend["tv"] *= ~((week >= 10) & (week < 15)) & (geo == 0)
    seen = {"seen tv": spend["tv"] * 7 * 1.01**-week, "seen video": 0.5 * spend["video"] * random.uniform(0.8, 1.2)}
    table = pd.DataFrame({
        "week": pd.Timestamp("2022-01-03") + pd.to_timedelta(7 * week, "D"), "geo": geo, **spend, **seen,
        "sales": 1000 + 2 * np.sqrt(spend["tv"]) + random.normal(0, 20, len(week)),
    })  # fmt: skip
    counted = {"tv": "seen tv", "video": "seen video"}
    made, _ = brief_from_table(table, date="week", kpi="sales", spend=CHANNELS, geo="geo", exposure=counted)
    return made


def seen_by(model, brief):
    """The brief as a model sees it."""
    return in_float64(jax.jit(partial(data_of, model=model)), brief)


def rate_of(brief):
    """What a unit of money buys, week by week: the definition, in loops. [N, G, C]."""
    panel, future = brief.panel, brief.questions.future
    origin, ahead = int(panel.origin), len(future.controls)
    rate = np.ones((len(panel.spend) + ahead, GEOS, len(CHANNELS)))
    for c in range(len(CHANNELS)):
        seen = np.concatenate([panel.exposure[:origin, :, c], future.exposure[:, :, c]])
        paid = np.concatenate([panel.spend[:origin, :, c], future.spend[:, :, c]])
        if not panel.exposure[:origin, :, c].any():
            continue
        usual = panel.exposure[:origin, :, c].sum() / panel.spend[:origin, :, c].sum()
        for g in range(GEOS):
            last = None
            for n in range(len(rate)):
                if n < len(paid) and paid[n].sum() > 0:
                    last = seen[n, g] / paid[n, g] if paid[n, g] > 0 else seen[n].sum() / paid[n].sum()
                rate[n, g, c] = last / usual
    return rate


def test_contacts_by_hand(brief):
    data = seen_by(CONTACTS, brief)
    expected = rate_of(brief)
    np.testing.assert_allclose(data.rate, expected, rtol=1e-12)
    np.testing.assert_allclose(data.rate[:WEEKS, 0, 0] / data.rate[0, 0, 0], _prices(), rtol=1e-9)
    assert (data.rate[..., 2] == 1).all()
    contacts = data.lagged[:, :, 0, :WEEKS] * data.money[..., None]
    usual = brief.panel.exposure.sum(axis=(0, 1)) / brief.panel.spend.sum(axis=(0, 1))
    for c in (0, 1):
        np.testing.assert_allclose(contacts[:, c], brief.panel.exposure[..., c].T / usual[c], rtol=1e-12)
    np.testing.assert_allclose(contacts[:, 2], brief.panel.spend[..., 2].T, rtol=1e-12)


def _prices():
    """Dearer week by week; in a pause the last price stands."""
    week = np.arange(WEEKS)
    return 1.01 ** -np.where((week >= 10) & (week < 15), 9, week).astype(float)


def test_what_is_not_seen_is_not_looked_at(brief):
    """Hidden rows may hold anything, and the unit of contacts means nothing."""
    from simbench.backends.changed import in_contacts, with_origin

    others = with_origin(brief, 0.0), with_origin(brief, np.nan), in_contacts(with_origin(brief, 1e7), 2.0**-9)
    told = [seen_by(CONTACTS, other) for other in others]
    for other in told[1:]:
        jax.tree.map(np.testing.assert_array_equal, told[0], other)
    np.testing.assert_allclose(told[0].rate[:35], rate_of(with_origin(brief, 0.0))[:35], rtol=1e-12)


def test_money_acts_unless_contacts_are_asked_for_and_counted(brief):
    plain = brief._replace(panel=brief.panel._replace(exposure=None))
    not_asked, not_counted = seen_by(MONEY, brief), seen_by(CONTACTS, plain)
    assert not_asked.rate is None
    jax.tree.map(np.testing.assert_array_equal, not_asked, not_counted)


def test_answers_are_those_of_a_world_whose_money_is_its_contacts(brief):
    """Levers, plans and units in contacts that cost one each: the same KPI, and money is what it was."""
    rate = rate_of(brief)
    panel, questions, ahead = brief.panel, brief.questions, rate[WEEKS:][:HORIZON]
    future = questions.future
    in_contacts = brief._replace(
        panel=panel._replace(lever=panel.lever * rate[:WEEKS], exposure=panel.spend),
        questions=questions._replace(
            future=future._replace(lever=future.lever * ahead, exposure=future.spend), plans=questions.plans * ahead,
            problems=tuple(p._replace(weight=p.weight * ahead) for p in questions.problems),
        ),
    )  # fmt: skip

    @jax.jit
    def answered(asked):
        data = data_of(asked, CONTACTS)
        points = 0.5 * jax.random.normal(jax.random.key(1), (3, density.dimension(CONTACTS, data)))
        structure = structure_of(CONTACTS, jax.random.key(2), points, data)
        return answer_structure(CONTACTS.curve, jax.random.key(3), structure, asked)

    told, other = in_float64(answered, brief), in_float64(answered, in_contacts)
    for field in ("contribution", "curve", "baseline", "contribution_geo", "forecast", "response"):
        for a, b in zip(jax.tree.leaves(getattr(told, field)), jax.tree.leaves(getattr(other, field)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(b).max(), err_msg=field)
    paid = questions.plans.sum(axis=(1, 2, 3)) - questions.plans[0].sum()
    contacts = in_contacts.questions.plans.sum(axis=(1, 2, 3)) - in_contacts.questions.plans[0].sum()
    np.testing.assert_allclose(told.plan_value + paid, other.plan_value + contacts, rtol=1e-8)
