"""One function answers for truth and models alike.

``answer`` takes any ``mean(scale [N,G,C], add [N,G,C]) -> (mu [N,G], paid [N,G,C])``: the lever is
scale x (the asker's own factual lever) + add. It never sees spend. ``answer_additive`` computes
the same record from :class:`Effects` in one pass over channels and geos. Conventions:
docs/design.md, section 4. Weeks [0, N) with N = T + F; `origin` <= T is the first week after the
data; levers are zero from the origin on unless a plan says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from simbench.records import Answers, Context, Problem, Questions

Array = Any
Mean = Callable[[Array, Array], tuple[Array, Array]]
LANES = 32  #: counterfactuals computed side by side; more would leave the cache


class Effects(NamedTuple):
    """The structure of a world or model whose mean is a sum of one curve a channel and geo.

    ``mu = base + sum_c after(path * curve(before(lever)))`` on a stretch of weeks: `before` is
    affine (``before(0)`` is what earlier weeks left), `after` linear, one of the two the identity.
    All three act on [..., n, G, C], for any n, and never mix channels or geos; `curve` is
    elementwise.
    """

    base: Array  #: [N, G]
    before: Callable[[Array], Array]
    curve: Callable[[Array], Array]
    after: Callable[[Array], Array]
    path: Array | None = None  #: [N, 1 or G, C] factor of a week's effect (after the curve); None: 1


def weighted(effect: Array, path: Array | None) -> Array:
    """The effect [..., n, G, C] of a curve, times the factor of its weeks [n, 1 or G, C] if there is one."""
    return effect if path is None else effect * path


def mean_of(effects: Effects, lever: Array) -> Mean:
    """The `mean` of a structure, given its factual lever [N, G, C]; paid = lever."""

    def mean(scale: Array, add: Array) -> tuple[Array, Array]:
        own = scale * lever + add
        effect = weighted(effects.curve(effects.before(own)), effects.path)
        return effects.base + effects.after(effect).sum(axis=-1), own

    return mean


# --- weeks and plans


def over_weeks(x: Array, counted: Array) -> Array:
    """Sum of x [..., n, G, C] over the weeks that count [n].

    A product with a vector: as a plain sum it would be fused with the curves before it, and these
    would no longer vectorise.
    """
    return jnp.einsum("...ngc,n->...gc", x, counted)


def within(weeks: Array, start: Array, stop: Array) -> Array:
    """1.0 where start <= week < stop."""
    return jnp.where((weeks >= start) & (weeks < stop), 1.0, 0.0)


def plan_of(problem: Problem, amounts: Array) -> Array:
    """Levers [..., Hd, G, C] of amounts [..., U]."""
    chosen = jnp.where(problem.unit >= 0, amounts[..., jnp.maximum(problem.unit, 0)], 0.0)
    return problem.base + (chosen * problem.weight).sum(axis=-4)


def placed(plan: Array, origin: Array, periods: int) -> Array:
    """A plan [Hd, G, C] laid on weeks [0, periods) from the origin on."""
    empty = jnp.zeros((periods, *plan.shape[1:]), plan.dtype)
    return jax.lax.dynamic_update_slice_in_dim(empty, plan, origin, axis=0)


def arrived(path: Array, week: Array, lags: int, tail: int) -> Array:
    """Share of an effect path [N] that has arrived by lag 0..lags-1 after `week`."""
    part = jax.lax.dynamic_slice_in_dim(path, week, tail + 1)
    total = part.sum()
    return jnp.where(total > 0, jnp.cumsum(part)[:lags] / jnp.where(total > 0, total, 1.0), jnp.nan)


def middle_week(active: Array, start: Array, stop: Array) -> Array:
    """The active week [N] closest to the middle of a window (ties: the earlier); -1 if none."""
    weeks = jnp.arange(active.shape[0])
    distance = jnp.where(active & (weeks >= start) & (weeks < stop), jnp.abs(weeks - (start + stop - 1) / 2), jnp.inf)
    return jnp.where(jnp.isfinite(distance.min()), jnp.argmin(distance), -1)


# --- any mean


def answer(mean: Mean, questions: Questions, context: Context, origin: Array, periods: int) -> Answers:
    """Answer every question about one mean.

    Parameters
    ----------
    mean : callable
        (scale [N, G, C], add [N, G, C]) -> (mu [N, G], paid [N, G, C]).
    questions, context : Questions, Context
    origin : int
        T, or an earlier origin on a panel with trailing masked weeks.
    periods : int
        N = panel weeks + F.

    Returns
    -------
    Answers
        Without a draws axis; `forecast` is the mean.
    """
    sizes, (_, horizon, geos, channels) = questions.sizes, questions.plans.shape
    weeks, past = jnp.arange(periods), within(jnp.arange(periods), 0, origin)
    windows, count = questions.windows, questions.windows.shape[0]
    inside = jax.vmap(lambda w: within(weeks, w[0], w[1]))(windows)  # [W, N]
    history = jax.vmap(lambda w: within(weeks, w[0], w[1] + sizes.tail))(windows)
    ahead = within(weeks, origin, origin + horizon + sizes.tail)
    each = jnp.eye(channels)

    def edit(window: Array, channel: Array, factor: Array) -> Array:  # scale [N, C]
        return past[:, None] * (1.0 + (factor - 1.0) * window[:, None] * channel)

    def full(scale: Array) -> Array:  # [N, C] -> [N, G, C]
        return jnp.broadcast_to(scale[:, None, :], (periods, geos, channels))

    # --- whole paths: factual, status quo plan, baseline, forecast

    as_it_was = jnp.broadcast_to(past[:, None], (periods, channels))
    silent = edit(inside[0], jnp.ones(channels), 0.0)
    still, given = jnp.zeros((periods, geos, channels)), questions.future.lever
    adds = jnp.stack([still, placed(questions.plans[0], origin, periods), still, placed(given, origin, periods)])
    paths, paid = jax.vmap(lambda s, a: mean(full(s), a))(jnp.stack([as_it_was, as_it_was, silent, as_it_was]), adds)
    spends = (paid[0].sum(axis=1) * inside[0][:, None]).sum(axis=0) > 0

    # --- counterfactuals: lanes (scale, plan, weeks that count, path they are compared with)

    off = jax.vmap(lambda w: jax.vmap(lambda c: edit(w, c, 0.0))(each))(inside).reshape(-1, periods, channels)
    scaled = jax.vmap(lambda c: jax.vmap(lambda k: edit(inside[0], c, k))(questions.multipliers))(each)
    scaled = scaled.reshape(-1, periods, channels)
    plans = [questions.plans, *(response_plans(p).reshape(-1, horizon, geos, channels) for p in questions.problems)]
    none = jnp.zeros((1, horizon, geos, channels))
    lanes: list[tuple[Array, Array, Array, int]] = [
        (off, none, jnp.repeat(history, channels, axis=0), 0),
        (scaled, none, history[:1], 0),
        *((as_it_was[None], plan, ahead[None], 1) for plan in plans),
    ]
    sizes_of = [max(lane[0].shape[0], lane[1].shape[0]) for lane in lanes]
    starts = [0, *accumulate(sizes_of)]
    scale, plan, counted = (
        jnp.concatenate([jnp.broadcast_to(x, (n, *x.shape[1:])) for x, n in zip(parts, sizes_of, strict=True)])
        for parts in zip(*(lane[:3] for lane in lanes), strict=True)
    )
    against = jnp.repeat(jnp.array([lane[3] for lane in lanes]), jnp.array(sizes_of), total_repeat_length=starts[-1])

    def total(lane: tuple[Array, Array, Array, Array]) -> tuple[Array, Array]:
        scale, plan, counted, against = lane
        mu, paid = mean(full(scale), placed(plan, origin, periods))
        # differences week by week: the sums themselves are a thousand times larger
        return counted @ (mu - paths[against]), (paid * counted[:, None, None]).sum()

    by_geo, money = jax.lax.map(total, (scale, plan, counted, against), batch_size=LANES)

    def part(x: Array, i: int) -> Array:
        return x[starts[i] : starts[i + 1]]

    by_geo, kpi = -part(by_geo, 0).reshape(count, channels, geos), by_geo.sum(axis=-1)
    curve = part(kpi, 1).reshape(channels, -1)
    zero = jnp.argmin(jnp.abs(questions.multipliers))
    value = questions.margin * context.unit_value * part(kpi, 2) - part(money, 2)
    response, response_paid = [], []
    for i, problem in enumerate(questions.problems):
        gained, spent = (part(x, 3 + i).reshape(problem.levels.shape) for x in (kpi, money))
        response.append(gained - gained[:, :1])
        response_paid.append(spent - spent[:, :1])

    # --- derivatives along each channel's own flighting

    def pushed(direction: Array) -> tuple[Array, Array]:  # [N, C] -> d mu [N], d paid [N, C] per unit of scale
        _, (mu, paid) = jax.jvp(lambda s: mean(s, still), (full(as_it_was),), (full(direction),))
        return mu.sum(axis=-1), paid.sum(axis=1)

    def push_all(directions: Array) -> tuple[Array, Array]:
        return jax.lax.map(pushed, directions, batch_size=LANES)

    ways = (inside[:, None, :, None] * each[None, :, None, :]).reshape(-1, periods, channels)
    mu_push, paid_push = push_all(ways)
    own = (paid_push.reshape(count, channels, periods, channels) * each[None, :, None, :]).sum(axis=-1)  # [W, C, N]
    bought = (own * inside[:, None, :]).sum(axis=-1)
    gained = (mu_push.reshape(count, channels, periods) * history[:, None, :]).sum(axis=-1)
    marginal = jnp.where(bought > 0, gained / jnp.where(bought > 0, bought, 1.0), jnp.nan)

    week = jax.vmap(lambda a: middle_week(a > 0, windows[0, 0], windows[0, 1]))(own[0])
    pulses = jax.nn.one_hot(week, periods)[:, :, None] * each[:, None, :]
    impulse = jax.vmap(lambda p, w: arrived(p, w, sizes.impulse_lags, sizes.tail))(
        push_all(pulses)[0], jnp.maximum(week, 0)
    )

    return Answers(
        contribution=by_geo.sum(axis=-1),
        marginal=marginal,
        curve=jnp.where(spends[:, None], curve - curve[:, zero][:, None], jnp.nan),
        impulse=jnp.where((week >= 0)[:, None], impulse, jnp.nan),
        baseline=paths[2].sum(axis=-1)[: periods - questions.future.controls.shape[0]],
        contribution_geo=by_geo[0].T,
        forecast=jax.lax.dynamic_slice_in_dim(paths[3], origin, given.shape[0]),
        plan_value=value - value[0],
        response=tuple(response),
        response_paid=tuple(response_paid),
    )


def response_plans(problem: Problem) -> Array:
    """Plans [U, L, Hd, G, C]: one unit at each of its levels, the others at status quo."""
    units, levels = problem.levels.shape

    def plan(unit: Array, level: Array) -> Array:
        return plan_of(problem, jnp.asarray(problem.status_quo).at[unit].set(jnp.asarray(problem.levels)[unit, level]))

    return jax.vmap(lambda u: jax.vmap(lambda k: plan(u, k))(jnp.arange(levels)))(jnp.arange(units))


# --- a sum of curves


def unit_of(unit: Array) -> Array:
    """The unit of each lever [G, C] of a disjoint problem (`Problem.unit`), -1 where none."""
    return unit.max(axis=(0, 1))


def by_unit(unit: Array, units: int, x: Array) -> Array:
    """Sum [..., G, C] over the levers of each unit -> [..., U]."""
    return jnp.einsum("...gc,gcu->...u", x, jax.nn.one_hot(unit_of(unit), units, dtype=x.dtype))


def direction(unit: Array, weight: Array) -> Array:
    """Levers [Hd, G, C] of one unit of money in every unit of a disjoint problem."""
    return jnp.where(unit >= 0, weight, 0.0).sum(axis=0)


def lever_levels(unit: Array, levels: Array) -> Array:
    """Amounts [U, K] of the units, seen from each lever: [K, 1, G, C]."""
    owner = unit_of(unit)
    return jnp.where(owner >= 0, levels.T[:, jnp.maximum(owner, 0)], 0.0)[:, None]


def late_effect(effects: Effects, lever: Array, questions: Questions) -> Array:
    """Effect [W, C] of a window's levers that arrives after its tail, within the simulated weeks."""
    weeks = jnp.arange(lever.shape[0])
    v = effects.before(lever)
    nothing = effects.before(jnp.zeros_like(lever))

    def late(w: Array) -> Array:
        carried = effects.before(lever * within(weeks, w[0], w[1])[:, None, None]) - nothing
        path = effects.after(weighted(effects.curve(v) - effects.curve(v - carried), effects.path))
        return (path * within(weeks, w[1] + questions.sizes.tail, weeks.shape[0])[:, None, None]).sum(axis=(0, 1))

    return jax.vmap(late)(questions.windows)


