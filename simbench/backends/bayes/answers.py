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
from simbench.briefs import timeline
from simbench.estimands import Effects
from simbench.records import Answers, Brief
from simbench.transforms import carry_late, saturate

Array = Any


class Structure(NamedTuple):
    """Draws of a mix model as it answers: ``base + sum_c amplitude x path x curve(carry-over of lever / money)``."""

    base: Array  #: [D, N, Gp] KPI without media
    kernel: Array  #: [D, L, C]
    amplitude: Array  #: [D, Gp, C] KPI of a curve of 1
    half_at: Array  #: [D, C]
    slope: Array  #: [D, C]
    path: Array | None  #: [D, 1, C, N]
    money: Array  #: [Gp, C] unit of the lever
    noise: Array  #: [D, Gm] sd of a week's error in each geo the model tells apart
    freedom: Array | None  #: [D] degrees of freedom of the errors; None = normal
    people: Array  #: [Gp] how the errors of a national model are spread


def structure_of(
    model: Model, key: Array, points: Array, data: Data, brief: Brief, linear: Callable[..., Any] = density.linear_draw
) -> Structure:
    """The structure of points [D, n]; what was integrated out is drawn: by `linear`, given the data or beforehand.

    A national model on a geo panel: the base is spread by population, a channel's curve is shrunk to the geo's
    share of its spend.
    """
    panel, periods = brief.panel, data.plain.shape[1]
    people = panel.population / panel.population.sum()

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
            (parameters["noise"][0] * data.scale),
            freedom,
        )

    keys = jax.random.split(key, len(points))
    base, kernel, amplitude, half_at, slope, over_time, noise, freedom = jax.vmap(one)(keys, points)
    money = data.money
    if not model.geos:
        spent = jnp.where((jnp.arange(panel.lever.shape[0]) < panel.origin)[:, None, None], panel.lever, 0.0).sum(
            axis=0
        )
        total = spent.sum(axis=0)
        share = jnp.where(total > 0, spent / jnp.where(total > 0, total, 1.0), people[:, None])
        base, amplitude = base * people, amplitude * share
        money = money * jnp.where(share > 0, share, people[:, None])
    return Structure(base, kernel, amplitude, half_at, slope, over_time, money, noise, freedom, people)


def answer_structure(curve: str, key: Array, structure: Structure, brief: Brief) -> Answers:
    """Answers [D, ...] of a structure; the forecast carries the errors of each draw.

    A national model does not say what a channel brought in each of several geos.
    """
    lever, _ = timeline(brief.panel, brief.questions.future)
    s = structure

    def effects(draw: tuple[Any, ...]) -> Effects:
        base, kernel, amplitude, half_at, slope, path = draw

        def before(x: Array) -> Array:
            return carry_late(kernel, x) / s.money[..., None]

        def bent(v: Array) -> Array:
            return amplitude[..., None] * saturate(curve, v, half_at[:, None], slope[:, None])

        return Effects(base, before, bent, lambda x: x, path)

    draws = (s.base, s.kernel, s.amplitude, s.half_at, s.slope, s.path)
    answers = answer_draws(effects, draws, lever, brief)
    count, held, (_, geos) = len(s.noise), brief.questions.future.lever.shape[0], s.noise.shape
    normal_key, mixing_key = jax.random.split(key)
    errors = s.noise[:, None] * jax.random.normal(normal_key, (count, held, geos), s.noise.dtype)
    if s.freedom is not None:
        half = 0.5 * s.freedom[:, None, None]
        errors = errors * jnp.sqrt(half / jax.random.gamma(mixing_key, half, errors.shape, errors.dtype))
    several = brief.panel.kpi.shape[1] > 1
    answers = predict(answers, errors * s.people if geos == 1 else errors)
    return answers._replace(contribution_geo=None) if several and geos == 1 else answers
