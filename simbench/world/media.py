"""Media physics: what is paid, carried over, saturated and contributed.

Formulas: docs/worlds.md, section 6. One function, :func:`respond`, serves a single week, a whole
panel and every counterfactual: it takes a stretch of weeks and the memory of those before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from simbench.transforms import YEAR, by_kind, carry, kernel, logarithm, pick, saturate, steepest_at
from simbench.world import demand
from simbench.world.base import Noise, under
from simbench.world.forms import ChannelForm, Form
from simbench.world.spend import between, lognormal

Array = Any
#: Names of the two numbers that a curve takes.
FIRST, SECOND = ("half_at", "contact_at"), ("slope", "exponent", "far", "frequency")


class Media(NamedTuple):
    """Numbers of the media physics, one column a channel."""

    weights: Array  #: [L, C] carry-over kernels
    scale: Array  #: [G, C] money that makes v = 1
    half_at: Array  #: [C]
    slope: Array  #: [C]
    beta: Array  #: [C] KPI units a week at saturation 1, national
    spread: Array  #: [G, C] geo share of beta
    share: Array  #: [G] of the population
    halo: Array  #: [C]
    wish: Array  #: [P+N, G, C] demand of bought channels with nothing to follow
    path: Array | None  #: [P+N, C] effectiveness; None where it never changes
    rate: Array | None  #: [P+N, C] contacts for a unit of money; None where their price never changes
    synergy: Array | None  #: [S] strengths


class Stage(NamedTuple):
    """Channels that are answered together: they share lever kind and order of operations."""

    channels: tuple[int, ...]
    bought: bool
    settles_first: bool


def stages(form: Form) -> tuple[Stage, ...]:
    """Set channels first, then bought ones each after those it follows.

    Raises
    ------
    ValueError
        If bought channels follow each other in a circle.
    """
    plain = [i for i, c in enumerate(form.channels) if not c.bought]
    out = [
        Stage(tuple(i for i in plain if form.channels[i].settles_first is first), False, first)
        for first in (False, True)
        if any(form.channels[i].settles_first is first for i in plain)
    ]
    ready, waiting = set(plain), [i for i, c in enumerate(form.channels) if c.bought]
    while waiting:
        free = [i for i in waiting if set(form.channels[i].follows) <= ready]
        if not free:
            raise ValueError(
                "bought channels follow each other in a circle: " + ", ".join(form.channels[i].name for i in waiting)
            )
        out += [Stage((i,), True, form.channels[i].settles_first) for i in free]
        ready |= set(free)
        waiting = [i for i in waiting if i not in free]
    return tuple(out)


def _decay(form: Form, channel: ChannelForm, number: Mapping[str, Array], noise: Noise) -> Array:
    return (1.0 - number["per_year"]) ** (noise.given["t"] / YEAR)


def _shift(form: Form, channel: ChannelForm, number: Mapping[str, Array], noise: Noise) -> Array:
    during = between(noise.given["t"], number["week"], number["weeks"] if channel.fading else None)
    return jnp.where(during, number["factor"], 1.0)


def _wear_out(form: Form, channel: ChannelForm, number: Mapping[str, Array], noise: Noise) -> Array:
    return 0.5 ** (jnp.mod(noise.given["t"], number["refresh"]) / number["half_life"])


def _random_walk(form: Form, channel: ChannelForm, number: Mapping[str, Array], noise: Noise) -> Array:
    walk = number["sd"] * jnp.cumsum(noise.innovations[f"effectiveness.{channel.name}"])
    return jnp.exp(walk - walk[form.pre] - number["sd"] ** 2 * jnp.abs(noise.given["t"]) / 2)


#: Kind of a change -> factor of the effect [P+N].
EFFECTIVENESS = {"decay": _decay, "shift": _shift, "wear-out": _wear_out, "random-walk": _random_walk}


def effectiveness(form: Form, noise: Noise) -> Array | None:
    """Factor of each channel's effect [P+N, C]; None where it never changes."""

    def column(channel: ChannelForm) -> Array:
        if not channel.effectiveness:
            return jnp.ones_like(noise.given["t"])
        number = under(noise.numbers, f"channels.{channel.name}.effectiveness.")
        return EFFECTIVENESS[channel.effectiveness](form, channel, number, noise)

    changes = any(channel.effectiveness for channel in form.channels)
    return jnp.stack([column(channel) for channel in form.channels], axis=-1) if changes else None


