"""Worlds asked at another origin, and the holdout drawn anew from there."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds
from scipy import stats

from simbench.blocks import in_float64
from simbench.briefs import one
from simbench.errors import BadInput
from simbench.world.base import held, rollout
from simbench.world.panel import world_of
from simbench.world.seen import windows_of
from simbench.world.truth import book_in, draw, draw_program, draw_transformed, fresh_futures
from simbench.world.worth import value

WEEKS, BACK = 60, 13
LEFT = WEEKS - BACK
HOLDOUT, HORIZON, TAIL = 8, 10, 14
CONTROL = '[[controls]]\nname = "price"\nmean = 10.0\nsd = 1.0\nrho = 0.6\neffect = -30.0\n'
RIVAL = '[[demand.competitors]]\nname = "rival"\nkind = "shocks"\na_year = 5\nweeks = 3\ndepth = 0.3\n'
PROMOTIONS = "[demand.promotions]\nevery = 7\nweeks = 2\nlow = 0.1\nhigh = 0.2\nelasticity = 1.5\n"
PROBLEMS = '[[questions.problems]]\nname = "fixed"\n[[questions.problems]]\nname = "free"\nbudget = "free"\n'
ROAS = 'roas = { dist = "lognormal", median = 1.5, sigma = 0.4 }'
RANDOM_WALK = 'trend = { kind = "random-walk", sd = 0.02 }'


def free_of_length(text: str, weeks: int) -> str:
    """The world of `text` with scales given as numbers, so that no number looks at the panel's length."""
    changes = {
        ROAS: "effect = 150.0",
        'kind = "hill", half_at = 1.0': 'kind = "hill", scaled_by = "money", half_at = 120.0',
        'kind = "gaussian"\nshare = 0.05': 'kind = "ar1"\nrho = 0.6\nsd = 30.0',
        'trend = { kind = "linear", per_year = 0.05 }': RANDOM_WALK,
        f"weeks = {WEEKS}": f"weeks = {weeks}",
        "amplitude = 0.2": "amplitude = 0.2, part_of_a_year = true",
    }
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def windows(*rows: tuple[int, int]) -> str:
    return f"[questions]\nwindows = {[list(row) for row in rows]}\n{PROBLEMS}{CONTROL}{RIVAL}{PROMOTIONS}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("worlds")


MOVED, CUT = windows((10, 30), (34, WEEKS)), windows((10, 30), (34 - BACK, LEFT))


@pytest.fixture(scope="module")
def bought(folder):
    return worlds.written(folder, free_of_length(worlds.bought(name="origin-bought", extra=MOVED), WEEKS))


@pytest.fixture(scope="module")
def earlier(bought):
    return draw(bought, [1, 4], origin=-BACK)


@pytest.mark.parametrize("kind", ["plain", "bought"])
def test_an_earlier_origin_is_a_shorter_world(kind, folder, tmp_path, request):
    """A world drawn with k weeks less and the same world asked k weeks earlier: one brief, one truth."""
    if kind == "bought":
        asked, short = request.getfixturevalue("earlier"), worlds.bought(name="origin-bought", extra=CUT)
    else:
        options = {"name": "origin-plain", "geos": 2, "shock": True}
        long, short = (worlds.plain(**options, extra=extra) for extra in (MOVED, CUT))
        asked = draw(worlds.written(folder, free_of_length(long, WEEKS)), [1, 4], origin=-BACK)
    drawn = draw(worlds.written(tmp_path, free_of_length(short, LEFT)), [1, 4])
    panel = asked.brief.panel
    cut_panel = panel._replace(**{
        field: getattr(panel, field)[:, :LEFT] for field in ("lever", "spend", "kpi", "controls", "calendar", "mask")
    })  # fmt: skip
    answers = asked.truth.answers
    told = asked.truth._replace(answers=answers._replace(baseline=answers.baseline[:, :LEFT]))
    both = (asked.brief._replace(panel=cut_panel), told), (drawn.brief, drawn.truth)
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(both[0])]
    for name, found, right in zip(names, *map(jax.tree.leaves, both), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-9, err_msg=name)
    assert asked.labels == drawn.labels and asked.origin == -BACK


