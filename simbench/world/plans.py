"""What plans bring and cost in coupled futures of a world.

Set channels first: they do not depend on the future, so a plan's are computed once for all futures.
Each loop stores its results; in one expression XLA would compute them anew for every future.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from simbench.estimands import plan_of
from simbench.records import Problem
from simbench.world.cells import Futures
from simbench.world.forms import Form
from simbench.world.media import respond

Array = Any


def lever_of(form: Form, plan: Array) -> Array:
    """A plan [Hd, G, C] and the tail in which nothing is spent."""
    return jnp.concatenate([plan, jnp.zeros((form.tail, *plan.shape[1:]))])


def set_channels(form: Form, futures: Futures, lever: Array) -> Array:
    """What set channels bring [Hd + tail, G, C] at effect scale 1, in any future."""
    weeks = jnp.arange(form.horizon + form.tail)
    media = futures.media._replace(beta=jnp.ones(len(form.channels)), wish=futures.media.wish[0])
    apart = form._replace(synergies=())
    return respond(apart, media, futures.memory, lever, weeks, futures.organic[0, : len(weeks)])[0]


def brought(form: Form, futures: Futures, lever: Array, known: Array) -> tuple[Array, Array]:
    """Media-driven KPI [K] and money spent [K], over horizon and tail; `known` from :func:`set_channels`."""
    span = form.horizon + form.tail

    def one(wish: Array, organic: Array) -> tuple[Array, Array]:
        media = futures.media._replace(wish=wish)
        contribution, paid, *_ = respond(form, media, futures.memory, lever, jnp.arange(span), organic, known=known)
        return contribution.sum(), paid.sum()

    return jax.vmap(one)(futures.media.wish[:, :span], futures.organic[:, :span])


@lru_cache(maxsize=64)
def plans_program(form: Form) -> Callable[[Futures, Array], tuple[Array, Array]]:
    """Compiled: plans [B, Hd, G, C] of a world -> media-driven KPI [B, K] and money spent [B, K]."""

    def run(futures: Futures, plans: Array) -> tuple[Array, Array]:
        levers = jax.vmap(lambda plan: lever_of(form, plan))(plans)
        known = jax.lax.map(lambda lever: set_channels(form, futures, lever), levers, batch_size=8)
        together = max(1, 64 // futures.organic.shape[0])  # plans side by side, as long as the cache holds them
        return jax.lax.map(lambda both: brought(form, futures, *both), (levers, known), batch_size=together)

    return jax.jit(run)


def worth_of(form: Form, futures: Futures, problem: Problem, worth: Array, amounts: Array) -> Array:
    """Mean worth [B] over futures of amounts [B, U], each in the world at its place of the other arguments."""
    levers = jax.vmap(lambda problem, amounts: lever_of(form, plan_of(problem, amounts)))(problem, amounts)
    known = jax.lax.map(lambda each: set_channels(form, *each), (futures, levers))
    kpi, paid = jax.lax.map(lambda each: brought(form, *each), (futures, levers, known))
    return (worth[:, None] * kpi - paid).mean(axis=-1)


@lru_cache(maxsize=64)
def screen_program(form: Form) -> Callable[[Futures, Problem, Array, Array], Array]:
    """Compiled: of a block of worlds, amounts [B, U] -> mean worth [B] over futures."""
    values = plans_program(form)

    def world(each: tuple[Futures, Problem, Array, Array]) -> Array:
        futures, problem, worth, amounts = each
        kpi, paid = values(futures, plan_of(problem, amounts))
        return (worth * kpi - paid).mean(axis=-1)

    return jax.jit(lambda *block: jax.lax.map(world, block))


@lru_cache(maxsize=64)
def slopes_program(form: Form) -> Callable[[tuple[Futures, Problem, Array], Array, Array], tuple[Array, Array]]:
    """Compiled: (block of worlds, which of them [B], amounts [B, U]) -> mean worth [B], its gradient [B, U]."""

    def run(worlds: tuple[Futures, Problem, Array], which: Array, amounts: Array) -> tuple[Array, Array]:
        futures, problem, worth = jax.tree.map(lambda x: x[which], worlds)
        value, back = jax.vjp(lambda amounts: worth_of(form, futures, problem, worth, amounts), amounts)
        return value, back(jnp.ones_like(value))[0]

    return jax.jit(run)
