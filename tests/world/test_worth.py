"""The certified optimum and the worth of plans, against brute force through the world itself."""

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
from simbench.world.panel import world_of
from simbench.world.search import searched, searched_alone
from simbench.world.truth import book_in, draw
from simbench.world.worth import TOLERANCE, constraints_of, evaluator, half, value, values, worth_of_amounts

PROBLEMS = """
[[questions.problems]]
name = "fixed"
[[questions.problems]]
name = "free"
budget = "free"
[[questions.problems]]
name = "grouped"
groups = [{ channels = ["tv"], low = 0.7, high = 0.8 }]
[[questions.problems]]
name = "range"
budget = [0.5, 0.9]
lower = 0.2
upper = 3.0
"""
BY_GEO = '[[questions.problems]]\nname = "by-geo"\nscope = "geo"\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("worlds")


@pytest.fixture(scope="module")
def plain(folder):
    return draw(worlds.written(folder, worlds.plain(extra=PROBLEMS, name="worth-plain")), 4)


@pytest.fixture(scope="module")
def bent(folder):
    channels = (worlds.channel(name, saturation=worlds.S_SHAPE, money=100.0) for name in ("tv", "video"))
    return draw(worlds.written(folder, worlds.scenario(*channels, extra=PROBLEMS, name="worth-bent")), 4)


@pytest.fixture(scope="module")
def bought(folder):
    return draw(worlds.written(folder, worlds.bought(name="worth-bought")), 3)


@pytest.fixture(scope="module")
def joint(folder):
    together = '[[synergies]]\nname = "both"\nchannels = ["tv", "video"]\nstrength = 0.8\n'
    return draw(worlds.written(folder, worlds.plain(extra=together + PROBLEMS, name="worth-joint")), 3)


def simulated(drawn, i, p, amounts):
    """Worth of amounts [B, U] by running the world on from its origin, week by week."""
    form, secret = drawn.secret.form, drawn.secret
    world, problem = world_of(form), one(drawn.brief.questions.problems[p], i)
    state = one(secret.now, i)

    def run(amounts):
        lever = jnp.concatenate([plan_of(problem, amounts), jnp.zeros((form.tail, form.geos, len(form.channels)))])
        path = rollout(world, state, lambda seen: lever[seen.week - form.pre - form.weeks], form.horizon + form.tail)[1]
        return path.mean.sum(), path.paid.sum()

    kpi, paid = in_float64(jax.jit(jax.vmap(run)), amounts)
    worth = drawn.brief.questions.margin[i] * drawn.brief.context.unit_value[i]
    return worth * kpi - paid


@pytest.mark.parametrize("kind", ["plain", "bent"])
@pytest.mark.parametrize("p", range(4))
def test_optimum_beats_a_brute_force_grid_and_stays_below_its_bound(kind, p, request):
    drawn = request.getfixturevalue(kind)
    problem, best = drawn.brief.questions.problems[p], drawn.truth.optima[p]
    assert (best.certified == 1).all() and (best.separable == 1).all()
    for i in range(4):
        limits = optimum.take(constraints_of(problem), [i])
        grid = np.stack(
            np.meshgrid(*(np.linspace(a, b, 161) for a, b in zip(limits.lower[0], limits.upper[0], strict=True))), -1
        ).reshape(-1, 2)
        total = grid.sum(axis=1)
        low, high = limits.budget[0]
        if low == high:  # walk along the budget line
            first = np.linspace(limits.lower[0, 0], limits.upper[0, 0], 2001)
            grid = np.stack([first, low - first], axis=-1)
            total = grid.sum(axis=1)
        grouped = grid @ limits.groups.T
        slack = 1e-9 * limits.upper.sum()
        keep = (
            (total >= low - slack)
            & (total <= high + slack)
            & (grid >= limits.lower - slack).all(1)
            & (grid <= limits.upper + slack).all(1)
        )
        keep &= (grouped >= limits.group_low[0] - slack).all(1) & (grouped <= limits.group_high[0] + slack).all(1)
        asked = np.concatenate(
            [problem.status_quo[i][None], best.amounts[i][None], best.reference[i][None], grid[keep]]
        )
        worth = simulated(drawn, i, p, asked)
        worth = worth - worth[0]
        money = problem.status_quo[i].sum()
        assert worth[1] == pytest.approx(best.value[i], rel=1e-9, abs=1e-9 * money)
        assert worth[2] == pytest.approx(best.reference_value[i], rel=1e-9, abs=1e-9 * money)
        assert worth[3:].max() <= best.value[i] + TOLERANCE * money
        assert worth[3:].max() >= best.value[i] - 0.01 * money  # the grid is fine enough to mean something
        assert best.value[i] <= best.upper_bound[i] <= best.value[i] + TOLERANCE * money


