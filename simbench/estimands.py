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
VECTOR = 8  #: weeks computed by one instruction; stretches are filled up to a multiple


class Effects(NamedTuple):
    """The structure of a world or model whose mean is a sum of one curve a channel and geo.

    ``mu = base + sum_c after(path * curve(before(rate * lever)))`` on a stretch of weeks: `before` is
    affine (``before(0)`` is what earlier weeks left), `after` linear, one of the two the identity.
    All three act on [..., G, C, n], for any n, and never mix channels or geos; `curve` is
    elementwise. Weeks come last: neighbours in memory, so that curves vectorise whatever G and C.
    """

    base: Array  #: [N, G]
    before: Callable[[Array], Array]
    curve: Callable[[Array], Array]
    after: Callable[[Array], Array]
    path: Array | None = None  #: [1 or G, C, N] factor of a week's effect (after the curve); None: 1
    memory: int | None = None  #: weeks after its own in which a lever acts, at most; None: not known
    rate: Array | None = None  #: [1 or G, C, N] what a unit of money buys in a week; None: 1


def filled(x: Array, weeks: int) -> Array:
    """x [..., n] with zeros up to a number of weeks."""
    return jnp.concatenate([x, jnp.zeros((*x.shape[:-1], weeks - x.shape[-1]), x.dtype)], axis=-1)


