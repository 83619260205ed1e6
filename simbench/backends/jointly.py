"""What sums of curves would do with money where units share levers: there no curve of one unit says what it brings.

A draw's worth of amounts is a sum over weeks, geos and channels of ``size * curve(still + push @ amounts)``, less the
money: what enters a curve is affine in the amounts. The mean over draws is climbed from several starts by a primal-dual
interior-point method (Nocedal and Wright 2006, chapter 19), whose curvature is that of the concave parts alone. The
best end is answered: where every curve is concave the best there is, else a local maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from simbench.backends.bayes.linear import cholesky, solve_lower, solve_upper
from simbench.estimands import Effects, placed, plan_of, weighted, within
from simbench.records import Answers, Brief, Problem

Array = Any
#: Draws that a plan is the best mean of, at most, and how many of them are looked at side by side.
DRAWS, TOGETHER = 64, 16
#: Steps of a climb; the pull of the middle in each, as a share of the status quo's money: it fades, then stays.
STEPS, FADING, FIRST, LAST = 24, 20, 1e-1, 1e-6
#: Share of the way to a limit that a step takes at most.
SHORT = 0.99
#: Half the least width of a limit, as a share of the money, while it is climbed.
WIDTH = 1e-5
#: Rounds in which amounts are moved into their limits.
ROUNDS = 60


class Laid(NamedTuple):
    """One draw's worth as a sum of curves of affine inputs, by week from the origin on."""

    size: Array  #: [G, C, Q] money for a curve of 1
    still: Array  #: [G, C, Q] input without any amount
    push: Array  #: [U, G, C, Q] input of an amount of 1


class Limits(NamedTuple):
    """``low <= rows @ amounts <= high``: the units' own first, then their total, then groups."""

    rows: Array  #: [m, U]
    low: Array  #: [m]
    high: Array  #: [m]


class Climb(NamedTuple):
    """Where a climb stands: amounts [U], room to both ends of each limit [2, m] and the prices of these ends [2, m]."""

    amounts: Array
    room: Array
    price: Array


def planned(effects: Callable[[Any], Effects], draws: Any, lever: Array, brief: Brief) -> tuple[Array, ...] | None:
    """Own amounts of every problem whose units share levers, NaN of the others; None where there is no such problem.

    Parameters
    ----------
    effects : callable
        One draw -> Effects on weeks [0, N).
    draws : pytree
        Leading axis D; of more than :data:`DRAWS` some are looked at, evenly spaced.
    lever : array [N, G, C]
        The factual lever.

    Returns
    -------
    tuple of array [U], or None
        Money. Which problems they are is known by shape: programs of other briefs hold nothing of this module.
    """
    problems = brief.questions.problems
    if all(problem.form.disjoint for problem in problems):
        return None
    count = jax.tree.leaves(draws)[0].shape[0]
    used = jnp.linspace(0, count - 1, min(count, DRAWS)).round().astype(int)
    some = jax.tree.map(lambda x: x[used], draws)
    return tuple(
        jnp.full_like(problem.status_quo, jnp.nan)
        if problem.form.disjoint
        else best_amounts(effects, some, lever, brief, problem)
        for problem in problems
    )


def best_amounts(effects: Callable[[Any], Effects], draws: Any, lever: Array, brief: Brief, problem: Problem) -> Array:
    """Amounts [U] of a problem that earn most on the mean of draws, by what the curves say."""
    money, each = money_of(problem), unit_plans(problem)
    base, cost = problem.base, each.sum(axis=(1, 2, 3))
    parts = jax.lax.map(lambda draw: laid(effects(draw), lever, brief, base, money * each), draws, batch_size=TOGETHER)
    limits = limits_of(problem, money)

    def mean(terms: Callable[[Effects, Laid], Any]) -> Any:
        told = jax.lax.map(lambda one: terms(effects(one[0]), one[1]), (draws, parts), batch_size=TOGETHER)
        return jax.tree.map(lambda x: x.mean(axis=0) / money, told)

    def model(amounts: Array) -> tuple[Array, Array]:
        slope, bend = mean(partial(bent, amounts))
        return slope - cost, bend

    def value(amounts: Array) -> Array:
        return mean(partial(worth, amounts)) - cost @ amounts

    ways = ways_of(problem) / money
    alone = ways.sum(axis=(2, 3))  # [S, U] all of the money in one layer of units
    told = mean(lambda curves, own: jax.vmap(lambda amounts: lever_worth(amounts, curves, own))(alone))
    better = jnp.arange(len(alone))[:, None, None] == jnp.argmax(told, axis=0)
    several = [*alone, (ways * better[:, None]).sum(axis=(0, 2, 3))] if len(alone) > 1 else []
    starts = jnp.stack([problem.status_quo / money, alone.mean(axis=0), *several])
    ends = jax.lax.map(lambda start: climbed(model, limits, start), starts)
    # the status quo comes first: no plan is worse than the nearest to it that can be done
    every = jax.vmap(partial(into, limits))(jnp.concatenate([starts[:1], ends]))
    values = jax.lax.map(value, every)
    return every[jnp.argmax(jnp.where(jnp.isfinite(values), values, -jnp.inf))] * money


