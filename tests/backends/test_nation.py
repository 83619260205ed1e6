"""National models on panels with geos: what they are shown are sums, what they say is spread."""

from __future__ import annotations

import numpy as np
import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st

from simbench.backends.base import Backend, everything, python_backend
from simbench.backends.nation import NOT_ALIKE, nation, of_the_nation, spread
from simbench.backends.registry import backend_named
from simbench.backends.replies import shapes
from simbench.briefs import one
from simbench.problems import GroupSpec, ProblemSpec, problem_of
from simbench.records import Answers, Failure
from simbench.world.truth import draw

KEY = np.array([3, 4], dtype=np.uint32)
PROBLEMS = """[[questions.problems]]
name = "fixed"
[[questions.problems]]
name = "by-geo"
scope = "geo"
budget = "fixed"
lower = 0.5
upper = 1.5
groups = [{ channels = ["video"], low = 0.1, high = 0.9 }]
"""
GEOS, CHANNELS = 3, 2


@pytest.fixture(scope="module")
def brief(tmp_path_factory):
    """Three unlike geos, a flighted and an always-on channel, a control that differs between geos."""
    price = '[[controls]]\nname = "price"\nmean = 10.0\nsd = 0.5\nrho = 0.8\neffect = -60.0\n'
    channels = (worlds.channel("tv", worlds.FLIGHTED, money=150.0), worlds.channel("video", money=80.0))
    text = worlds.scenario(*channels, geos=GEOS, extra=price + PROBLEMS)
    brief = draw(worlds.written(tmp_path_factory.mktemp("nation"), text), 1, truth=False).briefs[0]
    panel, future = brief.panel, brief.questions.future
    several = np.linspace(1.0, 1.2, GEOS)[:, None]
    return brief._replace(
        panel=panel._replace(controls=panel.controls * several),
        questions=brief.questions._replace(future=future._replace(controls=future.controls * several)),
    )


def replied(brief, draws=4):
    """An answer to everything, of numbers that mean nothing."""
    rng = np.random.default_rng(7)
    free = {"allocation"}

    def numbers(name, shape):
        return rng.random(shape if name in free else (draws, *shape))

    several = ("response", "response_paid", "allocation", "promise")
    return Answers(**{
        name: tuple(numbers(name, each) for each in shape) if name in several else numbers(name, shape)
        for name, shape in shapes(brief).items()
    })  # fmt: skip