def whole(weeks: int) -> int:
    """The next multiple of VECTOR."""
    return -(-weeks // VECTOR) * VECTOR


def weighted(effect: Array, path: Array | None) -> Array:
    """Levers, or the effect of a curve [..., G, C, n], times the factor of its weeks [1 or G, C, n] if there is one."""
    return effect if path is None else effect * path


def mean_of(effects: Effects, lever: Array) -> Mean:
    """The `mean` of a structure, given its factual lever [N, G, C]; paid = lever."""

    def mean(scale: Array, add: Array) -> tuple[Array, Array]:
        own = scale * lever + add
        bought = weighted(jnp.moveaxis(own, 0, -1), effects.rate)
        effect = weighted(effects.curve(effects.before(bought)), effects.path)
        return effects.base + effects.after(effect).sum(axis=1).T, own

    return mean


# --- weeks and plans


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
    return jnp.where(owner >= 0, jnp.asarray(levels).T[:, jnp.maximum(owner, 0)], 0.0)[:, None]


def late_effect(effects: Effects, lever: Array, questions: Questions) -> Array:
    """Effect [W, C] of a window's levers that arrives after its tail, within the simulated weeks."""
    x, weeks = weighted(jnp.moveaxis(lever, 0, -1), effects.rate), jnp.arange(lever.shape[0])
    v, nothing = effects.before(x), effects.before(jnp.zeros_like(x))

    def late(w: Array) -> Array:
        carried = effects.before(x * within(weeks, w[0], w[1])) - nothing
        path = effects.after(weighted(effects.curve(v) - effects.curve(v - carried), effects.path))
        return (path @ within(weeks, w[1] + questions.sizes.tail, weeks.shape[0])).sum(axis=0)

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
    sizes, (plans, horizon, geos, channels) = questions.sizes, questions.plans.shape
    periods, held, count = lever.shape[0], questions.future.lever.shape[0], questions.windows.shape[0]
    panel = periods - questions.future.controls.shape[0]
    acting = sizes.tail if effects.memory is None else min(sizes.tail, effects.memory)
    reach, span = whole(panel + acting), whole(max(horizon + acting, held))  # weeks that can differ
    first, weeks = questions.windows[0], jnp.arange(periods + VECTOR)
    factor, rate = (None if y is None else filled(y, len(weeks)) for y in (effects.path, effects.rate))

    def from_week(y: Array, start: Array | int, n: int) -> Array:
        return jax.lax.dynamic_slice_in_dim(y, start, n, axis=-1)

    def buying(parts: Array, start: Array | int = 0) -> Array:  # money [..., n] from a week on -> what it buys
        return parts if rate is None else parts * from_week(rate, start, parts.shape[-1])

    def carried(parts: Array) -> tuple[Array, Array]:  # [k, G, C, n]: the input of no lever, what each part adds to it
        v = effects.before(jnp.concatenate([jnp.zeros_like(parts[:1]), parts]))
        return v[0], v[1:] - v[0]

    def arriving(effect: Array, start: Array | int = 0) -> Array:  # [..., G, C, n] of the curve, from a week on
        if factor is None:
            return effects.after(effect)
        return effects.after(effect * from_week(factor, start, effect.shape[-1]))

    # the past
    x = filled(jnp.moveaxis(jnp.where((weeks[:periods] < origin)[:, None, None], lever, 0.0), 0, -1), len(weeks))
    own = x * jax.vmap(lambda w: within(weeks, w[0], w[1]))(questions.windows)[:, None, None]
    week = jax.vmap(lambda a: middle_week(a, first[0], first[1]))(own[0].sum(axis=0) > 0)
    pulse = x * (weeks == week[:, None])
    nothing, added = carried(buying(jnp.concatenate([x[None], pulse[None], own])))
    v = nothing + added[0]
    s, slope = jax.jvp(effects.curve, (v,), (jnp.ones_like(v),))

    pushed, of_windows = added[1, ..., :reach], added[2:, ..., :reach]
    counted = jax.vmap(lambda w: within(jnp.arange(reach), w[0], w[1] + sizes.tail))(questions.windows)
    less = (1.0 - questions.multipliers)[:, None, None, None] * of_windows[0]
    # each window off, then the first one scaled
    edited = effects.curve(v[..., :reach] - jnp.concatenate([of_windows, less]))
    lost = arriving(s[..., :reach] - edited) @ counted.T  # [W + M, G, C, W]
    effect = jnp.stack([lost[i, ..., i] for i in range(count)])
    curve = (lost[0, ..., 0] - lost[count:, ..., 0]).sum(axis=1)
    rise = arriving(slope[..., :reach] * of_windows) @ counted.T
    money = own.sum(axis=(1, 3))
    marginal = jnp.stack([rise[i, ..., i].sum(axis=0) for i in range(count)]) / jnp.where(money > 0, money, 1.0)
    baseline = effects.base[:panel].sum(axis=-1) + arriving(edited[0])[..., :panel].sum(axis=(0, 1))
    path = filled(arriving(slope[..., :reach] * pushed).sum(axis=0), whole(panel + sizes.tail))  # [C, R]
    impulse = jax.vmap(lambda p, w: arrived(p, w, sizes.impulse_lags, sizes.tail))(path, jnp.maximum(week, 0))

    # the future, and what the past leaves in it
    left, idle = (jax.lax.dynamic_slice_in_dim(y, origin, span, axis=-1) for y in (v, s))
    decided = within(jnp.arange(span), 0, horizon + sizes.tail)

    def laid(part: Array) -> Array:  # money [..., n, G, C] from the origin on -> what it buys [k, G, C, span]
        return buying(filled(jnp.moveaxis(part.reshape(-1, *part.shape[-3:]).astype(x.dtype), -3, -1), span), origin)

    def gained(later: Array, earlier: Array) -> Array:  # [..., G, C, span] -> [..., G, C]
        return arriving(later - earlier, origin) @ decided

    ahead = effects.curve(left + carried(jnp.concatenate([laid(questions.plans), laid(questions.future.lever)]))[1])
    more = gained(ahead[:plans], ahead[0]).sum(axis=(1, 2))
    spent = questions.plans.sum(axis=(1, 2, 3))
    media = jax.lax.dynamic_slice_in_dim(arriving(s).sum(axis=1), origin, held, axis=-1)
    media = media + arriving(ahead[plans] - idle, origin)[..., :held].sum(axis=1)
    forecast = jax.lax.dynamic_slice_in_dim(effects.base, origin, held) + media.T

    def respond(
        last: tuple[Array, ...], asked: tuple[Array, ...]
    ) -> Any:  # a problem, after another's KPI and question
        def anew() -> Array:  # each lever at its amounts, the others out of the way
            base, per_unit = carried(laid(jnp.stack(asked[:2])))[1]
            still = left + base
            return gained(effects.curve(still + asked[2] * per_unit), effects.curve(still))

        # problems that differ in nothing but their limits ask the same
        same = jnp.stack([(one == other).all() for one, other in zip(last[1:], asked, strict=True)]).all()
        kpi = jax.lax.cond(same, lambda: last[0], anew)
        return (kpi, *asked), kpi

    def jointly(problem: Problem) -> Array:
        kpi = gained(effects.curve(left + carried(laid(response_plans(problem)))[1]), ahead[0]).sum(axis=(1, 2))
        return kpi.reshape(problem.levels.shape)

    problems = questions.problems
    responses = [None if p.form.disjoint else jointly(p) for p in problems]
    # problems with as many levels share one program
    for levels in dict.fromkeys(p.levels.shape[1] for p in problems if p.form.disjoint):
        alike = [i for i, p in enumerate(problems) if p.form.disjoint and p.levels.shape[1] == levels]
        asked = [
            (p.base, direction(p.unit, p.weight), jnp.moveaxis(lever_levels(p.unit, p.levels), 1, -1))
            for p in (problems[i] for i in alike)
        ]
        stacked = jax.tree.map(lambda *y: jnp.stack(y).astype(x.dtype), *asked)
        start = (jnp.zeros((levels, geos, channels), x.dtype), *(jnp.full_like(y[0], jnp.nan) for y in stacked))
        for i, kpi in zip(alike, jax.lax.scan(respond, start, stacked)[1], strict=True):
            responses[i] = by_unit(problems[i].unit, problems[i].levels.shape[0], kpi).T

    return Answers(
        contribution=effect.sum(axis=1),
        marginal=jnp.where(money > 0, marginal, jnp.nan),
        curve=jnp.where((money[0] > 0)[:, None], curve.T, jnp.nan),
        impulse=jnp.where((week >= 0)[:, None], impulse, jnp.nan),
        baseline=baseline,
        contribution_geo=effect[0],
        forecast=forecast,
        plan_value=questions.margin * context.unit_value * more - (spent - spent[0]),
        response=tuple(kpi - kpi[:, :1] for kpi in responses if kpi is not None),
    )
