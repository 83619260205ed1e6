"""What money buys and brings, and what changes over time: laws of the mechanisms one by one.

The formulas themselves are compared with the oracle's; here, what must hold whatever the numbers.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simbench.blocks import in_float64
from simbench.errors import BadInput
from simbench.transforms import kernel, saturate
from simbench.world.base import edited, rollout
from simbench.world.history import responding_mean
from simbench.world.panel import world_of
from simbench.world.scenario import read_scenario
from simbench.world.truth import draw, fresh_futures


def drawn(folder, channels, *, replicates=2, **more):
    """Worlds of these channel tables, all of one family; a table is (name, spend, extra lines)."""
    tables = [worlds.channel(who, spend) + extra for who, spend, extra in channels]
    return draw(worlds.written(folder, worlds.scenario(*tables, **more)), replicates)


PAIR = (("a", worlds.ALWAYS_ON, ""), ("b", worlds.FLIGHTED, ""))


def changed(extra, who=0):
    """The pair of channels, one with extra lines."""
    return [(n, spend, extra if i == who else more) for i, (n, spend, more) in enumerate(PAIR)]


def same_truth(one, other, rtol=1e-9):
    for field in ("contribution", "marginal", "curve", "plan_value", "forecast"):
        mine, theirs = (getattr(d.truth.answers, field) for d in (one, other))
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=1e-7 * np.nanmax(np.abs(theirs)), err_msg=field)


# --- what changes nothing


@pytest.mark.parametrize(
    "extra",
    [
        'effectiveness = { kind = "decay", per_year = 0.0 }',
        'effectiveness = { kind = "shift", week = 10, factor = 1.0 }',
        'effectiveness = { kind = "random-walk", sd = 0.0 }',
        "price = { per_year = 0.0, season = 0.0 }",
    ],
)
def test_a_change_by_nothing_is_no_change(extra, tmp_path):
    same_truth(drawn(tmp_path, changed(extra)), drawn(tmp_path, PAIR))


def test_a_synergy_of_nothing_is_none(tmp_path):
    """The same truth by the other route: counterfactuals one by one instead of a sum of curves."""
    none = '[[synergies]]\nname = "both"\nchannels = ["a", "b"]\nstrength = 0.0'
    same_truth(drawn(tmp_path, PAIR, extra=none), drawn(tmp_path, PAIR), rtol=1e-7)


# --- what each does


def test_channels_that_help_each_other_bring_more_together(tmp_path):
    def overlap(strength):
        text = f'[[synergies]]\nname = "both"\nchannels = ["a", "b"]\nstrength = {strength}'
        truth = drawn(tmp_path, PAIR, extra=text).truth
        return truth.answers.contribution.sum(axis=-1) - truth.all_off, truth

    helped, truth = overlap(0.3)
    hindered, _ = overlap(-0.3)
    # leave-one-out counts what two bring together twice
    assert (helped > 0).all() and (hindered < 0).all()
    np.testing.assert_allclose(truth.shapley.sum(axis=-1), truth.all_off, rtol=1e-9)
    assert all((optimum.separable == 0).all() for optimum in truth.optima)


def test_money_that_does_harm_for_a_while(tmp_path):
    """Ten weeks of scandal in a window of their own, before and after which all is as it was."""
    scandal = 'effectiveness = { kind = "shift", week = 20, weeks = 10, factor = -1.0 }\n'
    tables = [
        worlds.channel("a", carry_over='kind = "none"').replace("roas = ", scandal + "roas = "), worlds.channel("b"),
    ]  # fmt: skip
    asked = "[questions]\nwindows = [[0, 20], [20, 30], [30, 60]]"
    truth = draw(worlds.written(tmp_path, worlds.scenario(*tables, extra=asked)), 3).truth
    sign = np.sign(truth.answers.contribution[:, 1:, 0])
    np.testing.assert_array_equal(sign, np.tile([1.0, -1.0, 1.0], (3, 1)))


def test_dearer_contacts_bring_less_for_the_same_money(tmp_path):
    """By the year's inflation; returns on the whole panel are those of the file all the same."""
    asked = "[questions]\nwindows = [[0, 20], [40, 60]]"
    dear = drawn(tmp_path, changed("price = { per_year = 0.5 }"), extra=asked).truth
    plain = drawn(tmp_path, PAIR, extra=asked).truth
    roas = [t.answers.contribution[..., 0] / t.paid[..., 0] for t in (dear, plain)]
    np.testing.assert_allclose(roas[0][:, 0], roas[1][:, 0], rtol=1e-9)
    assert (roas[0][:, 1] > roas[1][:, 1]).all() and (roas[0][:, 2] < roas[1][:, 2]).all()