def test_s_shapes_have_a_local_optimum_that_costs_money(bent):
    """A local solver from the status quo would be caught: it stops well below the certified optimum."""
    from scipy.optimize import minimize

    book, problem, best = book_in(bent.secret, bent.brief), bent.brief.questions.problems[0], bent.truth.optima[0]
    short = []
    for i in range(4):
        evaluate = evaluator(book, problem, second=True)(np.array([i]))
        money = problem.status_quo[i].sum()

        def loss(share, evaluate=evaluate, money=money):
            amounts = money * np.array([share[0], 1 - share[0]])
            return -float(evaluate(amounts[None, :, None]).value.sum()) / money

        room = (
            max(problem.lower[i, 0], money - problem.upper[i, 1]),
            min(problem.upper[i, 0], money - problem.lower[i, 1]),
        )
        found = minimize(loss, [problem.status_quo[i, 0] / money], bounds=[np.array(room) / money], method="L-BFGS-B")
        here, top = -found.fun * money, evaluate(best.amounts[i][None, :, None]).value.sum()
        short.append((top - here) / money)
    assert min(short) > -1e-9 and max(short) > 0.01


@pytest.mark.parametrize("kind", ["plain", "bent", "bought"])
def test_slopes_are_bounded_on_every_cell(kind, request):
    """The proof behind the bound: between two levels no slope leaves the stated interval."""
    drawn = request.getfixturevalue(kind)
    book, problem = book_in(drawn.secret, drawn.brief), drawn.brief.questions.problems[0]
    count = len(drawn.replicates)
    evaluate = evaluator(book, problem, second=True)(np.arange(count))
    levels = problem.upper[:, :, None] * np.linspace(0, 1, 9) ** 2
    cells = evaluate(levels)
    fine = levels[..., :-1, None] + np.diff(levels)[..., None] * np.linspace(0, 1, 30)  # [R, U, 8, 30]
    value = evaluate(fine.reshape(count, -1, 240)).value.reshape(fine.shape)
    rate = np.diff(value, axis=-1) / np.diff(fine, axis=-1)
    slack = 1e-7 * np.abs(rate).max()
    assert (rate <= cells.steepest[..., None] + slack).all()
    assert (rate >= cells.flattest[..., None] - slack).all()


def test_geo_level_optimum_beats_the_national_one(folder):
    drawn = draw(worlds.written(folder, worlds.plain(extra=BY_GEO + PROBLEMS, name="worth-geo", geos=3)), 2)
    by_geo, national = drawn.truth.optima[0], drawn.truth.optima[1]
    assert drawn.brief.questions.problems[0].status_quo.shape == (2, 6)
    assert (by_geo.certified == 1).all()
    assert (by_geo.value > national.value).all()  # every national split is a geo split too
    for i in range(2):
        generator = np.random.default_rng(i)
        limits = optimum.take(constraints_of(drawn.brief.questions.problems[0]), [i])
        many = optimum.random_feasible(limits, 300, generator)
        worth = simulated(drawn, i, 0, np.concatenate([drawn.brief.questions.problems[0].status_quo[[i]], many]))
        assert (worth[1:] - worth[0]).max() <= by_geo.upper_bound[i]


