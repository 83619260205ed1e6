"""Worlds that go on under somebody else's levers, against the oracle's week by week."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import worlds
from oracle import decisions, oracle
from oracle.physics import rollout

from simbench.errors import BadInput
from simbench.world import living
from simbench.world.scenario import read_scenario
from simbench.world.truth import draw

QUARTERS = 2
FACTORS = np.array([[0.0, 1.0], [1.6, 0.4], [1.0, 1.0]])  #: what each life makes of the usual amounts


@pytest.fixture(scope="module", params=["plain", "bought"])
def lives(request, tmp_path_factory):
    """Two replicates in three lives: as they begin, and after each of two quarters."""
    scenario = read_scenario(worlds.written(tmp_path_factory.mktemp("living"), getattr(worlds, request.param)()))
    found = [living.born(scenario, [0, 3], QUARTERS, len(FACTORS))]
    problems = []
    for _ in range(QUARTERS):
        problem = living.choice(found[-1], 0.0, np.zeros(2 * len(FACTORS)))
        problems.append(problem)
        found.append(living.lived(found[-1], problem, problem.status_quo * np.repeat(FACTORS, 2, axis=0)))
    return found, problems


@pytest.fixture(scope="module")
def slow(lives):
    """The oracle's case of each replicate, and its own rollout of the levers of every lane."""
    found, _ = lives
    last, rolls = found[-1], []
    cases = {r: oracle.case(last.scenario, r) for r in (0, 3)}
    for lane, replicate in enumerate(last.replicates):
        world = cases[replicate].world
        lever = np.zeros((len(world.q), 1, *last.path.lever.shape[2:]))
        whole = world.P + world.T
        lever[:whole, 0] = last.path.lever[lane, :whole]
        rolls.append(rollout(world, lever))
    return cases, rolls


def test_a_lane_lives_what_its_levers_bring(lives, slow):
    """Spend, mean and KPI of history and quarters, also where search follows what the lane's own media bring."""
    last = lives[0][-1]
    for lane, roll in enumerate(slow[1]):
        whole = slice(0, last.form.pre + last.weeks)
        for mine, theirs in ((last.path.paid, roll.paid), (last.path.mean, roll.mu), (last.path.kpi, roll.kpi)):
            np.testing.assert_allclose(mine[lane, whole], theirs[whole, 0], rtol=1e-9, atol=1e-9 * np.abs(theirs).max())


def test_lives_share_their_luck_and_their_past(lives):
    """Before the first decision all lanes of a replicate are one; after it noise is the same, spend is not."""
    first, last = lives[0][0], lives[0][-1]
    origin = first.form.pre + first.weeks
    noise = last.path.kpi - last.path.mean
    for lane in (2, 4):
        np.testing.assert_array_equal(last.path.kpi[lane, :origin], last.path.kpi[0, :origin])
        np.testing.assert_allclose(noise[lane, origin:], noise[0, origin:], atol=1e-9 * last.path.kpi.max())
        assert np.abs(last.path.lever[lane, origin : origin + 26] - last.path.lever[0, origin : origin + 26]).max() > 1


def test_an_analyst_sees_the_life_so_far_and_nothing_more(lives):
    found, problems = lives
    for one, problem in zip(found, [*problems, problems[-1]], strict=True):
        brief = living.shown(one, problem)
        weeks, pre = one.weeks, one.form.pre
        assert (brief.panel.origin == weeks).all()
        np.testing.assert_array_equal(brief.panel.kpi[:, :weeks], one.path.kpi[:, pre : pre + weeks])
        np.testing.assert_array_equal(brief.panel.spend[:, :weeks], one.path.paid[:, pre : pre + weeks])
        assert not brief.panel.mask[:, weeks:].any() and not brief.panel.kpi[:, weeks:].any()
        assert brief.questions.windows[0].tolist() == [[0, weeks], [weeks - 52, weeks]]
        np.testing.assert_array_equal(brief.questions.future.lever, brief.questions.plans[:, 0])
    for quarter, (one, problem) in enumerate(zip(found[1:], problems, strict=True)):
        lever = living.shown(one, problem).panel.lever[:, found[quarter].weeks : one.weeks].sum(axis=(1, 2))
        np.testing.assert_allclose(lever, problem.status_quo * np.repeat(FACTORS, 2, axis=0), rtol=1e-9)


def test_the_first_brief_is_that_of_a_draw(lives):
    """The panel before the first decision is the shipped one, seen as many weeks before its end."""
    first = lives[0][0]
    drawn = draw(first.scenario, [0, 3], truth=False, origin=-13 * QUARTERS)
    panel = living.shown(first, living.choice(first, 0.0, np.zeros(6))).panel
    for mine, theirs in zip(jax.tree.leaves(panel), jax.tree.leaves(drawn.brief.panel), strict=True):
        np.testing.assert_array_equal(mine[:2], theirs)


def test_all_quarters_ask_in_one_shape(lives):
    """So that one compiled program of a model serves every quarter."""
    found, problems = lives
    shapes = [jax.tree.map(np.shape, living.shown(one, problems[0])) for one in found]
    assert all(shape == shapes[0] for shape in shapes)