def contacts(form: Form, noise: Noise) -> Array | None:
    """What a unit of money buys of each channel [P+N, C]; None where prices never change."""
    t = noise.given["t"]

    def column(channel: ChannelForm) -> Array:
        if not channel.priced:
            return jnp.ones_like(t)
        number = under(noise.numbers, f"channels.{channel.name}.price.")
        return (1.0 + number["per_year"]) ** (-t / YEAR) * demand.season(form, noise) ** -number["season"]

    priced = any(channel.priced for channel in form.channels)
    return jnp.stack([column(channel) for channel in form.channels], axis=-1) if priced else None


def foreseen(form: Form, media: Media, week: Array) -> Media:
    """Media as expected from a position on: an effect that walks at random stays where it was the week before."""
    if not any(form.walks):
        return media
    path: Array = media.path
    later = jnp.arange(path.shape[0])[:, None] >= week
    return media._replace(path=jnp.where(later & np.array(form.walks), path[week - 1], path))


def consecutive(x: Array, weeks: Array) -> Array:
    """Rows of x at consecutive weeks: a slice, which is no gather."""
    return jax.lax.dynamic_slice_in_dim(x, weeks[0], weeks.shape[0])


def in_weeks(x: Array | None, weeks: Array, channels: tuple[int, ...]) -> Array:
    """Rows [n, 1, c] of a path [P+N, C], to go with [..., n, G, c]; 1 where there is none."""
    return 1.0 if x is None else pick(consecutive(x, weeks), channels)[:, None, :]


def curve(form: Form, media: Media, channels: tuple[int, ...], v: Array) -> Array:
    """Saturation of v [..., n, G, len(channels)] by each channel's own kind."""
    late = jax.lax.optimization_barrier(jnp.moveaxis(v, -3, -1))  # laid out so before the curve, not after
    return jnp.moveaxis(late_curve(form, media, channels, late), -1, -3)


def late_curve(form: Form, media: Media, channels: tuple[int, ...], v: Array, *, whole: bool = True) -> Array:
    """:func:`curve` with time as the last axis, v [..., G, len(channels), n]: it vectorises over weeks.

    `media` holds all channels, or (`whole` = False) just these.
    """
    groups = by_kind([form.channels[c].saturation for c in channels])
    parts: dict[int, Array] = {}
    for kind, positions in groups.items():
        columns = [channels[p] for p in positions] if whole else positions
        half_at, slope = (pick(part, columns)[:, None] for part in (media.half_at, media.slope))
        if len(groups) == 1:
            return saturate(kind, v, half_at, slope)
        own = saturate(kind, jnp.stack([v[..., p, :] for p in positions], axis=-2), half_at, slope)
        parts |= {p: own[..., i, :] for i, p in enumerate(positions)}
    return jnp.stack([parts[p] for p in range(len(channels))], axis=-2)


def steepest_input(kinds: Sequence[str], media: Media) -> Array:
    """v [C] at which each channel's curve is steepest."""
    return jnp.stack([steepest_at(kind, media.half_at[i], media.slope[i]) for i, kind in enumerate(kinds)])


def effect_of(form: Form, media: Media, memory: Array, stage: Stage, spent: Array, weeks: Array) -> tuple[Array, Array]:
    """What a stage's channels bring by money [n, G, c] at effect scale 1, and what enters their kernels."""
    columns, lags = stage.channels, max(form.channels[c].length for c in stage.channels)
    weights, scale = pick(media.weights[:lags], columns), pick(media.scale, columns)
    before = pick(memory[memory.shape[0] - (lags - 1) :], columns)  # kernels are filled up to the longest
    bought, factor = (in_weeks(x, weeks, columns) for x in (media.rate, media.path))
    if stage.settles_first:
        entering = factor * curve(form, media, columns, bought * spent / scale)
        effect = carry(weights, before, entering)
    else:
        entering = bought * spent
        effect = factor * curve(form, media, columns, carry(weights, before, entering) / scale)
    return pick(media.spread, columns) * effect, entering