def test_bought_worlds_are_searched_bounded_and_honest(bought):
    book = book_in(bought.secret, bought.brief)
    for p, problem in enumerate(bought.brief.questions.problems):
        best = bought.truth.optima[p]
        assert (best.separable == 0).all() and (best.mc_se > 0).all()
        assert (best.upper_bound >= best.value).all() and (best.value >= best.reference_value).all()
        many = np.stack(
            [
                optimum.random_feasible(optimum.take(constraints_of(problem), [i]), 200, np.random.default_rng(i))
                for i in range(3)
            ]
        )
        worth = worth_of_amounts(book, problem, np.concatenate([problem.status_quo[:, None], many], axis=1))
        gained = (worth - worth[:, :1]).mean(axis=-1)[:, 1:]
        assert (gained <= best.upper_bound[:, None] + 1e-9).all()
        # found on one set of futures, valued on another: no plan is better by more than the Monte Carlo error
        spread = (worth[:, 1:] - worth_of_amounts(book, problem, best.amounts[:, None])).std(axis=-1, ddof=1) / 8
        assert (gained <= best.value[:, None] + 5 * spread + 1e-9).all()


@pytest.mark.parametrize("kind", ["bought", "joint"])
def test_worlds_searched_side_by_side_are_worlds_searched_alone(kind, request):
    """The same random amounts, but SLSQP from every start and on all futures: nothing better is found."""
    drawn = request.getfixturevalue(kind)
    book = book_in(drawn.secret, drawn.brief)
    futures = half(book.futures, second=False)
    for problem in drawn.brief.questions.problems:
        limits, spent = constraints_of(problem), problem.status_quo.sum(axis=1)
        if len(limits.groups):
            continue  # linear rows are searched alone
        asked = (book.form, futures, problem, book.worth, book.keys, limits, optimum.project(problem.lower, limits))
        both = np.stack([searched(*asked), searched_alone(*asked)], axis=1)
        together, alone = worth_of_amounts(book._replace(futures=futures), problem, both).mean(axis=-1).T
        assert holds(both[:, 0], limits).all()
        assert (together >= alone - 1e-6 * spent).all()


def test_a_bound_counts_what_earlier_weeks_left_of_a_channel_that_settles_first(folder):
    """What they left brings money under every plan, so that a bound without it lies below plans."""
    slow = 'kind = "geometric", retention = 0.8, length = 13'
    tv = worlds.channel("tv", carry_over=slow, order="saturation-first", money=400.0)
    text = worlds.scenario(tv, worlds.channel("search", worlds.BOUGHT, money=40.0, halo=0.0), name="left-over")
    drawn = draw(worlds.written(folder, text), 2)
    book, problem = book_in(drawn.secret, drawn.brief), drawn.brief.questions.problems[0]
    now = problem.status_quo
    cells = evaluator(book, problem, second=True)(np.arange(2))(np.stack([now, now], axis=-1))
    paths = worth_of_amounts(book, problem, now[:, None]).mean(axis=-1)[:, 0]
    assert (cells.value[..., 0].sum(axis=1) >= paths - 1e-9 * np.abs(paths)).all()


def test_where_the_bound_is_met_a_search_finds_nothing_better(bought):
    book = book_in(bought.secret, bought.brief)
    futures = half(book.futures, second=False)
    problem, best = bought.brief.questions.problems[1], bought.truth.optima[1]
    limits, spent = constraints_of(problem), problem.status_quo.sum(axis=1)
    met = best.certified == 1
    assert met.any() and not met.all()
    found = searched(book.form, futures, problem, book.worth, book.keys, limits, problem.status_quo)
    worth = worth_of_amounts(book, problem, np.stack([problem.status_quo, found, best.amounts], axis=1)).mean(axis=-1)
    assert (worth[:, 2] >= worth[:, 1] - 1e-7 * spent)[met].all()
    np.testing.assert_allclose(worth[:, 2] - worth[:, 0], best.value, rtol=1e-9, atol=1e-9)


