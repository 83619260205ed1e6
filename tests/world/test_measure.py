"""Dirt: laws of what is seen, and that it never reaches what is true."""

from __future__ import annotations

from typing import get_args

import jax
import numpy as np
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from world.scenario_text import SMALL, child, refused, write

from simbench import briefs, ids
from simbench.records import Panel
from simbench.world.measure import MEASURES, Step, backfilled, missing
from simbench.world.scenario import numbers, points, read_scenario, scenario_digest
from simbench.world.scenario_measure import Fee, Measure
from simbench.world.seen import LEAST_WEEKS
from simbench.world.truth import draw

WEEKS, PRE = 60, 12
FEW = settings(max_examples=15)
SHARE = st.floats(0.0, 0.9)
#: Numbers with which a step changes nothing, and with which it does.
IDLE = {
    "spend-error": {"sd": 0.0},
    "fee": {"share": 0.0},
    "unit": {"factor": 1.0},
    "outliers": {"count": 0, "low": 5.0, "high": 20.0},
    "spend-tracking-loss": {"week": 20, "share": 0.0},
    "kpi-error": {"sd": 0.0},
    "kpi-tracking-loss": {"week": 20, "share": 0.0},
    "missing": {"share": 0.0},
    "backfilled": {"share": 0.0},
    "late-booking": {"share": 0.0},
    "privacy": {"scale": 0.0},
    "claims": {"coverage": 0.0, "weeks": 4},
}
DIRTY = {
    "spend-error": {"sd": 0.1},
    "fee": {"share": 0.15},
    "unit": {"factor": 0.001},
    "outliers": {"count": 3, "low": 5.0, "high": 20.0},
    "spend-tracking-loss": {"week": 20, "share": 0.4},
    "kpi-error": {"sd": 0.1},
    "kpi-tracking-loss": {"week": 20, "share": {"dist": "uniform", "low": 0.2, "high": 0.6}},
    "missing": {"share": 0.2},
    "backfilled": {"share": 0.2},
    "late-booking": {"share": 0.3},
    "privacy": {"scale": 0.05},
    "claims": {"coverage": 0.7, "weeks": 4, "poaching": 0.02, "cv": 0.2, "delay": 2},
}
SERIES = ("lever", "spend", "kpi", "mask", "claims")


def step(kind: str, name: str = "", **given) -> Measure:
    return TypeAdapter(Measure).validate_python({"name": name or f"a-{kind}", "kind": kind, **given})