def test_nothing_of_the_weeks_ahead_is_in_the_panel(earlier):
    panel = earlier.brief.panel
    assert (panel.origin == LEFT).all()
    for field in ("lever", "spend", "kpi", "controls", "calendar", "mask"):
        rows = getattr(panel, field)
        assert rows.shape[1] == WEEKS and (rows[:, LEFT:] == 0).all(), field
    assert (panel.mask[:, :LEFT] == 1).all() and (panel.kpi[:, :LEFT] != 0).all()


def test_the_holdout_is_what_the_later_panel_shows(bought, earlier):
    whole = draw(bought, [1, 4], truth=False)
    later = whole.brief.panel
    ahead = slice(LEFT, LEFT + HOLDOUT)
    future = earlier.brief.questions.future
    for found, right in (
        (earlier.truth.kpi_future, later.kpi),
        (future.spend, later.spend),
        (future.lever, later.lever),
    ):
        np.testing.assert_array_equal(found, right[:, ahead])
    for found, right in ((future.controls, later.controls), (future.calendar, later.calendar)):
        assert found.shape[1] == HORIZON + TAIL
        np.testing.assert_array_equal(found[:, :BACK], right[:, LEFT:])
    start = whole.secret.form.pre + LEFT
    mu = whole.secret.path.mean[:, start : start + HOLDOUT]
    np.testing.assert_allclose(earlier.truth.answers.forecast, mu, rtol=1e-12)
    np.testing.assert_array_equal(earlier.brief.panel.kpi[:, :LEFT], later.kpi[:, :LEFT])
    np.testing.assert_allclose(earlier.brief.context.kpi_scale, later.kpi[:, :LEFT].sum(axis=-1).mean(axis=1))
    np.testing.assert_allclose(earlier.brief.context.spend_scale, later.spend[:, :LEFT].sum(axis=2).mean(axis=1))


def test_no_origin_is_the_default(bought):
    for x, y in zip(
        *(jax.tree.leaves(draw(bought, 2, truth=False, **o)[3:6]) for o in ({}, {"origin": 0})), strict=True
    ):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("kind", ["chasing", "bought"])
def test_contributions_by_running_the_world_week_by_week(kind, folder, request):
    """Levers of one channel off in a window, zero from the origin on, the others held or following their rules."""
    if kind == "bought":
        drawn = request.getfixturevalue("earlier")
    else:
        drawn = draw(worlds.written(folder, worlds.chasing(name="origin-chasing")), 1, origin=-BACK)
    form, state, path = drawn.secret.form, one(drawn.secret.start, 0), one(drawn.secret.path, 0)
    world, weeks = world_of(form), np.arange(form.pre + LEFT + TAIL)
    past, inside = weeks < form.pre + LEFT, weeks >= form.pre

    def run(keep, follows):
        scale = jnp.asarray(past)[:, None, None] * keep
        plan = world.plan if follows else held(jnp.asarray(path.lever))
        # path-dependent rules look at the KPI of this very arm
        return rollout(world, state, lambda seen: scale[seen.week] * plan(seen), LEFT + TAIL)[1].mean.sum()

    arm = jax.jit(run, static_argnums=1)
    factual = np.ones((len(weeks), 1, 2))
    for follows, told in ((False, drawn.truth.answers), (True, drawn.truth.responding)):
        for c in range(2):
            off = factual.copy()
            off[inside, :, c] = 0.0
            gone = in_float64(arm, factual, follows) - in_float64(arm, off, follows)
            np.testing.assert_allclose(told.contribution[0, 0, c], gone, rtol=1e-9)


def test_decisions_are_valued_at_the_new_origin(earlier):
    book = book_in(earlier.secret, earlier.brief)
    for problem, best in zip(earlier.brief.questions.problems, earlier.truth.optima, strict=True):
        np.testing.assert_allclose(value(book, problem, best.amounts), best.value, rtol=1e-9)
        np.testing.assert_allclose(value(book, problem, best.reference), best.reference_value, rtol=1e-9, atol=1e-9)
        now = earlier.brief.panel.lever[:, LEFT - HORIZON : LEFT].sum(axis=(1, 2))  # less than a year of data
        np.testing.assert_allclose(problem.status_quo, now)