def asked_too(brief: Brief, amounts: Sequence[Array]) -> Array:
    """Plans [P + 2 K, Hd, G, C]: those of the brief, then the status quo and the amounts of each shared problem."""
    own = [
        plan_of(problem, chosen)
        for problem, mine in zip(brief.questions.problems, amounts, strict=True)
        if not problem.form.disjoint
        for chosen in (problem.status_quo, mine)
    ]
    return jnp.concatenate([brief.questions.plans, jnp.stack(own).astype(brief.questions.plans.dtype)])


def told_apart(answers: Answers, brief: Brief, amounts: tuple[Array, ...]) -> Answers:
    """Answers [D, ...] about :func:`asked_too` as answers to the brief itself, with own amounts and their promises."""
    value: Any = answers.plan_value
    plans = len(brief.questions.plans)
    gains = iter((value[:, plans + 1 :: 2] - value[:, plans::2]).T)
    promise = tuple(
        jnp.full_like(value[:, 0], jnp.nan) if problem.form.disjoint else next(gains)
        for problem in brief.questions.problems
    )
    return answers._replace(plan_value=value[:, :plans], allocation=amounts, promise=promise)


def money_of(problem: Problem) -> Array:
    """What amounts are measured in: the status quo's money, where there is none what may be spent."""
    now, most = problem.status_quo.sum(), problem.upper.sum()
    return jnp.where(now > 0, now, jnp.where(most > 0, most, 1.0))


def unit_plans(problem: Problem) -> Array:
    """Levers [U, Hd, G, C] of one unit of money in each unit."""
    nothing = problem._replace(base=jnp.zeros_like(problem.base))
    return plan_of(nothing, jnp.eye(len(problem.status_quo), dtype=problem.weight.dtype))