def equal(one, other) -> bool:
    return jax.tree.structure(one) == jax.tree.structure(other) and all(
        np.array_equal(x, y, equal_nan=True) for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    return read_scenario(worlds.written(tmp_path_factory.mktemp("worlds"), worlds.plain(geos=2, shock=True)))


@pytest.fixture(scope="module")
def clean(scenario):
    return draw(scenario, 2, truth=False)


def drawn(scenario, *steps, replicates=2, origin=0, truth=False):
    return draw(scenario.model_copy(update={"measure": steps}), replicates, truth=truth, origin=origin)


def panel_of(scenario, *steps, **options) -> Panel:
    return drawn(scenario, *steps, **options).brief.panel


def test_every_kind_of_a_file_has_its_function():
    tables = get_args(get_args(Measure)[0])
    kinds = {get_args(table.model_fields["kind"].annotation)[0] for table in tables}
    assert kinds == set(MEASURES) == set(IDLE) == set(DIRTY) and len(kinds) == len(tables)


# --- what stays


@pytest.mark.parametrize("kind", ["plain", "bought"])
def test_dirt_never_reaches_the_truth(kind, tmp_path):
    text = worlds.plain(geos=2, name="measured-plain") if kind == "plain" else worlds.bought(name="measured-bought")
    scenario = read_scenario(worlds.written(tmp_path, text))
    one = draw(scenario, 2)
    other = drawn(scenario, *(step(kind, **given) for kind, given in DIRTY.items()), truth=True)
    assert equal(other.truth, one.truth) and equal(other.brief.questions, one.brief.questions)
    for field in Panel._fields:
        same = equal(getattr(other.brief.panel, field), getattr(one.brief.panel, field))
        assert same == (field not in SERIES), field
    for field in one.brief.context._fields:
        same = equal(getattr(other.brief.context, field), getattr(one.brief.context, field))
        assert same == (field not in ("kpi_scale", "spend_scale")), field


@pytest.mark.parametrize("kind", [kind for kind in IDLE if kind != "claims"])
def test_a_step_without_size_is_not_there(kind, scenario, clean):
    other = drawn(scenario, step(kind, **IDLE[kind]))
    assert equal(other.brief, clean.brief)


@pytest.mark.parametrize("kind", DIRTY)
def test_a_step_changes_what_it_speaks_of_and_nothing_else(kind, scenario, clean):
    other = panel_of(scenario, step(kind, **DIRTY[kind]))
    touched = {"claims": {"claims"}, "missing": {"mask", "kpi"}}.get(kind)
    touched = touched or ({"lever", "spend"} if by_channel(kind) else {"kpi"})
    for field in Panel._fields:
        same = equal(getattr(other, field), getattr(clean.brief.panel, field))
        assert same == (field not in touched), field


def by_channel(kind: str) -> bool:
    return "channels" in type(step(kind, **DIRTY[kind])).model_fields


@pytest.mark.parametrize("kind", [kind for kind in DIRTY if by_channel(kind)])
def test_other_channels_stay_as_they_are(kind, scenario, clean):
    some, every = (panel_of(scenario, step(kind, **DIRTY[kind], **more)) for more in ({"channels": ["video"]}, {}))
    for field in ("claims",) if kind == "claims" else ("lever", "spend"):
        before = np.zeros_like(every.claims) if kind == "claims" else getattr(clean.brief.panel, field)
        np.testing.assert_array_equal(getattr(some, field)[..., 0], before[..., 0])
        np.testing.assert_array_equal(getattr(some, field)[..., 1], getattr(every, field)[..., 1])
        assert not np.array_equal(getattr(some, field)[..., 1], before[..., 1])


@FEW
@given(back=st.integers(0, WEEKS - LEAST_WEEKS), kinds=st.permutations(list(DIRTY)))
def test_nothing_is_seen_from_the_origin_on(scenario, back, kinds):
    panel = panel_of(scenario, *(step(kind, **DIRTY[kind]) for kind in kinds), replicates=1, origin=-back)
    for field in SERIES:
        rows = getattr(panel, field)
        assert rows.shape[1] == WEEKS and (rows[:, WEEKS - back :] == 0).all() and np.isfinite(rows).all(), field


@pytest.mark.parametrize("kind", DIRTY)
def test_an_earlier_origin_shows_the_same_dirt(kind, scenario):
    whole, back = panel_of(scenario, step(kind, **DIRTY[kind]), replicates=8), 13
    earlier = panel_of(scenario, step(kind, **DIRTY[kind]), replicates=8, origin=-back)
    # a filled week needs the neighbour after it; the newest claims are late
    rows = WEEKS - back - {"backfilled": 8, "claims": DIRTY["claims"]["delay"]}.get(kind, 0)
    for field in SERIES:
        if getattr(whole, field) is not None:
            np.testing.assert_array_equal(getattr(earlier, field)[:, :rows], getattr(whole, field)[:, :rows], field)


def test_company_does_not_matter(scenario):
    steps = [step(kind, **given) for kind, given in DIRTY.items()]
    assert equal(
        briefs.one(drawn(scenario, *steps, replicates=[5]).brief, 0),
        briefs.one(drawn(scenario, *steps, replicates=[3, 5]).brief, 1),
    )


# --- spend


@FEW
@given(factor=st.floats(1e-4, 1e4))
def test_a_unit_scales_spend_and_its_scale(scenario, clean, factor):
    other = drawn(scenario, step("unit", factor=factor)).brief
    for field in ("lever", "spend"):
        np.testing.assert_array_equal(getattr(other.panel, field), factor * getattr(clean.brief.panel, field))
    np.testing.assert_allclose(other.context.spend_scale, factor * clean.brief.context.spend_scale, rtol=1e-12)
    assert equal(other.context.kpi_scale, clean.brief.context.kpi_scale)


@FEW
@given(share=SHARE, position=st.integers(0, 3))
def test_a_fee_commutes_with_all_that_multiplies(scenario, share, position):
    others = [step(kind, **DIRTY[kind]) for kind in ("spend-error", "outliers", "spend-tracking-loss", "kpi-error")]
    first = panel_of(scenario, step("fee", share=share), *others)
    later = panel_of(scenario, *others[: position + 1], step("fee", share=share), *others[position + 1 :])
    without = panel_of(scenario, *others)
    np.testing.assert_allclose(later.spend, first.spend, rtol=1e-12)
    np.testing.assert_allclose(first.spend, (1 + share) * without.spend, rtol=1e-12)
    np.testing.assert_array_equal(later.kpi, without.kpi)


@pytest.mark.parametrize(("kind", "field"), [("spend-error", "spend"), ("kpi-error", "kpi")])
def test_errors_have_mean_one_and_the_variation_asked_for(kind, field, scenario):
    one, other = (getattr(panel_of(scenario, *steps, replicates=150), field) for steps in ((), (step(kind, sd=0.3),)))
    ratio = other[one > 0] / one[one > 0]
    assert ratio.size > 15_000 and abs(ratio.mean() - 1) < 0.01 and abs(ratio.std() - 0.3) < 0.015
    assert np.unique(ratio).size > 0.99 * ratio.size  # new every week, geo and channel


@FEW
@given(count=st.integers(0, WEEKS), seed=st.integers(0, 10**6))
def test_outliers_are_as_many_and_as_large_as_asked(scenario, count, seed):
    one = panel_of(scenario, replicates=[seed]).spend[0, :, :, 1]  # always on
    outlying = step("outliers", count=count, low=5.0, high=20.0)
    ratio = panel_of(scenario, outlying, replicates=[seed]).spend[0, :, :, 1] / one
    hit = ratio[:, 0] > 1.5
    assert hit.sum() == count and (ratio[~hit] == 1).all()
    assert ((ratio[hit] >= 5 * (1 - 1e-12)) & (ratio[hit] <= 20 * (1 + 1e-12))).all()
    np.testing.assert_allclose(ratio[:, 0], ratio[:, 1], rtol=1e-12)  # all geos alike


def test_channels_have_weeks_of_their_own(scenario):
    text = step("outliers", count=4, low=5.0, high=20.0)
    one, other = (panel_of(scenario, *steps, replicates=20).spend for steps in ((), (text,)))
    hit = np.where(one > 0, other / np.where(one > 0, one, 1.0), 0.0)[:, :, 0] > 1.5
    assert (hit[..., 1].sum(axis=1) == 4).all() and not np.array_equal(hit[..., 0] > 0, hit[..., 1] > 0)


@FEW
@given(share=SHARE, week=st.integers(0, WEEKS - 1))
def test_tracking_is_lost_from_a_week_on(scenario, clean, share, week):
    other = panel_of(
        scenario, step("spend-tracking-loss", week=week, share=share), step("kpi-tracking-loss", week=week, share=share)
    )
    for field in ("lever", "spend", "kpi"):
        found, before = getattr(other, field), getattr(clean.brief.panel, field)
        np.testing.assert_array_equal(found[:, :week], before[:, :week])
        np.testing.assert_allclose(found[:, week:], (1 - share) * before[:, week:], rtol=1e-12)


# --- KPI


@FEW
@given(share=st.floats(0.0, 1.0), back=st.integers(0, WEEKS - LEAST_WEEKS))
def test_missing_weeks_leave_eight_and_no_kpi(scenario, share, back):
    other = drawn(scenario, step("missing", share=share), replicates=4, origin=-back).brief
    one = panel_of(scenario, replicates=4, origin=-back)
    seen = other.panel.mask > 0
    assert (seen.sum(axis=1) >= LEAST_WEEKS).all()
    assert (other.panel.kpi[~seen] == 0).all() and (other.panel.kpi[seen] == one.kpi[seen]).all()
    assert equal(other.panel.spend, one.spend)
    mean = [one.kpi[r][seen[r]].sum(axis=-1).mean() for r in range(4)]
    np.testing.assert_allclose(other.context.kpi_scale, mean, rtol=1e-12)


def test_as_many_weeks_are_missing_as_asked(scenario):
    gone = 1 - panel_of(scenario, step("missing", share=0.2), replicates=200).mask
    assert abs(gone.mean() - 0.2) < 0.01 and abs(gone.sum(axis=1).var() / (WEEKS * 0.2 * 0.8) - 1) < 0.3
    everything = panel_of(scenario, step("missing", share=1.0), replicates=20)
    assert (everything.mask.sum(axis=1) == LEAST_WEEKS).all()
    assert (everything.mask.sum(axis=0) > 0).sum() > 30  # not always the same weeks


def by_hand(kpi, mask, draws, share):
    """A panel of one world and one geo, and a step with given draws."""
    empty = np.zeros((1, len(kpi), 1, 1))
    panel = Panel(
        np.array([len(kpi)]), empty, empty, None, np.array(kpi, dtype=float)[None, :, None], empty, empty[..., 0, 0],
        np.ones((1, 1)), np.array(mask, dtype=float)[None],
    )  # fmt: skip
    return panel, Step({"share": np.array([share])}, np.array([True]), np.array([draws]), None)


def test_a_filled_week_is_the_mean_of_its_neighbours_by_hand():
    kpi = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120]
    mask = [1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1]
    draws = [0.1, 0.9, 0.9, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1]
    panel, hit = by_hand(kpi, mask, draws, 0.5)
    # the first has only a later neighbour, the last only an earlier one; week 4 is not recorded at all
    np.testing.assert_array_equal(
        backfilled(panel, hit).kpi[0, :, 0], [20, 20, 30, 45, 50, 60, 70, 80, 90, 100, 110, 110]
    )
    np.testing.assert_array_equal(backfilled(panel, hit).mask, panel.mask)


