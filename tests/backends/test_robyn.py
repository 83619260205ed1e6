"""The Robyn-style contender against plain loops, other solvers and a world it must find."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import differential_evolution, lsq_linear, nnls

from simbench.backends import robyn, robyn_search
from simbench.backends.changed import in_money
from simbench.backends.contender import configured
from simbench.blocks import in_float64
from simbench.records import KINDS, Failure
from simbench.world.truth import draw

KEY = np.array([3, 4], dtype=np.uint32)
PENALTY = 100.0
SMALL = {"trials": 2, "generations": 12, "population": 10, "models": 8}


def made(**options):
    return configured(robyn.ROBYN_STYLE, SMALL | options)


def fewer_draws(brief, draws=20):
    return brief._replace(questions=brief.questions._replace(sizes=replace(brief.questions.sizes, draws=draws)))


@pytest.fixture(scope="module")
def briefs(tmp_path_factory):
    fixed = '[[questions.problems]]\nname = "fixed"'
    path = worlds.written(tmp_path_factory.mktemp("r"), worlds.plain(extra=fixed))
    return [fewer_draws(brief) for brief in draw(path, 2, truth=False).briefs]


@pytest.fixture(scope="module")
def data(briefs):
    return in_float64(partial(robyn.data_of, order=2, trend="linear"), briefs[0])


def points_between(bounds, count, seed):
    low, high = bounds.T
    return low + (high - low) * np.random.default_rng(seed).random((count, len(low)))


# --- non-negative ridge


solved = jax.jit(robyn.nonnegative)


@given(st.integers(0, 10_000), st.sampled_from((0.0, 0.9, 0.99)), st.floats(0.005, 10.0))
def test_nonnegative_ridge_is_that_of_nnls(seed, alike, ridge):
    """On the augmented system, as far as the objective and the coefficients go."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(40, 5))
    x[:, 1] = alike * x[:, 0] + np.sqrt(1 - alike**2) * x[:, 1]
    y = x @ random.normal(size=5) + random.normal(size=40)
    tall, target = np.vstack([x, np.sqrt(40 * ridge) * np.eye(5)]), np.append(y, np.zeros(5))
    expected = nnls(tall, target)[0]
    found = in_float64(solved, x.T @ x / 40 + ridge * np.eye(5), x.T @ y / 40)
    assert (found >= 0).all()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def by_hand(brief, point, order=2):
    """NRMSE, DECOMP.RSSD and coefficients of one candidate: loops, and a bounded solver on the augmented system."""
    weeks, kpi, lever = int(brief.panel.origin), brief.panel.kpi.sum(axis=1), brief.panel.lever.sum(axis=1)
    channels = lever.shape[1]
    retention, alpha, gamma = point[:-1].reshape(3, channels)
    media = np.zeros((weeks, channels))
    for c in range(channels):
        late, path = 0.0, []
        for week in range(weeks):
            late = lever[week, c] + retention[c] * late
            path.append(late)
        half = gamma[c] * max(path)
        media[:, c] = [a ** alpha[c] / (a ** alpha[c] + half ** alpha[c]) for a in path]
    angles = [2 * np.pi * k * np.arange(weeks) / (365.25 / 7) for k in range(1, order + 1)]
    columns = [np.arange(weeks), *map(np.cos, angles), *map(np.sin, angles)]
    columns += list(brief.panel.controls[:weeks, 0].T)
    plain = np.column_stack(columns)

    def scaled(x):
        return (x - x.mean(axis=0)) / x.std(axis=0)

    y = kpi[:weeks]
    correlation = np.abs(scaled(np.column_stack([plain, lever[:weeks]])).T @ scaled(y) / weeks).max()
    ridge = PENALTY * correlation * (1e-4 + (1 - 1e-4) * point[-1])
    design = np.column_stack([scaled(plain), scaled(media)])
    size = design.shape[1]
    fit = lsq_linear(
        np.vstack([design, np.sqrt(weeks * ridge) * np.eye(size)]),
        np.append(y - y.mean(), np.zeros(size)),
        bounds=([-np.inf] * (size - channels) + [0.0] * channels, np.inf),
        tol=1e-14,
        max_iter=1000,
    )
    residual = y - y.mean() - design @ fit.x
    beta = fit.x[-channels:] / media.std(axis=0)
    effect = [sum(beta[c] * media[week, c] for week in range(weeks)) for c in range(channels)]
    spend = brief.panel.spend[:weeks].sum(axis=(0, 1))
    squares, idle = 0.0, 0
    for c in range(channels):
        share = effect[c] / sum(effect)
        squares += (share - spend[c] / spend.sum()) ** 2
        idle += round(share, 4) == 0
    rssd = np.sqrt(squares) * (1 + idle / channels)
    return np.sqrt(np.mean(residual**2)) / (y.max() - y.min()), rssd, beta * media.sum(axis=0)


