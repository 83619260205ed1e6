"""The advertiser's rules: the planned path of every channel, and what reacts to the KPI.

Formulas: docs/worlds.md, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from simbench.transforms import YEAR, autoregressive
from simbench.world import demand
from simbench.world.base import Noise, Seen, under
from simbench.world.forms import QUARTER, ChannelForm, Form

Array = Any
#: Weeks ahead in which an anticipating channel looks for promotions.
AHEAD = 3


def lognormal(cv: Array, normals: Array) -> Array:
    """Lognormal factor with mean 1 and coefficient of variation `cv`."""
    variance = jnp.log1p(cv**2)
    return jnp.exp(jnp.sqrt(variance) * normals - variance / 2)


def _always_on(number: Mapping[str, Array], t: Array, phase: Array, e: Array) -> Array:
    return number["weekly"] * lognormal(number["cv"], e)


def _flighted(number: Mapping[str, Array], t: Array, phase: Array, e: Array) -> Array:
    period = number["on"] + number["off"]
    active = jnp.mod(t + jnp.floor(phase * period), period) < number["on"]
    return jnp.where(active, number["weekly"] * lognormal(number["cv"], e), 0.0)


def _pulsed(number: Mapping[str, Array], t: Array, phase: Array, e: Array) -> Array:
    wave = jnp.maximum(0.0, jnp.sin(2 * jnp.pi * (t / number["period"] + phase)))
    return number["weekly"] * (number["floor"] + number["height"] * wave) * lognormal(number["cv"], e)


def _seasonal(number: Mapping[str, Array], t: Array, phase: Array, e: Array) -> Array:
    v = jnp.sin(2 * jnp.pi * (t / YEAR + number["phase"])) + number["sd"] * e
    return number["weekly"] * (v - v.min()) / (v.max() - v.min())


def _capped(number: Mapping[str, Array], t: Array, phase: Array, e: Array) -> Array:
    return jnp.full_like(t, 1.0) * number["weekly"] * number["cap"]


#: rule -> planned national path [P+N] from (numbers, weeks t, phase, innovations)
RULES = {
    "always-on": _always_on,
    "flighted": _flighted,
    "pulsed": _pulsed,
    "seasonal": _seasonal,
    "demand-chasing": _always_on,
    "demand-capturing": _capped,
}


def correlated(form: Form, noise: Noise, names: tuple[str, ...]) -> Array:
    """Standardised paths [P+N, m] whose sample correlation over the panel is exact."""
    uniforms = jnp.stack([noise.innovations[f"spend.{name}"] for name in names], axis=-1)
    panel = uniforms[form.pre : form.pre + form.weeks]
    centre = panel.mean(axis=0)
    sample = jnp.linalg.cholesky((panel - centre).T @ (panel - centre) / form.weeks)
    rho = noise.numbers["spend.correlation"]
    wanted = jnp.linalg.cholesky(jnp.where(jnp.eye(len(names)) > 0, 1.0, rho))
    whitened = jnp.linalg.solve(sample, (uniforms - centre).T)
    return (wanted @ whitened).T


# --- what changes a plan: each a factor [P+N] from (form, channel, its own numbers, noise)


def between(t: Array, first: Array, weeks: Array | None) -> Array:
    """Whether week t is one of `weeks` weeks from `first` on, or any later one."""
    return t >= first if weeks is None else (t >= first) & (t < first + weeks)


def _season(form: Form, channel: ChannelForm, own: Mapping[str, Array], noise: Noise) -> Array:
    return demand.season(form, noise) ** own["season"]


def _cycle(form: Form, channel: ChannelForm, own: Mapping[str, Array], noise: Noise) -> Array:
    number = under(noise.numbers, "spend.cycle.")
    return jnp.exp(own["cycle"] * number["sd"] * autoregressive(noise.innovations["cycle"], number["rho"]))


def _anticipation(form: Form, channel: ChannelForm, own: Mapping[str, Array], noise: Noise) -> Array:
    later = jnp.concatenate([demand.discount(form, noise) > 0, jnp.zeros(AHEAD, bool)])
    count = sum(later[k : k + form.total] * 1.0 for k in range(1, AHEAD + 1))
    return jnp.exp(own["anticipation"] * count)


def _peaks(form: Form, channel: ChannelForm, own: Mapping[str, Array], noise: Noise) -> Array:
    now = demand.events(form, noise)
    return (now * jnp.append(now[1:], 1.0)) ** own["peaks"]


def _start(form: Form, channel: ChannelForm, own: Mapping[str, Array], noise: Noise) -> Array:
    return jnp.where(noise.given["t"] >= own["from_week"], 1.0, 0.0)


def _steps(form: Form, channel: ChannelForm, own: Mapping[str, Array], noise: Noise) -> Array:
    t, factor = noise.given["t"], jnp.ones_like(noise.given["t"])
    for name, ends in channel.steps:
        step = under(own, f"steps.{name}.")
        during = between(t, step["week"], step["weeks"] if ends else None)
        factor = factor * jnp.where(during, step["factor"], 1.0)
    return factor


#: what a channel's form says -> the factor
CHANGES = {
    "seasonal": _season, "cycles": _cycle, "anticipates": _anticipation, "peaks": _peaks, "starts": _start,
    "steps": _steps,
}  # fmt: skip


def planned(form: Form, noise: Noise) -> Array:
    """The planned national path of every channel's lever [P+N, C], money a week."""
    t = noise.given["t"]
    group = tuple(channel.name for channel in form.channels if channel.rule == "correlated")
    together = correlated(form, noise, group) if group else None

    def ruled(channel: ChannelForm) -> Array:
        number = under(noise.numbers, f"channels.{channel.name}.spend.")
        if channel.rule == "recorded":
            return noise.given[f"recorded.{channel.name}"]
        if channel.rule == "correlated":
            z = together[:, group.index(channel.name)]  # type: ignore[index]
            return number["weekly"] * jnp.maximum(0.0, 1.0 + number["cv"] * z)
        phase = noise.innovations[f"phase.{channel.name}"]
        return RULES[channel.rule](number, t, phase, noise.innovations[f"spend.{channel.name}"])

    def path(channel: ChannelForm) -> Array:
        plan, own = ruled(channel), under(noise.numbers, f"channels.{channel.name}.spend.")
        for change, factor in CHANGES.items():
            if getattr(channel, change):
                plan = plan * factor(form, channel, own, noise)
        return plan

    return jnp.stack([path(channel) for channel in form.channels], axis=-1)


