"""Coordinates for engines in which a known ridge of the posterior is straight.

Where the amplitude of a curve is a parameter, data tell the product of amplitude and curve far better than
either: a bent ridge in the model's own coordinates. Engines get the log of what the channel brings a week
in the amplitude's place.
"""

from __future__ import annotations

from math import log, pi
from typing import Any

import jax.numpy as jnp

from simbench.backends.bayes import density
from simbench.backends.bayes import prior as priors
from simbench.backends.bayes.data import Data
from simbench.backends.bayes.density import Parameters
from simbench.backends.bayes.model import Model, parameter
from simbench.backends.bayes.prior import Prior
from simbench.transforms import TINY

Array = Any


def is_straight(model: Model) -> bool:
    """Whether the model's own coordinates are those of engines."""
    return model.effect != "coefficient" or parameter(model, "effect") is None


def parameters_of(model: Model, t: Array, data: Data) -> tuple[Parameters, Array | None]:
    """The parameters of an engine's point t [n], and the curves if they had to be computed."""
    placed = density.placed(model, t, data)
    if is_straight(model):
        return placed, None
    curve = density.curves(model, placed, data)  # it does not depend on amplitudes
    reached = (curve @ data.seen).sum(axis=0) / (data.seen.sum() * len(curve))
    reached = jnp.where(data.active.max(axis=0) > 0, jnp.maximum(reached, TINY), 1.0)
    return placed | {"effect": jnp.exp(density.split(model, t, data)["effect"]) / reached}, curve


def log_density(model: Model, t: Array, data: Data) -> Array:
    """The model's log density in an engine's coordinates."""
    if is_straight(model):
        return density.log_density(model, t, data)
    (parameters, curve), parts = parameters_of(model, t, data), density.split(model, t, data)
    others = [each for each in model.parameters if each.name != "effect"]
    log_prior = sum(priors.log_density(density.prior_of(each, data), parts[each.name]).sum() for each in others)
    (sd,), amplitude = _prior(model).numbers, parameters["effect"]
    own = -0.5 * (amplitude / sd) ** 2 + 0.5 * log(2.0 / pi) - jnp.log(sd)  # half-normal
    # the change of volume is the amplitude itself
    return log_prior + (own + jnp.log(amplitude)).sum() + density.log_likelihood(model, parameters, data, curve)


def point_of(model: Model, t: Array, data: Data) -> Array:
    """The model's point z [n] of an engine's point t [n]."""
    if is_straight(model):
        return t
    value = parameters_of(model, t, data)[0]["effect"]
    parts = density.split(model, t, data) | {"effect": priors.point(_prior(model), value)}
    return jnp.concatenate([parts[each.name] for each in model.parameters])


def _prior(model: Model) -> Prior:
    amplitude = parameter(model, "effect")
    assert amplitude is not None and amplitude.prior.kind == "half-normal", "amplitudes are half-normal"
    return amplitude.prior
