"""Demand without media: level, trend, season, events, shock, controls.

Formulas: docs/worlds.md, section 4. One function a mechanism; each returns a path over all
P+N weeks.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from simbench.transforms import YEAR, autoregressive, fourier
from simbench.world.base import Noise
from simbench.world.forms import Form

Array = Any


def trend(form: Form, noise: Noise) -> Array:
    """Trend factor [P+N], 1 at t = 0."""
    t, number = noise.given["t"], noise.numbers
    if form.trend == "linear":
        return 1.0 + number["demand.trend.per_year"] * t / YEAR
    if form.trend == "piecewise":
        slopes = jnp.stack([number[f"demand.trend.per_year.{i}"] for i in range(form.knots + 1)]) / YEAR
        knots = jnp.stack([number[f"demand.trend.knots.{i}"] for i in range(form.knots)])
        edges = jnp.concatenate([jnp.array([-jnp.inf]), knots, jnp.array([jnp.inf])])
        # weeks spent on each piece between 0 and t, negative before the panel
        spent = jnp.clip(t[:, None], edges[:-1], edges[1:]) - jnp.clip(0.0, edges[:-1], edges[1:])
        return 1.0 + spent @ slopes
    if form.trend == "random-walk":
        walk = number["demand.trend.sd"] * jnp.cumsum(noise.innovations["demand.trend"])
        return jnp.exp(walk - walk[form.pre])
    return jnp.ones_like(t)


def season(form: Form, noise: Noise) -> Array:
    """Season factor [P+N]."""
    t, number = noise.given["t"], noise.numbers
    if form.season == "none":
        return jnp.ones_like(t)
    cosine, sine = fourier(t, form.order)
    if form.season == "fixed":
        a = jnp.stack([number[f"demand.season.cosine.{k}"] for k in range(form.order)])
        b = jnp.stack([number[f"demand.season.sine.{k}"] for k in range(form.order)])
        return 1.0 + cosine @ a + sine @ b
    drawn = noise.innovations["demand.season"].reshape(2, form.order) / jnp.arange(1, form.order + 1)
    wave = (cosine @ drawn[0] + sine @ drawn[1]) / jnp.sqrt((drawn**2).sum())
    return 1.0 + number["demand.season.amplitude"] * wave


def events(form: Form, noise: Noise) -> Array:
    """Product of ``1 + lift`` over the events of a week [P+N]."""
    factor = jnp.ones_like(noise.given["t"])
    for i, name in enumerate(form.events):
        factor = factor * (1.0 + noise.numbers[f"demand.events.{name}.lift"] * noise.given["events"][i])
    return factor


def shock(form: Form, noise: Noise) -> Array:
    """Unobserved AR(1) demand shock, as a factor [P+N]."""
    if not form.shock:
        return jnp.ones_like(noise.given["t"])
    path = autoregressive(noise.innovations["demand.shock"], noise.numbers["demand.shock.rho"])
    return jnp.exp(noise.numbers["demand.shock.sd"] * path)


def demand_index(form: Form, noise: Noise) -> Array:
    """q [P+N]: national demand relative to its level at t = 0, always positive."""
    return trend(form, noise) * season(form, noise) * events(form, noise) * shock(form, noise)


def controls(form: Form, noise: Noise) -> tuple[Array, Array]:
    """Control values [P+N, K] and their summed national effect on the KPI [P+N]."""
    values, effect = [], jnp.zeros_like(noise.given["t"])
    for name in form.controls:
        number = {key: noise.numbers[f"controls.{name}.{key}"] for key in ("mean", "sd", "rho", "effect")}
        moved = number["sd"] * autoregressive(noise.innovations[f"controls.{name}"], number["rho"])
        values.append(number["mean"] + moved)
        effect = effect + number["effect"] * moved
    return jnp.stack(values, axis=-1) if values else jnp.zeros((effect.shape[0], 0)), effect
