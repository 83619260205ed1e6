"""What contenders say they handle: words that a scenario can break, and no more than their form contains."""

from __future__ import annotations

import pytest

from simbench.backends.base import DATA_ALONE
from simbench.backends.bayes.models import MODELS
from simbench.backends.registry import NATIVE, RULES, backend_named
from simbench.run.plan import BREAKABLE

#: Budgets, prices or controls that follow sales or media: the response is in class, the fit is biased all the same.
DEPENDENT = {
    "exogenous-spend", "fixed-budgets", "unanticipated-spend", "exogenous-search", "exogenous-price", "proper-controls",
}  # fmt: skip
#: Broken in several ways, of which some model contains one: Student-t noise, smooth paths, missing weeks.
IN_PART = {"gaussian-noise", "constant-effect", "exact-kpi", "no-outliers"}


@pytest.mark.parametrize("name", NATIVE)
def test_every_handle_is_an_assumption_that_a_scenario_can_break(name):
    handles = backend_named(name).handles
    assert handles <= set(BREAKABLE)
    assert not handles & {"compound", *DEPENDENT, *IN_PART}
    assert bool(handles) == (name != "seasonal-naive" and name not in RULES)  # they say nothing of how media work


def test_assumptions_about_data_alone_are_words_too():
    assert DATA_ALONE.issubset(BREAKABLE)
    assert not DATA_ALONE & {*DEPENDENT, *IN_PART}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("national-laplace", {"effect-shape"}),
        ("national-laplace[curve=logistic]", set()),  # concave
        ("national-laplace[effects=free]", {"effect-shape", "positive-effect"}),
        ("robust-laplace", {"effect-shape"}),
        ("time-varying-laplace", {"effect-shape"}),
        ("geo-hierarchical-laplace", {"effect-shape", "homogeneous-geos"}),
        ("geo-hierarchical-laplace[curve=exponential]", {"homogeneous-geos"}),
        ("pymc-marketing-style-laplace", set()),
        ("pymc-marketing-style-laplace[effects=free]", {"positive-effect"}),
        ("meridian-style-laplace", set()),  # Hill of slope 1
        ("averaged-laplace", {"effect-shape"}),
        ("averaged-laplace[curves=logistic+exponential]", set()),
        ("prior-only", {"effect-shape"}),
        ("national-auto", {"effect-shape"}),
        ("numpyro-nuts", {"effect-shape"}),
        ("ols", {"positive-effect"}),
    ],
)
def test_handles_follow_from_the_form(name, more):
    """Options change the form, and with it what the model contains."""
    assert backend_named(name).handles == DATA_ALONE | more


def test_who_takes_channels_for_alike_does_not_handle_that_they_are_not():
    alike = {"comparable-channels"}
    assert backend_named("spend-share").handles == DATA_ALONE - alike
    assert backend_named("robyn-style").handles == DATA_ALONE - alike | {"effect-shape"}


def test_an_engine_changes_no_class():
    for model in MODELS:
        assert len({backend_named(f"{model}-{way}").handles for way in ("hmc", "laplace")}) == 1