def test_contacts_that_are_seen(tmp_path):
    """Money at the price of its week, of the channel whose contacts are counted; nothing else is shown, or changes."""
    dear = "price = { per_year = 0.5 }"
    text = {
        shown: worlds.scenario(*(worlds.channel(n, spend) + extra for n, spend, extra in changed(dear + shown)))
        for shown in ("", "\nexposure_seen = true")
    }
    for origin in (-5, 0):
        plain, seen = (
            draw(worlds.written(tmp_path, each), 2, truth=False, origin=origin).brief for each in text.values()
        )
        assert plain.panel.exposure is None and plain.questions.future.exposure is None
        price = 1.5 ** (np.arange(60 + 8) / (365.25 / 7))[:, None]
        panel, future, weeks = seen.panel, seen.questions.future, 60 + origin
        np.testing.assert_allclose(panel.exposure[..., 0], panel.spend[..., 0] / price[:60], rtol=1e-12)
        np.testing.assert_allclose(future.exposure[..., 0], future.spend[..., 0] / price[weeks : weeks + 8], rtol=1e-12)
        assert (panel.exposure[..., 1] == 0).all() and (future.exposure[..., 1] == 0).all()
        assert panel.exposure[:, :weeks, :, 0].any() and not panel.exposure[:, weeks:].any()
        bare = seen._replace(
            panel=panel._replace(exposure=None),
            questions=seen.questions._replace(future=future._replace(exposure=None)),
        )
        jax.tree.map(np.testing.assert_array_equal, plain, bare)


def test_dirt_leaves_contacts_alone(tmp_path):
    dirt = '[[measure]]\nname = "noise"\nkind = "spend-error"\nsd = 0.3\n'
    dirt += '[[measure]]\nname = "loss"\nkind = "spend-tracking-loss"\nweek = 30\nshare = 0.5'
    tables = [worlds.channel(n, spend) + extra for n, spend, extra in changed("exposure_seen = true")]
    noisy = draw(worlds.written(tmp_path, worlds.scenario(*tables, extra=dirt)), 2, truth=False)
    panel = noisy.brief.panel
    np.testing.assert_array_equal(panel.exposure[..., 0], noisy.secret.path.paid[:, 12:72, :, 0])
    assert not np.allclose(panel.spend[..., 0], panel.exposure[..., 0], rtol=0.1)


def test_a_walk_is_expected_to_stay_where_it_is(tmp_path):
    """The mean of many futures, in which the effect walks on, is the forecast of the truth; the last one walks too."""
    walk = changed('effectiveness = { kind = "random-walk", sd = 0.15 }')
    worlds_ = drawn(tmp_path, walk, replicates=4)
    futures, told = fresh_futures(worlds_, 4000).sum(axis=-1), worlds_.truth.answers.forecast.sum(axis=-1)
    error = futures.std(axis=1) / np.sqrt(futures.shape[1])
    assert (np.abs(futures.mean(axis=1) - told) < 5 * error).all()
    spread = (futures - told[:, None]).std(axis=1)
    assert (spread[:, -1] > spread[:, 0]).mean() > 0.5


def test_the_slow_share_of_a_brand_arrives_late(tmp_path):
    def late(slow):
        fade = f'kind = "brand-stock", retention = 0.3, slow_share = {slow}, slow_half_life = 30.0'
        tables = worlds.channel("a", carry_over=fade, order="saturation-first"), worlds.channel("b")
        truth = draw(worlds.written(tmp_path, worlds.scenario(*tables)), 2).truth
        return truth.cut_off[:, 0, 0] / truth.answers.contribution[:, 0, 0]

    assert (late(0.6) > 2 * late(0.2)).all() and (late(0.2) > 0.01).all()