def set_effects(form: Form, media: Media, memory: Array, lever: Array, weeks: Array) -> Array:
    """What set channels bring at effect scale 1 [n, G, C], whatever the others do; 0 where bought."""
    parts: dict[int, Array] = {}
    for stage in stages(form):
        if not stage.bought:
            effect, _ = effect_of(form, media, memory, stage, pick(lever, stage.channels), weeks)
            parts |= {c: effect[..., i] for i, c in enumerate(stage.channels)}
    return jnp.stack([parts.get(c, jnp.zeros_like(lever[..., c])) for c in range(len(form.channels))], axis=-1)


def stirring(form: Form, media: Media, known: Array) -> Array:
    """What the set channels that each bought one follows bring [n, G, C], from :func:`set_effects`."""
    follows = np.zeros((len(form.channels), len(form.channels)))
    for c, channel in enumerate(form.channels):
        follows[[f for f in channel.follows if not form.channels[f].bought], c] = 1.0
    return (known * media.beta) @ follows


def respond(
    form: Form,
    media: Media,
    memory: Array,
    lever: Array,
    weeks: Array,
    organic: Array,
    frozen: tuple[Array, Array] | None = None,
    known: Array | None = None,
) -> tuple[Array, Array, Array, Array]:
    """What a stretch of levers buys and brings.

    Parameters
    ----------
    memory : array [L-1, G, C]
        Kernel inputs of the weeks before (money, or saturation where that comes first).
    lever : array [n, G, C]
    weeks : array [n] int
        Positions in the P+N weeks, consecutive.
    organic : array [n, G]
        Demand without media, KPI units.
    frozen : (flag, demand [n, G, C]), optional
        Where the flag is set, demand of bought channels is this one; else it follows the
        contributions of this stretch.
    known : array [n, G, C], optional
        What set channels bring (:func:`set_effects`), where the caller has it already (and wants no `entering`).

    Returns
    -------
    contribution, paid, demand, entering : arrays [n, G, C]
        `entering` is what enters the kernels: what :func:`remember` keeps.
    """
    parts = by_channel(form, media, memory, lever, weeks, organic, frozen, known)
    contribution, paid, wanted, entering = (jnp.stack(part, axis=-1) for part in parts)
    return contribution, paid, wanted, entering


def by_channel(
    form: Form,
    media: Media,
    memory: Array,
    lever: Array,
    weeks: Array,
    organic: Array,
    frozen: tuple[Array, Array] | None = None,
    known: Array | None = None,
    stirred: Array | None = None,
) -> tuple[list[Array], list[Array], list[Array], list[Array]]:
    """:func:`respond` as lists over channels of [n, G]; `stirred` as :func:`stirring`, where that is known too."""
    contribution: dict[int, Array] = {}
    unit: dict[int, Array] = {}
    paid: dict[int, Array] = {}
    wanted: dict[int, Array] = {}
    inputs: dict[int, Array] = {}
    for stage in stages(form):
        columns = stage.channels
        spent = pick(lever, columns)
        if stage.bought:
            (c,) = stage.channels
            followed = [f for f in form.channels[c].follows if stirred is None or form.channels[f].bought]
            first = jnp.zeros_like(organic) if stirred is None else stirred[..., c]
            brought = sum((contribution[f] for f in followed), first)
            # a power by its logarithm: it vectorises, and its slope takes no second power
            more = jnp.exp(media.halo[c] * logarithm(1.0 + brought / organic))
            wanted[c] = consecutive(media.wish[..., c], weeks) * more
            if frozen is not None:
                wanted[c] = jnp.where(frozen[0], frozen[1][..., c], wanted[c])
            # at the cap exactly, one more unit of cap buys nothing: the slope from above
            spent = jnp.where(spent < wanted[c][..., None], spent, wanted[c][..., None])
        if known is not None and not stage.bought:
            effect, entering = pick(known, columns), spent
        else:
            effect, entering = effect_of(form, media, memory, stage, spent, weeks)
        for i, c in enumerate(columns):
            unit[c], paid[c], inputs[c] = effect[..., i], spent[..., i], entering[..., i]
            contribution[c] = media.beta[c] * unit[c]
            wanted.setdefault(c, jnp.zeros_like(effect[..., i]))
    for i, (_, a, b) in enumerate(form.synergies):
        together = joint(media, i, a, b, unit[a] * unit[b])
        contribution[a], contribution[b] = contribution[a] + together, contribution[b] + together
    contributions, spending, demands, entered = (
        [part[c] for c in range(len(form.channels))] for part in (contribution, paid, wanted, inputs)
    )
    return contributions, spending, demands, entered