def test_the_errors_are_those_of_plain_loops(briefs, data):
    points = points_between(robyn.bounds_of(np.array([0, 11]), "wide"), 12, 1)
    points[:6, -1] *= 1e-3  # little penalty, where the search ends up
    errors = in_float64(robyn.errors_of, data, PENALTY, points)
    for point, (nrmse, rssd) in zip(points, errors, strict=True):
        expected = by_hand(briefs[0], point)
        np.testing.assert_allclose(nrmse, expected[0], rtol=1e-6)
        np.testing.assert_allclose(rssd, expected[1], rtol=1e-4, atol=1e-6)


def test_contributions_of_the_seen_weeks_are_the_decomposition(briefs, data):
    """With the tail, in which carry-over still acts, a channel brings a little more."""
    point = np.array([[0.5, 0.2, 1.0, 1.2, 0.5, 0.8, 1.0]])  # with so great a penalty no channel is left out
    answers = in_float64(robyn.answers_of, KEY, data, PENALTY, point, briefs[0])
    effect = by_hand(briefs[0], point[0])[2]
    assert (effect > 0).all()
    assert (answers.contribution[0, 0] > effect).all() and (answers.contribution[0, 0] < 1.1 * effect).all()
    factual = answers.baseline[0].sum() + effect.sum()
    np.testing.assert_allclose(factual, briefs[0].panel.kpi.sum(), rtol=1e-6)  # residuals of a fit with level sum to 0


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 5.0)), min_size=1, max_size=6))
def test_distance_of_decompositions(pairs):
    effect, spend = np.array(pairs).T
    if effect.sum() <= 1e-3 or spend.sum() <= 1e-3:
        return
    share = spend / spend.sum()
    squares, used, idle = 0.0, 0, 0
    for e, s in zip(effect / effect.sum(), share, strict=True):
        squares += (e - s) ** 2
        used += s > 0
        idle += s > 0 and e < 5e-5
    expected = np.sqrt(squares) * (1 + idle / used)
    np.testing.assert_allclose(in_float64(robyn.decomposition_distance, effect, share), expected, atol=1e-12)


def test_no_effect_at_all_is_as_bad_as_can_be():
    assert in_float64(robyn.decomposition_distance, np.zeros(3), np.full(3, 1 / 3)) == robyn.WORST


# --- search and selection


def searched(errors, bounds, seed, *extent):
    """All that a search looked at, and its errors."""
    return in_float64(jax.jit(lambda: robyn_search.search(errors, bounds, jax.random.key(seed), *extent)))


def valley(x):
    """Rosenbrock's function of points [N, n]."""
    return (100.0 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1.0 - x[:, :-1]) ** 2).sum(axis=1)


def test_the_search_comes_as_far_as_scipy():
    """The same differential evolution on a curved valley: logarithms of the least loss, by 40 searches each."""
    bounds, generations, population = np.array([(-2.0, 2.0)] * 3), 40, 20
    theirs = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        found = differential_evolution(
            lambda x: valley(x.T), bounds, strategy="currenttobest1bin", mutation=0.8, recombination=0.5,
            init=-2.0 + 4.0 * random.random((population, 3)), maxiter=generations - 1, tol=0.0, polish=False,
            updating="deferred", vectorized=True, rng=random,
        )  # fmt: skip
        theirs.append(np.log(found.fun))

    def both(x):
        return jax.numpy.stack([valley(x)] * 2, axis=1)

    _, errors = searched(both, bounds, 1, 40, generations, population)  # trials share nothing
    own = np.log(errors[:, 0].reshape(40, -1).min(axis=1))
    error = np.sqrt((np.var(own, ddof=1) + np.var(theirs, ddof=1)) / 40)
    assert abs(own.mean() - np.mean(theirs)) < 3.5 * error
    assert error < 0.5  # orders of magnitude would show


