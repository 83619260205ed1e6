"""Net value of a unit at an amount, with proven bounds of its slope: what certifies an optimum.

A week's carried input is an increasing concave function of the amount: linear for a set channel,
capped by demand for a bought one; the saturation's slope has one peak. Between two levels each
week's slope therefore lies between (least saturation slope) x (slope of the input at the cell's
end) and (largest saturation slope) x (slope of the input at the cell's start).

In a world with bought channels the cells are those of an *upper bound* of the worth: demand as if
every other channel spent its most for the KPI, and its least for the bill.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from simbench.estimands import by_unit, direction, lever_levels, plan_of
from simbench.records import Problem
from simbench.transforms import carry, carry_last, join, pick
from simbench.world.forms import Form
from simbench.world.media import Media, late_curve, respond, set_effects, steepest_input

Array = Any


class Futures(NamedTuple):
    """Coupled futures of one world from its origin on; K = 1 where shocks to come change nothing."""

    media: Media  #: `wish` is [K, Q, G, C]
    memory: Array  #: [L-1, G, C]
    organic: Array  #: [K, Q, G]


class Inputs(NamedTuple):
    """Carried input of the curves at each level, and its slope in the amount; time is the last axis.

    L levels; the last four may have 1 in place of L where the input is linear.
    """

    x: Array  #: [L, G, c, Q]
    bill: Array  #: [L, G, c] money spent
    from_above: Array  #: [L, G, c, Q] slope of x to the right of a level
    from_below: Array  #: [L, G, c, Q] and to its left
    dearer: Array  #: [L, G, c] slope of the bill to the right
    cheaper: Array  #: [L, G, c] and to the left


Carried = Callable[[Array, Array], Array]


def stored(carried: Carried, before: Array, x: Array) -> Array:
    """Carry over several x [n, ..., Q, G, c] -> [n, ..., G, c, Q]: a loop, so that no use sums anew."""
    return jax.lax.map(lambda one: carried(*one), (before, jnp.moveaxis(x, -3, -1)))


def set_inputs(
    carried: Carried, memory: Array, base: Array, per_unit: Array, amounts: Array, rate: Array | float
) -> Inputs:
    """Inputs of set channels: straight lines. `amounts` [L, 1, G, c]; `rate`: contacts for money [Q, 1, c]."""
    before = jnp.stack([memory, jnp.zeros_like(memory)])
    still, push = stored(carried, before, rate * jnp.stack([base, per_unit]))
    push = push[None]
    money = per_unit.sum(axis=0)[None]
    bill = base.sum(axis=0) + amounts[:, 0] * money
    return Inputs(still + amounts[:, 0, ..., None] * push, bill, push, push, money, money)


def bought_inputs(
    carried: Carried, memory: Array, base: Array, per_unit: Array, amounts: Array, rate: Array | float, most: Array,
    least: Array,
) -> Inputs:  # fmt: skip
    """Inputs of bought channels under demand between `least` and `most` [Q, G, c]."""
    cap = base + amounts * per_unit
    inputs = jnp.minimum(cap, most), jnp.where(cap < most, per_unit, 0.0), jnp.where(cap > most, 0.0, per_unit)
    before = jnp.stack([memory, jnp.zeros_like(memory), jnp.zeros_like(memory)])
    x, from_above, from_below = stored(carried, before, rate * jnp.stack(inputs))
    return Inputs(
        x,
        jnp.minimum(cap, least).sum(axis=1),
        from_above,
        from_below,
        jnp.where(cap < least, per_unit, 0.0).sum(axis=1),
        jnp.where(cap > least, 0.0, per_unit).sum(axis=1),
    )


def ends(x: Array) -> tuple[Array, Array]:
    """What stands at the start and at the end of each cell."""
    return (x, x) if x.shape[0] == 1 else (x[:-1], x[1:])


@lru_cache(maxsize=64)
def cells_program(form: Form) -> Callable[..., tuple[Array, Array, Array, Array]]:
    """Compiled: (futures, problem, worth, levels [U, L]) of a block -> cells of the units.

    Net value [U, L] and slope [U, L] at the levels, largest and smallest slope [U, L-1] on each
    cell.
    """
    span, padding = form.span, ((0, form.span - form.horizon), (0, 0), (0, 0))
    plain, bought = (tuple(i for i, c in enumerate(form.channels) if c.bought is b) for b in (False, True))

    def cells_of(
        columns: tuple[int, ...], futures: Futures, problem: Problem, worth: Array, levels: Array, *demand: Array
    ) -> tuple[Array, ...]:
        media, lags = of_channels(futures.media, columns), max(form.channels[c].length for c in columns)
        memory = pick(futures.memory[futures.memory.shape[0] - (lags - 1) :], columns)
        weights, size = media.weights[:lags], (media.beta * media.spread)[..., None]
        if media.path is not None:
            size = size * media.path[:span].T
        rate = 1.0 if media.rate is None else media.rate[:span, None, :]
        first = np.array([form.channels[c].settles_first for c in columns])
        scale = media.scale[..., None]
        peak = steepest_input([form.channels[c].saturation for c in columns], media)[:, None] * scale

        def carried(before: Array, x: Array) -> Array:
            late = carry_last(weights, before, x)
            return jnp.where(first[:, None], x, late) if first.any() else late

        def summed(s: Array) -> Array:  # over weeks, after what settles first has been carried over
            if not first.any():
                return s.sum(axis=-1)
            late = carry_last(weights, jnp.zeros_like(memory), s)
            return jnp.where(first, late.sum(axis=-1), s.sum(axis=-1))

        def response(x: Array) -> tuple[Array, Array]:  # value and slope
            def value(v: Array) -> Array:
                return size * late_curve(form, media, columns, v / scale, whole=False)

            return jax.jvp(value, (x,), (jnp.ones_like(x),))

        plan = jnp.pad(problem.base, padding), jnp.pad(direction(problem.unit, problem.weight), padding)
        base, per_unit, amounts = (pick(x, columns) for x in (*plan, lever_levels(problem.unit, levels)))
        if demand:
            most_least = (pick(d, columns) for d in demand)
            inputs = bought_inputs(carried, memory, base, per_unit, amounts, rate, *most_least)
        else:
            inputs = set_inputs(carried, memory, base, per_unit, amounts, rate)
        low, high = ends(inputs.x)
        value, here = response(inputs.x)
        # between two inputs the slope is that of an end, or the peak's where the peak lies between them
        turns, at_peak = (low < peak) & (peak < high), response(peak)[1]
        largest = jnp.maximum(jnp.maximum(here[:-1], here[1:]), jnp.where(turns, at_peak, -jnp.inf))
        smallest = jnp.minimum(jnp.minimum(here[:-1], here[1:]), jnp.where(turns, at_peak, jnp.inf))
        brought = summed(value)
        if bought and first.any():  # what earlier weeks left is no part of the input, but a bound of plans counts it
            left = carry(weights, memory, jnp.zeros((span, *memory.shape[1:]))).sum(axis=0)
            brought = brought + jnp.where(first, media.beta * media.spread * left, 0.0)
        most, least = ends(inputs.from_above)[0], ends(inputs.from_below)[1]
        up, down = jnp.maximum(largest * most, largest * least), jnp.minimum(smallest * most, smallest * least)
        return (
            worth * brought - inputs.bill,
            worth * summed(here * inputs.from_above) - inputs.dearer,
            worth * summed(up) - ends(inputs.cheaper)[1],
            worth * summed(down) - ends(inputs.dearer)[0],
        )

    def run(futures: Futures, problem: Problem, worth: Array, levels: Array) -> tuple[Array, Array, Array, Array]:
        asked = (futures, problem, worth, levels)
        found = [(plain, cells_of(plain, *asked))] if plain else []
        if bought:

            def known(bound: Array) -> tuple[Array, Array]:  # what set channels bring is the same in all futures
                lever = jnp.pad(plan_of(problem, bound), padding)
                return lever, set_effects(form, futures.media, futures.memory, lever, jnp.arange(span))

            limits = known(problem.upper), known(problem.lower)

            def extremes(wish: Array, organic: Array) -> list[Array]:
                media = futures.media._replace(wish=wish)
                return [
                    respond(form, media, futures.memory, lever, jnp.arange(span), organic, known=unit)[2]
                    for lever, unit in limits
                ]

            bounds = jax.vmap(extremes)(futures.media.wish[:, :span], futures.organic[:, :span])
            under = jax.lax.map(lambda d: cells_of(bought, *asked, *d), bounds)
            found.append((bought, tuple(x.mean(axis=0) for x in under)))
        joined = [join([(columns, cells[i]) for columns, cells in found]) for i in range(4)]
        value, slope, steepest, flattest = (by_unit(problem.unit, levels.shape[0], x).T for x in joined)
        return value, slope, steepest, flattest

    # many regions: one world after the other stays in the cache
    return jax.jit(jax.vmap(run) if form.geos == 1 else lambda *block: jax.lax.map(lambda one: run(*one), block))


def of_channels(media: Media, columns: tuple[int, ...]) -> Media:
    """The media of some channels; what belongs to none of them alone stays whole."""
    return media._replace(**{
        name: pick(x, columns)
        for name, x in media._asdict().items()
        if x is not None and name not in ("share", "synergy")
    })  # fmt: skip


def bounded(form: Form, media: Media) -> np.ndarray:
    """Worlds [R] for which the relaxed demand is a bound: no synergy, and no followed channel lowers demand."""
    if form.synergies:
        return np.zeros(np.shape(media.beta)[0], dtype=bool)
    followed = sorted({f for channel in form.channels for f in channel.follows})
    return np.asarray((np.asarray(media.beta)[:, followed] >= 0).all(axis=1))
