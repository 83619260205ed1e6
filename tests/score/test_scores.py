"""Every score against plain loops, and what happens when something is not there."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score import slow
from score.cases import answered, by_name, case, true

from simbench.errors import BadInput
from simbench.records import Answers, Decision, Decisions, Diagnostics
from simbench.score import METRICS
from simbench.score.catalogue import SCORES
from simbench.score.rows import STATUS
from simbench.score.user import from_function, one


def scored(given_case):
    return by_name(column for metric in METRICS for column in metric.columns(given_case))


def worded(column):
    return [STATUS[code] for code in column.status]


@pytest.mark.parametrize(
    ("seed", "shape"),
    [
        (0, {"draws": 256}),
        (1, {"draws": 199, "geos": 2, "spread": 0.05}),
        (2, {"draws": 256, "weeks": 60, "spread": 2.0}),
    ],
    ids=["national", "narrow and two geos", "short history and wide"],
)
def test_every_score_is_what_plain_loops_say(seed, shape):
    made = case(np.random.default_rng(seed), cells=2, **shape)
    found = scored(made)
    for r in range(2):
        expected = slow.scores(one(made, r))
        assert len(expected) > 90
        for name, value in expected.items():
            column = found[name]
            # roots on a grid of points are linear between them
            loose = 2e-3 if name.startswith(("break-even", "half-marginal")) else 0
            np.testing.assert_allclose(column.value[r], value, rtol=1e-7, atol=1e-9 + loose, err_msg=name)


def test_values_are_missing_exactly_where_there_is_a_reason():
    for column in scored(case(np.random.default_rng(0), draws=1)).values():
        np.testing.assert_array_equal(np.isnan(column.value), column.status != 0)


def test_nothing_answered_is_told_for_every_family():
    made = case(np.random.default_rng(0))
    nobody = Decision(*[np.full_like(x, np.nan) for x in made.decisions.own[0]])
    empty = made._replace(answers=Answers(), decisions=Decisions(*((nobody,) * 2,) * 4, (nobody.value,) * 2))
    found = scored(empty)
    for name in ("contribution/all/error", "contribution/all/crps", "marginal roas/all/error", "curve/all/error inside",
                 "half-life/all/error", "baseline/all/leakage", "forecast/all/crps", "plan/all/error",
                 "decision/problem:0/regret", "break-even spend/problem:1/error"):  # fmt: skip
        assert worded(found[name]) == ["not answered"] * 3, name
    assert worded(found["decision/problem:0/gain"]) == ["ok"] * 3


def test_a_point_estimate_has_no_uncertainty_but_errors():
    made = case(np.random.default_rng(0), draws=1)
    repeated = jax.tree.map(lambda x: x, made.answers)
    many = made._replace(answers=repeated._replace(contribution=np.repeat(repeated.contribution, 256, axis=1)))
    view = np.broadcast_to(repeated.contribution, (3, 256, *repeated.contribution.shape[2:]))
    for variant in (made, many, answered(made, contribution=view)):
        found = scored(variant)
        assert worded(found["contribution/all/coverage 90%"]) == ["no uncertainty"] * 3
        assert worded(found["contribution/all/crps"]) == ["no uncertainty"] * 3
        assert worded(found["contribution/all/silent failure"]) == ["no uncertainty"] * 3
        np.testing.assert_allclose(
            found["contribution/all/error"].value, scored(made)["contribution/all/error"].value, rtol=1e-12
        )
    off = np.abs(made.answers.forecast[:, 0].sum(-1) - made.truth.kpi_future.sum(-1)).mean(-1)
    np.testing.assert_allclose(scored(made)["forecast/all/crps"].value, off / made.brief.context.kpi_scale)


@pytest.mark.parametrize(
    ("draws", "level", "enough"), [(18, "90%", False), (19, "90%", True), (8, "80%", False), (9, "80%", True)]
)
def test_levels_need_enough_draws(draws, level, enough):
    column = scored(case(np.random.default_rng(0), draws=draws))[f"contribution/all/coverage {level}"]
    assert worded(column) == ["ok" if enough else "not enough draws"] * 3


def test_quantile_submissions_have_intervals_and_medians_only():
    rng = np.random.default_rng(3)
    made = case(rng, draws=4000)
    levels = np.array([0.05, 0.1, 0.25, 0.4, 0.6, 0.75, 0.9, 0.95], dtype=np.float32)
    fields = {
        name: np.moveaxis(np.quantile(getattr(made.answers, name), levels.astype(float), axis=1), 0, 1)
        for name in ("contribution", "marginal", "curve", "impulse", "baseline", "forecast", "plan_value")
    }
    submission = made._replace(answers=Answers(**fields, levels=np.broadcast_to(levels, (3, len(levels)))))
    full, found = scored(made), scored(submission)
    for name in (
        "contribution/all/interval score 90%",
        "contribution/all/error",
        "forecast/all/wmape",
    ):
        np.testing.assert_allclose(found[name].value, full[name].value, rtol=0.05, atol=0.01, err_msg=name)
    # 80% ends are answered levels: coverage is the same; no level of .5 is answered, the median is linear between
    np.testing.assert_array_equal(
        found["contribution/all/coverage 80%"].value, full["contribution/all/coverage 80%"].value
    )
    middle = (fields["contribution"][:, 3, 0] + fields["contribution"][:, 4, 0]) / 2
    np.testing.assert_allclose(found["contribution/channel:1/median"].value, middle[:, 1], rtol=1e-6)
    for name in (
        "contribution/all/crps",
        "forecast/all/crps",
        "contribution/all/confident error",
        "contribution/all/energy",
    ):
        assert worded(found[name]) == ["not enough draws"] * 3, name
    geos = case(rng, draws=8, geos=2)
    summed = scored(answered(geos, levels=np.broadcast_to(levels, (3, 8))))
    assert worded(summed["forecast/all/wmape"]) == ["not enough draws"] * 3


def test_idle_and_small_channels():
    made = case(np.random.default_rng(4))
    told = made.truth.answers
    idle = told.contribution.copy()
    idle[:, :, 0] = 0.0
    marginal, curve = told.marginal.copy(), told.curve.copy()
    marginal[:, :, 0], curve[:, 0] = np.nan, np.nan
    paid = made.truth.paid.copy()
    paid[:, :, 0] = 0.0
    quiet = true(made, contribution=idle, marginal=marginal, curve=curve)
    found = scored(quiet._replace(truth=quiet.truth._replace(paid=paid)))
    for name in ("roas/channel:0/error", "contribution/channel:0/relative error", "marginal roas/channel:0/error",
                 "curve/channel:0/error inside"):  # fmt: skip
        assert worded(found[name]) == ["undefined"] * 3, name
    for name in ("contribution/channel:0/share points", "contribution/channel:0/log error", "contribution/all/error",
                 "marginal roas/all/error", "marginal roas/all/rank agreement", "curve/all/error inside"):  # fmt: skip
        assert worded(found[name]) == ["ok"] * 3, name


def test_what_was_answered_cannot_remove_a_score():
    """NaN where the truth has a number is not answered; credit below 0 is floored, not dropped."""
    made = case(np.random.default_rng(5))
    found = scored(
        answered(made, marginal=np.full_like(made.answers.marginal, np.nan), contribution=-made.answers.contribution)
    )
    assert worded(found["marginal roas/channel:0/error"]) == ["not answered"] * 3
    assert worded(found["contribution/channel:0/log error"]) == ["ok"] * 3
    assert (found["contribution/channel:0/log error"].value < 0).all()
    np.testing.assert_array_equal(found["contribution/all/share distance"].value, 1.0)


def test_a_baseline_that_is_off_by_a_constant_does_not_follow_spend():
    made = case(np.random.default_rng(5))
    told = made.truth.answers.baseline[:, None]
    for off, expected in ((500.0, 0.0), (0.01 * made.brief.panel.spend.sum(axis=(2, 3))[:, None], 1.0)):
        found = scored(answered(made, baseline=np.repeat(told + off, 3, axis=1)))["baseline/all/correlation with spend"]
        np.testing.assert_allclose(found.value, expected, atol=1e-9)
    steady = made.brief._replace(panel=made.brief.panel._replace(spend=np.ones_like(made.brief.panel.spend)))
    assert worded(scored(made._replace(brief=steady))["baseline/all/correlation with spend"]) == ["undefined"] * 3


def test_bought_channels_are_compared_inside_only():
    made = case(np.random.default_rng(6))
    bought = np.zeros((3, 4))
    bought[:, 2] = 1
    found = scored(made._replace(brief=made.brief._replace(context=made.brief.context._replace(bought=bought))))
    assert worded(found["curve/channel:2/error outside"]) == ["undefined"] * 3
    assert worded(found["curve/channel:2/error inside"]) == ["ok"] * 3


def test_common_allocation_stands_in_where_nobody_allocates():
    made = case(np.random.default_rng(7))
    none = Decision(*[np.full_like(x, np.nan) for x in made.decisions.own[0]])
    found = scored(made._replace(decisions=made.decisions._replace(own=(none, made.decisions.own[1]))))
    np.testing.assert_array_equal(
        found["decision/problem:0/regret"].value, found["decision/problem:0/common regret"].value
    )
    np.testing.assert_array_equal(
        found["decision/problem:1/regret"].value, found["decision/problem:1/own regret"].value
    )
    assert worded(found["decision/problem:0/projected"]) == ["not answered"] * 3


def test_more_than_the_proven_bound_is_flagged_and_no_gain_is_no_ratio():
    made = case(np.random.default_rng(8))
    best = made.truth.optima[0]
    above = best.upper_bound + np.array([0.0, 3.9, 5.0])
    own = made.decisions.own[0]._replace(value=above)
    flat = best._replace(reference_value=best.value - 1e-3)
    changed = made._replace(
        truth=made.truth._replace(optima=(best, flat)),
        decisions=made.decisions._replace(own=(own, made.decisions.own[1])),
    )
    found = scored(changed)
    np.testing.assert_array_equal(found["decision/problem:0/below optimum"].value, [0, 0, 1])
    assert worded(found["decision/problem:1/normalised regret"]) == ["undefined"] * 3


def test_more_than_an_optimum_without_a_bound_is_flagged():
    """Channels interact: beside the amounts of a search there is no bound, but nobody should find better ones."""
    made = case(np.random.default_rng(8))
    best, spend = made.truth.optima[0], made.brief.questions.problems[0].status_quo.sum(axis=1)

    def flagged(above, error, bound):
        loose = best._replace(upper_bound=best.value + bound, mc_se=np.full(3, error))
        own = made.decisions.own[0]._replace(value=best.value + above)
        changed = made._replace(
            truth=made.truth._replace(optima=(loose, made.truth.optima[1])),
            decisions=made.decisions._replace(own=(own, made.decisions.own[1])),
        )
        return scored(changed)["decision/problem:0/below optimum"].value.tolist()

    assert flagged(np.array([-1.0, 3.9, 4.1]), 1.0, np.inf) == [0, 0, 1]
    assert flagged(spend * np.array([0.0, 5e-7, 2e-6]), 0.0, np.inf) == [0, 0, 1]  # no luck: the future is known
    assert flagged(np.array([3.9, 4.1, 14.1]), 1.0, np.array([np.inf, 10.0, 10.0])) == [0, 0, 1]


def test_acting_only_where_it_is_sure():
    """At 80% of draws it is done what was chosen, below nothing is."""
    made = case(np.random.default_rng(10))
    best, spend = made.truth.optima[0], made.brief.questions.problems[0].status_quo.sum(axis=1)
    own = made.decisions.own[0]._replace(sure=np.array([0.79, 0.8, np.nan]))
    found = scored(made._replace(decisions=made.decisions._replace(own=(own, made.decisions.own[1]))))
    done = np.array([best.reference_value[0], own.value[1], np.nan])
    np.testing.assert_allclose(found["decision/problem:0/cautious regret"].value, (best.value - done) / spend)
    assert worded(found["decision/problem:0/uplift probability"]) == ["ok", "ok", "not answered"]


def test_rounding_is_no_harm():
    made = case(np.random.default_rng(11))
    best, spend = made.truth.optima[0], made.brief.questions.problems[0].status_quo.sum(axis=1)
    own = made.decisions.own[0]._replace(value=best.reference_value - spend * np.array([0.0, 1e-7, 1e-5]))
    found = scored(made._replace(decisions=made.decisions._replace(own=(own, made.decisions.own[1]))))
    np.testing.assert_array_equal(found["decision/problem:0/harm"].value, [0, 0, 1])
    np.testing.assert_array_equal(found["decision/problem:0/own harm"].value, [0, 0, 1])


def test_an_efficiency_gain_needs_a_fixed_total_and_media_that_bring_something():
    made = case(np.random.default_rng(12))
    problem, best = made.brief.questions.problems[0], made.truth.optima[0]

    def told(problem=problem, best=best):
        brief = made.brief._replace(questions=made.brief.questions._replace(problems=(problem, problem)))
        changed = made._replace(brief=brief, truth=made.truth._replace(optima=(best, best)))
        return worded(scored(changed)["decision/problem:0/efficiency gain"])

    assert told() == ["ok"] * 3
    wide = problem.budget * np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 2.0]])
    assert told(problem._replace(budget=wide)) == ["ok", "undefined", "undefined"]
    little = 0.005 * made.brief.context.kpi_scale * 5 * np.array([1.1, 0.9, -1.1])
    assert told(best=best._replace(idle_kpi=best.reference_kpi - little)) == ["ok", "undefined", "undefined"]
    assert told(best=best._replace(idle_kpi=None, reference_kpi=None)) == ["undefined"] * 3


def test_why_nothing_is_said_of_perfect_information():
    made = case(np.random.default_rng(13))
    name, problems = "decision/problem:0/perfect information", made.brief.questions.problems
    unknown = made._replace(decisions=made.decisions._replace(perfect=(np.full(3, np.nan),) * 2))
    assert worded(scored(made)[name]) == ["ok"] * 3
    assert worded(scored(unknown)[name]) == ["no uncertainty"] * 3
    assert worded(scored(answered(unknown, response=None))[name]) == ["not answered"] * 3
    bound = tuple(p._replace(groups=np.ones((3, 1, 4)), group_low=np.zeros((3, 1))) for p in problems)
    brief = made.brief._replace(questions=made.brief.questions._replace(problems=bound))
    assert worded(scored(made._replace(brief=brief))[name]) == ["undefined"] * 3


def test_a_silent_failure_is_a_confident_error_with_green_diagnostics():
    made = case(np.random.default_rng(9), draws=256, spread=0.02)
    wrong = answered(made, contribution=made.answers.contribution * np.array([1, 1, 3, 1.0]))
    nan = np.full(3, np.nan)
    told = Diagnostics(np.array([1.0, 1.2, np.nan]), nan, nan, nan, nan, nan)
    found = scored(answered(wrong, diagnostics=told))
    np.testing.assert_array_equal(found["contribution/channel:2/confident error"].value, 1)
    np.testing.assert_array_equal(found["contribution/channel:0/confident error"].value, 0)
    np.testing.assert_array_equal(found["contribution/channel:2/silent failure"].value, [1, 0, np.nan])
    assert worded(found["contribution/all/silent failure"]) == ["ok", "ok", "not assessable"]
    np.testing.assert_allclose(found["contribution/all/confident error"].value, 0.25)
    assert worded(found["diagnostics/all/rhat"]) == ["ok", "ok", "not answered"]
    # wrong but wide is no confident error
    wide = case(np.random.default_rng(9), draws=256, spread=3.0)
    assert not scored(wide)["contribution/all/confident error"].value.any()


def test_carry_over_by_hand():
    made = case(np.random.default_rng(0), lags=4)
    never = np.broadcast_to(np.array([0.1, 0.2, 0.3, 0.4]), made.answers.impulse.shape)
    truth = np.broadcast_to(np.array([0.5, 0.75, 1.0, 1.0]), made.truth.answers.impulse.shape)
    found = scored(true(answered(made, impulse=never), impulse=truth))
    np.testing.assert_allclose(found["half-life/channel:0/error"].value, 4 - 1.0)  # counted at the last lag
    np.testing.assert_allclose(found["mean lag/channel:0/error"].value, (4 - 0.8) - (4 - 0.5 - 0.75 - 1 - 0.5))
    np.testing.assert_allclose(found["90% duration/all/error"].value, 4 - 2.6)
    slow_truth = scored(true(made, impulse=np.broadcast_to(never[:, 0], truth.shape)))
    assert worded(slow_truth["half-life/channel:0/error"]) == ["undefined"] * 3


# --- laws


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), st.sampled_from([0.01, 7.0, 1e5]))
def test_no_score_depends_on_the_currency_or_the_unit_of_the_kpi(seed, factor):
    """KPI in other units, money in another currency: only what is measured in them changes."""
    made = case(np.random.default_rng(seed), draws=40)

    def kpi(x):
        return None if x is None else jax.tree.map(lambda leaf: leaf * factor, x)

    names = ("contribution", "curve", "baseline", "forecast", "response", "marginal")
    brief, truth = made.brief, made.truth
    context = brief.context._replace(
        kpi_scale=kpi(brief.context.kpi_scale), unit_value=brief.context.unit_value / factor
    )
    scaled = made._replace(
        brief=brief._replace(panel=brief.panel._replace(kpi=kpi(brief.panel.kpi)), context=context),
        truth=truth._replace(
            answers=truth.answers._replace(**{n: kpi(getattr(truth.answers, n)) for n in names}),
            kpi_future=kpi(truth.kpi_future),
            optima=tuple(
                x._replace(idle_kpi=kpi(x.idle_kpi), reference_kpi=kpi(x.reference_kpi)) for x in truth.optima
            ),
        ),
        decisions=made.decisions._replace(
            **{
                name: tuple(x._replace(kpi=kpi(x.kpi)) for x in reading)
                for name, reading in made.decisions._asdict().items()
                if name != "perfect"
            }
        ),
        answers=made.answers._replace(**{n: kpi(getattr(made.answers, n)) for n in names}),
    )
    before, after = scored(made), scored(scaled)
    for name, column in before.items():
        expected = column.value * factor if name.endswith("/median") else column.value
        np.testing.assert_allclose(after[name].value, expected, rtol=1e-6, atol=1e-7, err_msg=name)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), st.permutations(range(4)))
def test_permuting_channels_permutes_scores(seed, order):
    made = case(np.random.default_rng(seed), draws=40)
    told, given_ = made.truth.answers, made.answers
    panel, context = made.brief.panel, made.brief.context
    moved = made._replace(
        brief=made.brief._replace(panel=panel._replace(spend=panel.spend[..., order])),
        truth=made.truth._replace(
            answers=told._replace(
                contribution=told.contribution[..., order], marginal=told.marginal[..., order],
                curve=told.curve[:, order], impulse=told.impulse[:, order],
            ),
            paid=made.truth.paid[..., order],
        ),
        answers=given_._replace(
            contribution=given_.contribution[..., order], marginal=given_.marginal[..., order],
            curve=given_.curve[:, :, order], impulse=given_.impulse[:, :, order],
        ),
    )  # fmt: skip
    assert context.bought.sum() == 0
    before, after = scored(made), scored(moved)
    for name, column in after.items():
        if "/channel:" in name:
            head, _, rest = name.partition("channel:")
            position, _, metric = rest.partition("/")
            name = f"{head}channel:{order[int(position)]}/{metric}"
        np.testing.assert_allclose(column.value, before[name].value, rtol=1e-9, atol=1e-12, err_msg=name)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999))
def test_company_does_not_matter(seed):
    """A cell has the same scores alone and among others."""
    made = case(np.random.default_rng(seed), draws=30)
    alone = jax.tree.map(lambda x: np.asarray(x)[[1]], made)
    together, single = scored(made), scored(alone)
    for name, column in single.items():
        np.testing.assert_allclose(column.value[0], together[name].value[1], rtol=1e-12, err_msg=name)


# --- scores of a user


def test_a_function_of_one_cell_is_a_metric():
    made = case(np.random.default_rng(0))

    def largest(brief, truth, answers, decisions):
        assert answers.contribution.ndim == 3 and brief.panel.kpi.ndim == 2
        share = truth.answers.contribution[0] / brief.panel.kpi.sum()
        return {"share": share.max(), "draws": len(answers.contribution)}

    columns = list(from_function(largest).columns(made))
    assert [(c.estimand, c.unit, c.metric) for c in columns] == [
        ("largest", "all", "share"),
        ("largest", "all", "draws"),
    ]
    np.testing.assert_array_equal(columns[1].value, 64)
    (single,) = from_function(lambda *_: np.float32(2), "two").columns(made)
    assert (single.estimand, single.metric) == ("two", "value") and (single.value == 2).all()


@pytest.mark.parametrize(
    ("fn", "said"),
    [
        (lambda *_: "good", "metric mine: returned 'good' for 'value'"),
        (lambda *_: {"a": None}, "metric mine: returned None for 'a'"),
        (lambda *_: np.ones(2), "returned array"),
        (lambda *_: {3: 1.0}, "names a value 3"),
        (lambda *_: 1 / 0, "metric mine: raised ZeroDivisionError"),
    ],
)
def test_what_is_no_number_is_told(fn, said):
    with pytest.raises(BadInput, match=said):
        list(from_function(fn, "mine").columns(case(np.random.default_rng(0))))


def test_the_catalogue_knows_every_score_and_nothing_else():
    assert {(c.estimand, c.metric) for c in scored(case(np.random.default_rng(0))).values()} == set(SCORES)