def test_one_program_serves_all_origins(bought):
    drawn = draw(bought, 1, truth=False)
    compiled = draw_program(drawn.secret.form)
    before = compiled._cache_size()
    for back in (1, 20, 52):
        assert (draw(bought, 1, truth=False, origin=-back).brief.panel.origin == WEEKS - back).all()
    assert compiled._cache_size() == before


def test_windows_keep_their_length_and_end_with_the_data(bought):
    scenario = draw(bought, 1, truth=False).scenario
    asked = scenario.model_copy(
        update={"questions": scenario.questions.model_copy(update={"windows": ((0, 60), (8, 60), (2, 30), (50, 55))})}
    )
    assert windows_of(asked, 60) == ((0, 60), (8, 60), (2, 30), (50, 55))
    assert windows_of(asked, 47) == ((0, 47), (0, 47), (2, 30), (42, 47))
    assert windows_of(asked, 12) == ((0, 12), (0, 12), (0, 12), (7, 12))


@pytest.mark.parametrize("origin", [1, -53, True, -1.5, "-3", None])
def test_an_origin_that_cannot_be_says_which_can(bought, origin):
    with pytest.raises(BadInput, match="from -52 to 0"):
        draw(bought, 1, truth=False, origin=origin)


# --- transforms by name


def test_a_transform_of_what_is_seen_leaves_the_truth(folder):
    path = worlds.written(folder, worlds.plain(name="transformed"))
    drawn = draw(path, [0, 3])
    for text in ("perturbed:0.05", "placebo:tv:26"):
        seen = draw_transformed(path, [0, 3], text)
        alone = draw_transformed(path, [3], text, truth=False)
        for x, y in zip(jax.tree.leaves(seen.truth), jax.tree.leaves(drawn.truth), strict=True):
            np.testing.assert_array_equal(x, y)
        for x, y in zip(jax.tree.leaves(seen.brief.questions), jax.tree.leaves(drawn.brief.questions), strict=True):
            np.testing.assert_array_equal(x, y)
        assert not np.array_equal(seen.brief.panel.spend, drawn.brief.panel.spend)
        np.testing.assert_array_equal(alone.brief.panel.spend[0], seen.brief.panel.spend[1])
        np.testing.assert_allclose(seen.brief.context.spend_scale, seen.brief.panel.spend.sum(axis=2).mean(axis=1))
    moved = draw_transformed(path, 1, "origin:-13", truth=False)
    np.testing.assert_array_equal(moved.brief.panel.kpi, draw(path, 1, truth=False, origin=-13).brief.panel.kpi)
    np.testing.assert_array_equal(draw_transformed(path, 1, "", truth=False).brief.panel.kpi, drawn.brief.panel.kpi[:1])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("placebo:tw:3", "no channel 'tw'; did you mean 'tv'"),
        ("placebo:tv:60", "at most 59 weeks"),
        ("origin:-53", "from -52 to 0"),
        ("orign:-3", "did you mean 'origin'"),
    ],
)
def test_a_transform_that_a_scenario_does_not_allow(bought, text, words):
    with pytest.raises(BadInput, match=words):
        draw_transformed(bought, 1, text)


# --- fresh futures


def noisy(noise: str, name: str, *changes: tuple[str, str], **options) -> str:
    text = worlds.plain(name=name, **options).replace('kind = "gaussian"\nshare = 0.05', noise)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def holdout(drawn, path):
    start = drawn.secret.form.pre + drawn.secret.weeks
    return path[:, start : start + HOLDOUT]


