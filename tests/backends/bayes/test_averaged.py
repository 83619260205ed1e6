"""Stacking: predictions of weeks left out, weights, and mixtures of answers."""

from __future__ import annotations

import bayes_by_hand as by_hand
import jax
import numpy as np
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from simbench.backends.bayes import averaged, density
from simbench.backends.bayes.data import data_of
from simbench.backends.bayes.models import MODELS
from simbench.backends.registry import backend_named
from simbench.blocks import in_float64
from simbench.errors import BadInput
from simbench.records import Answers, Diagnostics, Failure
from simbench.world.truth import draw

KEY = np.array([5, 6], dtype=np.uint32)
OPTIONS = {option.name: option.default for option in MODELS["national"].options}
MODEL = MODELS["national"].make(**OPTIONS)
WEEKS = 104
LATE = {
    "effect": np.array([3.0, 1.0]), "retention": np.array([0.5, 0.3]), "peak": np.array([4.0, 0.5]),
    "half_at": np.array([1.0, 1.2]), "slope": np.array([1.3, 1.0]),
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Two years of a flighted and an always-on channel."""
    return draw(worlds.written(tmp_path_factory.mktemp("averaged"), worlds.plain(weeks=WEEKS)), 2, truth=False).briefs


def follows(brief, values, changed, noise=0.02):
    """The brief with a KPI that follows a model of the family."""
    options = OPTIONS | changed
    (geo,) = by_hand.seen("national", brief)
    mean = 1 + by_hand.media("national", options, brief, geo, values) @ values["effect"]
    errors = noise * np.random.default_rng(11).standard_normal(WEEKS)
    return brief._replace(panel=brief.panel._replace(kpi=(geo.kpi.mean() * (mean + errors))[:, None]))


# --- weeks left out


def test_a_week_is_predicted_by_a_posterior_that_has_not_seen_it(drawn):
    """One over the posterior mean of one over its density, which needs no weights; in a case where that is tame.

    A posterior that has seen the week would promise more, in every week.
    """
    points = 0.3 * np.random.default_rng(1).standard_normal((2000, 9))

    def program(points, brief):
        data = data_of(brief, MODEL)
        each = jax.vmap(lambda z: density.left_out(MODEL, density.placed(MODEL, z, data), data))(points)
        return averaged.predicted(MODEL, points, data), each, data.scale

    told, each, scale = in_float64(jax.jit(program), points, drawn[0])
    each, told = each[:, 0, :WEEKS], told[0]
    plain = -np.log(np.exp(-each).mean(axis=0)) - np.log(scale)
    np.testing.assert_allclose(told[:WEEKS], plain, atol=0.005)
    assert not told[WEEKS:].any()
    seen = np.log(np.exp(each).mean(axis=0)) - np.log(scale)
    assert (told[:WEEKS] < seen).all() and (seen - plain).mean() > 0.03


# --- weights


@st.composite
def densities(draw):
    """Log densities [K, N] of models that are right about different weeks."""
    models, weeks = draw(st.integers(2, 6)), draw(st.integers(5, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    return draw(st.floats(0.1, 3.0)) * rng.standard_normal((models, weeks)) - rng.uniform(0, 2, (models, 1))


def promised(weights, told):
    """What a mixture scores a week."""
    return np.log(weights @ np.exp(told)).mean()


@given(densities())
@settings(max_examples=30, deadline=None)
def test_no_weights_predict_better(told):
    """Those of a general optimiser among them; and in another order they are the same."""
    weights = averaged.stacked(told)
    assert weights.sum() == pytest.approx(1.0) and (weights >= 0).all()
    count = len(told)
    found = minimize(
        lambda w: -promised(w, told), np.full(count, 1 / count), method="SLSQP", bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, options={"ftol": 1e-12, "maxiter": 500},
    )  # fmt: skip
    others = [found.x / found.x.sum(), *np.eye(count), *np.random.default_rng(0).dirichlet(np.ones(count), 50)]
    assert promised(weights, told) >= max(promised(np.maximum(w, 0), told) for w in others) - 1e-4
    np.testing.assert_allclose(averaged.stacked(told[::-1]), weights[::-1], atol=1e-9)


@given(densities(), st.floats(-1e4, 1e4))
@settings(max_examples=20, deadline=None)
def test_the_unit_of_the_kpi_does_not_matter(told, shift):
    np.testing.assert_allclose(averaged.stacked(told + shift), averaged.stacked(told), atol=1e-6)


def test_a_model_that_is_nowhere_finite_gets_nothing():
    told = np.array([[-1.0, -2.0, -1.0], [0.0, np.nan, 0.0], [-3.0, -1.0, -2.0]])
    weights = averaged.stacked(told)
    assert weights[1] == 0.0 and weights.sum() == pytest.approx(1.0)
    assert not averaged.stacked(np.full((2, 3), np.nan)).any()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12).filter(lambda w: sum(w) > 0.1), st.integers(1, 500))
def test_draws_are_shared_out_by_weight(weights, draws):
    counts = averaged.shared_out(np.array(weights), draws)
    assert counts.sum() == draws and (counts >= 0).all()
    assert (abs(counts - draws * np.array(weights) / sum(weights)) <= 1.0 + 1e-9).all()


# --- mixtures


def part(start, count=100, **told):
    """Answers whose every field says which draw it is of."""
    names = start + np.arange(count, dtype=float)
    known = dict.fromkeys(Diagnostics._fields, np.float64(np.nan)) | told
    return Answers(
        contribution=names[:, None, None], forecast=names[:, None, None], response=(names[:, None, None],),
        diagnostics=Diagnostics(**known),
    )  # fmt: skip


def test_draws_stay_whole_and_come_from_all_over_their_model():
    mixture = averaged.mixed(KEY, [(30, part(0)), (70, part(1000))])
    names = mixture.contribution.ravel()
    for field in (mixture.forecast, mixture.response[0]):
        np.testing.assert_array_equal(field.ravel(), names)
    assert (names < 500).sum() == 30 and len(set(names)) == 100
    assert names[names < 500].mean() == pytest.approx(49.5, abs=2.0)
    assert 5 < (names[:50] < 500).sum() < 25  # both kinds in every stretch


def test_a_mixture_is_no_better_than_the_worst_in_it():
    told = averaged.worst([
        Diagnostics(1.0, 500.0, 0.0, np.nan, 1.0, 0.0), Diagnostics(1.2, 90.0, 3.0, np.nan, 0.0, 1.0),
    ])  # fmt: skip
    assert told[:3] == (1.2, 90.0, 3.0) and np.isnan(told.khat_max) and told[4:] == (0.0, 1.0)


# --- the contender


def test_the_kind_that_the_kpi_follows_gets_the_weight(drawn):
    """Effects that peak after four weeks: a geometric carry-over cannot, and the mixture does as the other alone."""
    brief = follows(drawn[0], LATE, {"carry_over": "delayed"})

    def arrived(name):  # share of the first channel's effect within two weeks, mean over draws
        (told,) = backend_named(name).answer([brief], [KEY])
        return float(told.impulse[:, 0, 2].mean())

    geometric, delayed = (arrived(f"national-laplace[carry_over={kind}]") for kind in ("geometric", "delayed"))
    both = arrived("averaged-laplace[carry_overs=geometric+delayed,curves=hill]")
    assert both == pytest.approx(delayed, abs=0.1 * (geometric - delayed))
    assert geometric - delayed > 0.2


def test_one_kind_is_the_model_of_that_kind(drawn):
    """Draws of one posterior, by other keys."""
    one, other = (
        backend_named(name).answer([drawn[0]], [KEY])[0].contribution[:, 0]
        for name in (
            "averaged-laplace[carry_overs=delayed,curves=logistic,pool=8192]",
            "national-laplace[carry_over=delayed,curve=logistic,pool=8192]",
        )
    )
    error = np.sqrt(one.var(axis=0) / len(one) + other.var(axis=0) / len(other))
    np.testing.assert_array_less(abs(one.mean(axis=0) - other.mean(axis=0)), 5 * error)
    np.testing.assert_allclose(np.log(one.std(axis=0) / other.std(axis=0)), 0.0, atol=0.3)


def test_what_no_kind_can_fit_is_a_failure(drawn):
    brief = drawn[0]
    kpi = brief.panel.kpi.copy()
    kpi[10] = np.nan
    name = "averaged-laplace[carry_overs=geometric+delayed,curves=hill]"
    lost, fine = backend_named(name).answer([brief._replace(panel=brief.panel._replace(kpi=kpi)), drawn[1]], [KEY, KEY])
    assert isinstance(lost, Failure) and lost.reason == "nonfinite"
    assert isinstance(fine, Answers) and np.isfinite(fine.contribution).all()


def test_kinds_that_are_not_known_are_told():
    with pytest.raises(BadInput, match="carry_overs"):
        backend_named("averaged-hmc[carry_overs=geometrical+delayed]")
