"""Problems whose units share levers, against the world run on week by week and against grids."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds

from simbench import optimum
from simbench.blocks import in_float64
from simbench.briefs import one
from simbench.errors import BadInput
from simbench.estimands import plan_of
from simbench.optimum.feasible import holds
from simbench.world.base import rollout
from simbench.world.joint import laid_program, model_program, values_program
from simbench.world.panel import world_of
from simbench.world.seen import problem_words
from simbench.world.truth import book_in, draw
from simbench.world.worth import TOLERANCE, constraints_of, optimum_of_joint, refuse_infeasible, value

STRETCHES = '[[questions.problems]]\nname = "stretches"\npacing = 4\n'
PULSES = '[[questions.problems]]\nname = "pulses"\npacing = "steady-or-pulsed"\npulse = { on = 1, off = 2 }\n'
GROUPED = '[[questions.problems]]\nname = "grouped"\npacing = 5\nbudget = [0.8, 1.1]\n' + (
    'groups = [{ channels = ["first"], low = 0.2, high = 0.4 }]\nchannels = [{ name = "bent", upper_money = 600.0 }]\n'
)
CONCAVE = 'kind = "hill", half_at = 1.0, slope = { dist = "uniform", low = 0.7, high = 1.0 }'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("joint")


@pytest.fixture(scope="module", params=[CONCAVE, worlds.S_SHAPE], ids=["concave", "bent"])
def single(request, folder):
    channel = worlds.channel("tv", worlds.FLIGHTED, money=150.0, saturation=request.param)
    name = f"joint-{'concave' if request.param is CONCAVE else 'bent'}"
    return draw(worlds.written(folder, worlds.scenario(channel, extra=STRETCHES + PULSES, name=name)), 3)


@pytest.fixture(scope="module")
def mixed(folder):
    """Every way in which a channel's effect arrives: a sum of all of them."""
    harmful = worlds.channel("harmful", saturation=worlds.S_SHAPE, money=60.0)
    channels = (
        worlds.channel("plain", worlds.FLIGHTED, money=150.0),
        worlds.channel("first", saturation=CONCAVE, order="saturation-first", money=80.0),
        worlds.channel("bent", saturation=worlds.S_SHAPE, money=100.0),
        harmful.replace("roas = ", "effect = -30.0 #", 1),
    )
    text = worlds.scenario(*channels, geos=2, extra=PULSES + GROUPED, name="joint-mixed")
    return draw(worlds.written(folder, text), 2, truth=False)


def simulated(drawn, i, p, amounts):
    """Worth of amounts [B, U] by running the world on from its origin, week by week."""
    form, secret = drawn.secret.form, drawn.secret
    world, problem, state = world_of(form), one(drawn.brief.questions.problems[p], i), one(secret.now, i)

    def run(amounts):
        lever = jnp.concatenate([plan_of(problem, amounts), jnp.zeros((form.tail, form.geos, len(form.channels)))])
        path = rollout(world, state, lambda seen: lever[seen.week - form.pre - form.weeks], form.horizon + form.tail)[1]
        return path.mean.sum(), path.paid.sum()

    kpi, paid = in_float64(jax.jit(jax.vmap(run)), amounts)
    return drawn.brief.questions.margin[i] * drawn.brief.context.unit_value[i] * kpi - paid


def of(drawn, i, p):
    """Constraints of one world's problem, its curves, its hulls, and random feasible amounts."""
    book, problem = book_in(drawn.secret, drawn.brief), drawn.brief.questions.problems[p]
    limits = optimum.take(optimum.checked(constraints_of(problem)), [i])
    asked = jax.tree.map(lambda x: x[i], (book.futures, problem, book.worth))
    own, hull = in_float64(laid_program(book.form), *asked, limits.lower[0], limits.upper[0])
    many = optimum.random_feasible(limits, 60, np.random.default_rng(i))
    return book.form, limits, own, hull, many


