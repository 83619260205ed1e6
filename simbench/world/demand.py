"""Demand without media: level, trend, season, events, shock, breaks, competitors, promotions, controls.

Formulas: docs/worlds.md, section 4. One function a mechanism; each returns a path over all
P+N weeks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from simbench.transforms import YEAR, autoregressive, fourier
from simbench.world.base import Noise, under
from simbench.world.forms import COMPETITOR_LAWS, Form

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


def breaks(form: Form, noise: Noise) -> Array:
    """Product over breaks of what each does to demand [P+N]: from a week on, or for a spell that fades."""
    t = noise.given["t"]
    product = jnp.ones_like(t)
    for name, kind in form.breaks:
        number = under(noise.numbers, f"demand.breaks.{name}.")
        lasting = jnp.where(t >= number["week"], 1.0, 0.0)
        if kind == "spell":
            end = number["week"] + number["weeks"]
            fading = jnp.maximum(0.0, 1.0 - (t - end + 1.0) / (number["fade"] + 1.0))
            lasting = jnp.where(t < end, lasting, fading)
        product = product * (1.0 + (number["factor"] - 1.0) * lasting)
    return product


def attacks(form: Form, noise: Noise, name: str) -> tuple[Array, Array]:
    """Weeks in which a competitor acts (0 or 1), and what that does to demand; both [P+N]."""
    t, number = noise.given["t"], under(noise.numbers, f"demand.competitors.{name}.")
    starts = noise.innovations[f"demand.competitors.{name}"] < number["a_year"] / YEAR
    latest = jax.lax.cummax(jnp.where(starts, t, -jnp.inf))
    acting = jnp.where(t - latest < number["weeks"], 1.0, 0.0)
    return acting, 1.0 - number["depth"] * acting


def share_of_voice(form: Form, noise: Noise, name: str) -> tuple[Array, Array]:
    """A competitor's share of voice, and what it does to demand; both [P+N]."""
    number = under(noise.numbers, f"demand.competitors.{name}.")
    usual, path = number["share"], autoregressive(noise.innovations[f"demand.competitors.{name}"], number["rho"])
    share = jax.nn.sigmoid(jnp.log(usual) - jnp.log1p(-usual) + number["sd"] * path)
    return share, jnp.exp(-number["effect"] * (share - usual))


def entrant(form: Form, noise: Noise, name: str) -> tuple[Array, Array]:
    """How far a competitor has entered (0 to 1), and what that does to demand; both [P+N]."""
    number = under(noise.numbers, f"demand.competitors.{name}.")
    inside = jnp.clip((noise.given["t"] - number["week"] + 1.0) / number["weeks"], 0.0, 1.0)
    return inside, 1.0 - number["depth"] * inside


def competing_spend(form: Form, noise: Noise, name: str) -> tuple[Array, Array]:
    """A competitor's money, and what it does to demand; both [P+N]."""
    number = under(noise.numbers, f"demand.competitors.{name}.")
    moved = number["sd"] * autoregressive(noise.innovations[f"demand.competitors.{name}"], number["rho"])
    return number["weekly"] * jnp.exp(moved), jnp.exp(-number["effect"] * moved)


#: Kind of a competitor -> (its path, factor of demand), both [P+N].
COMPETITORS: dict[str, Callable[[Form, Noise, str], tuple[Array, Array]]] = {
    "shocks": attacks,
    "share-of-voice": share_of_voice,
    "entrant": entrant,
    "spend": competing_spend,
}
COMPETITOR_LAWS["spend"] = "normal"  # of its weekly innovations; the other kinds stand in forms.py


def competitors(form: Form, noise: Noise) -> Array:
    """Product over competitors of what each does to demand [P+N]."""
    product = jnp.ones_like(noise.given["t"])
    for name, kind in form.competitors:
        product = product * COMPETITORS[kind](form, noise, name)[1]
    return product


def discount(form: Form, noise: Noise) -> Array:
    """Discount of each week's promotion [P+N]; 0 outside promotions."""
    n = jnp.arange(form.total) * 1.0
    if not form.promotions:
        return jnp.zeros_like(n)
    number, drawn = under(noise.numbers, "demand.promotions."), noise.innovations["demand.promotions"]
    cycle = jnp.floor(n / number["every"])
    place, depth = drawn[cycle.astype(int)].T
    start = cycle * number["every"] + place * (number["every"] - number["weeks"])
    on = (start <= n) & (n < start + number["weeks"])
    return jnp.where(on, number["low"] + (number["high"] - number["low"]) * depth, 0.0)


def promotions(form: Form, noise: Noise) -> Array:
    """What promotions do to demand [P+N]."""
    if not form.promotions:
        return jnp.ones_like(noise.given["t"])
    return jnp.exp(noise.numbers["demand.promotions.elasticity"] * discount(form, noise))


def demand_index(form: Form, noise: Noise) -> Array:
    """q [P+N]: national demand relative to its level at t = 0, always positive."""
    product = trend(form, noise)
    for factor in (season, events, shock, breaks, competitors, promotions):
        product = product * factor(form, noise)
    return product


def controls(form: Form, noise: Noise) -> tuple[dict[str, Array], Array]:
    """Control paths by name, [P+N] each, and their summed national effect on the KPI [P+N]."""
    paths, effect = {}, jnp.zeros_like(noise.given["t"])
    for name in form.controls:
        number = {key: noise.numbers[f"controls.{name}.{key}"] for key in ("mean", "sd", "rho", "effect")}
        moved = number["sd"] * autoregressive(noise.innovations[f"controls.{name}"], number["rho"])
        paths[name] = number["mean"] + moved
        effect = effect + number["effect"] * moved
    return paths, effect


def series(form: Form) -> list[str]:
    """Names of the columns that are paths of their own; events are weeks of the calendar."""
    return [name for name in form.columns if name not in form.events]


def columns(form: Form, noise: Noise, paths: dict[str, Array]) -> Array:
    """What analysts see besides events [P+N, K]: controls, competitors and promotions that are not hidden."""
    paths = paths | {name: COMPETITORS[kind](form, noise, name)[0] for name, kind in form.competitors}
    if form.promotions:
        paths["promotion"] = discount(form, noise)
    seen = [paths[name] for name in series(form)]
    return jnp.stack(seen, axis=-1) if seen else jnp.zeros((form.total, 0))


def descended(form: Form, noise: Noise, columns: Array, brought: Array) -> Array:
    """The same columns [P+N, K], where media that bring `brought` [P+N] move some of them too."""
    none, relative = jnp.zeros(()), brought / noise.numbers["demand.level"]
    size = [noise.numbers[f"controls.{name}.of_media"] if name in form.descended else none for name in series(form)]
    return columns + relative[:, None] * jnp.stack(size)
