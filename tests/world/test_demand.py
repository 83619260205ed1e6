"""Breaks, competitors, promotions, and what analysts are not shown."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from simbench.blocks import in_float64
from simbench.transforms import YEAR
from simbench.world import demand
from simbench.world.base import Noise
from simbench.world.forms import form_of
from simbench.world.scenario import read_scenario
from simbench.world.truth import draw, fresh_futures

PRE, WEEKS, HOLDOUT = 12, 60, 8
FIRST, END = -PRE, WEEKS + 10 + 14
T = np.arange(FIRST, END) * 1.0

LEVEL = '[[demand.breaks]]\nname = "shift"\nkind = "level"\nweek = {week}\nfactor = {factor}\n'
SPELL = LEVEL.replace("shift", "outage").replace("level", "spell") + "weeks = {weeks}\nfade = {fade}\n"
SHOCKS = (
    '[[demand.competitors]]\nname = "rival"\nkind = "shocks"\na_year = {a_year}\nweeks = {weeks}\ndepth = {depth}\n'
)
VOICE = (
    '[[demand.competitors]]\nname = "voice"\nkind = "share-of-voice"\nshare = 0.4\nrho = 0.8\nsd = 0.7\neffect = 0.9\n'
)
PROMOTIONS = "[demand.promotions]\nevery = {every}\nweeks = {weeks}\nlow = 0.1\nhigh = 0.3\nelasticity = 2.0\n"
CONTROL = '[[controls]]\nname = "price"\nmean = 10.0\nsd = 1.0\nrho = 0.6\neffect = -30.0\n'
EVENT = '[[demand.events]]\nname = "sale"\ndates = ["2021-05-01", "2022-04-01"]\nlift = 0.4\n'
#: Demand that nothing moves but what a test adds.
FLAT = (
    ('season = { kind = "random", order = 2, amplitude = 0.2 }', ""),
    ('trend = { kind = "linear", per_year = 0.05 }', ""),
    ('kind = "gaussian"\nshare = 0.05', 'kind = "gaussian"\nsd = 1e-9'),
)


def flat(text: str) -> str:
    for old, new in FLAT:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def path_of(tmp_path_factory):
    """(mechanism, tables of a file) -> its path [P+N], from the numbers and innovations a test sets."""
    folder = tmp_path_factory.mktemp("demand")

    def of(mechanism, extra: str):
        form = form_of(read_scenario(worlds.written(folder, worlds.plain(extra=extra))))
        program = jax.jit(lambda numbers, innovations: mechanism(form, Noise(numbers, innovations, {"t": T})))
        return lambda numbers, **innovations: in_float64(
            program, {key: np.float64(x) for key, x in numbers.items()}, innovations
        )

    return of


# --- breaks


@pytest.fixture(scope="module")
def broken(path_of):
    level, spell = LEVEL.format(week=3, factor=0.8), SPELL.format(week=9, weeks=5, factor=0.6, fade=2)
    return path_of(demand.breaks, level + spell)


def numbers(week=0.0, factor=1.0, begins=0.0, weeks=1.0, deep=1.0, fade=0.0):
    shift = {"demand.breaks.shift.week": week, "demand.breaks.shift.factor": factor}
    outage = {"week": begins, "weeks": weeks, "factor": deep, "fade": fade}
    return shift | {f"demand.breaks.outage.{key}": value for key, value in outage.items()}


WEEK = st.floats(FIRST, END - 1)


@settings(max_examples=50, deadline=None)
@given(WEEK, WEEK, st.floats(1, 50), st.floats(0, 30))
def test_a_factor_of_one_is_no_break(broken, week, begins, weeks, fade):
    assert (broken(numbers(week, 1.0, begins, weeks, 1.0, fade)) == 1.0).all()


@settings(max_examples=50, deadline=None)
@given(WEEK, st.floats(0.05, 3.0), st.floats(0, 30))
def test_a_spell_that_never_ends_is_a_level(broken, week, factor, fade):
    level = broken(numbers(week=week, factor=factor))
    spell = broken(numbers(begins=week, weeks=END - week, deep=factor, fade=fade))
    np.testing.assert_allclose(spell, level, rtol=1e-14)
    np.testing.assert_allclose(level, np.where(week <= T, factor, 1.0), rtol=1e-14)


@settings(max_examples=50, deadline=None)
@given(st.integers(FIRST, END - 20), st.integers(1, 10), st.floats(0.05, 0.95), st.integers(0, 8))
def test_a_spell_lasts_its_weeks_and_fades_in_a_straight_line(broken, begins, weeks, factor, fade):
    path = broken(numbers(begins=begins, weeks=weeks, deep=factor, fade=fade))
    end = begins + weeks - FIRST
    np.testing.assert_allclose(path[begins - FIRST : end], factor, rtol=1e-14)
    assert (path[: begins - FIRST] == 1.0).all() and (path[end + fade :] == 1.0).all()
    back = path[end - 1 : end + fade + 1]
    np.testing.assert_allclose(np.diff(back), (1 - factor) / (fade + 1), rtol=1e-9)


def test_breaks_stand_in_the_weeks_ahead(tmp_path):
    extra = LEVEL.format(week=20, factor=0.8) + SPELL.format(week=62, weeks=3, factor=0.5, fade=1)
    drawn = draw(worlds.written(tmp_path, flat(worlds.plain(extra=extra))), 2, truth=False)
    level = drawn.secret.noise.numbers["demand.level"][:, None]
    q = drawn.secret.path.base[:, PRE:, 0] / level
    right = np.where(np.arange(WEEKS + HOLDOUT) < 20, 1.0, 0.8)
    right[62:65] *= 0.5
    right[65] *= 0.75
    np.testing.assert_allclose(q, np.broadcast_to(right, q.shape), rtol=1e-12)
    assert drawn.labels.controls == ()


# --- competitors


def attacked(u, a_year, weeks):
    """Week by week: an action goes on for `weeks` weeks after the last start."""
    left, acting = 0.0, []
    for each in u:
        left = weeks if each < a_year / YEAR else left - 1
        acting.append(float(left > 0))
    return np.array(acting)


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 60), st.integers(1, 12), st.floats(0, 0.9), st.integers(0, 10**6))
def test_shocks_by_hand(path_of, shocks, a_year, weeks, depth, seed):
    u = np.random.default_rng(seed).random(len(T))
    told = {"a_year": a_year, "weeks": weeks, "depth": depth}
    path = shocks({f"demand.competitors.rival.{key}": value for key, value in told.items()}, **{RIVAL: u})
    np.testing.assert_allclose(path, 1 - depth * attacked(u, a_year, weeks), rtol=1e-14)
    assert path.min() >= 1 - depth - 1e-15  # actions that overlap are no deeper
    if a_year == 0 or depth == 0:
        assert (path == 1).all()


RIVAL = "demand.competitors.rival"


@pytest.fixture(scope="module")
def shocks(path_of):
    return path_of(demand.competitors, SHOCKS.format(a_year=6, weeks=4, depth=0.2))


def test_as_many_shocks_as_the_file_says(tmp_path):
    extra = SHOCKS.format(a_year=8, weeks=1, depth=0.3) + "seen = true\n"
    drawn = draw(worlds.written(tmp_path, flat(worlds.plain(extra=extra))), 300, truth=False)
    column = drawn.brief.panel.controls[..., 0, 0]
    assert drawn.labels.controls == ("rival",) and set(np.unique(column)) == {0.0, 1.0}
    chance = 8 / YEAR
    assert abs(column.mean() - chance) < 4 * np.sqrt(chance * (1 - chance) / column.size)


ENTRANT = '[[demand.competitors]]\nname = "rival"\nkind = "entrant"\nweek = {week}\nweeks = {weeks}\ndepth = {depth}\n'


@settings(max_examples=50, deadline=None)
@given(st.floats(-PRE, WEEKS), st.floats(1, 60), st.floats(0, 0.9))
def test_an_entrant_by_hand(path_of, entrant, week, weeks, depth):
    told = {"week": week, "weeks": weeks, "depth": depth}
    path = entrant({f"demand.competitors.rival.{key}": value for key, value in told.items()})
    inside = [0.0 if t <= week - 1 else 1.0 if t >= week - 1 + weeks else (t - week + 1) / weeks for t in T]
    np.testing.assert_allclose(path, 1 - depth * np.array(inside), rtol=1e-12)
    assert (np.diff(path) <= 1e-15).all()  # whoever has entered stays


@pytest.fixture(scope="module")
def entrant(path_of):
    return path_of(demand.competitors, ENTRANT.format(week=10, weeks=20, depth=0.2))


def test_an_entrant_that_is_seen_has_a_column_and_no_stream(tmp_path):
    extra = ENTRANT.format(week=20, weeks=10, depth=0.3) + "seen = true\n"
    drawn = draw(worlds.written(tmp_path, flat(worlds.plain(extra=extra))), 3, truth=False)
    column = drawn.brief.panel.controls[..., 0, 0]
    assert drawn.labels.controls == ("rival",) and (column == column[0]).all()
    np.testing.assert_allclose(column[0, 18:31], [0, 0, *np.arange(1, 11) / 10, 1], atol=1e-12)
    assert "demand.competitors.rival" not in drawn.secret.noise.innovations


def test_a_share_of_voice_moves_around_its_median(tmp_path):
    drawn = draw(worlds.written(tmp_path, flat(worlds.plain(extra=VOICE + "seen = true\n"))), 300, truth=False)
    share = drawn.brief.panel.controls[..., 0, 0]
    odds = np.log(share / (1 - share)) - np.log(0.4 / 0.6)
    assert ((share > 0) & (share < 1)).all() and abs(odds[:, 0].mean()) < 4 * 0.7 / np.sqrt(300)
    np.testing.assert_allclose(odds[:, ::20].std(), 0.7, rtol=0.1)
    moved = (odds[:, 1:] - 0.8 * odds[:, :-1]) / (0.7 * 0.6)
    assert stats.kstest(moved.ravel(), stats.norm.cdf).pvalue > 0.01
    level = drawn.secret.noise.numbers["demand.level"][:, None]
    q = drawn.secret.path.base[:, PRE : PRE + WEEKS, 0] / level
    np.testing.assert_allclose(q, np.exp(-0.9 * (share - 0.4)), rtol=1e-12)


SPEND = '[[demand.competitors]]\nname = "spender"\nkind = "spend"\nweekly = 500.0\nrho = 0.8\nsd = 0.4\neffect = 0.3\n'


@pytest.fixture(scope="module")
def spender(path_of):
    """The competitor's money, and the factor of demand [P+N] each."""
    return path_of(lambda form, noise: demand.COMPETITORS["spend"](form, noise, "spender"), SPEND)


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-3, 1e7), st.floats(0, 0.95), st.floats(0, 0.8), st.floats(-0.5, 1), st.integers(0, 10**6))
def test_a_competitors_spend_by_hand(spender, weekly, rho, sd, effect, seed):
    told = {"weekly": weekly, "rho": rho, "sd": sd, "effect": effect}
    e = np.random.default_rng(seed).standard_normal(len(T))
    stream = "demand.competitors.spender"
    money, factor = spender({f"{stream}.{key}": value for key, value in told.items()}, **{stream: e})
    moved = [sd * e[0]]
    for each in e[1:]:
        moved.append(rho * moved[-1] + sd * np.sqrt(1 - rho**2) * each)
    np.testing.assert_allclose(money, weekly * np.exp(moved), rtol=1e-10)
    np.testing.assert_allclose(factor, (money / weekly) ** -effect, rtol=1e-10)
    if effect > 0:  # it takes demand, most where it spends most
        assert (np.diff(factor[np.argsort(money)]) <= 0).all() and (factor[money > weekly] <= 1).all()


