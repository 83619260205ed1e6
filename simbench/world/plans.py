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
from simbench.world.media import by_channel, set_effects, stirring

Array = Any


def lever_of(form: Form, plan: Array) -> Array:
    """A plan [Hd, G, C] and the weeks of the tail in which it acts still."""
    return jnp.concatenate([plan, jnp.zeros((form.span - form.horizon, *plan.shape[1:]))])


def known_of(form: Form, futures: Futures, lever: Array) -> tuple[Array, Array]:
    """What set channels bring in any future, and of it what bought ones follow; both [span, G, C]."""
    known = set_effects(form, futures.media, futures.memory, lever, jnp.arange(form.span))
    return known, stirring(form, futures.media, known)


def brought(form: Form, futures: Futures, lever: Array, known: tuple[Array, Array]) -> tuple[Array, Array]:
    """Media-driven KPI [K] and money spent [K], over horizon and tail; `known` from :func:`known_of`."""
    span, bought = form.span, [channel.bought for channel in form.channels]

    def total(parts: list[Array]) -> Array:  # what no future changes apart from what each does
        return sum(sum(x for x, b in zip(parts, bought, strict=True) if b is kind).sum() for kind in set(bought))

    def one(wish: Array, organic: Array) -> tuple[Array, Array]:
        media, weeks = futures.media._replace(wish=wish), jnp.arange(span)
        contribution, paid, *_ = by_channel(form, media, futures.memory, lever, weeks, organic, None, *known)
        return total(contribution), total(paid)

    return jax.vmap(one)(futures.media.wish[:, :span], futures.organic[:, :span])


@lru_cache(maxsize=64)
def plans_program(form: Form) -> Callable[[Futures, Array], tuple[Array, Array]]:
    """Compiled: plans [B, Hd, G, C] of a world -> media-driven KPI [B, K] and money spent [B, K]."""

    def run(futures: Futures, plans: Array) -> tuple[Array, Array]:
        levers = jax.vmap(lambda plan: lever_of(form, plan))(plans)
        known = jax.lax.map(lambda lever: known_of(form, futures, lever), levers, batch_size=8)
        together = max(1, 64 // futures.organic.shape[0])  # plans side by side, as long as the cache holds them
        return jax.lax.map(lambda both: brought(form, futures, *both), (levers, known), batch_size=together)

    return jax.jit(run)


def worth_of(form: Form, world: tuple[Futures, Problem, Array], amounts: Array) -> Array:
    """Mean worth over futures of amounts [U] in one world."""
    futures, problem, worth = world
    lever = lever_of(form, plan_of(problem, amounts))
    kpi, paid = brought(form, futures, lever, known_of(form, futures, lever))
    return (worth * kpi - paid).mean()


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
def slopes_program(form: Form) -> Callable[[tuple[Futures, Problem, Array], Array, Array, int], tuple[Array, Array]]:
    """Compiled: (worlds, which of them [B], amounts [B, U], how many count) -> mean worth [B], its gradient [B, U]."""

    def run(worlds: tuple[Futures, Problem, Array], which: Array, amounts: Array, count: int) -> tuple[Array, Array]:
        def lane(i: Array, done: tuple[Array, Array]) -> tuple[Array, Array]:
            own = jax.tree.map(lambda x: x[which[i]], worlds)
            found = jax.value_and_grad(lambda amounts: worth_of(form, own, amounts))(amounts[i])
            return done[0].at[i].set(found[0]), done[1].at[i].set(found[1])

        return jax.lax.fori_loop(0, count, lane, (jnp.zeros(len(amounts)), jnp.zeros_like(amounts)))

    return jax.jit(run)