def test_the_eight_largest_draws_are_spared_by_hand():
    draws = np.linspace(0.0, 0.11, 12)
    panel, hit = by_hand(np.ones(12), [1] * 10 + [0, 0], draws, 1.0)
    np.testing.assert_array_equal(missing(panel, hit).mask[0], [0, 0, *[1] * 8, 0, 0])


@FEW
@given(share=st.floats(0.0, 1.0))
def test_late_bookings_come_a_week_later(scenario, clean, share):
    other, kpi = panel_of(scenario, step("late-booking", share=share)).kpi, clean.secret.path.kpi
    now, before = (kpi[:, PRE - late : PRE - late + WEEKS] for late in (0, 1))
    np.testing.assert_allclose(other, (1 - share) * now + share * before, rtol=1e-12)


def test_privacy_noise_has_one_size_however_many_geos(tmp_path):
    spread = []
    for geos in (1, 4):
        scenario = read_scenario(worlds.written(tmp_path, worlds.plain(geos=geos, name=f"private-{geos}")))
        dirty = drawn(scenario, step("privacy", scale=0.1), replicates=150)
        noise = (dirty.brief.panel.kpi - panel_of(scenario, replicates=150).kpi).sum(axis=-1)
        spread.append(noise / dirty.secret.now["kpi"]["reference"][:, None])
        assert abs(spread[-1].mean()) < 0.01
        np.testing.assert_allclose(spread[-1].std(), 0.1 * np.sqrt(2), rtol=0.05)
    kurtosis = [(x**4).mean() / (x**2).mean() ** 2 for x in spread]
    assert kurtosis[0] > 5 and kurtosis[1] < kurtosis[0]  # Laplace, 6; nearer to normal in sums