@given(st.integers(0, 10_000))
def test_offspring_are_a_member_and_a_difference_of_two_others(seed):
    """Single numbers, so that all are taken: each is one of the few sums there can be, or drawn anew within bounds."""
    members = np.random.default_rng(seed).random((2, 5, 1))
    best = members[:, :1]
    told = in_float64(lambda: robyn_search.offspring(jax.random.key(seed), members, best))
    assert (told >= 0).all() and (told <= 1).all()
    for group, first, children in zip(members[..., 0], best[:, 0, 0], told[..., 0], strict=True):
        for i, child in enumerate(children):
            others = [j for j in range(5) if j != i]
            sums = {0.2 * group[i] + 0.8 * (first + group[a] - group[b]) for a in others for b in others if a != b}
            if all(0.0 <= x <= 1.0 for x in sums):
                assert min(abs(child - x) for x in sums) < 1e-12


def test_a_part_of_the_numbers_is_the_donors_and_never_none():
    members = np.random.default_rng(0).random((400, 6, 7))
    told = in_float64(lambda: robyn_search.offspring(jax.random.key(1), members, members[:, :1]))
    changed = (told != members).mean(axis=(0, 1))
    # one for sure, each other one by a throw of a coin
    np.testing.assert_allclose(changed, 1 / 7 + 6 / 7 * robyn_search.CROSSOVER, atol=0.04)
    assert (told != members).any(axis=-1).all()


def test_bounds_are_the_published_ones():
    kinds = np.array([KINDS.index("tv"), KINDS.index("print"), KINDS.index("paid-social"), KINDS.index("other")])
    bounds = robyn.bounds_of(kinds, "by-kind")
    assert bounds[:4].tolist() == [[0.3, 0.8], [0.1, 0.4], [0.0, 0.3], [0.0, 0.8]]
    assert bounds[4:8].tolist() == [[0.5, 3.0]] * 4 and bounds[8:12].tolist() == [[0.3, 1.0]] * 4
    assert robyn.bounds_of(kinds, "wide")[:4].tolist() == [[0.0, 0.8]] * 4


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=40), st.integers(1, 12))
def test_fronts_are_peeled_in_order(pairs, models):
    """A candidate that is left out beats none that is kept, unless both are of the last front."""
    errors = np.array(pairs, float)
    chosen = robyn_search.best(errors, models)
    assert len(chosen) == models
    inside = np.flatnonzero((errors <= np.quantile(errors, 0.9, axis=0)).all(axis=1))
    inside = inside if len(inside) else np.arange(len(errors))
    assert set(chosen) <= set(inside)
    for i in set(inside) - set(chosen):
        for j in set(chosen) if len(set(chosen)) == models else ():
            better = (errors[i] <= errors[j]).all() and (errors[i] < errors[j]).any()
            assert not better


def test_the_search_finds_the_world_it_was_made_from(data):
    """No noise, effects shared like spend: both errors are least at the truth."""
    channels = data.lever.shape[1]
    bounds = robyn.bounds_of(np.full(channels, KINDS.index("other")), "by-kind")
    retention, alpha, gamma = np.array([0.6, 0.2]), np.array([1.5, 0.8]), np.array([0.4, 0.7])
    weeks = int(data.seen.sum())
    late = np.zeros((weeks, channels))
    for week in range(weeks):
        late[week] = data.lever[week] + (retention * late[week - 1] if week else 0.0)
    curve = late**alpha / (late**alpha + (gamma * late.max(axis=0)) ** alpha)
    effect = np.array([0.5, 0.4]) * curve
    kpi = np.zeros(len(data.seen))
    kpi[:weeks] = effect.sum(axis=1) - effect.sum(axis=1).mean()
    easy = data._replace(kpi=kpi, spend_share=effect.sum(axis=0) / effect.sum())

    points, errors = searched(lambda x: robyn.errors_of(easy, 1e-3, x), bounds, 0, 1, 300, 40)
    assert len(points) == 300 * 40
    best = points[errors.sum(axis=1).argmin()][:-1].reshape(3, channels)
    assert errors.sum(axis=1).min() < 0.005
    np.testing.assert_allclose(best[0], retention, atol=0.03)
    np.testing.assert_allclose(best[1], alpha, atol=0.2)
    np.testing.assert_allclose(best[2], gamma, atol=0.2)  # slope and half-saturation make up for each other


