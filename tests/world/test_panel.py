"""Worlds as pure functions: one week, a stretch, the plan and the structure all tell the same story."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import worlds

from simbench.blocks import in_float64
from simbench.estimands import mean_of
from simbench.transforms import SATURATION
from simbench.world.base import Mechanism, Noise, Seen, chain, edited, held, rollout
from simbench.world.forms import form_of, repeated
from simbench.world.panel import at, memory_at, world_of
from simbench.world.scenario import read_scenario
from simbench.world.truth import draw, noise_of

MASTER = b"m" * 32
ORDERS = ("carry-over-first", "saturation-first")
#: unbounded kinds need an explicit budget: these worlds are asked about a fixed one only
FIXED = '[[questions.problems]]\nname = "fixed"'


def started(path):
    """(world, form, state at the first week) of replicate 0."""
    scenario = read_scenario(path)
    form = form_of(scenario)
    noise = noise_of(scenario, form, [0], MASTER)
    one = Noise(*(jax.tree.map(lambda x: x[0], part) for part in noise[:2]), noise.given)
    return world_of(form), form, in_float64(jax.jit(world_of(form).init), one)


@pytest.fixture(scope="module", params=["plain", "bought", "chasing", "geos"])
def begun(request, tmp_path_factory):
    text = {
        "plain": worlds.plain(), "bought": worlds.bought(geos=2), "chasing": worlds.chasing(),
        "geos": worlds.scenario(worlds.channel("a", order=ORDERS[1]), worlds.channel("b", worlds.FLIGHTED), geos=3),
    }[request.param]  # fmt: skip
    return started(worlds.written(tmp_path_factory.mktemp("w"), text))


def test_weeks_one_by_one_equal_a_stretch(begun):
    world, _, state = begun

    def both(state):
        _, slow = rollout(world, state, world.plan, 40)
        _, quick = world.stretch(state, slow.lever)
        return slow, quick

    slow, quick = in_float64(jax.jit(both), state)
    for field, one, other in zip(slow._fields, slow, quick, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-9, err_msg=field)


def test_a_rollout_starts_anywhere(begun):
    world, form, state = begun

    def both(state):
        _, whole = rollout(world, state, world.plan, 30)
        middle, _ = rollout(world, state, world.plan, 17)
        again = at(state, memory_at(form, state, whole, 17))
        return whole, rollout(world, middle, world.plan, 13)[1], rollout(world, again, world.plan, 13)[1]

    whole, later, remembered = in_float64(jax.jit(both), state)
    for part in (later, remembered):
        np.testing.assert_allclose(part.kpi, whole.kpi[17:], rtol=1e-12)
        np.testing.assert_allclose(part.lever, whole.lever[17:], rtol=1e-12)


def test_the_plan_is_what_init_foresaw(begun):
    world, _, state = begun
    contribution, paid, _, _ = state["told"]["planned_media"]
    _, path = in_float64(jax.jit(world.stretch), state, state["told"]["planned"])
    np.testing.assert_allclose(path.contribution, contribution, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose(path.paid, paid, rtol=1e-12)


def test_structure_equals_the_scan_where_it_is_offered(begun):
    world, form, state = begun
    if form.buys:
        assert world.effects is None
        return
    factor = np.random.default_rng(1).random((25, form.geos, len(form.channels)))

    def both(state):
        lever = state["told"]["planned"][:25]
        structure = mean_of(world.effects(state, jnp.arange(25)), lever)(factor, 3.0 * factor)[0]
        return structure, rollout(
            world, state, edited(held(state["told"]["planned"]), jnp.asarray(factor), jnp.asarray(3.0 * factor)), 25
        )[1].mean

    structure, scan = in_float64(jax.jit(both), state)
    np.testing.assert_allclose(structure, scan, rtol=1e-11)


@pytest.mark.parametrize("order", ORDERS)
def test_every_curve_and_order_keeps_its_structure(order, tmp_path):
    numbers = {"hill": ", half_at = 1.0, slope = 1.3", "power": ", exponent = 0.6", "none": ""}
    numbers |= {"segments": ", half_at = 0.5, far = 6.0", "reach-frequency": ", contact_at = 0.4, frequency = 1.5"}
    channels = [
        worlds.channel(kind, saturation=f'kind = "{kind}"' + numbers.get(kind, ", half_at = 0.9"), order=order)
        for kind in SATURATION
    ]
    world, _, state = started(worlds.written(tmp_path, worlds.scenario(*channels, extra=FIXED)))

    def both(state):
        lever = state["told"]["planned"][:20]
        effects = world.effects(state, jnp.arange(20))
        return mean_of(effects, lever)(jnp.ones_like(lever), jnp.zeros_like(lever))[0], rollout(
            world, state, world.plan, 20
        )[1].mean

    structure, scan = in_float64(jax.jit(both), state)
    np.testing.assert_allclose(structure, scan, rtol=1e-11)


def test_bought_spend_never_exceeds_its_cap_or_its_demand(begun):
    world, form, state = begun
    _, path = in_float64(jax.jit(world.stretch), state, state["told"]["planned"])
    assert (path.paid <= path.lever).all()
    for c, channel in enumerate(form.channels):
        if channel.bought:
            assert (path.paid[..., c] <= path.demand[..., c]).all()
            assert (path.paid[..., c] < path.lever[..., c]).any() and (path.paid[..., c] == path.lever[..., c]).any()


def test_chasing_follows_last_weeks_kpi_by_hand(tmp_path):
    world, _, state = started(worlds.written(tmp_path, worlds.chasing()))
    _, path = in_float64(jax.jit(lambda s: rollout(world, s, world.plan, 30)), state)
    kpi, reference = path.kpi.sum(axis=1), float(state["kpi"]["reference"])
    memory = np.concatenate([np.full(6, reference), kpi])
    for n in range(30):
        recent = memory[n : n + 6]
        factor = np.clip((recent[-1] / recent.mean()) ** 2.0, 0.5, 3.0)
        assert path.lever[n, 0, 1] == pytest.approx(factor * state["told"]["planned"][n, 0, 1], rel=1e-12)
    assert np.ptp(path.lever[:, 0, 1] / state["told"]["planned"][:30, 0, 1]) > 0.05


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.5, 0.99])
def test_correlation_is_exact_in_the_panel(rho, tmp_path):
    rule = 'rule = "correlated", weekly = 100.0, cv = 0.2'
    text = worlds.scenario(*(worlds.channel(name, rule) for name in "abc"), extra=f"[spend]\ncorrelation = {rho}")
    drawn = draw(worlds.written(tmp_path, text), 2, truth=False)
    for spend in drawn.brief.panel.spend[:, :, 0]:
        found = np.corrcoef(spend.T)
        np.testing.assert_allclose(found[~np.eye(3, dtype=bool)], rho, atol=1e-12)
        np.testing.assert_allclose(spend.std(axis=0) / spend.mean(axis=0), 0.2, rtol=1e-12)


def test_a_recorded_path_repeats_its_nearest_year():
    rows = np.arange(60.0)
    t = np.array([-53, -52, -1, 0, 59, 60, 111, 112])
    np.testing.assert_array_equal(repeated(rows, t), [51, 0, 51, 0, 59, 8, 59, 8])
    np.testing.assert_array_equal(repeated(rows[:5], np.array([-1, 4, 5, 9, 10])), [4, 4, 0, 4, 0])


def test_policies_are_functions_of_what_is_seen():
    path = jnp.arange(12.0).reshape(6, 1, 2)
    seen = Seen(jnp.asarray(2), path, jnp.ones(1), {}, jnp.asarray(2), jnp.ones(()))
    np.testing.assert_array_equal(held(path)(seen), [[4, 5]])
    np.testing.assert_array_equal(edited(held(path), jnp.full((6, 1, 2), 0.5), jnp.ones((6, 1, 2)))(seen), [[3, 3.5]])


def test_a_chain_refuses_circles_and_wrong_order():
    def mechanism(name, needs, gives):
        return Mechanism(name, lambda noise, told: ({}, {}), lambda slot, signals: (slot, {}), needs, gives)

    chain(mechanism("a", ("lever",), ("x",)), mechanism("b", ("x",), ("y",)))
    with pytest.raises(ValueError, match=r"'a' needs \['y'\].*circle"):
        chain(mechanism("a", ("y",), ("x",)), mechanism("b", ("x",), ("y",)))


def test_geo_shares_add_up(tmp_path):
    _, _, state = started(worlds.written(tmp_path, worlds.plain(geos=4)))
    told = state["told"]
    assert told["share"].sum() == pytest.approx(1) and (told["share"] > 0).all()
    np.testing.assert_allclose(told["allot"].sum(axis=0), 1)
    national = told["planned"].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(told["planned"], told["allot"] * national, rtol=1e-12)
