"""What every backend must do, over the registry."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import worlds

from simbench import briefs
from simbench.backends.registry import NATIVE, backend_named
from simbench.errors import BadInput
from simbench.records import Failure
from simbench.world.truth import draw

KEYS = [np.array([i, 7], dtype=np.uint32) for i in range(20)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw(worlds.written(tmp_path_factory.mktemp("b"), worlds.plain()), 3, truth=False)


@pytest.fixture(params=sorted(NATIVE))
def backend(request):
    return backend_named(request.param)


def fields(answers):
    return {field: jax.tree.leaves(value) for field, value in answers._asdict().items() if value is not None}


def test_answers_have_the_asked_shapes(backend, drawn):
    brief = drawn.briefs[0]
    (answers,) = backend.answer([brief], KEYS[:1])
    draws = answers.contribution.shape[0]
    questions, (weeks, geos, channels) = brief.questions, brief.panel.lever.shape
    windows, multipliers = questions.windows.shape[0], questions.multipliers.shape[0]
    assert draws in (1, questions.sizes.draws)
    expected = {
        "contribution": (draws, windows, channels),
        "marginal": (draws, windows, channels),
        "curve": (draws, channels, multipliers),
        "impulse": (draws, channels, questions.sizes.impulse_lags),
        "baseline": (draws, weeks),
        "contribution_geo": (draws, geos, channels),
        "forecast": (draws, questions.future.lever.shape[0], geos),
        "plan_value": (draws, questions.plans.shape[0]),
    }
    for field, shape in expected.items():
        assert getattr(answers, field).shape == shape, field
    for problem, response in zip(questions.problems, answers.response, strict=True):
        assert response.shape == (draws, *problem.levels.shape)


def test_the_same_cell_in_any_company_gets_bit_identical_answers(backend, drawn):
    together = backend.answer(drawn.briefs, KEYS[:3])
    alone = backend.answer([drawn.briefs[2]], [KEYS[2]])
    for field, leaves in fields(alone[0]).items():
        for mine, theirs in zip(leaves, fields(together[2])[field], strict=True):
            assert np.array_equal(mine, theirs, equal_nan=True), field


def test_trailing_masked_weeks_change_nothing(backend, drawn):
    """Rows at or after the origin are garbage and NaN: the answer is that of the shorter panel."""
    brief = drawn.briefs[0]
    cut = 55
    questions = brief.questions._replace(windows=np.array([[0, cut], [10, cut]], np.int32))
    series = ("lever", "spend", "kpi", "controls", "calendar", "mask")
    panel = brief.panel._replace(origin=np.int32(cut))
    short = brief._replace(questions=questions, panel=panel._replace(**{f: getattr(panel, f)[:cut] for f in series}))
    replies = [backend.answer([short], KEYS[:1])[0]]
    for garbage in (np.nan, 1e7):
        spoilt = {f: getattr(panel, f).copy() for f in series}
        for f in series[:-1]:
            spoilt[f][cut:] = garbage
        spoilt["mask"][cut:] = 0
        replies.append(
            backend.answer([brief._replace(questions=questions, panel=panel._replace(**spoilt))], KEYS[:1])[0]
        )
    assert not any(isinstance(reply, Failure) for reply in replies), replies
    for long in replies[1:]:
        for field, leaves in fields(replies[0]).items():
            for mine, theirs in zip(leaves, fields(long)[field], strict=True):
                theirs = theirs[:, :cut] if field == "baseline" else theirs
                np.testing.assert_allclose(theirs, mine, rtol=1e-6, atol=1e-6 * np.nanmax(np.abs(mine)), err_msg=field)


def test_money_in_other_units_scales_the_answers(backend, drawn):
    brief, factor = drawn.briefs[0], 1024.0
    panel, questions, context = brief
    money = questions.problems
    scaled = brief._replace(
        panel=panel._replace(lever=panel.lever * factor, spend=panel.spend * factor),
        questions=questions._replace(
            future=questions.future._replace(
                lever=questions.future.lever * factor, spend=questions.future.spend * factor
            ),
            plans=questions.plans * factor,
            problems=tuple(
                p._replace(
                    **{
                        f: getattr(p, f) * factor
                        for f in ("base", "status_quo", "levels", "lower", "upper", "budget", "group_low", "group_high")
                    }
                )
                for p in money
            ),
        ),
        context=context._replace(spend_scale=context.spend_scale * factor, unit_value=context.unit_value * factor),
    )
    one, other = backend.answer([brief], KEYS[:1])[0], backend.answer([scaled], KEYS[:1])[0]
    for field, scale in (
        ("contribution", 1.0),
        ("marginal", 1 / factor),
        ("curve", 1.0),
        ("forecast", 1.0),
        ("plan_value", factor),
    ):
        mine, theirs = getattr(one, field), getattr(other, field)
        np.testing.assert_allclose(
            theirs, scale * mine, rtol=1e-6, atol=1e-6 * np.nanmax(np.abs(theirs)), err_msg=field
        )


def test_a_world_that_cannot_be_answered_fails_alone(backend, drawn):
    good, bad = drawn.briefs[0], drawn.briefs[1]
    poisoned = bad._replace(context=bad.context._replace(kpi_scale=np.float64(np.nan)))
    first, second = backend.answer([good, poisoned], KEYS[:2])
    assert not isinstance(first, Failure)
    assert isinstance(second, Failure) and second.reason == "nonfinite"


def test_a_national_model_answers_national_fields_of_a_geo_panel(backend, tmp_path):
    brief = draw(worlds.written(tmp_path, worlds.plain(geos=3)), 1, truth=False).briefs[0]
    (answers,) = backend.answer([brief], KEYS[:1])
    assert answers.contribution_geo is None and np.isfinite(answers.contribution).all()


def test_unknown_names_get_the_nearest():
    with pytest.raises(BadInput, match="did you mean 'ols'"):
        backend_named("olss")
    assert briefs.one(np.arange(3), 1) == 1