# --- claims


def test_no_platform_no_claims(scenario, clean):
    assert clean.brief.panel.claims is None
    assert (panel_of(scenario, step("claims", **IDLE["claims"])).claims == 0).all()


def test_claims_are_the_effect_within_the_window(scenario, clean):
    path = clean.secret.path
    effect = path.contribution[:, PRE : PRE + WEEKS]
    week, month = (panel_of(scenario, step("claims", coverage=1.0, weeks=weeks)).claims for weeks in (1, 4))
    assert (week <= month * (1 + 1e-12)).all() and (month <= effect * (1 + 1e-12)).all()
    assert (week < 0.9 * month).any() and (month < 0.99 * effect).any()  # kernels of six weeks
    double = panel_of(scenario, step("claims", coverage=2.0, weeks=4)).claims
    np.testing.assert_allclose(double, 2 * month, rtol=1e-12)


@pytest.mark.parametrize("order", ["carry-over-first", "saturation-first"])
def test_without_carry_over_a_platform_can_claim_all_of_its_effect(order, tmp_path):
    parts = [
        worlds.channel(name, spend, carry_over='kind = "none"', order=order)
        for name, spend in (("tv", worlds.FLIGHTED), ("video", worlds.ALWAYS_ON))
    ]
    scenario = read_scenario(worlds.written(tmp_path, worlds.scenario(*parts, name=f"at-once-{order}")))
    dirty = drawn(scenario, step("claims", coverage=1.0, weeks=1))
    effect = dirty.secret.path.contribution[:, PRE : PRE + WEEKS]
    assert (effect > 0).any()
    np.testing.assert_allclose(dirty.brief.panel.claims, effect, rtol=1e-12)