@given(share=st.floats(0.01, 0.99), retention=st.floats(0.0, 0.95), half_life=st.floats(1.0, 100.0))
def test_a_brand_stock_is_a_mixture_of_two_fades(share, retention, half_life):
    number = {"retention": retention, "slow_share": share, "slow_half_life": half_life}
    mixed = np.asarray(kernel("brand-stock", 60, number))
    quick = np.asarray(kernel("geometric", 60, {"retention": retention}))
    slow = np.asarray(kernel("geometric", 60, {"half_life": half_life}))
    np.testing.assert_allclose(mixed, (1 - share) * quick + share * slow, rtol=1e-4, atol=1e-7)
    assert mixed.sum() == pytest.approx(1.0, rel=1e-5)


@given(v=st.floats(0.0, 1e3), half_at=st.floats(0.1, 10.0), far=st.floats(1.0, 50.0), more=st.floats(0.001, 5.0))
def test_new_curves_rise_and_bend(v, half_at, far, more):
    """Concave: what a unit adds never grows, which is what certifies an optimum."""
    for kind in ("segments", "reach-frequency"):
        at = [float(saturate(kind, x, half_at, far)) for x in (v, v + more, v + 2 * more)]
        assert 0.0 <= at[0] <= at[1] + 1e-6 <= 1.0 + 2e-6
        assert at[2] - at[1] <= at[1] - at[0] + 2e-6
    one = float(saturate("segments", v, half_at, 1.0))
    assert one == pytest.approx(float(saturate("michaelis-menten", v, half_at, 1.0)), rel=1e-5)


# --- the advertiser


def levers(folder, spend, **more):
    """Levers [R, T, G, C] of a channel of that rule and an ordinary one."""
    return drawn(folder, (("a", spend, ""), ("b", worlds.ALWAYS_ON, "")), **more).brief.panel.lever


def test_steps_and_first_weeks_are_those_of_the_file(tmp_path):
    steps = 'steps = [{ name = "dark", week = 10, weeks = 5, factor = 0.0 }, { name = "up", week = 30, factor = 2.0 }]'
    plan = levers(tmp_path, worlds.ALWAYS_ON)
    path = levers(tmp_path, f"{worlds.ALWAYS_ON}, from_week = 5, {steps}")
    factor = np.ones(60)
    factor[:5], factor[10:15], factor[30:] = 0.0, 0.0, 2.0
    np.testing.assert_allclose(path[..., 0], plan[..., 0] * factor[:, None], rtol=1e-12)
    np.testing.assert_array_equal(path[..., 1], plan[..., 1])


def test_money_goes_up_before_promotions(tmp_path):
    promotions = "\n[demand.promotions]\nevery = 7.0\nweeks = 2.0\nlow = 0.1\nhigh = 0.3\nelasticity = 1.0\n"
    world = drawn(tmp_path, (("a", f"{worlds.ALWAYS_ON}, anticipation = 0.4", ""), PAIR[1]), extra=promotions)
    ratio = (world.brief.panel.lever[..., 0] / levers(tmp_path, worlds.ALWAYS_ON, extra=promotions)[..., 0])[:, :, 0]
    ahead = world.brief.questions.future.controls
    discount = np.concatenate([world.brief.panel.controls, ahead], axis=1)[:, :, 0, 0] > 0
    count = sum(discount[:, k : k + 60] * 1 for k in (1, 2, 3))
    assert count.max() == 2 and count.min() == 0
    np.testing.assert_allclose(ratio, np.exp(0.4 * count), rtol=1e-9)


def test_money_rises_in_the_week_of_an_event_and_in_the_one_before(tmp_path):
    sale = '\n[[demand.events]]\nname = "sale"\ndates = ["2021-02-03"]\nlift = 0.5\n'
    fair = '[[demand.events]]\nname = "fair"\ndates = ["2021-02-10"]\nlift = 0.2\nseen = false\n'
    ratio = levers(tmp_path, f"{worlds.ALWAYS_ON}, peaks = 2.0", extra=sale + fair) / levers(tmp_path, worlds.ALWAYS_ON)
    factor = np.ones(60)  # the panel begins on 2021-01-04: weeks 4 and 5
    factor[3:6] = 1.5**2, 1.5**2 * 1.2**2, 1.2**2
    np.testing.assert_allclose(ratio[..., 0], np.broadcast_to(factor[:, None], ratio[..., 0].shape), rtol=1e-12)
    np.testing.assert_allclose(ratio[..., 1], 1.0, rtol=1e-12)


