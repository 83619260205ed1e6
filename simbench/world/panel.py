"""National and geo panel worlds: the mechanisms chained into a World.

Formulas: docs/worlds.md. Demand, spend, media and KPI are four mechanisms in the order of causes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from simbench.estimands import Effects
from simbench.transforms import carry, carry_last, remember
from simbench.world import demand, spend
from simbench.world.base import Mechanism, Noise, Observation, Seen, State, World, chain, under
from simbench.world.forms import Form
from simbench.world.kpi import kpi_mechanism, noise_path
from simbench.world.media import Media, effectiveness, foreseen, late_curve, media_of, respond, wishes

Array = Any
Told = Mapping[str, Array]


def geography(form: Form) -> Mechanism:
    """Population shares, and how levels, spend and effects differ between geos."""

    def spread(innovation: Array, sd: Array) -> Array:
        return jnp.exp(sd * innovation - sd**2 / 2)

    def init(noise: Noise, told: Told) -> tuple[dict[str, Array], Told]:
        geos, channels = form.geos, len(form.channels)
        if geos == 1:
            one = {"share": jnp.ones(1), "population": jnp.full(1, 1e6), "level": jnp.ones(1)}
            return {}, {**one, "allot": jnp.ones((1, channels)), "effect": jnp.ones((1, channels))}
        apart = np.array([not channel.national_only for channel in form.channels])
        e, number = noise.innovations["geo"], under(noise.numbers, "geo.")
        people = jnp.exp(number["population_sd"] * e[:geos])
        share = people / people.sum()
        own = [noise.innovations[f"geo.{channel.name}"] for channel in form.channels]
        allot = jnp.stack([share * jnp.exp(number["spend_sd"] * o[:geos]) for o in own], axis=-1)
        allot = jnp.where(apart, allot, share[:, None])
        effect = jnp.stack([spread(o[geos:], number["effect_sd"]) for o in own], axis=-1)
        level = spread(e[geos:], number["level_sd"])
        return {}, {
            "share": share, "population": 1e6 * people, "level": level,
            "allot": allot / allot.sum(axis=0), "effect": effect,
        }  # fmt: skip

    return Mechanism("geo", init, lambda slot, signals: (slot, {}))


def demand_mechanism(form: Form) -> Mechanism:
    """Baseline without media, and the demand index that bought channels follow."""

    def init(noise: Noise, told: Told) -> tuple[dict[str, Array], Told]:
        index = demand.demand_index(form, noise)
        paths, effect = demand.controls(form, noise)
        level = noise.numbers["demand.level"]
        organic = told["share"] * told["level"] * level * index[:, None]
        slot = {"base": organic + told["share"] * effect[:, None], "organic": organic, "level": told["level"] * level}
        return slot, {
            "index": index, "organic": organic, "base": slot["base"],
            "controls": demand.columns(form, noise, paths),
        }  # fmt: skip

    def step(slot: dict[str, Array], signals: Told) -> tuple[dict[str, Array], Told]:
        weeks = signals["weeks"]
        return slot, {"base": slot["base"][weeks], "organic": slot["organic"][weeks]}

    return Mechanism("demand", init, step, gives=("base", "organic"))


def spend_mechanism(form: Form) -> Mechanism:
    """The plan; rules that react to the KPI change it in World.plan."""

    def init(noise: Noise, told: Told) -> tuple[dict[str, Any], Told]:
        national = spend.planned(form, noise)
        reacting = [channel.name for channel in form.channels if channel.reactions]
        rules = {name: under(noise.numbers, f"channels.{name}.spend.") for name in reacting}
        path = told["allot"] * national[:, None, :]
        if form.tiers:
            path = path * spend.launched(form, noise)[..., None]
        return rules, {"planned": path}

    return Mechanism("spend", init, lambda slot, signals: (slot, {}))


def media_mechanism(form: Form) -> Mechanism:
    """What levers buy and bring."""

    def init(noise: Noise, told: Told) -> tuple[dict[str, Any], Told]:
        parts = (told[key] for key in ("planned", "index", "share", "allot", "effect", "organic"))
        media, planned = media_of(form, noise, *parts)
        memory = jnp.zeros((form.lags - 1, form.geos, len(form.channels)))
        gives = {"planned_media": planned}
        if form.descended:
            brought = planned[0].sum(axis=(1, 2))
            gives["controls"] = demand.descended(form, noise, told["controls"], brought)
        return {"media": media, "memory": memory}, gives

    def step(slot: dict[str, Any], signals: Told) -> tuple[dict[str, Any], Told]:
        contribution, paid, wanted, entering = respond(
            form,
            slot["media"],
            slot["memory"],
            signals["lever"],
            signals["weeks"],
            signals["organic"],
            signals["frozen"],
            signals["known"],
        )
        after = {**slot, "memory": remember(slot["memory"], entering)}
        return after, {"contribution": contribution, "paid": paid, "wanted": wanted, "entering": entering}

    return Mechanism(
        "media", init, step, needs=("lever", "organic"), gives=("contribution", "paid", "wanted", "entering")
    )


@lru_cache(maxsize=256)
def world_of(form: Form) -> World:
    """The world of a form. Numbers live in State, so all worlds of a form share its programs."""
    init, advance = chain(
        geography(form), demand_mechanism(form), spend_mechanism(form), media_mechanism(form), kpi_mechanism(form)
    )

    def stretch(
        state: State, lever: Array, frozen: Array | None = None, known: Array | None = None
    ) -> tuple[State, Observation]:
        weeks = state["week"] + jnp.arange(lever.shape[0])
        after, s = advance(state, {"weeks": weeks, "lever": lever, "frozen": frozen, "known": known})
        return after, Observation(
            lever, s["paid"], s["kpi"], s["mean"], s["base"], s["contribution"], s["wanted"], s["entering"]
        )

    def step(state: State, lever: Array) -> tuple[State, Observation]:
        after, week = stretch(state, lever[None])
        return after, jax.tree.map(lambda x: x[0], week)

    def seen(state: State) -> Seen:
        kpi, week = state["kpi"], state["week"]
        return Seen(week, state["told"]["planned"], kpi["recent"], state["spend"], week - form.pre, kpi["reference"])

    def plan(seen_: Seen) -> Array:
        lever = seen_.planned[seen_.week]
        return lever * spend.reaction(form, seen_.rules, seen_) if form.feedback else lever

    return World(init, plan, step, stretch, seen, None if form.interacts else effects_of(form))


def undisturbed(form: Form, state: State, weeks: int) -> Observation:
    """The first weeks of a world whose advertiser follows the plan: computed by init already."""
    contribution, paid, wanted, entering = (x[:weeks] for x in state["told"]["planned_media"])
    signals = {"weeks": jnp.arange(weeks), "base": state["demand"]["base"][:weeks], "contribution": contribution}
    _, told = kpi_mechanism(form).step(state["kpi"], signals)
    lever = state["told"]["planned"][:weeks]
    return Observation(lever, paid, told["kpi"], told["mean"], signals["base"], contribution, wanted, entering)


def ahead(path: Array, week: Array, weeks: int) -> Array:
    """`weeks` rows of a path from position `week` on."""
    return jax.lax.dynamic_slice_in_dim(path, week, weeks)


class Memory(NamedTuple):
    """All of a state that time changes."""

    week: Array
    entering: Array  #: [L-1, G, C] kernel inputs of the last weeks
    recent: Array  #: [M] observed national KPI of the last weeks


def memory_at(form: Form, state: State, path: Observation, week: Array) -> Memory:
    """The memory before position `week` of a path that began in `state` at position 0."""
    past = jnp.concatenate([state["media"]["memory"], path.entering])
    recent = jnp.concatenate([state["kpi"]["recent"], path.kpi.sum(axis=-1)])
    return Memory(jnp.asarray(week, jnp.int32), ahead(past, week, form.lags - 1), ahead(recent, week, form.memory))


def at(state: State, memory: Memory) -> State:
    """The same world at another moment."""
    return {
        **state, "week": memory.week, "media": {**state["media"], "memory": memory.entering},
        "kpi": {**state["kpi"], "recent": memory.recent},
    }  # fmt: skip


#: What the chain's mechanisms told each other that a drawn state must keep.
KEPT = ("planned", "population", "share", "allot")


def kept(state: State) -> State:
    """A state without what only `init` needed."""
    return {**state, "told": {key: state["told"][key] for key in KEPT}}


def redrawn(form: Form, state: State, noise: Noise, new: Mapping[str, Array]) -> State:
    """The same world under new innovations from its week on, by stream: effect scales and plans stay."""
    again = dict(noise.innovations)
    for name, rows in new.items():
        again[name] = jax.lax.dynamic_update_slice_in_dim(jnp.asarray(again[name]), rows, state["week"], axis=0)
    noise = noise._replace(innovations=again)
    index, share = demand.demand_index(form, noise), state["told"]["share"]
    organic = share * state["demand"]["level"] * index[:, None]
    base = organic + share * demand.controls(form, noise)[1][:, None]
    media: Media = state["media"]["media"]
    return {
        **state,
        "demand": {**state["demand"], "organic": organic, "base": base},
        "media": {
            **state["media"],
            "media": media._replace(
                wish=wishes(form, noise, index, state["told"]["allot"]), path=effectiveness(form, noise)
            ),
        },
        "kpi": {**state["kpi"], "eta": noise_path(form, noise)},
    }


def expected(form: Form, state: State, week: Array) -> State:
    """The same world, with what walks at random and changes what money brings as expected from a position on."""
    return {**state, "media": {**state["media"], "media": foreseen(form, state["media"]["media"], week)}}


def effects_of(form: Form) -> Any:
    """`Effects` from any state on, where every channel's paid money is its lever."""
    channels = tuple(range(len(form.channels)))
    first = np.array([c.settles_first for c in form.channels])

    def effects(state: State, weeks: Array) -> Effects:
        media: Media = state["media"]["media"]
        memory, size = state["media"]["memory"], media.beta * media.spread
        kernels, none = media.weights, jnp.zeros_like(state["media"]["memory"])

        def before(x: Array) -> Array:
            late = carry_last(kernels, memory, x)
            return jnp.where(first[:, None], x, late) if first.any() else late

        def after(s: Array) -> Array:
            if not first.any():
                return s
            return jnp.where(first[:, None], carry_last(kernels, none, s), s)

        base = state["demand"]["base"][weeks]
        path, rate = (None if x is None else x[weeks].T[None] for x in (media.path, media.rate))
        if first.any():
            left = carry(kernels, memory, jnp.zeros((weeks.shape[0], *memory.shape[1:])))
            base = base + jnp.where(first, size * left, 0.0).sum(axis=-1)

        def bent(v: Array) -> Array:
            return size[..., None] * late_curve(form, media, channels, v / media.scale[..., None])

        return Effects(base, before, bent, after, path, rate=rate)

    return effects
