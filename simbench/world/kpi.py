"""The KPI: its mean, and what is observed of it.

Formulas: docs/worlds.md, section 7. Noise has a size and is added or multiplied; a count is the
quantile of its law at a uniform number, so that a higher mean never counts less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from simbench.transforms import autoregressive
from simbench.world.base import Mechanism, Noise, under
from simbench.world.forms import Form
from simbench.world.scenario_checks import COUNTS

Array = Any
Told = Mapping[str, Array]
Slot = Mapping[str, Any]

#: No count reaches higher; a world that draws one is refused (:func:`simbench.world.truth.draw`).
LARGEST_COUNT = 100_000
#: A mean is counted as if it were at least this, and a size follows it down to this share of the reference.
LEAST = 1e-9
#: Beyond the mean of a count, chances whose logarithm is below this change no sum.
NEGLIGIBLE = -50.0
#: No uniform number counts as higher: sums of chances are not exact enough to tell.
HIGHEST = 1.0 - 1e-12


def noise_path(form: Form, noise: Noise) -> Array:
    """Innovations of the KPI noise as they act [P+N, G]."""
    eta = noise.innovations["noise"]
    return autoregressive(eta, noise.numbers["noise.rho"]) if form.noise == "ar1" else eta


#: Key of the noise's size -> sd in KPI units, from the number and the planned national means [T].
SIZES: dict[str, Callable[[Array, Array], Array]] = {
    "share": lambda size, planned: size * planned.mean(),
    "r_squared": lambda size, planned: jnp.sqrt(planned.var() * (1.0 - size) / size),
    "sd": lambda size, planned: size,
}


def added(slot: Slot, mean: Array, eta: Array) -> Array:
    """Noise of constant size, spread over geos by the root of their shares."""
    return mean + slot["sd"] * jnp.sqrt(slot["share"]) * eta


def growing(slot: Slot, mean: Array, eta: Array) -> Array:
    """Noise whose size follows a power of the mean, in each geo of its own."""
    usual = slot["share"] * slot["reference"]
    return added(slot, mean, jnp.maximum(mean / usual, LEAST) ** slot["number"]["power"] * eta)


def multiplied(slot: Slot, mean: Array, eta: Array) -> Array:
    """Lognormal noise of mean 1."""
    return mean * jnp.exp(slot["relative"] * eta - slot["relative"] ** 2 / 2)


# --- counts: the logarithm of the chance of 0, and of the ratio of the chances of k + 1 and of k


def _poisson(number: Mapping[str, Array], mean: Array) -> tuple[Array, Callable[[Array], Array]]:
    ratio = jnp.log(mean)
    return -mean, lambda k: ratio - jnp.log1p(k)


def _negative_binomial(number: Mapping[str, Array], mean: Array) -> tuple[Array, Callable[[Array], Array]]:
    size = number["dispersion"]
    ratio = -jnp.log1p(size / mean)
    return -size * jnp.log1p(mean / size), lambda k: ratio + jnp.log(k + size) - jnp.log1p(k)


LAWS = {"poisson": _poisson, "negative-binomial": _negative_binomial}


def quantile(kind: str, number: Mapping[str, Array], mean: Array, u: Array) -> Array:
    """The smallest count whose chance of not being exceeded is at least `u` (or `HIGHEST`, where u is more).

    Parameters
    ----------
    kind : str
        One of :data:`LAWS`.
    number : mapping
        ``dispersion``, for the negative binomial.
    mean, u : arrays [...]
        `mean` > 0.

    Returns
    -------
    array [...]
        Whole numbers, at most :data:`LARGEST_COUNT`.
    """
    first, ratio = LAWS[kind](number, mean)
    u = jnp.minimum(u, HIGHEST)

    def rising(k: Array, log_chance: Array, below: Array) -> Array:  # beyond the mean, chances fall for ever
        return (below < u) & ((k < mean) | (log_chance > NEGLIGIBLE))

    def unsettled(carried: tuple[Array, ...]) -> Array:
        k, log_chance, below, _ = carried
        return rising(k, log_chance, below).any() & (k < LARGEST_COUNT)

    def count(carried: tuple[Array, ...]) -> tuple[Array, ...]:
        k, log_chance, below, counted = carried
        counted = counted + rising(k, log_chance, below)
        log_chance = log_chance + ratio(k)
        return k + 1.0, log_chance, below + jnp.exp(log_chance), counted

    start = jnp.zeros(()), first, jnp.exp(first), jnp.zeros_like(mean)
    return jax.lax.while_loop(unsettled, count, start)[-1]


def counted(kind: str) -> Callable[[Slot, Array, Array], Array]:
    """Counts of one law, with weeks in which nothing is counted."""

    def observe(slot: Slot, mean: Array, eta: Array) -> Array:
        number = slot["number"]
        zero, mean = number["zero"], jax.lax.stop_gradient(mean)  # a count is flat almost everywhere
        some = quantile(kind, number, jnp.maximum(mean, LEAST) / (1.0 - zero), (eta - zero) / (1.0 - zero))
        return jnp.where(jnp.isfinite(mean), some, jnp.nan)

    return observe


def observation(form: Form) -> Callable[[Slot, Array, Array], Array]:
    """What is observed of a mean: (slot, mean [n, G], innovations [n, G]) -> KPI [n, G]."""
    if form.noise in COUNTS:
        return counted(form.noise)
    return multiplied if form.multiplicative else growing if form.power else added


def kpi_mechanism(form: Form) -> Mechanism:
    """Mean and observed KPI; remembers what the rules look at."""
    observe = observation(form)

    def init(noise: Noise, told: Told) -> tuple[dict[str, Any], Told]:
        planned = (told["base"] + told["planned_media"][0].sum(axis=-1)).sum(axis=-1)[form.pre : form.pre + form.weeks]
        reference = planned.mean()
        slot = {
            "eta": noise_path(form, noise), "share": told["share"], "number": under(noise.numbers, "noise."),
            "recent": jnp.full(form.memory, reference), "reference": reference,
        }  # fmt: skip
        if form.noise_by:
            sd = SIZES[form.noise_by](noise.numbers[f"noise.{form.noise_by}"], planned)
            slot |= {"sd": sd, "relative": sd / reference / jnp.sqrt((told["share"] ** 2).sum())}
        return slot, {}

    def step(slot: dict[str, Any], signals: Told) -> tuple[dict[str, Any], Told]:
        mean = signals["base"] + signals["contribution"].sum(axis=-1)
        kpi = observe(slot, mean, slot["eta"][signals["weeks"]])
        recent = jnp.concatenate([slot["recent"], kpi.sum(axis=-1)])[-form.memory :]
        return {**slot, "recent": recent}, {"mean": mean, "kpi": kpi}

    return Mechanism("kpi", init, step, needs=("base", "contribution"), gives=("mean", "kpi"))