@pytest.mark.parametrize("p", range(2))
def test_the_sum_of_curves_is_the_world_run_on(mixed, p):
    for i in range(2):
        form, _, own, _, many = of(mixed, i, p)
        worth, told = simulated(mixed, i, p, many), in_float64(values_program(form), own, None, many)
        money = mixed.brief.questions.problems[p].status_quo[i].sum()
        np.testing.assert_allclose(told - told[0], worth - worth[0], rtol=1e-9, atol=1e-9 * money)


@pytest.mark.parametrize("p", range(2))
def test_hulls_are_concave_and_nowhere_below(mixed, p):
    for i in range(2):
        form, limits, own, hull, many = of(mixed, i, p)
        money = mixed.brief.questions.problems[p].status_quo[i].sum()
        inside = limits.lower + (limits.upper - limits.lower) * np.random.default_rng(9).random((60, many.shape[1]))
        points = np.concatenate([many, inside, limits.lower, limits.upper])
        below, above = (in_float64(values_program(form), own, bound, points) for bound in (None, hull))
        assert (above >= below - 1e-9 * money).all() and (above > below + 1e-3 * money).any()
        worths, slopes, *_ = in_float64(model_program(form), own, hull, inside[:4])
        for point, worth, slope in zip(inside[:4], worths, slopes, strict=True):
            assert (above <= worth + (points - point) @ slope + 1e-9 * money).all()
            step = 1e-5 * money * np.eye(len(point))
            after, before = (in_float64(values_program(form), own, hull, point + way * step) for way in (1, -1))
            np.testing.assert_allclose((after - before) / (2e-5 * money), slope, atol=1e-4 * np.abs(slope).max())


def test_three_stretches_of_one_channel_against_a_grid(single):
    problem, best = single.brief.questions.problems[0], single.truth.optima[0]
    assert problem.status_quo.shape == (3, 3) and single.labels.units[0] == (
        "tv/weeks 1-4",
        "tv/weeks 5-8",
        "tv/weeks 9-10",
    )
    for i in range(3):
        limits, money = optimum.take(constraints_of(problem), [i]), problem.status_quo[i].sum()
        first, second = np.meshgrid(*(np.linspace(0, top, 61) for top in limits.upper[0, :2]))
        grid = np.stack([first, second, money - first - second], axis=-1).reshape(-1, 3)
        grid = grid[holds(grid, optimum.Constraints(*(
            x if name == "groups" else np.repeat(x, len(grid), axis=0) for name, x in limits._asdict().items()
        )))]  # fmt: skip
        worth = simulated(single, i, 0, np.concatenate([problem.status_quo[[i]], best.amounts[[i]], grid]))
        worth = worth - worth[0]
        assert worth[1] == pytest.approx(best.value[i], rel=1e-9, abs=1e-9 * money)
        assert best.value[i] + TOLERANCE * money >= worth[2:].max() >= best.value[i] - 0.01 * money
        assert best.upper_bound[i] >= best.value[i] and np.isfinite(best.upper_bound[i])


def test_steady_money_where_curves_are_concave_pulses_where_they_have_a_threshold(single):
    problem, best = single.brief.questions.problems[1], single.truth.optima[1]
    concave = single.scenario.channels[0].saturation.slope != 3.0
    steady, pulsed = best.amounts.T / problem.status_quo.sum(axis=1)
    if concave:
        assert (best.certified == 1).all() and (pulsed < steady).all()
    else:
        assert (pulsed > 0.5).all() and (best.value > best.reference_value).all()
    for i in range(3):
        share = np.linspace(0, 1, 401)[:, None] * problem.status_quo[i].sum()
        worth = simulated(single, i, 1, np.concatenate([problem.status_quo[[i]], np.hstack([share[::-1], share])]))
        assert (worth[1:] - worth[0]).max() == pytest.approx(best.value[i], abs=1e-4 * problem.status_quo[i].sum())