def test_a_national_model_is_shown_sums_and_usual_controls(brief):
    panel, questions, whole = brief.panel, brief.questions, nation(brief)
    counted = nation(brief._replace(
        panel=panel._replace(exposure=5 * panel.spend),
        questions=questions._replace(future=questions.future._replace(exposure=5 * questions.future.spend)),
    ))  # fmt: skip
    np.testing.assert_allclose(counted.panel.exposure, 5 * whole.panel.spend, rtol=1e-12)
    np.testing.assert_allclose(counted.questions.future.exposure, 5 * whole.questions.future.spend, rtol=1e-12)
    for name in ("kpi", "lever", "spend"):
        np.testing.assert_allclose(getattr(whole.panel, name)[:, 0], getattr(panel, name).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(whole.questions.future.spend[:, 0], questions.future.spend.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(whole.questions.plans[:, :, 0], questions.plans.sum(axis=2), rtol=1e-12)
    for own, every in ((whole.panel, panel), (whole.questions.future, questions.future)):
        usual = np.average(every.controls, axis=1, weights=panel.population)
        np.testing.assert_allclose(own.controls[:, 0], usual, rtol=1e-12)
    assert whole.panel.population == panel.population.sum()


def test_one_geo_is_shown_as_it_is(brief):
    whole = nation(brief)
    assert nation(whole) is whole
    reply = replied(whole)
    assert spread(whole, reply) is reply


def test_units_that_differ_in_geo_alone_are_one_of_the_nation(brief):
    """A unit of the nation moves the money that its geos would move at the same share of the status quo."""
    fixed, by_geo = nation(brief).questions.problems
    apart = brief.questions.problems[1]
    for problem in (fixed, by_geo):
        assert problem.levels.shape[0] == CHANNELS
        np.testing.assert_array_equal(problem.unit[0, :, 0], np.tile(np.arange(CHANNELS), (len(problem.base), 1)))
        np.testing.assert_allclose(problem.weight.sum(axis=(0, 1, 2)), 1.0)
    np.testing.assert_allclose(by_geo.levels, apart.levels.reshape(GEOS, CHANNELS, -1).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(by_geo.groups, [[0.0, 1.0]])
    moved = 1.3 * apart.status_quo
    plan = np.where(apart.unit[0] >= 0, moved[apart.unit[0]] * apart.weight[0], 0.0).sum(axis=1)
    told = 1.3 * by_geo.status_quo * by_geo.weight[0, :, 0]
    np.testing.assert_allclose(told, plan, rtol=1e-12)


def test_geos_add_up_to_the_nation(brief):
    """Forecasts, responses at the same share of the status quo, and allocations."""
    reply = replied(nation(brief))
    told = spread(brief, reply)
    assert told.contribution_geo is None
    people = brief.panel.population / brief.panel.population.sum()
    np.testing.assert_allclose(told.forecast, reply.forecast * people, rtol=1e-12)
    for name, axis in (("response", 1), ("response_paid", 1), ("allocation", 0)):
        own, every = getattr(reply, name)[1], getattr(told, name)[1]
        shape = (*every.shape[:axis], GEOS, CHANNELS, *every.shape[axis + 1 :])
        np.testing.assert_allclose(every.reshape(shape).sum(axis=axis), own, rtol=1e-12, err_msg=name)
        # what is asked of channels is handed on
        np.testing.assert_array_equal(getattr(told, name)[0], getattr(reply, name)[0], err_msg=name)
    for name in ("contribution", "marginal", "curve", "impulse", "baseline", "plan_value", "promise"):
        assert getattr(told, name) is getattr(reply, name)
    shares = told.response[1].reshape(4, GEOS, CHANNELS, -1) / reply.response[1][:, None]
    money = brief.questions.problems[1].status_quo.reshape(GEOS, CHANNELS)
    np.testing.assert_allclose(
        shares, np.broadcast_to((money / money.sum(axis=0))[..., None], shares.shape), rtol=1e-12
    )


@given(st.permutations(range(GEOS)))
def test_the_order_of_geos_means_nothing(brief, order):
    def turned(x):
        return x[:, order]

    panel, questions = brief.panel, brief.questions
    future = questions.future
    other = brief._replace(
        panel=panel._replace(
            kpi=turned(panel.kpi), lever=turned(panel.lever), spend=turned(panel.spend),
            controls=turned(panel.controls), population=panel.population[list(order)],
        ),
        questions=questions._replace(
            problems=(), plans=questions.plans[:, :, order],
            future=future._replace(
                lever=turned(future.lever), spend=turned(future.spend), controls=turned(future.controls)
            ),
        ),
    )  # fmt: skip
    one, two = nation(brief), nation(other)
    for name in ("kpi", "lever", "spend", "controls", "population"):
        np.testing.assert_allclose(getattr(two.panel, name), getattr(one.panel, name), rtol=1e-12)
    np.testing.assert_allclose(two.questions.plans, one.questions.plans, rtol=1e-12)


def test_a_channel_never_used_is_split_evenly(brief):
    """It has no share of the money to be split by; its units are asked about all the same."""
    off = brief.questions.problems[1]
    idle = np.tile([1.0, 0.0], GEOS)
    off = off._replace(status_quo=off.status_quo * idle, levels=off.levels * idle[:, None])
    asked = brief._replace(questions=brief.questions._replace(problems=(off,)))
    (whole,) = nation(asked).questions.problems
    np.testing.assert_allclose(whole.weight.sum(axis=(0, 1, 2)), 1.0)
    reply = replied(nation(asked))
    told = spread(asked, reply).response[0].reshape(4, GEOS, CHANNELS, -1)
    np.testing.assert_allclose(told[:, :, 1], np.stack([reply.response[0][:, 1] / GEOS] * GEOS, axis=1), rtol=1e-12)


def test_levels_that_are_not_in_proportion_are_refused(brief):
    """One geo asked up to twice as far as the others: the others of the batch are answered."""
    problem = brief.questions.problems[1]
    levels = problem.levels * np.where(np.arange(GEOS * CHANNELS) == 0, 2.0, 1.0)[:, None]
    odd = brief._replace(questions=brief.questions._replace(problems=(problem._replace(levels=levels),)))
    backend = of_the_nation(python_backend("told", lambda key, brief: replied(brief)))
    fine, refused, also = backend.answer([brief, odd, brief], [KEY] * 3)
    assert refused == Failure("unsupported", NOT_ALIKE)
    assert isinstance(fine, Answers) and isinstance(also, Answers)
    assert fine.forecast.shape[2] == GEOS


def test_failures_pass_through(brief):
    lost = Failure("error", "lost")
    backend = Backend("lost", "1", {}, lambda b, k: [lost] * len(b), 1, everything, frozenset(), frozenset())
    assert of_the_nation(backend).answer([brief], [KEY]) == [lost]


def test_a_straight_line_answers_each_geo_as_it_would_from_its_own_lever(brief):
    """Least squares has no saturation: the response of a geo is its money times the channel's return."""
    (reply,) = backend_named("ols").answer([brief], [KEY])
    money = brief.questions.problems[1].levels
    national = reply.response[0] / brief.questions.problems[0].levels.clip(1e-300)
    national = national[:, :, -1]
    by_geo = reply.response[1][:, :, -1] / money[:, -1]
    # the flights of geos differ within the horizon, so that a little more or less arrives before it ends
    np.testing.assert_allclose(by_geo, np.tile(national, GEOS), rtol=0.02)


def test_stretches_and_flightings_keep_apart_and_a_group_of_geos_binds_no_nation(brief):
    plain = ProblemSpec("p", "national", (1.0, 1.0), 0.0, 2.0, ())
    groups = (
        GroupSpec((0, 1), 0.2, 0.6, (0, 2)), GroupSpec((1,), 0.1, 0.9), GroupSpec((1,), 0.3, None, of="plan"),
        GroupSpec((1,), 0.0, 0.5, (0,), of="plan"),
    )  # fmt: skip
    specs = (
        plain._replace(pacing=4), plain._replace(pacing="steady-or-pulsed"), plain._replace(scope="geo", groups=groups),
    )  # fmt: skip
    now, people = brief.questions.plans[:1], brief.panel.population[None]
    problems = tuple(one(problem_of(spec, now, people, 5, 0.6), 0) for spec in specs)
    asked = brief._replace(questions=brief.questions._replace(problems=problems))
    weeks, flights, places = nation(asked).questions.problems
    for mine, theirs in zip((weeks, flights), problems, strict=False):
        np.testing.assert_allclose(mine.status_quo, theirs.status_quo)
        np.testing.assert_allclose(mine.weight.sum(axis=(1, 2)), theirs.weight.sum(axis=(1, 2)))
    assert places.status_quo.shape == (CHANNELS,)
    assert (places.group_low[0], places.group_high[0]) == (-np.inf, np.inf)
    assert (places.group_low[1], places.group_high[1]) == (problems[2].group_low[1], problems[2].group_high[1])
    share = np.where(np.arange(CHANNELS) == 1, 0.7, -0.3)
    np.testing.assert_allclose(places.groups[2], share)  # a share of the plan is one of the nation's too
    assert (places.group_low[2], places.group_low[3], places.group_high[3]) == (0.0, -np.inf, np.inf)
    (reply,) = backend_named("ols").answer([asked], [KEY])
    assert [x.shape[1:] for x in reply.response] == [problem.levels.shape for problem in problems]
    assert all(np.isfinite(x).all() for x in reply.response)
