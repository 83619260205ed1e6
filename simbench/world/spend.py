"""The advertiser's rules: the planned path of every channel, and what reacts to the KPI.

Formulas: docs/worlds.md, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from simbench.transforms import YEAR
from simbench.world.base import Noise, Seen
from simbench.world.forms import ChannelForm, Form

Array = Any


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


def planned(form: Form, noise: Noise) -> Array:
    """The planned national path of every channel's lever [P+N, C], money a week."""
    t = noise.given["t"]
    group = tuple(channel.name for channel in form.channels if channel.rule == "correlated")
    together = correlated(form, noise, group) if group else None

    def path(channel: ChannelForm) -> Array:
        number = under(noise.numbers, f"channels.{channel.name}.spend.")
        if channel.rule == "recorded":
            return noise.given[f"recorded.{channel.name}"]
        if channel.rule == "correlated":
            z = together[:, group.index(channel.name)]  # type: ignore[index]
            return number["weekly"] * jnp.maximum(0.0, 1.0 + number["cv"] * z)
        phase = noise.innovations[f"phase.{channel.name}"]
        return RULES[channel.rule](number, t, phase, noise.innovations[f"spend.{channel.name}"])

    return jnp.stack([path(channel) for channel in form.channels], axis=-1)


def under(numbers: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The numbers below a key path, by the rest of their path."""
    return {path.removeprefix(prefix): value for path, value in numbers.items() if path.startswith(prefix)}


def reaction(form: Form, rules: Mapping[str, Mapping[str, Array]], seen: Seen) -> Array:
    """What the rules do to this week's plan [C]: chasing follows last week's KPI."""
    # a KPI at or below zero must not turn the ratio; where nothing was counted for so long, it is 1
    floor = jnp.maximum(1e-9 * jnp.abs(seen.kpi).max(), 1e-300)
    factors = []
    for channel in form.channels:
        if channel.rule != "demand-chasing":
            factors.append(jnp.ones(()))
            continue
        own, recent = rules[channel.name], seen.kpi[-channel.window :]
        ratio = jnp.maximum(recent[-1], floor) / jnp.maximum(recent.mean(), floor)
        factors.append(jnp.clip(ratio ** own["strength"], own["low"], own["high"]))
    return jnp.stack(factors)
