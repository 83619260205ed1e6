"""Briefs of a user's own data, and transforms of briefs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st

from simbench import brief_changes, briefs
from simbench.backends.registry import backend_named
from simbench.errors import BadInput
from simbench.records import Failure
from simbench.world.truth import draw

COLUMNS = {"date": "date", "kpi": "kpi", "spend": ["spend_tv", "spend_video"]}


@pytest.fixture(scope="module", params=[1, 3])
def drawn(request, tmp_path_factory):
    return draw(worlds.written(tmp_path_factory.mktemp("briefs"), worlds.plain(geos=request.param)), 1, truth=False)


def test_a_frame_of_a_brief_is_a_brief_again(drawn):
    brief = drawn.briefs[0]
    table = briefs.frame(brief, drawn.labels)
    again, labels = briefs.brief_from_table(
        table.sample(frac=1, random_state=1), **COLUMNS, geo="geo", population="population", unit_value=2.0, margin=0.6
    )
    for field in ("lever", "kpi", "population", "calendar"):
        np.testing.assert_allclose(getattr(again.panel, field), getattr(brief.panel, field), rtol=1e-12)
    assert labels.geos == drawn.labels.geos and labels.start == drawn.labels.start
    np.testing.assert_allclose(again.context.kpi_scale, brief.context.kpi_scale)
    np.testing.assert_allclose(again.questions.plans[0, :8], brief.panel.lever[60 - 52 : 60 - 44])  # last year's weeks


def test_any_contender_can_be_asked_about_it(drawn):
    brief, _ = briefs.brief_from_table(briefs.frame(drawn.briefs[0], drawn.labels), **COLUMNS, geo="geo")
    (reply,) = backend_named("ols").answer([brief], [np.array([0, 1], dtype=np.uint32)])
    assert not isinstance(reply, Failure) and np.isfinite(reply.contribution).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="spend_tv"), "no column 'spend_tv'"),
        (lambda t: t.drop(index=t.index[30]), "one row a week and geo|without gaps"),
        (lambda t: t.assign(spend_tv=-t.spend_tv - 1), "negative spend"),
        (lambda t: t.assign(kpi=t.kpi.where(t.index != 3)), "not finite"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "one row a week and geo"),
    ],
)
def test_faults_of_a_table_are_named(drawn, change, words):
    table = briefs.frame(drawn.briefs[0], drawn.labels)
    with pytest.raises(BadInput, match=words):
        briefs.brief_from_table(change(table), **COLUMNS, geo="geo")


def counted(brief):
    """The brief of a world in which contacts of tv are counted, five for a unit of money and then ever fewer."""
    price = np.array([1.02, 1.0]) ** np.arange(len(brief.panel.spend))[:, None, None]
    later = price[-1] * 1.02
    five = np.array([5.0, 0.0])
    return brief._replace(
        panel=brief.panel._replace(exposure=five * brief.panel.spend / price),
        questions=brief.questions._replace(
            future=brief.questions.future._replace(exposure=five * brief.questions.future.spend / later)
        ),
    )


def test_contacts_of_a_table_are_contacts_of_the_brief(drawn):
    brief = counted(drawn.briefs[0])
    table = briefs.frame(brief, drawn.labels)
    assert [name for name in table if name.startswith("exposure_")] == ["exposure_tv"]
    again, _ = briefs.brief_from_table(table, **COLUMNS, geo="geo", exposure={"spend_tv": "exposure_tv"})
    np.testing.assert_allclose(again.panel.exposure, brief.panel.exposure, rtol=1e-12)
    np.testing.assert_allclose(again.questions.future.exposure[:8], brief.panel.exposure[60 - 52 : 60 - 44], rtol=1e-12)
    assert briefs.brief_from_table(table, **COLUMNS, geo="geo")[0].panel.exposure is None


@pytest.mark.parametrize(
    ("exposure", "change", "words"),
    [
        ({"spend_tw": "exposure_tv"}, {}, "did you mean 'spend_tv'"),
        ({"spend_tv": "exposure"}, {}, "no column 'exposure'"),
        ({"spend_tv": "exposure_tv"}, {"exposure_tv": -1.0}, "negative contacts"),
        ({"spend_tv": "exposure_tv"}, {"exposure_tv": np.nan}, "not finite"),
    ],
)
def test_faults_of_contacts_are_named(drawn, exposure, change, words):
    table = briefs.frame(counted(drawn.briefs[0]), drawn.labels).assign(**change)
    with pytest.raises(BadInput, match=words):
        briefs.brief_from_table(table, **COLUMNS, geo="geo", exposure=exposure)


def test_contacts_go_with_a_placebo_and_do_not_know_of_errors_in_spend(drawn):
    brief = counted(drawn.briefs[0])
    other = brief_changes.placebo(brief, 0, 17).panel
    np.testing.assert_array_equal(other.exposure[17:, :, 0], brief.panel.exposure[:-17, :, 0])
    bought = other.spend[..., 0] > 0
    assert np.array_equal(bought, other.exposure[..., 0] > 0)
    noisy = brief_changes.perturbed(brief, np.random.default_rng(0), 0.5).panel
    np.testing.assert_array_equal(noisy.exposure, brief.panel.exposure)
    assert brief_changes.placebo(drawn.briefs[0], 0, 17).panel.exposure is None


def test_perturbed_spend_keeps_its_mean_and_all_else(drawn):
    brief = drawn.briefs[0]
    other = brief_changes.perturbed(brief, np.random.default_rng(0), 0.05)
    ratio = other.panel.spend[brief.panel.spend > 0] / brief.panel.spend[brief.panel.spend > 0]
    assert abs(ratio.mean() - 1) < 0.03 and 0.03 < ratio.std() < 0.07
    np.testing.assert_array_equal(other.panel.kpi, brief.panel.kpi)
    np.testing.assert_array_equal(
        other.panel.spend / np.where(other.panel.lever > 0, other.panel.lever, 1), (other.panel.lever > 0) * 1.0
    )


def test_a_placebo_keeps_the_spend_and_loses_its_timing(drawn):
    brief = drawn.briefs[0]
    other = brief_changes.placebo(brief, 0, 17)
    np.testing.assert_allclose(other.panel.spend.sum(axis=0), brief.panel.spend.sum(axis=0))
    np.testing.assert_array_equal(other.panel.spend[17:, :, 0], brief.panel.spend[:-17, :, 0])
    np.testing.assert_array_equal(other.panel.spend[..., 1], brief.panel.spend[..., 1])
    assert not np.array_equal(other.panel.spend[..., 0], brief.panel.spend[..., 0])


def test_scales_follow_the_spend_that_is_seen(drawn):
    brief = drawn.briefs[0]
    for other in (brief_changes.perturbed(brief, np.random.default_rng(1), 0.5), brief_changes.placebo(brief, 1, 9)):
        np.testing.assert_allclose(other.context.spend_scale, other.panel.spend.sum(axis=1).mean(axis=0), rtol=1e-12)
        np.testing.assert_array_equal(other.questions.problems[0].levels, brief.questions.problems[0].levels)
    noisy = brief_changes.perturbed(brief, np.random.default_rng(1), 0.5)
    assert not np.allclose(noisy.context.spend_scale, brief.context.spend_scale, rtol=1e-3)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""), ("  ", ""), ("origin:0", ""), ("origin:-13", "origin:-13"), (" origin : -013 ", "origin:-13"),
        ("perturbed:5e-2", "perturbed:0.05"), ("perturbed:1", "perturbed:1.0"), ("placebo:tv: 26", "placebo:tv:26"),
    ],
)  # fmt: skip
def test_a_transform_is_written_one_way(text, canonical):
    assert brief_changes.parse_transform(text).text == canonical
    assert brief_changes.parse_transform(canonical) == brief_changes.parse_transform(text)


@given(
    st.integers(max_value=-1),
    st.floats(1e-12, 1),
    st.integers(min_value=1),
    st.from_regex("[a-z][a-z0-9_-]{0,20}", fullmatch=True),
)
def test_the_text_of_a_transform_says_all_of_it(back, sd, shift, channel):
    for values in (("origin", back), ("perturbed", sd), ("placebo", channel, shift)):
        asked = brief_changes.parse_transform(":".join(map(str, values)))
        assert (asked.name, *asked.values) == values and brief_changes.parse_transform(asked.text) == asked
        assert asked.origin == (back if asked.name == "origin" else 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("orign:-13", "'orign' is not known; did you mean 'origin'"), ("shuffle", "one of origin, perturbed, placebo"),
        (":3", "one of origin"), ("origin:13", "such as origin:-13"), ("origin", "such as origin:-13"),
        ("origin:-1.5", "such as origin:-13"), ("origin:-1:2", "such as origin:-13"), ("perturbed:nan", "at most 1"),
        ("perturbed:0", "above 0"), ("perturbed:1.5", "at most 1"), ("placebo:tv", "such as placebo:tv:26"),
        ("placebo:tv:0", "such as placebo:tv:26"), ("placebo:3:tv", "such as placebo:tv:26"),
    ],
)  # fmt: skip
def test_transforms_that_cannot_be_read_say_what_can(text, words):
    with pytest.raises(BadInput, match=words) as caught:
        brief_changes.parse_transform(text)
    assert "\n" not in str(caught.value)


def test_the_status_quo_stands_for_the_same_weeks_of_last_year():
    np.testing.assert_array_equal(briefs.status_quo_weeks(156, 3), [104, 105, 106])
    np.testing.assert_array_equal(briefs.status_quo_weeks(60, 54)[[0, 51, 52]], [8, 59, 8])
    np.testing.assert_array_equal(briefs.status_quo_weeks(30, 10), np.arange(20, 30))
    np.testing.assert_array_equal(briefs.status_quo_weeks(4, 6), [0, 1, 2, 3, 0, 1])