def test_a_competitors_money_is_seen_as_it_moves_demand(tmp_path):
    drawn = draw(worlds.written(tmp_path, flat(worlds.plain(extra=SPEND + "seen = true\n"))), 300, truth=False)
    money, ahead = drawn.brief.panel.controls[..., 0, 0], drawn.brief.questions.future.controls[:, :HOLDOUT, 0, 0]
    assert drawn.labels.controls == ("spender",) and form_of(drawn.scenario).fresh_streams == {}
    logarithm = np.log(money / 500.0)
    assert abs(logarithm[:, 0].mean()) < 4 * 0.4 / np.sqrt(300)
    np.testing.assert_allclose(logarithm[:, ::20].std(), 0.4, rtol=0.1)
    level = drawn.secret.noise.numbers["demand.level"][:, None]
    q = drawn.secret.path.base[:, PRE : PRE + WEEKS + HOLDOUT, 0] / level
    weeks = np.concatenate([money[:, :WEEKS], ahead], axis=1)
    np.testing.assert_allclose(q, (weeks / 500.0) ** -0.3, rtol=1e-12)


def test_a_competitors_hidden_money_is_drawn_anew(tmp_path):
    """Fresh futures go on from the last week's money, and fall back to what is usual."""
    drawn = draw(worlds.written(tmp_path, flat(worlds.plain(extra=SPEND, name="unseen-spender"))), 3, truth=False)
    assert drawn.labels.controls == ()
    level, start = drawn.secret.noise.numbers["demand.level"], PRE + WEEKS
    stood = np.log(drawn.secret.path.base[:, start - 1, 0] / level) / -0.3
    brought = drawn.secret.path.contribution.sum(axis=-1)[:, None, start:, 0]
    moved = np.log((fresh_futures(drawn, 2000)[..., 0] - brought) / level[:, None, None]) / -0.3
    fade = 0.8 ** np.arange(1, HOLDOUT + 1)
    sd = 0.4 * np.sqrt(1 - fade**2)
    assert np.abs((moved.mean(axis=1) - fade * stood[:, None]) / (sd / np.sqrt(2000))).max() < 4
    np.testing.assert_allclose(moved.std(axis=1), np.broadcast_to(sd, (3, HOLDOUT)), rtol=0.08)