def test_a_share_of_sales_follows_sales(tmp_path):
    world = drawn(tmp_path, (("a", f"{worlds.ALWAYS_ON}, of_sales = {{ window = 1 }}", ""), PAIR[1]))
    plan = levers(tmp_path, worlds.ALWAYS_ON)
    kpi = world.brief.panel.kpi.sum(axis=-1)
    ratio = (world.brief.panel.lever[..., 0] / plan[..., 0])[:, :, 0]
    np.testing.assert_allclose(ratio[:, 1:] / ratio[:, 1:2], kpi[:, :-1] / kpi[:, :1], rtol=1e-9)


def test_quarters_follow_growth_within_their_bounds(tmp_path):
    rule = f"{worlds.ALWAYS_ON}, quarterly = {{ strength = 2.0, low = 0.9, high = 1.1 }}"
    world = drawn(tmp_path, (("a", rule, ""), PAIR[1]))
    ratio = (world.brief.panel.lever[..., 0] / levers(tmp_path, worlds.ALWAYS_ON)[..., 0])[:, :, 0]
    assert ratio.min() > 0.9 - 1e-9 and ratio.max() < 1.1 + 1e-9
    quarters = ratio[:, :52].reshape(-1, 4, 13)
    np.testing.assert_allclose(quarters, np.broadcast_to(quarters[..., :1], quarters.shape), rtol=1e-9)
    kpi = world.brief.panel.kpi.sum(axis=-1)
    growth = kpi[:, 13:26].mean(axis=1) / kpi[:, :13].mean(axis=1)
    np.testing.assert_allclose(quarters[:, 2, 0], np.clip(growth**2, 0.9, 1.1), rtol=1e-9)


OFF = slice(20, 30)  #: weeks of the panel in which the first channel is switched off
ARM_WEEKS = 60
#: Budgets that follow sales, each of the second channel.
REACTING = {
    "chasing": worlds.CHASING,
    "quarterly": f"{worlds.ALWAYS_ON}, quarterly = {{ strength = 1.0 }}",
    "of-sales": f"{worlds.ALWAYS_ON}, of_sales = {{ window = 3 }}",
}


def arms(world):
    """The panel as it was, with the first channel off in weeks OFF, and the mean of that as truth tells it."""
    form = world.secret.form
    scale = np.ones((form.pre + form.weeks, 1, 2))
    scale[form.pre :][OFF, :, 0] = 0.0

    def both(state):
        physics, keeps = world_of(form), np.zeros_like(scale)
        twin = rollout(physics, state, edited(physics.plan, jnp.asarray(scale), jnp.asarray(keeps)), ARM_WEEKS)[1]
        told, _ = responding_mean(physics, form, state, ARM_WEEKS)(scale[form.pre :], keeps[form.pre :], False, None)
        return rollout(physics, state, physics.plan, ARM_WEEKS)[1], twin, told

    return in_float64(jax.jit(jax.vmap(both)), world.secret.start)


def checked_arms(world):
    """Both arms, of which the first is the drawn world, and the second one in which the advertiser reacts."""
    fact, twin, told = arms(world)
    panel = slice(world.secret.form.pre, world.secret.form.pre + ARM_WEEKS)
    np.testing.assert_allclose(fact.kpi, world.secret.path.kpi[:, panel], rtol=1e-9)
    np.testing.assert_allclose(twin.mean, told, rtol=1e-12)
    np.testing.assert_array_equal(fact.mean[:, : OFF.start], twin.mean[:, : OFF.start])
    assert (twin.lever[:, OFF, :, 0] == 0).all() and (fact.lever[:, OFF, :, 0] > 0).all()
    reacted = np.abs(twin.lever[..., 1] / fact.lever[..., 1] - 1) > 1e-4
    assert reacted[:, OFF.start + 1 :].any(axis=(1, 2)).all() and not reacted[:, : OFF.start + 1].any()
    return fact, twin


@pytest.mark.parametrize("rule", REACTING)
def test_what_reacts_reacts_to_the_same_noise(rule, tmp_path):
    """Noise is added, so that both arms are as far from their means, week by week, whatever is spent."""
    text = worlds.scenario(worlds.channel("a"), worlds.channel("b", REACTING[rule]))
    world = draw(worlds.written(tmp_path, text), 3, truth=False)
    fact, twin = checked_arms(world)
    assert (np.abs(fact.mean - twin.mean)[:, OFF] > 1.0).all()
    noise = fact.kpi - fact.mean
    np.testing.assert_allclose(twin.kpi - twin.mean, noise, rtol=0, atol=1e-10 * np.abs(fact.mean).max())
    assert (noise.std(axis=1) > 1.0).all()