@pytest.mark.parametrize("p", range(2))
def test_no_plan_is_worth_more_than_the_bound(mixed, p):
    book, problem = book_in(mixed.secret, mixed.brief), mixed.brief.questions.problems[p]
    best = optimum_of_joint(book, problem, constraints_of(problem))
    assert (best.separable == 0).all() and np.isnan(best.grid_floor).all() and (best.mc_se == 0).all()
    assert holds(best.amounts, constraints_of(problem)).all() and holds(best.reference, constraints_of(problem)).all()
    np.testing.assert_allclose(value(book, problem, best.amounts), best.value, rtol=1e-9)
    for i in range(2):
        limits = optimum.take(constraints_of(problem), [i])
        many = optimum.random_feasible(limits, 400, np.random.default_rng(i))
        worth = simulated(mixed, i, p, np.concatenate([problem.status_quo[[i]], many]))
        assert (worth[1:] - worth[0]).max() <= best.value[i] + 1e-9 * problem.status_quo[i].sum()
        assert best.value[i] <= best.upper_bound[i] < np.inf


def test_answers_of_the_truth_hold_the_others_at_the_status_quo(single):
    for p, problem in enumerate(single.brief.questions.problems):
        asked = np.tile(problem.status_quo[0], (problem.levels.shape[2], 1))
        asked[:, 1] = problem.levels[0, 1]
        worth = single.brief.questions.margin[0] * single.brief.context.unit_value[0]
        net = simulated(single, 0, p, asked)
        told = worth * single.truth.answers.response[p][0, 1] - problem.levels[0, 1]
        np.testing.assert_allclose(told, net - net[0], rtol=1e-8, atol=1e-9 * problem.status_quo.sum())


def test_where_channels_interact_nothing_is_claimed(folder):
    together = '[[synergies]]\nname = "both"\nchannels = ["tv", "video"]\nstrength = 0.8\n'
    text = worlds.plain(extra=together + STRETCHES.replace("4", "5"), name="joint-synergy")
    drawn = draw(worlds.written(folder, text), 1, truth=False)
    problem = drawn.brief.questions.problems[0]
    best = optimum_of_joint(book_in(drawn.secret, drawn.brief), problem, constraints_of(problem))
    assert best.certified[0] == 0 and best.upper_bound[0] == np.inf
    many = optimum.random_feasible(constraints_of(problem), 400, np.random.default_rng(0))
    worth = simulated(drawn, 0, 0, np.concatenate([problem.status_quo, many]))
    assert (worth[1:] - worth[0]).max() <= best.value[0]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('budget_money = 1.0\nchannels = [{ name = "tv", lower_money = 50.0 }]', "the lower bounds add up to 50"),
        ('budget = "free"\nchannels = [{ name = "tv", lower_money = 9e9 }]', "tv: the lower bound 9e[+]09 is above"),
        ('pacing = 5\nchannels = [{ name = "tv", lower_money = 9e9 }]', "channel tv: the lower bound 9e[+]09 is above"),
        ('pacing = 5\nchannels = [{ name = "tv", lower_money = 1 }]\ngroups = [{ channels = ["video"], low = 1 }]',
         "the group of video must reach .*; bounds and budget allow at most"),
        ('pacing = "steady-or-pulsed"\nbudget = [1.9, 2]\nchannels = [{ name = "tv", lower = 1, upper = 1 }]',
         "the groups cannot all be met: at the least, channel tv misses its bound"),
    ],
)  # fmt: skip
def test_a_problem_without_a_feasible_plan_names_the_constraint(folder, keys, words):
    text = worlds.plain(name="tight-world", extra=f'[[questions.problems]]\nname = "tight"\n{keys}\n')
    drawn = draw(worlds.written(folder, text), 1, truth=False)
    names = problem_words(drawn.scenario, drawn.secret.form)
    with pytest.raises(BadInput, match=f"questions.problems.tight: {words}"):
        problem = drawn.brief.questions.problems[0]
        refuse_infeasible(constraints_of(problem), names[0], problem.status_quo)