# --- promotions


@pytest.fixture(scope="module")
def promoted(path_of):
    return path_of(demand.discount, PROMOTIONS.format(every=8, weeks=2))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.floats(0, 0.4), st.floats(0.4, 0.9), st.integers(0, 10**6))
def test_one_promotion_in_every_cycle(promoted, every, weeks, low, high, seed):
    weeks = min(weeks, every)
    told = {"every": every, "weeks": weeks, "low": low, "high": high, "elasticity": 1.0}
    drawn = np.random.default_rng(seed).random((len(T), 2))
    path = promoted({f"demand.promotions.{key}": x for key, x in told.items()}, **{"demand.promotions": drawn})
    for k in range(len(T) // every):  # the last cycle may be cut off
        own = path[k * every : (k + 1) * every]
        depth = low + (high - low) * drawn[k, 1]
        on = np.flatnonzero(own > 0) if depth > 0 else np.arange(weeks)
        assert len(on) == weeks and on[-1] - on[0] == weeks - 1
        np.testing.assert_allclose(own[on], depth, rtol=1e-12)


def test_promotions_are_told_ahead(tmp_path):
    """The column of the panel and of the weeks ahead is the discount that demand follows, in every future."""
    extra = PROMOTIONS.format(every=7, weeks=2)
    drawn = draw(worlds.written(tmp_path, flat(worlds.plain(extra=extra))), 3, truth=False, origin=-9)
    weeks = WEEKS - 9
    future = drawn.brief.questions.future.controls[:, :HOLDOUT, 0, 0]
    column = np.concatenate([drawn.brief.panel.controls[:, :weeks, 0, 0], future], axis=1)
    assert drawn.labels.controls == ("promotion",) and (future > 0).any()
    level = drawn.secret.noise.numbers["demand.level"][:, None]
    start = PRE + weeks
    q = drawn.secret.path.base[:, PRE : start + HOLDOUT, 0] / level
    np.testing.assert_allclose(q, np.exp(2.0 * column), rtol=1e-12)
    realised = drawn.secret.path.kpi[:, None, start : start + HOLDOUT]
    np.testing.assert_allclose(fresh_futures(drawn, 5), np.repeat(realised, 5, axis=1), rtol=1e-9)


# --- what is hidden

EVERYTHING = (
    f"{CONTROL}seen = %s\n{EVENT}seen = %s\n{VOICE}seen = %s\n{SHOCKS.format(a_year=6, weeks=3, depth=0.3)}seen = %s\n"
    + PROMOTIONS.format(every=7, weeks=2)
    + "seen = %s\n"
)
NAMES = ("price", "voice", "rival", "promotion", "sale")
ORDER = ("price", "sale", "voice", "rival", "promotion")  # in the file


def showing(folder, *names: str):
    """The world of EVERYTHING in which analysts see just these; one family."""
    place = folder / "-".join(("seen", *names))
    place.mkdir(exist_ok=True)
    flags = tuple("true" if name in names else "false" for name in ORDER)
    return worlds.written(place, worlds.bought(name="hiding", extra=EVERYTHING % flags))


@pytest.mark.parametrize("names", [(), ("price", "rival"), ("voice", "promotion", "sale")])
def test_what_is_hidden_does_not_show_but_acts(names, tmp_path):
    whole, drawn = (draw(showing(tmp_path, *shown), 3, truth=False) for shown in (NAMES, names))
    assert drawn.labels.controls == names
    columns = [NAMES.index(name) for name in names]
    for part in ("panel", "future"):
        every, some = (
            each.brief.panel.controls if part == "panel" else each.brief.questions.future.controls
            for each in (whole, drawn)
        )
        np.testing.assert_array_equal(some, every[..., columns])
    np.testing.assert_allclose(drawn.brief.panel.kpi, whole.brief.panel.kpi, rtol=1e-12)
    np.testing.assert_allclose(drawn.secret.path.mean, whole.secret.path.mean, rtol=1e-12)
    assert (whole.brief.panel.controls.std(axis=1) > 0).all()


def test_only_what_is_hidden_is_drawn_anew(tmp_path):
    """Of what moves demand, fresh futures redraw what the brief does not tell; the past stays."""
    form = form_of(read_scenario(showing(tmp_path)))
    assert {"demand.competitors.voice": "normal", RIVAL: "uniform"}.items() <= form.future_streams.items()
    assert "controls.price" not in form.future_streams and form.fresh_streams["controls.price"] == "normal"
    assert "demand.promotions" not in form.fresh_streams
    told = form_of(read_scenario(showing(tmp_path, *NAMES)))
    assert set(told.fresh_streams) == {"demand.shock"}
    hidden = flat(worlds.plain(extra=CONTROL + "seen = false\n", name="hidden-price"))
    drawn = draw(worlds.written(tmp_path, hidden), 3, truth=False)
    base = drawn.secret.path.base[..., 0]
    start, level = PRE + WEEKS, drawn.secret.noise.numbers["demand.level"][:, None]
    brought = drawn.secret.path.contribution.sum(axis=-1)[:, None, start:, 0]
    moved = (fresh_futures(drawn, 2000)[..., 0] - brought - level[:, None]) / -30.0
    stood, fade = (base[:, start - 1] - level[:, 0]) / -30.0, 0.6 ** np.arange(1, HOLDOUT + 1)
    sd = np.sqrt(1 - fade**2)
    assert np.abs((moved.mean(axis=1) - fade * stood[:, None]) / (sd / np.sqrt(2000))).max() < 4
    np.testing.assert_allclose(moved.std(axis=1), np.broadcast_to(sd, (3, HOLDOUT)), rtol=0.08)


def test_an_action_that_has_begun_goes_on(tmp_path):
    """Fresh futures keep what began before the origin and draw later starts anew."""
    extra = SHOCKS.format(a_year=6, weeks=5, depth=0.4)
    drawn = draw(worlds.written(tmp_path, flat(worlds.plain(extra=extra, name="rivalry"))), 60, truth=False)
    level, start = drawn.secret.noise.numbers["demand.level"], PRE + WEEKS
    past = drawn.secret.path.base[:, :start, 0] / level[:, None] < 0.9
    brought = drawn.secret.path.contribution.sum(axis=-1)[:, None, start:, 0]
    acting = (fresh_futures(drawn, 400)[..., 0] - brought) / level[:, None, None] < 0.9
    starts = drawn.secret.noise.innovations[RIVAL][:, :start] < 6 / YEAR
    left = np.array([5 - (start - np.flatnonzero(each).max(initial=-99)) for each in starts])
    assert (past[:, -1] == (left >= 0)).all() and (left > 0).any() and (left < 0).any()
    for world, weeks in zip(acting, left, strict=True):
        assert world[:, : max(weeks, 0)].all()
    idle, chance = acting[left <= 0], 6 / YEAR
    for week in range(5):  # acting by week w: a start in one of its w + 1 weeks
        expected = 1 - (1 - chance) ** (week + 1)
        error = idle[..., week].mean() - expected
        assert abs(error) < 4 * np.sqrt(expected * (1 - expected) / idle[..., week].size)


def test_what_comes_is_one_of_the_fresh_futures(tmp_path):
    """With hidden competitors and a hidden control, ranks of the realised KPI are uniform over worlds."""
    drawn = draw(showing(tmp_path, "promotion"), 400, truth=False, origin=-13)
    start = PRE + WEEKS - 13
    realised = drawn.secret.path.kpi[:, start : start + HOLDOUT].sum(axis=-1)
    fresh = fresh_futures(drawn, 99).sum(axis=-1)
    for pick in (lambda x: x[..., 0], lambda x: x[..., -1], lambda x: x.sum(axis=-1)):
        rank = (pick(fresh) < pick(realised)[:, None]).sum(axis=1)
        assert stats.chisquare(np.bincount(rank // 10, minlength=10)).pvalue > 0.005