def answer_additive(effects: Effects, lever: Array, questions: Questions, context: Context, origin: Array) -> Answers:
    """Answer every question about a sum of curves: the record of :func:`answer`, quicker.

    Parameters
    ----------
    effects : Effects
        On weeks [0, N).
    lever : array [N, G, C]
        The factual lever; rows from the origin on are ignored.

    Returns
    -------
    Answers
        Equal to ``answer(mean_of(effects, lever), ...)`` to rounding.
    """
    sizes, (_, horizon, geos, channels) = questions.sizes, questions.plans.shape
    periods = lever.shape[0]
    weeks = jnp.arange(periods)
    x = jnp.where((weeks < origin)[:, None, None], lever, 0.0)
    v = effects.before(x)
    s = effects.curve(v)

    def added(part: Array) -> Array:  # what levers add to the carried input, before nothing else
        return effects.before(part) - effects.before(jnp.zeros_like(part))

    def summed(difference: Array, start: Array, stop: Array) -> Array:  # [N, G, C] -> [G, C]
        return over_weeks(effects.after(weighted(difference, effects.path)), within(weeks, start, stop))

    def window(w: Array) -> tuple[Array, Array]:
        own = x * within(weeks, w[0], w[1])[:, None, None]
        carried, stop = added(own), w[1] + sizes.tail
        effect = summed(s - effects.curve(v - carried), w[0], stop)
        slope = jax.jvp(effects.curve, (v,), (carried,))[1]
        money = own.sum(axis=(0, 1))
        marginal = summed(slope, w[0], stop).sum(axis=0) / jnp.where(money > 0, money, 1.0)
        return effect, jnp.where(money > 0, marginal, jnp.nan)

    effect, marginal = jax.vmap(window)(questions.windows)
    first = questions.windows[0]
    whole = x * within(weeks, first[0], first[1])[:, None, None]
    carried = added(whole)
    silent = effects.curve(v - carried)
    curve = jax.lax.map(
        lambda k: summed(effects.curve(v - (1.0 - k) * carried) - silent, first[0], first[1] + sizes.tail).sum(axis=0),
        questions.multipliers,
    )
    baseline = effects.base + effects.after(weighted(silent, effects.path)).sum(axis=-1)

    active = (whole.sum(axis=1) > 0).T  # [C, N]
    week = jax.vmap(lambda a: middle_week(a, first[0], first[1]))(active)
    pulse = x * (weeks[:, None] == week)[:, None, :]
    slope = jax.jvp(effects.curve, (v,), (added(pulse),))[1]
    path = effects.after(weighted(slope, effects.path)).sum(axis=1)  # [N, C]
    impulse = jax.vmap(lambda p, w: arrived(p, w, sizes.impulse_lags, sizes.tail))(path.T, jnp.maximum(week, 0))

    # the future: only weeks [origin, origin + Q) can differ between plans
    span = max(horizon, questions.future.lever.shape[0]) + sizes.tail
    left = jax.lax.dynamic_slice_in_dim(v, origin, span)  # what the past leaves in them
    decided = within(jnp.arange(span), 0, horizon + sizes.tail)
    factor = None if effects.path is None else jax.lax.dynamic_slice_in_dim(effects.path, origin, span)

    def ahead(plan: Array) -> Array:
        return left + added(jnp.concatenate([plan, jnp.zeros((span - plan.shape[0], geos, channels), plan.dtype)]))

    def gained(later: Array, earlier: Array) -> Array:  # [..., span, G, C] -> [..., G, C]
        return over_weeks(effects.after(weighted(later - earlier, factor)), decided)

    status_quo = effects.curve(ahead(questions.plans[0]))
    worth = questions.margin * context.unit_value
    more = jax.lax.map(lambda p: gained(effects.curve(ahead(p)), status_quo).sum(), questions.plans)
    money = questions.plans.sum(axis=(1, 2, 3))

    def response(asked: tuple[Array, ...]) -> Array:  # each unit's levels, the others out of the way
        base, unit, weight, levels = asked
        per_unit = added(jnp.concatenate([direction(unit, weight), jnp.zeros((span - horizon, geos, channels))]))
        still = ahead(base)
        nothing_more = effects.curve(still)
        kpi = jax.lax.map(
            lambda a: by_unit(unit, levels.shape[0], gained(effects.curve(still + a * per_unit), nothing_more)),
            lever_levels(unit, levels),
        )
        return (kpi - kpi[:1]).T

    def jointly(problem: Problem) -> Array:
        kpi = jax.vmap(jax.vmap(lambda p: gained(effects.curve(ahead(p)), status_quo).sum()))(response_plans(problem))
        return kpi - kpi[:, :1]

    parts = [(p.base, p.unit, p.weight, p.levels) for p in questions.problems]
    responses = [None if p.form.disjoint else jointly(p) for p in questions.problems]
    # problems of one shape share one program: they differ in numbers only
    for shape in dict.fromkeys(p.unit.shape + p.levels.shape for p in questions.problems if p.form.disjoint):
        same = [
            i for i, p in enumerate(questions.problems) if p.form.disjoint and p.unit.shape + p.levels.shape == shape
        ]
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *[parts[i] for i in same])
        for i, kpi in zip(same, jax.lax.map(response, stacked), strict=True):
            responses[i] = kpi

    held = questions.future.lever.shape[0]
    given = jax.lax.dynamic_update_slice_in_dim(x, questions.future.lever.astype(x.dtype), origin, axis=0)
    media = effects.after(weighted(effects.curve(effects.before(given)), effects.path))
    forecast = effects.base + media.sum(axis=-1)
    return Answers(
        contribution=effect.sum(axis=1),
        marginal=marginal,
        curve=jnp.where((whole.sum(axis=(0, 1)) > 0)[:, None], curve.T, jnp.nan),
        impulse=jnp.where((week >= 0)[:, None], impulse, jnp.nan),
        baseline=baseline.sum(axis=-1)[: periods - questions.future.controls.shape[0]],
        contribution_geo=effect[0],
        forecast=jax.lax.dynamic_slice_in_dim(forecast, origin, held),
        plan_value=worth * more - (money - money[0]),
        response=tuple(r for r in responses if r is not None),
    )