def laid(effects: Effects, lever: Array, brief: Brief, base: Array, each: Array) -> Laid:
    """The curves of one draw from the origin on: of levers `base` [Hd, G, C] that stay, and `each` [U, Hd, G, C]."""
    questions, origin, weeks = brief.questions, brief.panel.origin, jnp.arange(lever.shape[0])
    horizon, tail = questions.plans.shape[1], questions.sizes.tail
    span = horizon + (tail if effects.memory is None else min(tail, effects.memory))

    def late(plan: Array) -> Array:  # [Hd, G, C] -> [G, C, N]
        return jnp.moveaxis(placed(plan.astype(lever.dtype), origin, len(weeks)), 0, -1)

    def ahead(x: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(x, origin, span, axis=-1)

    past = jnp.moveaxis(jnp.where((weeks < origin)[:, None, None], lever, 0.0), 0, -1)
    still = effects.before(weighted(past + late(base), effects.rate))
    push = effects.before(weighted(jax.vmap(late)(each), effects.rate)) - effects.before(jnp.zeros_like(past))
    counted = within(weeks, origin, origin + horizon + tail)

    def arrived(effect: Array) -> Array:  # what an effect of the curves brings, which is linear
        return (effects.after(weighted(effect, effects.path)) @ counted).sum()

    size = jax.grad(arrived)(jnp.zeros_like(still)) * questions.margin * brief.context.unit_value
    return Laid(ahead(size), ahead(still), ahead(push))


def ways_of(problem: Problem) -> Array:
    """The status quo's money of each lever, in each layer of units that could hold it [S, U, G, C]: even over weeks."""
    held = jax.nn.one_hot(problem.unit, len(problem.status_quo), axis=1, dtype=problem.weight.dtype).sum(axis=2)
    share = held / jnp.maximum(held.sum(axis=1, keepdims=True), 1.0)
    return share * (plan_of(problem, problem.status_quo) - problem.base).sum(axis=0)


def lever_worth(amounts: Array, effects: Effects, own: Laid) -> Array:
    """What one draw's curves bring by lever [G, C], against no curve at all."""
    return (own.size * effects.curve(own.still + jnp.tensordot(amounts, own.push, 1))).sum(axis=-1)


def worth(amounts: Array, effects: Effects, own: Laid) -> Array:
    """What one draw's curves bring."""
    return lever_worth(amounts, effects, own).sum()


def bent(amounts: Array, effects: Effects, own: Laid) -> tuple[Array, Array]:
    """The slope [U] of one draw's worth, and the curvature [U, U] of what is concave in it: positive semidefinite."""
    v = own.still + jnp.tensordot(amounts, own.push, 1)

    def steep(v: Array) -> Array:
        return jax.jvp(effects.curve, (v,), (jnp.ones_like(v),))[1]

    slope, bend = jax.jvp(steep, (v,), (jnp.ones_like(v),))
    push = own.push.reshape(len(amounts), -1)
    concave = jnp.maximum(-(own.size * bend), 0.0).reshape(-1)
    return push @ (own.size * slope).reshape(-1), (push * concave) @ push.T


# --- limits


def limits_of(problem: Problem, money: Array) -> Limits:
    """The limits of a problem; ends that nothing reaches are a little out of reach."""
    units = len(problem.status_quo)
    rows = jnp.concatenate([jnp.eye(units), jnp.ones((1, units)), problem.groups])
    low = jnp.concatenate([problem.lower, problem.budget[:1], problem.group_low]) / money
    high = jnp.concatenate([problem.upper, problem.budget[1:], problem.group_high]) / money
    up, down = jnp.maximum(rows, 0.0), jnp.minimum(rows, 0.0)
    lower, upper = problem.lower / money, problem.upper / money
    least, most = up @ lower + down @ upper, up @ upper + down @ lower
    return Limits(rows, jnp.maximum(low, least - 1.0), jnp.minimum(high, most + 1.0))


def into(limits: Limits, amounts: Array) -> Array:
    """Amounts [U] near these within all limits: each row in turn takes what it misses from units that have room."""
    units = len(amounts)
    lower, upper = limits.low[:units], limits.high[:units]

    def meet(row: Array, amounts: Array) -> Array:
        members, total = limits.rows[row], limits.rows[row] @ amounts
        miss = jnp.clip(total, limits.low[row], limits.high[row]) - total
        way = members * jnp.sign(miss)
        free = members * jnp.where(way > 0, amounts < upper, amounts > lower)
        length = free @ free
        return jnp.clip(amounts + free * miss / jnp.where(length > 0, length, 1.0), lower, upper)

    def sweep(_: int, amounts: Array) -> Array:
        return jax.lax.fori_loop(units, len(limits.low), meet, amounts)

    return jax.lax.fori_loop(0, ROUNDS, sweep, jnp.clip(amounts, lower, upper))


# --- the climb


def climbed(model: Callable[[Array], tuple[Array, Array]], limits: Limits, start: Array) -> Array:
    """A local maximum [U] near a start, within limits to :data:`WIDTH`; the only one of a concave value.

    Parameters
    ----------
    model : callable
        amounts [U] -> slope [U] and curvature [U, U] (positive semidefinite) of what is to be made large.
    """
    rows, low, high, units = limits.rows, limits.low - WIDTH, limits.high + WIDTH, len(start)
    pull = FIRST * (LAST / FIRST) ** (jnp.minimum(jnp.arange(STEPS), FADING) / FADING)

    def room_at(amounts: Array) -> Array:
        return jnp.stack([rows @ amounts - low, high - rows @ amounts])

    def longest(x: Array, step: Array) -> Array:
        return jnp.minimum(1.0, SHORT * jnp.where(step < 0, x / jnp.where(step < 0, -step, 1.0), jnp.inf).min())

    def step(k: int, at: Climb) -> Climb:
        amounts, room, price = at
        slope, bend = model(amounts)
        gap = room_at(amounts) - room
        wish = (pull[k] - price * gap) / room
        stiff = price / room
        move = step_of(bend, slope, rows[units:], stiff.sum(axis=0), wish[0] - wish[1])
        along = rows @ move
        more = jnp.stack([along, -along]) + gap
        dearer = (pull[k] - price * more) / room - price
        far, dear = longest(room, more), longest(price, dearer)
        return Climb(amounts + far * move, room + far * more, price + dear * dearer)

    wide = jnp.maximum(high - low, 2 * WIDTH)
    room = jnp.maximum(room_at(start), 0.05 * wide)
    return jax.lax.fori_loop(0, STEPS, step, Climb(start, room, FIRST / room)).amounts


def step_of(bend: Array, slope: Array, rows: Array, stiff: Array, wish: Array) -> Array:
    """The move [U] with ``(bend + B' stiff B) move = slope + B' wish``, B the units' own limits and then other rows.

    Rows that bind are as stiff as they like: their forces are solved for, so that float32 holds them.
    """
    units = len(slope)
    factor = cholesky(bend + jnp.diag(stiff[:units]))
    right = jnp.concatenate([(slope + wish[:units])[:, None], rows.T], axis=1)
    free, yields = jnp.split(solve_upper(factor, solve_lower(factor, right)), [1], axis=1)
    soft = cholesky(rows @ yields + jnp.diag(1.0 / stiff[units:]))
    miss = rows @ free - (wish / stiff)[units:, None]
    force = solve_upper(soft, solve_lower(soft, miss))
    return (free - yields @ force)[:, 0]
