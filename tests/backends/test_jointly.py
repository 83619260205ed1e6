"""Own plans where units share levers: against the world's certified optimum, and against a search of another kind."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from plans_by_hand import Model, misses, plan_by_hand, searched, worth_by_hand

from simbench.backends.base import answer_draws
from simbench.backends.jointly import best_amounts, planned
from simbench.backends.registry import backend_named
from simbench.blocks import in_float64
from simbench.briefs import one, timeline
from simbench.estimands import Effects
from simbench.problems import GroupSpec, ProblemSpec, problem_of
from simbench.transforms import carry_late, saturate
from simbench.world.panel import world_of
from simbench.world.truth import book_in, draw
from simbench.world.worth import values

STRETCHES = '[[questions.problems]]\nname = "stretches"\npacing = 4\nbudget = [0.8, 1.1]\n' + (
    'groups = [{ channels = ["first"], low = 0.2, high = 0.4 }]\n'
)
PULSES = '[[questions.problems]]\nname = "pulses"\npacing = "steady-or-pulsed"\npulse = { on = 1, off = 2 }\n'
FIXED = '[[questions.problems]]\nname = "fixed"\n'
CONCAVE = 'kind = "hill", half_at = 1.0, slope = { dist = "uniform", low = 0.7, high = 1.0 }'
KEY = np.array([0, 7], np.uint32)
#: Share of the status quo's money that a plan may be worth less than the best there is.
LOST = 1e-4


@pytest.fixture(scope="module")
def concave(tmp_path_factory):
    channels = (
        worlds.channel("plain", worlds.FLIGHTED, money=150.0, saturation=CONCAVE),
        worlds.channel("first", saturation=CONCAVE, order="saturation-first", money=80.0),
    )
    text = worlds.scenario(*channels, geos=2, extra=STRETCHES + FIXED + PULSES, name="jointly")
    return draw(worlds.written(tmp_path_factory.mktemp("jointly"), text), 3)


def true_structure(drawn):
    """A model that is handed the structure of a world: (state at week 0, brief) -> answers of one draw."""
    form = drawn.secret.form

    def answers(state, brief):
        lever, _ = timeline(brief.panel, brief.questions.future)
        effects = world_of(form).effects(state, form.pre + jnp.arange(lever.shape[0]))
        return answer_draws(lambda _: effects, jnp.zeros(1), lever, brief)

    return answers


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_true_structure_decides_as_well_as_the_certified_optimum(concave, dtype):
    book, problems = book_in(concave.secret, concave.brief), concave.brief.questions.problems
    cast = jax.tree.map(
        lambda x: x.astype(dtype) if np.issubdtype(np.asarray(x).dtype, np.floating) else x,
        (concave.secret.start, concave.brief),
    )
    with jax.enable_x64(dtype == np.float64):
        program = jax.jit(true_structure(concave))
        told = [jax.tree.map(np.asarray, program(*one(cast, i))) for i in range(3)]
    for p in (0, 2):
        best, money = concave.truth.optima[p], problems[p].status_quo.sum(axis=1)
        amounts = np.stack([np.asarray(each.allocation[p], float) for each in told])
        assert (best.certified == 1).all()
        for i in range(3):
            assert misses(one(problems[p], i), amounts[i]) <= 1e-6 * money[i]
        worth = values(book, problems[p], amounts[:, None])[0][:, 0]
        assert (best.value - worth <= LOST * money).all() and (worth - best.upper_bound <= LOST * money).all()
        # who knows the structure keeps his promise
        promise = [each.promise[p].mean() for each in told]
        np.testing.assert_allclose(promise, worth, atol=(1e-8 if dtype == np.float64 else 1e-4) * money.max())
    for each in told:  # a problem of the common allocator's
        assert np.isnan(each.allocation[1]).all() and np.isnan(each.promise[1]).all()
        assert each.plan_value.shape[1] == len(one(concave.brief, 0).questions.plans)


@pytest.fixture(scope="module")
def national(tmp_path_factory):
    """A brief with a problem of each kind, and two draws of a model."""
    drawn = draw(worlds.written(tmp_path_factory.mktemp("hand"), worlds.plain(name="by-hand")), 1, truth=False)
    brief = drawn.briefs[0]
    now, people = brief.questions.plans[:1], brief.panel.population[None]
    plain = ProblemSpec("p", "national", (1.0, 1.0), 0.0, 2.0, ())
    brand = (GroupSpec((1,), 0.4, 0.6, of="plan"),)
    specs = (
        plain._replace(pacing=4), plain._replace(pacing="steady-or-pulsed", pulse=(1, 2), budget=(0.7, 1.0)),
        plain._replace(pacing=4, budget=(0.5, 1.2), groups=brand),
    )  # fmt: skip
    problems = tuple(one(problem_of(spec, now, people, 5, 0.6), 0) for spec in specs)
    brief = brief._replace(questions=brief.questions._replace(problems=problems))
    kernel = np.array([[[0.6, 0.3]], [[0.4, 0.7]]]) ** np.arange(5)[:, None]
    usual = brief.context.spend_scale
    model = Model(
        kernel / kernel.sum(axis=1, keepdims=True), np.array([[340.0, 130.0], [200.0, 220.0]]),
        np.array([[0.6, 1.0], [1.2, 0.8]]) * usual, np.array([[0.8, 1.0], [1.0, 0.9]]),
    )  # fmt: skip
    return brief, model


def effects_of(draw):
    kernel, top, half_at, slope = draw
    return Effects(
        jnp.zeros((200, 1)), lambda x: carry_late(kernel, x),
        lambda v: top[:, None] * saturate("hill", v, half_at[:, None], slope[:, None]), lambda s: s,
    )  # fmt: skip


@pytest.mark.parametrize("bend", [1.0, 2.5], ids=["concave", "thresholds"])
def test_two_draws_decide_as_a_search_that_shares_nothing(national, bend):
    brief, model = national
    model = model._replace(slope=bend * model.slope)

    def decided(draws, brief):
        lever, _ = timeline(brief.panel, brief.questions.future)
        return answer_draws(effects_of, draws, lever, brief)

    told = in_float64(jax.jit(decided), tuple(model), brief)
    for problem, amounts, promise in zip(brief.questions.problems, told.allocation, told.promise, strict=True):
        money = problem.status_quo.sum()
        usual, mine = (
            worth_by_hand(brief, model, plan_by_hand(problem, each)) for each in (problem.status_quo, amounts)
        )
        assert misses(problem, amounts) <= 1e-6 * money
        np.testing.assert_allclose(promise, mine - usual, atol=1e-8 * money)
        assert (mine - usual).mean() >= searched(brief, problem, model) - LOST * money


@pytest.fixture(scope="module")
def decides(national):
    """Compiled: a problem like the second one -> amounts."""
    brief, model = national

    def decided(problem):
        lever, _ = timeline(brief.panel, brief.questions.future)
        return best_amounts(effects_of, jax.tree.map(jnp.asarray, tuple(model)), lever, brief, problem)

    program = jax.jit(decided)
    return lambda problem: in_float64(program, problem)


share = st.floats(0.0, 1.0)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(share, min_size=4, max_size=4), st.lists(share, min_size=4, max_size=4),
    st.lists(share, min_size=3, max_size=3), st.lists(share, min_size=3, max_size=3),
)  # fmt: skip
def test_a_plan_keeps_every_limit(national, decides, at, room, below, above):
    """Limits around random amounts, so that something can be done; widths of zero among them."""
    problem = national[0].questions.problems[1]
    money = problem.status_quo.sum()
    inside = np.array(at) * money / 2
    sums = np.concatenate([[inside.sum()], problem.groups @ inside])
    low, high = sums - np.array(below) * money / 4, sums + np.array(above) * money / 4
    limits = problem._replace(
        lower=np.maximum(inside - np.array(room) * money / 4, 0.0), upper=inside + np.array(room[::-1]) * money / 4,
        budget=np.array([low[0], high[0]]), group_low=low[1:], group_high=high[1:],
    )  # fmt: skip
    amounts = decides(limits)
    assert np.isfinite(amounts).all() and misses(limits, amounts) <= 1e-6 * money


def test_least_squares_decides_where_units_share_levers_and_nowhere_else(national):
    brief, _ = national
    shared, now, people = brief.questions.problems[0], brief.questions.plans[:1], brief.panel.population[None]
    fixed = one(problem_of(ProblemSpec("p", "national", (1.0, 1.0), 0.0, 2.0, ()), now, people, 5, 0.6), 0)

    def asked(*problems):
        return brief._replace(questions=brief.questions._replace(problems=problems))

    assert planned(effects_of, None, None, asked(fixed)) is None
    (told,) = backend_named("ols").answer([asked(fixed, shared)], [KEY])
    assert np.isnan(told.allocation[0]).all() and np.isnan(told.promise[0]).all()
    assert misses(shared, told.allocation[1]) <= 1e-6 * shared.status_quo.sum()
    assert told.promise[1].mean() > 0 and told.plan_value.shape == (len(told.promise[1]), len(brief.questions.plans))
