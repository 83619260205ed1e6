"""Both routes to an answer agree, in both precisions; a later origin is a shorter panel."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds

from simbench import briefs
from simbench.blocks import in_float64
from simbench.estimands import (
    Effects,
    answer,
    answer_additive,
    arrived,
    late_effect,
    mean_of,
    middle_week,
    plan_of,
    response_plans,
)
from simbench.transforms import carry_late, saturate
from simbench.world.truth import draw

LAGS = 7


def model(dtype, geos, channels, *, settles_first, path=None, seed=0):
    """A sum of curves as a backend would have it: half of the channels settle first if asked to.

    `path` is over how many geos the factors of the weeks run; None: effects do not change over time.
    """
    rng = np.random.default_rng(seed)
    kernel = rng.random((LAGS, channels)) * 0.6 ** np.arange(LAGS)[:, None]
    kernel, size, half = (
        np.asarray(x, dtype)
        for x in (kernel / kernel.sum(0), 40 * rng.random((geos, channels, 1)), 60 + 50 * rng.random((channels, 1)))
    )
    first = (np.arange(channels) % 2 == 0 if settles_first else np.zeros(channels, bool))[:, None]

    def effects(periods):
        base = np.asarray(500 + 50 * rng.random((periods, geos)), dtype)
        factor = None if path is None else np.asarray(0.5 + rng.random((path, channels, periods)), dtype)
        return Effects(
            base, lambda x: jnp.where(first, x, carry_late(kernel, x)),
            lambda v: size * saturate("hill", v, half, dtype(1.4)),
            lambda s: jnp.where(first, carry_late(kernel, s), s), factor,
        )  # fmt: skip

    return effects


@pytest.fixture(scope="module", params=[1, 3])
def brief(request, tmp_path_factory):
    by_geo = '[[questions.problems]]\nname = "fixed"\n[[questions.problems]]\nname = "geo"\nscope = "geo"\n'
    text = worlds.plain(geos=request.param, extra=by_geo if request.param > 1 else "")
    return draw(worlds.written(tmp_path_factory.mktemp("e"), text), 1, truth=False).briefs[0]


def close(one, other, tolerance):
    for field in one._fields:
        pairs = zip(jax.tree.leaves(getattr(one, field)), jax.tree.leaves(getattr(other, field)), strict=False)
        for x, y in pairs:
            assert np.array_equal(np.isnan(x), np.isnan(y)), field
            assert np.nanmax(np.abs(x - y)) <= tolerance * np.nanmax(np.abs(y)), field


@pytest.mark.parametrize("over_time", [None, "channel", "geo"])
@pytest.mark.parametrize("settles_first", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_the_additive_route_equals_the_generic_one(brief, settles_first, over_time, dtype, tolerance):
    cast = jax.tree.map(lambda x: x.astype(dtype) if np.issubdtype(x.dtype, np.floating) else x, brief)
    panel, questions, context = cast
    geos = panel.kpi.shape[1]
    path = {None: None, "channel": 1, "geo": geos}[over_time]
    make = model(dtype, geos, panel.lever.shape[2], settles_first=settles_first, path=path)

    def both(panel):
        lever, _ = briefs.timeline(panel, questions.future)
        effects = make(lever.shape[0])
        additive = answer_additive(effects, lever, questions, context, panel.origin)
        return additive, answer(mean_of(effects, lever), questions, context, panel.origin, lever.shape[0])

    with jax.enable_x64(dtype == np.float64):
        additive, generic = jax.tree.map(np.asarray, jax.jit(both)(panel))
    assert additive.contribution.dtype == dtype
    close(additive, generic, tolerance)


@pytest.mark.parametrize("settles_first", [False, True])
def test_a_memory_that_is_known_changes_nothing_but_the_work(brief, settles_first):
    """One that is too short would be noticed."""
    panel, questions, context = brief
    geos, channels = panel.lever.shape[1:]
    assert questions.sizes.tail > LAGS - 1

    def told(memory):
        lever, _ = briefs.timeline(panel, questions.future)
        effects = model(np.float64, geos, channels, settles_first=settles_first, path=1)(lever.shape[0])
        return answer_additive(effects._replace(memory=memory), lever, questions, context, panel.origin)

    unknown, known, short = (in_float64(jax.jit(lambda memory=memory: told(memory))) for memory in (None, LAGS - 1, 0))
    close(known, unknown, 1e-12)
    with pytest.raises(AssertionError):
        close(short, unknown, 1e-12)


def test_trailing_masked_weeks_change_nothing(brief):
    """The same data on a longer panel whose last rows are garbage: the same answers."""
    panel, questions, context = brief
    cut = int(panel.origin) - 5
    windows = np.array([[0, cut], [20, cut]], np.int32)
    questions = questions._replace(windows=windows)
    make = model(np.float64, panel.kpi.shape[1], panel.lever.shape[2], settles_first=True)

    def ask(panel):
        lever, _ = briefs.timeline(panel, questions.future)
        return answer_additive(
            make(80)._replace(base=jnp.ones((lever.shape[0], lever.shape[1]))), lever, questions, context, panel.origin
        )

    short = panel._replace(
        origin=np.int32(cut),
        **{f: getattr(panel, f)[:cut] for f in ("lever", "spend", "kpi", "controls", "calendar", "mask")},
    )
    garbage = panel.lever.copy()
    garbage[cut:] = np.nan
    long = panel._replace(origin=np.int32(cut), lever=garbage)
    one, other = in_float64(jax.jit(ask), short), in_float64(jax.jit(ask), long)
    close(one._replace(baseline=None), other._replace(baseline=None), 1e-13)
    np.testing.assert_allclose(one.baseline, other.baseline[:cut], rtol=1e-13)


def test_impulse_week_is_the_one_nearest_the_middle():
    active = jnp.zeros(20, bool).at[jnp.array([3, 8, 11, 19])].set(True)
    assert int(middle_week(active, 0, 20)) == 8  # the middle is 9.5: weeks 8 and 11 tie, the earlier wins
    assert int(middle_week(active, 9, 20)) == 11
    assert int(middle_week(active, 12, 19)) == -1


def test_arrived_is_cumulative_and_undefined_without_effect():
    path = np.array([9.0, 4, 2, 1, 1, 5])
    np.testing.assert_allclose(in_float64(lambda: arrived(jnp.asarray(path), 1, 3, 3)), [0.5, 0.75, 0.875])
    assert np.isnan(in_float64(lambda: arrived(-jnp.asarray(path), 1, 3, 3))).all()


def test_plans_of_amounts_spend_the_amounts(brief):
    for problem in brief.questions.problems:
        plan = in_float64(plan_of, problem, problem.status_quo)
        assert plan.sum() == pytest.approx(problem.status_quo.sum())
        np.testing.assert_allclose(plan, brief.questions.plans[0], rtol=1e-9, atol=1e-9)
        many = in_float64(response_plans, problem)
        one = many[1, 3]
        expected = problem.status_quo.copy()
        expected[1] = problem.levels[1, 3]
        np.testing.assert_allclose(one, in_float64(plan_of, problem, expected))


def test_nothing_is_late_when_the_kernel_is_shorter_than_the_tail(brief):
    panel, questions, _ = brief
    make = model(np.float64, panel.kpi.shape[1], panel.lever.shape[2], settles_first=False)

    def late(panel):
        lever, _ = briefs.timeline(panel, questions.future)
        return late_effect(make(lever.shape[0]), lever, questions), late_effect(
            make(lever.shape[0]), lever, questions._replace(sizes=questions.sizes.__class__(2, 3, 8))
        )

    none, some = in_float64(jax.jit(late), panel)
    np.testing.assert_allclose(none, 0, atol=1e-9)
    assert (some > 1e-3).all()