def joint(media: Media, synergy: int, a: int, b: int, product: Array) -> Array:
    """Half of what two channels bring by going together, from the product of both effects at scale 1 [n, G]."""
    strength: Array = media.synergy
    size = strength[synergy] * jnp.sqrt(jnp.abs(media.beta[a] * media.beta[b]))
    return 0.5 * size * product / media.share


def media_of(
    form: Form, noise: Noise, lever: Array, index: Array, share: Array, allot: Array, effect: Array, organic: Array
) -> tuple[Media, tuple[Array, Array, Array, Array]]:
    """Numbers of the physics, effect scales solved on the planned path; and that path's response.

    Parameters
    ----------
    lever : array [P+N, G, C]
        Planned levers.
    index : array [P+N]
        Demand index q.
    share : array [G]; allot, effect : arrays [G, C]
    organic : array [P+N, G]
    """
    panel = slice(form.pre, form.pre + form.weeks)
    wish, one, plan = wishes(form, noise, index, allot), jnp.ones(()), lever.sum(axis=1)
    path, rate = effectiveness(form, noise), contacts(form, noise)

    def column(c: int, channel: ChannelForm) -> tuple[Array, ...]:
        number = under(noise.numbers, f"channels.{channel.name}.")
        weights = kernel(
            channel.carry_over,
            channel.length,
            under(number, "carry_over."),
            normalised=channel.normalised,
            pad=form.lags,
        )
        spent = jnp.minimum(plan[:, c], wish[..., c].sum(axis=-1)) if channel.bought else plan[:, c]
        slope, half_at = (
            next((number[f"saturation.{key}"] for key in keys if f"saturation.{key}" in number), one)
            for keys in (SECOND, FIRST)
        )
        scale = typical(channel, (spent if rate is None else spent * rate[:, c])[panel])
        return weights, scale, half_at, slope, number.get("effect", one), number.get("spend.halo", 0.0 * one)

    weights, scale, half_at, slope, beta, halo = (
        jnp.stack(parts, axis=-1)
        for parts in zip(*(column(c, channel) for c, channel in enumerate(form.channels)), strict=True)
    )
    synergy = jnp.stack([noise.numbers[f"synergies.{name}.strength"] for name, *_ in form.synergies] or [one])
    media = Media(
        weights, scale * share[:, None], half_at, slope, beta, effect * share[:, None], share, halo, wish, path, rate,
        synergy if form.synergies else None,
    )  # fmt: skip
    empty, weeks = jnp.zeros((form.lags - 1, *allot.shape)), jnp.arange(form.total)
    if form.interacts:
        media = media._replace(beta=settled_beta(form, noise, media, lever, organic))
        return media, respond(form, media, empty, lever, weeks, organic)
    contribution, *rest = respond(form, media, empty, lever, weeks, organic)
    factor = roas_factor(form, noise, media, contribution, lever, rest[-1])
    return media._replace(beta=media.beta * factor), (contribution * factor, *rest)


def wishes(form: Form, noise: Noise, index: Array, allot: Array) -> Array:
    """Money bought channels could spend with nothing to follow [P+N, G, C]; 0 where set."""

    def national(channel: ChannelForm) -> Array:
        if not channel.bought:
            return jnp.zeros_like(index)
        number = under(noise.numbers, f"channels.{channel.name}.spend.")
        luck = lognormal(number["cv"], noise.innovations[f"spend.{channel.name}"])
        return number["weekly"] * luck * index ** number["strength"]

    return allot * jnp.stack([national(channel) for channel in form.channels], axis=-1)[:, None, :]


def typical(channel: ChannelForm, spent: Array) -> Array:
    """The money that makes v = 1, from planned national spend in the panel [T]."""
    if channel.scaled_by == "money":
        return jnp.ones(())
    active = jnp.where(channel.scaled_by == "max", spent.max(), spent.sum() / jnp.maximum((spent > 0).sum(), 1))
    return jnp.where(active > 0, active, 1.0)