@pytest.mark.parametrize("weeks", [1, 4])
def test_poaching_takes_of_the_baseline_where_anything_was_spent(weeks, scenario, clean):
    path = clean.secret.path
    base, paid = path.base[:, PRE : PRE + WEEKS], path.paid[:, : PRE + WEEKS]
    recent = sum(paid[:, PRE - lag : PRE - lag + WEEKS] for lag in range(weeks)) > 0
    assert recent[..., 1].all() and recent[..., 0].any()
    dirty = panel_of(scenario, step("claims", coverage=0.0, weeks=weeks, poaching=0.6)).claims
    np.testing.assert_allclose(dirty, 0.6 * base[..., None] * recent, rtol=1e-12)
    assert recent[..., 0].all() == (weeks == 4)  # three weeks off
    assert (dirty.sum(axis=-1) > clean.brief.panel.kpi).any()  # two platforms, more than there was


def test_a_channel_that_does_harm_claims_nothing(tmp_path):
    text = worlds.plain(name="harmful").replace('{ dist = "lognormal", median = 1.5, sigma = 0.4 }', "-1.0")
    dirty = drawn(read_scenario(worlds.written(tmp_path, text)), step("claims", coverage=1.0, weeks=4))
    assert (dirty.secret.path.contribution <= 0).all() and (dirty.brief.panel.claims == 0).all()


@FEW
@given(delay=st.integers(0, WEEKS + 5), back=st.integers(0, 20))
def test_the_newest_claims_are_not_yet_reported(scenario, delay, back):
    given_ = {**DIRTY["claims"], "cv": 0.0}
    late, whole = (
        panel_of(scenario, step("claims", **{**given_, "delay": weeks}), origin=-back).claims for weeks in (delay, 0)
    )
    last = max(WEEKS - back - delay, 0)
    np.testing.assert_array_equal(late[:, :last], whole[:, :last])
    assert (late[:, last:] == 0).all() and (whole[:, WEEKS - back - 1, :, 1] > 0).all()


def test_two_platforms_report_each_for_itself(scenario):
    one = step("claims", "tv-desk", coverage=0.5, weeks=4, channels=["tv"])
    two = step("claims", "video-desk", coverage=0.8, weeks=1, channels=["video"])
    both = panel_of(scenario, one, two).claims
    np.testing.assert_array_equal(both[..., 0], panel_of(scenario, one).claims[..., 0])
    np.testing.assert_array_equal(both[..., 1], panel_of(scenario, two).claims[..., 1])


# --- files


def test_a_file_says_it_and_a_child_changes_it(tmp_path):
    write(tmp_path, SMALL + '\n[[measure]]\nname = "agency"\nkind = "fee"\nshare = 0.15\nchannels = ["tv"]')
    base = read_scenario(tmp_path / "small.toml")
    assert base.measure == (Fee(kind="fee", name="agency", share=0.15, channels=("tv",)),)
    text = "[[measure]]\nname = 'agency'\nshare = 0.2\n[[measure]]\nname = 'loss'\nkind = 'missing'\nshare = 0.1"
    changed = read_scenario(child(tmp_path, text)).measure
    assert [(entry.kind, entry.share) for entry in changed] == [("fee", 0.2), ("missing", 0.1)]
    assert changed[0].channels == ("tv",)
    assert read_scenario(child(tmp_path, "measure = []")).measure == ()
    swept = points(read_scenario(child(tmp_path, "[sweep]\nkey = 'measure.agency.share'\nvalues = [0, 0.1]")))
    assert [point.measure[0].share for point in swept] == [0.0, 0.1]