def test_the_unit_of_limits_is_the_year_before_whoever_lived_it(lives):
    found, problems = lives
    first = found[0]
    origin = first.form.pre + first.weeks
    for quarter, problem in enumerate(problems):
        before = first.path.lever[:, origin - 52 + 13 * quarter : origin - 39 + 13 * quarter].sum(axis=(1, 2))
        np.testing.assert_allclose(problem.status_quo, before)
        np.testing.assert_allclose(problem.upper, 2 * before)


def test_worth_and_optimum_are_those_of_the_state_that_was_lived_to(lives, slow):
    """The oracle plays a grid of plans from week to week after each lane's own past, in every future that may come.

    Futures are many where search follows demand: there the optimum is found on others than those it is valued on.
    """
    one = lives[0][-1]
    problem = living.choice(one, 0.0, np.zeros(6))
    book, best, bound = living.best_of(one, problem)
    chosen = problem.status_quo * np.repeat(FACTORS, 2, axis=0)
    verdict = living.judged(book, problem, best, bound, chosen)
    origin, steps = one.form.pre + one.weeks, 6 if one.form.buys else 41
    shares = np.stack(np.meshgrid(*[np.linspace(0, 2, steps)] * 2, indexing="ij"), -1).reshape(-1, 2)
    cases, rolls = slow
    for lane in [3] if one.form.buys else range(6):
        usual, scale = problem.status_quo[lane], problem.status_quo[lane].sum()
        amounts = np.concatenate([np.stack([usual, chosen[lane], best[lane]]), shares * usual])
        plans = np.asarray(problem.weight[lane, 0]) * amounts[:, None, None]  # [B, 13, 1, 2]
        held = rolls[lane].lever.copy()
        held[origin:] = 0.0
        case = cases[one.replicates[lane]]._replace(factual=rolls[lane], held=held)
        assert len(case.futures) == (64 if one.form.buys else 1)
        gained, money = decisions.played(case, plans)
        worth = (case.world.margin * case.world.unit_value * gained - (money - money[:, :1])).mean(axis=0)
        np.testing.assert_allclose(verdict.value[lane], worth[1], atol=1e-7 * scale)
        np.testing.assert_allclose(verdict.optimum[lane], worth[2], atol=1e-7 * scale)
        allowed = amounts[3:].sum(axis=-1) <= problem.budget[lane, 1] * (1 + 1e-12)
        reached = worth[3:][allowed].max()
        assert reached <= verdict.optimum[lane] + (1e-3 if one.form.buys else 1e-6) * scale
        assert one.form.buys or reached >= verdict.optimum[lane] - 0.02 * scale, "a grid of 5% steps comes near"


def test_what_media_brought_is_told_of_the_spend_that_was_lived(lives, slow):
    """Leave-one-out over the last year, tail and all, of the lane's own spend."""
    last = lives[0][-1]
    told = living.brought(last, np.arange(6)).contribution
    origin, tail = last.form.pre + last.weeks, last.form.tail
    cases, rolls = slow
    for lane in range(6):
        world = cases[last.replicates[lane]].world
        arms = np.repeat(rolls[lane].lever, 3, axis=1)
        arms[origin:] = 0.0
        for c in range(2):
            arms[origin - 52 : origin, 1 + c, :, c] = 0.0
        mu = rollout(world, arms).mu[origin - 52 : origin + tail].sum(axis=(0, 2))
        np.testing.assert_allclose(told[lane, -1], mu[0] - mu[1:], rtol=1e-8, atol=1e-8 * np.abs(mu[0]))


def test_profit_is_what_was_sold_less_what_was_spent(lives, slow):
    last = lives[0][-1]
    told = living.profit(last)
    assert told.shape == (6, last.weeks)
    cases, rolls = slow
    for lane in range(6):
        world = cases[last.replicates[lane]].world
        seen = slice(world.P, world.P + last.weeks)
        kpi, money = rolls[lane].kpi[seen, 0].sum(axis=1), rolls[lane].paid[seen, 0].sum(axis=(1, 2))
        np.testing.assert_allclose(told[lane], world.margin * world.unit_value * kpi - money, rtol=1e-9)


@pytest.mark.parametrize("quarters", [0, -1])
def test_a_loop_without_quarters_is_refused(quarters, tmp_path):
    scenario = read_scenario(worlds.written(tmp_path, worlds.plain()))
    with pytest.raises(BadInput, match="quarters"):
        living.relived(scenario, quarters)


@pytest.mark.parametrize("every", [0, 3, 52 * 2])
def test_epochs_that_make_no_year_are_refused(every, tmp_path):
    scenario = read_scenario(worlds.written(tmp_path, worlds.plain()))
    with pytest.raises(BadInput, match=r"every: .* weeks; one of 1, 2, 4, 13, 26, 52"):
        living.relived(scenario, 2, every)


def test_a_short_panel_is_made_longer_and_a_long_one_is_not(tmp_path):
    short = read_scenario(worlds.written(tmp_path, worlds.plain()))
    assert living.relived(short, 3).time.weeks == 104 + 39
    assert living.relived(read_scenario("loop-peak"), 4).time.weeks == 208
    with pytest.raises(BadInput, match="sweep"):
        living.relived(read_scenario("collinear"), 2)