def test_trials_lean_to_one_error_or_the_other(data):
    """Trial after trial more to the fit; single ones get stuck, so that six of each end are looked at."""
    bounds, weight = robyn.bounds_of(np.array([11, 11]), "by-kind"), (np.arange(24) + 0.5) / 24
    _, errors = searched(lambda x: robyn.errors_of(data, PENALTY, x), bounds, 0, 24, 40, 20)
    ends = np.stack([
        x[(x @ [w, 1 - w]).argmin()] for x, w in zip(errors.reshape(24, -1, 2), weight, strict=True)
    ])  # fmt: skip
    to_shares, to_fit = np.median(ends[:6], axis=0), np.median(ends[-6:], axis=0)
    assert to_shares[1] < to_fit[1] and to_fit[0] < to_shares[0]


# --- the contender


def test_answers_follow_the_key(briefs):
    one, again, other = made().answer([briefs[0]] * 3, [KEY, KEY, KEY + 1])
    np.testing.assert_array_equal(one.contribution, again.contribution)
    np.testing.assert_array_equal(one.forecast, again.forecast)
    assert not np.array_equal(one.contribution, other.contribution)


def test_draws_are_whole_models_in_turn(briefs):
    (reply,) = made().answer(briefs[:1], [KEY])
    assert reply.contribution.shape[0] == 20
    assert len(np.unique(reply.contribution[:, 0], axis=0)) <= SMALL["models"]
    change = np.diff(reply.contribution[:, 0, 0]) != 0
    assert change.sum() <= SMALL["models"] - 1
    assert (reply.contribution >= 0).all() and (np.diff(reply.curve, axis=-1) >= -1e-9).all()


def test_other_money_with_rounding(briefs):
    """By a factor that rounds every number: the search must not lose its way."""
    one, other = made().answer([briefs[0], in_money(briefs[0], 0.37)], [KEY, KEY])
    np.testing.assert_allclose(other.contribution, one.contribution, rtol=1e-6)
    np.testing.assert_allclose(other.plan_value, 0.37 * one.plan_value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("used", [(1.0, 0.0), (0.0, 0.0)], ids=["one", "none"])
def test_a_channel_without_spend_has_no_effect(briefs, used):
    brief, used = briefs[0], np.array(used)
    spent = brief._replace(
        panel=brief.panel._replace(lever=brief.panel.lever * used, spend=brief.panel.spend * used),
        context=brief.context._replace(spend_scale=brief.context.spend_scale * used),
    )
    (reply,) = made().answer([spent], [KEY])
    assert not isinstance(reply, Failure)
    idle = used == 0
    assert (reply.contribution[:, :, idle] == 0).all() and (reply.contribution[:, 0, ~idle] > 0).any(axis=0).all()
    assert np.isnan(reply.marginal[:, 0, idle]).all()


def test_a_kpi_that_never_moves_is_refused_alone(briefs):
    still = briefs[0]._replace(panel=briefs[0].panel._replace(kpi=np.ones_like(briefs[0].panel.kpi)))
    first, second = made().answer([still, briefs[1]], [KEY, KEY])
    assert isinstance(first, Failure) and first.reason == "nonfinite"
    assert not isinstance(second, Failure)


def test_nothing_but_media(briefs):
    (reply,) = made(order=0, trend="none").answer(briefs[:1], [KEY])
    assert not isinstance(reply, Failure) and np.isfinite(reply.forecast).all()
