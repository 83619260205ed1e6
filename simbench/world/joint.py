"""The optimum of problems whose units share levers, in worlds whose channels do not interact.

What a channel brings in a week is a curve of its input, and the input (carried over where carry-over comes first,
else the week's own) is an affine function of the amounts. So the worth is a sum over weeks, geos and channels of
``size * curve(still + push @ amounts)``, less the money. Its concave majorant replaces each curve by its hull on the
inputs that the bounds allow: the curve's slope has one peak, so the hull is a line up to a point of contact and the
curve from there on. Where every curve is concave, the majorant is the worth itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from simbench import ids, optimum
from simbench.blocks import held, in_float64
from simbench.estimands import plan_of
from simbench.records import Problem
from simbench.transforms import carry
from simbench.world.cells import Futures
from simbench.world.forms import Form
from simbench.world.media import Media, late_curve, steepest_input
from simbench.world.plans import lever_of

Array = Any
#: Halvings that find where a line touches a curve.
HALVINGS = 60


class Laid(NamedTuple):
    """The worth of one world as a sum of curves of affine inputs."""

    size: Array  #: [G, C, Q] money at saturation 1
    still: Array  #: [G, C, Q] input without any amount
    push: Array  #: [U, G, C, Q] input of a unit of money
    cost: Array  #: [U] money for a unit of it
    peak: Array  #: [C] input at which the curve is steepest
    media: Media


class Hull(NamedTuple):
    """The line that makes each curve [G, C, Q] concave (where its size is negative: convex)."""

    touch: Array  #: input at which it touches the curve; it stands for the curve below that (above, where negative)
    height: Array  #: at input 0
    slope: Array


def laid(form: Form, futures: Futures, problem: Problem, worth: Array) -> Laid:
    """The curves of one world with one future."""
    media, span, units = futures.media, form.span, problem.levels.shape[0]
    rate = 1.0 if media.rate is None else media.rate[:span, None, :]
    first = np.array([channel.settles_first for channel in form.channels])
    nothing = problem._replace(base=jnp.zeros_like(problem.base))
    base = rate * lever_of(form, problem.base)
    each = jax.vmap(lambda amounts: lever_of(form, plan_of(nothing, amounts)))(jnp.eye(units))
    pushed = rate * each

    def carried(before: Array, x: Array) -> Array:
        return jnp.where(first, x, carry(media.weights, before, x)) / media.scale

    empty = jnp.zeros_like(futures.memory)
    size = worth * media.beta * media.spread * jnp.ones((span, 1, 1))
    size = size if media.path is None else size * media.path[:span, None, :]
    # what settles first arrives later: a week's weight is what is left of the kernel
    arrives = jnp.cumsum(jnp.pad(media.weights, ((0, max(0, span - form.lags)), (0, 0))), axis=0)[:span][::-1]
    size = size * jnp.where(first, arrives[:, None, :], 1.0)
    late = lambda x: jnp.moveaxis(x, -3, -1)  # noqa: E731
    return Laid(
        late(size), late(carried(futures.memory, base)), late(carried(empty, pushed)), each.sum(axis=(1, 2, 3)),
        steepest_input([channel.saturation for channel in form.channels], media), media,
    )  # fmt: skip


def bent(form: Form, media: Media, v: Array) -> tuple[Array, Array, Array]:
    """The curves at inputs [..., G, C, Q], their slopes and second derivatives."""
    columns = tuple(range(len(form.channels)))

    def curve(v: Array) -> tuple[Array, Array]:
        return jax.jvp(lambda v: late_curve(form, media, columns, v), (v,), (jnp.ones_like(v),))

    (value, slope), (_, bend) = jax.jvp(curve, (v,), (jnp.ones_like(v),))
    return value, slope, bend


def hull_of(form: Form, own: Laid, lower: Array, upper: Array) -> Hull:
    """The lines between the least and the largest input that amounts within [lower, upper], [U] each, give."""
    low, high = (own.still + jnp.tensordot(bound, own.push, 1) for bound in (lower, upper))
    up, peak = own.size >= 0, own.peak[:, None]
    # a line starts at the end where the curve bends the wrong way, and touches the curve beyond its peak
    start, far = jnp.where(up, low, high), jnp.where(up, high, low)
    way, at_start = jnp.sign(far - start), bent(form, own.media, start)[0]

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        near, beyond = ends
        middle = 0.5 * (near + beyond)
        value, slope, _ = bent(form, own.media, middle)
        steeper = (slope * (middle - start) - (value - at_start)) * way > 0
        return jnp.where(steeper, middle, near), jnp.where(steeper, beyond, middle)

    touch = jax.lax.fori_loop(0, HALVINGS, halve, (jnp.clip(peak, low, high), far))[1]
    line = jnp.where(up, peak > low, peak < high) & (touch != start)
    rise = bent(form, own.media, touch)[0] - at_start
    slope = jnp.where(line, rise / jnp.where(line, touch - start, 1.0), 0.0)
    nowhere = jnp.where(up, -jnp.inf, jnp.inf)
    return Hull(jnp.where(line, touch, nowhere), at_start - slope * start, slope)


def parts_of(form: Form, own: Laid, amounts: Array, hull: Hull | None) -> tuple[Array, Array, Array]:
    """Curves [..., G, C, Q] at amounts [..., U], their slopes and second derivatives; of their hulls, if given."""
    v = own.still + jnp.tensordot(amounts, own.push, 1)
    value, slope, bend = bent(form, own.media, v)
    if hull is None:
        return value, slope, bend
    line = jnp.where(own.size >= 0, v < hull.touch, v > hull.touch)
    value = jnp.where(line, hull.height + hull.slope * v, value)
    return value, jnp.where(line, hull.slope, slope), jnp.where(line, 0.0, bend)


@lru_cache(maxsize=64)
def laid_program(form: Form) -> Callable[..., tuple[Laid, Hull]]:
    """Compiled: (futures, problem, worth, lower [U], upper [U]) of one world -> its curves and their hulls."""

    def run(futures: Futures, problem: Problem, worth: Array, lower: Array, upper: Array) -> tuple[Laid, Hull]:
        one = futures._replace(media=futures.media._replace(wish=futures.media.wish[0]))
        own = laid(form, one, problem, worth)
        return own, hull_of(form, own, lower, upper)

    return jax.jit(run)


@lru_cache(maxsize=64)
def values_program(form: Form) -> Callable[[Laid, Hull | None, Array], Array]:
    """Compiled: (curves, hulls or None, amounts [B, U]) -> worth [B]."""

    def run(own: Laid, hull: Hull | None, amounts: Array) -> Array:
        return (own.size * parts_of(form, own, amounts, hull)[0]).sum(axis=(1, 2, 3)) - amounts @ own.cost

    return jax.jit(run)


@lru_cache(maxsize=64)
def model_program(form: Form) -> Callable[[Laid, Hull | None, Array], tuple[Array, ...]]:
    """Compiled: (curves, hulls or None, amounts [B, U]) -> the model of `optimum.Smooth`."""

    def one(own: Laid, hull: Hull | None, amounts: Array) -> tuple[Array, ...]:
        value, slope, bend = (own.size * x for x in parts_of(form, own, amounts, hull))
        push = own.push.reshape(len(amounts), -1)

        def across(bend: Array) -> Array:
            return (push * bend.reshape(-1)) @ push.T

        worth = value.sum() - amounts @ own.cost
        return worth, push @ slope.reshape(-1) - own.cost, across(bend), across(jnp.minimum(bend, 0.0))

    return jax.jit(jax.vmap(one, in_axes=(None, None, 0)))


def joint_optimum(
    form: Form,
    futures: Futures,
    problem: Problem,
    worth: Array,
    keys: tuple[bytes, ...],
    constraints: optimum.Constraints,
    tolerance: float,
) -> optimum.Solution:
    """The best amounts of every world of a batch, and what is proven about them.

    Values are those of the problem's own sum of curves, which differs from the worth of the plan by what no amount
    changes.

    Parameters
    ----------
    futures, problem, worth
        Batched; one future a world.
    keys : tuple of bytes
        One random stream a world.
    tolerance : float
        Gap allowed, as a share of the status quo's money.
    """
    fine, found = optimum.checked(constraints), []
    for i, key in enumerate(keys):
        limits = optimum.take(fine, [i])
        asked = *jax.tree.map(lambda x, i=i: x[i], (futures, problem, worth)), limits.lower[0], limits.upper[0]
        own, hull = held(in_float64(laid_program(form), *asked))
        value, majorant = (
            optimum.Smooth(
                partial(in_float64, values_program(form), own, bound),
                partial(in_float64, model_program(form), own, bound),
            )
            for bound in (None, hull)
        )
        allowed = max(tolerance * problem.status_quo[i].sum(), np.finfo(float).tiny)
        found.append(optimum.joint(value, majorant, limits, problem.status_quo[[i]], ids.generator(key), allowed))
    return optimum.Solution(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