def wanted_kpi(form: Form, noise: Noise, paid: Array) -> Array:
    """KPI [C] that gives each channel its ROAS on money paid [C]; NaN where the effect is given."""
    roas = [noise.numbers.get(f"channels.{c.name}.roas", jnp.nan) for c in form.channels]
    return jnp.stack([jnp.asarray(r, dtype=paid.dtype) for r in roas]) * paid / noise.numbers["kpi.value"]


def scaled_to(wanted: Array, effect: Array) -> Array:
    """Factor [C] that turns an effect into the wanted one; 0 without an effect, 1 where it is given."""
    ratio = jnp.where(effect != 0, wanted / jnp.where(effect != 0, effect, 1.0), 0.0)
    return jnp.where(jnp.isnan(wanted), 1.0, ratio)


def roas_factor(form: Form, noise: Noise, media: Media, contribution: Array, lever: Array, entering: Array) -> Array:
    """Effect scale factors [C] of a world whose channels do not interact.

    The effect of the panel's levers: their own response, and its tail with all levers zero, less
    what the pre-history alone would have brought.
    """
    start, stop = form.pre, form.pre + form.weeks
    lags = form.lags - 1

    def faded(at: int, weeks: int) -> Array:  # what the weeks before `at` still bring in the next ones
        if weeks == 0:
            return jnp.zeros(len(form.channels))
        memory = jnp.concatenate([jnp.zeros((lags, *entering.shape[1:])), entering[:at]])[at:]
        silent = jnp.zeros((weeks, *entering.shape[1:]))
        weeks_after = at + jnp.arange(weeks)
        return respond(form, media, memory, silent, weeks_after, jnp.ones(silent.shape[:2]))[0].sum((0, 1))

    effect = (
        contribution[start:stop].sum((0, 1))
        + faded(stop, min(lags, form.tail))
        - faded(start, min(lags, form.weeks + form.tail))
    )
    return scaled_to(wanted_kpi(form, noise, lever[start:stop].sum((0, 1))), effect)


def settled_beta(form: Form, noise: Noise, media: Media, lever: Array, organic: Array) -> Array:
    """Effect scales [C] of a world whose channels interact, jointly by fixed point.

    Leave-one-out, decision-held, over the panel and its tail: a channel that brings search
    demand is credited with what search then sells.
    """
    count, t = len(form.channels), noise.given["t"]
    panel = (t >= 0) & (t < form.weeks)
    factual = jnp.where((t < form.weeks)[:, None, None], lever, 0.0)
    kept = jnp.where(panel[:, None] * jnp.eye(count)[:, None, :] > 0, 0.0, 1.0)  # [C, P+N, C]
    counted = ((t >= 0) & (t < form.weeks + form.tail))[:, None, None]
    empty, weeks = jnp.zeros((form.lags - 1, *lever.shape[1:])), jnp.arange(form.total)

    # set channels: no need to repeat them every round
    unit = set_effects(form, media, empty, factual, weeks)
    without = set_effects(form, media, empty, factual * jnp.where(panel, 0.0, 1.0)[:, None, None], weeks)

    def brought(beta: Array, keep: Array) -> tuple[Array, Array]:
        scaled, arm = media._replace(beta=beta), factual * keep[:, None, :]
        known = jnp.where(keep.min(axis=0) > 0, unit, without)
        contribution, paid, *_ = respond(form, scaled, empty, arm, weeks, organic, known=known)
        return jnp.where(counted, contribution, 0.0).sum(), jnp.where(panel[:, None, None], paid, 0.0).sum((0, 1))

    def settle(carried: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        beta, _, rounds = carried
        whole, paid = brought(beta, jnp.ones_like(kept[0]))
        effect = whole - jax.lax.map(lambda keep: brought(beta, keep)[0], kept)
        new = beta * scaled_to(wanted_kpi(form, noise, paid), effect)
        return new, jnp.max(jnp.abs(new - beta) / jnp.maximum(jnp.abs(new), 1e-300)), rounds + 1

    def unsettled(carried: tuple[Array, Array, Array]) -> Array:
        return (carried[1] > 1e-14) & (carried[2] < 200)

    if not any(channel.by_roas for channel in form.channels):
        return media.beta
    beta, change, _ = jax.lax.while_loop(unsettled, settle, (media.beta, jnp.ones(()), jnp.zeros((), jnp.int32)))
    # channels that hinder each other too much: no scales give such returns, and the world is refused
    return jnp.where(change > 1e-9, jnp.nan, beta)