def launched(form: Form, noise: Noise) -> Array:
    """Planned money of each geo's tier as a factor [P+N, G]: none before its launch."""
    t, columns = noise.given["t"], []
    for name, geos, later in form.tiers:
        number = under(noise.numbers, f"geo.tiers.{name}.")
        column = number["spend"] * (jnp.where(t >= number["launch"], 1.0, 0.0) if later else jnp.ones_like(t))
        columns += [column] * geos
    return jnp.stack(columns, axis=-1)


def ratio_of(numerator: Array, denominator: Array, seen: Seen) -> Array:
    """A ratio of KPIs; at or below zero they must not turn it, and it is 1 where nothing was counted for so long."""
    floor = jnp.maximum(1e-9 * jnp.abs(seen.kpi).max(), 1e-300)
    return jnp.maximum(numerator, floor) / jnp.maximum(denominator, floor)


def _chasing(channel: ChannelForm, own: Mapping[str, Array], seen: Seen) -> Array:
    recent = seen.kpi[-channel.window :]
    return jnp.clip(ratio_of(recent[-1], recent.mean(), seen) ** own["strength"], own["low"], own["high"])


def _quarterly(channel: ChannelForm, own: Mapping[str, Array], seen: Seen) -> Array:
    since = jnp.mod(seen.t, QUARTER)  # weeks of the quarter that are over
    last, before = (
        jax.lax.dynamic_slice_in_dim(seen.kpi, seen.kpi.shape[0] - since - k * QUARTER, QUARTER).mean() for k in (1, 2)
    )
    growth = ratio_of(last, before, seen) ** own["quarterly.strength"]
    return jnp.clip(growth, own["quarterly.low"], own["quarterly.high"])


def _of_sales(channel: ChannelForm, own: Mapping[str, Array], seen: Seen) -> Array:
    return ratio_of(seen.kpi[-channel.averaged :].mean(), seen.reference, seen)


REACTIONS = {"chasing": _chasing, "quarterly": _quarterly, "of-sales": _of_sales}


def reaction(form: Form, rules: Mapping[str, Mapping[str, Array]], seen: Seen) -> Array:
    """What the rules that look at the KPI do to this week's plan: factors [C]."""

    def factor(channel: ChannelForm) -> Array:
        each = (REACTIONS[name](channel, rules[channel.name], seen) for name in channel.reactions)
        return reduce(jnp.multiply, each, jnp.ones(()))

    return jnp.stack([factor(channel) for channel in form.channels])
