"""From posterior draws to answers: every model's draw is one structure, so one program answers for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from simbench.backends.base import answer_draws, predict
from simbench.backends.bayes import density
from simbench.backends.bayes.data import Data
from simbench.backends.bayes.model import Model
from simbench.backends.traced import known
from simbench.briefs import timeline
from simbench.estimands import Effects
from simbench.records import Answers, Brief
from simbench.transforms import carry_late, saturate

Array = Any


@known
class Structure(NamedTuple):
    """Draws of a mix model: ``base + sum_c amplitude x path x curve(carry-over of rate x lever / money)``."""

    base: Array  #: [D, N, G] KPI without media
    kernel: Array  #: [D, L, C]
    amplitude: Array  #: [D, G, C] KPI of a curve of 1
    half_at: Array  #: [D, C]
    slope: Array  #: [D, C]
    path: Array | None  #: [D, 1, C, N]
    money: Array  #: [G, C] unit of the lever
    rate: Array | None  #: [G, C, N] what a unit of money buys
    noise: Array  #: [D, G] sd of a week's error
    freedom: Array | None  #: [D] degrees of freedom of the errors; None = normal


def structure_of(
    model: Model, key: Array, points: Array, data: Data, linear: Callable[..., Any] = density.linear_draw
) -> Structure:
    """The structure of points [D, n]; what was integrated out is drawn: by `linear`, given the data or beforehand."""
    periods = data.plain.shape[1]

    def one(key: Array, z: Array) -> tuple[Any, ...]:
        parameters = density.placed(model, z, data)
        plain, block = linear(model, key, parameters, data)
        curve = density.curves(model, parameters, data)
        unit = density.amplitudes(model, parameters, data, curve)
        own, sd = density.effects(model, parameters, data)
        amplitude = unit * (own + sd * block if block.shape[1] else own)
        real = jnp.where(data.size > 0, 1.0 / jnp.sqrt(jnp.where(data.size > 0, data.size, 1.0)), 0.0)
        # from coefficients of the axes to those of the columns
        columns = jnp.einsum("gpq,gq->gp", data.turn, plain * jnp.sqrt(data.size) * real)
        base = data.centre[:, None] + jnp.einsum("gnp,gp->gn", data.plain, columns)
        if model.centred:
            usual = jnp.einsum("gc,gcm,m->g", amplitude, curve, data.seen) / data.seen.sum()
            base = base - usual[:, None]
        if "season" in parameters:
            base = base + parameters["season"] @ data.season.T
        half_at, slope = density.bend(model, parameters)
        over_time = density.path(model, parameters, data, periods)[None] if model.bases else None
        freedom = parameters["freedom"][0] if "freedom" in parameters else None
        kernel = density.weights(model, parameters)
        return (
            base.T * data.scale,
            kernel,
            amplitude * data.scale[:, None],
            half_at,
            slope,
            over_time,
            density.noise_of(model, parameters, data) * data.scale,
            freedom,
        )

    keys = jax.random.split(key, len(points))
    base, kernel, amplitude, half_at, slope, over_time, noise, freedom = jax.vmap(one)(keys, points)
    rate = None if data.rate is None else jnp.moveaxis(data.rate, 0, -1)
    return Structure(base, kernel, amplitude, half_at, slope, over_time, data.money, rate, noise, freedom)


def answer_structure(curve: str, key: Array, structure: Structure, brief: Brief) -> Answers:
    """Answers [D, ...] of a structure; the forecast carries the errors of each draw."""
    lever, _ = timeline(brief.panel, brief.questions.future)
    s = structure

    def effects(draw: tuple[Any, ...]) -> Effects:
        base, kernel, amplitude, half_at, slope, path = draw

        def before(x: Array) -> Array:
            return carry_late(kernel, x) / s.money[..., None]

        def bent(v: Array) -> Array:
            return amplitude[..., None] * saturate(curve, v, half_at[:, None], slope[:, None])

        return Effects(base, before, bent, lambda x: x, path, kernel.shape[0] - 1, s.rate)

    draws = (s.base, s.kernel, s.amplitude, s.half_at, s.slope, s.path)
    answers = answer_draws(effects, draws, lever, brief)
    count, held, (_, geos) = len(s.noise), brief.questions.future.lever.shape[0], s.noise.shape
    normal_key, mixing_key = jax.random.split(key)
    errors = s.noise[:, None] * jax.random.normal(normal_key, (count, held, geos), s.noise.dtype)
    if s.freedom is not None:
        half = 0.5 * s.freedom[:, None, None]
        errors = errors * jnp.sqrt(half / jax.random.gamma(mixing_key, half, errors.shape, errors.dtype))
    return predict(answers, errors)