def test_plans_of_worlds_that_interact_are_worth_what_running_them_brings(joint):
    """Plans and responses are told from the origin on: the same as the world itself, week by week."""
    answers, questions = joint.truth.answers, joint.brief.questions
    for i in range(2):
        problem = one(questions.problems[0], i)
        asked = np.tile(problem.status_quo, (problem.levels.shape[1], 1))
        asked[:, 1] = problem.levels[1]
        net = simulated(joint, i, 0, np.concatenate([asked, problem.status_quo[None]]))
        worth = questions.margin[i] * joint.brief.context.unit_value[i]
        told = worth * answers.response[0][i, 1] - (answers.response_paid[0][i, 1])
        np.testing.assert_allclose(told, net[:-1] - net[0], rtol=1e-9, atol=1e-9 * problem.status_quo.sum())


def test_the_status_quo_is_worth_nothing_more_than_itself(plain, bought):
    for drawn in (plain, bought):
        book, problem = book_in(drawn.secret, drawn.brief), drawn.brief.questions.problems[0]
        np.testing.assert_allclose(value(book, problem, problem.status_quo), 0, atol=1e-9)


@pytest.mark.parametrize("kind", ["plain", "bought"])
def test_amounts_valued_together_are_amounts_valued_alone(kind, request):
    drawn = request.getfixturevalue(kind)
    book = book_in(drawn.secret, drawn.brief)
    problem, best = drawn.brief.questions.problems[0], drawn.truth.optima[0]
    asked = np.stack(
        [best.amounts, 0 * best.amounts, best.reference, *(best.amounts * f for f in (0.2, 0.9, 1.1))], axis=1
    )
    for some in (asked[:, :3], asked):
        money, kpi = values(book, problem, some)
        for k in range(some.shape[1]):
            np.testing.assert_allclose(money[:, k], value(book, problem, some[:, k]), rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(kpi[:, 1], best.idle_kpi, rtol=1e-9)
        np.testing.assert_allclose(kpi[:, 2], best.reference_kpi, atol=1e-9 * np.abs(best.idle_kpi).max())
    assert (best.idle_kpi < 0).all()


def test_media_driven_kpi_is_the_sum_of_responses_where_channels_do_not_interact(plain):
    """From nothing to the highest levels: the truth's answers say it unit by unit."""
    book, p = book_in(plain.secret, plain.brief), 1
    problem, best = plain.brief.questions.problems[p], plain.truth.optima[p]
    _, kpi = values(book, problem, problem.levels[None, ..., -1].swapaxes(0, 1))
    highest = np.asarray(plain.truth.answers.response[p])[..., -1].sum(axis=-1)
    np.testing.assert_allclose(kpi[:, 0] - best.idle_kpi, highest, rtol=1e-9)


def test_reading_the_true_curves_off_the_levels_costs_next_to_nothing(plain):
    for best in plain.truth.optima:
        gain = best.value - best.reference_value
        assert (best.grid_floor >= 0).all()
        assert (
            best.grid_floor <= np.maximum(0.001 * gain, 1e-6 * plain.brief.questions.problems[0].status_quo.sum(axis=1))
        ).all()


def test_monte_carlo_errors_are_there_where_the_future_matters(plain, bought):
    assert plain.truth.mc_se.plan_value is None
    error, values = bought.truth.mc_se.plan_value, bought.truth.answers.plan_value
    assert (error[:, 0] == 0).all() and (error[:, 1:] > 0).all() and (error < 0.2 * np.abs(values).max()).all()


def test_a_problem_without_a_feasible_plan_names_the_constraint(folder):
    text = worlds.plain(
        name="no-plan",
        extra='[[questions.problems]]\nname = "tight"\nupper = 1.1\n'
        'groups = [{ channels = ["tv"], low = 0.95, high = 1.0 }]\n',
    )
    with pytest.raises(BadInput, match="tight"):
        draw(worlds.written(folder, text), 1)