def test_what_reacts_to_counts_reacts_to_the_same_uniforms(tmp_path):
    """A count is the quantile of its law: the same where means are, and never lower where the mean is higher."""
    text = worlds.scenario(worlds.channel("a", money=5.0), worlds.channel("b", REACTING["of-sales"], money=4.0))
    text = text.replace("low = 800.0, high = 1200.0", "low = 15.0, high = 30.0")
    world = draw(worlds.written(tmp_path, text.replace('"gaussian"\nshare = 0.05', '"poisson"')), 3, truth=False)
    fact, twin = checked_arms(world)
    higher, less = fact.mean > twin.mean, fact.mean < twin.mean
    assert (fact.kpi[higher] >= twin.kpi[higher]).all() and (fact.kpi[less] <= twin.kpi[less]).all()
    assert (fact.kpi[higher] > twin.kpi[higher]).any()
    form = world.secret.form
    uniform = world.secret.noise.innovations["noise"][:, form.pre : form.pre + ARM_WEEKS]
    for arm in (fact, twin):
        np.testing.assert_array_equal(arm.kpi, stats.poisson.ppf(uniform, arm.mean))


def test_tiers_launch_when_they_say_and_national_channels_go_by_population(tmp_path):
    tiers = 'tiers = [{ name = "one", geos = 2 }, { name = "two", geos = 1, spend = 0.5, launch = 20 }]'
    world = drawn(tmp_path, changed("national_only = true\n", 1), geos=3, extra=tiers)
    lever = world.brief.panel.lever
    assert (lever[:, :20, 2] == 0).all() and (lever[:, 20:, 2, 0] > 0).all() and (lever[:, :, :2, 0] > 0).all()
    people = world.brief.panel.population
    spent = lever[:, 20:, :, 1].sum(axis=1) / np.array([1.0, 1.0, 0.5])
    np.testing.assert_allclose(spent / spent.sum(-1, keepdims=True), people / people.sum(-1, keepdims=True), rtol=1e-9)


# --- bad input


@pytest.mark.parametrize(
    ("extra", "channel", "words"),
    [
        ("", f"{worlds.ALWAYS_ON}, cycle = 1.0", "channels.a.spend.cycle: there is no [spend.cycle]"),
        ("", f"{worlds.ALWAYS_ON}, peaks = 1.0", "channels.a.spend.peaks: there are no [[demand.events]]"),
        ('[[synergies]]\nname = "s"\nchannels = ["a", "c"]\nstrength = 0.1', worlds.ALWAYS_ON, "'c' is no channel"),
        ('[[synergies]]\nname = "s"\nchannels = ["a", "a"]\nstrength = 0.1', worlds.ALWAYS_ON, "'a' occurs twice"),
        ("", f"{worlds.ALWAYS_ON}, anticipates = 1.0", "unknown key"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(extra, channel, words, tmp_path):
    text = worlds.scenario(worlds.channel("a", channel), worlds.channel("b"), extra=extra)
    with pytest.raises(BadInput) as told:
        read_scenario(worlds.written(tmp_path, text))
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("lines", "order", "words"),
    [
        ('effectiveness = { kind = "random-walk", sd = 0.1 }', "saturation-first", "saturates first"),
        ('effectiveness = { kind = "shift", week = 900, factor = 2.0 }', "carry-over-first", "outside the simulated"),
    ],
)
def test_effects_that_cannot_change_so_are_refused(lines, order, words, tmp_path):
    text = worlds.scenario(worlds.channel("a", order=order) + lines, worlds.channel("b"))
    with pytest.raises(BadInput, match=words):
        read_scenario(worlds.written(tmp_path, text))


def test_channels_that_hinder_each_other_too_much_are_refused(tmp_path):
    text = '[[synergies]]\nname = "s"\nchannels = ["a", "b"]\nstrength = -40.0'
    with pytest.raises(BadInput, match="not finite"):
        drawn(tmp_path, PAIR, extra=text)