def test_numbers_go_by_the_name_of_their_step(tmp_path):
    text = SMALL + "\n[[measure]]\nname = 'agency'\nkind = 'fee'\nshare = { dist = 'uniform', low = 0.1, high = 0.3 }"
    scenario = read_scenario(write(tmp_path, text))
    assert "measure.agency.share" in numbers(scenario)
    one, other = (
        draw(source, [4], truth=False).brief.panel for source in (read_scenario(write(tmp_path, SMALL)), scenario)
    )
    (u,) = ids.uniform(ids.streams(ids.OPEN_MASTER, "small", [4], "parameter:measure.agency.share"))
    np.testing.assert_allclose(other.spend, (1.1 + 0.2 * u) * one.spend, rtol=1e-12)


def test_only_files_with_dirt_have_another_digest(tmp_path, monkeypatch):
    clean = read_scenario(write(tmp_path, SMALL))
    fee = read_scenario(write(tmp_path, SMALL + "\n[[measure]]\nname = 'a'\nkind = 'fee'\nshare = 0.1"))
    unit = read_scenario(write(tmp_path, SMALL + "\n[[measure]]\nname = 'a'\nkind = 'unit'\nfactor = 0.1"))
    none = read_scenario(write(tmp_path, SMALL.replace("[time]", "measure = []\n[time]", 1)))
    before = [scenario_digest(scenario) for scenario in (clean, none, unit, fee)]
    assert before[0] == before[1] and len(set(before)) == 3
    monkeypatch.setattr(Fee, "version", 2)
    after = [scenario_digest(scenario) for scenario in (clean, none, unit, fee)]
    assert after[:3] == before[:3] and after[3] != before[3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind = 'fees'\nshare = 0.1", "measure.a.kind: 'fees' is not known; did you mean 'fee'?"),
        ("share = 0.1", "measure.a.kind: missing"),
        ("kind = 'fee'\nshare = -0.1", "measure.a.share: -0.1 is out of range; a number in [0, inf)"),
        ("kind = 'fee'\nshares = 0.1", "measure.a.shares: unknown key; did you mean 'share'?"),
        ("kind = 'fee'\nshare = 0.1\nchannels = ['tb']", "measure.a.channels: 'tb' is no channel; did you mean 'tv'?"),
        ("kind = 'fee'\nshare = 0.1\nchannels = ['tv', 'tv']", "measure.a.channels: 'tv' occurs twice"),
        ("kind = 'fee'\nshare = 0.1\nchannels = []", "measure.a.channels: [] is refused; at least 1 entries"),
        ("kind = 'kpi-error'\nsd = 0.1\nchannels = ['tv']", "measure.a.channels: unknown key"),
        ("kind = 'missing'\nshare = 1.1", "measure.a.share: 1.1 is out of range; a number in [0, 1]"),
        ("kind = 'missing'\nshare = { dist = 'uniform', low = 0, high = 2 }", "measure.a.share: uniform can exceed 1"),
        ("kind = 'kpi-tracking-loss'\nweek = 60\nshare = 0.2", "measure.a.week: 60 for 60 weeks of data; at most 59"),
        ("kind = 'spend-tracking-loss'\nweek = -1\nshare = 0.2", "measure.a.week: -1 is refused"),
        ("kind = 'outliers'\ncount = 61\nlow = 5\nhigh = 6", "measure.a.count: 61 for 60 weeks of data; at most 60"),
        ("kind = 'outliers'\ncount = 1\nlow = 7\nhigh = 6", "measure.a.low: low can exceed high"),
        ("kind = 'unit'\nfactor = 0", "measure.a.factor: 0 is out of range; a number in (0, inf)"),
        ("kind = 'claims'\ncoverage = 1\nweeks = 2", "measure.a.weeks: 2 is not allowed here; only 1 or 4"),
        (
            "kind = 'claims'\ncoverage = 1\nweeks = 1\n[[measure]]\nname = 'b'\n"
            "kind = 'claims'\ncoverage = 1\nweeks = 4\nchannels = ['search']",
            "measure.b.channels: 'search' claims in a step before; every channel once",
        ),
        (
            "kind = 'fee'\nshare = 0.1\n[[measure]]\nname = 'a'\nkind = 'fee'\nshare = 0.2",
            "measure: 'a' occurs 2 times; names must differ",
        ),
    ],
)  # fmt: skip
def test_faults_are_named(tmp_path, text, message):
    assert message in refused(write(tmp_path, f"{SMALL}\n[[measure]]\nname = 'a'\n{text}"))