@pytest.mark.parametrize("noise", ['kind = "gaussian"\nsd = 40.0', 'kind = "student-t"\ndf = 4.0\nsd = 40.0'])
def test_noise_is_drawn_anew_around_the_mean(noise, tmp_path):
    drawn = draw(worlds.written(tmp_path, noisy(noise, "white", geos=2)), [3, 7], truth=False, origin=-5)
    fresh = fresh_futures(drawn, 500)
    assert fresh.shape == (2, 500, HOLDOUT, 2) and fresh.dtype == np.float64
    share = drawn.secret.now["told"]["share"][:, None, None]
    eta = (fresh - holdout(drawn, drawn.secret.path.mean)[:, None]) / (40.0 * np.sqrt(share))
    law = stats.t(4, scale=np.sqrt(0.5)) if "student" in noise else stats.norm()
    assert stats.kstest(eta.ravel(), law.cdf).pvalue > 0.01
    across = np.corrcoef(eta.reshape(2, 500, -1).transpose(0, 2, 1).reshape(-1, 500))
    assert np.abs(across[~np.eye(len(across), dtype=bool)]).max() < 0.25  # 5 sd of a correlation of 500 pairs
    np.testing.assert_array_equal(fresh_futures(draw(drawn.scenario, [7], truth=False, origin=-5), 9)[0], fresh[1, :9])


def test_noise_with_memory_goes_on_from_where_it_stood(tmp_path):
    drawn = draw(
        worlds.written(tmp_path, noisy('kind = "ar1"\nrho = 0.8\nsd = 40.0', "red")), 4, truth=False, origin=-7
    )
    fresh, path, last = fresh_futures(drawn, 2000)[..., 0], drawn.secret.path, 12 + WEEKS - 7 - 1
    stood = (path.kpi - path.mean)[:, last, 0]
    mu, fade = holdout(drawn, path.mean)[..., 0], 0.8 ** np.arange(1, HOLDOUT + 1)
    sd = 40.0 * np.sqrt(1 - fade**2)
    error = (fresh.mean(axis=1) - (mu + fade * stood[:, None])) / (sd / np.sqrt(2000))
    assert np.abs(error).max() < 4
    np.testing.assert_allclose(fresh.std(axis=1), np.broadcast_to(sd, mu.shape), rtol=0.08)


@pytest.mark.parametrize("kind", ["shock", "trend"])
def test_demand_goes_on_from_where_it_stood(kind, tmp_path):
    """Without season or noise, what is not media is level x trend x shock: its logarithm by formula."""
    flat = ('season = { kind = "random", order = 2, amplitude = 0.2 }', "")
    trend = ('trend = { kind = "linear", per_year = 0.05 }', RANDOM_WALK if kind == "trend" else "")
    text = noisy('kind = "gaussian"\nsd = 1e-9', f"only-{kind}", flat, trend, shock=kind == "shock")
    drawn = draw(worlds.written(tmp_path, text), 3, truth=False)
    start, path, ahead = 12 + WEEKS, drawn.secret.path, np.arange(1, HOLDOUT + 1)
    brought = path.contribution.sum(axis=-1)[:, None, start:, 0]
    logs = np.log(fresh_futures(drawn, 2000)[..., 0] - brought)
    level, stood = np.log(drawn.secret.noise.numbers["demand.level"]), np.log(path.base[:, start - 1, 0])
    if kind == "shock":
        middle = level[:, None] + 0.7**ahead * (stood - level)[:, None]
        sd = 0.1 * np.sqrt(1 - 0.7 ** (2 * ahead))
    else:
        middle, sd = np.broadcast_to(stood[:, None], (3, HOLDOUT)), 0.02 * np.sqrt(ahead)
    assert np.abs((logs.mean(axis=1) - middle) / (sd / np.sqrt(2000))).max() < 4
    np.testing.assert_allclose(logs.std(axis=1), np.broadcast_to(sd, middle.shape), rtol=0.08)


def test_what_comes_is_one_of_the_fresh_futures(tmp_path):
    """Ranks of the realised KPI among fresh futures are uniform over worlds, at once and weeks later."""
    text = worlds.bought(name="ranks").replace(
        'kind = "gaussian"\nshare = 0.05', 'kind = "ar1"\nrho = 0.8\nshare = 0.05'
    )
    drawn = draw(worlds.written(tmp_path, text), 400, truth=False, origin=-13)
    realised = holdout(drawn, drawn.secret.path.kpi).sum(axis=-1)
    fresh = fresh_futures(drawn, 99).sum(axis=-1)
    for pick in (lambda x: x[..., 0], lambda x: x[..., -1], lambda x: x.sum(axis=-1)):
        rank = (pick(fresh) < pick(realised)[:, None]).sum(axis=1)
        assert stats.chisquare(np.bincount(rank // 10, minlength=10)).pvalue > 0.005
